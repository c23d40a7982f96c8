"""PostgreSQL and Valkey that scenarios may kill and start again, with the port and the data they had."""

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import redis
import servers


class RestartableServer(ABC):
    """A server in a folder of its own, the child of a shell that ends it when this process ends; see `servers`."""

    stop_signal: str
    command: Sequence[str | Path]

    def __init__(self, home: Path) -> None:
        self.home = home
        self.identity: dict[str, Any] = {}

    def start(self) -> None:
        """Start it, with what it had kept."""
        watch = ["sh", "-c", servers.WATCH, "watch", self.home, self.stop_signal, *self.command]
        self._shell = subprocess.Popen(
            watch, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True, **self.identity
        )
        servers._wait_for(self.answers, self._shell, self.home)

    def end(self, signal_number: int) -> None:
        """Send it a signal that ends it, and wait until it is gone; what it has written stays."""
        os.kill(self.main_pid(), signal_number)
        self._shell.wait(servers.STOP_SECONDS)
        self.stop()

    def stop(self) -> None:
        """Ask it to stop, wait until it is gone, and remove its folder; safe to repeat."""
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        self._shell.wait(servers.STOP_SECONDS)

    @abstractmethod
    def main_pid(self) -> int:
        """Return the id of the process that ends it."""

    @abstractmethod
    def answers(self) -> bool:
        """Say whether it serves."""


class Postgres(RestartableServer):
    """A PostgreSQL server."""

    stop_signal = servers.STOP_POSTGRES

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.identity = servers._identity(home)
        programs = servers._postgres_programs(home, self.identity)
        data = home / "data"
        initdb: list[str | Path] = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust"]
        servers._run([*initdb, "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"], self.identity)
        self.command = [programs / "postgres", "-D", data, "-k", home, "-c", "listen_addresses=", "-c", "fsync=off"]

    def url(self, database: str) -> str:
        """Return the URL of one of its databases."""
        return f"postgresql://postgres@/{database}?host={self.home}"

    def restart_at_once(self, *, down_seconds: float = 0) -> None:
        """Do what `pg_ctl restart -m immediate` does: every backend dies where it stands."""
        self.end(signal.SIGQUIT)
        time.sleep(down_seconds)
        self.start()

    def keep_a_copy(self) -> None:
        """Copy its data while it is down, as a backup would, and go on."""
        self._exchange(self.home / "data", self.home / "copy")

    def restore_the_copy(self) -> None:
        """Go on with what was copied: all that was committed since is gone."""
        self._exchange(self.home / "copy", self.home / "data")

    def _exchange(self, source: Path, target: Path) -> None:
        self.end(signal.SIGINT)
        servers._run(["rm", "-rf", target], self.identity)
        servers._run(["cp", "-a", source, target], self.identity)
        self.start()

    def main_pid(self) -> int:
        return int((self.home / "data/postmaster.pid").read_text().splitlines()[0])

    def answers(self) -> bool:
        return servers._postgres_answers(self.url("postgres"))


class Valkey(RestartableServer):
    """A Redis-compatible server that keeps nothing on disk, so that killing it loses every message."""

    stop_signal = "TERM"

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        port = servers._free_port()
        self.url = f"redis://127.0.0.1:{port}/0"
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", home, "--pidfile", home / "pid"]
        self.command = [servers.valkey_program(), *options]

    def kill(self) -> None:
        """End it where it stands."""
        self.end(signal.SIGKILL)

    def flush(self) -> None:
        """Throw all messages away."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def main_pid(self) -> int:
        return int((self.home / "pid").read_text())

    def answers(self) -> bool:
        return servers._valkey_answers(self.url)


Server = TypeVar("Server", bound=RestartableServer)


@contextmanager
def running(server: type[Server], prefix: str) -> Iterator[Server]:
    """Run a server in a folder of its own; both are gone when the block ends."""
    with servers._home(prefix) as home:
        started = server(home)
        try:
            started.start()
            yield started
        finally:
            started.stop()
