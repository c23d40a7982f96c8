"""Editions, their items, blocks and variants in SQL."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.domain.editions import EditionState, SkipReason
from newsletter.domain.lists import Cadence
from newsletter.storage.base import Base, Code, Identifier, PrimaryKey, one_of


class EditionRow(Base):
    """One issue of a list for one cadence and one slot."""

    __tablename__ = "edition"
    __table_args__ = (
        UniqueConstraint("list_id", "cadence", "slot_key"),
        one_of("state", EditionState),
        one_of("cadence", Cadence),
        one_of("skip_reason", SkipReason),
        Index(
            "ix_edition_open",
            "state",
            sqlite_where=text("state NOT IN ('done', 'skipped', 'cancelled')"),
            postgresql_where=text("state NOT IN ('done', 'skipped', 'cancelled')"),
        ),
    )
    id: Mapped[PrimaryKey]
    list_id: Mapped[int] = mapped_column(Identifier, ForeignKey("list.id"))
    cadence: Mapped[Code]
    slot_key: Mapped[str] = mapped_column(String(60))
    slot_at: Mapped[datetime]
    cut_at: Mapped[datetime]
    deadline_at: Mapped[datetime]
    state: Mapped[Code]
    state_at: Mapped[datetime]
    nonce: Mapped[str] = mapped_column(String(32))
    skip_reason: Mapped[Code | None]
    review_until: Mapped[datetime | None]
    approved_at: Mapped[datetime | None]
    approved_by: Mapped[str | None] = mapped_column(String(200))
    done_at: Mapped[datetime | None]
    fan_out_cursor: Mapped[int] = mapped_column(Identifier, default=0)  # last subscription id fanned out
    candidate_count: Mapped[int | None]  # subscriptions seen by fan-out, fixed when it ends
    created_at: Mapped[datetime]


class EditionItemRow(Base):
    """An article in an edition; in the order of the edition."""

    __tablename__ = "edition_item"
    edition_id: Mapped[int] = mapped_column(Identifier, ForeignKey("edition.id", ondelete="CASCADE"), primary_key=True)
    article_id: Mapped[int] = mapped_column(Identifier, ForeignKey("article.id"), primary_key=True, index=True)
    position: Mapped[int]
    revision: Mapped[int]
    withdrawn_at: Mapped[datetime | None]


class BlockRow(Base):
    """A rendered, inlined piece of an edition in one language, frozen: the same bytes whenever it is needed."""

    __tablename__ = "edition_block"
    edition_id: Mapped[int] = mapped_column(Identifier, ForeignKey("edition.id", ondelete="CASCADE"), primary_key=True)
    language: Mapped[Code] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(80), primary_key=True)
    html: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)


class VariantRow(Base):
    """An edition's content for one distinct (ordered items, language): the order of its blocks, never a body."""

    __tablename__ = "variant"
    __table_args__ = (UniqueConstraint("edition_id", "language", "digest"),)
    id: Mapped[PrimaryKey]
    edition_id: Mapped[int] = mapped_column(Identifier, ForeignKey("edition.id", ondelete="CASCADE"))
    language: Mapped[Code]
    digest: Mapped[str] = mapped_column(String(64))  # of the items
    subject: Mapped[str] = mapped_column(Text)
    blocks: Mapped[list[str]]
    holes: Mapped[dict[str, str]]  # values that are the same for all its readers
    html_bytes: Mapped[int]


class VariantItemRow(Base):
    """An article in a variant, as shown in *language*."""

    __tablename__ = "variant_item"
    variant_id: Mapped[int] = mapped_column(Identifier, ForeignKey("variant.id", ondelete="CASCADE"), primary_key=True)
    article_id: Mapped[int] = mapped_column(Identifier, ForeignKey("article.id"), primary_key=True, index=True)
    position: Mapped[int]
    language: Mapped[Code]
    revision: Mapped[int]


class AudienceRow(Base):
    """Which variant the readers with one (filter, language) get; no row: nothing for them in this edition."""

    __tablename__ = "edition_audience"
    edition_id: Mapped[int] = mapped_column(Identifier, ForeignKey("edition.id", ondelete="CASCADE"), primary_key=True)
    filter_id: Mapped[int] = mapped_column(Identifier, ForeignKey("filter.id"), primary_key=True)
    language: Mapped[Code] = mapped_column(primary_key=True)
    variant_id: Mapped[int] = mapped_column(Identifier, ForeignKey("variant.id", ondelete="CASCADE"), index=True)


class AudienceExceptionRow(Base):
    """A reader whose history differs from the others of their filter: their own variant, or none at all."""

    __tablename__ = "edition_audience_exception"
    edition_id: Mapped[int] = mapped_column(Identifier, ForeignKey("edition.id", ondelete="CASCADE"), primary_key=True)
    subscription_id: Mapped[int] = mapped_column(Identifier, ForeignKey("subscription.id"), primary_key=True)
    variant_id: Mapped[int | None] = mapped_column(Identifier, ForeignKey("variant.id", ondelete="CASCADE"), index=True)


class ExclusionRow(Base):
    """A candidate who got no delivery in fan-out, and why, so that the accounts balance."""

    __tablename__ = "edition_exclusion"
    edition_id: Mapped[int] = mapped_column(Identifier, ForeignKey("edition.id", ondelete="CASCADE"), primary_key=True)
    subscription_id: Mapped[int] = mapped_column(Identifier, ForeignKey("subscription.id"), primary_key=True)
    reason: Mapped[Code]  # nothing_chosen | suppressed
