"""Signs of life of the tick and the workers, in SQL."""

from datetime import datetime, timedelta

from sqlalchemy import String, select
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.storage.base import Base
from newsletter.storage.bulk import insert_into
from newsletter.storage.engine import Session, database_now


class HeartbeatRow(Base):
    """When something last did its work; the database's clock."""

    __tablename__ = "heartbeat"
    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    at: Mapped[datetime]


def beat(session: Session, name: str) -> None:
    """Leave a sign of life under *name*."""
    now = database_now(session)
    session.execute(
        insert_into(session, HeartbeatRow)
        .values(name=name, at=now)
        .on_conflict_do_update(index_elements=["name"], set_={"at": now})
    )


def heartbeat_age(session: Session, name: str) -> timedelta | None:
    """Return how long ago *name* last gave a sign of life; None: never."""
    at = session.execute(select(HeartbeatRow.at).where(HeartbeatRow.name == name)).scalar_one_or_none()
    return database_now(session) - at if at else None
