"""Bring a database's tables up to date, once, however many processes ask at the same time; never done by itself.

Alembic takes a tenth of a second to import, and every command of the embedded service comes by here: it is imported
only where there is something to migrate.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select
from sqlalchemy.exc import OperationalError

from newsletter.errors import ConflictError, TransientError
from newsletter.storage.engine import Database, Session
from newsletter.storage.subscriptions import keep_consent

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"
ADVISORY_LOCK = 0x6E6C6462  # "nldb": any number will do that nothing else in this database locks
LOCK_TIMEOUT = "5s"  # a migration that waits for a table's lock makes every reader queue up behind it
STATEMENT_TIMEOUT = "30min"
VERSION = Table("alembic_version", MetaData(), Column("version_num", String(32)))


def upgrade(database: Database, *, begin: Callable[[Session], object] = lambda _: None) -> None:
    """Run all migrations that *database* has not seen, in one transaction; repeating it changes nothing.

    Of several processes at once, one migrates and the others wait for it. A database that is up to date is only read.
    *begin* is called in that transaction, once the tables are there: to write what they must never be seen without.

    Raises:
        ConflictError: a newer release has migrated the database.
        TransientError: a table that must change stayed locked; nothing was changed.
    """
    revision = current(database)
    if revision == head():
        return
    if revision is not None and revision not in _revisions():
        raise ConflictError(
            f"the database is at revision {revision}, this release knows {head()} as the newest:"
            " run the release that migrated it, or restore the copy made before"
        )
    from alembic import command  # noqa: PLC0415  see above

    with _locked(database) as connection:
        command.upgrade(configuration(connection), "head")
        keep_consent(connection)
        with Session(connection) as session:
            begin(session)
            session.flush()


def downgrade(database: Database, revision: str) -> None:
    """Take *database* back to *revision*; "base" drops all tables with everything in them."""
    from alembic import command  # noqa: PLC0415  see above

    with _locked(database) as connection:
        command.downgrade(configuration(connection), revision)


def current(database: Database) -> str | None:
    """Return the revision *database* is at, None while it has no tables; waits for no writer."""
    with database.reading() as session:
        if not inspect(session.connection()).has_table(VERSION.name):
            return None
        return session.execute(select(VERSION.c.version_num)).scalar_one_or_none()


def head() -> str:
    """Return the newest revision this code knows."""
    return _revisions()[-1]


def is_current(database: Database) -> bool:
    """Whether *database* has exactly the tables that this code expects."""
    return current(database) == head()


def configuration(connection: Connection) -> "Config":
    """Return Alembic's configuration for work on *connection*, in a transaction of its own making or ours."""
    from alembic.config import Config  # noqa: PLC0415  see above

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@cache
def _revisions() -> tuple[str, ...]:
    """Return the numbers of all migrations, oldest first: files are named by them."""
    return tuple(sorted(path.stem.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py")))


@contextmanager
def _locked(database: Database) -> Iterator[Connection]:
    """Open a transaction that only one process at a time can have."""
    try:
        with database.engine.connect() as connection:
            connection.detach()  # it goes back to no pool: on SQLite it does not check foreign keys
            if database.is_sqlite and (raw := connection.connection.dbapi_connection):
                # Changing a table on SQLite means copying and dropping it, which would take its children along.
                raw.cursor().execute("PRAGMA foreign_keys=OFF")
            with connection.begin():  # on SQLite BEGIN IMMEDIATE: the lock
                if not database.is_sqlite:
                    _lock_postgresql(connection)
                yield connection
                if database.is_sqlite and (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all()):
                    raise RuntimeError(f"a migration broke foreign keys, nothing was changed: {broken[:5]}")
    except OperationalError as error:
        raise TransientError(f"nothing was migrated, try again: {error.orig}") from error


def _lock_postgresql(connection: Connection) -> None:
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'")
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
