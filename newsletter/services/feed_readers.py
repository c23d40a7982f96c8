"""Feeds' readers: noted in memory as they poll, written down now and then, told as an estimate."""

import hashlib
import threading
from collections.abc import Callable
from datetime import UTC, date, timedelta

from newsletter.domain.feed_readers import DIRECT, DayOfFeed, FeedReaders, poller_of, readers_of
from newsletter.services.context import App
from newsletter.storage import feed_readers as storage

WRITTEN_EVERY_SECONDS = 60.0
MOST_FEEDS = 2000
"""Feeds noted in one process between two writings; of more, the rest is not counted."""

LOOK_BACK = timedelta(days=7)
KEPT = timedelta(days=60)


class PollNotes:
    """What one process has seen of pollers since it last wrote that down."""

    def __init__(self, app: App, monotonic: Callable[[], float]) -> None:
        self._app, self._monotonic = app, monotonic
        self._noted: dict[tuple[str, date], DayOfFeed] = {}
        self._written_at = monotonic()
        self._lock = threading.Lock()
        self._key = hashlib.sha256(b"newsletter feed readers " + app.settings.secret).digest()

    def note(self, feed: str, agent: str, network: str) -> bool:
        """Note one poll; say whether it is time to write down. Takes some microseconds and asks nobody."""
        poller = poller_of(agent)
        if poller is None:
            return False
        today = self._app.clock().astimezone(UTC).date()
        with self._lock:
            there = self._noted.get((feed, today))
            if there is None:
                if len(self._noted) >= MOST_FEEDS:
                    return False
                there = self._noted[feed, today] = DayOfFeed()
            if poller.aggregator == DIRECT:
                there.direct.add(self._hash(today, network, agent))
            else:
                there.stated[poller.aggregator] = max(poller.stated, there.stated.get(poller.aggregator, 0))
            if self._monotonic() - self._written_at < WRITTEN_EVERY_SECONDS:
                return False
            self._written_at = self._monotonic()
            return True

    def write(self) -> None:
        """Write down what was noted; what cannot be written is forgotten, for it is an estimate."""
        with self._lock:
            noted, self._noted = self._noted, {}
        if not noted:
            return
        with self._app.transaction() as tx:
            storage.add_days(tx.session, noted)
            storage.forget_days(tx.session, before=tx.now.astimezone(UTC).date() - KEPT)

    def _hash(self, day: date, network: str, agent: str) -> int:
        """Return a hash by which a poller is the same for one day, and nobody's on the next."""
        told = f"{day} {network} {agent}".encode()
        return int.from_bytes(hashlib.blake2b(told, digest_size=8, key=self._key).digest())


def estimate_readers(app: App) -> list[FeedReaders]:
    """Return about how many read each feed, by the last week's polls; the feed with most readers first."""
    with app.reading() as tx:
        found = storage.load_days(tx.session, since=(tx.now.astimezone(UTC) - LOOK_BACK).date())
    return sorted((readers_of(feed, days) for feed, days in found.items()), key=lambda each: (-each.total, each.feed))
