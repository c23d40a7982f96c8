"""Articles, their translations, sources and topics in SQL."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from newsletter.domain.articles import ArticleState, Kind
from newsletter.storage.base import Base, Code, Identifier, PrimaryKey, one_of


class SourceRow(Base):
    """Where articles come from: a feed that is polled, an import, the API."""

    __tablename__ = "source"
    id: Mapped[PrimaryKey]
    slug: Mapped[str] = mapped_column(String(80), unique=True)
    title: Mapped[str] = mapped_column(String(300))
    created_at: Mapped[datetime]


class ArticleRow(Base):
    """One published thing; what language does not change stands here."""

    __tablename__ = "article"
    __table_args__ = (one_of("kind", Kind), one_of("state", ArticleState), Index(None, "state", "visible_at"))
    id: Mapped[PrimaryKey]
    uid: Mapped[str] = mapped_column(String(36), unique=True)
    kind: Mapped[Code]
    state: Mapped[Code]
    source_id: Mapped[int] = mapped_column(Identifier, ForeignKey("source.id"))
    default_language: Mapped[Code]
    published_at: Mapped[datetime | None]
    embargo_until: Mapped[datetime | None]
    visible_at: Mapped[datetime | None]  # the later of the two above; None exactly for drafts without a date
    received_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    modified_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]
    withdrawal_reason: Mapped[str | None] = mapped_column(Text)
    lacks: Mapped[list[str]] = mapped_column(default=list)  # of a draft: what keeps it from being published
    revision: Mapped[int] = mapped_column(default=1)
    image_url: Mapped[str | None] = mapped_column(Text)
    image_width: Mapped[int | None]
    image_height: Mapped[int | None]
    source: Mapped[SourceRow] = relationship(lazy="joined")
    translations: Mapped[list["TranslationRow"]] = relationship(
        back_populates="article", lazy="selectin", cascade="all, delete-orphan"
    )
    topics: Mapped[list["ArticleTopicRow"]] = relationship(
        lazy="selectin", cascade="all, delete-orphan", order_by="ArticleTopicRow.position"
    )
    event: Mapped["EventRow | None"] = relationship(lazy="joined", cascade="all, delete-orphan")


class TranslationRow(Base):
    """An article in one language."""

    __tablename__ = "article_translation"
    __table_args__ = (UniqueConstraint("article_id", "language"),)
    id: Mapped[PrimaryKey]
    article_id: Mapped[int] = mapped_column(Identifier, ForeignKey("article.id", ondelete="CASCADE"))
    language: Mapped[Code]
    title: Mapped[str] = mapped_column(Text, default="")
    summary: Mapped[str] = mapped_column(Text, default="")
    body_html: Mapped[str] = mapped_column(Text, default="")
    url: Mapped[str | None] = mapped_column(Text)
    image_alt: Mapped[str] = mapped_column(Text, default="")
    image_credit: Mapped[str] = mapped_column(Text, default="")
    article: Mapped[ArticleRow] = relationship(back_populates="translations")


class EventRow(Base):
    """When and where an event article takes place."""

    __tablename__ = "article_event"
    article_id: Mapped[int] = mapped_column(Identifier, ForeignKey("article.id", ondelete="CASCADE"), primary_key=True)
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]
    zone: Mapped[str] = mapped_column(String(60))
    venue: Mapped[str] = mapped_column(Text, default="")
    address: Mapped[str] = mapped_column(Text, default="")
    contact: Mapped[str] = mapped_column(Text, default="")


class ArticleKeyRow(Base):
    """A name under which a source gave us an article: makes repeating an import harmless, after merges too."""

    __tablename__ = "article_key"
    __table_args__ = (UniqueConstraint("source_id", "key"),)
    id: Mapped[PrimaryKey]
    source_id: Mapped[int] = mapped_column(Identifier, ForeignKey("source.id"))
    key: Mapped[str] = mapped_column(String(300))
    article_id: Mapped[int] = mapped_column(Identifier, ForeignKey("article.id", ondelete="CASCADE"), index=True)
    digest: Mapped[str] = mapped_column(String(64))  # of the item as it came, to tell "same" from "updated"


class ArticleMarkRow(Base):
    """A mark of what an article says (`domain.stories.marks`): two articles that share one may be the same story."""

    __tablename__ = "article_mark"
    article_id: Mapped[int] = mapped_column(Identifier, ForeignKey("article.id", ondelete="CASCADE"), primary_key=True)
    mark: Mapped[int] = mapped_column(BigInteger, primary_key=True, index=True)


class ArticleTopicRow(Base):
    """What an article is about; a suggestion is shown to staff and counts for nothing until applied."""

    __tablename__ = "article_topic"
    article_id: Mapped[int] = mapped_column(Identifier, ForeignKey("article.id", ondelete="CASCADE"), primary_key=True)
    topic_id: Mapped[int] = mapped_column(Identifier, ForeignKey("topic.id"), primary_key=True, index=True)
    position: Mapped[int] = mapped_column(default=0)
    origin: Mapped[Code]  # stated | rule | suggested | staff | removed (by staff: a rule does not bring it back)
