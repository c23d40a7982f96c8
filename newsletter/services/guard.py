"""The restore guard: stops all mail when the database is older than what was seen of it before."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

import structlog

from newsletter.errors import TransientError
from newsletter.services.context import App, Transaction
from newsletter.storage import lineage, stops
from newsletter.storage.engine import Session
from newsletter.storage.lineage import Lineage, Server
from newsletter.storage.stops import GUARD, StopKind

log = structlog.get_logger()

Age = tuple[int, int]

WATCH_SECONDS = 2.0
"""How often a slice looks while it claims: a state older than the last step is noticed, and so is another server."""


def begin_lineage(session: Session, home: Path, server: Server | None = None) -> Lineage:
    """Return which database this is; a new one begins its lineage, and the machine of *home* has seen it.

    Made together with the tables, so that a copy from before the first mail is known for one too. *server*: what the
    database's server says of itself, where it was asked already.
    """
    is_new = lineage.load_lineage(session) is None
    begun = lineage.found_lineage(session, server or lineage.ask_server(session))
    if is_new:
        Witness(home, begun.uid).write(begun.age)  # before anybody can see it, so that to have none is to be elsewhere
    return begun


def watch(app: App) -> bool:
    """Go one step further in the database and look whether it went on from where it was; say whether it did.

    Each tick and each slice does so, a long one again and again. What was seen last is kept in the home folder, so that
    a database restored from a backup, rolled back or failed over without its last commits is noticed, and on PostgreSQL
    a restore to another server or timeline as well. Then all sending stops, on all workers, until
    `acknowledge_restore`; a stopped database takes no step.
    """
    with app.transaction() as tx:
        server = lineage.ask_server(tx.session)
        begun = begin_lineage(tx.session, app.settings.home, server)
        witness = Witness(app.settings.home, begun.uid)
        seen = witness.read()  # before we look: whoever wrote it had committed that
        found = lineage.found_lineage(tx.session, server)
        is_missed = seen is None and app.database.is_sqlite and witness.can_be_kept()
        why = _why_older(found, seen, server, is_missed=is_missed)
        if why:  # it takes no step, so that the time of the last one tells how old the restored state is
            if stops.put_stop(tx.session, StopKind.RESTORE, reason=why, by=GUARD):
                log.error("restore_noticed", why=why)
            return False
        if stops.is_stopped(tx.session, StopKind.RESTORE):
            return False  # a sender noticed: see `newsletter.storage.ledger_rollback`
        now = lineage.step(tx.session)
    witness.write(now.age)
    return True


def may_claim(tx: Transaction) -> bool:
    """Say whether the database is no older than what was seen of it; else stop all mail in this transaction.

    Looks at one row and one small file, since a server may be restored while a slice runs.
    """
    found = lineage.load_lineage(tx.session)
    if found is None:
        return True
    seen = Witness(tx.settings.home, found.uid).read()
    if seen is not None and found.age < seen:
        found = lineage.load_lineage(tx.session) or found  # another worker may have gone a step further meanwhile
    if seen is None or found.age >= seen:
        return True
    if stops.put_stop(tx.session, StopKind.RESTORE, reason=_behind(found, seen), by=GUARD):
        log.error("restore_noticed", why=_behind(found, seen))
    return False


class Lookout:
    """Watches every `WATCH_SECONDS`, for a slice that goes on for longer; `watch` came right before it is made.

    *epoch*: in which the slice began.
    """

    def __init__(self, app: App) -> None:
        with app.reading() as tx:
            begun = lineage.load_lineage(tx.session)
        self.epoch = begun.epoch if begun else 0
        self._app = app
        self._is_clear = True
        self._next = time.monotonic() + WATCH_SECONDS

    def is_clear(self) -> bool:
        """Say whether mail may be claimed; not while the database is away, since who knows what comes back."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + WATCH_SECONDS
            try:
                self._is_clear = watch(self._app)
            except TransientError:
                self._is_clear = False
        return self._is_clear


def _why_older(found: Lineage, seen: Age | None, server: Server, *, is_missed: bool) -> str:
    """Return what tells that the database was restored or copied; empty: nothing does.

    *is_missed*: there should be a witness, since the embedded database and its home folder are one installation.
    """
    if seen is not None and found.age < seen:
        return _behind(found, seen)
    if is_missed:
        return "the database file was not made in this home folder: it was copied here, or restored"
    if server.cluster and found.cluster and server.cluster != found.cluster:
        return "the database lives on another PostgreSQL server than before: it was restored there, or is a copy"
    if server.timeline and found.timeline and server.timeline != found.timeline:
        return (
            f"PostgreSQL went from timeline {found.timeline} to {server.timeline}: it was restored to a point in "
            "time, or a standby took over"
        )
    return ""


def _behind(found: Lineage, seen: Age) -> str:
    steps = seen[1] - found.steps if seen[0] == found.epoch else None
    told = f"{steps:,} steps" if steps else "an acknowledged restore"
    return f"the database is {told} behind what this machine has seen of it: an older state of it was restored"


class Witness:
    """What this machine has seen of a database: a file in the home folder, of the age that never may be undercut."""

    def __init__(self, home: Path, uid: str) -> None:
        self._path = home / f"witness-{uid}"

    def read(self) -> Age | None:
        """Return the age last seen; None: none was."""
        try:
            epoch, steps = self._path.read_text().split()
            return int(epoch), int(steps)
        except (OSError, ValueError):
            return None

    def can_be_kept(self) -> bool:
        """Say whether the home folder can be written."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            return False
        return os.access(self._path.parent, os.W_OK)

    def write(self, age: Age) -> None:
        """Keep *age* if it is beyond what is kept; a folder that cannot be written is logged, and mail goes on."""
        try:
            with self._alone():
                if (seen := self.read()) is None or age > seen:
                    new = self._path.with_suffix(".new")
                    with new.open("w") as file:
                        file.write(f"{age[0]} {age[1]}\n")
                        file.flush()
                        os.fsync(file.fileno())
                    new.replace(self._path)
        except OSError as error:
            log.warning("witness_not_written", error=error.strerror)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep the other processes of this machine out."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
