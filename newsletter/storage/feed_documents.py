"""Documents of feeds in SQL: built, swapped together with their validators, and read to be served."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, delete, func, select

from newsletter.domain.feeds import StoredDocument, next_last_modified
from newsletter.storage.bulk import chunks, insert_into
from newsletter.storage.engine import Session
from newsletter.storage.feeds import FeedDocumentRow, FeedEntryRow, FeedRow


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document to be stored, packed by Brotli; None where the bytes are those that are stored already."""

    name: str
    etag: str
    size: int
    entry_count: int
    brotli: bytes | None


@dataclass(frozen=True, slots=True)
class Build:
    """What came of building a feed as it was at *change_count*; *built_count* is what it was built from before."""

    feed_id: int
    built_count: int
    change_count: int
    documents: Sequence[NewDocument]
    article_ids: Sequence[int]
    fingerprint: str
    due_at: datetime | None
    problem: str | None


def document_etags(session: Session, feed_ids: Collection[int]) -> dict[str, str]:
    """Return the entity tags of these feeds' documents by name."""
    found: dict[str, str] = {}
    for chunk in chunks(sorted(feed_ids)):
        statement = select(FeedDocumentRow.name, FeedDocumentRow.etag).where(FeedDocumentRow.feed_id.in_(chunk))
        found.update((row.name, row.etag) for row in session.execute(statement))
    return found


def store_builds(session: Session, builds: Collection[Build], *, now: datetime) -> dict[int, list[str]]:
    """Swap feeds' documents with their validators, together, and note what they were built from.

    Bytes that did not change keep their Last-Modified. Returns by feed id the names of those that did; one that
    somebody else has built meanwhile, or that is gone, is not written and not among them.
    """
    built = {build.feed_id: build for build in builds}
    # In one order, so that nobody who stores several waits in a circle.
    statement = select(FeedRow).where(FeedRow.id.in_(sorted(built))).order_by(FeedRow.id).with_for_update()
    rows = {row.id: row for row in session.scalars(statement) if row.built_count == built[row.id].built_count}
    documents = [(feed_id, each) for feed_id in rows for each in built[feed_id].documents]
    names = store_documents(session, documents, now=now)
    _store_entries(session, {feed_id: set(built[feed_id].article_ids) for feed_id in rows})
    for feed_id, row in rows.items():
        build = built[feed_id]
        row.built_count = build.change_count
        row.entry_count = len(build.article_ids)
        row.fingerprint = build.fingerprint
        row.dirty_at = row.dirty_at if row.change_count > build.change_count else None
        row.due_at = build.due_at
        row.rebuilt_at = now
        row.failed_at = None
        row.problem = build.problem
    session.flush()
    return {feed_id: [each.name for each in built[feed_id].documents if each.name in names] for feed_id in rows}


def store_documents(
    session: Session, documents: Iterable[tuple[int | None, NewDocument]], *, now: datetime
) -> set[str]:
    """Store those *documents*, each with its feed's id, whose bytes are new, with new validators; return their names.

    The list of all feeds has None for an id.
    """
    new = {
        document.name: (feed_id, document, document.brotli)
        for feed_id, document in documents
        if document.brotli is not None
    }
    if not new:
        return set()
    previous: dict[str, tuple[str, datetime]] = {}
    for chunk in chunks(sorted(new)):
        statement = select(FeedDocumentRow.name, FeedDocumentRow.etag, FeedDocumentRow.last_modified)
        for row in session.execute(statement.where(FeedDocumentRow.name.in_(chunk)).with_for_update()):
            previous[row.name] = (row.etag, row.last_modified)
    rows = [
        {
            "name": name,
            "feed_id": feed_id,
            "brotli": packed,
            "size": document.size,
            "etag": document.etag,
            "last_modified": next_last_modified(previous[name][1] if name in previous else None, now),
            "entry_count": document.entry_count,
        }
        for name, (feed_id, document, packed) in new.items()
        if name not in previous or previous[name][0] != document.etag
    ]
    if rows:
        upsert = insert_into(session, FeedDocumentRow)
        swapped = {column: upsert.excluded[column] for column in rows[0] if column != "name"}
        session.execute(upsert.on_conflict_do_update(index_elements=["name"], set_=swapped), rows)
    return {str(row["name"]) for row in rows}


def load_document(session: Session, name: str) -> StoredDocument | None:
    """Return the document that has this name as the last part of its address; None: there is none."""
    row = session.get(FeedDocumentRow, name)
    if row is None:
        return None
    return StoredDocument(row.name, row.brotli, row.size, row.etag, row.last_modified, row.entry_count)


def load_etag(session: Session, name: str) -> str | None:
    """Return a document's entity tag alone; None: there is no such document."""
    return session.scalar(select(FeedDocumentRow.etag).where(FeedDocumentRow.name == name))


def document_facts(session: Session) -> Mapping[int, tuple[int, datetime]]:
    """Return by feed id the bytes of its largest document, and when one of them changed last."""
    statement = (
        select(
            FeedDocumentRow.feed_id,
            func.max(FeedDocumentRow.size).label("size"),
            func.max(FeedDocumentRow.last_modified).label("changed_at"),
        )
        .where(FeedDocumentRow.feed_id.is_not(None))
        .group_by(FeedDocumentRow.feed_id)
    )
    return {row.feed_id: (row.size, row.changed_at) for row in session.execute(statement)}


def _store_entries(session: Session, wanted: Mapping[int, set[int]]) -> None:
    """Note which articles stand in which feeds."""
    held: dict[int, set[int]] = defaultdict(set)
    for chunk in chunks(sorted(wanted)):
        statement = select(FeedEntryRow.feed_id, FeedEntryRow.article_id).where(FeedEntryRow.feed_id.in_(chunk))
        for row in session.execute(statement):
            held[row.feed_id].add(row.article_id)
    gone = [
        {"the_feed": feed_id, "the_article": article_id}
        for feed_id, ids in wanted.items()
        for article_id in sorted(held[feed_id] - ids)
    ]
    new = [
        {"feed_id": feed_id, "article_id": article_id}
        for feed_id, ids in wanted.items()
        for article_id in sorted(ids - held[feed_id])
    ]
    if gone:
        is_gone = (FeedEntryRow.feed_id == bindparam("the_feed"), FeedEntryRow.article_id == bindparam("the_article"))
        session.connection().execute(delete(FeedEntryRow).where(*is_gone), gone)
    if new:
        session.execute(insert_into(session, FeedEntryRow).on_conflict_do_nothing(), new)
