"""`newsletter feeds`: what staff see of feeds, and how they build them anew."""

import json
from dataclasses import replace

import pytest
from feed_newsroom import Newsroom
from typer.testing import CliRunner, Result

from newsletter.cli.feeds import app as feeds
from newsletter.domain.websub import HubRequest, Mode
from newsletter.errors import NotFoundError, PermanentError
from newsletter.services import feed_building
from newsletter.storage.websub import add_request, claim_requests, save_follower


@pytest.fixture(params=["sqlite"])
def database(request):
    return request.getfixturevalue(f"{request.param}_database")


@pytest.fixture
def newsroom(app) -> Newsroom:
    made = Newsroom(replace(app, settings=app.settings.model_copy(update={"languages": ("en",)})))
    made.publish(1, topics=("water",))
    return made


def run(newsroom: Newsroom, *words: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(feeds, words, obj=lambda: newsroom.app)


def test_without_feeds_the_next_command_is_named(newsroom):
    result = run(newsroom, "list")

    assert 0 == result.exit_code
    assert "newsletter feeds rebuild" in result.output
    assert [] == json.loads(run(newsroom, "list", "--json").stdout)


def test_feeds_are_listed_with_what_is_served(newsroom):
    newsroom.rebuild()
    listed = {each["slug"]: each for each in json.loads(run(newsroom, "list", "--json").stdout)}
    table = run(newsroom, "list").stdout

    assert 11 == len(listed)
    assert {
        "slug": "topic-water-en",
        "title": "Example Newsroom: Water",
        "facet": "topic",
        "subject": "water",
        "language": "en",
        "addresses": {
            form: f"https://news.example.org/feeds/topic-water-en.{form}" for form in ("atom", "rss", "json")
        },
        "entries": 1,
        "size": listed["topic-water-en"]["size"],
        "changed_at": "2026-03-16T02:00:00+00:00",
        "rebuilt_at": "2026-03-16T02:00:00+00:00",
        "state": "current",
    } == listed["topic-water-en"]
    assert [] == [slug for slug in listed if slug not in table]


def test_a_feed_that_waits_says_so(newsroom):
    newsroom.rebuild()
    settings = newsroom.app.settings.model_copy(update={"name": "Renamed"})
    newsroom.app = replace(newsroom.app, settings=settings)

    assert {"to be built"} == {each["state"] for each in json.loads(run(newsroom, "list", "--json").stdout)}


def test_all_feeds_are_built_anew_and_what_is_the_same_stays(newsroom):
    first = json.loads(run(newsroom, "rebuild", "--json").stdout)
    second = json.loads(run(newsroom, "rebuild", "--json").stdout)

    assert 11 == len(first) == len(second)
    assert {3, 4} == {len(each["changed"]) for each in first}, "those that may have events have a calendar"
    assert {0} == {len(each["changed"]) for each in second}


def test_named_feeds_are_built_alone(newsroom):
    built = json.loads(run(newsroom, "rebuild", "all-en", "topic-water-en", "--json").stdout)

    assert ["all-en", "topic-water-en"] == [each["slug"] for each in built]
    assert "built" in run(newsroom, "rebuild", "all-en").stdout


def test_an_unknown_feed_is_refused(newsroom):
    assert isinstance(run(newsroom, "rebuild", "all-xx").exception, NotFoundError)


def test_a_feed_that_fails_is_named_and_the_command_fails(newsroom, monkeypatch):
    write = feed_building.write_documents

    def failing(head, fitted):
        if head.slug == "topic-water-en":
            raise ZeroDivisionError("broken")
        return write(head, fitted)

    monkeypatch.setattr(feed_building, "write_documents", failing)
    result = run(newsroom, "rebuild")
    listed = {each["slug"]: each["state"] for each in json.loads(run(newsroom, "list", "--json").stdout)}

    assert isinstance(result.exception, PermanentError)
    assert "1 of 11 feeds keep their last documents: topic-water-en: ZeroDivisionError: broken" == str(result.exception)
    assert "failed: ZeroDivisionError: broken" == listed["topic-water-en"]
    assert "current" == listed["all-en"]


@pytest.mark.parametrize("command", ["list", "rebuild"])
def test_help_teaches_by_example(newsroom, command):
    assert f"Example:  newsletter feeds {command}" in run(newsroom, command, "--help").stdout


@pytest.mark.slow
def test_a_feed_is_closed_moved_and_opened_again(newsroom):
    newsroom.rebuild()
    assert "topic-water-en is closed." in run(newsroom, "close", "topic-water-en").stdout
    assert "sent to all-en" in run(newsroom, "close", "kind-video-en", "--moved-to", "all-en").stdout
    listed = {each["slug"] for each in json.loads(run(newsroom, "list", "--json").stdout)}
    assert not {"topic-water-en", "kind-video-en"} & listed

    run(newsroom, "open", "topic-water-en")
    newsroom.rebuild()
    assert "topic-water-en" in {each["slug"] for each in json.loads(run(newsroom, "list", "--json").stdout)}


@pytest.mark.parametrize(
    "words", [("close", "no-such"), ("close", "all-en", "--moved-to", "no-such"), ("open", "all-en")]
)
def test_what_is_not_there_is_neither_closed_nor_opened(newsroom, words):
    newsroom.rebuild()

    assert isinstance(run(newsroom, *words).exception, NotFoundError)


def test_who_follows_is_listed(newsroom):
    assert "Nobody follows" in run(newsroom, "followers").stdout
    assert [] == json.loads(run(newsroom, "followers", "--json").stdout)
    request = HubRequest(
        Mode.SUBSCRIBE, "https://news.example.org/feeds/all-en.atom", "https://reader.example.org/hook"
    )
    with newsroom.app.transaction() as tx:
        add_request(tx.session, "all-en.atom", request, None, now=tx.now)
        (pending,) = claim_requests(tx.session, now=tx.now, until=tx.now, limit=1)
        save_follower(tx.session, pending, lease_until=tx.now, now=tx.now)

    assert "https://reader.example.org/hook" in run(newsroom, "followers").stdout
    assert ["all-en.atom"] == [each["topic"][-11:] for each in json.loads(run(newsroom, "followers", "--json").stdout)]
