"""The database: one engine for SQLite and PostgreSQL, and transactions on it."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, func, select
from sqlalchemy.exc import InvalidatePoolError, OperationalError
from sqlalchemy.orm import Session

from newsletter.errors import InvalidError, TransientError

__all__ = ["Database", "Session", "as_json", "connect", "database_now"]

BUSY_TIMEOUT_SECONDS = 30
STATEMENT_TIMEOUT_SECONDS = 120
READ_ONLY = "newsletter_read_only"
TRUSTED_SECONDS = 1.0
"""A connection that was used so lately is taken to live: asking whether it does costs as much as a statement."""
_USED_AT = "newsletter_used_at"


@dataclass(frozen=True, slots=True)
class Database:
    """An engine and the transactions on it; make one per process with `connect`, after any fork."""

    engine: Engine

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded database."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Open a session that commits when the block ends and rolls back when it raises.

        On SQLite it takes the write lock at once, so that two writers wait for each other and never deadlock.

        Raises:
            TransientError: the database cannot be reached, or did not answer in time; nothing was written.
        """
        try:
            with Session(self.engine, expire_on_commit=False) as session, session.begin():
                yield session
        except OperationalError as error:
            raise TransientError(f"the database did not answer: {error.orig}") from error

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a session that only reads; on SQLite it waits for nobody.

        Raises:
            TransientError: the database cannot be reached, or did not answer in time.
        """
        try:
            with (
                self.engine.connect().execution_options(**{READ_ONLY: True}) as connection,
                Session(connection, expire_on_commit=False, autoflush=False) as session,
            ):
                yield session
                if not self.is_sqlite:
                    connection.commit()  # psycopg forgets all prepared statements at a rollback
        except OperationalError as error:
            raise TransientError(f"the database did not answer: {error.orig}") from error

    @contextmanager
    def at_once(self) -> Iterator[Session]:
        """Open a session whose every statement commits by itself, which saves two round trips; on SQLite a transaction.

        For work that may stop after any statement, and is then repeated.

        Raises:
            TransientError: as `transaction`, but for what was written before.
        """
        if self.is_sqlite:
            with self.transaction() as session:
                yield session
            return
        try:
            with (
                self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
                Session(connection, expire_on_commit=False, autoflush=False) as session,
            ):
                yield session
        except OperationalError as error:
            raise TransientError(f"the database did not answer: {error.orig}") from error

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def connect(url: str) -> Database:
    """Make the engine for *url*; nothing is opened yet. A SQLite file's folder is made, for its owner alone.

    Errors name statements and never their values, which hold addresses and tokens and would be logged.

    Raises:
        InvalidError: the folder cannot be made.
    """
    if not url.startswith("sqlite"):
        engine = create_engine(
            url,
            pool_size=5,
            pool_use_lifo=True,  # so that few connections have all the prepared statements
            hide_parameters=True,
            json_serializer=as_json,
            connect_args={
                "options": f"-c timezone=UTC -c statement_timeout={STATEMENT_TIMEOUT_SECONDS * 1000}"
                " -c idle_in_transaction_session_timeout=600000"
            },
        )
        _ping_after_a_rest(engine)
        return Database(engine)
    path = url.partition("///")[2]
    if path and path != ":memory:":
        _make_folder(Path(path).parent)
    engine = create_engine(
        url, hide_parameters=True, json_serializer=as_json, connect_args={"timeout": BUSY_TIMEOUT_SECONDS}
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return Database(engine)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidError(
            f"the folder {folder} cannot be made: {error.strerror}; choose another with NEWSLETTER_HOME or --home"
        ) from error


def database_now(session: Session) -> datetime:
    """Return the database's clock, which alone decides leases and due times; SQLite has its host's."""
    if session.get_bind().dialect.name == "sqlite":
        return datetime.now(UTC)
    now: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return now.astimezone(UTC)


def as_json(value: object) -> str:
    """Return *value* as JSON columns hold it."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _ping_after_a_rest(engine: Engine) -> None:
    """Ask a connection that lay idle whether it still lives; where it does not the pool makes a new one, unnoticed."""

    def note_use(_connection: object, record: Any) -> None:
        record.info[_USED_AT] = time.monotonic()

    def ping(connection: Any, record: Any, _proxy: object) -> None:
        used_at = record.info.get(_USED_AT)
        if used_at is None or time.monotonic() - used_at < TRUSTED_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error

    event.listen(engine, "checkin", note_use)
    event.listen(engine, "checkout", ping)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite, not by the driver's guess
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Any) -> None:
    is_reading = connection.get_execution_options().get(READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if is_reading else "BEGIN IMMEDIATE")
