"""Feeds that somebody put together: one address each, made when asked for, dropped and made again as they were."""

import json
import time
from dataclasses import replace
from datetime import timedelta

import icalendar
import pytest
from feed_newsroom import Newsroom, an_event
from feed_reader import Reader
from feed_rules import wrong_in_atom, wrong_in_json_feed, wrong_in_rss
from lxml import etree
from starlette.applications import Starlette

from newsletter.domain.articles import Kind
from newsletter.domain.feeds import Facet
from newsletter.services import feed_requests
from newsletter.services.feeds import close_feed, open_feed
from newsletter.storage.feeds import count_feeds, load_feeds
from newsletter.web import rates
from newsletter.web.feeds import routes

BASE = "https://news.example.org/feeds"


@pytest.fixture(params=["sqlite"])
def database(request):
    return request.getfixturevalue(f"{request.param}_database")


@pytest.fixture
def newsroom(app, preparations) -> Newsroom:
    published = (
        {"topics": ("water",), "languages": "en ru"},
        {"topics": ("health",), "kind": Kind.SPEECH},
        {"topics": ("health",), "languages": "en ru"},
    )
    return Newsroom.prepared(app, preparations, *published, languages="en ru")


@pytest.fixture
def client(newsroom) -> Reader:
    return Reader(Starlette(routes=routes(newsroom.app)))


def titles(response) -> list[str]:
    return [item["title"] for item in response.json()["items"]]


@pytest.mark.parametrize(
    ("asked", "address"),
    [
        ("custom?topic=health&kind=story", "custom.atom?topic=health&kind=story&lang=en"),
        ("custom?lang=RU&kind=story&topic=health", "custom.atom?topic=health&kind=story&lang=ru"),
        (
            "custom.rss?topic=water&topic=health&topic=water&lang=en&utm_source=x",
            "custom.rss?topic=health&topic=water&lang=en",
        ),
        ("custom.json?kind=press_release&topic=health&lang=en", "custom.json?topic=health&kind=press-release&lang=en"),
        ("custom.atom?topic=health&lang=en", "topic-health-en.atom"),
        ("custom?topic=health", "topic-health-en.atom"),
        ("custom?kind=press_release&lang=ru", "kind-press-release-ru.atom"),
        ("custom?list=weekly", "list-weekly-en.atom"),
        ("custom.ics", "all-en.ics"),
        ("custom.atom?topic=climate&topic=water&kind=story&lang=en", "custom.atom?topic=climate&kind=story&lang=en"),
        ("custom.atom?topic=climate&topic=water&lang=en", "topic-climate-en.atom"),
    ],
)
def test_each_combination_has_one_address(client, asked, address):
    """Whatever else says it leads there by one redirect, and where a named feed says the same, to that."""
    response = client.get(f"/feeds/{asked}")

    assert (301, f"{BASE}/{address}") == (response.status_code, response.headers["location"])
    assert 200 == client.get(f"/feeds/{address}").status_code, "there is no second redirect"


@pytest.mark.slow
def test_a_combination_holds_what_all_its_facets_choose(client):
    both = client.get("/feeds/custom.json?topic=health&topic=water&lang=en")
    speeches = client.get("/feeds/custom.json?topic=health&kind=speech&lang=en")
    russian = client.get("/feeds/custom.json?topic=health&kind=story&lang=ru")
    within = client.get("/feeds/custom.json?kind=story&list=weekly&lang=en")

    assert ["Story 3 (en)", "Story 2 (en)", "Story 1 (en)"] == titles(both)
    assert ["Story 2 (en)"] == titles(speeches)
    assert ["Story 3 (ru)"] == titles(russian)
    assert ["Story 3 (en)"] == titles(within), "the list is of health alone"
    assert "Example Newsroom: Health · Speeches" == speeches.json()["title"]


def test_a_combination_keeps_all_rules(client):
    query = "topic=health&topic=water&kind=story&lang=en"
    documents = {form: client.get(f"/feeds/custom.{form}?{query}") for form in ("atom", "rss", "json")}
    atom = etree.fromstring(documents["atom"].content)
    links = {(each.get("rel"), each.get("hreflang")): each.get("href") for each in atom.findall("{*}link")}

    assert [] == wrong_in_atom(documents["atom"].content)
    assert [] == wrong_in_rss(documents["rss"].content)
    assert [] == wrong_in_json_feed(documents["json"].content)
    assert f"{BASE}/custom.atom?{query}" == links["self", None]
    assert f"{BASE}/custom.atom?topic=health&topic=water&kind=story&lang=ru" == links["alternate", "ru"]
    assert f"https://news.example.org/feeds?{query}" == links["alternate", "en"]
    assert f'<{BASE}/hub>; rel="hub", <{BASE}/custom.atom?{query}>; rel="self"' == documents["atom"].headers["link"]
    assert (
        "public, max-age=300, stale-while-revalidate=60, stale-if-error=86400"
        == (documents["rss"].headers["cache-control"])
    )


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("topic=unknown&topic=water&lang=en", 404, "no topic 'unknown'"),
        ("topic=water&kind=poem&lang=en", 404, "no kind 'poem'"),
        ("topic=water&source=nobody&lang=en", 404, "no source 'nobody'"),
        ("topic=water&list=hidden&lang=en", 404, "no list 'hidden'"),
        ("topic=water&kind=story&lang=fr", 404, "no language 'fr'"),
        ("&".join(f"topic=t{n}" for n in range(30)), 400, "too many choices"),
        ("topic=water&lang=en&lang=ru", 400, "one language"),
        (f"topic={'a' * 5000}", 400, "too long"),
    ],
)
def test_what_cannot_be_is_said_in_words(client, query, status, words):
    response = client.get(f"/feeds/custom.atom?{query}")

    assert status == response.status_code
    assert words in response.text


@pytest.mark.slow
def test_a_combination_follows_its_articles(client, newsroom):
    address = "/feeds/custom.json?topic=health&kind=story&lang=en"
    before = client.get(address)
    newsroom.later(hours=1).publish(4, topics=("health",))
    newsroom.rebuild()
    after = Reader(Starlette(routes=routes(newsroom.app))).get(address, {"If-None-Match": before.headers["etag"]})

    assert 200 == after.status_code
    assert ["Story 4 (en)", "Story 3 (en)"] == titles(after)


@pytest.mark.slow
def test_a_combination_that_nobody_asks_for_is_dropped_and_comes_back_as_it_was(newsroom):
    """Its address says all of it: a reader who comes after a month of holidays finds the feed that they left."""
    address = "/feeds/custom.atom?topic=health&kind=story&lang=en"
    before = Reader(Starlette(routes=routes(newsroom.app))).get(address)
    newsroom.later(days=8).rebuild()
    with newsroom.app.reading() as tx:
        assert 0 == count_feeds(tx.session, Facet.CUSTOM)
    after = Reader(Starlette(routes=routes(newsroom.app))).get(address)

    assert before.content == after.content
    assert before.headers["etag"] == after.headers["etag"]
    assert before.headers["last-modified"] < after.headers["last-modified"]
    assert (
        304
        == Reader(Starlette(routes=routes(newsroom.app)))
        .get(address, {"If-None-Match": before.headers["etag"]})
        .status_code
    )


@pytest.mark.slow
def test_a_combination_that_is_polled_stays(newsroom):
    address = "/feeds/custom.atom?topic=health&kind=story&lang=en"
    for _ in range(4):
        assert 200 == Reader(Starlette(routes=routes(newsroom.app))).get(address).status_code
        newsroom.later(days=5).rebuild()
    with newsroom.app.reading() as tx:
        assert 1 == count_feeds(tx.session, Facet.CUSTOM)


@pytest.mark.slow
def test_a_flood_of_combinations_displaces_none_that_is_polled(newsroom, monkeypatch):
    """Beyond the bound each is answered and none is kept, until one has not been asked for in a while."""
    monkeypatch.setitem(feed_requests.MOST_KEPT, Facet.CUSTOM, 2)
    client = Reader(Starlette(routes=routes(newsroom.app)))
    kinds = ("story", "speech", "video", "event")
    answers = [client.get(f"/feeds/custom.json?topic=health&kind={kind}&lang=en") for kind in kinds]
    again = client.get("/feeds/custom.json?topic=health&kind=event&lang=en")

    assert [200] * 4 == [each.status_code for each in answers]
    assert (answers[-1].content, answers[-1].headers["etag"]) == (again.content, again.headers["etag"])
    assert {"topic=health&kind=story&lang=en", "topic=health&kind=speech&lang=en"} == _kept(newsroom)

    newsroom.later(hours=3)
    client = Reader(Starlette(routes=routes(newsroom.app)))
    client.get("/feeds/custom.json?topic=health&kind=speech&lang=en")
    client.get("/feeds/custom.json?topic=health&kind=video&lang=en")
    assert {"topic=health&kind=video&lang=en", "topic=health&kind=speech&lang=en"} == _kept(newsroom)


def _kept(newsroom) -> set[str]:
    with newsroom.app.reading() as tx:
        return {feed.subject for feed in load_feeds(tx.session, (Facet.CUSTOM,))}


def test_only_so_many_are_made_at_once(client, monkeypatch):
    monkeypatch.setattr(feed_requests, "PATIENCE_SECONDS", 0.01)
    for _ in range(feed_requests.MAKERS):
        feed_requests._makers.acquire()
    try:
        response = client.get("/feeds/custom.atom?topic=health&kind=story&lang=en")
    finally:
        for _ in range(feed_requests.MAKERS):
            feed_requests._makers.release()

    assert (503, "5", "no-store") == (
        response.status_code, response.headers["retry-after"], response.headers["cache-control"]
    )  # fmt: skip


@pytest.mark.slow
def test_so_many_are_made_for_one_network_and_what_is_there_is_served_to_all(newsroom, monkeypatch):
    monkeypatch.setattr(rates, "MOST_ORDERS", 1)
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    client = Reader(Starlette(routes=routes(newsroom.app)))
    first, second = (f"/feeds/custom.json?topic=health&kind={kind}&lang=en" for kind in ("story", "speech"))
    made, refused, kept = (client.get(each) for each in (first, second, first))

    assert [200, 429, 200] == [each.status_code for each in (made, refused, kept)]
    assert ("60", "no-store") == (refused.headers["retry-after"], refused.headers["cache-control"])
    now += rates.MINUTE
    assert 200 == client.get(second).status_code


@pytest.mark.slow
def test_a_closed_feed_is_gone_and_a_moved_one_is_elsewhere(newsroom):
    close_feed(newsroom.app, "topic-water-en")
    close_feed(newsroom.app, "kind-video-en", moved_to="kind-story-en")
    close_feed(newsroom.app, "kind-story-en", moved_to="all-en")
    newsroom.rebuild()
    client = Reader(Starlette(routes=routes(newsroom.app)))
    gone, moved = client.get("/feeds/topic-water-en.rss"), client.get("/feeds/kind-video-en.json")

    assert 410 == gone.status_code
    assert "closed" in gone.text
    assert 410 == client.get("/feeds/topic-water.rss").status_code, "the short address leads nowhere else"
    assert (301, f"{BASE}/all-en.json") == (moved.status_code, moved.headers["location"]), "at once to the last place"
    assert b"topic-water-en" not in client.get("/feeds.opml").content
    assert b"topic-water-en" not in client.get("/feeds/topic-water-ru.atom").content, "siblings do not name it"

    open_feed(newsroom.app, "topic-water-en")
    newsroom.rebuild()
    assert 200 == client.get("/feeds/topic-water-en.rss").status_code


@pytest.mark.slow
def test_a_feed_whose_list_is_gone_is_gone(newsroom):
    settings = newsroom.app.settings.model_copy(update={"languages": ("en",)})
    newsroom.app = replace(newsroom.app, settings=settings)
    newsroom.rebuild()
    client = Reader(Starlette(routes=routes(newsroom.app)))

    assert 410 == client.get("/feeds/all-ru.atom").status_code
    newsroom.app = replace(newsroom.app, settings=settings.model_copy(update={"languages": ("en", "ru")}))
    newsroom.rebuild()
    assert 200 == Reader(Starlette(routes=routes(newsroom.app))).get("/feeds/all-ru.atom").status_code


@pytest.mark.slow
def test_months_have_archives_that_lead_from_one_to_the_next(newsroom):
    """RFC 5005, 4: whoever follows prev-archive from the feed finds every article once at least."""
    start = newsroom.app.clock()
    for number in range(10, 80):
        newsroom.publish(number, topics=("water",), published_at=start - timedelta(days=number))
    newsroom.rebuild()
    client = Reader(Starlette(routes=routes(newsroom.app)))
    feed = etree.fromstring(client.get("/feeds/topic-water-en.atom").content)
    found, address, seen = ids(feed), link(feed, "prev-archive"), []
    while address:
        response = client.get(address.removeprefix("https://news.example.org"))
        archive = etree.fromstring(response.content)
        found |= ids(archive)
        seen.append(address)

        assert [] == wrong_in_atom(response.content)
        assert archive.find("{http://purl.org/syndication/history/1.0}archive") is not None
        assert address == link(archive, "self")
        assert f"{BASE}/topic-water-en.atom" == link(archive, "current")
        assert feed.findtext("{*}id") == archive.findtext("{*}id")
        assert (seen[-2] if len(seen) > 1 else link(archive, "next-archive")) == link(archive, "next-archive")
        assert "public, max-age=86400, stale-if-error=604800" == response.headers["cache-control"]
        assert 304 == client.get(_path(address), {"If-None-Match": response.headers["etag"]}).status_code
        address = link(archive, "prev-archive")

    assert 71 == len(found)
    assert [f"{BASE}/archive/2026-01/topic-water-en.atom", f"{BASE}/archive/2025-12/topic-water-en.atom"] == seen[-2:]
    rss = client.get("/feeds/archive/2026-01/topic-water-en.rss")
    assert [] == wrong_in_rss(rss.content)
    assert b'rel="prev-archive"' in rss.content
    json_feed = client.get("/feeds/archive/2026-01/topic-water-en.json").json()
    assert f"{BASE}/archive/2025-12/topic-water-en.json" == json_feed["next_url"]


@pytest.mark.parametrize(
    "path", ["2026-03/all-en.atom", "2025-03/all-en.atom", "2026-13/all-en.atom", "2026-01/no.atom"]
)
def test_a_month_that_is_not_over_or_was_empty_has_no_archive(client, path):
    assert 404 == client.get(f"/feeds/archive/{path}").status_code


@pytest.mark.slow
def test_an_old_article_with_news_stands_in_the_feed_again(newsroom):
    """RFC 5005, 4.2: a change of an archived entry is repeated in the current document."""
    start = newsroom.app.clock()
    old = newsroom.publish(9, published_at=start - timedelta(days=300))
    for number in range(10, 70):
        newsroom.publish(number, published_at=start - timedelta(days=number))
    newsroom.rebuild()
    assert "Story 9 (en)" not in titles(Reader(Starlette(routes=routes(newsroom.app))).get("/feeds/all-en.json"))
    newsroom.later(hours=1).change(old, revision=2, updated_at=newsroom.app.clock())
    newsroom.rebuild()
    shown = titles(Reader(Starlette(routes=routes(newsroom.app))).get("/feeds/all-en.json"))

    assert "Story 9 (en)" == shown[-1]
    assert 51 == len(shown)


@pytest.mark.slow
def test_events_have_a_calendar_beside_their_feeds(newsroom):
    start = newsroom.app.clock() + timedelta(days=3)
    newsroom.publish(
        20, kind=Kind.EVENT, topics=("water",), event=an_event(start), title="Open day, free; all\nwelcome"
    )
    newsroom.publish(21, kind=Kind.EVENT, topics=("health",), event=replace(an_event(start), zone="Mars/Olympus"))
    newsroom.rebuild()
    client = Reader(Starlette(routes=routes(newsroom.app)))
    response = client.get("/feeds/topic-water-en.ics")
    (event,) = icalendar.Calendar.from_ical(response.content).walk("VEVENT")
    custom = client.get("/feeds/custom.ics?topic=health&topic=water&kind=event&lang=en")

    assert "text/calendar; charset=utf-8" == response.headers["content-type"]
    assert "Open day, free; all welcome" == str(event["summary"])
    assert start == event["dtstart"].dt
    assert 1 == custom.content.count(b"BEGIN:VEVENT"), "an event that cannot be written is left out"
    assert 304 == client.get("/feeds/topic-water-en.ics", {"If-None-Match": response.headers["etag"]}).status_code
    assert 404 == client.get("/feeds/kind-story-en.ics").status_code, "no event can stand there"
    empty = icalendar.Calendar.from_ical(client.get("/feeds/topic-climate-ru.ics").content)
    assert [] == empty.walk("VEVENT")
    assert 1 == len(empty.walk("VTIMEZONE")), "a calendar holds something (RFC 5545, 3.6)"


def test_a_browser_is_told_what_it_sees(client):
    response = client.get("/feeds/all-ru.atom")
    style = client.get("/feeds/style.css")

    assert b'<?xml-stylesheet type="text/css" href="https://news.example.org/feeds/style.css"?>' in response.content
    assert "Это лента" in response.text
    assert "style-src 'self'" in response.headers["content-security-policy"]
    assert (200, "text/css; charset=utf-8") == (style.status_code, style.headers["content-type"])
    assert response.headers == client.get("/feeds/all-ru.atom", {"Accept": "text/html"}).headers


def test_what_a_person_opens_is_called_xml_for_their_browser_alone(client):
    """Browsers show what is called a feed as text. No cache between may give a reader what was meant for a browser."""
    reader = client.get("/feeds/all-ru.atom")
    opened = client.get("/feeds/all-ru.atom", {"Sec-Fetch-Dest": "document"})
    fetched = client.get("/feeds/all-ru.atom", {"Sec-Fetch-Dest": "empty"})
    json_feed = client.get("/feeds/all-ru.json", {"Sec-Fetch-Dest": "document"})

    assert ("application/xml; charset=utf-8", "private, max-age=300") == (
        opened.headers["content-type"], opened.headers["cache-control"]
    )  # fmt: skip
    assert (reader.content, reader.headers["etag"]) == (opened.content, opened.headers["etag"])
    assert reader.headers == fetched.headers
    assert "application/feed+json" == json_feed.headers["content-type"]


def ids(feed) -> set[str]:
    return {each.findtext("{*}id") for each in feed.findall("{*}entry")}


def link(feed, rel: str) -> str | None:
    return next((each.get("href") for each in feed.findall("{*}link") if each.get("rel") == rel), None)


def _path(address: str) -> str:
    return address.removeprefix("https://news.example.org")


def test_stored_bytes_are_what_is_served(client, newsroom):
    response = client.get("/feeds/all-en.json", {"Accept-Encoding": "br"})

    assert json.loads(newsroom.document("all-en.json").body) == response.json()
