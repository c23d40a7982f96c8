"""Golden files: compared by default, written anew with --update-golden."""

from collections.abc import Callable
from pathlib import Path

import pytest

OPTION = "--update-golden"


def pytest_addoption(parser):
    parser.addoption(OPTION, action="store_true", help="write tests/rendering/golden anew; review the diff")


@pytest.fixture
def golden(request) -> Callable[[str, str], None]:
    """Compare *actual* with the golden file *name*, or write it when asked to."""

    def compare(name: str, actual: str) -> None:
        path = Path(__file__).parent / "golden" / name
        if request.config.getoption(OPTION, default=False):
            path.parent.mkdir(exist_ok=True)
            path.write_text(actual, encoding="utf-8")
        assert path.read_text(encoding="utf-8") == actual

    return compare
