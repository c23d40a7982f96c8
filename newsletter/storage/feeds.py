"""Feeds, what stands in them, and who gives their ids, in SQL."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, Date, ForeignKey, LargeBinary, Row, String, Text, delete, func, select, update
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.domain.feeds import DIGEST_BYTES, Authority, Facet, Feed
from newsletter.storage.base import Base, Code, Identifier, PrimaryKey, one_of
from newsletter.storage.bulk import chunks, insert_into
from newsletter.storage.engine import Session


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
    subject: Mapped[str] = mapped_column(Text, default="")  # the topic's, kind's or list's slug, or a canonical query
    language: Mapped[Code]
    filter_id: Mapped[int] = mapped_column(Identifier, ForeignKey("filter.id"))
    within_id: Mapped[int | None] = mapped_column(Identifier, ForeignKey("filter.id"))  # must choose an article as well
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
    asked_at: Mapped[datetime | None]  # about when somebody asked, of feeds that are made by asking


class FormerFeedRow(Base):
    """A slug that was a feed's: it moved to another slug, or there is none any more."""

    __tablename__ = "former_feed"
    slug: Mapped[str] = mapped_column(String(160), primary_key=True)
    moved_to: Mapped[str | None] = mapped_column(String(160))
    is_final: Mapped[bool]  # staff closed it; else it is there again as soon as its subject is
    since: Mapped[datetime]


class FeedFragmentRow(Base):
    """An article as feeds' documents hold it, in each format; it stands in a dozen of them and is stored once."""

    __tablename__ = "feed_fragment"
    digest: Mapped[bytes] = mapped_column(LargeBinary(DIGEST_BYTES), primary_key=True)  # of its bytes
    packed: Mapped[bytes] = mapped_column(LargeBinary)
    stored_at: Mapped[datetime]


class FeedEntryRow(Base):
    """An article that stands in a feed's documents: whom to rebuild when it changes out of the filter."""

    __tablename__ = "feed_entry"
    feed_id: Mapped[int] = mapped_column(Identifier, ForeignKey("feed.id", ondelete="CASCADE"), primary_key=True)
    article_id: Mapped[int] = mapped_column(
        Identifier, ForeignKey("article.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    digest: Mapped[bytes] = mapped_column(LargeBinary(DIGEST_BYTES), ForeignKey("feed_fragment.digest"), index=True)


class FeedChangeRow(Base):
    """An article that changed and whose feeds are not marked yet; written with the change, so that none is lost."""

    __tablename__ = "feed_change"
    article_id: Mapped[int] = mapped_column(
        Identifier, ForeignKey("article.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    noted_at: Mapped[datetime]


class FeedDocumentRow(Base):
    """What a document is put together from, with its validators, swapped together; articles are not looked at."""

    __tablename__ = "feed_document"
    name: Mapped[str] = mapped_column(String(170), primary_key=True)  # the last part of its address
    feed_id: Mapped[int | None] = mapped_column(
        Identifier, ForeignKey("feed.id", ondelete="CASCADE"), index=True
    )  # None: the list of all feeds
    head: Mapped[bytes] = mapped_column(LargeBinary)  # what stands before its entries; a list's or calendar's whole
    digests: Mapped[bytes] = mapped_column(LargeBinary)  # of its fragments, in their order, one behind the other
    size: Mapped[int]  # of the whole document
    etag: Mapped[str] = mapped_column(String(64))
    last_modified: Mapped[datetime]
    entry_count: Mapped[int]


class FeedAuthorityRow(Base):
    """Who gives ids to articles and feeds; one row, made once and never changed."""

    __tablename__ = "feed_authority"
    __table_args__ = (CheckConstraint("id = 1", name="only_one"),)
    id: Mapped[PrimaryKey]
    domain: Mapped[str] = mapped_column(String(255))
    since: Mapped[date] = mapped_column(Date)


FEED_COLUMNS = [getattr(FeedRow, each.name) for each in fields(Feed)]
"""Read as they are, without objects that follow changes: there are hundreds of feeds, and each rebuild looks at all."""


@dataclass(frozen=True, slots=True)
class NewFeed:
    """A feed to be stored."""

    slug: str
    facet: Facet
    subject: str
    language: str
    filter_id: int
    title: str
    within_id: int | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FormerFeed:
    """What became of a feed: it *moved_to* another slug, or it is gone; *is_final*: because staff said so."""

    slug: str
    moved_to: str | None
    is_final: bool


def load_feeds(session: Session, facets: Collection[Facet] = ()) -> list[Feed]:
    """Return all feeds, or those of some *facets*, in the order in which they were made."""
    statement = select(*FEED_COLUMNS).order_by(FeedRow.id)
    if facets:
        statement = statement.where(FeedRow.facet.in_(sorted(facets)))
    return [_to_feed(row) for row in session.execute(statement)]


def load_feed(session: Session, slug: str) -> Feed | None:
    """Return the feed with that slug; None: there is none."""
    row = session.execute(select(*FEED_COLUMNS).where(FeedRow.slug == slug)).one_or_none()
    return None if row is None else _to_feed(row)


def has_feed(session: Session, slug: str) -> bool:
    """Say whether there is a feed with that slug."""
    return session.scalar(select(FeedRow.id).where(FeedRow.slug == slug)) is not None


def add_feeds(session: Session, feeds: Iterable[NewFeed], *, now: datetime) -> None:
    """Store new feeds, which want to be built; one whose slug is there already is left as it is."""
    for chunk in chunks(list(feeds)):
        rows = [
            {
                "slug": feed.slug,
                "facet": feed.facet,
                "subject": feed.subject,
                "language": feed.language,
                "filter_id": feed.filter_id,
                "within_id": feed.within_id,
                "title": feed.title,
                "created_at": feed.created_at or now,
                "dirty_at": now,
                "asked_at": None if Facet(feed.facet).is_named else now,
            }
            for feed in chunk
        ]
        session.execute(insert_into(session, FeedRow).values(rows).on_conflict_do_nothing(index_elements=["slug"]))


def change_feed(
    session: Session, feed_id: int, *, filter_id: int, within_id: int | None, title: str, now: datetime
) -> None:
    """Give a feed other filters or another title; it wants to be built."""
    mark_changed(session, (feed_id,), now=now)
    values = {"filter_id": filter_id, "within_id": within_id, "title": title}
    session.execute(update(FeedRow).where(FeedRow.id == feed_id).values(values))


def note_asked(session: Session, feed_id: int, *, now: datetime) -> None:
    """Note that somebody asked for a feed that is kept as long as somebody does."""
    session.execute(update(FeedRow).where(FeedRow.id == feed_id).values(asked_at=now))


def count_feeds(session: Session, facet: Facet) -> int:
    """Count the feeds of one facet."""
    return session.scalar(select(func.count()).select_from(FeedRow).where(FeedRow.facet == facet)) or 0


def load_former(session: Session, slug: str) -> FormerFeed | None:
    """Return what became of the feed that had this slug; None: there never was one, or it is there."""
    row = session.get(FormerFeedRow, slug)
    return None if row is None else FormerFeed(row.slug, row.moved_to, row.is_final)


def load_final_slugs(session: Session) -> set[str]:
    """Return the slugs of feeds that staff closed or moved, and that are not to be made again."""
    return set(session.scalars(select(FormerFeedRow.slug).where(FormerFeedRow.is_final)))


def add_former(session: Session, former: Iterable[FormerFeed], *, now: datetime) -> None:
    """Note what became of feeds; what is noted last counts."""
    for chunk in chunks(list(former)):
        rows = [{"slug": f.slug, "moved_to": f.moved_to, "is_final": f.is_final, "since": now} for f in chunk]
        note = insert_into(session, FormerFeedRow).values(rows)
        session.execute(
            note.on_conflict_do_update(
                index_elements=["slug"],
                set_={name: note.excluded[name] for name in ("moved_to", "is_final", "since")},
            )
        )


def redirect_former(session: Session, slug: str, moved_to: str) -> None:
    """Send those who were sent on to *slug* to where it *moved_to* at once."""
    session.execute(update(FormerFeedRow).where(FormerFeedRow.moved_to == slug).values(moved_to=moved_to))


def remove_former(session: Session, slugs: Collection[str]) -> None:
    """Forget what became of feeds that are there again."""
    for chunk in chunks(sorted(slugs)):
        session.execute(delete(FormerFeedRow).where(FormerFeedRow.slug.in_(chunk)))


def remove_feeds(session: Session, feed_ids: Collection[int]) -> None:
    """Remove feeds with their documents."""
    for chunk in chunks(sorted(feed_ids)):
        session.execute(delete(FeedRow).where(FeedRow.id.in_(chunk)))


def mark_changed(session: Session, feed_ids: Collection[int], *, now: datetime) -> None:
    """Note that something changed that concerns these feeds; they want to be built."""
    for chunk in chunks(sorted(feed_ids)):
        # Whoever marks several feeds takes them in the same order and so never waits in a circle.
        session.execute(select(FeedRow.id).where(FeedRow.id.in_(chunk)).order_by(FeedRow.id).with_for_update())
        session.execute(
            update(FeedRow)
            .where(FeedRow.id.in_(chunk))
            .values(change_count=FeedRow.change_count + 1, dirty_at=func.coalesce(FeedRow.dirty_at, now))
        )


def note_changes(session: Session, article_ids: Collection[int], *, now: datetime) -> None:
    """Note that articles changed; noting one twice is noting it once."""
    for chunk in chunks(sorted(set(article_ids))):
        note = insert_into(session, FeedChangeRow).values([{"article_id": each, "noted_at": now} for each in chunk])
        # An update, not nothing: it locks the note until this change is committed, so that nobody takes it before.
        session.execute(
            note.on_conflict_do_update(index_elements=["article_id"], set_={"noted_at": note.excluded.noted_at})
        )


def has_changes(session: Session) -> bool:
    """Say whether any change is noted."""
    return session.scalar(select(FeedChangeRow.article_id).limit(1)) is not None


def take_changes(session: Session, *, limit: int) -> list[int]:
    """Take the notes of up to *limit* articles, which whoever takes them marks; return the articles' ids, sorted."""
    statement = select(FeedChangeRow.article_id).order_by(FeedChangeRow.article_id).limit(limit)
    taken = list(session.scalars(statement.with_for_update(skip_locked=True)))
    session.execute(delete(FeedChangeRow).where(FeedChangeRow.article_id.in_(taken)))
    return taken


def feeds_that_hold(session: Session, article_ids: Collection[int]) -> set[int]:
    """Return the ids of the feeds in whose documents one of these articles stands."""
    found: set[int] = set()
    for chunk in chunks(sorted(article_ids)):
        found.update(session.scalars(select(FeedEntryRow.feed_id).where(FeedEntryRow.article_id.in_(chunk))))
    return found


def note_failure(session: Session, feed_id: int, problem: str, *, now: datetime) -> None:
    """Note why a feed could not be built; its documents stay as they were."""
    session.execute(update(FeedRow).where(FeedRow.id == feed_id).values(failed_at=now, problem=problem))


def load_authority(session: Session) -> Authority | None:
    """Return who gives ids; None: nobody does yet."""
    row = session.get(FeedAuthorityRow, 1)
    return None if row is None else Authority(row.domain, row.since)


def mint_authority(session: Session, domain: str, since: date) -> Authority:
    """Return who gives ids, for ever: the first who asked. Safe for any number of processes at once."""
    row = {"id": 1, "domain": domain, "since": since}
    session.execute(insert_into(session, FeedAuthorityRow).values(row).on_conflict_do_nothing(index_elements=["id"]))
    kept = session.get_one(FeedAuthorityRow, 1)
    return Authority(kept.domain, kept.since)


def _to_feed(row: Row[Any]) -> Feed:
    return Feed(**row._asdict() | {"facet": Facet(row.facet)})
