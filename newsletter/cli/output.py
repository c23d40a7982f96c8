"""What all commands share: the console, facts as a table or as JSON, and this process's parts."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import date, datetime, time, timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from newsletter.services.context import App

console = Console(highlight=False, markup=False)
errors = Console(stderr=True, highlight=False, markup=False)

AsJSON = Annotated[bool, typer.Option("--json", help="Print the facts as JSON, for scripts.")]


def parse_instant(text: str) -> datetime:
    """Read a time with its zone, as an option gives it."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no time; write it like 2024-12-09T08:00:00+06:00") from error
    if instant.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no zone; write it like 2024-12-09T08:00:00+06:00")
    return instant


def get_app(context: typer.Context) -> App:
    """Return this process's parts, made on first use with the database brought up to date."""
    app: App = context.obj()
    return app


def print_facts(facts: object, *, as_json: bool, table: Table | None = None) -> None:
    """Print *facts* (dataclasses, dicts, lists) as JSON where asked, else *table*, else names and values."""
    if as_json:
        sys.stdout.write(json.dumps(plain(facts), ensure_ascii=False, indent=2) + "\n")
    elif table is not None:
        console.print(table if table.row_count else "There are none.")
    else:
        console.print(facts_table(plain(facts)))


def facts_table(facts: Mapping[str, object]) -> Table:
    """Lay out one thing's facts, a line each."""
    grid = Table(box=None, show_header=False, pad_edge=False)
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    for name, value in facts.items():
        grid.add_row(name.replace("_", " "), _cell(value))
    return grid


def table_of(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str | None = None,
    whole: Sequence[str] = (),
    spare: Sequence[str] = (),
) -> Table:
    """Lay out rows under *columns*; numbers stand to the right.

    *whole*: columns that are never broken over lines; *spare*: those that a narrow terminal goes without, the first
    first, before words are broken.
    """
    columns, rows = _fitting(columns, list(rows), spare)
    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for position, column in enumerate(columns):
        is_number = bool(rows) and all(isinstance(row[position], int | float) for row in rows)
        justify: JustifyMethod = "right" if is_number else "left"
        table.add_column(column, justify=justify, overflow="fold", no_wrap=column in whole)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    return table


def _fitting(
    columns: Sequence[str], rows: Sequence[Sequence[object]], spare: Sequence[str]
) -> tuple[Sequence[str], Sequence[Sequence[object]]]:
    """Leave out spare columns as long as there is no room for all."""
    for name in spare:
        widths = [max(len(str(_cell(cell))) for cell in column) for column in zip(columns, *rows, strict=True)]
        if sum(widths) + GAP * (len(widths) - 1) <= console.width:
            break
        left_out = columns.index(name)
        columns = [each for position, each in enumerate(columns) if position != left_out]
        rows = [[cell for position, cell in enumerate(row) if position != left_out] for row in rows]
    return columns, rows


GAP = 2
"""Blanks between columns."""


def plain(value: Any) -> Any:
    """Turn dataclasses, enumerations, times and tuples into what JSON knows; spans of time become seconds."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    for kind, write in _WRITTEN:
        if isinstance(value, kind):
            return write(value)
    return value


_WRITTEN: tuple[tuple[type, Callable[[Any], object]], ...] = (
    (Enum, lambda member: member.value),
    (time, lambda of_day: of_day.isoformat(timespec="minutes")),
    (date, lambda day_or_instant: day_or_instant.isoformat()),
    (timedelta, timedelta.total_seconds),
    (Path, str),
)


def _cell(value: object) -> str | Text:
    if isinstance(value, Text):
        return value
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        value = [f"{name} {_cell(each)}" for name, each in value.items()]
    if isinstance(value, list | tuple):
        return ", ".join(str(_cell(each)) for each in value) or "–"
    return str(value)
