"""Feeds: which there are, what they are called, which articles stand in them, and the ids they give."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from newsletter.domain.articles import Kind
from newsletter.domain.filters import EVERYTHING, Filter, choose

WINDOW_ENTRIES = 50
"""A feed holds this many of its newest articles ..."""
WINDOW_SPAN = timedelta(hours=48)
"""... and all of those published this long before the newest, so that a reader who polls daily misses none ..."""
LARGEST_WINDOW = 200
"""... but never more than this."""
FEWEST_ENTRIES = 30
"""Where articles are long, the older of this many are told by their summaries rather than left out."""
LARGEST_DOCUMENT = 512 * 1024
"""Bytes of a document before compression; readers of feeds give up on larger ones."""
ROOM_FOR_HEAD = 16 * 1024
"""Bytes of a document that are kept for what stands before its entries."""
LARGEST_ENTRY = LARGEST_DOCUMENT // 4
"""Bytes of one entry; a longer article is told by its summary."""
REMEMBERS_REMOVAL = timedelta(days=30)
"""How long a document names the entries that were taken out of it (RFC 6721)."""
RETRY_AFTER = timedelta(minutes=1)
"""A feed that could not be built is tried again after this time."""


class FeedFormat(StrEnum):
    """A format of feed documents; its value is the suffix of their addresses."""

    ATOM = "atom"
    RSS = "rss"
    JSON = "json"

    @property
    def media_type(self) -> str:
        """The registered media type, without parameters."""
        return {"atom": "application/atom+xml", "rss": "application/rss+xml", "json": "application/feed+json"}[self]


class Facet(StrEnum):
    """What a named feed is about."""

    ALL = "all"
    TOPIC = "topic"
    KIND = "kind"
    LIST = "list"


OPML_NAME = "feeds.opml"
"""Name of the document that lists all feeds."""


@dataclass(frozen=True, slots=True)
class Authority:
    """Who gives ids (RFC 4151): a domain and a day on which the newsroom had it; kept for ever, whatever moves."""

    domain: str
    since: date

    def tag(self, what: str) -> str:
        """Return the tag URI of *what*."""
        return f"tag:{self.domain},{self.since.isoformat()}:{what}"

    def entry_id(self, uid: str) -> str:
        """Return the id of the article with that uid: the same in each feed, format and archive."""
        return self.tag(f"article/{uid}")

    def feed_id(self, slug: str) -> str:
        """Return the id of the feed with that slug: the same in each format."""
        return self.tag(f"feed/{slug}")


@dataclass(frozen=True, slots=True)
class FeedPlan:
    """A feed that there should be: in *language*, of the articles that *choice* chooses and that have that language.

    *subject* is the slug of the topic, kind or list; empty for the feed of everything.
    """

    facet: Facet
    subject: str
    language: str
    choice: Filter

    @property
    def slug(self) -> str:
        """What its addresses are made of: readable, and the same for ever."""
        parts = (self.facet.value, self.subject.replace("_", "-"), self.language.lower())
        return "-".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed as it is stored.

    *change_count* grows with each change that concerns it, *built_count* is what it was when the documents were
    built from what was then known. *due_at*: when an article under embargo appears in it. *fingerprint* stands for
    all that its documents say beside the articles. *problem*: what its last build had to say, in words.
    """

    id: int
    slug: str
    facet: Facet
    subject: str
    language: str
    filter_id: int
    title: str
    created_at: datetime
    change_count: int
    built_count: int
    entry_count: int
    fingerprint: str
    dirty_at: datetime | None
    due_at: datetime | None
    rebuilt_at: datetime | None
    failed_at: datetime | None
    problem: str | None

    def wants_rebuild(self, *, fingerprint: str, now: datetime) -> bool:
        """Say whether its documents may be out of date; a build that just failed has to wait."""
        if self.failed_at is not None and self.failed_at <= now < self.failed_at + RETRY_AFTER:
            return False
        return (
            self.change_count > self.built_count
            or self.fingerprint != fingerprint
            or (self.due_at is not None and self.due_at <= now)
        )


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A feed's document in one format and its validators; *gzipped* is what is stored, *size* is that of the bytes."""

    name: str
    gzipped: bytes
    size: int
    etag: str
    last_modified: datetime
    entry_count: int


class Fit(StrEnum):
    """How an entry stands in a document."""

    FULL = "full"
    BRIEF = "brief"


def plan_feeds(
    *,
    topics: Iterable[tuple[int, str]],
    lists: Iterable[tuple[str, Filter]],
    languages: Sequence[str],
) -> list[FeedPlan]:
    """Return the named feeds: everything, each topic (id and slug), each kind and each list, in each language."""
    subjects: list[tuple[Facet, str, Filter]] = [(Facet.ALL, "", EVERYTHING)]
    subjects += [(Facet.TOPIC, slug, choose(topics=(topic_id,))) for topic_id, slug in topics]
    subjects += [(Facet.KIND, kind.value, choose(kinds=(kind,))) for kind in Kind]
    subjects += [(Facet.LIST, slug, choice) for slug, choice in lists]
    return [FeedPlan(facet, subject, language, choice) for facet, subject, choice in subjects for language in languages]


def document_name(slug: str, form: FeedFormat) -> str:
    """Return the name of a feed's document, the last part of its address."""
    return f"{slug}.{form.value}"


def feed_address(base_url: str, slug: str, form: FeedFormat) -> str:
    """Return the public address of a feed's document, which is also its `self` link, byte for byte."""
    return f"{base_url}/feeds/{document_name(slug, form)}"


def choose_window(candidates: Sequence[tuple[int, datetime]]) -> list[int]:
    """Return the ids of the articles that a feed holds, from its *candidates*: (id, published), newest first.

    What is recent is counted back from the newest article, not from now: the same articles make the same window.
    """
    if not candidates:
        return []
    recent_since = candidates[0][1] - WINDOW_SPAN
    return [
        article_id
        for position, (article_id, published) in enumerate(candidates[:LARGEST_WINDOW])
        if position < WINDOW_ENTRIES or published >= recent_since
    ]


def fit_entries(full: Sequence[int], brief: Sequence[int]) -> list[Fit]:
    """Decide how much of each entry a document holds, newest first, from their sizes in full and in brief.

    Entries past the end of what is returned are left out. The newest stand in full as long as there is room, the
    others of the first FEWEST_ENTRIES by their summaries.
    """
    room = LARGEST_DOCUMENT - ROOM_FOR_HEAD
    promised = min(len(full), FEWEST_ENTRIES)
    fits: list[Fit] = []
    for position, size in enumerate(full):
        kept_for_rest = sum(brief[position + 1 : promised])
        if size <= LARGEST_ENTRY and size + kept_for_rest <= room:
            fits.append(Fit.FULL)
            room -= size
        elif position < promised and brief[position] + kept_for_rest <= room:
            fits.append(Fit.BRIEF)
            room -= brief[position]
        else:
            break
    return fits


def still_told(removals: Iterable[tuple[str, datetime]], *, updated: datetime) -> list[tuple[str, datetime]]:
    """Return the removals that a document still names: those within 30 days of its last change, newest first.

    Counted from the last change and not from now, so that time alone changes no document.
    """
    removals = sorted(removals, key=lambda removal: (removal[1], removal[0]), reverse=True)
    newest = max([updated, *(when for _, when in removals[:1])])
    return [removal for removal in removals if removal[1] >= newest - REMEMBERS_REMOVAL]


def next_last_modified(previous: datetime | None, now: datetime) -> datetime:
    """Return the Last-Modified of new bytes: whole seconds, later than the *previous* one even if the clock is not."""
    at = now.astimezone(UTC).replace(microsecond=0)
    return at if previous is None else max(at, previous + timedelta(seconds=1))


def widen(choice: Filter, ancestors: Mapping[int, Sequence[int]]) -> Filter:
    """Return *choice* with the topics that lie under those chosen: for whoever compares topics one by one."""
    if not choice.topics:
        return choice
    chosen = set(choice.topics)
    below = (topic for topic, line in ancestors.items() if not chosen.isdisjoint(line))
    return replace(choice, topics=tuple(sorted({*chosen, *below})))
