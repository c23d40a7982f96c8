"""What chaos scenarios share: servers that may be killed, one installation, one edition, and the table at the end.

All of it lives as long as this folder's tests: workers that wait for nothing still tick sixty times as often as usual.
"""

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from chaos_ledger import Ledger
from chaos_newsroom import chaos_settings, fan_out_newsroom
from chaos_processes import Processes, processes
from chaos_relay import ChaosRelay
from chaos_scenario import CONNECTIONS, Chaos, table
from chaos_servers import Postgres, Valkey, running

from newsletter.bootstrap import build_app
from newsletter.config import Settings
from newsletter.dispatch import RecordingDispatcher
from newsletter.services.context import App

SCALE = float(os.environ.get("NEWSLETTER_TEST_CHAOS_SCALE", "1"))
SEED = int(os.environ.get("NEWSLETTER_TEST_CHAOS_SEED", "1"))
MOST_DELIVERIES = 2000
"""What the longest scenario sends, at scale 1."""
TIMEOUT_SECONDS = 2
"""How long an answer of the relay is waited for."""
FOLDER = Path(__file__).parent
OWN_WORKERS = "own_workers"
"""The fixture of scenarios that start other processes than the usual ones."""
ROW = "chaos"
"""Under this name a scenario's report carries its row, from whatever process ran it."""


@pytest.fixture(scope="package")
def postgres() -> Iterator[Postgres]:
    with running(Postgres, "nl-chaos-pg-") as server:
        yield server


@pytest.fixture(scope="package")
def valkey() -> Iterator[Valkey]:
    with running(Valkey, "nl-chaos-valkey-") as server:
        yield server


@pytest.fixture(scope="package")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosRelay]:
    with ChaosRelay(tmp_path_factory.mktemp("relay") / "journal") as relay:
        yield relay


@pytest.fixture(scope="package")
def installation(
    postgres: Postgres, valkey: Valkey, relay: ChaosRelay, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """The settings of the one installation, its edition fanned out."""
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute("create database chaos")
    settings = chaos_settings(
        tmp_path_factory.mktemp("home"),
        database_url=postgres.url("chaos"),
        broker_url=valkey.url,
        smtp_url=f"smtp://127.0.0.1:{relay.port}?tls=off&timeout={TIMEOUT_SECONDS}&connections={CONNECTIONS}",
    )
    fan_out_newsroom(settings, round(MOST_DELIVERIES * SCALE), seed=SEED)
    return settings


@pytest.fixture(scope="package")
def ledger(installation: Settings) -> Ledger:
    return Ledger(installation.database_url)


@pytest.fixture(scope="package")
def app(installation: Settings) -> Iterator[App]:
    """The service in this process, for what no other process does."""
    app = build_app(installation, dispatcher=RecordingDispatcher())
    yield app
    app.database.dispose()


@pytest.fixture(scope="package")
def service(app: App, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Two workers and a beat, which live through all scenarios unless they are killed."""
    with processes(environment_of(app.settings), tmp_path_factory.mktemp("service")) as started:
        yield started
        started.stop()


@dataclass(frozen=True)
class Servers:
    """What the service talks to."""

    relay: ChaosRelay
    postgres: Postgres
    valkey: Valkey


@pytest.fixture(scope="package")
def servers(relay: ChaosRelay, postgres: Postgres, valkey: Valkey) -> Servers:
    return Servers(relay, postgres, valkey)


@pytest.fixture
def longer_run() -> None:
    """What only a longer run has time for: those that belong to every change stay under two minutes."""
    if SCALE <= 1:
        pytest.skip("make chaos SCALE=2, or more, runs it")


@pytest.fixture
def own_workers(service: Processes) -> Iterator[None]:
    """No workers and no beat but those that the scenario starts; they end with it."""
    service.stop()
    yield
    service.end()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let scenarios with workers of their own come last here, since others start theirs anew after each of them."""
    places = [number for number, item in enumerate(items) if item.path.parent == FOLDER]
    ours = sorted((items[place] for place in places), key=lambda item: OWN_WORKERS in getattr(item, "fixturenames", ()))
    for place, item in zip(places, ours, strict=True):
        items[place] = item


@pytest.fixture
def chaos(
    app: App, ledger: Ledger, service: Processes, servers: Servers, request: pytest.FixtureRequest
) -> Iterator[Chaos]:
    """One scenario; if it fails, the next one begins with new processes."""
    if OWN_WORKERS not in request.fixturenames:
        service.complete()
    scenario = Chaos(
        app=app,
        ledger=ledger,
        relay=servers.relay,
        processes=service,
        postgres=servers.postgres,
        valkey=servers.valkey,
        chance=random.Random(f"{SEED} {request.node.name}"),
        scale=SCALE,
    )
    yield scenario
    request.node.user_properties.append((ROW, scenario.row))
    if scenario.is_under_way:
        service.end()


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the variables that give other processes these settings."""
    told = settings.model_dump(include=settings.model_fields_set)
    return {f"NEWSLETTER_{name}".upper(): str(value) for name, value in told.items()}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the scenarios found, in the order in which they are written down."""
    reports = [report for status in ("passed", "") for report in terminalreporter.stats.get(status, ())]
    found = {report.location: row for report in reports for name, row in report.user_properties if name == ROW and row}
    if found:
        terminalreporter.section(f"chaos: scale {SCALE:g}, seed {SEED}")
        for line in table(row for _, row in sorted(found.items())):
            terminalreporter.write_line(line)
