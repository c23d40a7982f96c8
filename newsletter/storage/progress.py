"""Progress of an edition that is being sent, counted in as few passes over its deliveries as can be."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Integer, case, cast, func, select, text

from newsletter.domain.deliveries import DeliveryState
from newsletter.storage.deliveries import AttemptRow, DeliveryRow
from newsletter.storage.engine import Session, database_now


@dataclass(frozen=True, slots=True)
class Counted:
    """An edition's mails by provider and state; *recent*: those accepted in the span that was asked for."""

    by_provider: Mapping[str, Mapping[DeliveryState, int]]
    recent: int


def count_mails(session: Session, edition_id: int, *, span: timedelta) -> Counted:
    """Count an edition's mails by provider and state, and those accepted in the last *span*."""
    since = database_now(session) - span
    is_recent = cast(func.sum(case((DeliveryRow.accepted_at > since, 1), else_=0)), Integer)
    query = (
        select(DeliveryRow.provider, DeliveryRow.state, func.count(), is_recent)
        .where(DeliveryRow.edition_id == edition_id)
        .group_by(DeliveryRow.provider, DeliveryRow.state)
        .order_by(DeliveryRow.provider, DeliveryRow.state)
    )
    by_provider: dict[str, dict[DeliveryState, int]] = {}
    recent = 0
    for provider, state, count, new in session.execute(query):
        by_provider.setdefault(provider, {})[DeliveryState(state)] = count
        recent += new or 0
    return Counted(by_provider, recent)


def count_troubles(session: Session, edition_id: int, *, limit: int) -> list[tuple[str, int | None, str | None, int]]:
    """Return the last answers that were no yes, as (class, code, enhanced code, count), the most frequent first."""
    attempt = AttemptRow
    query = (
        select(attempt.outcome, attempt.code, attempt.enhanced, func.count().label("count"))
        .join(DeliveryRow, (DeliveryRow.id == attempt.delivery_id) & (DeliveryRow.attempts == attempt.n))
        .where(
            DeliveryRow.edition_id == edition_id,
            DeliveryRow.attempts > 0,
            DeliveryRow.state != DeliveryState.ACCEPTED,
            attempt.outcome != "accepted",
        )
        .group_by(attempt.outcome, attempt.code, attempt.enhanced)
        .order_by(func.count().desc(), attempt.outcome, attempt.code)
        .limit(limit)
    )
    return [(outcome, code, enhanced, count) for outcome, code, enhanced, count in session.execute(query)]


def next_due(session: Session, edition_id: int) -> datetime | None:
    """Return when the first queued mail of an edition is due; None: none waits."""
    query = select(func.min(DeliveryRow.available_at)).where(
        text("state = 'queued'"), DeliveryRow.edition_id == edition_id
    )
    found: datetime | None = session.execute(query).scalar_one_or_none()
    return found
