"""Workers and beats as processes, looked after as a supervisor would, and killed as nobody should."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from newsletter.dispatch import Queue

STOP_SECONDS = 120
QUEUES = (Queue.TICK, Queue.EDITIONS, Queue.TRANSACTIONAL, Queue.BULK)
REAPER = """
read -r _
while read -r group; do kill -s KILL -- "-$group" 2>/dev/null; done <"$1"
"""
"""Ends every group listed in a file once its input is closed: whatever ends the test, no worker outlives it."""


@dataclass
class Part:
    """A worker or beat: the main process, which leads a group of its own; *arguments* start another like it."""

    process: subprocess.Popen[bytes]
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    children_killed: int = 0

    def children(self) -> list[int]:
        """Return the ids of the processes that it has forked and that live."""
        pid = self.process.pid
        with suppress(OSError):
            return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return []


@dataclass
class Processes:
    """The processes of the service; *kills* counts those killed that may have had mail in their hands."""

    environment: Mapping[str, str]
    log: Path
    groups: Path
    parts: list[Part] = field(default_factory=list)
    kills: int = 0
    _names: int = 0

    def start(self, *arguments: str, **changes: str) -> Part:
        """Start a part of the service; *changes*: its own environment."""
        environment = {**os.environ, **self.environment, **changes}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # else each compiles every module anew
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "newsletter", *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        with self.groups.open("a") as groups:
            groups.write(f"{process.pid}\n")
        part = Part(process, arguments, changes)
        self.parts.append(part)
        return part

    def complete(self) -> None:
        """Start what is missing of two workers and a beat."""
        self.supervise()
        for _ in range(len(self.workers()), 2):
            self.start_worker(*QUEUES)
        for _ in range(len(self.beats()), 1):
            self.start_beat()

    def supervise(self) -> None:
        """Start anew what has ended; none may have without being killed.

        Celery's main process gives up where one of its first children is killed before it has heard of it.
        """
        for part in [part for part in self.parts if part.process.poll() is not None]:
            assert part.children_killed, f"{part.arguments} ended by itself: {part.process.returncode}"
            self._start_anew(part)

    def start_worker(self, *queues: Queue, **changes: str) -> Part:
        """Start one worker of two processes."""
        self._names += 1
        names = ("--queues", ",".join(queues), "--concurrency", "2", "--name", f"worker{self._names}")
        return self.start("worker", *names, **changes)

    def start_beat(self) -> Part:
        """Start what ticks."""
        return self.start("tick")

    def run(self, *arguments: str) -> None:
        """Run a command of the command line to its end."""
        environment = {**os.environ, **self.environment}
        subprocess.run(
            [sys.executable, "-m", "newsletter", *arguments],
            env=environment,
            capture_output=True,
            check=True,
            timeout=STOP_SECONDS,
        )

    def workers(self) -> list[Part]:
        """Return the workers that are meant to live."""
        return [part for part in self.parts if part.arguments[0] == "worker"]

    def beats(self) -> list[Part]:
        """Return what ticks."""
        return [part for part in self.parts if part.arguments[0] == "tick"]

    def kill_one(self, chance: random.Random) -> None:
        """Kill -9 a child of some worker, or one time in six its main process, which is then started anew."""
        self.supervise()
        if not chance.randrange(6):
            self.kill_main(chance.choice(self.workers()))
            return
        while not (children := self._children()):
            time.sleep(0.05)  # all are being started
        self._kill(*chance.choice(children))

    def kill_children(self) -> None:
        """Kill -9 all that any worker has forked, which it then forks anew."""
        for part, child in self._children():
            self._kill(part, child)

    def _children(self) -> list[tuple[Part, int]]:
        return [(part, child) for part in self.workers() for child in part.children()]

    @contextmanager
    def frozen(self, part: Part) -> Iterator[None]:
        """Let the children of *part* stand still, as on a machine that is suspended or out of memory."""
        children = part.children()
        for child in children:
            os.kill(child, signal.SIGSTOP)
        try:
            yield
        finally:
            for child in children:
                os.kill(child, signal.SIGCONT)

    def kill_main(self, part: Part) -> None:
        """Kill -9 a main process, with which its children die, and start another like it."""
        self.kills += len(part.children())
        os.kill(part.process.pid, signal.SIGKILL)
        part.process.wait()
        self._start_anew(part)

    def _start_anew(self, part: Part) -> None:
        self.parts.remove(part)
        self.start(*part.arguments, **part.environment)

    def _kill(self, part: Part, child: int) -> None:
        os.kill(child, signal.SIGKILL)
        part.children_killed += 1
        self.kills += 1

    def stop(self, *parts: Part) -> None:
        """Ask *parts* to stop, all if none is named, as a supervisor would; that one does not is a failure."""
        chosen = parts or tuple(self.parts)
        for part in chosen:
            if part in self.beats():
                part.process.kill()  # it holds nothing, and Celery's loses a TERM that comes while it publishes
            else:
                part.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for part in chosen:
            part.process.wait(max(0.1, deadline - time.monotonic()))
            self.parts.remove(part)

    def end(self) -> None:
        """Kill what is left of every group."""
        for group in self.groups.read_text().split():
            with suppress(ProcessLookupError):
                os.killpg(int(group), signal.SIGKILL)
        for part in self.parts:
            part.process.wait()
        self.parts.clear()
        self.groups.write_text("")


@contextmanager
def processes(environment: Mapping[str, str], folder: Path) -> Iterator[Processes]:
    """Give scenarios their processes; when the block ends, none is left."""
    groups = folder / "groups"
    groups.touch()
    started = Processes(environment, folder / "processes.log", groups)
    watch = ["sh", "-c", REAPER, "reaper", groups]
    with subprocess.Popen(watch, stdin=subprocess.PIPE, start_new_session=True) as reaper:
        try:
            yield started
        finally:
            started.end()
            assert reaper.stdin is not None
            reaper.stdin.close()
