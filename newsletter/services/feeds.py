"""Feeds: made for each topic, kind and list in each language, marked when an article concerns them, and rebuilt."""

import gzip
import hashlib
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from newsletter.dispatch import Doorbell
from newsletter.domain.articles import Article
from newsletter.domain.feeds import (
    LARGEST_WINDOW,
    OPML_NAME,
    Feed,
    FeedFormat,
    FeedPlan,
    choose_window,
    document_name,
    feed_address,
    still_told,
    widen,
)
from newsletter.domain.filters import Filter, matches
from newsletter.domain.topics import ancestors
from newsletter.errors import NotFoundError, TransientError
from newsletter.feeds.document import Entry
from newsletter.feeds.documents import FragmentCache, write_documents
from newsletter.feeds.opml import write_opml
from newsletter.services.context import App, Transaction
from newsletter.services.feed_documents import SWAPS
from newsletter.services.feed_writing import FeedWriter
from newsletter.storage import feed_articles, feed_documents
from newsletter.storage import feeds as storage
from newsletter.storage.articles import load_articles
from newsletter.storage.bulk import chunks
from newsletter.storage.feed_documents import Build, NewDocument
from newsletter.storage.feeds import NewFeed
from newsletter.storage.lists import intern_filters, load_filters, load_lists
from newsletter.storage.topics import load_topics

log = structlog.get_logger()

FEEDS_AT_ONCE = 25
"""Feeds whose articles are loaded together; more would keep more articles in memory."""
CHANGES_AT_ONCE = 200
"""Changed articles whose feeds are marked in one transaction."""
MOST_REMOVALS = 50
"""Removals that one document names at most."""
COMPRESSION = 4
"""gzip level of stored documents, most of a rebuild's time: 6 takes 2.5 times as long for a tenth fewer bytes."""

_FRAGMENTS = FragmentCache()


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


@dataclass(frozen=True, slots=True)
class FeedFacts:
    """A feed with what is served of it; *size* is that of its largest document, *changed_at* its Last-Modified."""

    feed: Feed
    addresses: dict[FeedFormat, str]
    size: int
    changed_at: datetime | None
    wants_rebuild: bool


def ensure_feeds(tx: Transaction) -> int:
    """Make the feeds that are missing, change those whose title or filter changed, remove those without a subject.

    There is one of everything, and of each topic, kind and public list, in each of the newsroom's languages. Returns
    how many were made, changed or removed; rings for their documents. Safe to repeat.
    """
    writer = _load_writer(tx)
    missing, changed, superfluous = _differences(tx, writer)
    ids = intern_filters(tx.session, [plan.choice for plan in (*missing, *changed.values())])
    storage.add_feeds(
        tx.session,
        [
            NewFeed(plan.slug, plan.facet, plan.subject, plan.language, ids[plan.choice], writer.title(plan))
            for plan in missing
        ],
        now=tx.now,
    )
    for feed_id, plan in changed.items():
        storage.change_feed(tx.session, feed_id, filter_id=ids[plan.choice], title=writer.title(plan), now=tx.now)
    storage.remove_feeds(tx.session, superfluous)
    count = len(missing) + len(changed) + len(superfluous)
    if count:
        tx.ring(Doorbell.REBUILD_FEEDS)
    return count


def note_article_changes(tx: Transaction, article_ids: Collection[int]) -> None:
    """Note, in the transaction that changes them, that articles were published, changed, retagged or withdrawn.

    Whoever rebuilds feeds next marks those that are concerned, whether or not the doorbell rung here is heard. Costs
    the transaction one small write. Safe to repeat.
    """
    if article_ids:
        storage.note_changes(tx.session, article_ids, now=tx.now)
        tx.ring(Doorbell.REBUILD_FEEDS)


def mark_feeds_dirty(tx: Transaction, article_ids: Collection[int]) -> int:
    """Mark the feeds that hold one of these articles or would choose it now; return how many.

    Other feeds are not touched, nor are their validators.
    """
    feeds = storage.load_feeds(tx.session)
    concerned = storage.feeds_that_hold(tx.session, article_ids)
    choices = load_filters(tx.session, {feed.filter_id for feed in feeds})
    parents = ancestors(load_topics(tx.session))
    articles = load_articles(tx.session, article_ids)
    concerned.update(
        feed.id
        for feed in feeds
        if any(
            feed.language in article.translations and matches(choices[feed.filter_id], article, parents)
            for article in articles
        )
    )
    storage.mark_changed(tx.session, concerned, now=tx.now)
    return len(concerned)


def rebuild_feeds(
    app: App,
    slugs: Collection[str] = (),
    *,
    is_forced: bool = False,
    on_built: Callable[[FeedBuilt, int], None] | None = None,
) -> list[FeedBuilt]:
    """Build the feeds that want it, or those named, or when *is_forced* all; each is stored in its own transaction.

    A feed wants it when an article of its changed, when one appears as its embargo passes, or when a title, label or
    address in it changed. What cannot be built keeps its last good documents and is reported. *on_built* is told
    each feed's outcome and how many there are. Safe to repeat and for any number of processes at once.

    Raises:
        NotFoundError: there is no feed with one of the slugs.
        TransientError: the database did not answer; what was built before is kept.
    """
    _settle_feeds(app)
    _mark_changes(app)
    feeds = _find_wanted(app, slugs, is_forced=is_forced)
    outcomes: list[FeedBuilt] = []
    for chunk in chunks(feeds, FEEDS_AT_ONCE):
        with app.reading() as tx:
            works = _prepare(tx, chunk)
        for work in works:
            outcome = _rebuild(app, work)
            outcomes.append(outcome)
            if on_built:
                on_built(outcome, len(feeds))
    _rebuild_opml(app, is_wanted=bool(outcomes))
    return outcomes


def list_feeds(tx: Transaction) -> list[FeedFacts]:
    """Return all feeds with what is served of them, in the order of subjects and languages."""
    facts = feed_documents.document_facts(tx.session)
    feeds = storage.load_feeds(tx.session)
    fingerprints = {}
    if storage.load_authority(tx.session) is not None:
        writer = _load_writer(tx)
        fingerprints = {plan.slug: writer.fingerprint(plan) for plan in writer.plans()}
    return [
        FeedFacts(
            feed=feed,
            addresses={form: feed_address(tx.settings.base_url, feed.slug, form) for form in FeedFormat},
            size=facts[feed.id][0] if feed.id in facts else 0,
            changed_at=facts[feed.id][1] if feed.id in facts else None,
            wants_rebuild=feed.wants_rebuild(fingerprint=fingerprints.get(feed.slug, ""), now=tx.now),
        )
        for feed in feeds
    ]


@dataclass(frozen=True, slots=True)
class _Work:
    """All that a feed is built from, read from the database in one go; *etags* are those of its stored documents."""

    feed: Feed
    plan: FeedPlan
    writer: FeedWriter
    articles: Sequence[Article]
    removals: Sequence[tuple[str, datetime]]
    due_at: datetime | None
    etags: dict[str, str]
    fingerprint: str


def _load_writer(tx: Transaction) -> FeedWriter:
    lists = load_lists(tx.session, is_public=True)
    return FeedWriter(
        settings=tx.settings,
        authority=storage.load_authority(tx.session)
        or storage.mint_authority(tx.session, tx.settings.domain, tx.now.date()),
        topics=load_topics(tx.session),
        lists=lists,
        choices=load_filters(tx.session, {each.filter_id for each in lists}),
    )


def _differences(tx: Transaction, writer: FeedWriter) -> tuple[list[FeedPlan], dict[int, FeedPlan], list[int]]:
    """Return the plans without a feed, the plans by id of the feeds that differ, the ids of feeds without a plan."""
    plans = {plan.slug: plan for plan in writer.plans()}
    feeds = {feed.slug: feed for feed in storage.load_feeds(tx.session)}
    choices = load_filters(tx.session, {feed.filter_id for feed in feeds.values()})
    changed = {
        feeds[slug].id: plan
        for slug, plan in plans.items()
        if slug in feeds and (choices[feeds[slug].filter_id], feeds[slug].title) != (plan.choice, writer.title(plan))
    }
    missing = [plan for slug, plan in plans.items() if slug not in feeds]
    return missing, changed, [feed.id for slug, feed in feeds.items() if slug not in plans]


def _settle_feeds(app: App) -> None:
    """Look whether all feeds are there, and write only if not: the usual look locks nothing."""
    with app.reading() as tx:
        is_new = storage.load_authority(tx.session) is None
        is_settled = not is_new and not any(_differences(tx, _load_writer(tx)))
    if not is_settled:
        with app.transaction() as tx:
            ensure_feeds(tx)


def _mark_changes(app: App) -> None:
    """Mark the feeds of all articles that were noted; a few at a time, so that a large import stays small in memory."""
    with app.reading() as tx:
        is_noted = storage.has_changes(tx.session)
    while is_noted:
        with app.transaction() as tx:
            taken = storage.take_changes(tx.session, limit=CHANGES_AT_ONCE)
            mark_feeds_dirty(tx, taken)
        is_noted = len(taken) == CHANGES_AT_ONCE


def _find_wanted(app: App, slugs: Collection[str], *, is_forced: bool) -> list[Feed]:
    with app.reading() as tx:
        feeds = storage.load_feeds(tx.session)
        if is_forced:
            return feeds
        if slugs:
            known = {feed.slug for feed in feeds}
            if unknown := [slug for slug in slugs if slug not in known]:
                raise NotFoundError(f"there is no feed {', '.join(unknown)}; see `newsletter feeds list`")
            return [feed for feed in feeds if feed.slug in slugs]
        writer = _load_writer(tx)
        prints = {plan.slug: writer.fingerprint(plan) for plan in writer.plans()}
    return [
        feed for feed in feeds if feed.slug in prints and feed.wants_rebuild(fingerprint=prints[feed.slug], now=tx.now)
    ]


def _prepare(tx: Transaction, feeds: Iterable[Feed]) -> list[_Work]:
    """Read what *feeds* are built from; their change counts are older than it, so that nothing is missed."""
    writer = _load_writer(tx)
    plans = {plan.slug: plan for plan in writer.plans()}
    parents = ancestors(writer.topics)
    planned = [feed for feed in feeds if feed.slug in plans]
    choices = {feed.id: widen(plans[feed.slug].choice, parents) for feed in planned}
    windows = {feed.id: _window(tx, choices[feed.id], feed.language) for feed in planned}
    wanted = {article_id for window in windows.values() for article_id in window}
    articles = {article.id: article for article in load_articles(tx.session, wanted)}
    etags = feed_documents.document_etags(tx.session, windows)
    has_removals = feed_articles.has_removals(tx.session)
    has_articles_to_come = feed_articles.has_articles_to_come(tx.session, now=tx.now)
    return [
        _Work(
            feed=feed,
            plan=plans[feed.slug],
            writer=writer,
            articles=[articles[article_id] for article_id in windows[feed.id] if article_id in articles],
            removals=feed_articles.find_removals(tx.session, choices[feed.id], feed.language, limit=MOST_REMOVALS)
            if has_removals
            else (),
            due_at=feed_articles.next_appearance(tx.session, choices[feed.id], feed.language, now=tx.now)
            if has_articles_to_come
            else None,
            etags=etags,
            fingerprint=writer.fingerprint(plans[feed.slug]),
        )
        for feed in planned
    ]


def _window(tx: Transaction, choice: Filter, language: str) -> list[int]:
    return choose_window(feed_articles.find_candidates(tx.session, choice, language, now=tx.now, limit=LARGEST_WINDOW))


def _rebuild(app: App, work: _Work) -> FeedBuilt:
    """Build a feed and swap its documents; whatever goes wrong in it stays in it."""
    started = time.perf_counter()
    feed = work.feed
    try:
        build = _build(work)
        with app.transaction() as tx:
            changed = feed_documents.store_build(tx.session, build, now=tx.now)
    except TransientError:
        raise
    except Exception as error:
        log.exception("feed_failed", feed=feed.slug)
        problem = f"{type(error).__name__}: {error}"
        with app.transaction() as tx:
            storage.note_failure(tx.session, feed.id, problem, now=tx.now)
        return FeedBuilt(feed.slug, feed.entry_count, (), problem, True, time.perf_counter() - started)
    if changed:
        SWAPS.note()
    built = FeedBuilt(
        feed.slug, len(build.article_ids), tuple(changed or ()), build.problem, False, time.perf_counter() - started
    )
    log.info("feed_built", feed=feed.slug, entries=built.entry_count, changed=len(built.changed), problem=build.problem)
    return built


def _build(work: _Work) -> Build:
    problems: list[str] = []
    entries: list[Entry] = []
    for article in work.articles:
        try:
            entries.append(work.writer.entry(article, work.feed.language))
        except Exception as error:  # noqa: BLE001  whatever is wrong with one article, the others must not miss out
            problems.append(f"article {article.uid} is left out: {error}")
    newest = max((entry.updated for entry in entries), default=work.feed.created_at)
    gone = still_told(work.removals, updated=newest)
    head = work.writer.head(work.plan, created_at=work.feed.created_at, entries=entries, gone=gone)
    written = write_documents(head, entries, _FRAGMENTS)
    problems += written.problems
    names = {form: document_name(work.feed.slug, form) for form in written.bodies}
    return Build(
        feed_id=work.feed.id,
        built_count=work.feed.built_count,
        change_count=work.feed.change_count,
        documents=[
            _document(names[form], body, len(written.entries), work.etags.get(names[form]))
            for form, body in written.bodies.items()
        ],
        article_ids=[entry.article_id for entry in written.entries],
        fingerprint=work.fingerprint,
        due_at=work.due_at,
        problem="; ".join(problems) or None,
    )


def _document(name: str, body: bytes, entry_count: int, stored_etag: str | None) -> NewDocument:
    """Return *body* as a document, compressed only if it is new: that is most of the work."""
    etag = hashlib.sha256(body).hexdigest()[:32]
    gzipped = None if etag == stored_etag else gzip.compress(body, COMPRESSION, mtime=0)
    return NewDocument(name, etag, len(body), entry_count, gzipped)


def _rebuild_opml(app: App, *, is_wanted: bool) -> None:
    """Write the list of all feeds, when one of them was built or there is no list yet."""
    with app.reading() as tx:
        etag = feed_documents.load_etag(tx.session, OPML_NAME)
        if etag is not None and not is_wanted:
            return
        writer = _load_writer(tx)
    plans = writer.plans()
    addresses = [(plan, feed_address(app.settings.base_url, plan.slug, FeedFormat.ATOM)) for plan in plans]
    body = write_opml(app.settings.name, writer.groups(addresses))
    document = _document(OPML_NAME, body, len(plans), etag)
    if document.gzipped is None:
        return
    with app.transaction() as tx:
        feed_documents.store_documents(tx.session, None, (document,), now=tx.now)
    SWAPS.note()
