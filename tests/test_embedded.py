"""The embedded worker: ticks and answers in this process, whatever happens to a single answer."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from newsletter import embedded
from newsletter.bootstrap import build_app
from newsletter.clock import Clock
from newsletter.config import Settings
from newsletter.dispatch import Doorbell, InProcessDispatcher, RecordingDispatcher, Ring
from newsletter.domain.filters import EVERYTHING
from newsletter.embedded import EmbeddedWorker, answer_doorbells, run_until_idle
from newsletter.services.context import App
from newsletter.services.tick import HEARTBEAT
from newsletter.storage.heartbeats import heartbeat_age
from newsletter.storage.lists import intern_filter


class Bells(InProcessDispatcher):
    """Counts what is answered."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Doorbell] = []
        self.handlers = {doorbell: lambda _, doorbell=doorbell: self.heard.append(doorbell) for doorbell in Doorbell}

    def answer(self, doorbell: Doorbell, handler: Callable[[int | None], object]) -> None:
        """Let *handler* answer from now on."""
        self.handlers = {**self.handlers, doorbell: handler}


@pytest.fixture
def bells() -> Bells:
    return Bells()


@pytest.fixture
def embedded_app(app: App, bells: Bells, monkeypatch: pytest.MonkeyPatch) -> App:
    """An App whose doorbells are heard in this process, and quickly."""
    monkeypatch.setattr(embedded, "POLL_SECONDS", 0.005)
    return replace(app, dispatcher=bells)


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_running_until_idle_ticks_answers_and_looks_once_more(embedded_app, bells):
    bells.answer(Doorbell.TICK, lambda _: [bells.heard.append(Doorbell.TICK), bells.ring(Ring(Doorbell.SEND_BULK))])

    assert 4 == run_until_idle(embedded_app)
    assert [Doorbell.TICK, Doorbell.SEND_BULK] * 2 == bells.heard


def test_with_a_broker_nothing_is_answered_here(app):
    dispatcher = RecordingDispatcher()
    with_broker = replace(app, dispatcher=dispatcher)

    assert (0, 0) == (run_until_idle(with_broker), answer_doorbells(with_broker))
    assert [] == dispatcher.rings


def test_the_worker_ticks_at_once_and_answers_what_others_ring(embedded_app, bells):
    with EmbeddedWorker(embedded_app):
        wait_until(lambda: bells.heard == [Doorbell.TICK])
        bells.ring(Ring(Doorbell.SEND_TRANSACTIONAL))
        wait_until(lambda: bells.heard == [Doorbell.TICK, Doorbell.SEND_TRANSACTIONAL])


def test_an_answer_that_fails_does_not_end_the_worker(embedded_app, bells):
    def fail(_: int | None) -> None:
        raise RuntimeError("a template is wrong")

    bells.answer(Doorbell.COMPILE_EDITION, fail)
    with EmbeddedWorker(embedded_app):
        bells.ring(Ring(Doorbell.COMPILE_EDITION, 1))
        bells.ring(Ring(Doorbell.SEND_BULK))
        wait_until(lambda: Doorbell.SEND_BULK in bells.heard)


def test_a_long_edition_stops_neither_the_tick_nor_the_worker(embedded_app, bells, monkeypatch):
    """Each slice of it rings for the next one."""
    monkeypatch.setattr(embedded, "TICK_SECONDS", 0.01)

    def send(_: int | None) -> None:
        time.sleep(0.002)
        bells.ring(Ring(Doorbell.SEND_BULK))

    bells.answer(Doorbell.SEND_BULK, send)
    bells.ring(Ring(Doorbell.SEND_BULK))
    with EmbeddedWorker(embedded_app):
        wait_until(lambda: bells.heard.count(Doorbell.TICK) >= 3)

    assert not [each for each in threading.enumerate() if each.name == "newsletter-worker"]


@pytest.mark.parametrize("stuck", [Doorbell.SEND_BULK, Doorbell.SEND_TRANSACTIONAL])
def test_a_lane_of_mail_that_hangs_delays_neither_the_other_nor_the_tick(embedded_app, bells, monkeypatch, stuck):
    monkeypatch.setattr(embedded, "TICK_SECONDS", 0.01)
    others = {Doorbell.SEND_BULK, Doorbell.SEND_TRANSACTIONAL, Doorbell.FAN_OUT_EDITION} - {stuck}
    released = threading.Event()
    bells.answer(stuck, lambda _: released.wait(5))
    with EmbeddedWorker(embedded_app):
        bells.ring(Ring(stuck))
        for doorbell in others:
            bells.ring(Ring(doorbell))
        wait_until(lambda: others <= set(bells.heard) and bells.heard.count(Doorbell.TICK) >= 3)
        assert not released.is_set()
        released.set()


@pytest.mark.parametrize("stuck", [Doorbell.POLL_SOURCE, Doorbell.PUSH_FEEDS])
def test_other_peoples_servers_that_hang_delay_neither_mail_nor_each_other(embedded_app, bells, stuck):
    others = set(Doorbell) - {stuck, Doorbell.TICK}
    released = threading.Event()
    bells.answer(stuck, lambda _: released.wait(5))
    with EmbeddedWorker(embedded_app):
        for subject in range(10):
            bells.ring(Ring(stuck, subject))
        for doorbell in others:
            bells.ring(Ring(doorbell))
        wait_until(lambda: others <= set(bells.heard))
        assert not released.is_set()
        released.set()


def test_a_slice_hears_that_the_worker_stops(embedded_app, bells):
    begun = threading.Event()

    def send(_: int | None) -> None:
        begun.set()
        assert bells.stopping.wait(5)
        bells.heard.append(Doorbell.SEND_BULK)

    bells.answer(Doorbell.SEND_BULK, send)
    with EmbeddedWorker(embedded_app):
        bells.ring(Ring(Doorbell.SEND_BULK))
        assert begun.wait(5)

    assert Doorbell.SEND_BULK in bells.heard


@pytest.mark.slow
def test_the_composition_root_makes_a_service_that_runs_by_itself(settings: Settings, clock: Clock):
    """Nothing is configured: the database is made, and every doorbell has somebody who answers it."""
    app = build_app(settings, clock=clock)
    run_until_idle(app)

    with app.transaction() as tx:
        assert heartbeat_age(tx.session, HEARTBEAT) is not None
        assert intern_filter(tx.session, EVERYTHING)
    assert isinstance(app.dispatcher, InProcessDispatcher)
    assert set(Doorbell) == set(app.dispatcher.handlers)
    assert not app.relays
    app.database.dispose()
