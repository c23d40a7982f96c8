"""Feeds over HTTP: what a reader that polls all day gets, whatever it sends along."""

from datetime import timedelta
from itertools import product

import httpx
import pytest
from feed_newsroom import Newsroom
from feed_reader import Reader
from starlette.applications import Starlette

from newsletter.errors import TransientError
from newsletter.services.feed_documents import DocumentCache
from newsletter.services.feeds import ensure_feeds
from newsletter.web.application import build_web
from newsletter.web.feeds import routes

DOCUMENTS = ("/feeds/all-en.atom", "/feeds/all-en.rss", "/feeds/all-en.json", "/feeds.opml")
ON_304 = {"etag", "last-modified", "cache-control", "vary", "link", "access-control-allow-origin"}


@pytest.fixture(params=["sqlite"])
def database(request):
    return request.getfixturevalue(f"{request.param}_database")


both_databases = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def newsroom(app, preparations) -> Newsroom:
    return Newsroom.prepared(app, preparations, {})


@pytest.fixture
def client(newsroom) -> Reader:
    return Reader(build_web(newsroom.app))


@both_databases
@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_document_comes_with_all_that_a_poller_needs(client, newsroom, path):
    response = client.get(path)
    stored = newsroom.document(path.rpartition("/")[2])

    assert 200 == response.status_code
    assert stored.body == response.content
    assert f'"{stored.etag}"' == response.headers["etag"]
    assert "Mon, 16 Mar 2026 02:00:00 GMT" == response.headers["last-modified"]
    assert "public, max-age=300, stale-while-revalidate=60, stale-if-error=86400" == response.headers["cache-control"]
    assert "Accept-Encoding" == response.headers["vary"]
    assert str(len(response.content)) == response.headers["content-length"]
    hub = "" if path.endswith("opml") else '<https://news.example.org/feeds/hub>; rel="hub", '
    assert f'{hub}<https://news.example.org{path}>; rel="self"' == response.headers["link"]
    assert "*" == response.headers["access-control-allow-origin"]
    assert "nosniff" == response.headers["x-content-type-options"]
    assert not {"set-cookie", "expires", "pragma", "accept-ranges", "content-encoding"} & set(response.headers)


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/feeds/all-en.atom", "application/atom+xml; charset=utf-8"),
        ("/feeds/all-en.rss", "application/rss+xml; charset=utf-8"),
        ("/feeds/all-en.json", "application/feed+json"),
        ("/feeds.opml", "text/x-opml; charset=utf-8"),
    ],
)
def test_each_format_has_its_media_type(client, path, content_type):
    assert content_type == client.get(path).headers["content-type"]


SERVED_AS = {"gzip": "gzip", "identity;q=0": "gzip", "br, gzip": "br", "br;q=0, gzip;q=0.5": "gzip"}
CODINGS = ("", "gzip", "gzip;q=0", "identity;q=0", "br, gzip", "br;q=0, gzip;q=0.5", "*;q=0")
CASES = list(product(("GET", "HEAD"), CODINGS, ("none", "tag", "date", "stale")))


@pytest.mark.slow
@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_combination_of_method_coding_and_condition(client, path):
    for case in CASES:
        method, coding, condition = case
        coded = {"Accept-Encoding": coding} if coding else {}
        plain = client.get(path, coded)
        conditions = {
            "none": {},
            "tag": {"If-None-Match": plain.headers["etag"]},
            "date": {"If-Modified-Since": plain.headers["last-modified"]},
            "stale": {"If-None-Match": '"other"', "If-Modified-Since": plain.headers["last-modified"]},
        }
        response = client.request(method, path, coded | conditions[condition])
        again = client.request(method, path, coded | conditions[condition])

        assert (response.status_code, response.content, response.headers) == (
            again.status_code,
            again.content,
            again.headers,
        ), case
        packed = SERVED_AS.get(coding)
        assert plain.headers["etag"].endswith({"gzip": '-gz"', "br": '-br"', None: '"'}[packed]), case
        assert packed == plain.headers.get("content-encoding"), case
        assert plain.headers["etag"] == response.headers["etag"], case
        if condition in ("tag", "date"):
            assert (304, b"") == (response.status_code, response.content), case
            assert set(response.headers) >= ON_304, case
            assert not {"content-length", "content-type", "content-encoding"} & set(response.headers), case
        else:
            body = plain.content if method == "GET" else b""
            assert (200, body, plain.headers) == (response.status_code, response.content, response.headers), case


def test_a_ready_answer_is_given_as_long_as_the_document_is_the_same(client, newsroom):
    wanted = {"Accept-Encoding": "gzip"}
    before = [client.get("/feeds/all-en.json", wanted) for _ in range(3)][-1]
    newsroom.later(minutes=1).publish(2)
    newsroom.rebuild()
    after = client.get("/feeds/all-en.json", wanted)

    assert [1, 2] == [len(each.json()["items"]) for each in (before, after)]
    assert before.headers["etag"] != after.headers["etag"]
    assert 200 == client.get("/feeds/all-en.json", wanted | {"If-None-Match": before.headers["etag"]}).status_code


def test_many_different_requests_leave_only_so_many_answers_ready(client, monkeypatch):
    monkeypatch.setattr("newsletter.web.feeds.MOST_READY", 3)
    tags = [f'"{number}"' for number in range(10)]
    answers = {tag: client.get("/feeds/all-en.atom", {"If-None-Match": tag}) for tag in [*tags, *tags, "x" * 400]}

    assert {200} == {each.status_code for each in answers.values()}
    assert 304 == client.get("/feeds/all-en.atom", {"If-None-Match": answers[tags[0]].headers["etag"]}).status_code


def test_the_list_of_all_feeds_has_one_address(client):
    assert [200, 200] == [client.get("/feeds.opml").status_code for _ in range(2)]
    assert 404 == client.get("/feeds/feeds.opml").status_code


def test_a_range_is_ignored(client):
    response = client.get("/feeds/all-en.atom", headers={"Range": "bytes=0-9"})

    assert 200 == response.status_code
    assert len(response.content) > 10


def test_several_lines_of_a_header_are_one_list(client):
    etag = client.get("/feeds/all-en.atom").headers["etag"]
    headers = httpx.Headers([("If-None-Match", '"other"'), ("If-None-Match", etag)])

    assert 304 == client.get("/feeds/all-en.atom", headers=headers).status_code


def test_queries_and_cookies_change_nothing(client):
    plain = client.get("/feeds/all-en.atom")
    response = client.get("/feeds/all-en.atom?utm_source=x", headers={"Cookie": "a=b", "Accept": "text/html"})

    assert (plain.content, plain.headers) == (response.content, response.headers)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_feed_is_only_read(client, method):
    response = client.request(method, "/feeds/all-en.atom")

    assert 405 == response.status_code
    assert "GET, HEAD, OPTIONS" == response.headers["allow"]
    assert response.headers["content-type"].startswith("text/plain")


def test_scripts_of_other_sites_may_ask_with_validators(client):
    response = client.request(
        "OPTIONS",
        "/feeds/all-en.json",
        headers={"Origin": "https://reader.example.net", "Access-Control-Request-Method": "GET"},
    )

    assert 204 == response.status_code
    assert "If-None-Match" in response.headers["access-control-allow-headers"]


@pytest.mark.parametrize(
    "path",
    [
        "/feeds/topic-unknown-en.atom",
        "/feeds/all-en.xml",
        "/feeds/all-en",
        "/feeds/feeds.opml",
        "/feeds/%00.atom",
        "/feeds/ALL-EN.atom",
        f"/feeds/{'a' * 5000}.atom",
    ],
)
def test_an_unknown_feed_is_plainly_unknown(client, path):
    response = client.get(path)

    assert 404 == response.status_code
    assert "text/plain; charset=utf-8" == response.headers["content-type"]
    assert "https://news.example.org/feeds.opml" in response.text
    assert not {"set-cookie", "etag"} & set(response.headers)
    assert b"" == client.request("HEAD", path).content


def test_an_empty_feed_is_a_feed(client):
    response = client.get("/feeds/topic-water-en.json")

    assert 200 == response.status_code
    assert [] == response.json()["items"]


def test_a_short_address_leads_to_the_default_language(client):
    response = client.get("/feeds/topic-water.rss")

    assert 301 == response.status_code
    assert "https://news.example.org/feeds/topic-water-en.rss" == response.headers["location"]


def test_a_feed_that_is_still_being_made_asks_for_patience(app):
    newsroom = Newsroom(app)
    with newsroom.app.transaction() as tx:
        ensure_feeds(tx)
    client = Reader(Starlette(routes=routes(newsroom.app)))

    for path in DOCUMENTS:
        response = client.get(path)
        assert (503, "5") == (response.status_code, response.headers["retry-after"]), path


def test_what_is_published_is_served_at_once(client, newsroom):
    """This process knows its own work: the copy that it serves from is never older than the last rebuild."""
    before = client.get("/feeds/all-en.json")
    newsroom.later(hours=1).publish(2)
    newsroom.rebuild()
    after = client.get("/feeds/all-en.json", headers={"If-None-Match": before.headers["etag"]})

    assert 200 == after.status_code
    assert 2 == len(after.json()["items"])
    assert before.headers["last-modified"] != after.headers["last-modified"]


def test_two_servers_and_a_restart_give_the_same_validators(client, newsroom):
    other = Reader(Starlette(routes=routes(newsroom.app)))
    for path in DOCUMENTS:
        mine, theirs = client.get(path), other.get(path, headers={"Accept-Encoding": "identity"})

        assert mine.content == theirs.content
        assert mine.headers["etag"] == theirs.headers["etag"]
        assert mine.headers["last-modified"] == theirs.headers["last-modified"]


class Seconds:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_another_process_is_seen_after_a_moment(newsroom, monkeypatch):
    seconds = Seconds()
    cache = DocumentCache(newsroom.app, seconds)
    old = cache.load("all-en.atom")
    monkeypatch.setattr(
        "newsletter.services.feed_rebuilding.SWAPS", type("Deaf", (), {"note": staticmethod(lambda: None)})
    )
    newsroom.later(hours=1).publish(2)
    newsroom.rebuild()

    assert old is cache.peek("all-en.atom")
    seconds.now += 0.25
    assert cache.peek("all-en.atom") is None
    new = cache.load("all-en.atom")
    assert old.etag != new.etag
    assert new is cache.peek("all-en.atom")
    seconds.now += 0.25
    assert new is cache.load("all-en.atom"), "bytes that did not change are not fetched again"


def test_a_database_that_does_not_answer_leaves_the_copy(newsroom, monkeypatch):
    seconds = Seconds()
    cache = DocumentCache(newsroom.app, seconds)
    kept = cache.load("all-en.atom")
    seconds.now += 1

    def failing(*_):
        raise TransientError("the database did not answer")

    monkeypatch.setattr("newsletter.services.feed_documents.load_etag", failing)
    assert kept is cache.load("all-en.atom")
    monkeypatch.setattr("newsletter.services.feed_documents.load_document", failing)
    with pytest.raises(TransientError):
        cache.load("all-en.rss")


def test_copies_keep_to_their_capacity(newsroom):
    cache = DocumentCache(newsroom.app, Seconds(), capacity=9000)
    for form in ("atom", "rss", "json"):
        for slug in ("all-en", "topic-water-en", "topic-health-en", "kind-story-en"):
            cache.load(f"{slug}.{form}")

    assert 1 <= len(cache._copies) < 12
    assert cache._bytes <= 9000
    assert cache.peek("kind-story-en.json")
    assert cache.load("nothing.atom") is None


@pytest.mark.slow
def test_readers_who_poll_all_day_get_bytes_once(client):
    """The replay of a day: with validators a poll costs headers only."""
    etags: dict[str, str] = {}
    sent = 0
    for number in range(300):
        path = DOCUMENTS[number % len(DOCUMENTS)]
        known = {"If-None-Match": etags[path]} if path in etags else {}
        response = client.get(path, headers=known)
        etags[path] = response.headers["etag"]
        sent += len(response.content)

    assert sum(len(client.get(path).content) for path in DOCUMENTS) == sent


def test_the_clock_set_back_keeps_dates_growing(client, newsroom):
    before = client.get("/feeds/all-en.atom")
    newsroom.later(days=-10).publish(2, published_at=newsroom.app.clock() - timedelta(days=1))
    newsroom.rebuild()
    after = client.get("/feeds/all-en.atom", headers={"If-Modified-Since": before.headers["last-modified"]})

    assert 200 == after.status_code
