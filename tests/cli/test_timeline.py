"""`newsletter editions timeline`: when mails were accepted and when others ended, in figures and in a chart."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import typer
from answering import answer
from hypothesis import given
from hypothesis import strategies as st
from newsroom import Newsroom
from typer.testing import CliRunner, Result

from newsletter.cli.timeline import lines_of, timeline
from newsletter.domain.replies import Verdict
from newsletter.errors import NotFoundError
from newsletter.services.edition_desk import Span

NOON = datetime(2026, 3, 16, 12, tzinfo=UTC)
BISHKEK = ZoneInfo("Asia/Bishkek")


@pytest.fixture(params=["sqlite"])
def database(request):
    """Faces are the same on both databases, services are tested on both."""
    return request.getfixturevalue(f"{request.param}_database")


def run(newsroom: Newsroom, *words: str) -> Result:
    command = typer.Typer()
    command.command()(timeline)
    return CliRunner(env={"COLUMNS": "80"}).invoke(command, words, obj=lambda: newsroom.app)


@pytest.mark.slow
def test_an_editions_mails_are_told_over_time(app):
    newsroom = Newsroom(app)
    newsroom.subscribe("ann", "bek", "cai")
    newsroom.publish("A story")
    edition_id = str(newsroom.fan_out())
    before = run(newsroom, edition_id).stdout
    answer(newsroom, Verdict.RECIPIENT_FAILED)
    [span] = json.loads(run(newsroom, edition_id, "--json").stdout)

    assert "No mail of it has come to an end." in before
    assert (1, 2, 1) == (span["seconds"], span["accepted"], span["failed"])
    assert "2  + 1 not accepted" in run(newsroom, edition_id).stdout
    assert isinstance(run(newsroom, "4711").exception, NotFoundError)


def test_the_chart_is_in_the_newsrooms_zone_and_the_least_is_seen():
    spans = [Span(NOON, 60, 400, 0), Span(NOON + timedelta(minutes=2), 60, 1, 1)]
    told = [line.plain for line in lines_of(spans, BISHKEK, width=40)]

    assert ["2026-03-16, Asia/Bishkek; a line stands for 1 min", "18:00:00  █████████  400"] == told[:2]
    assert "18:02:00  █▒         1  + 1 not accepted" == told[2]


def test_spans_of_several_days_say_which():
    spans = [Span(NOON, 86_400, 3, 0), Span(NOON + timedelta(days=1), 86_400, 3, 0)]

    assert ["03-16 18:00", "03-17 18:00"] == [line.plain[:11] for line in lines_of(spans, BISHKEK, width=80)[1:]]
    assert "a line stands for 1 d" in lines_of(spans, BISHKEK, width=80)[0].plain


MAILS = st.integers(0, 10**7)


@given(st.lists(st.tuples(MAILS, MAILS).filter(any), min_size=1, max_size=9), st.integers(50, 200))
def test_no_line_is_longer_than_the_terminal(ends, width):
    spans = [Span(NOON + timedelta(minutes=n), 60, *each) for n, each in enumerate(ends)]

    assert width >= max(len(line.plain) for line in lines_of(spans, BISHKEK, width=width)[1:])
