"""Facts as tables that fit their terminal: no line is cut, and no word is broken that has room in a line."""

import re
from collections.abc import Iterable, Mapping, Sequence

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text


def facts_table(facts: Mapping[str, object]) -> Table:
    """Lay out one thing's facts, a line each; what is longer than a line, such as a Message-ID, is never cut."""
    grid = Table(box=None, show_header=False, pad_edge=False)
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts.items():
        grid.add_row(name.replace("_", " "), _cell(value))
    return grid


def lay_out(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    room: int,
    whole: Sequence[str] = (),
    spare: Sequence[str] = (),
) -> Table:
    """Lay out rows under *columns*; numbers stand to the right, and no word is broken.

    *whole*: columns that are never broken over lines; *spare*: those that a narrow terminal goes without, the first
    first. Where the words of the rest have no room, slugs go on in the next line behind a hyphen; where even that does
    not help, each row becomes lines of its own, with all its facts.
    """
    grid = _Grid(columns, [list(row) for row in rows], whole=whole)
    narrowest = grid.without(spare)
    attempts = [*(grid.without(spare[:count]) for count in range(len(spare) + 1)), narrowest.bent()]
    for attempt in attempts:
        if widths := attempt.widths(room):
            return attempt.laid_out(widths)
    return grid.stacked()


class _Grid:
    """Rows under columns, which knows how much room their words take; *bends*: slugs may go on in the next line."""

    def __init__(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[object]],
        *,
        whole: Sequence[str],
        bends: bool = False,
    ) -> None:
        self._columns, self._rows, self._whole, self._bends = columns, rows, whole, bends

    def without(self, spare: Sequence[str]) -> "_Grid":
        """Return the same without some columns."""
        kept = [position for position, name in enumerate(self._columns) if name not in spare]
        rows = [[row[position] for position in kept] for row in self._rows]
        return _Grid([self._columns[position] for position in kept], rows, whole=self._whole)

    def bent(self) -> "_Grid":
        """Return the same with slugs that go on in the next line, behind a hyphen."""
        return _Grid(self._columns, self._rows, whole=self._whole, bends=True)

    def widths(self, room: int) -> list[int] | None:
        """Return how wide each column is to be; None: their words are wider than *room* together."""
        least, most = zip(*map(self._bounds, range(len(self._columns))), strict=True)
        left = room - GAP * (len(least) - 1) - sum(least)
        if left < 0:
            return None
        widths = list(least)
        while left and (growing := [each for each in range(len(widths)) if widths[each] < most[each]]):
            widths[min(growing, key=widths.__getitem__)] += 1
            left -= 1
        return widths

    def _bounds(self, position: int) -> tuple[int, int]:
        """Return the least and the most room that a column takes."""
        cells = [self._columns[position], *(str(_cell(row[position])) for row in self._rows)]
        most = max(cell_len(line) for cell in cells for line in cell.splitlines() or [""])
        if self._columns[position] in self._whole:
            return most, most
        longest = max(cell_len(word) for cell in cells for word in self._words(cell) or [""])
        is_text = most > FLOWING * 1.5 and not self._bends
        return max(longest, FLOWING) if is_text else longest, most

    def _words(self, cell: str) -> list[str]:
        words = cell.split()
        return [part for word in words for part in _parts(word)] if self._bends else words

    def laid_out(self, widths: Sequence[int]) -> Table:
        """Return the table, each column as wide as *widths* says."""
        table = Table(box=None, header_style="bold", pad_edge=False)
        for position, (column, width) in enumerate(zip(self._columns, widths, strict=True)):
            is_number = bool(self._rows) and all(isinstance(row[position], int | float) for row in self._rows)
            table.add_column(column, justify="right" if is_number else "left", overflow="fold", width=width)
        for row in self._rows:
            cells = zip(map(_cell, row), widths, strict=True)
            table.add_row(*(_bent(cell, width) if self._bends else cell for cell, width in cells))
        return table

    def stacked(self) -> Table:
        """Return each row as lines, the name of a column before its value, with an empty line between rows."""
        grid = facts_table({})
        for number, row in enumerate(self._rows):
            if number:
                grid.add_row("", "")
            for name, value in zip(self._columns, row, strict=True):
                if str(shown := _cell(value)).strip() not in ("", NOTHING):
                    grid.add_row(name, shown)
        return grid


_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)+")


def _parts(word: str) -> list[str]:
    """Return a slug's words, each with its hyphen; anything else is one."""
    return re.findall(r"[^-]+-?", word) if _SLUG.fullmatch(word) else [word]


def _bent(cell: str | Text, width: int) -> str | Text:
    """Break slugs that are longer than a line behind a hyphen; styled cells are words."""
    if isinstance(cell, Text):
        return cell
    return " ".join(_lines(word, width) for word in cell.split(" "))


def _lines(word: str, width: int) -> str:
    lines = [""]
    for part in _parts(word) if cell_len(word) > width else [word]:
        if lines[-1] and cell_len(lines[-1] + part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


GAP = 2
"""Blanks between columns."""

FLOWING = 20
"""A column of texts, longer than half as much again, is never narrower: fewer words a line are hard to read."""

NOTHING = "–"
"""What stands where there is no value."""


def _cell(value: object) -> str | Text:
    if isinstance(value, Text):
        return value
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        value = [f"{name} {_cell(each)}" for name, each in value.items()]
    if isinstance(value, list | tuple):
        return ", ".join(str(_cell(each)) for each in value) or NOTHING
    return str(value)
