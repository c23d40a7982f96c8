"""What tests of services share: a newsroom; and the relay that misbehaves on order, which stands beside the client."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prepared import Preparations

from newsletter.clock import Clock
from newsletter.config import Settings
from newsletter.dispatch import RecordingDispatcher
from newsletter.services.context import App
from newsletter.storage.engine import Database

sys.path.append(str(Path(__file__).parents[1] / "mail"))

from newsroom import Newsroom
from source_server import SourceServer, running_source


@pytest.fixture
def newsroom(app: App, preparations: Preparations) -> Newsroom:
    """A newsroom with one weekly list and no readers, on both databases, at 08:00 on a Monday in Bishkek."""
    preparations.once(app, begin)
    return Newsroom(app, has_begun=True)


def begin(app: App) -> None:
    Newsroom(app)


@pytest.fixture
def mailing_newsroom(app: App, preparations: Preparations) -> Iterator[Newsroom]:
    """The same, with a real SMTP server as its relay; see `Newsroom.mails`."""
    preparations.once(app, begin)
    newsroom = Newsroom(app, has_begun=True)
    with newsroom.relay():
        yield newsroom


@pytest.fixture
def postgresql_newsroom(
    postgresql_database: Database, settings: Settings, clock: Clock, dispatcher: RecordingDispatcher
) -> Newsroom:
    """The same on PostgreSQL alone, for what cannot happen where there is one writer."""
    return Newsroom(App(settings=settings, database=postgresql_database, clock=clock, dispatcher=dispatcher))


@pytest.fixture
def source() -> Iterator[SourceServer]:
    """A server of feeds and pages on this machine."""
    with running_source() as running:
        yield running


@pytest.fixture
def desk(app: App) -> App:
    """The app, which may ask loopback: the one network that tests may reach."""
    settings = app.settings.model_copy(update={"reachable_networks": ("127.0.0.0/8",)})
    return replace(app, settings=settings)
