"""Topics and the rules that suggest them, in SQL."""

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from newsletter.storage.base import Base, Code, Identifier, PrimaryKey


class TopicRow(Base):
    """What an article can be about."""

    __tablename__ = "topic"
    id: Mapped[PrimaryKey]
    slug: Mapped[str] = mapped_column(String(80), unique=True)
    scheme: Mapped[str] = mapped_column(String(300), default="")
    parent_id: Mapped[int | None] = mapped_column(Identifier, ForeignKey("topic.id"))
    position: Mapped[int]
    labels: Mapped[dict[str, str]]  # by language
    applies_rules: Mapped[bool] = mapped_column(default=False)  # else its rules only suggest
    rules: Mapped[list["TopicRuleRow"]] = relationship(lazy="selectin", cascade="all, delete-orphan")


class TopicRuleRow(Base):
    """A word or phrase that speaks for a topic, in one language."""

    __tablename__ = "topic_rule"
    __table_args__ = (UniqueConstraint("topic_id", "language", "phrase"),)
    id: Mapped[PrimaryKey]
    topic_id: Mapped[int] = mapped_column(Identifier, ForeignKey("topic.id", ondelete="CASCADE"))
    language: Mapped[Code]
    phrase: Mapped[str] = mapped_column(String(200))
