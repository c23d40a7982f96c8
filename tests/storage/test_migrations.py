"""Migrations: from nothing to what the models say and back, on both databases, whoever else is migrating."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, update

from newsletter.errors import ConflictError, TransientError
from newsletter.storage import migrate
from newsletter.storage.engine import Database, connect
from newsletter.storage.schema import metadata

UPGRADE = """
import sys
import time
from newsletter.storage.engine import connect
from newsletter.storage.migrate import upgrade
sys.stdin.readline()
database = connect(sys.argv[1])
upgrade(database)
database.dispose()
"""

POSTGRES_CATALOG = {
    "columns": "select table_name, column_name, data_type, character_maximum_length, is_nullable, column_default"
    " from information_schema.columns where table_schema = 'public' order by 1, 2",
    "constraints": "select conrelid::regclass::text, conname, pg_get_constraintdef(oid)"
    " from pg_constraint where connamespace = 'public'::regnamespace order by 1, 2",
    "indexes": "select indexname, indexdef from pg_indexes where schemaname = 'public' order by 1",
}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """SQLAlchemy's URL of a database without any table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    url: str = request.getfixturevalue("empty_postgres_url")
    return url.replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture
def empty_database(empty_url: str) -> Iterator[Database]:
    """A database without any table."""
    database = connect(empty_url)
    yield database
    database.dispose()


@pytest.fixture
def database_of_models(request: pytest.FixtureRequest, empty_database: Database) -> Database:
    """Tables made from the models, on the same kind of database as `empty_database`."""
    database: Database = request.getfixturevalue(f"{empty_database.engine.dialect.name}_database")
    return database


def test_upgrade_brings_nothing_to_the_newest_revision(empty_database: Database):
    before = migrate.current(empty_database), migrate.is_current(empty_database)
    migrate.upgrade(empty_database)

    assert (None, False) == before
    assert migrate.head() == migrate.current(empty_database)
    assert migrate.is_current(empty_database)


def test_upgrade_twice_changes_nothing(empty_database: Database):
    migrate.upgrade(empty_database)
    once = _catalog(empty_database)
    migrate.upgrade(empty_database)

    assert once == _catalog(empty_database)


@pytest.mark.slow
def test_migrations_give_the_models_tables(empty_database: Database):
    """Alembic's own comparison finds no difference, server defaults and names of checks included."""
    migrate.upgrade(empty_database)
    with empty_database.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    assert [] == differences


def test_migrations_give_the_models_catalog(empty_database: Database, database_of_models: Database):
    """What Alembic does not compare is the same too: the conditions of checks and of partial indexes."""
    migrate.upgrade(empty_database)

    assert _catalog(database_of_models) == _catalog(empty_database)


@pytest.mark.slow
def test_every_constraint_has_a_name(empty_database: Database):
    """An unnamed constraint cannot be altered later on SQLite."""
    migrate.upgrade(empty_database)
    inspector = inspect(empty_database.engine)
    constraints = [
        constraint
        for table in metadata.tables
        for constraint in (
            inspector.get_pk_constraint(table),
            *inspector.get_foreign_keys(table),
            *inspector.get_unique_constraints(table),
            *inspector.get_check_constraints(table),
        )
    ]

    assert [] == [constraint for constraint in constraints if not constraint["name"]]


@pytest.mark.slow
def test_downgrade_leaves_nothing_behind(empty_database: Database):
    migrate.upgrade(empty_database)
    migrate.downgrade(empty_database, "base")

    assert ["alembic_version"] == inspect(empty_database.engine).get_table_names()


@pytest.mark.slow
def test_each_revision_goes_down_and_up_again(empty_database: Database):
    revisions = [script.revision for script in _scripts().walk_revisions()]
    migrate.upgrade(empty_database)
    newest = _catalog(empty_database)
    for revision in [*revisions[1:], "base"]:
        migrate.downgrade(empty_database, revision)
    migrate.upgrade(empty_database)

    assert newest == _catalog(empty_database)


def test_revisions_are_numbered_in_one_line():
    revisions = [script.revision for script in _scripts().walk_revisions()]

    assert [f"{number:04}" for number in range(len(revisions), 0, -1)] == revisions


def test_the_newest_revision_is_found_without_alembic():
    assert _scripts().get_current_head() == migrate.head()


@pytest.mark.slow
def test_an_older_release_leaves_a_newer_database_alone(empty_database: Database):
    migrate.upgrade(empty_database)
    with empty_database.transaction() as session:
        session.execute(update(migrate.VERSION).values(version_num="9999"))

    with pytest.raises(ConflictError, match="revision 9999"):
        migrate.upgrade(empty_database)


def test_looking_waits_for_no_writer(sqlite_database: Database):
    """Each command of the embedded service looks, while a worker may be writing."""
    with sqlite_database.engine.connect() as writer:
        writer.exec_driver_sql("DELETE FROM heartbeat")
        started = time.monotonic()
        migrate.upgrade(sqlite_database)

        assert migrate.is_current(sqlite_database)
        assert time.monotonic() - started < 5


def test_a_table_that_stays_locked_is_left_as_it_is(empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", "50ms")
    database = connect(empty_postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    migrate.upgrade(database)
    with database.engine.connect() as reader:
        reader.exec_driver_sql("SELECT * FROM delivery")

        with pytest.raises(TransientError, match="try again"):
            migrate.downgrade(database, "base")
    is_current = migrate.is_current(database)
    database.dispose()

    assert is_current


def test_foreign_keys_hold_again_after_an_upgrade(tmp_path: Path):
    """SQLite's check is off while tables are copied, on a connection that is not used again."""
    database = connect(f"sqlite:///{tmp_path / 'empty.db'}")
    migrate.upgrade(database)
    with database.reading() as session:
        state = session.connection().exec_driver_sql("PRAGMA foreign_keys").scalar()
    database.dispose()

    assert 1 == state


@pytest.mark.slow
def test_processes_that_upgrade_at_once_do_not_disturb_each_other(empty_url: str):
    command = [sys.executable, "-c", UPGRADE, empty_url]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    results = [(process.communicate(timeout=60)[0], process.returncode) for process in processes]
    database = connect(empty_url)
    is_current = migrate.is_current(database)
    database.dispose()

    assert [("", 0)] * len(processes) == results
    assert is_current


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(migrate.MIGRATIONS))


def _catalog(database: Database) -> dict[str, list[str]]:
    """Return the database's own description of its tables, in words that can be compared."""
    with database.engine.connect() as connection:
        if database.is_sqlite:
            query = "select name, sql from sqlite_master where name <> 'alembic_version' order by name"
            return {name: _parts_of(sql) for name, sql in connection.exec_driver_sql(query)}
        return {
            name: [str(row) for row in connection.exec_driver_sql(query) if "alembic_version" not in str(row)]
            for name, query in POSTGRES_CATALOG.items()
        }


def _parts_of(sql: str | None) -> list[str]:
    """Return a statement's lines in an order of their own, since constraints may come in any."""
    return sorted(line.strip(" ,\t") for line in (sql or "").replace('"', "").splitlines())
