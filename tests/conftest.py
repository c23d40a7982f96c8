"""What every test may ask for: servers started when first needed, fresh databases, an App on them, a fixed clock."""

import gc
import ipaddress
import os
import shutil
import sqlite3
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import hypothesis
import psycopg
import pytest
import redis
import servers
from alembic import command
from prepared import Preparations
from running_order import put_in_order
from sqlalchemy import event, text

from newsletter.clock import Clock, fixed_clock
from newsletter.config import Settings
from newsletter.dispatch import RecordingDispatcher
from newsletter.logs import configure_logs
from newsletter.services.context import App
from newsletter.storage import migrate
from newsletter.storage.engine import Database, connect
from newsletter.storage.schema import metadata

NOW = datetime(2026, 3, 16, 2, 0, tzinfo=UTC)  # a Monday, 08:00 in Bishkek
SECRET_KEY = "a-secret-key-that-only-tests-know-about"
END_TRANSACTIONS = """
with left_open as materialized (
    select pid, query from pg_stat_activity
    where datname = current_database() and backend_type = 'client backend'
    and xact_start is not null and pid <> pg_backend_pid()
)
select query from left_open where pg_terminate_backend(pid, 5000)
"""
EXTERNAL_DATABASE = "NEWSLETTER_TEST_DATABASE_URL"
EXTERNAL_BROKER = "NEWSLETTER_TEST_BROKER_URL"

SERVERS = {"postgres_server", "broker_server"}

# A developer's own settings and terminal must not change what a test sees; pytest-xdist sets COLUMNS too.
for name in [name for name in os.environ if name.startswith("NEWSLETTER_") and "_TEST_" not in name]:
    del os.environ[name]
for name in ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR"):
    os.environ.pop(name, None)

configure_logs(as_json=True, level="warning")

hypothesis.settings.register_profile("newsletter", deadline=None, print_blob=True)
hypothesis.settings.register_profile("fast", hypothesis.settings.get_profile("newsletter"), max_examples=20)
hypothesis.settings.load_profile("newsletter")


_REACHING_OUT = frozenset({"socket.connect", "socket.sendto", "socket.getaddrinfo"})


def _refuse_other_hosts(event: str, arguments: tuple[object, ...]) -> None:
    """Fail a test that would speak to another machine, whatever library it does it with."""
    if event not in _REACHING_OUT:  # nearly all of the many that Python tells
        return
    if event != "socket.getaddrinfo":
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else ""
    else:
        host = arguments[0]
    host = host.decode() if isinstance(host, bytes) else host
    if host in (None, "", "localhost", "0.0.0.0", "::"):
        return
    try:
        is_here = ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        is_here = False
    if not is_here:
        raise RuntimeError(f"a test reached for {host}; tests speak to this machine only")


sys.addaudithook(_refuse_other_hosts)


def pytest_configure(config: pytest.Config) -> None:
    """Try fewer examples of each property where slow tests are left out; a whole run tries them all."""
    if config.option.markexpr == "not slow":
        hypothesis.settings.load_profile("fast")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark as slow what needs a server, however it asks for one."""
    parameters = getattr(item, "callspec", None) and item.callspec.params.values()
    if "postgresql" in (parameters or ()) or not SERVERS.isdisjoint(getattr(item, "fixturenames", ())):
        item.add_marker(pytest.mark.slow)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let long tests come first; see `running_order`."""
    put_in_order(items, config)


def pytest_collection_finish() -> None:
    """Spare the garbage collector what stays until the end, modules and tests: it would look through all of them."""
    gc.freeze()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a PostgreSQL server with `{database}` in it: the environment's, else one started for this run."""
    if external := os.environ.get(EXTERNAL_DATABASE):
        yield urlunsplit(urlsplit(external)._replace(path="/{database}"))
        return
    with servers.running_postgres() as url:
        yield url


@pytest.fixture(scope="session")
def broker_server() -> Iterator[str]:
    """URL of a Redis-compatible server: the environment's, else one started for this run."""
    if external := os.environ.get(EXTERNAL_BROKER):
        yield external
        return
    with servers.running_valkey() as url:
        yield f"{url}/0"


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> Iterator[str]:
    """Name of a database with all tables, which `postgres_url` copies."""
    with _scratch_database(postgres_server) as name:
        _make_tables(_for_sqlalchemy(_url_of(postgres_server, name)))
        yield name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with all tables, which `sqlite_database` copies."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    _make_tables(f"sqlite:///{path}")
    return path


@pytest.fixture
def empty_postgres_url(postgres_server: str) -> Iterator[str]:
    """URL of this test's own PostgreSQL database, without any table."""
    with _scratch_database(postgres_server) as name:
        yield _url_of(postgres_server, name)


@pytest.fixture
def postgres_url(postgres_server: str, postgres_template: str) -> Iterator[str]:
    """URL of a PostgreSQL database for this test's own processes, as NEWSLETTER_DATABASE_URL takes it: no rows."""
    with _scratch_database(postgres_server, template=postgres_template) as name:
        yield _url_of(postgres_server, name)


@pytest.fixture(scope="module")
def postgres_url_of_module(postgres_server: str, postgres_template: str) -> Iterator[str]:
    """As `postgres_url`, for all tests of a file."""
    with _scratch_database(postgres_server, template=postgres_template) as name:
        yield _url_of(postgres_server, name)


@pytest.fixture
def broker_url(broker_server: str) -> str:
    """URL of an empty broker, as NEWSLETTER_BROKER_URL takes it."""
    with redis.Redis.from_url(broker_server) as client:
        client.flushdb()
    return broker_server


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of this test's installation."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def postgresql_for_all(postgres_server: str, postgres_template: str) -> Iterator[Database]:
    """One PostgreSQL database with all tables, which tests use one after the other."""
    with _scratch_database(postgres_server, template=postgres_template) as name:
        database = connect(_for_sqlalchemy(_url_of(postgres_server, name)))
        yield database
        database.dispose()


@pytest.fixture
def postgresql_database(postgresql_for_all: Database) -> Iterator[Database]:
    """A PostgreSQL database with all tables and no rows, as new; emptying one takes a tenth of making one."""
    yield postgresql_for_all
    with postgresql_for_all.engine.begin() as connection:
        left_open = connection.execute(text(END_TRANSACTIONS)).scalars().all()
    _empty(postgresql_for_all)
    assert [] == left_open, "this test left a transaction open, which would have stopped the next one"


@pytest.fixture(scope="session")
def sqlite_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One engine whose connections open the file that `sqlite_database` names; it remembers compiled statements."""
    database = connect(f"sqlite:///{tmp_path_factory.mktemp('sqlite') / 'never-opened.db'}")
    event.listen(database.engine, "connect", _trust_the_power)
    yield database
    database.dispose()


def _trust_the_power(opened: sqlite3.Connection, _record: object) -> None:
    """Wait for no disk at a commit; a test that loses its power is run again."""
    opened.execute("PRAGMA synchronous=OFF")


@pytest.fixture
def sqlite_database(sqlite_template: Path, sqlite_for_all: Database, home: Path) -> Iterator[Database]:
    """This test's own SQLite database, where `settings` look for it: all tables, no rows."""
    path = home / "newsletter.db"
    shutil.copyfile(sqlite_template, path)

    def open_instead(_dialect: object, _record: object, arguments: list[str], _options: object) -> None:
        arguments[0] = str(path)

    event.listen(sqlite_for_all.engine, "do_connect", open_instead)
    yield sqlite_for_all
    event.remove(sqlite_for_all.engine, "do_connect", open_instead)
    sqlite_for_all.dispose()


@pytest.fixture(scope="session")
def preparations() -> Preparations:
    """What tests of this run begin with; see `prepared`."""
    return Preparations()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database(request: pytest.FixtureRequest) -> Database:
    """A fresh database with all tables and no rows; each test that asks for it runs on both."""
    database: Database = request.getfixturevalue(f"{request.param}_database")
    return database


@pytest.fixture
def settings(home: Path) -> Settings:
    """Settings of a newsroom in Bishkek, on the embedded default in `home`."""
    return Settings(
        home=home,
        base_url="https://news.example.org",
        secret_key=SECRET_KEY,
        name="Example Newsroom",
        postal_address="1 Example Street, Bishkek",
        zone="Asia/Bishkek",
    )


@pytest.fixture
def clock() -> Clock:
    """A newsroom clock that stands at NOW."""
    return fixed_clock(NOW)


@pytest.fixture
def dispatcher() -> RecordingDispatcher:
    """The dispatcher of `app`; its `rings` say which doorbells were rung."""
    return RecordingDispatcher()


@pytest.fixture
def app(database: Database, settings: Settings, clock: Clock, dispatcher: RecordingDispatcher) -> App:
    """An App over `database`, with `settings` that name it, at NOW; rings are recorded."""
    if not database.is_sqlite:
        url = database.engine.url.render_as_string(hide_password=False)
        settings = settings.model_copy(update={"database_url": url})
    return App(settings=settings, database=database, clock=clock, dispatcher=dispatcher)


def _empty(database: Database) -> None:
    """Delete all rows and number anew from 1."""
    deletions = [str(table.delete()) for table in reversed(metadata.sorted_tables)]
    with database.engine.begin() as connection:
        connection.execute(text("set local session_replication_role = replica"))  # no trigger keeps a line of a test
        connection.execute(text("; ".join(deletions)))
        connection.execute(text("select setval(oid, 1, false) from pg_class where relkind = 'S'"))


def _make_tables(url: str) -> None:
    """Make the models' tables, which tests/storage/test_migrations.py holds equal to the newest revision's."""
    database = connect(url)
    metadata.create_all(database.engine)
    with database.engine.begin() as connection:
        command.stamp(migrate.configuration(connection), "head")
    database.dispose()


@contextmanager
def _scratch_database(server: str, template: str = "template0") -> Iterator[str]:
    """Make a database and drop it afterwards; copying files takes a tenth of the time of the default strategy."""
    name = f"newsletter_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.replace("{database}", "postgres"), autocommit=True) as connection:
        connection.execute(f"create database {name} template {template} strategy = file_copy")
        try:
            yield name
        finally:
            connection.execute(f"drop database {name} with (force)")


def _url_of(server: str, name: str) -> str:
    return server.replace("{database}", name)


def _for_sqlalchemy(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)
