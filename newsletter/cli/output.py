"""What all commands share: the console, facts as a table or as JSON, and this process's parts."""

import json
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import date, datetime, time, timedelta
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import Console, ConsoleDimensions
from rich.table import Table

from newsletter.cli import tables

if TYPE_CHECKING:
    from newsletter.services.context import App

WIDE = 100_000
"""Columns of what is no terminal: a pipe or a file gets a line a row, for programs that look through lines."""


class _Console(Console):
    """Where commands print: as wide as the terminal, or as COLUMNS says, or as long as lines are."""

    @property  # type: ignore[misc]  # nobody sets it
    def size(self) -> ConsoleDimensions:
        """Return columns and lines."""
        found = super().size
        is_known = self.is_terminal or "COLUMNS" in self._environ
        return found if is_known else ConsoleDimensions(WIDE, found.height)


console = _Console(highlight=False, markup=False)
errors = _Console(stderr=True, highlight=False, markup=False)

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


def get_app(context: typer.Context) -> "App":
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


def local(context: typer.Context, at: datetime | None) -> str | None:
    """Return a moment as the newsroom's clock has it, with its zone; None: it has not come."""
    return f"{at.astimezone(get_app(context).settings.zone_info):%Y-%m-%d %H:%M %Z}" if at else None


def point_to(words: str, command: str, *, style: str = "") -> None:
    """Say what can be done next; a command that has no room beside the words gets a line of its own, to be copied."""
    line = f"{words}  {command}"
    fits = cell_len(line) <= console.width
    console.print(line if fits else f"{words}\n  {command}", style=style or None, soft_wrap=True)


def next_page(context: typer.Context, **place: object) -> str:
    """Return the command as it was given, with another *place* to begin at."""
    words = [context.command_path]
    for parameter in context.command.params:
        name = parameter.name or ""
        is_given = getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
        if (value := place.get(name, context.params.get(name) if is_given else None)) is not None:
            values = value if isinstance(value, list | tuple) else [value]
            words += [f"{parameter.opts[0]} {shlex.quote(str(plain(each)))}" for each in values]
    return " ".join(words)


facts_table = tables.facts_table


def table_of(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    whole: Sequence[str] = (),
    spare: Sequence[str] = (),
) -> Table:
    """Lay out rows under *columns* as the terminal has room; `tables` says how."""
    return tables.lay_out(columns, rows, room=console.width, whole=whole, spare=spare)


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
