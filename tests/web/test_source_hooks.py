"""Hubs of sources: we subscribe where one is offered, say yes to what we asked for alone, and look when it calls."""

import asyncio
import hashlib
import hmac
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from sqlalchemy import update
from web_visitors import Browser

from newsletter.dispatch import Doorbell, Ring
from newsletter.domain.sources import HubState
from newsletter.services.context import App
from newsletter.services.polling import poll_source_now
from newsletter.services.source_hubs import PUSHES_APART, hub_secret
from newsletter.services.sources import add_source, pause_source, remove_source
from newsletter.storage import sources as storage
from newsletter.storage.engine import database_now
from newsletter.storage.sources import Poll, PollRow
from newsletter.web.application import build_web

sys.path.append(str(Path(__file__).parents[1] / "services"))

from source_server import Asked, SourceServer, item, rss, running_source

CHALLENGE = "a-challenge-nobody-guesses"


@pytest.fixture
def source() -> Iterator[SourceServer]:
    with running_source() as running:
        yield running


@pytest.fixture
def desk(newsroom: App) -> App:
    return replace(newsroom, settings=newsroom.settings.model_copy(update={"reachable_networks": ("127.0.0.0/8",)}))


@pytest.fixture
def hooks(desk: App) -> Browser:
    return Browser(desk)


def poll_of(desk: App) -> Poll:
    with desk.reading() as tx:
        poll = storage.find_poll(tx.session, "press")
    assert poll is not None
    return poll


def offer(source: SourceServer, *, status: int = 202, by_header: bool = False) -> tuple[str, str]:
    """Serve a feed that names a hub; return the addresses of both."""
    hub = source.put("/hub", status=status)
    feed = f"{source.url}/feed"
    links = f'<atom:link rel="hub" href="{hub}"/><atom:link rel="self" href="{feed}"/>'
    headers = {"Link": f'<{hub}>; rel="hub", <{feed}>; rel="self"'} if by_header else {}
    return source.put("/feed", rss(item(1), channel="" if by_header else links), headers=headers), hub


def subscribed(desk: App, source: SourceServer) -> Poll:
    """Poll a source whose hub verifies at once, while its answer is waited for."""
    feed, _ = offer(source)
    add_source(desk, feed, name="Press")
    source.pages["/hub"].then = lambda asked: verify(desk, asked)
    poll_source_now(desk, "press")
    assert poll_of(desk).hub_state is HubState.SUBSCRIBED
    return poll_of(desk)


def form_of(asked: Asked) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}


def ask(desk: App, path: str, **query: str) -> httpx.Response:
    """Call back as a hub does, from another thread than the tests'."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(build_web(desk))
        async with httpx.AsyncClient(transport=transport, base_url=desk.settings.base_url) as client:
            return await client.get(f"{path}?{urlencode({f'hub.{name}': value for name, value in query.items()})}")

    return asyncio.run(send())


def verify(desk: App, asked: Asked, **changes: str) -> httpx.Response:
    form = form_of(asked)
    query = {"mode": form["hub.mode"], "topic": form["hub.topic"], "challenge": CHALLENGE, "lease_seconds": "864000"}
    return ask(desk, urlsplit(form["hub.callback"]).path, **(query | changes))


def push(hooks: Browser, poll: Poll, body: bytes, signature: str | None) -> int:
    headers = {} if signature is None else {"x-hub-signature": signature.encode()}
    return hooks.post(f"/hooks/websub/{poll.hub_name}", content=body, headers=headers).status_code


def sign(desk: App, poll: Poll, body: bytes, method: str = "sha256") -> str:
    key = hub_secret(desk.settings, poll.hub_name or "").encode()
    return f"{method}={hmac.new(key, body, getattr(hashlib, method)).hexdigest()}"


class TestSubscribing:
    @pytest.mark.parametrize("by_header", [False, True])
    def test_where_a_hub_is_offered_it_is_asked(self, desk, source, by_header):
        feed, hub = offer(source, by_header=by_header)
        add_source(desk, feed, name="Press")
        poll_source_now(desk, "press")
        (asked,) = source.requests("/hub")
        form = form_of(asked)

        assert ("subscribe", feed) == (form["hub.mode"], form["hub.topic"])
        assert form["hub.callback"].startswith("https://news.example.org/hooks/websub/")
        assert 32 <= len(form["hub.secret"]) < 200
        assert (hub, HubState.ASKED) == (poll_of(desk).hub_url, poll_of(desk).hub_state)

    def test_a_hub_that_verifies_at_once_finds_us_ready(self, desk, source):
        poll = subscribed(desk, source)

        assert poll.hub_until is not None
        assert timedelta(days=9) < poll.hub_until - poll.hub_at <= timedelta(days=10, seconds=5)

    @pytest.mark.slow
    def test_it_is_asked_again_before_the_lease_ends_and_not_each_time(self, desk, source):
        subscribed(desk, source)
        poll_source_now(desk, "press")
        assert 1 == len(source.requests("/hub"))
        with desk.transaction() as tx:
            now = database_now(tx.session)
            soon, before = now + timedelta(hours=3), now - timedelta(days=9)
            tx.session.execute(update(PollRow).values(hub_until=soon, hub_at=before))
        name = poll_of(desk).hub_name
        poll_source_now(desk, "press")

        assert 2 == len(source.requests("/hub"))
        assert (name, HubState.SUBSCRIBED) == (poll_of(desk).hub_name, poll_of(desk).hub_state)

    @pytest.mark.parametrize("status", [404, 500, 302])
    def test_a_hub_that_fails_costs_the_source_nothing(self, desk, source, status):
        feed, _ = offer(source, status=status)
        add_source(desk, feed, name="Press")

        assert "changed" == poll_source_now(desk, "press").result
        assert "unchanged" == poll_source_now(desk, "press").result
        assert 1 == len(source.requests("/hub"))

    def test_a_hub_inside_our_network_is_not_asked(self, newsroom, source):
        """The feed may be asked here, what it names as its hub may not."""
        links = '<atom:link rel="hub" href="http://10.1.2.3/"/>'
        settings = newsroom.settings.model_copy(update={"reachable_networks": ("127.0.0.0/8",)})
        desk = replace(newsroom, settings=settings)
        add_source(desk, source.put("/feed", rss(item(1), channel=links)), name="Press")

        assert "changed" == poll_source_now(desk, "press").result

    def test_nobody_is_asked_to_call_a_machine_that_cannot_be_reached(self, desk, source):
        feed, _ = offer(source)
        settings = desk.settings.model_copy(update={"base_url": "http://localhost:8000"})
        add_source(desk, feed, name="Press")
        monkeypatched = replace(desk, settings=settings.model_copy(update={"reachable_networks": ()}))
        poll_source_now(monkeypatched, "press")

        assert [] == source.requests("/hub")


class TestVerification:
    @pytest.mark.parametrize(
        ("changes", "status"),
        [
            pytest.param({}, 200, id="what we asked for"),
            pytest.param({"topic": "https://other.example/feed"}, 404, id="another topic"),
            pytest.param({"mode": "unsubscribe"}, 404, id="leaving, which we did not ask"),
            pytest.param({"mode": "publish"}, 404, id="another mode"),
            pytest.param({"challenge": ""}, 404, id="no challenge"),
            pytest.param({"challenge": "x" * 2000}, 404, id="an endless challenge"),
            pytest.param({"lease_seconds": "x"}, 200, id="no lease"),
        ],
    )
    def test_says_yes_to_what_we_asked_for_alone(self, desk, source, changes, status):
        feed, _ = offer(source)
        add_source(desk, feed, name="Press")
        poll_source_now(desk, "press")
        response = verify(desk, source.requests("/hub")[0], **changes)

        assert status == response.status_code
        assert (CHALLENGE == response.text) is (status == 200)
        assert (poll_of(desk).hub_state is HubState.SUBSCRIBED) is (status == 200)

    def test_a_name_that_is_guessed_is_unknown(self, desk):
        query = {"mode": "subscribe", "topic": "x", "challenge": CHALLENGE, "lease_seconds": "9"}

        assert 404 == ask(desk, "/hooks/websub/guessed", **query).status_code
        assert 200 == ask(desk, "/hooks/websub/guessed", **(query | {"mode": "unsubscribe"})).status_code

    def test_a_denial_is_noted_and_the_source_polled_as_before(self, desk, source):
        poll = subscribed(desk, source)
        ask(desk, f"/hooks/websub/{poll.hub_name}", mode="denied", topic=poll.hub_topic or "", reason="no")

        assert HubState.DENIED is poll_of(desk).hub_state
        assert "unchanged" == poll_source_now(desk, "press").result


class TestPushes:
    @pytest.mark.slow
    @pytest.mark.parametrize("method", ["sha1", "sha256", "sha384", "sha512"])
    def test_a_signed_one_makes_us_look_at_the_source(self, desk, source, hooks, dispatcher, method):
        poll = subscribed(desk, source)
        with desk.transaction() as tx:
            tx.session.execute(update(PollRow).values(polled_at=database_now(tx.session) - timedelta(hours=1)))
        dispatcher.rings.clear()
        status = push(hooks, poll, b"<feed/>" * 50_000, sign(desk, poll, b"<feed/>" * 50_000, method))

        assert 202 == status
        assert [Ring(Doorbell.POLL_SOURCE, poll.source_id)] == dispatcher.rings
        assert poll_of(desk).due_at <= poll.due_at - timedelta(minutes=10)

    @pytest.mark.slow
    @pytest.mark.parametrize("signature", [None, "", "sha256=", "sha256=00", "md5=00", "sha256", "=", "ж=1"])
    def test_another_one_is_answered_and_ignored(self, desk, source, hooks, dispatcher, signature):
        poll = subscribed(desk, source)
        dispatcher.rings.clear()

        assert 202 == push(hooks, poll, b"<feed/>", signature)
        assert [] == dispatcher.rings
        assert poll.due_at == poll_of(desk).due_at

    @pytest.mark.slow
    def test_what_was_pushed_is_not_taken(self, desk, source, hooks):
        poll = subscribed(desk, source)
        body = rss(item(666)).encode()
        push(hooks, poll, body, sign(desk, poll, body))

        assert () == poll_source_now(desk, "press").outcomes

    @pytest.mark.slow
    def test_many_make_us_look_once_a_minute(self, desk, source, hooks):
        poll = subscribed(desk, source)
        for _ in range(3):
            push(hooks, poll, b"x", sign(desk, poll, b"x"))
        found = poll_of(desk)

        assert PUSHES_APART == found.due_at - found.polled_at

    def test_a_hub_that_we_have_left_is_told(self, desk, source, hooks):
        poll = subscribed(desk, source)
        pause_source(desk, "press")
        assert 410 == push(hooks, poll, b"x", sign(desk, poll, b"x"))
        remove_source(desk, "press")

        assert 410 == push(hooks, poll, b"x", sign(desk, poll, b"x"))

    @pytest.mark.slow
    def test_one_without_end_is_refused(self, desk, source, hooks):
        poll = subscribed(desk, source)

        assert 413 == push(hooks, poll, b"x" * (9 * 1024 * 1024), "sha256=00")
