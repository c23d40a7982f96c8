"""Rebuilding of feeds: those that an article concerns are marked, built and swapped; a broken one harms no other."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import structlog

from newsletter.domain.feeds import OPML_NAME, Feed, FeedFormat, feed_address
from newsletter.errors import NotFoundError, TransientError
from newsletter.feeds.opml import write_opml
from newsletter.services.context import App, Transaction
from newsletter.services.feed_building import (
    Work,
    build,
    forget_articles,
    load_writer,
    plain_document,
    plans_of,
    prepare,
)
from newsletter.services.feed_documents import SWAPS
from newsletter.services.feeds import differences, ensure_feeds, mark_feeds_dirty
from newsletter.services.websub import note_changed_documents, ring_if_due
from newsletter.storage import feed_documents
from newsletter.storage import feeds as storage
from newsletter.storage.bulk import chunks
from newsletter.storage.feed_documents import Build

log = structlog.get_logger()

FEEDS_AT_ONCE = 25
"""Feeds whose articles are loaded together and whose documents are swapped together; more would take more memory."""
CHANGES_AT_ONCE = 200
"""Changed articles whose feeds are marked in one transaction."""


@dataclass(frozen=True, slots=True)
class FeedBuilt:
    """What came of rebuilding a feed: the names of the documents that changed, and what there is to say of it.

    *problem*: which entries were left out and why, or why it failed.
    """

    slug: str
    entry_count: int
    changed: tuple[str, ...]
    problem: str | None
    has_failed: bool
    seconds: float


def rebuild_feeds(
    app: App,
    slugs: Collection[str] = (),
    *,
    is_forced: bool = False,
    on_built: Callable[[FeedBuilt, int], None] | None = None,
) -> list[FeedBuilt]:
    """Build the feeds that want it, or those named, or when *is_forced* all; some at a time are swapped together.

    A feed wants it when an article of its changed, when one appears as its embargo passes, or when a title, label or
    address in it changed. What cannot be built keeps its last good documents and is reported. *on_built* is told
    each feed's outcome and how many there are. Safe to repeat and for any number of processes at once.

    Raises:
        NotFoundError: there is no feed with one of the slugs.
        TransientError: the database did not answer; what was built before is kept.
    """
    _mark_changes(app)
    feeds = _find_wanted(app, slugs, is_forced=is_forced)
    outcomes: list[FeedBuilt] = []
    for chunk in chunks(feeds, FEEDS_AT_ONCE):
        with app.reading() as tx:
            works = prepare(tx, chunk)
        for outcome in rebuild_works(app, works):
            outcomes.append(outcome)
            if on_built:
                on_built(outcome, len(feeds))
    _rebuild_opml(app, is_wanted=bool(outcomes))
    ring_if_due(app)
    return outcomes


def _mark_changes(app: App) -> None:
    """Mark the feeds of all articles that were noted; a few at a time, so that a large import stays small in memory."""
    with app.reading() as tx:
        is_noted = storage.has_changes(tx.session)
    while is_noted:
        with app.transaction() as tx:
            taken = storage.take_changes(tx.session, limit=CHANGES_AT_ONCE)
            mark_feeds_dirty(tx, taken)
        forget_articles(taken)
        is_noted = len(taken) == CHANGES_AT_ONCE


def _find_wanted(app: App, slugs: Collection[str], *, is_forced: bool) -> list[Feed]:
    """Return the feeds to be built, once all are there that there should be; the usual look locks nothing."""
    with app.reading() as tx:
        is_settled, feeds, wanted = _look(tx)
    if not is_settled:
        with app.transaction() as tx:
            ensure_feeds(tx)
            _, feeds, wanted = _look(tx)
    if slugs and not is_forced:
        known = {feed.slug for feed in feeds}
        if unknown := [slug for slug in slugs if slug not in known]:
            raise NotFoundError(f"there is no feed {', '.join(unknown)}; see `newsletter feeds list`")
        return [feed for feed in feeds if feed.slug in slugs]
    return feeds if is_forced else wanted


def _look(tx: Transaction) -> tuple[bool, list[Feed], list[Feed]]:
    """Return whether the feeds are those that there should be, all of them, and those that want to be built."""
    if storage.load_authority(tx.session) is None:
        return False, [], []
    writer, feeds = load_writer(tx), storage.load_feeds(tx.session)
    plans = plans_of(tx, writer, feeds)
    wanted = [
        feed
        for feed in feeds
        if feed.slug in plans and feed.wants_rebuild(fingerprint=writer.fingerprint(plans[feed.slug]), now=tx.now)
    ]
    return not any(differences(tx, writer, feeds, plans)), feeds, wanted


def rebuild_works(app: App, works: Sequence[Work]) -> list[FeedBuilt]:
    """Build feeds from what was read and swap their documents together; whatever goes wrong in one stays in it."""
    made = [_make(work) for work in works]
    builds = [each.build for each in made if each.build is not None]
    names: dict[int, list[str]] = {}
    failures: dict[int, Exception] = {}
    try:
        names = _store(app, builds)
    except TransientError:
        raise
    except Exception:
        log.exception("feeds_not_stored_together", feeds=[each.work.feed.slug for each in made])
        for each in builds:
            _store_alone(app, each, names, failures)
    return [_report(app, each, names.get(each.work.feed.id, ()), failures) for each in made]


@dataclass(frozen=True, slots=True)
class _Made:
    """A feed's documents as they were built, or why they could not be."""

    work: Work
    build: Build | None
    failure: Exception | None
    seconds: float


def _make(work: Work) -> _Made:
    started = time.perf_counter()
    try:
        made = build(work)
    except Exception as error:  # whatever it is, other feeds must not miss out
        log.exception("feed_failed", feed=work.feed.slug)
        return _Made(work, None, error, time.perf_counter() - started)
    return _Made(work, made, None, time.perf_counter() - started)


def _store(app: App, builds: Sequence[Build]) -> dict[int, list[str]]:
    """Swap documents and note whom to push them to; return by feed id the names of those that changed."""
    if not builds:
        return {}
    with app.transaction() as tx:
        names = feed_documents.store_builds(tx.session, builds, now=tx.now)
        note_changed_documents(tx, [name for changed in names.values() for name in changed])
    if any(names.values()):
        SWAPS.note()
    return names


def _store_alone(app: App, made: Build, names: dict[int, list[str]], failures: dict[int, Exception]) -> None:
    try:
        names |= _store(app, (made,))
    except TransientError:
        raise
    except Exception as error:
        log.exception("feed_failed", feed_id=made.feed_id)
        failures[made.feed_id] = error


def _report(app: App, made: _Made, changed: Sequence[str], failures: dict[int, Exception]) -> FeedBuilt:
    feed = made.work.feed
    failure = made.failure or failures.get(feed.id)
    problem: str | None
    if made.build is None or failure is not None:
        problem = f"{type(failure).__name__}: {failure}"
        with app.transaction() as tx:
            storage.note_failure(tx.session, feed.id, problem, now=tx.now)
        return FeedBuilt(feed.slug, feed.entry_count, (), problem, True, made.seconds)
    count, problem = len(made.build.entries), made.build.problem
    log.info("feed_built", feed=feed.slug, entries=count, changed=len(changed), problem=problem)
    return FeedBuilt(feed.slug, count, tuple(changed), problem, False, made.seconds)


def _rebuild_opml(app: App, *, is_wanted: bool) -> None:
    """Write the list of all feeds, when one of them was built or there is no list yet."""
    with app.reading() as tx:
        etag = feed_documents.load_etag(tx.session, OPML_NAME)
        if etag is not None and not is_wanted:
            return
        writer = load_writer(tx)
    plans = writer.plans().values()
    addresses = [(plan, feed_address(app.settings.base_url, plan.slug, FeedFormat.ATOM)) for plan in plans]
    body = write_opml(app.settings.name, writer.groups(addresses))
    document = plain_document(OPML_NAME, body, len(plans), {OPML_NAME: etag or ""})
    if document.head is None:
        return
    with app.transaction() as tx:
        feed_documents.store_documents(tx.session, [(None, document)], now=tx.now)
    SWAPS.note()
