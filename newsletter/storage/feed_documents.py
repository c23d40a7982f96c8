"""Documents of feeds in SQL: built, swapped together with their validators, and read to be served.

A document is stored as what stands before its entries and the digests of their fragments: one article that stands in
a dozen feeds of three formats is stored once, and a document that changed is a few hundred bytes.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, func, select

from newsletter.domain.feeds import DIGEST_BYTES, StoredDocument, next_last_modified
from newsletter.storage.bulk import chunks, insert_into
from newsletter.storage.engine import Session
from newsletter.storage.feeds import FeedDocumentRow, FeedEntryRow, FeedFragmentRow, FeedRow

UNUSED_FOR = timedelta(hours=1)
"""A fragment that is younger may be about to be named by documents that are not stored yet."""


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document to be stored; its *head* is None where it is the one that is stored already, by its tag."""

    name: str
    etag: str
    size: int
    entry_count: int
    head: bytes | None
    digests: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Build:
    """What came of building a feed as it was at *change_count*; *built_count* is what it was built from before.

    *entries*: the digest of each article's fragment, by its id; *fragments*: what they are, packed.
    """

    feed_id: int
    built_count: int
    change_count: int
    documents: Sequence[NewDocument]
    entries: Mapping[int, bytes]
    fragments: Mapping[bytes, bytes]
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
    _store_fragments(session, [built[feed_id].fragments for feed_id in rows], now=now)
    documents = [(feed_id, each) for feed_id in rows for each in built[feed_id].documents]
    names = store_documents(session, documents, now=now)
    _store_entries(session, {feed_id: built[feed_id].entries for feed_id in rows})
    for feed_id, row in rows.items():
        build = built[feed_id]
        row.built_count = build.change_count
        row.entry_count = len(build.entries)
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
    """Store those *documents*, each with its feed's id, that are new, with new validators; return their names.

    The list of all feeds has None for an id. Their fragments are there.
    """
    new = {
        document.name: (feed_id, document, document.head)
        for feed_id, document in documents
        if document.head is not None
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
            "head": head,
            "digests": b"".join(document.digests),
            "size": document.size,
            "etag": document.etag,
            "last_modified": next_last_modified(previous[name][1] if name in previous else None, now),
            "entry_count": document.entry_count,
        }
        for name, (feed_id, document, head) in new.items()
        if name not in previous or previous[name][0] != document.etag
    ]
    if rows:
        upsert = insert_into(session, FeedDocumentRow)
        swapped = {column: upsert.excluded[column] for column in rows[0] if column != "name"}
        session.execute(upsert.on_conflict_do_update(index_elements=["name"], set_=swapped), rows)
    return {str(row["name"]) for row in rows}


def load_document(session: Session, name: str) -> StoredDocument | None:
    """Return the document that has this name as the last part of its address; None: there is none."""
    row = session.execute(select(*_COLUMNS).where(FeedDocumentRow.name == name)).one_or_none()
    if row is None:
        return None
    digests = tuple(row.digests[at : at + DIGEST_BYTES] for at in range(0, len(row.digests), DIGEST_BYTES))
    return StoredDocument(**row._asdict() | {"digests": digests})


def load_fragments(session: Session, digests: Collection[bytes]) -> dict[bytes, bytes]:
    """Return by digest those of these fragments that there are, packed."""
    found: dict[bytes, bytes] = {}
    for chunk in chunks(sorted(set(digests))):
        statement = select(FeedFragmentRow.digest, FeedFragmentRow.packed).where(FeedFragmentRow.digest.in_(chunk))
        found.update((row.digest, row.packed) for row in session.execute(statement))
    return found


def forget_fragments(session: Session, *, now: datetime) -> int:
    """Remove the fragments that stand in no document any more; return how many.

    Each is taken before it is looked at again: who stores a document meanwhile that names it has it first, and it
    stays, or waits and stores it anew.
    """
    is_used = select(FeedEntryRow.feed_id).where(FeedEntryRow.digest == FeedFragmentRow.digest).exists()
    unused = select(FeedFragmentRow.digest).where(FeedFragmentRow.stored_at < now - UNUSED_FOR, ~is_used)
    taken = session.scalars(unused.order_by(FeedFragmentRow.digest).with_for_update(skip_locked=True)).all()
    removed = 0
    for chunk in chunks(taken):
        statement = delete(FeedFragmentRow).where(FeedFragmentRow.digest.in_(chunk), ~is_used)
        removed += session.connection().execute(statement).rowcount
    return removed


_COLUMNS = [getattr(FeedDocumentRow, each.name) for each in fields(StoredDocument)]


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


def _store_fragments(session: Session, fragments: Iterable[Mapping[bytes, bytes]], *, now: datetime) -> None:
    """Store those *fragments* that are not there, and keep those that are from being forgotten meanwhile."""
    wanted: dict[bytes, bytes] = {}
    for each in fragments:
        wanted |= each
    digests = sorted(wanted)  # in one order, so that nobody who stores several waits in a circle
    held: set[bytes] = set()
    for chunk in chunks(digests):
        there = select(FeedFragmentRow.digest).where(FeedFragmentRow.digest.in_(chunk)).order_by(FeedFragmentRow.digest)
        held.update(session.scalars(there.with_for_update(read=True, key_share=True)))
    rows = [{"digest": each, "packed": wanted[each], "stored_at": now} for each in digests if each not in held]
    if rows:
        session.execute(insert_into(session, FeedFragmentRow).on_conflict_do_nothing(), rows)


def _store_entries(session: Session, wanted: Mapping[int, Mapping[int, bytes]]) -> None:
    """Note which articles stand in which feeds, and as which fragments."""
    held: dict[int, dict[int, bytes]] = defaultdict(dict)
    for chunk in chunks(sorted(wanted)):
        statement = select(FeedEntryRow.feed_id, FeedEntryRow.article_id, FeedEntryRow.digest)
        for row in session.execute(statement.where(FeedEntryRow.feed_id.in_(chunk))):
            held[row.feed_id][row.article_id] = row.digest
    gone = [
        {"the_feed": feed_id, "the_article": article_id}
        for feed_id, entries in wanted.items()
        for article_id in sorted(held[feed_id].keys() - entries.keys())
    ]
    new = [
        {"feed_id": feed_id, "article_id": article_id, "digest": digest}
        for feed_id, entries in wanted.items()
        for article_id, digest in sorted(entries.items())
        if held[feed_id].get(article_id) != digest
    ]
    if gone:
        is_gone = (FeedEntryRow.feed_id == bindparam("the_feed"), FeedEntryRow.article_id == bindparam("the_article"))
        session.connection().execute(delete(FeedEntryRow).where(*is_gone), gone)
    if new:
        note = insert_into(session, FeedEntryRow)
        session.execute(
            note.on_conflict_do_update(index_elements=["feed_id", "article_id"], set_={"digest": note.excluded.digest}),
            new,
        )
