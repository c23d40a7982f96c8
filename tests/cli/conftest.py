"""What tests of the command line share: the newsroom that tests of services are written with, and quiet afterwards."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from desk import Desk

sys.path.append(str(Path(__file__).parents[1] / "services"))


@pytest.fixture(autouse=True, scope="module")
def logs_of_module() -> Iterator[None]:
    """Put the configuration of logs back: a command writes them to its own standard error, which is closed later.

    Before any other fixture of a module, since some of those run commands too.
    """
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    """Do the same after each test."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture
def desk(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk in an empty home."""
    return Desk(home, tmp_path, monkeypatch)
