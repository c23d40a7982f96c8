"""Rows of the table: ratios of candidates that were measured side by side, and what they must reach."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Goal:
    """What a row must reach, and what it should; *less_is_better*: by being no more than that."""

    at_least: float
    aim: float
    less_is_better: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: the median of *rounds*, each a ratio within one round unless *unit* says otherwise.

    *figures*: the absolute figures behind it, in words. *goal* None: told for its own sake.
    """

    bench: str
    name: str
    rounds: Sequence[float]
    goal: Goal | None = None
    unit: str = "x"
    figures: str = ""

    @property
    def value(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.rounds)

    @property
    def verdict(self) -> str:
        """Whether the goal is reached."""
        if self.goal is None:
            return ""
        sign = -1 if self.goal.less_is_better else 1
        if sign * self.value >= sign * self.goal.aim:
            return "aim reached"
        return "reached" if sign * self.value >= sign * self.goal.at_least else "missed"


@dataclass(frozen=True)
class Rounds:
    """The rates of candidates, such as mails a second, in rounds in which each took its turn."""

    rates: dict[str, list[float]] = field(default_factory=dict)

    def ratios(self, candidate: str, reference: str) -> list[float]:
        """Return how many times the reference's rate the candidate reached, round by round."""
        return [one / other for one, other in zip(self.rates[candidate], self.rates[reference], strict=True)]

    def median(self, candidate: str) -> float:
        """Return a candidate's middle rate; compare it within one run only."""
        return statistics.median(self.rates[candidate])


def interleave(candidates: Mapping[str, Callable[[], float]], rounds: int) -> Rounds:
    """Let each candidate measure its own rate once in each round, so that a slow minute is everybody's.

    Every other round goes backwards, so that nobody always follows the same neighbour.
    """
    found = Rounds({name: [] for name in candidates})
    for number in range(rounds):
        names = list(candidates)[:: 1 if number % 2 == 0 else -1]
        for name in names:
            found.rates[name].append(candidates[name]())
    return found


def rate_of(work: Callable[[], object], count: int) -> float:
    """Return how many of *count* things a second *work* does."""
    started_at = time.perf_counter()
    work()
    return count / (time.perf_counter() - started_at)
