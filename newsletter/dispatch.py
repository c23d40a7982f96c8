"""Doorbells: names of the tasks that services ring after commit, and who hears them.

A doorbell says that work may exist and carries at most an id. Losing, repeating or reordering one changes nothing
but the delay, because the work itself is found in SQL.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import structlog

log = structlog.get_logger()


class Queue(StrEnum):
    """Celery queues, by duty; each is consumed by a named worker of docker-compose.yml."""

    TICK = "tick"
    FEEDS = "feeds"
    EDITIONS = "editions"
    TRANSACTIONAL = "transactional"
    BULK = "bulk"


class Doorbell(StrEnum):
    """Task names; explicit, so that code can move while messages are in flight."""

    TICK = "nl.tick"
    ARTICLE_CHANGED = "nl.article_changed"
    REBUILD_FEEDS = "nl.rebuild_feeds"
    COMPILE_EDITION = "nl.compile_edition"
    FAN_OUT_EDITION = "nl.fan_out_edition"
    SEND_BULK = "nl.send_bulk"
    SEND_TRANSACTIONAL = "nl.send_transactional"


QUEUE_OF: Mapping[Doorbell, Queue] = {
    Doorbell.TICK: Queue.TICK,
    Doorbell.ARTICLE_CHANGED: Queue.FEEDS,
    Doorbell.REBUILD_FEEDS: Queue.FEEDS,
    Doorbell.COMPILE_EDITION: Queue.EDITIONS,
    Doorbell.FAN_OUT_EDITION: Queue.EDITIONS,
    Doorbell.SEND_BULK: Queue.BULK,
    Doorbell.SEND_TRANSACTIONAL: Queue.TRANSACTIONAL,
}


@dataclass(frozen=True, slots=True)
class Ring:
    """One ring of a doorbell; *subject* is the id of what changed, None where the work is found by looking."""

    doorbell: Doorbell
    subject: int | None = None


class Dispatcher(Protocol):
    """Whoever hears doorbells."""

    def ring(self, ring: Ring) -> None:
        """Pass *ring* on; never raises, since the data is already safe and the tick finds what is missed."""
        ...


Handler = Callable[[int | None], object]


@dataclass(slots=True)
class InProcessDispatcher:
    """The embedded dispatcher: remembers rings, each once, until `drain` runs their handlers in this process."""

    handlers: Mapping[Doorbell, Handler] = field(default_factory=dict)
    _waiting: dict[Ring, None] = field(default_factory=dict)

    def ring(self, ring: Ring) -> None:
        """Remember *ring*; the same one waiting already is enough."""
        self._waiting.setdefault(ring)

    def drain(self) -> int:
        """Run handlers until nothing waits, those that they ring too; return how many ran.

        A handler that fails is logged and does not stop the others: the next tick finds its work again.
        """
        count = 0
        while self._waiting:
            ring = next(iter(self._waiting))
            del self._waiting[ring]
            count += 1
            try:
                self.handlers[ring.doorbell](ring.subject)
            except Exception:
                log.exception("task_failed", task=ring.doorbell.value, subject=ring.subject)
        return count


@dataclass(slots=True)
class RecordingDispatcher:
    """Keeps what was rung, for tests."""

    rings: list[Ring] = field(default_factory=list)

    def ring(self, ring: Ring) -> None:
        """Note *ring*."""
        self.rings.append(ring)
