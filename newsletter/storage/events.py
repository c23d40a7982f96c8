"""What the far side reported of deliveries, in SQL: stored once, whoever tells it how often."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update

from newsletter.domain.deliveries import Outcome
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
