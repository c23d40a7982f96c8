"""Checks: a worker's health, as docker-compose.yml asks for it, is that somebody ticks."""

from dataclasses import replace
from pathlib import Path

import pytest

from newsletter.services.checks import Level, examine
from newsletter.services.context import App
from newsletter.services.tick import HEARTBEAT
from newsletter.storage.engine import connect
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


def test_a_broker_is_asked_and_one_that_does_not_answer_is_named(worker: App, app: App):
    (silent,) = (each for each in examine(worker) if each.check == "broker")

    assert Level.ERROR == silent.level
    assert "127.0.0.1:1" in silent.found
    assert "NEWSLETTER_BROKER_URL" in silent.remedy
    assert "broker" not in {each.check for each in examine(app)}, "the embedded service has none"


@pytest.mark.slow
def test_a_broker_that_answers_is_well(app: App, broker_url: str):
    asking = replace(app, settings=app.settings.model_copy(update={"broker_url": broker_url}))

    assert [Level.OK] == [each.level for each in examine(asking) if each.check == "broker"]


def test_a_database_without_tables_is_a_line_with_its_remedy(app: App, tmp_path: Path):
    empty = connect(f"sqlite:///{tmp_path / 'empty.db'}")
    try:
        found = list(examine(replace(app, database=empty)))
    finally:
        empty.dispose()

    assert ["run `newsletter db upgrade`"] == [each.remedy for each in found if each.check == "schema"]
    assert "DNS" in {each.check for each in found}, "the others are looked at still"


def level_of_tick(app: App) -> Level:
    (finding,) = (each for each in examine(app) if each.check == "tick")
    return finding.level
