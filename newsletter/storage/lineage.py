"""Lineage: which database this is and how far it has come, so that one restored from an older state is noticed."""

import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, String, select, text, update
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.storage.base import Base
from newsletter.storage.bulk import insert_into
from newsletter.storage.engine import Session, database_now

ONLY = 1


class LineageRow(Base):
    """The one row that says which database this is. A copy of it has the same; that is the point."""

    __tablename__ = "lineage"
    __table_args__ = (CheckConstraint(f"id = {ONLY}", name="there_is_one"),)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    uid: Mapped[str] = mapped_column(String(32))
    epoch: Mapped[int]  # restores that somebody acknowledged
    steps: Mapped[int] = mapped_column(BigInteger)  # raised by each tick and slice of every worker
    at: Mapped[datetime]  # of the last step; the database's clock
    cluster: Mapped[str | None] = mapped_column(String(40))  # PostgreSQL's system identifier; None: not to be had
    timeline: Mapped[str | None] = mapped_column(String(8))  # new after each failover and restore of PostgreSQL


@dataclass(frozen=True, slots=True)
class Lineage:
    """Which database this is, and how far it has come."""

    uid: str
    epoch: int
    steps: int
    at: datetime
    cluster: str | None
    timeline: str | None

    @property
    def age(self) -> tuple[int, int]:
        """What only grows, unless the database was restored."""
        return self.epoch, self.steps


@dataclass(frozen=True, slots=True)
class Server:
    """What the database server says of itself; None on SQLite, and where we may not ask."""

    cluster: str | None = None
    timeline: str | None = None


def ask_server(session: Session) -> Server:
    """Return the identity of the server's data, as it says now."""
    if session.get_bind().dialect.name == "sqlite":
        return Server()
    return Server(
        _asked(session, "SELECT system_identifier::text FROM pg_control_system()"),
        _asked(session, "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)"),
    )


def _asked(session: Session, question: str) -> str | None:
    """Return the answer; None where a host of databases does not let its customers ask."""
    try:
        with session.begin_nested():
            return str(session.execute(text(question)).scalar_one())
    except ProgrammingError:
        return None


def found_lineage(session: Session, server: Server) -> Lineage:
    """Return which database this is; a new one begins its lineage."""
    if known := load_lineage(session):
        return known
    row = {"id": ONLY, "uid": secrets.token_hex(16), "epoch": 1, "steps": 0, "at": database_now(session)}
    row |= {"cluster": server.cluster, "timeline": server.timeline}
    session.execute(insert_into(session, LineageRow).values(row).on_conflict_do_nothing())
    return found_lineage(session, server)  # ours, or that of another who was first


def load_lineage(session: Session) -> Lineage | None:
    """Return which database this is; None: nobody has worked on it yet."""
    row = session.scalars(select(LineageRow).execution_options(populate_existing=True)).one_or_none()
    return None if row is None else Lineage(row.uid, row.epoch, row.steps, row.at, row.cluster, row.timeline)


def step(session: Session) -> Lineage:
    """Go one step further and return where that is; the lineage has begun."""
    session.execute(update(LineageRow).values(steps=LineageRow.steps + 1, at=database_now(session)))
    found = load_lineage(session)
    assert found is not None
    return found


def begin_epoch(session: Session, epoch: int, server: Server) -> None:
    """Take the database as it is from now on: older than what was seen before, and known to be."""
    values = {"epoch": epoch, "steps": 0, "cluster": server.cluster, "timeline": server.timeline}
    session.execute(update(LineageRow).values(at=database_now(session), **values))


def settings_that_lose_commits(session: Session) -> list[str]:
    """Return the server's settings by which a commit that was answered may be gone after a power cut; none: [].

    SQLite is opened without such, by `connect`.
    """
    if session.get_bind().dialect.name == "sqlite":
        return []
    query = text(
        "SELECT name FROM pg_settings"
        " WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off' ORDER BY name"
    )
    return list(session.scalars(query))
