"""The embedded worker: tick and doorbells in this process, instead of Celery's beat and workers."""

import threading
import time
from collections.abc import Callable
from typing import Self

import structlog

from newsletter.dispatch import TICK_SECONDS, Doorbell, InProcessDispatcher, Ring
from newsletter.errors import TransientError
from newsletter.services.context import App
from newsletter.services.sweeping import sweep

log = structlog.get_logger()

POLL_SECONDS = 0.5
"""How soon a doorbell that another thread rang is answered."""


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
    """Answers doorbells and ticks on a thread of its own, until it is stopped; use it as a context manager.

    It ticks, and can be stopped, between any two answers: sending a long edition rings for its next slice each time.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="newsletter-worker", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        next_tick = time.monotonic()
        while not self._stop.is_set():
            if time.monotonic() >= next_tick:
                self._app.dispatcher.ring(Ring(Doorbell.TICK))
                next_tick = time.monotonic() + TICK_SECONDS
            if not _answer_next(self._app):
                self._stop.wait(POLL_SECONDS)


def _answer_next(app: App) -> bool:
    return isinstance(app.dispatcher, InProcessDispatcher) and app.dispatcher.answer_next()
