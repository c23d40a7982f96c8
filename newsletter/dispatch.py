"""Doorbells: names of the tasks that services ring after commit, and who hears them.

A doorbell says that work may exist and carries at most an id. Losing, repeating or reordering one changes nothing
but the delay, because the work itself is found in SQL.
"""

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

import structlog

if TYPE_CHECKING:
    from celery import Celery  # 0.3 s to import, which the embedded service never needs

log = structlog.get_logger()

TICK_SECONDS = 15
VISIBILITY_SECONDS = 900


class Queue(StrEnum):
    """Celery queues, by duty; each is consumed by a named worker of docker-compose.yml."""

    TICK = "tick"
    FEEDS = "feeds"
    PUSHES = "pushes"
    EDITIONS = "editions"
    TRANSACTIONAL = "transactional"
    BULK = "bulk"
    INGEST = "ingest"


class Doorbell(StrEnum):
    """Task names; explicit, so that code can move while messages are in flight."""

    TICK = "nl.tick"
    ARTICLE_CHANGED = "nl.article_changed"
    REBUILD_FEEDS = "nl.rebuild_feeds"
    PUSH_FEEDS = "nl.push_feeds"
    COMPILE_EDITION = "nl.compile_edition"
    FAN_OUT_EDITION = "nl.fan_out_edition"
    SEND_BULK = "nl.send_bulk"
    SEND_TRANSACTIONAL = "nl.send_transactional"
    POLL_SOURCE = "nl.poll_source"


QUEUE_OF: Mapping[Doorbell, Queue] = {
    Doorbell.TICK: Queue.TICK,
    Doorbell.ARTICLE_CHANGED: Queue.FEEDS,
    Doorbell.REBUILD_FEEDS: Queue.FEEDS,
    Doorbell.PUSH_FEEDS: Queue.PUSHES,
    Doorbell.COMPILE_EDITION: Queue.EDITIONS,
    Doorbell.FAN_OUT_EDITION: Queue.EDITIONS,
    Doorbell.SEND_BULK: Queue.BULK,
    Doorbell.SEND_TRANSACTIONAL: Queue.TRANSACTIONAL,
    Doorbell.POLL_SOURCE: Queue.INGEST,
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
    """The embedded dispatcher: remembers rings, each once, until their handlers are run in this process.

    Any thread may ring, and any may answer. *stopping* is set when what is being answered should come to an end.
    """

    handlers: Mapping[Doorbell, Handler] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)
    _waiting: dict[Ring, None] = field(default_factory=dict)
    _lock: threading.Condition = field(default_factory=threading.Condition)

    def ring(self, ring: Ring) -> None:
        """Remember *ring*; the same one waiting already is enough."""
        with self._lock:
            self._waiting.setdefault(ring)
            self._lock.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait until a doorbell is rung, or somebody calls `wake`, or *seconds* have passed."""
        with self._lock:
            self._lock.wait(seconds)

    def wake(self) -> None:
        """End all waiting."""
        with self._lock:
            self._lock.notify_all()

    def answer_next(self, queues: Collection[Queue] = tuple(Queue)) -> bool:
        """Run the handler of what has waited longest in one of *queues*; say whether anything waited there.

        A handler that fails is logged and does not stop the others: the next tick finds its work again.
        """
        with self._lock:
            ring = next((each for each in self._waiting if QUEUE_OF[each.doorbell] in queues), None)
            if ring is None:
                return False
            del self._waiting[ring]
        try:
            self.handlers[ring.doorbell](ring.subject)
        except Exception:
            log.exception("task_failed", task=ring.doorbell.value, subject=ring.subject)
        return True

    def drain(self) -> int:
        """Run handlers until nothing waits, those that they ring too; return how many ran."""
        count = 0
        while self.answer_next():
            count += 1
        return count


def make_celery(broker_url: str, *, tick_seconds: float = TICK_SECONDS) -> "Celery":
    """Return the Celery application that workers run and that `CeleryDispatcher` sends through.

    Nothing depends on a message: no results, no late acknowledgement, no ETA, no retry. None expires, since a worker
    whose clock is ahead of beat's would drop every tick; that many may wait costs little, see `workers.pace`.
    """
    from celery import Celery  # noqa: PLC0415  see above

    celery = Celery("newsletter", broker=broker_url)
    celery.conf.update(
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_acks_late=False,
        task_routes={doorbell.value: {"queue": queue.value} for doorbell, queue in QUEUE_OF.items()},
        task_create_missing_queues=True,
        task_time_limit=1800,
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0.2},
        worker_prefetch_multiplier=1,
        worker_max_tasks_per_child=1000,
        worker_max_memory_per_child=400_000,  # KiB
        worker_hijack_root_logger=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # for ever: a worker that gave up would be one that nobody restarts
        broker_transport_options={
            "visibility_timeout": VISIBILITY_SECONDS,
            "global_keyprefix": "nl:",
            "socket_timeout": 10,
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            "health_check_interval": 25,
            "retry_on_timeout": True,
        },
        timezone="UTC",
        enable_utc=True,
        beat_schedule={
            "tick": {
                "task": Doorbell.TICK.value,
                "schedule": float(tick_seconds),
                "options": {"queue": Queue.TICK.value},
            }
        },
    )
    # A worker that puts back what it has fetched does so over the connection that it closes; where the broker is gone,
    # that error ends the worker. What is not put back comes again after `visibility_timeout`, or the tick rings anew.
    celery.connection_for_write().get_transport_cls().Channel.do_restore = False
    return celery


def probe_broker(broker_url: str) -> str | None:
    """Connect to the broker once, with a few seconds' patience, and return what went wrong; None: it answers."""
    try:
        with make_celery(broker_url).connection_for_write(transport_options=PROBED) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=PROBE_SECONDS)
    except Exception as error:  # noqa: BLE001  whatever the broker's libraries raise, it is what is wrong
        return str(error) or type(error).__name__
    return None


PROBE_SECONDS = 5
PROBED = {"socket_connect_timeout": PROBE_SECONDS, "socket_timeout": PROBE_SECONDS}


class CeleryDispatcher:
    """Sends doorbells through the broker; one that cannot be reached is logged, and the tick finds the work."""

    def __init__(self, celery: "Celery") -> None:
        self._celery = celery

    def ring(self, ring: Ring) -> None:
        """Send *ring* as a message that names at most an id."""
        subject: list[Any] = [] if ring.subject is None else [ring.subject]
        try:
            self._celery.send_task(ring.doorbell.value, args=subject)
        except Exception as error:  # noqa: BLE001  whatever the broker's libraries raise, the data is safe already
            log.warning("doorbell_lost", task=ring.doorbell.value, subject=ring.subject, error=str(error))


@dataclass(slots=True)
class RecordingDispatcher:
    """Keeps what was rung, for tests."""

    rings: list[Ring] = field(default_factory=list)

    def ring(self, ring: Ring) -> None:
        """Note *ring*."""
        self.rings.append(ring)
