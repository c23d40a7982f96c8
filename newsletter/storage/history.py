"""What one reader was sent: editions with the articles in them, as they were shown."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from newsletter.domain.deliveries import DeliveryState, Purpose
from newsletter.storage.deliveries import DeliveryRow
from newsletter.storage.editions import EditionRow
from newsletter.storage.engine import Session
from newsletter.storage.variants import VariantItemRow, VariantRow

CAME = (DeliveryState.ACCEPTED, DeliveryState.IN_DOUBT)
"""States in which a mail has gone out, as far as anybody knows."""


@dataclass(frozen=True, slots=True)
class SentEdition:
    """An edition that one reader was sent, by which variant, and for which choice."""

    delivery_id: int
    list_id: int
    slot_key: str
    sent_at: datetime
    variant_id: int
    digest: str
    subject: str
    language: str
    filter_id: int


def load_sent(session: Session, subscriber_id: int, *, before: int | None, limit: int) -> list[SentEdition]:
    """Return the editions that a reader was sent, the last first; *before*: made before the delivery with that id."""
    statement = (
        select(
            DeliveryRow.id,
            EditionRow.list_id,
            EditionRow.slot_key,
            DeliveryRow.mail_at,
            VariantRow.id,
            VariantRow.digest,
            VariantRow.subject,
            VariantRow.language,
            func.coalesce(DeliveryRow.filter_id, 0),
        )
        .join(EditionRow, EditionRow.id == DeliveryRow.edition_id)
        .join(VariantRow, VariantRow.id == DeliveryRow.variant_id)
        .where(
            DeliveryRow.subscriber_id == subscriber_id,
            DeliveryRow.purpose == Purpose.EDITION,
            DeliveryRow.state.in_(CAME),
            DeliveryRow.filter_id.is_not(None),
        )
        .order_by(DeliveryRow.id.desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(DeliveryRow.id < before)
    return [SentEdition(*row) for row in session.execute(statement)]


def load_shown(session: Session, variant_ids: Iterable[int]) -> dict[int, list[tuple[int, str]]]:
    """Return the articles of each variant in order, as (article id, language)."""
    shown: dict[int, list[tuple[int, str]]] = {}
    statement = (
        select(VariantItemRow.variant_id, VariantItemRow.article_id, VariantItemRow.language)
        .where(VariantItemRow.variant_id.in_(sorted(set(variant_ids))))
        .order_by(VariantItemRow.variant_id, VariantItemRow.position)
    )
    for variant_id, article_id, language in session.execute(statement):
        shown.setdefault(variant_id, []).append((article_id, language))
    return shown
