"""What the far side reported of deliveries, in SQL: stored once, whoever tells it how often."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update

from newsletter.domain.bounces import Returned
from newsletter.domain.deliveries import DeliveryState, Outcome
from newsletter.storage.bulk import insert_into
from newsletter.storage.deliveries import DeliveryEventRow, DeliveryRow
from newsletter.storage.engine import Session


@dataclass(frozen=True, slots=True)
class ReportedDelivery:
    """Which mail a report is about."""

    id: int
    subscriber_id: int
    address_hmac: str


def find_reported(session: Session, mail_token: str) -> ReportedDelivery | None:
    """Return the delivery whose Message-ID has that left side, None when there is none."""
    row = session.execute(
        select(DeliveryRow.id, DeliveryRow.subscriber_id, DeliveryRow.address_hmac).where(
            DeliveryRow.mail_token == mail_token
        )
    ).one_or_none()
    return ReportedDelivery(*row) if row else None


def mails_until(session: Session, reported: ReportedDelivery, *, limit: int) -> list[Returned]:
    """Return the mails accepted for an address up to a reported one, the newest first, with their soft bounces."""
    soft = (DeliveryEventRow.delivery_id == DeliveryRow.id) & (DeliveryEventRow.outcome == Outcome.SOFT_BOUNCE)
    query = (
        select(DeliveryRow.id, DeliveryRow.mail_at, DeliveryEventRow.details)
        .outerjoin(DeliveryEventRow, soft)
        .where(
            DeliveryRow.subscriber_id == reported.subscriber_id,
            DeliveryRow.address_hmac == reported.address_hmac,
            DeliveryRow.state == DeliveryState.ACCEPTED,
            DeliveryRow.id <= reported.id,
        )
        .order_by(DeliveryRow.id.desc(), DeliveryEventRow.id)
        .limit(limit)
    )
    found: dict[int, Returned] = {}
    for row in session.execute(query):
        status = None if row.details is None else str(row.details.get("status", ""))
        found.setdefault(row.id, Returned(row.mail_at, status))
    return list(found.values())


def add_event(
    session: Session,
    delivery_id: int,
    outcome: Outcome,
    *,
    source: str,
    external_id: str,
    details: dict[str, str],
    now: datetime,
) -> bool:
    """Store a report of a delivery and note its outcome; return whether it was new to its source by *external_id*."""
    inserted = session.execute(
        insert_into(session, DeliveryEventRow)
        .values(
            source=source,
            external_id=external_id,
            delivery_id=delivery_id,
            outcome=outcome,
            reported_at=now,
            received_at=now,
            applied_at=now,
            details=details,
        )
        .on_conflict_do_nothing(index_elements=["source", "external_id"])
        .returning(DeliveryEventRow.id)
    ).first()
    if inserted is None:
        return False
    session.execute(update(DeliveryRow).where(DeliveryRow.id == delivery_id).values(outcome=outcome, outcome_at=now))
    return True
