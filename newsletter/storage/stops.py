"""Stops: what keeps all mail of all lanes where it is, on every worker, until somebody takes it away."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import String, Text, delete, select
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.storage.base import Base, Code, one_of
from newsletter.storage.bulk import insert_into
from newsletter.storage.engine import Session, database_now

GUARD = "the restore guard"
"""Who stops all mail where an older state of the database shows."""


class StopKind(StrEnum):
    """Who stops everything: a person, or the guard that saw an older state of the database."""

    PAUSE = "pause"
    RESTORE = "restore"


class StopRow(Base):
    """While there is a row, nothing is claimed or written ahead; the database's clock."""

    __tablename__ = "stop"
    __table_args__ = (one_of("kind", StopKind),)
    kind: Mapped[Code] = mapped_column(primary_key=True)
    reason: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    by: Mapped[str] = mapped_column(String(200))


@dataclass(frozen=True, slots=True)
class Stop:
    """Why nothing is sent at all, since when, and by whose hand."""

    kind: StopKind
    reason: str
    at: datetime
    by: str


def put_stop(session: Session, kind: StopKind, *, reason: str, by: str) -> bool:
    """Stop everything; one of the same kind stays as it is. Say whether this is the one that did it."""
    row = {"kind": kind, "reason": reason, "at": database_now(session), "by": by[:200]}
    put = insert_into(session, StopRow).values(row).on_conflict_do_nothing().returning(StopRow.kind)
    return session.execute(put).first() is not None


def lift_stop(session: Session, kind: StopKind) -> bool:
    """Take a stop away; say whether there was one."""
    return session.execute(delete(StopRow).where(StopRow.kind == kind).returning(StopRow.kind)).first() is not None


def is_stopped(session: Session, kind: StopKind) -> bool:
    """Say whether there is a stop of this kind."""
    return session.execute(select(StopRow.kind).where(StopRow.kind == kind)).first() is not None


def load_stops(session: Session) -> list[Stop]:
    """Return what stops everything now, the oldest first."""
    rows = session.scalars(select(StopRow).order_by(StopRow.at, StopRow.kind))
    return [Stop(StopKind(row.kind), row.reason, row.at, row.by) for row in rows]
