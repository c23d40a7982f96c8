"""Feeds and their stored documents in SQL."""

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.storage.base import Base, Code, Identifier, PrimaryKey


class FeedRow(Base):
    """A filter in feed formats, under a slug of its own."""

    __tablename__ = "feed"
    id: Mapped[PrimaryKey]
    slug: Mapped[str] = mapped_column(String(120), unique=True)
    facet: Mapped[Code]  # all | topic | kind | list | language: which named feed it is
    subject: Mapped[str] = mapped_column(String(80), default="")  # the topic's, kind's or list's slug
    language: Mapped[Code]
    filter_id: Mapped[int] = mapped_column(Identifier, ForeignKey("filter.id"))
    dirty_at: Mapped[datetime | None]  # a rebuild is wanted since then
    rebuilt_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class FeedDocumentRow(Base):
    """A feed's bytes in one format with their validators, swapped together."""

    __tablename__ = "feed_document"
    feed_id: Mapped[int] = mapped_column(Identifier, ForeignKey("feed.id", ondelete="CASCADE"), primary_key=True)
    format: Mapped[Code] = mapped_column(primary_key=True)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    gzipped: Mapped[bytes] = mapped_column(LargeBinary)
    etag: Mapped[str] = mapped_column(String(64))
    last_modified: Mapped[datetime]
    entry_count: Mapped[int]
