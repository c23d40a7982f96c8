"""What tests of services share: a newsroom; and the relay that misbehaves on order, which stands beside the client."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from newsletter.services.context import App

sys.path.append(str(Path(__file__).parents[1] / "mail"))

from newsroom import Newsroom


@pytest.fixture
def newsroom(app: App) -> Newsroom:
    """A newsroom with one weekly list and no readers, on both databases, at 08:00 on a Monday in Bishkek."""
    return Newsroom(app)


@pytest.fixture
def mailing_newsroom(app: App) -> Iterator[Newsroom]:
    """The same, with a real SMTP server as its relay; see `Newsroom.mails`."""
    newsroom = Newsroom(app)
    with newsroom.relay():
        yield newsroom
