"""The embedded worker: tick and doorbells in this process, instead of Celery's beat and workers."""

import threading
import time
from collections.abc import Callable, Collection
from typing import Self

import structlog

from newsletter.dispatch import TICK_SECONDS, Doorbell, InProcessDispatcher, Queue, Ring
from newsletter.errors import TransientError
from newsletter.services.context import App
from newsletter.services.sweeping import sweep

log = structlog.get_logger()

POLL_SECONDS = 0.5
"""How long a thread without work sleeps; a doorbell wakes it."""
SLOW_QUEUES = {Queue.INGEST: 4, Queue.PUSHES: 1}
"""What waits for other people's servers, which must not delay a mail, and how many threads it has for that.

Neither waits for the other: a sick source leaves followers of feeds alone, a slow follower the sources. One thread
calls several followers at once.
"""
MAIL_QUEUES = (Queue.TRANSACTIONAL, Queue.BULK)
"""Lanes with a thread each: a confirmation waits for no digest, a tick for neither, whatever the relay does."""
OWN_QUEUES = tuple(queue for queue in Queue if queue not in (*SLOW_QUEUES, *MAIL_QUEUES))
STOP_SECONDS = 2.0
MAIL_STOP_SECONDS = 30.0
"""How long the answer to a dot is awaited at the end; one that comes later leaves its mail in doubt."""


def run_until_idle(app: App) -> int:
    """Tick once, then answer doorbells until none is left; return how many were answered.

    With a broker nothing is done here: the workers answer.
    """
    if not isinstance(app.dispatcher, InProcessDispatcher):
        return 0
    app.dispatcher.ring(Ring(Doorbell.TICK))
    answered = app.dispatcher.drain()
    app.dispatcher.ring(Ring(Doorbell.TICK))  # what the first round sent is done now
    return answered + app.dispatcher.drain()


def work_off(app: App, *, should_stop: Callable[[], bool]) -> None:
    """Do what waits to be done and open nothing: sweep, answer doorbells until none is left, and look once more.

    Between any two answers it may be stopped. With a broker nothing is done here: the workers answer.
    """
    if not isinstance(app.dispatcher, InProcessDispatcher):
        return
    for _ in range(2):  # what the first round sent is done in the second
        if should_stop():
            return
        try:
            sweep(app)
        except TransientError as error:
            log.warning("sweep_failed", error=str(error))
        while not should_stop() and app.dispatcher.answer_next():
            pass


def answer_doorbells(app: App) -> int:
    """Answer the doorbells rung so far in this process, if nobody else hears them; return how many."""
    return app.dispatcher.drain() if isinstance(app.dispatcher, InProcessDispatcher) else 0


class EmbeddedWorker:
    """Answers doorbells and ticks on threads of its own, until it is stopped; use it as a context manager.

    It ticks, and can be stopped, between any two answers. Mail has a thread for each lane, which ends its slice as soon
    as somebody asks to stop. What waits for other people's servers has threads of its own, which are not waited for at
    the end: whatever they were about is done again.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="newsletter-worker", daemon=True)
        self._mailers = [
            threading.Thread(target=self._answer, args=((queue,),), name=f"newsletter-mailer-{queue}", daemon=True)
            for queue in MAIL_QUEUES
        ]
        self._askers = [
            threading.Thread(target=self._answer, args=((queue,),), name=f"newsletter-{queue}-{number}", daemon=True)
            for queue, count in SLOW_QUEUES.items()
            for number in range(count)
        ]

    def __enter__(self) -> Self:
        if isinstance(self._app.dispatcher, InProcessDispatcher):
            self._app.dispatcher.stopping.clear()
        for thread in (self._thread, *self._mailers, *self._askers):
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if isinstance(self._app.dispatcher, InProcessDispatcher):
            self._app.dispatcher.stopping.set()
            self._app.dispatcher.wake()
        self._thread.join()
        for thread in self._mailers:
            thread.join(MAIL_STOP_SECONDS)
        for thread in self._askers:
            thread.join(STOP_SECONDS)

    def _run(self) -> None:
        next_tick = time.monotonic()
        while not self._stop.is_set():
            if time.monotonic() >= next_tick:
                self._app.dispatcher.ring(Ring(Doorbell.TICK))
                next_tick = time.monotonic() + TICK_SECONDS
            self._answer_one(OWN_QUEUES)

    def _answer(self, queues: Collection[Queue]) -> None:
        while not self._stop.is_set():
            self._answer_one(queues)

    def _answer_one(self, queues: Collection[Queue]) -> None:
        """Answer the next doorbell of *queues*, or wait for one for a moment."""
        dispatcher = self._app.dispatcher
        if not isinstance(dispatcher, InProcessDispatcher):
            self._stop.wait(POLL_SECONDS)
        elif not dispatcher.answer_next(queues):
            dispatcher.wait(POLL_SECONDS)
