"""Feeds built: what one is made of is read in one go, and its documents are written from that alone."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from newsletter.domain.articles import Article, Kind
from newsletter.domain.feeds import (
    CALENDAR,
    LARGEST_ARCHIVE,
    LARGEST_WINDOW,
    MOST_REPEATED,
    Facet,
    Feed,
    FeedFormat,
    FeedPlan,
    choose_window,
    document_name,
    feed_address,
    newest_archive,
    period_of,
    period_span,
    still_told,
    widen,
)
from newsletter.domain.filters import EVERYTHING, Filter, choose
from newsletter.domain.topics import ancestors
from newsletter.feeds.document import Entry
from newsletter.feeds.documents import Recipe, fit_entries, write_documents
from newsletter.feeds.fragments import FragmentCache
from newsletter.rendering.calendar import CalendarEntry
from newsletter.rendering.calendar_feed import render_calendar_feed
from newsletter.services.context import Transaction
from newsletter.services.feed_writing import FeedWriter
from newsletter.storage import feed_articles, feed_documents
from newsletter.storage import feeds as storage
from newsletter.storage.articles import load_articles
from newsletter.storage.feed_articles import Wanted
from newsletter.storage.feed_documents import Build, NewDocument
from newsletter.storage.lists import known_sources, load_filters, load_lists
from newsletter.storage.topics import load_topics

MOST_REMOVALS = 50
"""Removals that one document names at most."""
MOST_EVENTS = 100
"""Events in a calendar: those published last."""
MOST_ARCHIVED = 2000
"""Articles in the archive of a month."""
EVENTS = choose(kinds=(Kind.EVENT,))

FRAGMENTS = FragmentCache()
_writers: dict[str, FeedWriter] = {}


@dataclass(frozen=True, slots=True)
class Work:
    """All that a feed is built from; *etags* are those of its stored documents.

    *found*: the newest articles that could stand in it, and when they became public, newest first. *events* is None
    where the feed has no calendar.
    """

    feed: Feed
    plan: FeedPlan
    writer: FeedWriter
    articles: Sequence[Article]
    found: Sequence[tuple[int, datetime]]
    removals: Sequence[tuple[str, datetime]]
    events: Sequence[Article] | None
    due_at: datetime | None
    etags: dict[str, str]
    fingerprint: str


def load_writer(tx: Transaction) -> FeedWriter:
    """Return the newsroom's words as they are now; the first time it is decided who gives ids.

    While they stay as they are it is the same writer, with all that it has said before.
    """
    lists = load_lists(tx.session)
    writer = FeedWriter(
        settings=tx.settings,
        authority=storage.load_authority(tx.session)
        or storage.mint_authority(tx.session, tx.settings.domain, tx.now.date()),
        topics=load_topics(tx.session),
        lists=lists,
        choices=load_filters(tx.session, {each.filter_id for each in lists}),
        sources=known_sources(tx.session),
        closed=storage.load_final_slugs(tx.session),
    )
    known = _writers.get("latest")
    if known == writer:
        return known
    _writers["latest"] = writer
    return writer


def forget_articles(ids: Collection[int]) -> None:
    """Read articles anew that changed, even within one tick of the clock."""
    for writer in _writers.values():
        writer.memory.forget(ids)


def plans_of(tx: Transaction, writer: FeedWriter, feeds: Iterable[Feed]) -> dict[str, FeedPlan]:
    """Return by slug the named feeds that there should be, and those of *feeds* that were asked for and may stay."""
    plans = dict(writer.plans())
    asked_for = [feed for feed in feeds if not feed.facet.is_named]
    choices = load_filters(tx.session, {feed.filter_id for feed in asked_for})
    for feed in asked_for:
        plan = writer.plan_of(feed, choices[feed.filter_id])
        if plan is not None:
            plans[feed.slug] = plan
    return plans


def prepare(tx: Transaction, feeds: Sequence[Feed], plans: Mapping[str, FeedPlan] | None = None) -> list[Work]:
    """Read what *feeds* are built from; their change counts are older than it, so that nothing is missed.

    *plans* by slug, where they are known; a feed without one is left out.
    """
    writer = load_writer(tx)
    plans = plans_of(tx, writer, feeds) if plans is None else plans
    parents = ancestors(writer.topics)
    planned = [feed for feed in feeds if feed.slug in plans]
    wanted = {feed.id: _wanted(plans[feed.slug], parents) for feed in planned}
    newsroom = _Newsroom(
        has_removals=feed_articles.has_removals(tx.session),
        has_updates=feed_articles.has_updates(tx.session),
        has_events=feed_articles.has_events(tx.session),
        has_articles_to_come=feed_articles.has_articles_to_come(tx.session, now=tx.now),
    )
    windows = {feed.id: _find_window(tx, wanted[feed.id], newsroom) for feed in planned}
    events = {
        feed.id: _find_events(tx, wanted[feed.id], newsroom) for feed in planned if plans[feed.slug].may_have_events
    }
    ids = {article_id for window in windows.values() for article_id in window.ids}
    ids.update(article_id for found in events.values() for article_id in found)
    articles = writer.memory.load(tx, ids)
    etags = feed_documents.document_etags(tx.session, windows)
    return [
        Work(
            feed=feed,
            plan=plans[feed.slug],
            writer=writer,
            articles=[articles[article_id] for article_id in windows[feed.id].ids if article_id in articles],
            found=windows[feed.id].found,
            removals=feed_articles.find_removals(tx.session, wanted[feed.id], limit=MOST_REMOVALS)
            if newsroom.has_removals
            else (),
            events=[articles[each] for each in events[feed.id] if each in articles] if feed.id in events else None,
            due_at=feed_articles.next_appearance(tx.session, wanted[feed.id], now=tx.now)
            if newsroom.has_articles_to_come
            else None,
            etags=etags,
            fingerprint=writer.fingerprint(plans[feed.slug]),
        )
        for feed in planned
    ]


def build(work: Work) -> Build:
    """Write the documents of a feed; an article that cannot be written is left out and reported."""
    entries, problems = _entries(work.writer, work.plan, work.articles)
    fitted = fit_entries(entries, FRAGMENTS)
    problems += fitted.problems
    newest = max((entry.updated for entry in fitted.entries), default=work.feed.created_at)
    head = work.writer.head(
        work.plan,
        created_at=work.feed.created_at,
        entries=fitted.entries,
        gone=still_told(work.removals, updated=newest),
        older=_older(work, fitted.entries),
    )
    documents = [
        new_document(document_name(work.feed.slug, form), recipe, work.etags)
        for form, recipe in write_documents(head, fitted).items()
    ]
    if work.events is not None:
        calendar, event_count = write_calendar(work.writer, work.plan, work.events)
        documents.append(plain_document(document_name(work.feed.slug, CALENDAR), calendar, event_count, work.etags))
    written = list(zip(fitted.entries, fitted.fragments, strict=True))
    return Build(
        feed_id=work.feed.id,
        built_count=work.feed.built_count,
        change_count=work.feed.change_count,
        documents=documents,
        entries={entry.article_id: fragment.digest for entry, fragment in written},
        fragments={fragment.digest: fragment.packed for _, fragment in written},
        fingerprint=work.fingerprint,
        due_at=work.due_at,
        problem="; ".join(problems) or None,
    )


def build_archive(tx: Transaction, plan: FeedPlan, period: str) -> tuple[dict[FeedFormat, bytes], datetime] | None:
    """Return a feed's articles of a month in each format, with when one of them changed last; None: there is none.

    A month has an archive as soon as an article of a later month is there. Nothing is left out of it: what is too
    much is told in brief.
    """
    writer = load_writer(tx)
    wanted = _wanted(plan, ancestors(writer.topics))
    begins, ends = period_span(period)
    newest = feed_articles.find_candidates(tx.session, wanted, now=tx.now, limit=1)
    held = feed_articles.find_candidates(tx.session, wanted, now=tx.now, limit=MOST_ARCHIVED, since=begins, before=ends)
    if not held or period >= period_of(newest[0][1]):
        return None
    before = feed_articles.find_candidates(tx.session, wanted, now=tx.now, limit=1, before=begins)
    after = feed_articles.next_visible(tx.session, wanted, now=tx.now, since=ends)
    newer = period_of(after) if after and period_of(after) < period_of(newest[0][1]) else None
    by_id = {article.id: article for article in load_articles(tx.session, [article_id for article_id, _ in held])}
    articles = [by_id[article_id] for article_id, _ in held if article_id in by_id]
    entries, _ = _entries(writer, plan, articles)
    head = writer.archive_head(
        plan, period, entries=entries, older=period_of(before[0][1]) if before else None, newer=newer
    )
    fitted = fit_entries(entries, FRAGMENTS, largest=LARGEST_ARCHIVE, promised=len(entries))
    bodies = {form: recipe.body for form, recipe in write_documents(head, fitted).items()}
    return bodies, max(article.modified_at for article in articles)


def write_calendar(writer: FeedWriter, plan: FeedPlan, events: Sequence[Article]) -> tuple[bytes, int]:
    """Return the calendar of *events* and how many stand in it."""
    settings = writer.settings
    entries = [
        CalendarEntry(
            event=article.event,
            uid=f"{article.uid}@{settings.domain}",
            title=words.title,
            summary=words.summary,
            url=words.url or f"{settings.base_url}/articles/{article.uid}",
            modified_at=article.modified_at.replace(microsecond=0),
            revision=article.revision,
            language=words.language,
        )
        for article in events
        if article.event is not None
        for words in (article.best_translation(plan.language),)
    ]
    url = feed_address(settings.base_url, plan.stem, CALENDAR, plan.query) if plan.stem else ""
    return render_calendar_feed(entries, name=writer.title(plan), url=url, zone=settings.zone)


def new_document(name: str, recipe: Recipe, stored: Mapping[str, str]) -> NewDocument:
    """Return what is stored of a document; *stored*: the tags by name of those that are there.

    Its tag is made of what its bytes are made of, which takes a hundredth of the time.
    """
    etag = _etag(recipe.head, recipe.digests)
    head = None if etag == stored.get(name) else recipe.head
    return NewDocument(name, etag, recipe.size, len(recipe.digests), head, recipe.digests)


def plain_document(name: str, body: bytes, entry_count: int, stored: Mapping[str, str]) -> NewDocument:
    """Return what is stored of a document without fragments, as `new_document`."""
    etag = _etag(body)
    return NewDocument(name, etag, len(body), entry_count, None if etag == stored.get(name) else body)


def _etag(head: bytes, digests: Iterable[bytes] = ()) -> str:
    return hashlib.sha256(b"".join((len(head).to_bytes(8, "big"), head, *digests))).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class _Newsroom:
    """What the newsroom has at all, so that no feed need be asked for what no article is."""

    has_removals: bool
    has_updates: bool
    has_events: bool
    has_articles_to_come: bool


@dataclass(frozen=True, slots=True)
class _Window:
    """What stands in a document, room allowed, and the newest that could, with when they became public."""

    ids: Sequence[int]
    found: Sequence[tuple[int, datetime]]


def _wanted(plan: FeedPlan, parents: Mapping[int, Sequence[int]]) -> Wanted:
    choices = tuple(widen(each, parents) for each in _choices(plan))
    return Wanted(choices, "" if plan.is_in_any_language else plan.language)


def _choices(plan: FeedPlan) -> list[Filter]:
    return [each for each in (plan.choice, plan.within) if each != EVERYTHING]


def _find_window(tx: Transaction, wanted: Wanted, newsroom: _Newsroom) -> _Window:
    """Return the newest articles, those before them that were updated since, and what comes behind."""
    found = feed_articles.find_candidates(tx.session, wanted, now=tx.now, limit=LARGEST_WINDOW + 1)
    window = choose_window(found)
    if len(found) == len(window):
        return _Window(window, found)
    oldest = found[len(window) - 1][1]
    repeated: list[int] = []
    if newsroom.has_updates:
        repeated = feed_articles.find_updated(tx.session, wanted, before=oldest, since=oldest, limit=MOST_REPEATED)
    if period_of(found[-1][1]) == period_of(found[0][1]):
        begins, _ = period_span(period_of(found[0][1]))
        found += feed_articles.find_candidates(tx.session, wanted, now=tx.now, limit=1, before=begins)
    return _Window([*window, *repeated], found)


def _find_events(tx: Transaction, wanted: Wanted, newsroom: _Newsroom) -> list[int]:
    if not newsroom.has_events:
        return []
    events = Wanted((*wanted.choices, EVENTS), wanted.language)
    return [each for each, _ in feed_articles.find_candidates(tx.session, events, now=tx.now, limit=MOST_EVENTS)]


def _entries(writer: FeedWriter, plan: FeedPlan, articles: Iterable[Article]) -> tuple[list[Entry], list[str]]:
    problems: list[str] = []
    entries: list[Entry] = []
    for article in articles:
        try:
            entries.append(writer.entry(article, _tongue(plan, article)))
        except Exception as error:  # noqa: BLE001  whatever is wrong with one article, the others must not miss out
            problems.append(f"article {article.uid} is left out: {error}")
    return sorted(entries, key=lambda entry: entry.published, reverse=True), problems


def _tongue(plan: FeedPlan, article: Article) -> str:
    return article.best_translation(plan.language).language if plan.is_in_any_language else plan.language


def _older(work: Work, held: Iterable[Entry]) -> str | None:
    """Return the month whose archive goes on where the entries *held* end; None: there is none."""
    if work.plan.facet is Facet.CHOICE or not work.found:
        return None
    standing = {entry.article_id for entry in held}
    left = [when for article_id, when in work.found if article_id not in standing]
    return newest_archive(work.found[0][1], left)
