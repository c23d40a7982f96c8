"""What `export_everything` writes is read back by the imports of a new home, and is for its owner's eyes only."""

import csv
import json
import shlex
import stat
from dataclasses import replace
from datetime import timedelta

import pytest
from newsroom import Newsroom
from typer.testing import CliRunner

from newsletter.cli.lists import app as lists_cli
from newsletter.domain.limits import Limit
from newsletter.domain.subscriptions import EndReason
from newsletter.domain.suppressions import SuppressionReason
from newsletter.errors import InvalidError
from newsletter.ingest.foreign_subscribers import Tool, read_foreign_file
from newsletter.ingest.subscriber_csv import read_subscriber_file
from newsletter.services import exports as service
from newsletter.services.api import add_api_client
from newsletter.services.article_imports import ImportResult, import_files
from newsletter.services.articles import withdraw_article
from newsletter.services.audit import list_acts
from newsletter.services.context import App
from newsletter.services.exports import export_everything
from newsletter.services.limits import set_limit
from newsletter.services.lists import show_list
from newsletter.services.private_feeds import renew
from newsletter.services.sources import add_source
from newsletter.services.staff import Role, add_account
from newsletter.services.subscriber_moves import move_in
from newsletter.services.subscribers import erase_subscriber, export_subscriber
from newsletter.services.suppressions import suppress_address
from newsletter.services.topics import list_topics, load_topic_file
from newsletter.storage import subscriptions
from newsletter.storage.engine import connect
from newsletter.storage.migrate import upgrade


@pytest.fixture
def newsroom(app: App) -> Newsroom:
    """A newsroom with a little of everything, and an edition that went out."""
    newsroom = Newsroom(app)
    newsroom.add_topics("nature", "water < nature")
    newsroom.publish("Clean water", ru="Чистая вода", topics=["water"], html="<h2>Wells</h2><p>Ten, <b>deep</b>.</p>",
                     paragraphs=None, image={"url": "https://example.org/well.jpg", "alt": "A well"})  # fmt: skip
    newsroom.publish("A fair", kind="event", event={"starts_at": "2026-04-01T10:00", "zone": "Asia/Bishkek",
                                                     "venue": "The hall"})  # fmt: skip
    withdrawn = newsroom.publish("Not so")
    withdraw_article(newsroom.app, withdrawn, reason="the figures were wrong")
    newsroom.add_list("daily", cadences=["daily"], intros={"en": 'It\'s "news"'}, canary="1%", is_public=False)
    newsroom.subscribe("ann", language="ru", topics=("water",))
    newsroom.subscribe("bek", "eva", "gone", "bad", "loud")
    with newsroom.app.transaction() as tx:
        subscriptions.end_subscription(tx.session, newsroom.subscription("eva").id, EndReason.UNSUBSCRIBED, now=tx.now)
    suppress_address(newsroom.app, "bad@readers.example", SuppressionReason.HARD_BOUNCE)
    suppress_address(newsroom.app, "loud@readers.example", SuppressionReason.COMPLAINT)
    suppress_address(newsroom.app, "unknown@readers.example", SuppressionReason.MANUAL)
    erase_subscriber(newsroom.app, "gone@readers.example")
    newsroom.deliver(newsroom.fan_out())
    return newsroom


@pytest.fixture
def elsewhere(newsroom, tmp_path):
    """Another installation, with nothing in it."""
    home = tmp_path / "elsewhere"
    home.mkdir()
    settings = replace_settings(newsroom.app, home)
    database = connect(settings.database)
    upgrade(database)
    yield replace(newsroom.app, settings=settings, database=database)
    database.dispose()


def replace_settings(app: App, home):
    return app.settings.model_copy(update={"home": home, "database_url": "", "secret_key": "another " * 8})


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_everything_is_read_back_in_a_new_home(newsroom, elsewhere, tmp_path):
    """Articles with their languages and events, topics, lists, people as they stand: each by its own import."""
    folder = tmp_path / "out"
    export_everything(newsroom.app, folder)

    load_topic_file(elsewhere, folder / "topics-1.json")
    outcomes = import_files(elsewhere, [folder / "articles-1.json"])
    for each in json.loads((folder / "lists.json").read_text()):
        words = shlex.split(each["added_by"])[2:]
        told = CliRunner().invoke(lists_cli, words, obj=lambda: elsewhere)
        assert 0 == told.exit_code, told.output
    people = folder / "subscribers-weekly-1.csv"
    foreign = read_foreign_file(people.read_bytes(), name=people.name)
    assert foreign is not None
    report = move_in(elsewhere, "weekly", foreign, name=people.name, basis="brought over from the old home")

    assert {ImportResult.NEW} == {each.result for each in outcomes}
    assert Tool.OURS is foreign.tool
    assert (2, 1, 2, []) == (report.added, report.left, report.suppressed, report.refusals)
    with newsroom.app.reading() as before, elsewhere.reading() as after:
        assert [(each.slug, each.labels) for each in list_topics(before)] == [
            (each.slug, each.labels) for each in list_topics(after)
        ]
    for slug in ("weekly", "daily"):
        was, now = (show_list(each, slug).mailing_list for each in (newsroom.app, elsewhere))
        assert replace(was, id=0, filter_id=0) == replace(now, id=0, filter_id=0)
    ann, then = (export_subscriber(each, "ann@readers.example") for each in (elsewhere, newsroom.app))
    assert ("ru", ("water",)) == (ann.subscriptions[0].language, ann.subscriptions[0].filter.topics)
    assert then.subscriptions[0].confirmed_at == ann.subscriptions[0].confirmed_at
    assert "agreed there by: signed up on paper" in ann.subscriptions[0].consent[0].evidence

    again = tmp_path / "again"
    export_everything(elsewhere, again)
    assert told_articles(folder) == told_articles(again)
    stands = [{row["address"]: row["standing"] for row in rows_of(each / people.name)} for each in (folder, again)]
    assert {"ann": "active", "bek": "active", "eva": "left", "bad": "bounced", "loud": "complained"} == {
        address.partition("@")[0]: standing for address, standing in stands[0].items()
    }
    assert {"ann": "active", "bek": "active", "eva": "left"} == {
        address.partition("@")[0]: standing for address, standing in stands[1].items()
    }, "who must not be mailed is not even known there, but for the hash"


def told_articles(folder):
    """Return what articles say, but for the names under which they go by in each home."""
    articles = json.loads((folder / "articles-1.json").read_text())["articles"]
    return {each["title"]: {name: value for name, value in each.items() if name != "id"} for each in articles}


@pytest.mark.slow
def test_what_was_withdrawn_suppressed_sent_and_done_is_told_beside(newsroom, tmp_path):
    folder = tmp_path / "out"
    report = export_everything(newsroom.app, folder)
    [withdrawn] = json.loads((folder / "articles-withdrawn.json").read_text())["withdrawn"]
    [edition] = [each for each in json.loads((folder / "editions.json").read_text()) if each["state"] == "done"]
    hashes = rows_of(folder / "suppressions.csv")
    consents = rows_of(folder / "consents.csv")

    assert ("Not so", "the figures were wrong") == (withdrawn["title"], withdrawn["withdrawal_reason"])
    assert ("done", {"accepted": 2}, 2) == (edition["state"], edition["mails"], len(edition["articles"]))
    assert ["hard_bounce", "complaint", "manual"] == [each["reason"] for each in hashes]
    assert all(len(each["address_hmac"]) == 64 for each in hashes)
    assert {"", "ann@readers.example"} <= {each["address"] for each in consents}, "an erased person's line has no name"
    assert "gone@" not in "".join(path.read_text() for path in folder.iterdir())
    assert "exported" == list_acts(newsroom.app, limit=1)[0].act
    assert report.counts == json.loads((folder / "manifest.json").read_text())["counts"]


@pytest.mark.slow
def test_what_the_newsroom_set_up_goes_along_without_its_secrets(newsroom, tmp_path):
    poll = add_source(
        newsroom.app, "https://press.example.org/feed", name="The Press", every_minutes=90, topics=["water"]
    )
    password = add_account(newsroom.app, "aida@example.org", Role.OPERATOR).password
    token = add_api_client(newsroom.app, "City CMS").token
    set_limit(newsroom.app, Limit("gmail", 5.0, None, None))
    feed = renew(newsroom.app, newsroom.subscription("ann").uid)
    folder = tmp_path / "out"
    report = export_everything(newsroom.app, folder)
    read = {name: json.loads((folder / f"{name}.json").read_text()) for name in ("sources", "accounts", "api-clients")}
    [source] = [each for each in read["sources"] if "url" in each]

    assert ("the-press", poll.url, 90) == (source["slug"], source["url"], source["every_minutes"])
    assert [("aida@example.org", "operator")] == [(each["email"], each["role"]) for each in read["accounts"]]
    assert ["City CMS"] == [each["name"] for each in read["api-clients"]]
    assert [("gmail", 5.0)] == [
        (each["name"], each["rate"]) for each in json.loads((folder / "limits.json").read_text())
    ]
    assert [("ann@readers.example", "weekly", "")] == [
        (each["address"], each["list"], each["revoked_at"]) for each in rows_of(folder / "private-feeds.csv")
    ]
    assert (1, 1, 1) == tuple(report.counts[name] for name in ("accounts", "API clients", "private feeds"))
    everything = "".join(path.read_text() for path in folder.iterdir())
    assert not [
        each
        for each in (password, token, next(iter(feed.values())).rpartition("/")[2].partition(".")[0])
        if each in everything
    ]

    words = shlex.split(source["added_by"])[2:]
    assert ["add", poll.url, "--kind", "story", "--name", "The Press", "--topic", "water", "--every", "90"] == words


@pytest.mark.slow
def test_only_its_owner_may_read_it(newsroom, tmp_path):
    folder = tmp_path / "out"
    export_everything(newsroom.app, folder)

    assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def test_a_folder_with_something_in_it_is_left_alone(newsroom, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")

    with pytest.raises(InvalidError, match="is not empty"):
        export_everything(newsroom.app, tmp_path)
    with pytest.raises(InvalidError, match="cannot be written"):
        export_everything(newsroom.app, tmp_path / "mine.txt" / "out")


@pytest.mark.slow
def test_large_homes_are_written_in_pages_and_files_that_imports_take(newsroom, tmp_path, monkeypatch):
    """No page and no file is larger than its bound, and nothing is left out between them."""
    newsroom.subscribe(*(f"reader{number}" for number in range(5)))
    for number in range(4):
        newsroom.publish(f"Story {number}")
    monkeypatch.setattr(service, "PAGE", 2)
    monkeypatch.setattr(service, "MOST_ROWS", 3)
    monkeypatch.setattr(service, "LARGEST_ARTICLES", 500)
    folder = tmp_path / "out"
    report = export_everything(newsroom.app, folder)
    people = [rows_of(path) for path in sorted(folder.glob("subscribers-weekly-*.csv"))]
    articles = [json.loads(path.read_text())["articles"] for path in sorted(folder.glob("articles-[0-9]*.json"))]

    assert 10 == len({row["address"] for each in people for row in each}) == sum(map(len, people))
    assert 3 == max(map(len, people))
    assert (6, 6) == (sum(map(len, articles)), report.counts["articles"])
    assert len(articles) > 2


@pytest.mark.slow
def test_a_pause_goes_along(newsroom, elsewhere):
    until = (newsroom.clock.now + timedelta(days=9)).isoformat()
    text = f"address,standing,since,paused_until\nkim@readers.example,active,2024-01-02T03:04:05+00:00,{until}\n"
    foreign = read_foreign_file(text.encode(), name="people.csv")
    assert foreign is not None
    Newsroom(elsewhere)
    move_in(elsewhere, "weekly", foreign, name="people.csv", basis="brought over from the old home")
    after = elsewhere.clock()
    home = Newsroom.__new__(Newsroom)
    home.app = elsewhere

    pause = home.subscription("kim").pause
    assert pause is not None
    assert (until, None) == (pause.until.isoformat(), pause.resumed_at)
    assert pause.since <= after


def test_an_unknown_standing_is_refused_with_its_line():
    with pytest.raises(InvalidError, match="line 2: standing: 'maybe'"):
        read_foreign_file(b"address,standing,since\na@example.org,maybe,\n", name="people.csv")


def test_a_plain_file_is_still_a_plain_file():
    assert read_foreign_file(b"address,language\na@example.org,en\n", name="readers.csv") is None
    assert read_subscriber_file(b"address,language\na@example.org,en\n", name="readers.csv").has_header
