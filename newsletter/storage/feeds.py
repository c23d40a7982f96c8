"""Feeds, what stands in them, and their stored documents, in SQL."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Date, ForeignKey, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.domain.feeds import Facet
from newsletter.storage.base import Base, Code, Identifier, PrimaryKey, one_of


class FeedRow(Base):
    """A filter in feed formats, under a slug of its own, in one language."""

    __tablename__ = "feed"
    __table_args__ = (
        one_of("facet", Facet),
        CheckConstraint("built_count <= change_count", name="built_from_known_changes"),
    )
    id: Mapped[PrimaryKey]
    slug: Mapped[str] = mapped_column(String(160), unique=True)
    facet: Mapped[Code]
    subject: Mapped[str] = mapped_column(String(80), default="")  # the topic's, kind's or list's slug
    language: Mapped[Code]
    filter_id: Mapped[int] = mapped_column(Identifier, ForeignKey("filter.id"))
    title: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    change_count: Mapped[int] = mapped_column(default=1)  # grows with each change that concerns it
    built_count: Mapped[int] = mapped_column(default=0)  # the change count that its documents were built from
    entry_count: Mapped[int] = mapped_column(default=0)
    fingerprint: Mapped[str] = mapped_column(String(64), default="")  # of what its documents say beside the articles
    dirty_at: Mapped[datetime | None]  # a rebuild is wanted since then
    due_at: Mapped[datetime | None]  # when an article under embargo appears in it
    rebuilt_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    problem: Mapped[str | None] = mapped_column(Text)  # what its last build had to say, in words


class FeedEntryRow(Base):
    """An article that stands in a feed's documents: whom to rebuild when it changes out of the filter."""

    __tablename__ = "feed_entry"
    feed_id: Mapped[int] = mapped_column(Identifier, ForeignKey("feed.id", ondelete="CASCADE"), primary_key=True)
    article_id: Mapped[int] = mapped_column(
        Identifier, ForeignKey("article.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class FeedDocumentRow(Base):
    """A document's bytes with their validators, swapped together; served without a look at any other table."""

    __tablename__ = "feed_document"
    name: Mapped[str] = mapped_column(String(170), primary_key=True)  # the last part of its address
    feed_id: Mapped[int | None] = mapped_column(
        Identifier, ForeignKey("feed.id", ondelete="CASCADE"), index=True
    )  # None: the list of all feeds
    gzipped: Mapped[bytes] = mapped_column(LargeBinary)  # whoever cannot take gzip gets it unpacked
    size: Mapped[int]  # unpacked
    etag: Mapped[str] = mapped_column(String(64))  # of the unpacked bytes
    last_modified: Mapped[datetime]
    entry_count: Mapped[int]


class FeedAuthorityRow(Base):
    """Who gives ids to articles and feeds; one row, made once and never changed."""

    __tablename__ = "feed_authority"
    __table_args__ = (CheckConstraint("id = 1", name="only_one"),)
    id: Mapped[PrimaryKey]
    domain: Mapped[str] = mapped_column(String(255))
    since: Mapped[date] = mapped_column(Date)
