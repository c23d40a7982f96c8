"""The audit record in SQL: rows are added, and nothing here changes or deletes one."""

from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Index, String, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.domain.audit import Act
from newsletter.storage.base import Base, Code, PrimaryKey
from newsletter.storage.engine import Session, database_now


class ActRow(Base):
    """One thing that somebody did; the database's clock."""

    __tablename__ = "audit"
    __table_args__ = (Index(None, "about", "id"), Index(None, "actor", "id"))
    id: Mapped[PrimaryKey]
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str] = mapped_column(String(200))
    act: Mapped[Code]
    about: Mapped[str] = mapped_column(String(120))
    details: Mapped[dict[str, Any]]


def add_act(session: Session, *, actor: str, act: str, about: str, details: dict[str, Any]) -> None:
    """Put one act on record; it counts if the caller's transaction commits."""
    row = {"at": database_now(session), "actor": actor, "act": act, "about": about, "details": details}
    session.execute(insert(ActRow).values(row))


def load_acts(
    session: Session,
    *,
    since: datetime | None = None,
    actor: str | None = None,
    about: str | None = None,
    before: int | None = None,
    limit: int,
) -> list[Act]:
    """Return acts, the last first.

    *about*: exactly this, an article by the beginning of its uid, or without a name all of one noun; *before*: an id.
    """
    query = select(ActRow).order_by(ActRow.id.desc()).limit(limit)
    if since is not None:
        query = query.where(ActRow.at >= since)
    if actor is not None:
        query = query.where(ActRow.actor == actor)
    if about is not None:
        is_article = about.startswith("article ")  # of which the beginning of a uid is enough
        named = ActRow.about.startswith(about, autoescape=True) if is_article else ActRow.about == about
        query = query.where(named if " " in about else named | ActRow.about.startswith(f"{about} ", autoescape=True))
    if before is not None:
        query = query.where(ActRow.id < before)
    return [
        Act(row.id, row.at, row.actor, row.act, row.about, MappingProxyType(row.details))
        for row in session.scalars(query)
    ]
