"""Checks: a worker's health, as docker-compose.yml asks for it, is that somebody ticks."""

from dataclasses import replace

import pytest

from newsletter.services.checks import Level, examine
from newsletter.services.context import App
from newsletter.services.tick import HEARTBEAT
from newsletter.storage.heartbeats import beat


@pytest.fixture
def worker(app: App) -> App:
    """The parts of a worker: the same, with a broker named."""
    return replace(app, settings=app.settings.model_copy(update={"broker_url": "redis://127.0.0.1:1/0"}))


def test_without_a_tick_workers_are_not_well(worker: App):
    assert Level.ERROR == level_of_tick(worker)


def test_without_a_tick_the_embedded_service_may_only_not_be_running(app: App):
    assert Level.WARNING == level_of_tick(app)


def test_with_a_tick_all_are_well(app: App, worker: App):
    with app.transaction() as tx:
        beat(tx.session, HEARTBEAT)

    assert [Level.OK, Level.OK] == [level_of_tick(app), level_of_tick(worker)]


def level_of_tick(app: App) -> Level:
    (finding,) = (each for each in examine(app) if each.check == "tick")
    return finding.level
