"""Articles, their translations, sources, keys and topics in SQL."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    Select,
    String,
    Text,
    UniqueConstraint,
    delete,
    false,
    func,
    or_,
    select,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from newsletter.domain.articles import (
    COUNTING_ORIGINS,
    Article,
    ArticleRecord,
    ArticleState,
    Event,
    Kind,
    TopicMark,
    TopicOrigin,
    Translation,
)
from newsletter.domain.stories import STORY_DAYS
from newsletter.storage.base import Base, Code, Identifier, PrimaryKey, one_of
from newsletter.storage.bulk import chunks, insert_into
from newsletter.storage.engine import Session

MOST_CANDIDATES = 20
"""Articles that one draft is compared with; those that share most marks with it."""


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
    is_archive: Mapped[bool] = mapped_column(default=False)
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
    updated_at: Mapped[datetime | None]  # when its source last called it updated


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


@dataclass(frozen=True, slots=True)
class Source:
    """Where articles come from."""

    id: int
    slug: str
    title: str


@dataclass(frozen=True, slots=True)
class KnownItem:
    """What is remembered of an item that a source gave before: its article, and a digest of it as it came.

    *updated_at*: when its source called it updated then; None: it did not say.
    """

    article_id: int
    digest: str
    updated_at: datetime | None = None


def lock_source(session: Session, slug: str, title: str, *, now: datetime) -> Source:
    """Return the source with that slug, made where there is none; locked, so that its imports wait for each other."""
    values = {"slug": slug, "title": title, "created_at": now}
    session.execute(insert_into(session, SourceRow).values(values).on_conflict_do_nothing(index_elements=["slug"]))
    row = session.scalars(select(SourceRow).where(SourceRow.slug == slug).with_for_update()).one()
    return Source(row.id, row.slug, row.title)


def known_item(session: Session, source_id: int, key: str) -> KnownItem | None:
    """Return what is remembered of the item that *source_id* gave as *key*; None: it never did."""
    row = session.scalars(
        select(ArticleKeyRow).where(ArticleKeyRow.source_id == source_id, ArticleKeyRow.key == key)
    ).one_or_none()
    return None if row is None else KnownItem(row.article_id, row.digest, row.updated_at)


def known_items(session: Session, source_id: int, keys: Iterable[str]) -> dict[str, KnownItem]:
    """Return what is remembered of the items that *source_id* gave as *keys*; what it never gave is left out."""
    found = {}
    for chunk in chunks(sorted(set(keys))):
        statement = select(ArticleKeyRow).where(ArticleKeyRow.source_id == source_id, ArticleKeyRow.key.in_(chunk))
        for row in session.scalars(statement):
            found[row.key] = KnownItem(row.article_id, row.digest, row.updated_at)
    return found


def keys_of(session: Session, source_id: int, article_id: int) -> set[str]:
    """Return all names under which *source_id* gave an article."""
    statement = select(ArticleKeyRow.key).where(
        ArticleKeyRow.article_id == article_id, ArticleKeyRow.source_id == source_id
    )
    return set(session.scalars(statement))


def remember_item(
    session: Session, source_id: int, key: str, article_id: int, digest: str, *, updated_at: datetime | None = None
) -> None:
    """Remember that *source_id* gave *article_id* as *key*, and what it looked like. Repeating it overwrites."""
    now = {"article_id": article_id, "digest": digest, "updated_at": updated_at}
    session.execute(
        insert_into(session, ArticleKeyRow)
        .values(source_id=source_id, key=key, **now)
        .on_conflict_do_update(index_elements=["source_id", "key"], set_=now)
    )


def remember_aliases(session: Session, source_id: int, keys: Iterable[str], article_id: int) -> None:
    """Remember other names by which the item may come again; a name that is taken already stays whose it is."""
    rows = [{"source_id": source_id, "key": key, "article_id": article_id, "digest": ""} for key in sorted(set(keys))]
    if rows:
        session.execute(
            insert_into(session, ArticleKeyRow).on_conflict_do_nothing(index_elements=["source_id", "key"]), rows
        )


def load_record(session: Session, article_id: int) -> ArticleRecord:
    """Return the article with that id, drafts too; it exists, since every reference to it is a foreign key."""
    return _to_record(session.get_one(ArticleRow, article_id))


def find_record(session: Session, uid: str) -> ArticleRecord | None:
    """Return the article with that uid, drafts and withdrawn ones too; None: there is none."""
    row = session.scalars(select(ArticleRow).where(ArticleRow.uid == uid)).one_or_none()
    return None if row is None else _to_record(row)


def find_records(session: Session, beginning: str, *, limit: int = 2) -> list[ArticleRecord]:
    """Return the articles whose uid begins with *beginning*, in order of uid; a person types a few letters of it."""
    statement = select(ArticleRow).where(ArticleRow.uid.startswith(beginning, autoescape=True))
    return [_to_record(row) for row in session.scalars(statement.order_by(ArticleRow.uid).limit(limit))]


def records_page(
    session: Session,
    *,
    state: ArticleState | None = None,
    kind: Kind | None = None,
    source: str | None = None,
    topic_id: int | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[ArticleRecord]:
    """Return articles, the last received first; *before*: the id with which the previous page ended."""
    statement = select(ArticleRow).order_by(ArticleRow.id.desc()).limit(limit)
    if state is not None:
        statement = statement.where(ArticleRow.state == state)
    if kind is not None:
        statement = statement.where(ArticleRow.kind == kind)
    if source is not None:
        statement = statement.join(ArticleRow.source).where(SourceRow.slug == source)
    if topic_id is not None:
        counting = select(ArticleTopicRow.article_id).where(
            ArticleTopicRow.topic_id == topic_id, ArticleTopicRow.origin.in_(sorted(COUNTING_ORIGINS))
        )
        statement = statement.where(ArticleRow.id.in_(counting))
    if before is not None:
        statement = statement.where(ArticleRow.id < before)
    return [_to_record(row) for row in session.scalars(statement)]


def count_by_state(session: Session) -> dict[ArticleState, int]:
    """Return how many articles are in each state; states without any are left out."""
    rows = session.execute(select(ArticleRow.state, func.count()).group_by(ArticleRow.state).order_by(ArticleRow.state))
    return {ArticleState(state): count for state, count in rows}


def story_candidates(
    session: Session, source_id: int, marks: Iterable[int], published_at: datetime | None
) -> list[ArticleRecord]:
    """Return up to 20 articles of the source that may tell the story with *marks*, those that share most marks first.

    Only those dated within days of *published_at*, and those without a date; without one, all.
    """
    shared = (
        select(ArticleMarkRow.article_id, func.count().label("count"))
        .join(ArticleRow, ArticleRow.id == ArticleMarkRow.article_id)
        .where(ArticleMarkRow.mark.in_(sorted(marks)), ArticleRow.source_id == source_id)
        .group_by(ArticleMarkRow.article_id)
        .order_by(func.count().desc(), ArticleMarkRow.article_id)
        .limit(MOST_CANDIDATES)
    )
    if published_at is not None:
        near = ArticleRow.published_at.between(published_at - STORY_DAYS, published_at + STORY_DAYS)
        shared = shared.where(or_(ArticleRow.published_at.is_(None), near))
    ids = [row.article_id for row in session.execute(shared)]
    rows = {row.id: row for row in session.scalars(select(ArticleRow).where(ArticleRow.id.in_(ids)))}
    return [_to_record(rows[article_id]) for article_id in ids]


def save_record(session: Session, record: ArticleRecord, marks: Iterable[int]) -> int:
    """Write all of *record* and its marks, a new article where its id is 0; return its id. Its source exists."""
    if record.id:
        row = session.get_one(ArticleRow, record.id)
    else:
        source = session.scalars(select(SourceRow).where(SourceRow.slug == record.source)).one()
        row = ArticleRow(uid=record.uid, source=source)
        session.add(row)
    with session.no_autoflush:
        _fill(row, record)
    session.flush()
    _save_marks(session, row.id, set(marks))
    return row.id


def load_articles(session: Session, ids: Iterable[int]) -> list[Article]:
    """Return the articles with those ids, withdrawn ones too, the newest publication first, then by id.

    Unknown ids and drafts without a date are left out.
    """
    found: list[Article] = []
    for chunk in chunks(sorted(set(ids))):
        statement = select(ArticleRow).where(ArticleRow.id.in_(chunk), ArticleRow.visible_at.is_not(None))
        found.extend(_to_record(row).as_article() for row in session.scalars(statement))
    return sorted(found, key=lambda article: (-article.published_at.timestamp(), article.id))


def load_modified(session: Session, ids: Iterable[int]) -> dict[int, datetime]:
    """Return by id when each of the articles that `load_articles` would return was changed last."""
    found: dict[int, datetime] = {}
    for chunk in chunks(sorted(set(ids))):
        statement = select(ArticleRow.id, ArticleRow.modified_at)
        statement = statement.where(ArticleRow.id.in_(chunk), ArticleRow.visible_at.is_not(None))
        found.update((row.id, row.modified_at) for row in session.execute(statement))
    return found


def find_article(session: Session, uid: str) -> Article | None:
    """Return the article with that uid as readers may know it, withdrawn or still to come too; None: there is none."""
    record = find_record(session, uid)
    is_known = record is not None and record.state is not ArticleState.DRAFT and record.visible_at is not None
    return record.as_article() if record is not None and is_known else None


def visible_articles(
    session: Session, *, now: datetime, since: datetime | None = None, limit: int | None = None
) -> list[Article]:
    """Return the published articles that readers can see at *now*, the newest publication first, then by id.

    *since*: only those that were news then or later: that became visible, or were significantly updated; archive is
    not news.
    """
    statement = _published().where(ArticleRow.visible_at <= now)
    if since is not None:
        statement = statement.where(ArticleRow.is_archive.is_(false()) | (ArticleRow.revision > 1))
        is_update = (ArticleRow.revision > 1) & (ArticleRow.updated_at >= since)
        statement = statement.where((ArticleRow.visible_at >= since) | is_update)
    statement = statement.order_by(ArticleRow.published_at.desc(), ArticleRow.id).limit(limit)
    return [_to_record(row).as_article() for row in session.scalars(statement)]


def _published() -> Select[ArticleRow]:
    return select(ArticleRow).where(ArticleRow.state == ArticleState.PUBLISHED)


def _fill(row: ArticleRow, record: ArticleRecord) -> None:
    """Write *record* into *row*; parts that are the same are not touched."""
    row.kind, row.state = record.kind, record.state
    row.default_language = record.default_language
    row.published_at, row.embargo_until, row.visible_at = record.published_at, record.embargo_until, record.visible_at
    row.received_at, row.updated_at, row.modified_at = record.received_at, record.updated_at, record.modified_at
    row.withdrawn_at, row.withdrawal_reason = record.withdrawn_at, record.withdrawal_reason
    row.lacks, row.revision, row.is_archive = list(record.lacks), record.revision, record.is_archive
    row.image_url, row.image_width, row.image_height = record.image_url, record.image_width, record.image_height
    _fill_translations(row, record.translations)
    _fill_topics(row, record.topics)
    _fill_event(row, record.event)


def _fill_translations(row: ArticleRow, translations: dict[str, Translation]) -> None:
    kept = {each.language: each for each in row.translations if each.language in translations}
    for language, text in translations.items():
        translation = kept.setdefault(language, TranslationRow(language=language))
        translation.title, translation.summary = text.title, text.summary
        translation.body_html, translation.url = text.body_html, text.url
        translation.image_alt, translation.image_credit = text.image_alt, text.image_credit
    row.translations = list(kept.values())


def _fill_topics(row: ArticleRow, topics: Sequence[TopicMark]) -> None:
    wanted = {mark.topic_id: mark.origin for mark in topics}
    kept = {each.topic_id: each for each in row.topics if each.topic_id in wanted}
    for position, (topic_id, origin) in enumerate(wanted.items()):
        topic = kept.setdefault(topic_id, ArticleTopicRow(topic_id=topic_id))
        topic.position, topic.origin = position, origin
    row.topics = [kept[topic_id] for topic_id in wanted]


def _fill_event(row: ArticleRow, event: Event | None) -> None:
    if event is None:
        row.event = None
        return
    row.event = row.event or EventRow()
    row.event.starts_at, row.event.ends_at, row.event.zone = event.starts_at, event.ends_at, event.zone
    row.event.venue, row.event.address, row.event.contact = event.venue, event.address, event.contact


def _save_marks(session: Session, article_id: int, marks: set[int]) -> None:
    there = set(session.scalars(select(ArticleMarkRow.mark).where(ArticleMarkRow.article_id == article_id)))
    if gone := there - marks:
        session.execute(
            delete(ArticleMarkRow).where(ArticleMarkRow.article_id == article_id, ArticleMarkRow.mark.in_(gone))
        )
    if new := sorted(marks - there):
        rows = [{"article_id": article_id, "mark": mark} for mark in new]
        session.execute(insert_into(session, ArticleMarkRow).on_conflict_do_nothing(), rows)


def _to_record(row: ArticleRow) -> ArticleRecord:
    return ArticleRecord(
        id=row.id,
        uid=row.uid,
        kind=Kind(row.kind),
        state=ArticleState(row.state),
        source=row.source.slug,
        default_language=row.default_language,
        translations={
            each.language: Translation(
                language=each.language,
                title=each.title,
                summary=each.summary,
                body_html=each.body_html,
                url=each.url,
                image_alt=each.image_alt,
                image_credit=each.image_credit,
            )
            for each in sorted(
                row.translations, key=lambda each: (each.language != row.default_language, each.language)
            )
        },
        received_at=row.received_at,
        updated_at=row.updated_at,
        modified_at=row.modified_at,
        published_at=row.published_at,
        embargo_until=row.embargo_until,
        withdrawn_at=row.withdrawn_at,
        withdrawal_reason=row.withdrawal_reason,
        lacks=tuple(row.lacks),
        revision=row.revision,
        topics=tuple(TopicMark(each.topic_id, TopicOrigin(each.origin)) for each in row.topics),
        image_url=row.image_url,
        image_width=row.image_width,
        image_height=row.image_height,
        event=_to_event(row.event),
        is_archive=row.is_archive,
    )


def _to_event(row: EventRow | None) -> Event | None:
    if row is None:
        return None
    return Event(row.starts_at, row.ends_at, row.zone, row.venue, row.address, row.contact)
