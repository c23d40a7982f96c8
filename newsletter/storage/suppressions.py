"""Suppressions in SQL: addresses that must not be mailed, as keyed hashes."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import String, select, update
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.domain.suppressions import Suppression, SuppressionReason
from newsletter.storage.base import Base, Code, PrimaryKey, one_of
from newsletter.storage.bulk import chunks, insert_into
from newsletter.storage.engine import Session


class SuppressionRow(Base):
    """An address that must not be mailed, as a keyed hash so that it outlives erasure."""

    __tablename__ = "suppression"
    __table_args__ = (one_of("reason", SuppressionReason),)
    id: Mapped[PrimaryKey]
    address_hmac: Mapped[str] = mapped_column(String(64), unique=True)
    reason: Mapped[Code]
    created_at: Mapped[datetime]
    lifted_at: Mapped[datetime | None]


def add_suppression(session: Session, address_hmac: str, reason: SuppressionReason, *, now: datetime) -> None:
    """Suppress an address; one that is suppressed already keeps its first reason, a lifted one is suppressed anew."""
    insert = insert_into(session, SuppressionRow).values(
        address_hmac=address_hmac, reason=reason, created_at=now, lifted_at=None
    )
    session.execute(
        insert.on_conflict_do_update(
            index_elements=["address_hmac"],
            set_={"reason": reason, "created_at": now, "lifted_at": None},
            where=SuppressionRow.lifted_at.is_not(None),
        )
    )


def lift_suppression(session: Session, address_hmac: str, *, now: datetime) -> bool:
    """Allow mail to an address again; return whether it was suppressed."""
    lift = (
        update(SuppressionRow)
        .where(SuppressionRow.address_hmac == address_hmac, SuppressionRow.lifted_at.is_(None))
        .values(lifted_at=now)
    )
    return session.execute(lift.returning(SuppressionRow.id)).first() is not None


def load_suppression(session: Session, address_hmac: str) -> Suppression | None:
    """Return the suppression in force for an address, None when there is none."""
    return load_suppressions(session, (address_hmac,)).get(address_hmac)


def load_suppressions(session: Session, hmacs: Sequence[str]) -> dict[str, Suppression]:
    """Return the suppressions in force among those addresses, by keyed hash."""
    found: dict[str, Suppression] = {}
    for chunk in chunks(hmacs):
        statement = select(SuppressionRow).where(
            SuppressionRow.address_hmac.in_(chunk), SuppressionRow.lifted_at.is_(None)
        )
        for row in session.scalars(statement):
            found[row.address_hmac] = Suppression(row.address_hmac, SuppressionReason(row.reason), row.created_at)
    return found


def load_release(session: Session, address_hmac: str) -> datetime | None:
    """Return when a suppression of an address was lifted, None if it is in force or there never was one."""
    query = select(SuppressionRow.lifted_at).where(SuppressionRow.address_hmac == address_hmac)
    return session.execute(query).scalar_one_or_none()
