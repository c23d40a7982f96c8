"""Pushing feeds by WebSub: callbacks are asked whether they mean it, called when a feed changes, dropped when dead."""

import random
import secrets
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
import structlog

from newsletter.dispatch import Doorbell
from newsletter.domain.feeds import FeedFormat, feed_address
from newsletter.domain.websub import (
    DEAD_AFTER,
    GONE,
    VERIFICATION_RETRIES,
    HubRequest,
    Mode,
    denial_url,
    is_confirmed,
    is_success,
    next_try,
    signature,
    verification_url,
)
from newsletter.errors import NewsletterError, PermanentError
from newsletter.feeds.sealing import unseal
from newsletter.network import guarded_client, parse_networks, read_body
from newsletter.services.context import App, Transaction
from newsletter.services.feed_documents import read_document
from newsletter.storage import websub as storage
from newsletter.storage.feed_documents import load_etag
from newsletter.storage.feeds import load_feed, note_asked
from newsletter.storage.websub import Follower, PendingRequest

log = structlog.get_logger()

AT_ONCE = 8
"""Hosts called at the same time; of each host one callback after the other."""
ROUND = 200
"""Callbacks taken in one round."""
CALL_SECONDS = 8.0
LEASE = timedelta(minutes=10)
"""After this a round is taken for dead and its callbacks are called by another; one takes far less."""
MOST_ANSWERED = 64 * 1024
"""Bytes of an answer that are read; a challenge has 43."""
KEEPS_FOLLOWED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Pushed:
    """What one round did: callbacks *verified* or *refused*, pushes that were taken or failed, subscriptions ended."""

    verified: int = 0
    refused: int = 0
    pushed: int = 0
    failed: int = 0
    ended: int = 0


def note_changed_documents(tx: Transaction, names: Collection[str]) -> None:
    """Note, in the transaction that swaps them, that documents changed, for whoever is to be called."""
    pushed = [name for name in names if is_pushed(name)]
    if not pushed or tx.settings.hub == "none":
        return
    if tx.settings.hub == "own":
        if storage.note_changed(tx.session, pushed, now=tx.now):
            tx.ring(Doorbell.PUSH_FEEDS)
        return
    storage.add_pings(tx.session, pushed, now=tx.now)
    tx.ring(Doorbell.PUSH_FEEDS)


def is_pushed(name: str) -> bool:
    """Say whether a document is one that can be followed: not a calendar, nor a reader's choice."""
    slug, _, suffix = name.rpartition(".")
    return suffix in set(FeedFormat) and not slug.startswith("choice_")


def ring_if_due(app: App) -> None:
    """Ring for callbacks whose time has come, which a lost doorbell or a failed call left waiting."""
    with app.reading() as tx:
        due_at = storage.next_due(tx.session)
    if due_at is not None and due_at <= app.clock():
        with app.transaction() as tx:
            tx.ring(Doorbell.PUSH_FEEDS)


def list_followers(app: App) -> list[Follower]:
    """Return those who follow feeds, by document."""
    with app.reading() as tx:
        return storage.load_followers(tx.session)


def push_feeds(app: App) -> Pushed:
    """Ask the callbacks that are to confirm, call those that have something to be told, tell another's hub.

    No transaction is open while anybody is called. Safe to repeat and for any number of processes at once: a callback
    may be called twice only when a process died between its answer and the note of it.
    """
    with app.transaction() as tx:
        ended = storage.remove_lapsed(tx.session, now=tx.now)
        for feed_id in storage.followed_feeds(tx.session, asked_before=tx.now - KEEPS_FOLLOWED):
            note_asked(tx.session, feed_id, now=tx.now)
    allowed = parse_networks(app.settings.reachable_networks)
    agent = f"newsletter (WebSub hub; +{app.settings.base_url})"
    with guarded_client(user_agent=agent, allowed=allowed, total_seconds=CALL_SECONDS) as client:
        verified = _verify(app, client)
        pushed = _push(app, client)
        _ping(app, client)
    ring_if_due(app)
    refused, failed = verified.count(False), pushed.count(False)
    done = Pushed(sum(verified), refused, sum(pushed), failed, ended)
    if done != Pushed():
        log.info("feeds_pushed", verified=done.verified, refused=done.refused, pushed=done.pushed, failed=done.failed)
    return done


def _verify(app: App, client: httpx.Client) -> list[bool]:
    with app.transaction() as tx:
        claimed = storage.claim_requests(tx.session, now=tx.now, until=tx.now + LEASE, limit=ROUND)
    return _by_host(claimed, lambda each: each.request.callback, lambda each: _verify_one(app, client, each))


def _verify_one(app: App, client: httpx.Client, pending: PendingRequest) -> bool:
    """Ask a callback whether it means what was asked in its name; whatever it says, what was before stays."""
    request = pending.request
    with app.reading() as tx:
        exists = load_etag(tx.session, pending.document) is not None
        is_known = storage.has_follower(tx.session, request.key)
    if request.mode is Mode.SUBSCRIBE and not exists:
        _call(client, "GET", denial_url(request, "there is no such feed"))
        return _drop(app, pending, "there is no such feed")
    if request.mode is Mode.UNSUBSCRIBE and not is_known:
        return _drop(app, pending, "it does not follow")
    challenge = secrets.token_urlsafe(32)
    answer = _call(client, "GET", verification_url(request, challenge))
    if answer.is_lost:
        return _ask_later(app, pending, answer.problem)
    if not is_confirmed(answer.status, answer.body, challenge):
        return _drop(app, pending, answer.problem or "it did not repeat the challenge")
    with app.transaction() as tx:
        is_current = storage.take_request(tx.session, pending)
        if is_current and request.mode is Mode.SUBSCRIBE:
            storage.save_follower(tx.session, pending, lease_until=tx.now + request.lease, now=tx.now)
        elif is_current:
            storage.remove_follower(tx.session, request.key)
    return is_current


def _ask_later(app: App, pending: PendingRequest, problem: str) -> bool:
    wait = next_try(pending.attempts + 1, jitter=random.random(), retries=VERIFICATION_RETRIES)  # noqa: S311  no secret
    if wait is None:
        return _drop(app, pending, problem)
    with app.transaction() as tx:
        storage.postpone_request(tx.session, pending, due_at=tx.now + wait)
    return False


def _drop(app: App, pending: PendingRequest, why: str) -> bool:
    with app.transaction() as tx:
        storage.take_request(tx.session, pending)
    log.info("websub_not_confirmed", document=pending.document, mode=pending.request.mode, why=why)
    return False


def _push(app: App, client: httpx.Client) -> list[bool]:
    with app.transaction() as tx:
        claimed = storage.claim_pushes(tx.session, now=tx.now, until=tx.now + LEASE, limit=ROUND)
    bodies: dict[str, bytes | None] = {}
    with app.reading() as tx:
        for name in {each.document for each in claimed}:
            document = read_document(tx, name)
            bodies[name] = None if document is None else document.body
    return _by_host(
        claimed, lambda each: each.callback, lambda each: _push_one(app, client, each, bodies[each.document])
    )


def _push_one(app: App, client: httpx.Client, follower: Follower, body: bytes | None) -> bool:
    """Call a follower with the whole document as it is now."""
    if body is None:
        _call(client, "GET", denial_url(_as_request(follower), "this feed is closed"))
        _end(app, follower, "its feed is gone")
        return False
    headers = {
        "content-type": _content_type(follower.document),
        "link": f'<{app.settings.hub_url}>; rel="hub", <{follower.topic}>; rel="self"',
    }
    if follower.secret is not None:
        secret = unseal(follower.secret, app.settings.lasting_secret, of=follower.key)
        if secret is None:
            # Unsigned it would be thrown away, by those who check.
            return _fail(app, follower, "its secret was sealed under another NEWSLETTER_SECRET_KEY")
        headers["x-hub-signature"] = signature(secret, body)
    answer = _call(client, "POST", follower.callback, headers=headers, body=body)
    if is_success(answer.status):
        with app.transaction() as tx:
            storage.settle_push(tx.session, follower, now=tx.now)
        return True
    if answer.status == GONE:
        _end(app, follower, "it answered 410")
        return False
    return _fail(app, follower, answer.problem)


def _fail(app: App, follower: Follower, problem: str) -> bool:
    attempts = follower.attempts + 1
    with app.transaction() as tx:
        if follower.failing_since is not None and tx.now - follower.failing_since >= DEAD_AFTER:
            storage.remove_follower(tx.session, follower.key)
            log.info("websub_follower_dropped", document=follower.document, why=problem)
            return False
        wait = next_try(attempts, jitter=random.random())  # noqa: S311  spreads calls, guards nothing
        storage.fail_push(
            tx.session,
            follower,
            problem,
            due_at=None if wait is None else tx.now + wait,
            attempts=0 if wait is None else attempts,
            now=tx.now,
        )
    return False


def _end(app: App, follower: Follower, why: str) -> None:
    with app.transaction() as tx:
        storage.remove_follower(tx.session, follower.key)
    log.info("websub_follower_dropped", document=follower.document, why=why)


def _as_request(follower: Follower) -> HubRequest:
    return HubRequest(Mode.SUBSCRIBE, follower.topic, follower.callback)


def _ping(app: App, client: httpx.Client) -> None:
    """Tell another's hub which feeds changed, in one request (as its publishers always have)."""
    with app.reading() as tx:
        pings = storage.due_pings(tx.session, now=tx.now, limit=ROUND)
        topics = [topic for ping in pings if (topic := topic_of(tx, ping.document))]
    if not pings or app.settings.hub in ("own", "none"):
        return
    if not topics:  # all of them are gone meanwhile
        with app.transaction() as tx:
            storage.settle_pings(tx.session, pings)
        return
    form = httpx.QueryParams([("hub.mode", "publish"), *(("hub.url", topic) for topic in topics)])
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = _call(client, "POST", app.settings.hub_url, headers=headers, body=str(form).encode())
    with app.transaction() as tx:
        if is_success(answer.status):
            storage.settle_pings(tx.session, pings)
            return
        wait = next_try(max(ping.attempts for ping in pings) + 1, jitter=random.random())  # noqa: S311  spreads calls
        storage.postpone_pings(tx.session, pings, due_at=None if wait is None else tx.now + wait)
    log.warning("hub_not_told", hub=app.settings.hub_url, problem=answer.problem, documents=len(pings))


def topic_of(tx: Transaction, name: str) -> str | None:
    """Return the address of a document that can be followed; None: there is none of that name."""
    slug, _, suffix = name.rpartition(".")
    feed = load_feed(tx.session, slug)
    if feed is None or not is_pushed(name):
        return None
    return feed_address(tx.settings.base_url, feed.stem, suffix, feed.query)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a callback answered; *status* 0: it did not, and *is_lost* says that it may the next time."""

    status: int
    body: bytes = b""
    problem: str = ""

    @property
    def is_lost(self) -> bool:
        """Whether asking again may help."""
        return self.status == 0 or self.status >= 500  # noqa: PLR2004  RFC 9110, 15.6


def _call(
    client: httpx.Client, method: str, url: str, *, headers: dict[str, str] | None = None, body: bytes | None = None
) -> _Answer:
    """Call a callback once; whatever happens is an answer. No redirect is followed (5.3, 7)."""
    try:
        with client.stream(method, url, headers=headers, content=body) as response:
            said = read_body(response, most=MOST_ANSWERED) if method == "GET" else b""
            problem = "" if is_success(response.status_code) else f"it answered {response.status_code}"
            return _Answer(response.status_code, said, problem)
    except PermanentError as error:
        return _Answer(400, problem=str(error))
    except (httpx.HTTPError, httpx.InvalidURL, NewsletterError) as error:
        return _Answer(0, problem=f"{type(error).__name__}: {error}")


Claimed = TypeVar("Claimed")


def _by_host(
    claimed: Sequence[Claimed], callback: Callable[[Claimed], str], act: Callable[[Claimed], bool]
) -> list[bool]:
    """Act on each of *claimed*, several hosts at a time, so that a slow host makes few others wait."""
    hosts: dict[str, list[Claimed]] = defaultdict(list)
    for each in claimed:
        hosts[urlsplit(callback(each)).netloc.lower()].append(each)
    if not hosts:
        return []

    def act_on_all(group: list[Claimed]) -> list[bool]:
        return [act(each) for each in group]

    with ThreadPoolExecutor(min(AT_ONCE, len(hosts)), thread_name_prefix="newsletter-push") as pool:
        return [outcome for outcomes in pool.map(act_on_all, hosts.values()) for outcome in outcomes]


def _content_type(name: str) -> str:
    form = FeedFormat(name.rpartition(".")[2])
    return form.media_type if form is FeedFormat.JSON else f"{form.media_type}; charset=utf-8"
