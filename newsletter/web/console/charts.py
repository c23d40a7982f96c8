"""Charts of the console as numbers for inline SVG: where each bar begins and how long it is; templates draw them.

What a colour tells, a pattern and a figure tell too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from newsletter.domain.deliveries import ENDED, DeliveryState
from newsletter.domain.feed_readers import FeedReaders

WIDTH = 600
"""Units of a chart's width; it is as wide as its page."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a bar: what it is, how many, from where and how wide."""

    name: str
    count: int
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class ProviderBar:
    """One receiving provider's mails: accepted, come to another end, still to go."""

    provider: str
    total: int
    done: int
    parts: tuple[Part, ...]


def provider_bars(by_provider: Mapping[str, Mapping[DeliveryState, int]]) -> list[ProviderBar]:
    """Return a bar for each provider, the one with most mails first, as long as its share of the longest."""
    totals = {name: sum(states.values()) for name, states in by_provider.items()}
    longest = max(totals.values(), default=0)
    bars = []
    for name in sorted(totals, key=lambda each: (-totals[each], each)):
        states = by_provider[name]
        accepted = states.get(DeliveryState.ACCEPTED, 0)
        failed = sum(count for state, count in states.items() if state in ENDED) - accepted
        doubt = states.get(DeliveryState.IN_DOUBT, 0)
        rest = totals[name] - accepted - failed - doubt
        counts = {"accepted": accepted, "failed": failed, "doubt": doubt, "rest": rest}
        bars.append(ProviderBar(name, totals[name], totals[name] - rest, stacked(counts, longest)))
    return bars


def reader_bars(feeds: Sequence[FeedReaders]) -> list[tuple[FeedReaders, tuple[Part, ...]]]:
    """Return each feed with its bar: who reads it by services, and who directly; the longest fills the width."""
    longest = max((each.total for each in feeds), default=0)
    return [
        (each, stacked({"services": sum(each.aggregators.values()), "direct": each.direct}, longest)) for each in feeds
    ]


def stacked(counts: Mapping[str, int], longest: int) -> tuple[Part, ...]:
    """Return parts one behind the other, those that are none left out; *longest* fills the width."""
    parts, x = [], 0.0
    for name, count in counts.items():
        if count > 0 and longest > 0:
            width = WIDTH * count / longest
            parts.append(Part(name, count, round(x, 2), round(width, 2)))
            x += width
    return tuple(parts)


@dataclass(frozen=True, slots=True)
class Column:
    """One span of time in a chart of columns: what came above the line and what went below it."""

    label: str
    up: int
    down: int
    x: float
    width: float
    up_height: float
    down_height: float


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns side by side over one line, *line* units below the top, *height* in all: none where there is nothing.

    *most_up* and *most_down*: what the tallest of them stand for.
    """

    columns: tuple[Column, ...]
    line: float
    height: float
    most_up: int = 0
    most_down: int = 0


HEIGHT = 120.0
LEAST_HEIGHT = 3.0
"""What stands for anything at all is seen, however small it is beside the tallest."""


def columns(rows: Sequence[tuple[str, int, int]]) -> Columns:
    """Return columns for (label, up, down), in order; the tallest up and down together fill the height."""
    most_up = max((up for _, up, _ in rows), default=0)
    most_down = max((down for _, _, down in rows), default=0)
    room = HEIGHT - LEAST_HEIGHT * (bool(most_up) + bool(most_down))
    unit = room / max(1, most_up + most_down)

    def tall(count: int) -> float:
        return round(LEAST_HEIGHT + count * unit, 2) if count else 0

    step = WIDTH / max(1, len(rows))
    made = [
        Column(
            label,
            up,
            down,
            round(number * step + step * 0.1, 2),
            round(step * 0.8, 2),
            tall(up),
            tall(down),
        )
        for number, (label, up, down) in enumerate(rows)
    ]
    height = HEIGHT if most_up + most_down else 0
    return Columns(tuple(made), tall(most_up), height, most_up, most_down)
