"""`newsletter editions resend`: says who would get a failed mail again and who would not, asks, and sends."""

import json
import re
from dataclasses import replace
from functools import partial

import pytest
import typer
from answering import answer
from newsroom import Newsroom
from typer.testing import CliRunner, Result

from newsletter.cli import deliveries, editions
from newsletter.cli.resending import resend
from newsletter.dispatch import InProcessDispatcher
from newsletter.domain.editions import EditionState
from newsletter.domain.replies import Verdict
from newsletter.doorbells import HANDLERS
from newsletter.errors import NewsletterError
from newsletter.services.editions import finish_editions
from newsletter.services.stops import pause_sending
from newsletter.services.suppressions import suppress_address


@pytest.fixture(params=["sqlite"])
def database(request):
    """Faces are the same on both databases, services are tested on both."""
    return request.getfixturevalue(f"{request.param}_database")


@pytest.fixture
def newsroom(app) -> Newsroom:
    """A newsroom whose edition 1 to four readers is done: the mails to three of them failed."""
    newsroom = Newsroom(replace(app, dispatcher=InProcessDispatcher()))
    newsroom.subscribe("ann", "bek", "cai", "dan")
    newsroom.publish("A story")
    assert 1 == newsroom.fan_out()
    answer(newsroom, *[Verdict.RECIPIENT_FAILED] * 3)
    assert [1] == finish_editions(newsroom.app)
    return newsroom


def run(newsroom: Newsroom, *words: str, answers: str = "", columns: int = 100) -> Result:
    command = typer.Typer()
    command.command()(resend)
    app = newsroom.app
    app.dispatcher.handlers = {doorbell: partial(handler, app) for doorbell, handler in HANDLERS.items()}
    runner = CliRunner(env={"COLUMNS": str(columns)})
    return runner.invoke(command, ["1", *words], obj=lambda: app, input=answers)


def said(result: Result) -> str:
    assert 0 == result.exit_code, (result.output, result.exception)
    return re.sub(r"\s+", " ", result.output)


def test_a_dry_run_says_who_goes_again_who_does_not_and_what_to_do_about_them(newsroom):
    suppress_address(newsroom.app, "ann@readers.example")
    told = said(run(newsroom, "--dry-run"))

    assert "2 other refused 550 goes again" in told
    assert "1 other refused 550 suppressed" in told
    assert "2 of 3 failed mails can go again." in told
    assert "newsletter subscribers release ADDRESS" in told
    assert EditionState.DONE is newsroom.state(1)


@pytest.mark.slow
def test_a_mails_story_says_what_can_be_done_and_then_what_was(newsroom):
    def story() -> str:
        found = CliRunner(env={"COLUMNS": "100"}).invoke(
            deliveries.app, ["show", "ann@readers.example"], obj=lambda: newsroom.app
        )
        return said(found)

    before = story()
    with newsroom.relay():
        said(run(newsroom, "--why", "their server is back", "--yes"))
    after = story()

    assert "newsletter editions resend 1 --dry-run" in before
    assert re.search(r"1\. .* 550 .* sent again by the service: their server is back 2\. .* accepted", after)
    assert "sent again 1 times" in after
    assert "resend 1 --dry-run" not in after


@pytest.mark.slow
@pytest.mark.parametrize("command", ["show", "status"])
def test_an_edition_with_failures_points_to_it_and_one_without_does_not(newsroom, command):
    def told() -> str:
        return said(CliRunner(env={"COLUMNS": "120"}).invoke(editions.app, [command, "1"], obj=lambda: newsroom.app))

    before = told()
    with newsroom.relay():
        said(run(newsroom, "--why", "their server is back", "--yes"))

    assert "newsletter editions resend 1 --dry-run" in before
    assert "resend" not in told()


def test_without_a_reason_it_is_wrong_use(newsroom):
    result = run(newsroom, "--yes")

    assert 2 == result.exit_code
    assert "--why" in result.output


@pytest.mark.slow
def test_a_no_changes_nothing_and_a_yes_sends(newsroom):
    with newsroom.relay():
        assert 1 == run(newsroom, "--why", "mended", answers="n\n").exit_code
        assert {} == newsroom.mails()
        told = said(run(newsroom, "--why", "mended", answers="y\n"))

        assert {"ann": 1, "bek": 1, "cai": 1} == {name: len(mails) for name, mails in newsroom.mails().items()}
    assert "Send them again? Mails: 3" in told
    assert "Queued again: 3. Edition 1 is done." in told
    assert "Nothing of it failed." in said(run(newsroom, "--why", "again"))


@pytest.mark.slow
def test_it_says_what_holds_them_back(newsroom):
    """And how to follow them."""
    pause_sending(newsroom.app, reason="a drill")
    told = said(run(newsroom, "--why", "mended", "--yes"))

    assert "Queued again: 3. Edition 1 is sending." in told
    assert "a drill. Next: newsletter sending resume" in told
    assert "newsletter editions status 1 --watch" in told


@pytest.mark.slow
def test_what_it_prints_for_scripts_is_the_plan_and_what_was_done(newsroom):
    """And it asks nothing only where it was told so."""
    assert isinstance(run(newsroom, "--why", "mended", "--json").exception, NewsletterError)
    dry = json.loads(run(newsroom, "--dry-run", "--json", "--provider", "other").stdout)
    assert (3, 3, 0, "other") == (dry["failed"], dry["sendable"], dry["queued"], dry["choice"]["provider"])
    with newsroom.relay():
        done = json.loads(run(newsroom, "--why", "mended", "--yes", "--json").stdout)

    assert (3, 3, 3, {}) == (done["failed"], done["sendable"], done["queued"], done["away"])
    assert ["refused"] == [each["cause"] for each in done["alike"]]


@pytest.mark.parametrize("words", [("--code", "250"), ("--provider", "gmial")])
def test_a_choice_that_is_none_is_refused(newsroom, words):
    assert isinstance(run(newsroom, "--dry-run", *words).exception, NewsletterError)


@pytest.mark.slow
def test_it_fits_a_narrow_terminal(newsroom):
    for line in run(newsroom, "--dry-run", columns=60).output.splitlines():
        assert 60 >= len(line), line
