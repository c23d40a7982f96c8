"""Documents of feeds in SQL: built, swapped together with their validators, and read to be served."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select

from newsletter.domain.feeds import StoredDocument, next_last_modified
from newsletter.storage.bulk import chunks, insert_into
from newsletter.storage.engine import Session
from newsletter.storage.feeds import FeedDocumentRow, FeedEntryRow, FeedRow


@dataclass(frozen=True, slots=True)
class Packed:
    """A document's bytes in the codings that it is served in."""

    gzipped: bytes
    brotli: bytes


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document to be stored; it is not *packed* where the bytes are those that are stored already."""

    name: str
    etag: str
    size: int
    entry_count: int
    packed: Packed | None


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


def store_build(session: Session, build: Build, *, now: datetime) -> list[str] | None:
    """Swap a feed's documents with their validators, together, and note what they were built from.

    Bytes that did not change keep their Last-Modified. Returns the names of those that did; None, and nothing is
    written, when somebody else has built the feed meanwhile, or it is gone.
    """
    row = session.scalars(select(FeedRow).where(FeedRow.id == build.feed_id).with_for_update()).one_or_none()
    if row is None or row.built_count != build.built_count:
        return None
    changed = store_documents(session, build.feed_id, build.documents, now=now)
    _store_entries(session, build.feed_id, set(build.article_ids))
    row.built_count = build.change_count
    row.entry_count = len(build.article_ids)
    row.fingerprint = build.fingerprint
    row.dirty_at = row.dirty_at if row.change_count > build.change_count else None
    row.due_at = build.due_at
    row.rebuilt_at = now
    row.failed_at = None
    row.problem = build.problem
    return changed


def store_documents(
    session: Session, feed_id: int | None, documents: Iterable[NewDocument], *, now: datetime
) -> list[str]:
    """Store those documents whose bytes are new, with new validators; return their names."""
    new = {document.name: (document, document.packed) for document in documents if document.packed is not None}
    if not new:
        return []
    statement = select(FeedDocumentRow.name, FeedDocumentRow.etag, FeedDocumentRow.last_modified)
    stored = session.execute(statement.where(FeedDocumentRow.name.in_(sorted(new))).with_for_update())
    previous = {row.name: row for row in stored}
    rows = [
        {
            "name": name,
            "feed_id": feed_id,
            "gzipped": packed.gzipped,
            "brotli": packed.brotli,
            "size": document.size,
            "etag": document.etag,
            "last_modified": next_last_modified(previous[name].last_modified if name in previous else None, now),
            "entry_count": document.entry_count,
        }
        for name, (document, packed) in new.items()
        if name not in previous or previous[name].etag != document.etag
    ]
    if rows:
        upsert = insert_into(session, FeedDocumentRow).values(rows)
        swapped = {column: upsert.excluded[column] for column in rows[0] if column != "name"}
        session.execute(upsert.on_conflict_do_update(index_elements=["name"], set_=swapped))
    return [str(row["name"]) for row in rows]


def load_document(session: Session, name: str) -> StoredDocument | None:
    """Return the document that has this name as the last part of its address; None: there is none."""
    row = session.get(FeedDocumentRow, name)
    if row is None:
        return None
    return StoredDocument(row.name, row.gzipped, row.brotli, row.size, row.etag, row.last_modified, row.entry_count)


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


def _store_entries(session: Session, feed_id: int, article_ids: set[int]) -> None:
    held = set(session.scalars(select(FeedEntryRow.article_id).where(FeedEntryRow.feed_id == feed_id)))
    if gone := held - article_ids:
        session.execute(delete(FeedEntryRow).where(FeedEntryRow.feed_id == feed_id, FeedEntryRow.article_id.in_(gone)))
    if new := sorted(article_ids - held):
        rows = [{"feed_id": feed_id, "article_id": article_id} for article_id in new]
        session.execute(insert_into(session, FeedEntryRow).values(rows).on_conflict_do_nothing())
