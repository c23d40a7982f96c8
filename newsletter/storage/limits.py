"""Limits and what was taken of them, in SQL: one row for each relay or provider that has one."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import String, delete, func, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.domain.limits import Limit
from newsletter.storage.base import Base
from newsletter.storage.bulk import insert_into
from newsletter.storage.deliveries import DeliveryRow
from newsletter.storage.engine import Session, database_now


class LimitRow(Base):
    """A relay's or a provider's limit; *full_at* is the state of its rate, by the database's clock."""

    __tablename__ = "send_limit"
    name: Mapped[str] = mapped_column(String(300), primary_key=True)
    rate: Mapped[float | None]
    concurrency: Mapped[int | None]
    per_connection: Mapped[int | None]
    full_at: Mapped[datetime | None]
    is_set: Mapped[bool]  # by staff; False: it only keeps account of the rate in a relay's URL
    set_at: Mapped[datetime]
    set_by: Mapped[str] = mapped_column(String(200))


@dataclass(frozen=True, slots=True)
class Account:
    """A limit and how much of its rate was taken."""

    limit: Limit
    full_at: datetime | None
    is_set: bool
    set_at: datetime
    set_by: str


def save_limit(session: Session, limit: Limit, *, by: str, is_set: bool = True) -> None:
    """Set a limit in place of the one there was; what was taken of its rate stays taken."""
    values = {
        "rate": limit.rate,
        "concurrency": limit.concurrency,
        "per_connection": limit.per_connection,
        "is_set": is_set,
        "set_at": database_now(session),
        "set_by": by[:200],
    }
    session.execute(
        insert_into(session, LimitRow)
        .values(name=limit.name, **values)
        .on_conflict_do_update(index_elements=["name"], set_=values)
    )


def open_account(session: Session, name: str, *, by: str) -> None:
    """Keep account of what is handed to a relay whose URL has a rate; if a limit is there, it stays as it is."""
    row = {"name": name, "is_set": False, "set_at": database_now(session), "set_by": by}
    session.execute(insert_into(session, LimitRow).values(row).on_conflict_do_nothing())


def delete_limit(session: Session, name: str) -> bool:
    """Take a limit away; say whether there was one."""
    gone = delete(LimitRow).where(LimitRow.name == name, LimitRow.is_set.is_(True)).returning(LimitRow.name)
    return session.execute(gone).first() is not None


def load_limits(session: Session, names: Collection[str] | None = None, *, lock: bool = False) -> list[Account]:
    """Return limits in order of name; *names*: only these. *lock*: against other claims until the transaction ends."""
    query = select(LimitRow).order_by(LimitRow.name).execution_options(populate_existing=True)
    if names is not None:
        query = query.where(LimitRow.name.in_(names))
    rows = session.scalars(query.with_for_update() if lock else query)
    return [
        Account(
            Limit(row.name, row.rate, row.concurrency, row.per_connection),
            row.full_at,
            row.is_set,
            row.set_at,
            row.set_by,
        )
        for row in rows
    ]


def save_taken(session: Session, name: str, full_at: datetime) -> None:
    """Note that a limit's rate is whole again at *full_at*."""
    session.execute(update(LimitRow).where(LimitRow.name == name).values(full_at=full_at))


def count_under_way(session: Session, providers: Sequence[str]) -> Mapping[str, int]:
    """Count the mails that workers have leased or are sending, by these providers."""
    query = (
        select(DeliveryRow.provider, func.count())
        .where(text("state IN ('leased', 'sending')"), DeliveryRow.provider.in_(providers))
        .group_by(DeliveryRow.provider)
    )
    return dict.fromkeys(providers, 0) | dict(session.execute(query).all())
