"""Many rows in few statements, the same way on SQLite and PostgreSQL."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy.dialects import postgresql, sqlite

from newsletter.storage.base import Base
from newsletter.storage.engine import Session

Value = TypeVar("Value")
Insert = postgresql.Insert | sqlite.Insert

CHUNK = 500
"""Values in one statement; both databases allow at least 32,000 parameters, and rows here have up to 20."""


def insert_into(session: Session, row: type[Base]) -> Insert:
    """Return an INSERT into the table of *row* that knows ON CONFLICT, in the dialect of the session's database."""
    table: Any = row.__table__
    return sqlite.insert(table) if session.get_bind().dialect.name == "sqlite" else postgresql.insert(table)


def chunks(values: Sequence[Value], size: int = CHUNK) -> Iterator[Sequence[Value]]:
    """Return *values* in their order, *size* at a time."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
