import json
import shlex

import pytest
from typer.testing import CliRunner, Result

from newsletter.cli.lists import app as lists
from newsletter.errors import InvalidError, NotFoundError
from newsletter.services.context import App


def run(app: App, *words: str) -> Result:
    return CliRunner().invoke(lists, words, obj=lambda: app)


def facts(app: App, *words: str) -> object:
    result = run(app, *words, "--json")
    assert 0 == result.exit_code, result.output
    return json.loads(result.stdout)


ADD = shlex.split(
    "add weekly --title Week --title ru=Неделя --cadence weekly --cadence daily --at 07:30 --weekday fri "
    "--month-day 31 --zone Europe/Madrid --language en --language ru --kind story --kind event "
    "--article-language ru --review 60 --since 2024-08-01T00:00:00+06:00 --sections kind "
    "--in-doubt resend_once --hidden"
)


def test_every_option_of_a_list_is_kept(app):
    added = facts(app, *ADD, "--from", "Press office <press@example.org>", "--description", "All of it")
    expected = {
        "slug": "weekly",
        "titles": {"en": "Week", "ru": "Неделя"},
        "descriptions": {"en": "All of it"},
        "from_name": "Press office",
        "from_address": "press@example.org",
        "schedule": {"zone": "Europe/Madrid", "send_at": "07:30", "weekday": 4, "month_day": 31},
        "cadences": ["daily", "weekly"],
        "languages": ["en", "ru"],
        "filter": {"topics": [], "kinds": ["event", "story"], "sources": [], "languages": ["ru"]},
        "sections": "kind",
        "review_minutes": 60,
        "in_doubt_policy": "resend_once",
        "since": "2024-07-31T18:00:00+00:00",
        "is_public": False,
        "readers": 0,
    }

    assert expected == {name: added[name] for name in expected}
    assert [added] == facts(app, "list")
    assert added == facts(app, "show", "weekly")


def test_a_list_is_shown_for_people(app):
    shown = run(app, "add", "weekly", "--title", "The week").stdout

    assert "The week" in shown
    assert "08:00 Asia/Bishkek, weekly on monday" in shown
    assert "newsletter subscribers import" in shown
    assert "The week" in run(app, "list").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--at", "8am"], "write it like 08:00"),
        (["--weekday", "montag"], "write monday, tuesday"),
        (["--since", "2024-08-01"], "has no zone"),
        (["--since", "yesterday"], "is no time"),
        (["--title", "Other"], "given twice"),
        (["--cadence", "hourly"], "'hourly' is not one of"),
        (["--no-such-option"], "No such option"),
    ],
)
def test_wrong_use_exits_with_two_and_says_how_to(app, words, said):
    result = run(app, "add", "weekly", "--title", "Week", *words)

    assert 2 == result.exit_code
    assert said in " ".join(result.stderr.replace("│", " ").split())


def test_what_the_service_refuses_is_passed_on(app):
    assert isinstance(run(app, "add", "weekly", "--title", "W", "--topic", "sdg-99").exception, InvalidError)
    assert isinstance(run(app, "show", "weekly").exception, NotFoundError)


def test_help_teaches_by_example(app):
    assert "Example:" in run(app, "add", "--help").stdout
