"""The picture of a run: a bar for each row, from what it must reach at the line to what it reached, as SVG."""

import html
import math
from collections.abc import Sequence

from benchmarks.measures import Row

WIDTH, ROW_HEIGHT, TOP = 900, 40, 56
BAR_LEFT, BAR_RIGHT = 20, 880
LEAST, MOST = 0.25, 8.0
"""The scale, in multiples of the goal; longer bars end at its edge and say their figure all the same."""
COLOURS = {"aim reached": "#2e7d32", "reached": "#7cb342", "missed": "#c62828"}


def chart(rows: Sequence[Row]) -> str:
    """Return a picture of the rows that have goals, on a logarithmic scale on which every goal is the same line."""
    shown = [row for row in rows if row.goal is not None]
    height = TOP + ROW_HEIGHT * len(shown) + 12
    style = "text{font:13px system-ui,sans-serif;fill:#1b2025}.soft{fill:#56606a;font-size:12px}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>Benches against their goals</title><style>{style}</style>",
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="{_x(1):.0f}" y="22" text-anchor="middle">what it must reach</text>',
        '<text class="soft" x="20" y="22">worse</text>',
        f'<text class="soft" x="{BAR_RIGHT}" y="22" text-anchor="end">better, up to {MOST:g} times</text>',
    ]
    for number, row in enumerate(shown):
        parts += _bar(row, TOP + number * ROW_HEIGHT)
    parts.append(f'<line x1="{_x(1):.1f}" x2="{_x(1):.1f}" y1="30" y2="{height - 12}" stroke="#1b2025"/></svg>')
    return "\n".join(parts) + "\n"


def _bar(row: Row, y: int) -> list[str]:
    assert row.goal is not None
    reached, aim = (_score(row, value) for value in (row.value, row.goal.aim))
    left, right = sorted((_x(1), _x(reached)))
    colour, dashes = COLOURS[row.verdict], 'stroke="#56606a" stroke-dasharray="3 2"'
    label = html.escape(f"{row.name}: {row.value:.2f} ({row.verdict})")
    return [
        f'<text x="{BAR_LEFT}" y="{y}">{label}</text>',
        f'<rect x="{left:.1f}" y="{y + 6}" width="{max(1, right - left):.1f}" height="14" fill="{colour}"/>',
        f'<line x1="{_x(aim):.1f}" x2="{_x(aim):.1f}" y1="{y + 3}" y2="{y + 23}" {dashes}/>',
    ]


def _score(row: Row, value: float) -> float:
    """Return how many times the goal a value is, more being better."""
    assert row.goal is not None
    return row.goal.at_least / value if row.goal.less_is_better else value / row.goal.at_least


def _x(score: float) -> float:
    share = math.log(min(MOST, max(LEAST, score)) / LEAST) / math.log(MOST / LEAST)
    return BAR_LEFT + share * (BAR_RIGHT - BAR_LEFT)
