"""Who polls feeds, in SQL: what aggregators state, and a sketch of the others, by feed and day; nobody's address."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, LargeBinary, String, delete, select, update
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.domain.feed_readers import DayOfFeed, Sketch
from newsletter.storage.base import Base
from newsletter.storage.bulk import insert_into
from newsletter.storage.engine import Session, database_now


class FeedReaderRow(Base):
    """One feed's pollers in one UTC day."""

    __tablename__ = "feed_reader"
    feed: Mapped[str] = mapped_column(String(150), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    stated: Mapped[dict[str, Any]]  # by aggregator
    direct: Mapped[bytes] = mapped_column(LargeBinary)  # a sketch, see the domain
    at: Mapped[datetime]  # the database's clock


def add_days(session: Session, days: Mapping[tuple[str, date], DayOfFeed]) -> None:
    """Add what one process has seen to what is stored; any number of processes may do so at once."""
    now = database_now(session)
    for feed, day in sorted(days):  # one order: no deadlock
        fresh = days[feed, day]
        values = {"feed": feed, "day": day, "stated": {}, "direct": bytes(Sketch()), "at": now}
        session.execute(insert_into(session, FeedReaderRow).values(values).on_conflict_do_nothing())
        where = (FeedReaderRow.feed == feed) & (FeedReaderRow.day == day)
        row = session.scalars(select(FeedReaderRow).where(where).with_for_update()).one()
        there = DayOfFeed(dict(row.stated), Sketch(row.direct))
        there.merge(fresh)
        session.execute(
            update(FeedReaderRow).where(where).values(stated=there.stated, direct=bytes(there.direct), at=now)
        )


def load_days(session: Session, *, since: date) -> dict[str, list[DayOfFeed]]:
    """Return what was seen of each feed from a day on, the oldest day first."""
    query = select(FeedReaderRow).where(FeedReaderRow.day >= since).order_by(FeedReaderRow.feed, FeedReaderRow.day)
    found: dict[str, list[DayOfFeed]] = {}
    for row in session.scalars(query):
        found.setdefault(row.feed, []).append(DayOfFeed(dict(row.stated), Sketch(row.direct)))
    return found


def forget_days(session: Session, *, before: date) -> None:
    """Delete what was seen before a day."""
    session.execute(delete(FeedReaderRow).where(FeedReaderRow.day < before))
