"""What every service is given: settings, database, clock, doorbells, relays; made once by `newsletter.bootstrap`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from newsletter.clock import Clock
from newsletter.config import Settings
from newsletter.dispatch import Dispatcher, Doorbell, Ring
from newsletter.mail.relay import Relay
from newsletter.storage.engine import Database, Session

THE_SERVICE = "the service"
"""Who acts where no person does."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """An open session, the newsroom's time and settings, who acts, and the doorbells to ring once it has committed."""

    session: Session
    now: datetime
    settings: Settings
    actor: str = THE_SERVICE
    rings: dict[Ring, None] = field(default_factory=dict)

    def ring(self, doorbell: Doorbell, subject: int | None = None) -> None:
        """Ring after commit; a transaction that is rolled back rings nothing."""
        self.rings.setdefault(Ring(doorbell, subject))


@dataclass(frozen=True, slots=True)
class App:
    """One process's parts; no *relays*: none is configured, and mail waits in the queue.

    *actor*: who is on record for what these parts are made to do.
    """

    settings: Settings
    database: Database
    clock: Clock
    dispatcher: Dispatcher
    relays: Sequence[Relay] = ()
    actor: str = THE_SERVICE

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Open a transaction: commits when the block ends, then rings; rolls back and rings nothing when it raises."""
        with self.database.transaction() as session:
            tx = Transaction(session, self.clock(), self.settings, self.actor)
            yield tx
        for ring in tx.rings:
            self.dispatcher.ring(ring)

    @contextmanager
    def at_once(self) -> Iterator[Transaction]:
        """Open what rings nothing and whose every statement commits by itself: see `Database.at_once`."""
        with self.database.at_once() as session:
            yield Transaction(session, self.clock(), self.settings, self.actor)

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Open a transaction that only reads."""
        with self.database.reading() as session:
            yield Transaction(session, self.clock(), self.settings, self.actor)
