"""Hubs of sources (WebSub): subscribes where a source offers one, and hears when it has news."""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import structlog

from newsletter.config import Settings
from newsletter.dispatch import Doorbell
from newsletter.domain.sources import HubState, SourceState
from newsletter.errors import NewsletterError
from newsletter.ingest.document import FeedFacts
from newsletter.services.context import App
from newsletter.services.fetching import Fetched, post_form
from newsletter.storage import sources as storage
from newsletter.storage.engine import database_now
from newsletter.storage.sources import Poll

log = structlog.get_logger()

HUB_LEASE = timedelta(days=10)
SHORTEST_LEASE, LONGEST_LEASE = timedelta(hours=1), timedelta(days=30)
HUB_RENEWAL = timedelta(days=2)
HUB_RETRY = timedelta(days=1)
PUSHES_APART = timedelta(minutes=1)
"""A hub that pushes more often than this is answered, and its source read once a minute."""
ACCEPTED = 202
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_HASHES = frozenset({"sha1", "sha256", "sha384", "sha512"})


def tend_hub(app: App, poll: Poll, facts: FeedFacts, answer: Fetched, *, asked_at: datetime) -> None:
    """Subscribe at the hub that the source names, renew before it ends, once a day where it failed."""
    hub_url = answer.links.get("hub") or facts.hub_url or poll.hub_url
    topic = answer.links.get("self") or facts.self_url or poll.hub_topic or poll.url
    if not hub_url or not _is_reachable(app.settings):
        return
    is_same = (hub_url, topic) == (poll.hub_url, poll.hub_topic)
    lasts = poll.hub_until is not None and poll.hub_until - asked_at > HUB_RENEWAL
    asked_lately = poll.hub_at is not None and asked_at - poll.hub_at < HUB_RETRY
    if is_same and (lasts or asked_lately):
        return
    name = poll.hub_name if is_same and poll.hub_name else secrets.token_urlsafe(24)
    state = HubState.SUBSCRIBED if is_same and poll.hub_state is HubState.SUBSCRIBED else HubState.ASKED
    with app.transaction() as tx:  # before it is asked: it may verify while we still wait for its answer
        storage.save_hub(
            tx.session,
            poll.source_id,
            hub_state=state,
            hub_url=hub_url,
            hub_topic=topic,
            hub_name=name,
            hub_at=asked_at,
        )
    form = {
        "hub.mode": "subscribe",
        "hub.topic": topic,
        "hub.callback": f"{app.settings.base_url}/hooks/websub/{name}",
        "hub.lease_seconds": str(int(HUB_LEASE.total_seconds())),
        "hub.secret": hub_secret(app.settings, name),
    }
    try:
        status = post_form(app.settings, hub_url, form)
    except NewsletterError as error:
        log.warning("hub_not_asked", source=poll.slug, error=str(error))
        return
    if status != ACCEPTED:
        log.warning("hub_refused", source=poll.slug, status=status)


def hub_secret(settings: Settings, name: str) -> str:
    """Return what a hub signs its pushes to the callback *name* with; made of our key, so that none is stored."""
    return hmac.digest(settings.lasting_secret, f"newsletter hub {name}".encode(), hashlib.sha256).hex()


def confirm_hub(app: App, name: str, *, mode: str, topic: str, lease: timedelta) -> bool:
    """Answer a hub that asks whether we wanted what it is about to do; True: we did.

    A subscription counts from now, for *lease*. That it ends we never ask for, so only a source that is not polled any
    more lets it.
    """
    with app.transaction() as tx:
        poll = storage.find_poll_by_hub_name(tx.session, name)
        if mode == "unsubscribe":
            return poll is None or poll.state is not SourceState.ACTIVE
        if poll is None or mode != "subscribe" or poll.hub_topic != topic:
            return False
        if poll.hub_state not in (HubState.ASKED, HubState.SUBSCRIBED):
            return False
        until = database_now(tx.session) + min(max(lease, SHORTEST_LEASE), LONGEST_LEASE)
        storage.save_hub(tx.session, poll.source_id, hub_state=HubState.SUBSCRIBED, hub_until=until)
        return True


def deny_hub(app: App, name: str, *, topic: str) -> None:
    """Note that a hub will not tell us of a topic; the source is polled as before."""
    with app.transaction() as tx:
        poll = storage.find_poll_by_hub_name(tx.session, name)
        if poll is not None and poll.hub_topic == topic:
            storage.save_hub(tx.session, poll.source_id, hub_state=HubState.DENIED, hub_until=None)


def knows_hub(app: App, name: str) -> bool:
    """Say whether a callback's name belongs to a source that is polled."""
    with app.reading() as tx:
        poll = storage.find_poll_by_hub_name(tx.session, name)
        return poll is not None and poll.state is SourceState.ACTIVE


def hear_hub(app: App, name: str) -> None:
    """Ask a source now, since its hub says that it has news, which carries its signature. Rings `POLL_SOURCE`.

    What was pushed is not taken: the source's own address is asked, so that whoever learns our secret can make us look
    and cannot make us publish.
    """
    with app.transaction() as tx:
        poll = storage.find_poll_by_hub_name(tx.session, name)
        if poll is not None and poll.state is SourceState.ACTIVE:
            storage.hasten_poll(tx.session, poll.source_id, not_within=PUSHES_APART)
            tx.ring(Doorbell.POLL_SOURCE, poll.source_id)


class PushSignature:
    """Checks the signature of a push while its body comes in, of which nothing is kept (WebSub §8)."""

    def __init__(self, settings: Settings, name: str, header: str) -> None:
        method, _, self._claimed = header.strip().lower().partition("=")
        key = hub_secret(settings, name).encode()
        self._mac = hmac.new(key, digestmod=method) if method in _HASHES else None

    def update(self, piece: bytes) -> None:
        """Take the next piece of the body."""
        if self._mac is not None:
            self._mac.update(piece)

    @property
    def is_right(self) -> bool:
        """Whether whoever sent the body knows our secret."""
        return self._mac is not None and hmac.compare_digest(self._mac.hexdigest().encode(), self._claimed.encode())


def _is_reachable(settings: Settings) -> bool:
    """Say whether a hub could reach us."""
    return urlsplit(settings.base_url).hostname not in _LOCAL or bool(settings.reachable_networks)
