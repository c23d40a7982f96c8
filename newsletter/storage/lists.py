"""Lists and interned filters in SQL."""

from datetime import datetime, time
from typing import Any

from sqlalchemy import ForeignKey, String, Text, Time
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.domain.lists import InDoubtPolicy, SectionsBy
from newsletter.storage.base import Base, Code, Identifier, PrimaryKey, one_of


class ListRow(Base):
    """What one subscribes to."""

    __tablename__ = "list"
    __table_args__ = (one_of("sections", SectionsBy), one_of("in_doubt_policy", InDoubtPolicy))
    id: Mapped[PrimaryKey]
    slug: Mapped[str] = mapped_column(String(80), unique=True)
    titles: Mapped[dict[str, str]]
    descriptions: Mapped[dict[str, str]] = mapped_column(default=dict)
    intros: Mapped[dict[str, str]] = mapped_column(default=dict)
    from_name: Mapped[str] = mapped_column(String(200))
    from_address: Mapped[str] = mapped_column(String(320))
    reply_to: Mapped[str | None] = mapped_column(String(320))
    zone: Mapped[str] = mapped_column(String(60))
    send_at: Mapped[time] = mapped_column(Time)
    weekday: Mapped[int]
    month_day: Mapped[int]
    cadences: Mapped[list[str]]
    languages: Mapped[list[str]]
    filter_id: Mapped[int] = mapped_column(Identifier, ForeignKey("filter.id"))
    sections: Mapped[Code]
    review_minutes: Mapped[int | None]
    in_doubt_policy: Mapped[Code]
    since: Mapped[datetime]
    is_public: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]


class FilterRow(Base):
    """A canonical choice of topics, kinds, sources and languages; one row per distinct filter."""

    __tablename__ = "filter"
    id: Mapped[PrimaryKey]
    canonical: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(String(64), unique=True)  # SHA-256 of the canonical form
    choice: Mapped[dict[str, Any]]
