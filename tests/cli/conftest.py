"""What tests of the command line share: the newsroom that tests of services are written with, and quiet afterwards."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

sys.path.append(str(Path(__file__).parents[1] / "services"))


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    """Put the configuration of logs back: a command writes them to its own standard error, which is closed later."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
