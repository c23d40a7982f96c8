"""How many readers lists gain and lose, day by day, in SQL."""

from datetime import date, datetime

from sqlalchemy import ColumnElement, func, select

from newsletter.domain.subscriptions import LEAVING, ConsentAct
from newsletter.storage.engine import Session
from newsletter.storage.subscriptions import ConsentRow, SubscriptionRow

GAINS = (ConsentAct.CONFIRMED, ConsentAct.IMPORTED, ConsentAct.UNDONE)


def count_gains(session: Session, *, since: datetime) -> list[tuple[int, date, int]]:
    """Return how many readers each list won by day, UTC: confirmed, imported, or back a moment after they left."""
    day = _day(session, ConsentRow.at)
    query = (
        select(SubscriptionRow.list_id, day, func.count())
        .join(ConsentRow, ConsentRow.subscription_id == SubscriptionRow.id)
        .where(ConsentRow.act.in_(GAINS), ConsentRow.at >= since)
        .group_by(SubscriptionRow.list_id, day)
        .order_by(SubscriptionRow.list_id, day)
    )
    return [(list_id, _date(when), count) for list_id, when, count in session.execute(query)]


def count_losses(session: Session, *, since: datetime) -> list[tuple[int, date, str, int]]:
    """Return how many readers each list lost by day, UTC, and why; a changed choice is no loss."""
    day = _day(session, SubscriptionRow.ended_at)
    query = (
        select(SubscriptionRow.list_id, day, SubscriptionRow.end_reason, func.count())
        .where(
            SubscriptionRow.end_reason.in_(LEAVING),
            SubscriptionRow.confirmed_at.is_not(None),
            SubscriptionRow.ended_at >= since,
        )
        .group_by(SubscriptionRow.list_id, day, SubscriptionRow.end_reason)
        .order_by(SubscriptionRow.list_id, day, SubscriptionRow.end_reason)
    )
    return [(list_id, _date(when), reason or "", count) for list_id, when, reason, count in session.execute(query)]


def _day(session: Session, column: object) -> ColumnElement[object]:
    """Return the UTC day of a time; SQLite keeps times in UTC without a zone."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    return func.date(column if is_sqlite else func.timezone("UTC", column))


def _date(value: object) -> date:
    return date.fromisoformat(str(value))
