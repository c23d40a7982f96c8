"""Measures of the whole service, each by an index and none by reading a table through."""

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import func, select, text

from newsletter.domain.deliveries import HOLD_AFTER, DeliveryState, Pool
from newsletter.storage.deliveries import UNDER_WAY, DeliveryRow
from newsletter.storage.editions import EditionRow
from newsletter.storage.engine import Session, database_now
from newsletter.storage.heartbeats import HeartbeatRow
from newsletter.storage.ledger_lanes import waiting_lanes
from newsletter.storage.recovery import EVIDENCE_WAIT


def count_open_deliveries(session: Session) -> dict[str, int]:
    """Count deliveries that are not at an end, by state; states with none are left out."""
    queued = select(func.count()).where(text("state = 'queued'")).select_from(DeliveryRow)
    under_way = select(DeliveryRow.state, func.count()).where(text(UNDER_WAY)).group_by(DeliveryRow.state)
    counts = {str(DeliveryState.QUEUED): session.scalar(queued) or 0} | dict(session.execute(under_way).all())
    return {state: count for state, count in counts.items() if count}


def count_ended_deliveries(session: Session) -> dict[str, int]:
    """Count the deliveries of editions that are done, by the state in which they ended."""
    totals: dict[str, int] = {}
    for counts in session.scalars(select(EditionRow.counts).where(EditionRow.counts.is_not(None))):
        for state, count in (counts or {}).items():
            totals[state] = totals.get(state, 0) + int(count)
    return totals


def count_editions(session: Session) -> dict[str, int]:
    """Count editions by state; states with none are left out."""
    statement = select(EditionRow.state, func.count()).group_by(EditionRow.state)
    return dict(session.execute(statement).all())


def oldest_due_ages(session: Session) -> Mapping[Pool, timedelta]:
    """Return for each pool how long its oldest due delivery has been due; zero when none is."""
    now = database_now(session)
    return {
        pool: max((now - lane.oldest_at for lane in waiting_lanes(session, pool)), default=timedelta()) for pool in Pool
    }


def heartbeat_ages(session: Session) -> dict[str, timedelta]:
    """Return how long ago each part of the service gave its last sign of life, by name."""
    now = database_now(session)
    rows = session.execute(select(HeartbeatRow.name, HeartbeatRow.at).order_by(HeartbeatRow.name))
    return {name: now - at for name, at in rows}


def doubts_by_edition(session: Session) -> list[tuple[int, int, int]]:
    """Return editions with mails in doubt for a while, and not held for good yet: (id, how many, readers in all)."""
    now = database_now(session)
    counts = (
        select(DeliveryRow.edition_id, func.count().label("doubted"))
        .where(
            text(UNDER_WAY),
            DeliveryRow.state == text("'in_doubt'"),
            DeliveryRow.edition_id.is_not(None),
            DeliveryRow.state_at < now - EVIDENCE_WAIT,
            DeliveryRow.state_at > now - HOLD_AFTER,
        )
        .group_by(DeliveryRow.edition_id)
        .subquery()
    )
    query = select(EditionRow.id, counts.c.doubted, EditionRow.candidate_count).join(
        counts, counts.c.edition_id == EditionRow.id
    )
    return [
        (edition_id, doubted, total) for edition_id, doubted, total in session.execute(query.order_by(EditionRow.id))
    ]
