"""Relays' circuit breakers in SQL, shared by all senders."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import String, Text, select, update
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.domain.breakers import CLEAN, Breaker
from newsletter.domain.replies import LONGEST_KEPT
from newsletter.storage.base import Base, Code
from newsletter.storage.bulk import insert_into
from newsletter.storage.engine import Session, database_now


class RelayRow(Base):
    """A relay that has failed at some time; the database's clock."""

    __tablename__ = "relay"
    name: Mapped[str] = mapped_column(String(300), primary_key=True)
    failures: Mapped[int] = mapped_column(default=0)
    trips: Mapped[int] = mapped_column(default=0)
    open_until: Mapped[datetime | None]
    probe_until: Mapped[datetime | None]
    probed: Mapped[bool] = mapped_column(default=False)
    failed_at: Mapped[datetime | None]
    failed_stage: Mapped[Code | None]
    failed_words: Mapped[str | None] = mapped_column(Text)  # without addresses
    opened_at: Mapped[datetime | None]  # when it was first opened of those times in a row


@dataclass(frozen=True, slots=True)
class RelayRecord:
    """A relay's breaker and its last failure."""

    name: str
    breaker: Breaker = CLEAN
    failed_at: datetime | None = None
    failed_stage: str | None = None
    failed_words: str | None = None
    opened_at: datetime | None = None


def load_relays(session: Session, names: list[str], *, lock: bool = False) -> dict[str, RelayRecord]:
    """Return what is known of these relays, by name; of those that never failed, nothing."""
    query = select(RelayRow).where(RelayRow.name.in_(names)).order_by(RelayRow.name)
    query = query.execution_options(populate_existing=True)
    return {
        row.name: RelayRecord(
            row.name,
            Breaker(row.failures, row.trips, row.open_until, row.probe_until, row.probed),
            row.failed_at,
            row.failed_stage,
            row.failed_words,
            row.opened_at,
        )
        for row in session.scalars(query.with_for_update() if lock else query)
    }


def lock_relay(session: Session, name: str) -> RelayRecord:
    """Return what is known of a relay, which gets a row if it has none, locked until the transaction ends."""
    row = {"name": name, "failures": 0, "trips": 0, "probed": False}
    session.execute(insert_into(session, RelayRow).values(row).on_conflict_do_nothing())
    return load_relays(session, [name], lock=True)[name]


def save_breaker(session: Session, name: str, breaker: Breaker) -> None:
    """Store a breaker; its relay has a row."""
    _update(session, name, breaker)


def save_failure(session: Session, record: RelayRecord, breaker: Breaker, *, stage: str, words: str) -> None:
    """Store a breaker after a failure and what was said."""
    now = database_now(session)
    opened_at = record.opened_at or (now if breaker.open_until else None)
    values = {"failed_at": now, "failed_stage": stage, "failed_words": words[:LONGEST_KEPT], "opened_at": opened_at}
    _update(session, record.name, breaker, **values)


def close_breaker(session: Session, name: str) -> None:
    """Forget a relay's failures, but for the last one's words."""
    _update(session, name, CLEAN, opened_at=None)


def _update(session: Session, name: str, breaker: Breaker, **values: object) -> None:
    session.execute(
        update(RelayRow)
        .where(RelayRow.name == name)
        .values(
            failures=breaker.failures,
            trips=breaker.trips,
            open_until=breaker.open_until,
            probe_until=breaker.probe_until,
            probed=breaker.probed,
            **values,
        )
    )
