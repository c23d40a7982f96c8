"""What is kept only for a time, in SQL: addresses of old mails, readers who left long ago."""

from datetime import datetime
from itertools import takewhile

from sqlalchemy import String, func, select, update
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.domain.deliveries import ENDED, DeliveryState
from newsletter.domain.subscriptions import SubscriptionState
from newsletter.storage.base import Base, Identifier
from newsletter.storage.bulk import insert_into
from newsletter.storage.deliveries import DeliveryRow
from newsletter.storage.engine import Session
from newsletter.storage.subscribers import SubscriberRow
from newsletter.storage.subscriptions import SubscriptionRow


class RetentionRow(Base):
    """How far one job has walked through its table: the last id it has seen."""

    __tablename__ = "retention"
    job: Mapped[str] = mapped_column(String(40), primary_key=True)
    last_id: Mapped[int] = mapped_column(Identifier)


DELIVERY_ADDRESSES = "delivery_addresses"
SETTLED = (*ENDED, DeliveryState.IN_DOUBT)
"""States in which nobody needs a mail's address any more; a doubt of that age is held for the record alone."""


def forget_delivery_addresses(session: Session, *, before: datetime, limit: int) -> int:
    """Empty the addresses of the next *limit* mails made before then, walking on by id; return how many were looked at.

    Walks by the primary key from where it stopped, so that it needs no index of its own on the largest table. What may
    still be sent keeps its address, and is not come back to: *before* lies further back than any deadline.
    """
    cursor = session.scalar(select(RetentionRow.last_id).where(RetentionRow.job == DELIVERY_ADDRESSES)) or 0
    rows = session.execute(
        select(DeliveryRow.id, DeliveryRow.mail_at).where(DeliveryRow.id > cursor).order_by(DeliveryRow.id).limit(limit)
    ).all()
    seen = [row.id for row in takewhile(lambda row: row.mail_at < before, rows)]
    if not seen:
        return 0
    session.execute(
        update(DeliveryRow)
        .where(DeliveryRow.id > cursor, DeliveryRow.id <= seen[-1], DeliveryRow.state.in_(SETTLED))
        .values(address=None, content=None)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        insert_into(session, RetentionRow)
        .values(job=DELIVERY_ADDRESSES, last_id=seen[-1])
        .on_conflict_do_update(index_elements=["job"], set_={"last_id": seen[-1]})
    )
    return len(seen)


def find_long_gone(session: Session, *, before: datetime, limit: int) -> list[int]:
    """Return subscribers, not erased, all of whose subscriptions ended before then, in order of id."""
    stays = (
        select(SubscriptionRow.id)
        .where(
            SubscriptionRow.subscriber_id == SubscriberRow.id,
            (SubscriptionRow.state != SubscriptionState.ENDED) | (SubscriptionRow.ended_at >= before),
        )
        .exists()
    )
    statement = (
        select(SubscriberRow.id)
        .where(SubscriberRow.address.is_not(None), SubscriberRow.created_at < before, ~stays)
        .order_by(SubscriberRow.id)
        .limit(limit)
    )
    return list(session.scalars(statement))


def count_addresses(session: Session) -> int:
    """Return how many mails still carry their address."""
    return session.scalar(select(func.count()).where(DeliveryRow.address.is_not(None))) or 0
