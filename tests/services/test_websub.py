"""WebSub against a real HTTP subscriber on loopback, with callbacks that are lost, slow, failing and lying."""

import asyncio
import hashlib
import hmac
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from feed_newsroom import Newsroom
from feed_reader import Reader
from starlette.applications import Starlette

from newsletter.dispatch import Doorbell, Ring
from newsletter.domain.websub import DEAD_AFTER, RETRIES
from newsletter.services import websub
from newsletter.services.feeds import close_feed
from newsletter.services.websub import Pushed, push_feeds
from newsletter.storage.websub import FollowerRow, load_followers
from newsletter.web import security
from newsletter.web.feeds import routes
from newsletter.web.hub import LARGEST_FORM

BASE = "https://news.example.org/feeds"
HUB = f"{BASE}/hub"


@dataclass
class Subscriber:
    """A server of callbacks, each of which behaves as its path says; keeps what it was asked and told."""

    address: str = ""
    asked: list[dict[str, list[str]]] = field(default_factory=list)
    told: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    sick: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        subscriber = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                asked = parse_qs(parts.query)
                subscriber.asked.append(asked)
                challenge = asked.get("hub.challenge", [""])[0].encode()
                behaviour = parts.path.strip("/").partition("-")[0]
                status, body = {
                    "lying": (200, b"of course"),
                    "refusing": (404, challenge),
                    "elsewhere": (302, challenge),
                    "endless": (200, b"x" * 1_000_000),
                }.get(behaviour, (200, challenge))
                self._say(status, body)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                behaviour = self.path.strip("/").partition("-")[0]
                if behaviour == "slow":
                    time.sleep(1)
                subscriber.told.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                status = {"gone": 410, "moved": 301}.get(behaviour, 500 if behaviour in subscriber.sick else 200)
                self._say(status, b"thank you")

            def _say(self, status: int, body: bytes) -> None:
                try:
                    self.send_response(status)
                    if status in (301, 302):
                        self.send_header("Location", f"{subscriber.address}/good")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass  # the hub did not wait, as it should not

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def subscriber():
    made = Subscriber()
    threading.Thread(target=made.server.serve_forever, args=(0.01,), daemon=True).start()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(params=["sqlite"])
def database(request):
    return request.getfixturevalue(f"{request.param}_database")


both_databases = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def newsroom(app, preparations) -> Newsroom:
    reachable = app.settings.model_copy(update={"reachable_networks": ("127.0.0.0/8",)})
    return Newsroom.prepared(replace(app, settings=reachable), preparations, {"topics": ("water",)})


def ask(newsroom: Newsroom, callback: str, topic: str = f"{BASE}/all-en.atom", mode: str = "subscribe", **more: Any):
    """Ask the hub as a subscriber does."""
    form = {"hub.callback": callback, "hub.topic": topic, "hub.mode": mode} | {
        f"hub.{name}": str(value) for name, value in more.items()
    }
    client = Reader(Starlette(routes=routes(newsroom.app)))
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return client.request("POST", "/feeds/hub", headers, urlencode(form).encode())


def follow(newsroom: Newsroom, callback: str, **more: Any) -> None:
    assert 202 == ask(newsroom, callback, **more).status_code
    assert 1 == push_feeds(newsroom.app).verified


def followers(newsroom: Newsroom):
    with newsroom.app.reading() as tx:
        return load_followers(tx.session)


def publish(newsroom: Newsroom, number: int) -> bytes:
    """Publish an article and return the feed that it makes."""
    newsroom.later(minutes=1).publish(number, topics=("water",))
    newsroom.rebuild()
    return Reader(Starlette(routes=routes(newsroom.app))).get("/feeds/all-en.atom").content


@pytest.mark.slow
@both_databases
def test_a_follower_is_asked_and_then_told_with_a_signature(newsroom, subscriber, dispatcher):
    assert (
        202 == ask(newsroom, f"{subscriber.address}/good?key=1", secret="between us", lease_seconds=86400).status_code
    )
    assert Ring(Doorbell.PUSH_FEEDS) in dispatcher.rings
    assert Pushed(verified=1) == push_feeds(newsroom.app)
    (asked,) = subscriber.asked
    assert [["subscribe"], [f"{BASE}/all-en.atom"], ["86400"], ["1"]] == [
        asked[name] for name in ("hub.mode", "hub.topic", "hub.lease_seconds", "key")
    ]

    dispatcher.rings.clear()
    feed = publish(newsroom, 2)
    assert Ring(Doorbell.PUSH_FEEDS) in dispatcher.rings
    assert Pushed(pushed=1) == push_feeds(newsroom.app)
    ((path, headers, body),) = subscriber.told
    assert "/good?key=1" == path
    assert feed == body, "the whole of it, so that nobody need ask again"
    assert "application/atom+xml; charset=utf-8" == headers["content-type"]
    assert f'<{HUB}>; rel="hub", <{BASE}/all-en.atom>; rel="self"' == headers["link"]
    expected = hmac.new(b"between us", body, hashlib.sha256).hexdigest()
    assert f"sha256={expected}" == headers["x-hub-signature"]
    assert Pushed() == push_feeds(newsroom.app), "nobody is told twice"


@pytest.mark.slow
def test_each_format_is_a_topic_and_combinations_are_too(newsroom, subscriber):
    combined = f"{BASE}/custom.json?topic=water&kind=story&lang=en"
    follow(newsroom, f"{subscriber.address}/good-1", topic=f"{BASE}/topic-water-en.json")
    follow(newsroom, f"{subscriber.address}/good-2", topic=combined)
    follow(newsroom, f"{subscriber.address}/good-3", topic=f"{BASE}/topic-health-en.json")
    publish(newsroom, 2)

    assert 2 == push_feeds(newsroom.app).pushed
    assert {"/good-1", "/good-2"} == {path for path, _, _ in subscriber.told}
    assert {"application/feed+json"} == {headers["content-type"] for _, headers, _ in subscriber.told}


def test_a_secret_is_stored_sealed(newsroom, subscriber):
    follow(newsroom, f"{subscriber.address}/good", secret="between us")
    with newsroom.app.reading() as tx:
        row = tx.session.query(FollowerRow).one()

    assert b"between us" not in row.secret
    settings = newsroom.app.settings.model_copy(update={"secret_key": "another key of more than enough characters"})
    settings.__dict__.pop("secret", None)  # it was read before, and would be kept
    newsroom.app = replace(newsroom.app, settings=settings)
    publish(newsroom, 2)
    assert Pushed(failed=1) == push_feeds(newsroom.app)
    assert [] == subscriber.told, "never without the signature that was asked for"


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"mode": "publish"}, 400, "hub.mode"),
        ({"topic": ""}, 400, "hub.topic"),
        ({"topic": "https://elsewhere.example.org/feed"}, 404, "no such topic"),
        ({"topic": f"{BASE}/nothing-en.atom"}, 404, "no such topic"),
        ({"topic": f"{BASE}/all-en.atom?x=1"}, 404, "no such topic"),
        ({"topic": f"{BASE}/all-en.ics"}, 404, "no such topic"),
        ({"topic": f"{BASE}/custom.atom?kind=story&topic=water&lang=en"}, 404, "no such topic"),
        ({"topic": f"{BASE}/custom.atom?topic=nothing&kind=story&lang=en"}, 404, "no topic"),
        ({"callback": "ftp://127.0.0.1/x"}, 400, "hub.callback"),
        ({"callback": "http://user:word@127.0.0.1/x"}, 400, "user name"),
        ({"callback": "not an address"}, 400, "hub.callback"),
        ({"secret": "x" * 200}, 400, "hub.secret"),
        ({"lease_seconds": "long"}, 400, "hub.lease_seconds"),
    ],
)
def test_what_cannot_be_is_refused_at_once(newsroom, changes, status, words):
    response = ask(newsroom, **{"callback": "http://127.0.0.1:1/x", **changes})

    assert status == response.status_code
    assert words in response.text
    assert response.headers["content-type"].startswith("text/plain")


def test_a_form_that_is_too_large_or_drips_is_given_up(newsroom, monkeypatch):
    async def endless():
        while True:
            yield b"hub.mode=subscribe&" * 100

    async def dripping():
        yield b"hub.mode="
        await asyncio.sleep(PATIENCE_SECONDS)

    client = Reader(Starlette(routes=routes(newsroom.app)))
    large = [client.request("POST", "/feeds/hub", {}, body) for body in (b"x" * (LARGEST_FORM + 1), endless())]
    monkeypatch.setattr(security, "BODY_SECONDS", 0.05)
    slow = client.request("POST", "/feeds/hub", {}, dripping())

    assert [413, 413, 408] == [each.status_code for each in (*large, slow)]
    assert {"text/plain; charset=utf-8"} == {each.headers["content-type"] for each in (*large, slow)}
    assert Pushed() == push_feeds(newsroom.app)


PATIENCE_SECONDS = 60
"""Longer than anything here takes."""


@pytest.mark.parametrize(("asked", "granted"), [(1, 3600), (0, 864_000), (86_400, 86_400), (10**15, 2_592_000)])
def test_every_lease_ends(newsroom, subscriber, asked, granted):
    follow(newsroom, f"{subscriber.address}/good", lease_seconds=asked)
    (follower,) = followers(newsroom)

    assert [str(granted)] == subscriber.asked[0]["hub.lease_seconds"]
    assert newsroom.app.clock() + timedelta(seconds=granted) == follower.lease_until
    newsroom.later(seconds=granted)
    assert Pushed(ended=1) == push_feeds(newsroom.app)
    assert [] == followers(newsroom)


@pytest.mark.parametrize("behaviour", ["lying", "refusing", "elsewhere", "endless"])
def test_a_callback_that_does_not_confirm_follows_nothing(newsroom, subscriber, behaviour):
    """Somebody else's server cannot be made to receive what it did not ask for."""
    assert 202 == ask(newsroom, f"{subscriber.address}/{behaviour}").status_code

    assert Pushed(refused=1) == push_feeds(newsroom.app)
    assert [] == followers(newsroom)
    assert Pushed() == push_feeds(newsroom.later(days=2).app), "and is not asked again"


def test_a_callback_that_is_lost_is_asked_again_for_a_while(newsroom):
    ask(newsroom, "http://127.0.0.1:9/nobody")
    outcomes = [push_feeds(newsroom.later(minutes=wait).app).refused for wait in (0, 2, 6, 34, 200)]

    assert [1, 1, 1, 1, 0] == outcomes


def test_a_request_in_the_name_of_another_changes_nothing(newsroom, subscriber):
    """What was before stays until the callback says otherwise (5.3)."""
    follow(newsroom, f"{subscriber.address}/good", secret="ours")
    before = followers(newsroom)
    subscriber.asked.clear()
    lying = f"{subscriber.address}/lying"
    follow_row = before[0]
    assert 202 == ask(newsroom, lying, mode="unsubscribe").status_code
    assert Pushed(refused=1) == push_feeds(newsroom.app)
    assert [] == subscriber.asked, "who does not follow is not even asked"
    assert [follow_row] == followers(newsroom)


def test_leaving_is_confirmed_too(newsroom, subscriber):
    follow(newsroom, f"{subscriber.address}/good")
    assert 202 == ask(newsroom, f"{subscriber.address}/good", mode="unsubscribe").status_code
    assert 1 == len(followers(newsroom))

    assert Pushed(verified=1) == push_feeds(newsroom.app)
    assert [] == followers(newsroom)
    assert ["unsubscribe"] == subscriber.asked[-1]["hub.mode"]


@pytest.mark.slow
def test_asking_again_renews_lease_and_secret(newsroom, subscriber):
    follow(newsroom, f"{subscriber.address}/good", secret="old", lease_seconds=3600)
    newsroom.later(minutes=30)
    follow(newsroom, f"{subscriber.address}/good", secret="new", lease_seconds=7200)
    (follower,) = followers(newsroom)
    publish(newsroom, 2)
    push_feeds(newsroom.app)

    assert newsroom.app.clock() + timedelta(seconds=7200 - 60) == follower.lease_until
    ((_, headers, body),) = subscriber.told
    assert f"sha256={hmac.new(b'new', body, hashlib.sha256).hexdigest()}" == headers["x-hub-signature"]


@pytest.mark.slow
@both_databases
def test_a_failing_callback_is_tried_less_and_less_often_and_gets_the_newest(newsroom, subscriber):
    follow(newsroom, f"{subscriber.address}/failing")
    subscriber.sick.add("failing")
    publish(newsroom, 2)
    for wait in RETRIES[:-1]:
        assert 1 == push_feeds(newsroom.app).failed
        assert Pushed() == push_feeds(newsroom.later(seconds=wait.total_seconds() * 0.99).app), "not before its time"
        newsroom.later(seconds=wait.total_seconds() * 0.12)
    newest = publish(newsroom, 3)
    (follower,) = followers(newsroom)
    assert "it answered 500" == follower.problem

    subscriber.sick.clear()
    assert Pushed(pushed=1) == push_feeds(newsroom.app)
    assert newest == subscriber.told[-1][2]
    (follower,) = followers(newsroom)
    assert (None, 0, None, None) == (follower.due_at, follower.attempts, follower.problem, follower.failing_since)


@pytest.mark.slow
def test_a_dead_callback_is_dropped(newsroom, subscriber):
    follow(newsroom, f"{subscriber.address}/failing", lease_seconds=30 * 86400)
    subscriber.sick.add("failing")
    for number in (2, 3):
        publish(newsroom, number)
        push_feeds(newsroom.app)
        newsroom.later(days=DEAD_AFTER.days - 1)
    assert 1 == len(followers(newsroom))
    publish(newsroom, 4)
    push_feeds(newsroom.later(days=1).app)

    assert [] == followers(newsroom)


@pytest.mark.slow
@pytest.mark.parametrize(("behaviour", "left"), [("gone", 0), ("moved", 1)])
def test_a_callback_that_is_gone_ends_and_one_that_moved_fails(newsroom, subscriber, behaviour, left):
    """No redirect is followed: it would lead where nobody confirmed (7)."""
    follow(newsroom, f"{subscriber.address}/{behaviour}")
    publish(newsroom, 2)

    assert Pushed(failed=1) == push_feeds(newsroom.app)
    assert left == len(followers(newsroom))
    assert [f"/{behaviour}"] == [path for path, _, _ in subscriber.told]


@pytest.mark.slow
def test_a_slow_callback_is_left_and_others_do_not_wait_for_it(newsroom, subscriber, monkeypatch):
    monkeypatch.setattr(websub, "CALL_SECONDS", 0.3)
    other = Subscriber()
    threading.Thread(target=other.server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        follow(newsroom, f"{subscriber.address}/slow")
        follow(newsroom, f"{other.address}/good")
        publish(newsroom, 2)
        started = time.monotonic()
        done = push_feeds(newsroom.app)
        took = time.monotonic() - started
    finally:
        other.server.shutdown()
        other.server.server_close()

    assert (1, 1) == (done.pushed, done.failed)
    assert took < 1
    assert ["/good"] == [path for path, _, _ in other.told]


@pytest.mark.slow
def test_many_processes_call_each_follower_once(newsroom, subscriber):
    for number in range(6):
        follow(newsroom, f"{subscriber.address}/good-{number}")
    publish(newsroom, 2)
    threads = [threading.Thread(target=push_feeds, args=(newsroom.app,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Counter({f"/good-{number}": 1 for number in range(6)}) == Counter(path for path, _, _ in subscriber.told)


def test_a_callback_inside_our_network_is_not_called(newsroom, subscriber):
    settings = newsroom.app.settings.model_copy(update={"reachable_networks": ()})
    newsroom.app = replace(newsroom.app, settings=settings)
    assert 202 == ask(newsroom, f"{subscriber.address}/good").status_code

    assert Pushed(refused=1) == push_feeds(newsroom.app)
    assert [] == subscriber.asked


def test_a_closed_feed_says_goodbye(newsroom, subscriber):
    follow(newsroom, f"{subscriber.address}/good", topic=f"{BASE}/topic-water-en.atom")
    close_feed(newsroom.app, "topic-water-en")
    push_feeds(newsroom.app)

    assert [] == followers(newsroom)
    assert ["denied"] == subscriber.asked[-1]["hub.mode"]


@pytest.mark.slow
def test_a_followed_combination_is_kept_although_nobody_polls_it(newsroom, subscriber):
    combined = f"{BASE}/custom.atom?topic=water&kind=story&lang=en"
    follow(newsroom, f"{subscriber.address}/good", topic=combined, lease_seconds=30 * 86400)
    for number in range(2, 6):
        newsroom.later(days=5)
        publish(newsroom, number)
        push_feeds(newsroom.app)

    assert 4 == len(subscriber.told)


@pytest.mark.slow
def test_a_lost_doorbell_only_costs_time(newsroom, subscriber, dispatcher):
    """The next look at feeds, which every tick rings for, finds whom to call."""
    follow(newsroom, f"{subscriber.address}/good")
    publish(newsroom, 2)
    dispatcher.rings.clear()
    newsroom.rebuild()

    assert [Ring(Doorbell.PUSH_FEEDS)] == dispatcher.rings


@pytest.mark.slow
def test_another_hub_is_told_instead(newsroom, subscriber):
    settings = newsroom.app.settings.model_copy(update={"hub": f"{subscriber.address}/hub"})
    newsroom.app = replace(newsroom.app, settings=settings)
    newsroom.rebuild()
    push_feeds(newsroom.app)
    subscriber.told.clear()
    feed = publish(newsroom, 2)
    push_feeds(newsroom.app)
    ((path, _, body),) = subscriber.told
    form = parse_qs(body.decode())

    assert "/hub" == path
    assert ["publish"] == form["hub.mode"]
    assert {f"{BASE}/all-en.atom", f"{BASE}/topic-water-en.json"} < set(form["hub.url"])
    assert f'<link rel="hub" href="{subscriber.address}/hub"/>'.encode() in feed
    assert 404 == ask(newsroom, f"{subscriber.address}/good").status_code, "there is no hub here then"
    push_feeds(newsroom.app)
    assert 1 == len(subscriber.told)


@pytest.mark.slow
def test_another_hub_that_fails_is_told_later(newsroom, subscriber):
    subscriber.sick.add("hub")
    settings = newsroom.app.settings.model_copy(update={"hub": f"{subscriber.address}/hub"})
    newsroom.app = replace(newsroom.app, settings=settings)
    publish(newsroom, 2)
    push_feeds(newsroom.app)
    subscriber.sick.clear()
    push_feeds(newsroom.app)
    assert 1 == len(subscriber.told)
    push_feeds(newsroom.later(minutes=2).app)

    assert 2 == len(subscriber.told)
