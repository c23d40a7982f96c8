"""Bring a database's tables up to date, once, however many processes ask at the same time; never done by itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from newsletter.storage.engine import Database

MIGRATIONS = Path(__file__).parent / "migrations"
ADVISORY_LOCK = 0x6E6C6462  # "nldb": any number will do that nothing else in this database locks
LOCK_TIMEOUT = "5s"  # a migration that waits for a table's lock makes every reader queue up behind it
STATEMENT_TIMEOUT = "30min"


def upgrade(database: Database) -> None:
    """Run all migrations that *database* has not seen, in one transaction; repeating it changes nothing.

    Of several processes at once, one migrates and the others wait for it.
    """
    with _locked(database) as connection:
        command.upgrade(configuration(connection), "head")


def downgrade(database: Database, revision: str) -> None:
    """Take *database* back to *revision*; "base" drops all tables with everything in them."""
    with _locked(database) as connection:
        command.downgrade(configuration(connection), revision)


def current(database: Database) -> str | None:
    """Return the revision *database* is at, None while it has no tables."""
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """Return the newest revision this code knows."""
    revision = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    if revision is None:
        raise RuntimeError(f"no migrations in {MIGRATIONS}; the installation is incomplete")
    return revision


def is_current(database: Database) -> bool:
    """Whether *database* has exactly the tables that this code expects."""
    return current(database) == head()


def configuration(connection: Connection) -> Config:
    """Return Alembic's configuration for work on *connection*, in a transaction of its own making or ours."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@contextmanager
def _locked(database: Database) -> Iterator[Connection]:
    """Open a transaction that only one process at a time can have."""
    with database.engine.connect() as connection:
        connection.detach()  # it goes back to no pool: on SQLite it does not check foreign keys
        if database.is_sqlite and (raw := connection.connection.dbapi_connection):
            # Changing a table on SQLite means copying and dropping it, which would take its children along.
            raw.cursor().execute("PRAGMA foreign_keys=OFF")
        with connection.begin():  # on SQLite BEGIN IMMEDIATE: the lock
            if not database.is_sqlite:
                connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'")
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            yield connection
            if database.is_sqlite and (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all()):
                raise RuntimeError(f"a migration broke foreign keys, nothing was changed: {broken[:5]}")
