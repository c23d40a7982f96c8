"""Many rows in few statements, the same way on SQLite and PostgreSQL."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ColumnElement,
    Dialect,
    Executable,
    Result,
    TypeDecorator,
    bindparam,
    insert,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from newsletter.storage.base import Base
from newsletter.storage.engine import Session, as_json

Value = TypeVar("Value")
Insert = postgresql.Insert | sqlite.Insert

DEADLOCK = "40P01"
"""PostgreSQL's name for it; SQLite has one writer and none."""

DEADLOCKS_BORNE = 5

CHUNK = 500
"""Values in one statement; both databases allow at least 32,000 parameters, and rows here have up to 20."""


def insert_into(session: Session, row: type[Base]) -> Insert:
    """Return an INSERT into the table of *row* that knows ON CONFLICT, in the dialect of the session's database."""
    table: Any = row.__table__
    return sqlite.insert(table) if session.get_bind().dialect.name == "sqlite" else postgresql.insert(table)


def insert_many(session: Session, row: type[Base], columns: Sequence[str], values: Iterable[Sequence[Any]]) -> None:
    """Insert any number of rows, given as values of *columns*, as fast as the database takes them.

    PostgreSQL copies them from a stream, SQLite runs one statement for all; neither looks at defaults of Python.
    """
    table: Any = row.__table__
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        rows = [dict(zip(columns, each, strict=True)) for each in values]
        if rows:
            connection.execute(insert(table), rows)
        return
    quote = connection.dialect.identifier_preparer.quote
    target = f"{quote(table.name)} ({', '.join(quote(name) for name in columns)})"
    to_json = [isinstance(table.c[name].type, JSON) for name in columns]
    raw: Any = connection.connection.driver_connection
    with raw.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN") as copy:
        for each in values:
            copy.write_row(
                [as_json(value) if is_json else value for value, is_json in zip(each, to_json, strict=True)]
                if any(to_json)
                else each
            )


def again_after_deadlock(session: Session, statement: Executable) -> Result[Any]:
    """Run a statement that locks many rows in an order of its own; one that met a deadlock is run again, some times.

    What it had locked by then is let go, so that the other side can end; what was locked before it stays locked.
    It returns no rows: SQLite ends no savepoint while there are some to read.
    """
    for _ in range(DEADLOCKS_BORNE):
        try:
            with session.begin_nested():
                return session.execute(statement)
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != DEADLOCK:
                raise
    return session.execute(statement)


def one_of_many(column: Any, values: Collection[int]) -> ColumnElement[bool]:
    """Say that a column of ids is one of *values*, of which there may be a million: they are one parameter."""
    return IsOneOf(column, bindparam(None, list(values), type_=_Ids()))


class _Ids(TypeDecorator[list[int]]):
    """Many ids as one value: an array on PostgreSQL, JSON on SQLite."""

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose by what the database knows."""
        return dialect.type_descriptor(JSON() if dialect.name == "sqlite" else postgresql.ARRAY(BigInteger))


class IsOneOf(FunctionElement[bool]):
    """A column's value is among those of an array."""

    type = Boolean()
    inherit_cache = True
    name = "is_one_of"


@compiles(IsOneOf, "postgresql")
def _on_postgresql(element: IsOneOf, compiler: SQLCompiler, **options: Any) -> str:
    place, listed = (compiler.process(each, **options) for each in element.clauses)
    return f"{place} = ANY ({listed})"


@compiles(IsOneOf, "sqlite")
def _on_sqlite(element: IsOneOf, compiler: SQLCompiler, **options: Any) -> str:
    place, listed = (compiler.process(each, **options) for each in element.clauses)
    return f"{place} IN (SELECT value FROM json_each({listed}))"  # noqa: S608  both parts are compiled SQL


def chunks(values: Sequence[Value], size: int = CHUNK) -> Iterator[Sequence[Value]]:
    """Return *values* in their order, *size* at a time."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
