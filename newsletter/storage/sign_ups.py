"""How many sign-ups came from where, in SQL: counts by the hour and the day, without addresses."""

from datetime import datetime

from sqlalchemy import String, delete
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.storage.base import Base
from newsletter.storage.bulk import insert_into
from newsletter.storage.engine import Session


class SignUpTallyRow(Base):
    """How many sign-ups a network, or everybody together, sent in one span of time."""

    __tablename__ = "sign_up_tally"
    scope: Mapped[str] = mapped_column(String(80), primary_key=True)  # a keyed hash of the network, or "overall"
    begins_at: Mapped[datetime] = mapped_column(primary_key=True)
    seconds: Mapped[int] = mapped_column(primary_key=True)
    count: Mapped[int]


def count_sign_up(session: Session, scope: str, *, begins_at: datetime, seconds: int) -> int:
    """Count one more sign-up of *scope* in the span that begins then; return how many there are now.

    Whoever counts in the same span at the same moment waits, so that none is missed.
    """
    insert = insert_into(session, SignUpTallyRow).values(scope=scope, begins_at=begins_at, seconds=seconds, count=1)
    counted: int = session.execute(
        insert.on_conflict_do_update(
            index_elements=["scope", "begins_at", "seconds"], set_={"count": SignUpTallyRow.count + 1}
        ).returning(SignUpTallyRow.count)
    ).scalar_one()
    return counted


def forget_tallies(session: Session, *, before: datetime) -> None:
    """Delete the counts of spans that began before then."""
    session.execute(delete(SignUpTallyRow).where(SignUpTallyRow.begins_at < before))
