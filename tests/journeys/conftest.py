"""What journeys share: the command that starts at once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefork import ready_command


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for PATH with a `newsletter` that starts at once, for whoever types dozens of commands."""
    with ready_command(tmp_path_factory.mktemp("programs")) as folder:
        yield folder
