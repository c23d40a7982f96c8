"""The service that benches measure: PostgreSQL that commits durably, a broker, Celery workers as processes, sinks."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from newsletter.config import Settings
from newsletter.dispatch import CeleryDispatcher, Doorbell, Queue, Ring, make_celery
from newsletter.storage.engine import connect
from newsletter.storage.schema import metadata

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))

import servers  # type: ignore[import-not-found] # noqa: E402  tests/ has no package; it knows how to start them

DURABLE = {"fsync": "on", "synchronous_commit": "on", "shared_buffers": "512MB", "max_wal_size": "4GB"}
"""PostgreSQL's settings: nothing is risked for speed; the other two are what a small server gets."""
PROCESSES = 2
"""Processes of a sending worker, where not said otherwise: one for each core of the machine of the table."""
READY_SECONDS = 90
LONGEST_ROUND_SECONDS = 120
POLL_SECONDS = 0.1
SECRET_KEY = "a-secret-key-that-only-benches-know-about"
OPEN = "select 1 from delivery where state in ('queued', 'leased', 'sending') limit 1"
ATTEMPTS = "select count(*) from delivery_attempt"
UNDER_WAY = "select 1 from delivery where state in ('leased', 'sending') limit 1"


@dataclass(frozen=True)
class Stage:
    """Servers that live as long as one bench; *folder* goes when they do."""

    postgres: str
    broker: str
    folder: Path

    def settings(self, database: str, *, smtp_url: str = "", broker: int = 0, **more: object) -> Settings:
        """Return an installation's settings; *broker*: its number there, so that only its own workers hear it."""
        home = self.folder / database
        home.mkdir(exist_ok=True)
        return Settings(
            home=home,
            database_url=self.url(database),
            broker_url=f"{self.broker}/{broker}",
            smtp_url=smtp_url,
            secret_key=SECRET_KEY,
            base_url="https://news.example.org",
            postal_address="12 Abdrakhmanov Street, Bishkek",
            zone="Asia/Bishkek",
            **more,  # type: ignore[arg-type]  # pydantic checks them
        )

    def url(self, database: str) -> str:
        """Return where one of the databases is."""
        return self.postgres.replace("{database}", database)

    def make_database(self, name: str) -> None:
        """Make a database with all tables and no rows."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        database = connect(self.settings(name).database)
        metadata.create_all(database.engine)
        database.dispose()

    def copy_database(self, source: str, name: str) -> None:
        """Make a database with the rows of another one, to which nobody may be connected."""
        copy = sql.SQL("create database {} template {} strategy file_copy")
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(copy.format(sql.Identifier(name), sql.Identifier(source)))


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Start the servers; when the block ends, nothing of them is left."""
    folder = Path(tempfile.mkdtemp(prefix="nl-bench-"))
    try:
        with servers.running_postgres(DURABLE) as postgres, servers.running_valkey() as broker:
            yield Stage(postgres, broker, folder)
    finally:
        shutil.rmtree(folder)


class Edition:
    """The deliveries of a database with one edition, queued anew as often as they are to be sent."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.execute("create table if not exists bench_delivery as table delivery")
        self.execute("analyze")
        [(self.readers, self.variants)] = self.rows("select count(*), count(distinct variant_id) from bench_delivery")

    def queue(self, most: int | None = None, *, at_random: bool = False) -> None:
        """Queue deliveries as if nothing had been sent: all, or so many of the first or of any."""
        self.empty()
        self.copy(most, at_random=at_random)
        self.execute("update edition set state = 'sending', done_at = null")
        self.settle()

    def empty(self) -> None:
        """Forget all deliveries and attempts."""
        self.execute("truncate delivery_attempt, delivery cascade")

    def copy(self, most: int | None = None, *, at_random: bool = False) -> None:
        """Put deliveries back as they were made, in one statement."""
        order = sql.SQL("random()" if at_random else "id")
        choice = sql.SQL("insert into delivery select * from bench_delivery order by {} limit %s").format(order)
        self.execute(choice, most)

    def settle(self) -> None:
        """Let the server finish what it would else do during the next measurement."""
        self.execute("vacuum (analyze) delivery")
        self.execute("checkpoint")

    def send(self, settings: Settings) -> float:
        """Ring for what is queued, wait until all is sent, and return the mails a second, by the database's clock.

        Raises:
            RuntimeError: something was not accepted.
        """
        began_at = self._ring(settings)
        self._wait_until(OPEN, lambda found: not found)
        return self._rate_since(began_at)

    def send_some(self, settings: Settings, count: int) -> float:
        """Ring for what is queued, pause once so many are sent, and return the mails a second until then."""
        began_at = self._ring(settings)
        self._wait_until(ATTEMPTS, lambda found: found[0][0] >= count)
        self.execute("update edition set state = 'paused'")
        self._wait_until(UNDER_WAY, lambda found: not found)
        return self._rate_since(began_at)

    def _wait_until(self, query: LiteralString, is_so: Callable[[list[tuple[Any, ...]]], bool]) -> None:
        """Look again and again what *query* finds, over one connection: opening one takes a core for 8 ms."""
        deadline = time.monotonic() + LONGEST_ROUND_SECONDS
        with psycopg.connect(self.url, autocommit=True) as connection:
            while not is_so(connection.execute(query).fetchall()):
                if time.monotonic() > deadline:
                    raise RuntimeError(f"not sent after {LONGEST_ROUND_SECONDS} s: {self._states()}")
                time.sleep(POLL_SECONDS)

    def _rate_since(self, began_at: datetime) -> float:
        if unexpected := set(self._states()) - {"accepted", "queued", "leased", "sending"}:
            why = self.rows("select distinct reason from delivery where state = any(%s) limit 3", list(unexpected))
            raise RuntimeError(f"some mail was {', '.join(unexpected)}: {self._states()}, since {why}")
        accepted = "select count(*), max(accepted_at) from delivery where state = 'accepted' and accepted_at > %s"
        [(count, ended_at)] = self.rows(accepted, began_at)
        return float(count / (ended_at - began_at).total_seconds())

    def execute(self, statement: LiteralString | sql.Composed, *parameters: object) -> None:
        """Run a statement in a transaction of its own."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement, parameters)

    def rows(self, query: LiteralString, *parameters: object) -> list[tuple[Any, ...]]:
        """Return what a query finds."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(query, parameters).fetchall()

    def _ring(self, settings: Settings) -> datetime:
        [(now,)] = self.rows("select clock_timestamp()")
        dispatcher = CeleryDispatcher(make_celery(settings.broker_url))
        for _ in range(PROCESSES):
            dispatcher.ring(Ring(Doorbell.SEND_BULK))
        began_at: datetime = now
        return began_at

    def _states(self) -> dict[str, int]:
        return dict(self.rows("select state, count(*) from delivery group by state"))


@contextlib.contextmanager
def worker(settings: Settings, *, processes: int = PROCESSES) -> Iterator[int]:
    """Run a sending worker as an operator would; yields the id of its main process, once its children are there."""
    told = settings.model_dump(include=settings.model_fields_set)
    environment = {f"NEWSLETTER_{name}".upper(): _as_variable(value) for name, value in told.items()}
    arguments = ["worker", "--queues", Queue.BULK, "--concurrency", str(processes), "--name", f"bench{os.getpid()}"]
    with (
        (settings.home / "worker.log").open("ab") as log,
        subprocess.Popen(
            [sys.executable, "-m", "newsletter", *arguments],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            _wait_until_ready(process, processes)
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)


def _wait_until_ready(process: subprocess.Popen[bytes], processes: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while len(children(process.pid)) < processes:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("a worker did not start; its words are in worker.log of the bench's folder")
        time.sleep(POLL_SECONDS)


def children(pid: int) -> list[int]:
    """Return the ids of the processes that a process has forked and that live."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _as_variable(value: object) -> str:
    """Write a setting as the environment takes it; the only one that is no plain value is the keys' files."""
    if isinstance(value, tuple):
        return ",".join(":".join(map(str, each)) for each in value)
    return str(value)


@contextlib.contextmanager
def sink() -> Iterator[int]:
    """Run our own cheap sink; yields its port."""
    with _printing_its_port("benchmarks.sink") as port:
        yield port


@contextlib.contextmanager
def far_away(port: int, milliseconds: float) -> Iterator[int]:
    """Run a proxy behind which *port* seems so far away, there and back; yields its port."""
    with _printing_its_port("benchmarks.delay", str(port), str(milliseconds)) as far_port:
        yield far_port


@contextlib.contextmanager
def _printing_its_port(module: str, *arguments: str) -> Iterator[int]:
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


@dataclass(frozen=True, slots=True)
class Postfix:
    """Postfix's pair of load generator and sink, where Debian's package is installed."""

    source: str
    sink: str

    def rate(self, port: int, mails: int, mail_bytes: int) -> float:
        """Return the mails a second that `smtp-source -d -s 10` hands to a sink: fixed, unsigned, connections kept."""
        sizes = ["-l", str(mail_bytes), "-m", str(mails)]
        addresses = ["-f", "news@newsroom.example", "-t", "reader@readers.example"]
        started_at = time.perf_counter()
        subprocess.run([self.source, "-d", "-s", "10", *sizes, *addresses, f"127.0.0.1:{port}"], check=True)
        return mails / (time.perf_counter() - started_at)

    @contextlib.contextmanager
    def running_sink(self) -> Iterator[int]:
        """Run smtp-sink; yields its port."""
        port = servers._free_port()  # noqa: SLF001  the same need, solved there
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        with subprocess.Popen([self.sink, *user, f"127.0.0.1:{port}", "1000"]) as process:
            try:
                time.sleep(0.5)
                yield port
            finally:
                process.kill()


def find_postfix() -> Postfix | None:
    """Return Postfix's tools; None where they are not installed."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    source, taker = shutil.which("smtp-source", path=path), shutil.which("smtp-sink", path=path)
    return Postfix(source, taker) if source and taker else None
