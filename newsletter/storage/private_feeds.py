"""Private feeds in SQL: which addresses were given to whom; of an address only its digest is kept."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint, select, update
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.storage.base import Base, Identifier, PrimaryKey
from newsletter.storage.engine import Session


class PrivateFeedRow(Base):
    """An address of a reader's own for what they chose of a list; of several the one not revoked is in force."""

    __tablename__ = "private_feed"
    __table_args__ = (UniqueConstraint("subscriber_id", "list_id", "serial"),)
    id: Mapped[PrimaryKey]
    subscriber_id: Mapped[int] = mapped_column(Identifier, ForeignKey("subscriber.id", ondelete="CASCADE"))
    list_id: Mapped[int] = mapped_column(Identifier, ForeignKey("list.id", ondelete="CASCADE"), index=True)
    serial: Mapped[int]  # counts the addresses of this reader for this list
    digest: Mapped[str] = mapped_column(String(64), unique=True)  # SHA-256 of the token in the address
    made_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


@dataclass(frozen=True, slots=True)
class PrivateFeed:
    """An address given to a reader of a list."""

    subscriber_id: int
    list_id: int
    serial: int
    digest: str
    revoked_at: datetime | None


def load_newest(session: Session, subscriber_id: int, list_id: int) -> PrivateFeed | None:
    """Return the address given last, revoked or not; None: none was."""
    statement = (
        select(PrivateFeedRow)
        .where(PrivateFeedRow.subscriber_id == subscriber_id, PrivateFeedRow.list_id == list_id)
        .order_by(PrivateFeedRow.serial.desc())
        .limit(1)
    )
    row = session.scalars(statement).one_or_none()
    return None if row is None else _to_private_feed(row)


def find_by_digest(session: Session, digest: str) -> PrivateFeed | None:
    """Return the address whose token has this digest."""
    row = session.scalars(select(PrivateFeedRow).where(PrivateFeedRow.digest == digest)).one_or_none()
    return None if row is None else _to_private_feed(row)


def add_private_feed(session: Session, new: PrivateFeed, *, now: datetime) -> None:
    """Store an address."""
    session.add(
        PrivateFeedRow(
            subscriber_id=new.subscriber_id, list_id=new.list_id, serial=new.serial, digest=new.digest, made_at=now
        )
    )
    session.flush()


def revoke_all(session: Session, subscriber_id: int, list_id: int, *, now: datetime) -> None:
    """Revoke the addresses of a reader for a list."""
    session.execute(
        update(PrivateFeedRow)
        .where(
            PrivateFeedRow.subscriber_id == subscriber_id,
            PrivateFeedRow.list_id == list_id,
            PrivateFeedRow.revoked_at.is_(None),
        )
        .values(revoked_at=now)
    )


def _to_private_feed(row: PrivateFeedRow) -> PrivateFeed:
    return PrivateFeed(row.subscriber_id, row.list_id, row.serial, row.digest, row.revoked_at)
