"""A sender's journal: what is about to leave and what was answered, in a file that outlives its process.

Held by `flock` for the sender's life: whoever gets the lock knows that the sender is dead, and reads what it no longer
can tell. Nothing is fsynced: a killed process loses none of it, a machine that goes down may lose it all. So it counts
only on the machine, and since the start of it, on which it was written.
"""

import fcntl
import os
import secrets
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from newsletter.domain.replies import Reply, Silence, Stage, Verdict
from newsletter.mail.smtp import SendResult

log = structlog.get_logger()

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NONE = "-"
_TRIES = 3
"""Where a reader of journals comes at the very moment at which one is begun; more than one in a row is unheard of."""


def boot_id() -> str:
    """Return what names this start of this machine's kernel; empty where there is no such thing."""
    with suppress(OSError):
        return _BOOT.read_text().strip()
    return ""


def sender_name() -> str:
    """Return a name for one sender: its host, its process, and something that no other had."""
    return f"{socket.gethostname()[:100]}:{os.getpid()}:{secrets.token_hex(4)}"


class Journal:
    """One sender's notes; each attempt is named by a delivery's id and its number.

    A dot's line is written before `dot` returns. The line of an answer is written with the next dot, or by `flush`,
    whichever is first: should it be lost, so is only the answer to the last dot of that connection.

    Where the disk is full the journal is removed rather than kept with lines missing, and mail goes on without it: who
    dies then leaves a window in doubt. Only where it cannot be removed either does `dot` raise.
    """

    def __init__(self, descriptor: int, path: Path) -> None:
        self.name = path.name
        self.is_kept = True
        self._untruth: OSError | None = None
        self._descriptor = descriptor
        self._path = path
        self._lines: list[str] = []

    @classmethod
    def open(cls, folder: Path, name: str) -> "Journal":
        """Begin a journal in *folder*, which is made if need be; it appears there when it is locked.

        Raises:
            OSError: it cannot be made.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for _ in range(_TRIES):
            with suppress(BlockingIOError, FileNotFoundError):  # taken for a dead sender's before it was locked
                return cls._begin(folder, name)
        return cls._begin(folder, name)

    @classmethod
    def _begin(cls, folder: Path, name: str) -> "Journal":
        hidden = folder / f".{name}"
        descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(descriptor, f"boot {boot_id() or _NONE}\n".encode())
            path = folder / name
            hidden.rename(path)
        except BaseException:
            os.close(descriptor)
            hidden.unlink(missing_ok=True)
            raise
        return cls(descriptor, path)

    def touch(self, ids: Iterable[int]) -> None:
        """Note that something is begun with these deliveries that may kill whoever does it."""
        self._lines.append(f"touch {' '.join(map(str, ids))}\n")
        self.flush()

    def let_go(self) -> None:
        """Note that it is done."""
        self._lines.append("let go\n")
        self.flush()

    def dot(self, ref: int, attempt: int) -> None:
        """Note that an attempt's dot may leave from now on.

        Raises:
            OSError: it could neither be noted nor the journal removed; the dot must not leave.
        """
        self._lines.append(f"dot {ref} {attempt}\n")
        self.flush()
        if self._untruth:
            raise self._untruth

    def answer(self, attempt: int, result: SendResult) -> None:
        """Note how an attempt has ended."""
        stage, reply = result.stage or _NONE, result.reply
        if reply:
            words = f"{reply.code} {reply.enhanced or _NONE} {reply.text}"
        else:
            words = f"{result.answer or _NONE} {_NONE} "
        self._lines.append(f"end {result.ref} {attempt} {result.verdict} {stage} {words}\n")

    def flush(self) -> None:
        """Write what was noted."""
        unwritten = "".join(self._lines).encode() if self.is_kept else b""
        self._lines.clear()
        try:
            while unwritten:
                unwritten = unwritten[os.write(self._descriptor, unwritten) :]
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.is_kept = False
        log.warning("journal_given_up", sender=self.name, error=error.strerror)
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            self._untruth = error

    def close(self, *, is_settled: bool) -> None:
        """Let go of the file; remove it where all that it tells is on record, else the sweeper reads it."""
        try:
            if is_settled:
                self._path.unlink(missing_ok=True)
            else:
                self.flush()
        finally:
            os.close(self._descriptor)


@dataclass(frozen=True, slots=True)
class Bequest:
    """What a dead sender left: the attempts whose dot may have left, those that have ended, and what it died of.

    *is_complete*: whether a dot that is not in here was certainly not written.
    """

    name: str
    is_complete: bool
    dots: frozenset[tuple[int, int]]
    ends: Sequence[tuple[int, SendResult]]
    touched: frozenset[int]
    _path: Path = field(repr=False)

    def remove(self) -> None:
        """Remove it: all that it tells is on record."""
        self._path.unlink(missing_ok=True)


def bequests(folder: Path) -> Iterator[Bequest]:
    """Yield what dead senders left in *folder*, each locked against other readers until the next is asked for.

    One whose sender died as it began it says nothing, and is removed.
    """
    names = [each.name for each in os.scandir(folder)] if folder.is_dir() else []
    for path in (folder / name for name in sorted(names)):
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError:
            continue  # another sweeper was here first
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.name.startswith("."):
                path.unlink(missing_ok=True)
            elif path.exists():
                yield _read(path)
        except BlockingIOError:
            continue  # it lives
        finally:
            os.close(descriptor)


def _read(path: Path) -> Bequest:
    first, *lines = path.read_text("utf-8", "replace").split("\n")[:-1] or [""]  # what has no end was not written
    dots: set[tuple[int, int]] = set()
    ends: dict[tuple[int, int], SendResult] = {}
    touched: frozenset[int] = frozenset()
    is_complete = bool(boot_id()) and first == f"boot {boot_id()}"
    for line in lines:
        kind, _, rest = line.partition(" ")
        try:
            if kind == "dot":
                ref, attempt = rest.split(" ")
                dots.add((int(ref), int(attempt)))
            elif kind == "end":
                attempt_number, result = _read_end(rest)
                ends[result.ref, attempt_number] = result
            else:
                touched = frozenset(map(int, rest.split())) if kind == "touch" else frozenset()
        except ValueError:  # the disk was full, or the machine went down: others may be missing altogether
            is_complete = False
    ended = [(attempt, result) for (_, attempt), result in ends.items()]
    return Bequest(path.name, is_complete, frozenset(dots), ended, touched, path)


def _read_end(words: str) -> tuple[int, SendResult]:
    ref, attempt, verdict, stage, answer, enhanced, text = words.split(" ", 6)
    told: Reply | Silence | None = None
    if answer.isdecimal():
        told = Reply(int(answer), "" if enhanced == _NONE else enhanced, text)
    elif answer != _NONE:
        told = Silence(answer)
    return int(attempt), SendResult(int(ref), Verdict(verdict), None if stage == _NONE else Stage(stage), told)
