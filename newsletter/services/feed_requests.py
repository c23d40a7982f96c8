"""Feeds asked for that are not there: made to order if they can be, else said where they are or that they are not.

Whatever an address of a combination or an archive needs stands in the address itself. So nothing that is dropped to
keep their number bounded is ever lost: the next poll makes it anew, with the same ids and the same bytes.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import BoundedSemaphore, Lock

from newsletter.domain.feeds import (
    CALENDAR,
    NOTES_ASKING_EVERY,
    Facet,
    Feed,
    FeedFormat,
    FeedPlan,
    FeedQuery,
    document_name,
    feed_address,
)
from newsletter.errors import NotFoundError, TransientError
from newsletter.services.context import App, Transaction
from newsletter.services.feed_building import Work, build, build_archive, load_writer, prepare
from newsletter.services.feed_documents import SWAPS, ServedDocument, put_together, read_document
from newsletter.services.feed_rebuilding import rebuild_works
from newsletter.services.feeds import add_planned
from newsletter.storage import feeds as storage
from newsletter.storage.websub import longest_unasked

MOST_KEPT = {Facet.CUSTOM: 500, Facet.CHOICE: 2000}
"""Feeds made by asking that are kept up to date; whoever asks for one more takes the place of the longest unasked."""
SAFE_FOR = timedelta(hours=2)
"""Who was asked for within this time is not dropped: readers poll hourly. A flood of new addresses displaces none."""
MAKERS = 2
"""Feeds made to order at the same time in one process."""
PATIENCE_SECONDS = 3.0
ARCHIVES_KEPT = 64
ARCHIVE_SECONDS = 60.0
"""How long an archive in this process may be older than its articles."""
SUFFIXES = (*(form.value for form in FeedFormat), CALENDAR)


class BusyError(TransientError):
    """Too many feeds are being made right now; ask again in a few seconds."""


@dataclass(frozen=True, slots=True)
class Moved:
    """The feed is at *address*, for good."""

    address: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The feed was there and is not any more."""


@dataclass(frozen=True, slots=True)
class ToCome:
    """The feed is there, and its documents are being made."""


@dataclass(frozen=True, slots=True)
class TooMany:
    """Whoever asks had so many made already that others would wait."""


Answer = ServedDocument | Moved | Gone | ToCome | TooMany
"""What becomes of a request for a feed; a NotFoundError says that there never was one."""

_makers = BoundedSemaphore(MAKERS)


def look_for_named(app: App, slug: str, suffix: str) -> Answer:
    """Say what became of the named feed without a document; a slug without its language means the newsroom's first.

    Raises:
        NotFoundError: there never was such a feed.
    """
    full = f"{slug}-{app.settings.default_language.lower()}"
    with app.reading() as tx:
        for each in (slug, full):
            former = storage.load_former(tx.session, each)
            if former is not None:
                return Moved(_address(app, former.moved_to, suffix)) if former.moved_to else Gone()
        feed = storage.load_feed(tx.session, slug)
        if feed is not None:
            return _without_document(feed, suffix)
        if storage.load_feed(tx.session, full) is not None:
            return Moved(_address(app, full, suffix))
    raise NotFoundError("there is no feed of this name")


def make_custom(app: App, query: FeedQuery, suffix: str) -> Answer:
    """Make the feed of a combination and return its document; from then on it is kept, if there is room.

    Raises:
        NotFoundError: the combination names something that there is not; the message says what.
        BusyError: too many are being made.
    """
    with app.reading() as tx:
        writer = load_writer(tx)
        plan = writer.combination(query)
        simplest = writer.simplest(query)
    if simplest != query or simplest.named_slug:
        return Moved(query_address(app, simplest, suffix))
    return _make(app, plan, suffix)


def make_choice(app: App, plan: FeedPlan, suffix: str) -> Answer:
    """Make the feed that readers share who chose the same of a list; as `make_custom`."""
    return _make(app, plan, suffix)


def query_address(app: App, query: FeedQuery, suffix: str) -> str:
    """Return the one address of a combination; where a named feed says the same, that feed's."""
    if query.named_slug:
        return _address(app, query.named_slug, suffix)
    return feed_address(app.settings.base_url, "custom", suffix, query.text)


def describe_query(app: App, query: FeedQuery) -> str:
    """Return the title of a combination's feed, in its language.

    Raises:
        NotFoundError: it names something that there is not; the message says what.
    """
    with app.reading() as tx:
        writer = load_writer(tx)
        return writer.title(writer.combination(query))


def note_asked(app: App, slug: str) -> None:
    """Note that somebody asked for a feed that is kept as long as somebody does; seldom writes."""
    with app.reading() as tx:
        feed = storage.load_feed(tx.session, slug)
        is_noted = feed is None or feed.asked_at is None or feed.asked_at > tx.now - NOTES_ASKING_EVERY
    if feed is not None and not is_noted:
        with app.transaction() as tx:
            storage.note_asked(tx.session, feed.id, now=tx.now)


@dataclass(slots=True)
class Archives:
    """Archives of months: not stored, since they are seldom asked for; kept a minute, since then by many at once.

    *clock* counts seconds and only goes forward.
    """

    app: App
    clock: Callable[[], float]
    _kept: "OrderedDict[tuple[str, str], tuple[int, float, ServedDocument]]" = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def find(self, subject: str | FeedQuery, period: str, form: FeedFormat) -> ServedDocument:
        """Return the archive of a month of the named feed with that slug, or of a combination.

        Raises:
            NotFoundError: there is no such feed, or its archives have no such month.
            BusyError: too many are being made.
        """
        said = subject.text if isinstance(subject, FeedQuery) else subject
        key = (f"{period} {form}", said)
        with self._lock:
            kept = self._kept.get(key)
        if kept and kept[0] == SWAPS.count and self.clock() - kept[1] < ARCHIVE_SECONDS:
            return kept[2]
        swaps = SWAPS.count
        with _making():
            document = _archive(self.app, subject, period, form)
        with self._lock:
            self._kept[key] = (swaps, self.clock(), document)
            self._kept.move_to_end(key)
            while len(self._kept) > ARCHIVES_KEPT:
                self._kept.popitem(last=False)
        return document


def _archive(app: App, subject: str | FeedQuery, period: str, form: FeedFormat) -> ServedDocument:
    with app.reading() as tx:
        writer = load_writer(tx)
        if isinstance(subject, FeedQuery):
            plan: FeedPlan | None = writer.combination(subject)
        else:
            plan = writer.plans().get(subject)
        if plan is None:
            raise NotFoundError("there is no feed of this name")
        found = build_archive(tx, plan, period)
    if found is None:
        raise NotFoundError(f"this feed has no archive of {period}")
    bodies, last_modified = found
    return _served(f"{plan.slug}@{period}.{form}", bodies[form], last_modified)


def _make(app: App, plan: FeedPlan, suffix: str) -> Answer:
    name = document_name(plan.slug, suffix)
    with _making():
        with app.transaction() as tx:
            if _make_room(tx, plan):
                add_planned(tx, load_writer(tx), (plan,))
            feed = storage.load_feed(tx.session, plan.slug)
        with app.reading() as tx:
            works = prepare(tx, [feed or _passing(plan, tx)], {plan.slug: plan})
        if feed is None:
            return _unkept(app, works[0], name)
        rebuild_works(app, works)
    with app.reading() as tx:
        document = read_document(tx, name)
    return _without_document(feed, suffix) if document is None else document


def _make_room(tx: Transaction, plan: FeedPlan) -> bool:
    """Say whether one more feed may be kept; the one longest unasked, which nobody follows, makes room if it must."""
    if storage.load_feed(tx.session, plan.slug) is not None:
        return True
    if storage.count_feeds(tx.session, plan.facet) < MOST_KEPT[plan.facet]:
        return True
    unasked = longest_unasked(tx.session, plan.facet, before=tx.now - SAFE_FOR)
    storage.remove_feeds(tx.session, () if unasked is None else (unasked,))
    return unasked is not None


def _unkept(app: App, work: Work, name: str) -> ServedDocument:
    """Build a feed for this request alone: nobody is turned away where there is no room."""
    made = build(work)
    for document in made.documents:
        if document.name == name:
            body = put_together(document, lambda wanted: {each: made.fragments[each] for each in wanted})
            return ServedDocument(name, body or b"", document.etag, _whole(app.clock()))
    raise NotFoundError("no event can stand in this feed; it has no calendar")


def _passing(plan: FeedPlan, tx: Transaction) -> Feed:
    """Return a feed that is not stored."""
    begun = datetime.combine(load_writer(tx).authority.since, datetime.min.time(), tx.now.tzinfo)
    return Feed(
        id=0,
        slug=plan.slug,
        facet=plan.facet,
        subject=plan.subject,
        language=plan.language,
        filter_id=0,
        title="",
        created_at=begun,
        change_count=1,
        built_count=0,
        entry_count=0,
        fingerprint="",
        dirty_at=None,
        due_at=None,
        rebuilt_at=None,
        failed_at=None,
        problem=None,
    )


def _served(name: str, body: bytes, last_modified: datetime) -> ServedDocument:
    etag = hashlib.sha256(body).hexdigest()[:32]
    return ServedDocument(name, body, etag, _whole(last_modified))


def _without_document(feed: Feed, suffix: str) -> ToCome:
    if suffix == CALENDAR and feed.rebuilt_at is not None:
        raise NotFoundError("no event can stand in this feed; it has no calendar")
    return ToCome()


def _address(app: App, slug: str, suffix: str) -> str:
    return feed_address(app.settings.base_url, slug, suffix)


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


@contextmanager
def _making() -> Iterator[None]:
    if not _makers.acquire(timeout=PATIENCE_SECONDS):
        raise BusyError("too many feeds are being made right now; ask again in a few seconds")
    try:
        yield
    finally:
        _makers.release()
