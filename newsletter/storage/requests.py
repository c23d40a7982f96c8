"""What readers asked for and must confirm by a freshly mailed link, in SQL."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, func, select, update
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.domain.addresses import Address
from newsletter.domain.requests import ReaderRequest, RequestKind
from newsletter.storage.base import Base, Code, Identifier, PrimaryKey, one_of
from newsletter.storage.engine import Session


class ReaderRequestRow(Base):
    """A request of one reader: their data, their erasure, or another address, which is kept until it is decided."""

    __tablename__ = "reader_request"
    __table_args__ = (
        one_of("kind", RequestKind),
        CheckConstraint("(address IS NULL) = (address_key IS NULL)", name="address_has_key"),
        Index("ix_reader_request_subscriber", "subscriber_id", "asked_at"),
    )
    id: Mapped[PrimaryKey]
    uid: Mapped[str] = mapped_column(String(36), unique=True)
    subscriber_id: Mapped[int] = mapped_column(Identifier, ForeignKey("subscriber.id"))
    kind: Mapped[Code]
    asked_at: Mapped[datetime] = mapped_column(index=True)
    done_at: Mapped[datetime | None]  # used up, or refused
    language: Mapped[Code]
    address: Mapped[str | None] = mapped_column(String(320))
    address_key: Mapped[str | None] = mapped_column(String(320))


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A request to be stored; *address* only of a change of address."""

    uid: str
    subscriber_id: int
    kind: RequestKind
    language: str
    address: Address | None = None


def add_request(session: Session, new: NewRequest, *, now: datetime) -> ReaderRequest:
    """Store a request."""
    row = ReaderRequestRow(
        uid=new.uid,
        subscriber_id=new.subscriber_id,
        kind=new.kind,
        asked_at=now,
        language=new.language,
        address=new.address.original if new.address else None,
        address_key=new.address.key if new.address else None,
    )
    session.add(row)
    session.flush()
    return _to_request(row)


def load_request(session: Session, uid: str) -> ReaderRequest | None:
    """Return the request with that uid, None when there is none."""
    row = session.scalars(
        select(ReaderRequestRow).where(ReaderRequestRow.uid == uid).execution_options(populate_existing=True)
    ).one_or_none()
    return None if row is None else _to_request(row)


def count_requests(session: Session, subscriber_id: int, *, since: datetime) -> int:
    """Return how many requests a reader made after *since*."""
    statement = select(func.count()).where(
        ReaderRequestRow.subscriber_id == subscriber_id, ReaderRequestRow.asked_at > since
    )
    return session.scalar(statement) or 0


def count_asked(session: Session, address_key: str, *, since: datetime) -> int:
    """Return how many open requests, whoever's, named an address after *since*."""
    statement = select(func.count()).where(
        ReaderRequestRow.asked_at > since, ReaderRequestRow.address_key == address_key
    )
    return session.scalar(statement) or 0


def finish_request(session: Session, request_id: int, *, now: datetime) -> bool:
    """Use a request up, so that its link works once, and forget the address in it; return whether this call did it."""
    finish = (
        update(ReaderRequestRow)
        .where(ReaderRequestRow.id == request_id, ReaderRequestRow.done_at.is_(None))
        .values(done_at=now, address=None, address_key=None)
    )
    return session.execute(finish.returning(ReaderRequestRow.id)).first() is not None


def forget_requests(session: Session, *, before: datetime) -> None:
    """Empty the addresses in requests made before then, decided or not."""
    session.execute(
        update(ReaderRequestRow)
        .where(ReaderRequestRow.asked_at < before, ReaderRequestRow.address.is_not(None))
        .values(address=None, address_key=None)
    )


def forget_requests_of(session: Session, subscriber_id: int) -> None:
    """Empty the addresses in all requests of a reader."""
    session.execute(
        update(ReaderRequestRow)
        .where(ReaderRequestRow.subscriber_id == subscriber_id)
        .values(address=None, address_key=None)
    )


def _to_request(row: ReaderRequestRow) -> ReaderRequest:
    address = Address(row.address, row.address_key) if row.address and row.address_key else None
    return ReaderRequest(
        row.id, row.uid, row.subscriber_id, RequestKind(row.kind), row.asked_at, row.done_at, row.language, address
    )
