"""What one reader was mailed: stopped when they leave, counted, listed, and emptied of their address."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update

from newsletter.domain.deliveries import NOT_RECEIVED, DeliveryState, Purpose
from newsletter.storage.bulk import again_after_deadlock
from newsletter.storage.deliveries import DeliveryRow
from newsletter.storage.editions import EditionRow
from newsletter.storage.engine import Session, database_now
from newsletter.storage.subscribers import SubscriberRow
from newsletter.storage.subscriptions import SubscriptionRow

STOPPABLE = (DeliveryState.QUEUED, DeliveryState.LEASED)
"""Not written ahead yet: whoever leased one finds at its turn that it is no longer theirs."""


def cancel_open_deliveries(session: Session, subscriber_id: int, list_id: int, reason: str) -> int:
    """Cancel what waits to be sent to a reader of a list, whichever choice of theirs it was made for; return how much.

    *reason* says why in words.
    """
    cancel = (
        update(DeliveryRow)
        .where(
            DeliveryRow.subscriber_id == subscriber_id,
            DeliveryRow.list_id == list_id,
            DeliveryRow.state.in_(STOPPABLE),
        )
        .values(
            state=DeliveryState.CANCELLED,
            state_at=database_now(session),
            reason=reason,
            lease_token=None,
            lease_owner=None,
            lease_until=None,
        )
    )
    cancelled = again_after_deadlock(session, cancel.execution_options(synchronize_session=False))
    return int(cancelled.rowcount)  # type: ignore[attr-defined]  # the result of an UPDATE has it


def load_confirmation_times(session: Session, address_hmac: str, *, since: datetime) -> list[datetime]:
    """Return when confirmation mails were made for an address after *since*, for erased subscribers of it too.

    Those that certainly were never sent do not count: nobody was bothered by them.
    """
    statement = (
        select(DeliveryRow.mail_at)
        .join(SubscriberRow, SubscriberRow.id == DeliveryRow.subscriber_id)
        .where(
            SubscriberRow.address_hmac == address_hmac,
            DeliveryRow.purpose == Purpose.CONFIRMATION,
            DeliveryRow.mail_at > since,
            ~_CERTAINLY_UNSENT,
        )
        .order_by(DeliveryRow.mail_at)
    )
    return list(session.scalars(statement))


def count_unsent_confirmations(session: Session, subscription_id: int) -> int:
    """Return how many confirmation mails of a subscription came to an end without being sent; it only grows."""
    reader = select(SubscriptionRow.subscriber_id).where(SubscriptionRow.id == subscription_id).scalar_subquery()
    statement = select(func.count()).where(
        DeliveryRow.subscriber_id == reader,
        DeliveryRow.subscription_id == subscription_id,
        DeliveryRow.purpose == Purpose.CONFIRMATION,
        _CERTAINLY_UNSENT,
    )
    return session.scalar(statement) or 0


_CERTAINLY_UNSENT = DeliveryRow.state.in_(NOT_RECEIVED) & (DeliveryRow.resends == 0)
"""What was sent again had been in doubt before: it may have arrived, however it ended."""


@dataclass(frozen=True, slots=True)
class Mailing:
    """One mail to a reader, as they may be told of it; *slot_key* is None for a mail without an edition."""

    purpose: Purpose
    list_id: int | None
    slot_key: str | None
    language: str
    mail_at: datetime
    state: DeliveryState
    accepted_at: datetime | None


def load_mailings(session: Session, subscriber_ids: Iterable[int]) -> list[Mailing]:
    """Return all mails made for those subscribers, in order of making."""
    statement = (
        select(DeliveryRow, EditionRow.slot_key)
        .outerjoin(EditionRow, EditionRow.id == DeliveryRow.edition_id)
        .where(DeliveryRow.subscriber_id.in_(list(subscriber_ids)))
        .order_by(DeliveryRow.id)
    )
    return [
        Mailing(
            purpose=Purpose(row.purpose),
            list_id=row.list_id,
            slot_key=slot_key,
            language=row.language,
            mail_at=row.mail_at,
            state=DeliveryState(row.state),
            accepted_at=row.accepted_at,
        )
        for row, slot_key in session.execute(statement)
    ]


def forget_address(session: Session, subscriber_id: int) -> None:
    """Empty the address on a reader's deliveries, and what was put into mails without an edition; hashes stay."""
    session.execute(
        update(DeliveryRow).where(DeliveryRow.subscriber_id == subscriber_id).values(address=None, content=None)
    )
