"""The ground under the tests: servers that come up, are private to the run, and go away whatever happens."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import redis
import servers
from sqlalchemy import inspect, select, text

from newsletter.storage.engine import Database
from newsletter.storage.lists import FilterRow
from newsletter.storage.schema import metadata

STOP_SECONDS = 60
RUN_BOTH = """
import servers, time
with servers.running_postgres() as postgres, servers.running_valkey() as valkey:
    print(postgres, valkey, flush=True)
    time.sleep(60)
"""


def test_database_has_all_tables_and_no_rows(database: Database):
    names = set(inspect(database.engine).get_table_names()) - {"alembic_version"}
    with database.reading() as session:
        counts = {name: session.execute(text(f'select count(*) from "{name}"')).scalar_one() for name in names}

    assert set(metadata.tables) == names
    assert {0} == set(counts.values())


@pytest.mark.parametrize("turn", ["one", "another"])
def test_a_test_sees_nothing_of_the_one_before(database: Database, turn: str):
    """Whichever comes second finds no row, and numbers that start again."""
    with database.transaction() as session:
        found = session.execute(select(FilterRow.canonical)).scalars().all()
        session.add(row := FilterRow(canonical=turn, digest=turn, choice={}))
        session.flush()

    assert [] == found
    assert 1 == row.id


def test_postgres_is_a_recent_one_on_a_socket_only(postgres_url: str):
    with psycopg.connect(postgres_url) as connection:
        assert connection.info.server_version >= 170000
        assert ("",) == connection.execute("show listen_addresses").fetchone()


def test_broker_is_empty_and_works(broker_url: str):
    with redis.Redis.from_url(broker_url) as client:
        assert 0 == client.dbsize()
        assert client.set("left", "over")


def test_valkey_program_is_where_its_wheel_keeps_it():
    program = servers.valkey_program()

    assert os.access(program, os.X_OK)


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL], ids=lambda end: end.name)
def test_servers_stop_however_the_run_ends(end: signal.Signals):
    """SIGKILL too: the servers watch a pipe that only the run holds open."""
    here = Path(__file__).parent
    with subprocess.Popen(
        [sys.executable, "-c", RUN_BOTH], cwd=here, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as run:
        assert run.stdout is not None
        postgres, valkey = run.stdout.readline().split()
        run.send_signal(end)
    home = Path(postgres.partition("host=")[2])
    deadline = time.monotonic() + STOP_SECONDS
    while (home.exists() or _answers(valkey)) and time.monotonic() < deadline:
        time.sleep(0.01)

    assert not home.exists()
    assert not _answers(valkey)


def test_a_test_cannot_speak_to_another_machine():
    with pytest.raises(RuntimeError, match="this machine only"):
        socket.create_connection(("192.0.2.1", 25), timeout=1)


def _answers(url: str) -> bool:
    with redis.Redis.from_url(url) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False
