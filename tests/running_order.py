"""In which order the tests of a run come, so that its processes end together and none waits for another's long test.

pytest-xdist gives each process an equal stretch of all tests; who is done takes over the end of another's. So each
stretch begins with long tests and ends with short ones, whatever chance does within the two.
"""

from collections.abc import Callable, Hashable, Sequence
from itertools import islice
from typing import TypeVar

import pytest

TOGETHER = "chaos"
"""A folder whose tests share servers and workers, which are started once for all of them."""

Test = TypeVar("Test")


def put_in_order(items: list[pytest.Item], config: pytest.Config) -> None:
    """Order the collected tests for as many processes as this run has; each of them comes to the same order."""
    processes = getattr(config, "workerinput", {"workercount": 1})["workercount"]
    items[:] = in_stretches(items, processes, is_long=is_long, home=home)


def is_long(item: pytest.Item) -> bool:
    """Say whether a test is slow by itself, and not only for running once more on PostgreSQL."""
    runs_once_more = getattr(item, "callspec", None) and item.callspec.params.get("database") == "postgresql"
    return item.get_closest_marker("slow") is not None and not runs_once_more


def home(item: pytest.Item) -> Hashable:
    """Return what a test shares with others that should run in the same process: its file, or its folder."""
    return TOGETHER if item.path.parent.name == TOGETHER else item.path


def in_stretches(
    tests: Sequence[Test], count: int, *, is_long: Callable[[Test], bool], home: Callable[[Test], Hashable]
) -> list[Test]:
    """Return *tests* in *count* stretches of equal length, each of which begins with its share of the long ones.

    Long tests with the same *home* stay together; else both kinds keep the order that they have.
    """
    homes: dict[Hashable, list[Test]] = {}
    for test in filter(is_long, tests):
        homes.setdefault(home(test), []).append(test)
    short = (test for test in tests if not is_long(test))
    ordered: list[Test] = []
    for number in range(count):
        stretch = [test for each in islice(homes.values(), number, None, count) for test in each]
        length = (len(tests) - len(ordered)) // (count - number)
        ordered += stretch
        ordered += islice(short, max(0, length - len(stretch)))
    return [*ordered, *short]
