"""Subscribers in SQL."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import CheckConstraint, Index, String, func, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.domain.addresses import Address
from newsletter.domain.providers import provider_of
from newsletter.domain.subscriptions import Subscriber
from newsletter.storage.base import Base, Code, PrimaryKey
from newsletter.storage.bulk import chunks, insert_into
from newsletter.storage.engine import Session


class SubscriberRow(Base):
    """A person's address and language; erasing one empties the row and keeps it for the ledger's sake."""

    __tablename__ = "subscriber"
    __table_args__ = (
        CheckConstraint("(address IS NULL) = (erased_at IS NOT NULL)", name="address_until_erased"),
        CheckConstraint("(address IS NULL) = (address_key IS NULL)", name="address_has_key"),
        Index(
            "ix_subscriber_erased",
            "address_hmac",
            sqlite_where=text("erased_at IS NOT NULL"),
            postgresql_where=text("erased_at IS NOT NULL"),
        ),
    )
    id: Mapped[PrimaryKey]
    uid: Mapped[str] = mapped_column(String(36), unique=True)
    address: Mapped[str | None] = mapped_column(String(320))  # as the reader wrote it; None once erased
    address_key: Mapped[str | None] = mapped_column(String(320), unique=True)  # as it is compared
    address_hmac: Mapped[str] = mapped_column(String(64), index=True)
    provider: Mapped[Code]  # the group that receives the address's mail
    language: Mapped[Code]
    created_at: Mapped[datetime]
    erased_at: Mapped[datetime | None]


@dataclass(frozen=True, slots=True)
class NewSubscriber:
    """A subscriber to be stored; *key* is the address as it is compared, *hmac* its keyed hash."""

    uid: str
    address: str
    key: str
    hmac: str
    language: str


def intern_subscribers(session: Session, new: Sequence[NewSubscriber], *, now: datetime) -> dict[str, Subscriber]:
    """Return the subscribers with those addresses, by key; who is not there yet is added, who is stays as they are."""
    rows = [
        {
            "uid": each.uid,
            "address": each.address,
            "address_key": each.key,
            "address_hmac": each.hmac,
            "provider": provider_of(each.address),
            "language": each.language,
            "created_at": now,
        }
        for each in sorted(new, key=lambda each: each.key)  # in one order, so that imports cannot deadlock
    ]
    if rows:
        session.execute(
            insert_into(session, SubscriberRow).on_conflict_do_nothing(index_elements=["address_key"]), rows
        )
    found: dict[str, Subscriber] = {}
    for keys in chunks([each.key for each in new]):
        statement = select(SubscriberRow).where(SubscriberRow.address_key.in_(keys))
        found.update((str(row.address_key), _to_subscriber(row)) for row in session.scalars(statement))
    return found


def load_subscriber(session: Session, key: str) -> Subscriber | None:
    """Return the subscriber whose address compares as *key*, None when there is none or they are erased."""
    row = session.scalars(select(SubscriberRow).where(SubscriberRow.address_key == key)).one_or_none()
    return None if row is None else _to_subscriber(row)


def load_subscriber_by_id(session: Session, subscriber_id: int) -> Subscriber:
    """Return the subscriber with that id; it exists, since every reference to it is a foreign key."""
    return _to_subscriber(session.get_one(SubscriberRow, subscriber_id, populate_existing=True))


def lock_subscriber(session: Session, subscriber_id: int) -> None:
    """Keep others from changing a subscriber's subscriptions until this transaction ends; SQLite has one writer."""
    session.execute(select(SubscriberRow.id).where(SubscriberRow.id == subscriber_id).with_for_update())


def load_subscribers(session: Session, ids: Iterable[int]) -> dict[int, Subscriber]:
    """Return the subscribers with those ids, by id; erased ones are left out."""
    found: dict[int, Subscriber] = {}
    for chunk in chunks(sorted(set(ids))):
        statement = select(SubscriberRow).where(SubscriberRow.id.in_(chunk), SubscriberRow.address.is_not(None))
        found.update((row.id, _to_subscriber(row)) for row in session.scalars(statement))
    return found


def erase_subscriber(session: Session, subscriber_id: int, *, now: datetime) -> bool:
    """Empty a subscriber's address, which leaves its keyed hash; return whether there was one."""
    erase = (
        update(SubscriberRow)
        .where(SubscriberRow.id == subscriber_id, SubscriberRow.address.is_not(None))
        .values(address=None, address_key=None, erased_at=now)
    )
    return session.execute(erase.returning(SubscriberRow.id)).first() is not None


def move_subscriber(session: Session, subscriber_id: int, address: Address, hashed: str) -> bool:
    """Give a subscriber another address, *hashed* being its keyed hash; return whether nobody else has it."""
    taken = select(SubscriberRow.id).where(SubscriberRow.address_key == address.key, SubscriberRow.id != subscriber_id)
    if session.scalar(taken.limit(1)) is not None:
        return False
    session.execute(
        update(SubscriberRow)
        .where(SubscriberRow.id == subscriber_id)
        .values(
            address=address.original,
            address_key=address.key,
            address_hmac=hashed,
            provider=provider_of(address.original),
        )
    )
    return True


def set_language(session: Session, subscriber_id: int, language: str) -> None:
    """Store the language in which to speak with a subscriber."""
    session.execute(update(SubscriberRow).where(SubscriberRow.id == subscriber_id).values(language=language))


def count_subscribers(session: Session) -> int:
    """Count the subscribers who are not erased."""
    return session.scalar(select(func.count()).where(SubscriberRow.address.is_not(None))) or 0


def _to_subscriber(row: SubscriberRow) -> Subscriber:
    return Subscriber(
        id=row.id, uid=row.uid, address=row.address or "", address_hmac=row.address_hmac, language=row.language
    )
