"""Topics and the rules that suggest them, in SQL."""

from collections.abc import Mapping, Sequence

from sqlalchemy import ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from newsletter.domain.topics import Topic
from newsletter.storage.base import Base, Code, Identifier, PrimaryKey
from newsletter.storage.engine import Session


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


def load_topics(session: Session) -> list[Topic]:
    """Return all topics, in the order of menus; read as values, for it is asked for at every turn."""
    rules: dict[int, dict[str, list[str]]] = {}
    stated = session.execute(select(TopicRuleRow.topic_id, TopicRuleRow.language, TopicRuleRow.phrase))
    for topic_id, language, phrase in sorted(stated):
        rules.setdefault(topic_id, {}).setdefault(language, []).append(phrase)
    rows = session.execute(
        select(
            TopicRow.id,
            TopicRow.slug,
            TopicRow.scheme,
            TopicRow.parent_id,
            TopicRow.position,
            TopicRow.labels,
            TopicRow.applies_rules,
        ).order_by(TopicRow.position, TopicRow.id)
    )
    return [
        Topic(
            topic_id,
            slug,
            scheme,
            parent_id,
            position,
            labels,
            {language: tuple(phrases) for language, phrases in rules.get(topic_id, {}).items()},
            applies_rules,
        )
        for topic_id, slug, scheme, parent_id, position, labels, applies_rules in rows
    ]


def save_topics(session: Session, topics: Sequence[Topic], parents: Mapping[str, str]) -> int:
    """Write *topics* by slug, new ones after those that are there; return how many changed.

    *parents* gives the parent's slug by slug; ids, parent ids and positions of *topics* are not looked at. Topics that
    are not among them stay. Repeating it changes nothing.
    """
    rows = {row.slug: row for row in session.scalars(select(TopicRow).order_by(TopicRow.id))}
    before = {slug: _to_topic(row) for slug, row in rows.items()}
    next_position = max((row.position for row in rows.values()), default=-1) + 1
    for topic in topics:
        if topic.slug not in rows:
            rows[topic.slug] = TopicRow(slug=topic.slug, position=next_position)
            next_position += 1
            session.add(rows[topic.slug])
        row = rows[topic.slug]
        row.scheme, row.labels, row.applies_rules = topic.scheme, dict(topic.labels), topic.applies_rules
        _fill_rules(row, topic.rules)
    session.flush()
    for topic in topics:
        parent = parents.get(topic.slug)
        rows[topic.slug].parent_id = rows[parent].id if parent else None
    session.flush()
    return sum(before.get(topic.slug) != _to_topic(rows[topic.slug]) for topic in topics)


def _fill_rules(row: TopicRow, rules: Mapping[str, Sequence[str]]) -> None:
    wanted = {(language, phrase) for language, phrases in rules.items() for phrase in phrases}
    kept = [rule for rule in row.rules if (rule.language, rule.phrase) in wanted]
    new = wanted - {(rule.language, rule.phrase) for rule in kept}
    row.rules = [*kept, *(TopicRuleRow(language=language, phrase=phrase) for language, phrase in sorted(new))]


def _to_topic(row: TopicRow) -> Topic:
    rules: dict[str, list[str]] = {}
    for rule in sorted(row.rules, key=lambda each: (each.language, each.phrase)):
        rules.setdefault(rule.language, []).append(rule.phrase)
    return Topic(
        id=row.id,
        slug=row.slug,
        scheme=row.scheme,
        parent_id=row.parent_id,
        position=row.position,
        labels=row.labels,
        rules={language: tuple(phrases) for language, phrases in rules.items()},
        applies_rules=row.applies_rules,
    )
