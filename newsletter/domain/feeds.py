"""Feeds: which there are, what they are called, which articles stand in them, and the ids they give."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from urllib.parse import parse_qsl, urlencode

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
LARGEST_ARCHIVE = 8 * 1024 * 1024
"""Bytes of the archive of a month, from which nothing is left out."""
ROOM_FOR_HEAD = 16 * 1024
"""Bytes of a document that are kept for what stands before its entries."""
LARGEST_ENTRY = LARGEST_DOCUMENT // 4
"""Bytes of one entry; a longer article is told by its summary."""
REMEMBERS_REMOVAL = timedelta(days=30)
"""How long a document names the entries that were taken out of it (RFC 6721)."""
MOST_REPEATED = 10
"""Articles older than the window that a document repeats at most, since they had a significant update meanwhile."""
RETRY_AFTER = timedelta(minutes=1)
"""A feed that could not be built is tried again after this time."""
FORGOTTEN_AFTER = timedelta(days=7)
"""A feed made because somebody asked for it is dropped when nobody did for so long; asking makes it anew."""
NOTES_ASKING_EVERY = timedelta(hours=1)
"""How exactly it is known when such a feed was asked for last, so that a poll seldom writes."""
MOST_CHOSEN = 20
"""Values that one facet of a feed made to order may have."""

CALENDAR = "ics"
"""The suffix of a feed's calendar of events."""


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
    """What a feed is about: the named ones a subject of the newsroom's, the others what somebody put together."""

    ALL = "all"
    TOPIC = "topic"
    KIND = "kind"
    LIST = "list"
    CUSTOM = "custom"  # a combination, by an address that says it
    CHOICE = "choice"  # what a reader chose of a list, by an address of their own

    @property
    def is_named(self) -> bool:
        """Whether such feeds are there without being asked for."""
        return self not in (Facet.CUSTOM, Facet.CHOICE)


CUSTOM_STEM = "custom"
"""What the addresses of all combinations begin with."""
OPML_NAME = "feeds.opml"
"""Name of the document that lists all feeds."""
DIGEST_BYTES = 16
"""Bytes of the digest that names an entry as it is written."""


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
    """A feed that there should be: in *language*, of the articles that *choice* and *within* both choose.

    *subject* is the slug of the topic, kind or list; of a combination it is its canonical query, of a reader's choice
    the slug of the list; empty for the feed of everything.
    """

    facet: Facet
    subject: str
    language: str
    choice: Filter
    within: Filter = EVERYTHING

    @property
    def slug(self) -> str:
        """Its own name among feeds, the same for ever; that of a named feed is readable and stands in its address.

        Others have an underscore in it, so that no address of a named feed ever leads to them.
        """
        if self.facet is Facet.CUSTOM:
            return custom_slug(self.subject)
        if self.facet is Facet.CHOICE:
            said = f"{self.subject}\n{self.language}\n{self.choice.digest}\n{self.within.digest}"
            return f"choice_{hashlib.sha256(said.encode()).hexdigest()[:24]}"
        parts = (self.facet.value, self.subject.replace("_", "-"), self.language.lower())
        return "-".join(part for part in parts if part)

    @property
    def stem(self) -> str:
        """What its addresses have between /feeds/ and the suffix; a reader's choice has none of its own."""
        return {Facet.CUSTOM: CUSTOM_STEM, Facet.CHOICE: ""}.get(self.facet, self.slug)

    @property
    def query(self) -> str:
        """What its addresses have behind the question mark."""
        return self.subject if self.facet is Facet.CUSTOM else ""

    @property
    def is_in_any_language(self) -> bool:
        """Whether articles that lack its language stand in it in another, as they do in a reader's mails."""
        return self.facet is Facet.CHOICE

    @property
    def may_have_events(self) -> bool:
        """Whether an event can be among its articles."""
        return all(not choice.kinds or Kind.EVENT in choice.kinds for choice in (self.choice, self.within))


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed as it is stored.

    *change_count* grows with each change that concerns it, *built_count* is what it was when the documents were
    built from what was then known. *due_at*: when an article under embargo appears in it. *fingerprint* stands for
    all that its documents say beside the articles. *problem*: what its last build had to say, in words. *asked_at*:
    about when somebody last asked for it, kept of those that are made by asking.
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
    within_id: int | None = None
    asked_at: datetime | None = None

    @property
    def stem(self) -> str:
        """What its addresses have between /feeds/ and the suffix; a reader's choice has none of its own."""
        return {Facet.CUSTOM: CUSTOM_STEM, Facet.CHOICE: ""}.get(self.facet, self.slug)

    @property
    def query(self) -> str:
        """What its addresses have behind the question mark."""
        return self.subject if self.facet is Facet.CUSTOM else ""

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
    """What a feed's document in one format is put together from, and its validators.

    *head* stands before its entries, which *digests* name in their order; of what has no entries it is all. *size*:
    bytes of the whole.
    """

    name: str
    head: bytes
    digests: tuple[bytes, ...]
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


def document_name(slug: str, suffix: str) -> str:
    """Return the name of a feed's document, which of a named feed is the last part of its address."""
    return f"{slug}.{suffix}"


def feed_address(base_url: str, stem: str, suffix: str, query: str = "") -> str:
    """Return the public address of a feed's document, which is also its `self` link, byte for byte."""
    return f"{base_url}/feeds/{stem}.{suffix}{'?' if query else ''}{query}"


def custom_slug(query: str) -> str:
    """Return the slug of the feed with that canonical query."""
    return f"custom_{hashlib.sha256(query.encode()).hexdigest()[:24]}"


@dataclass(frozen=True, slots=True)
class FeedQuery:
    """A combination of subjects in the words of an address; make one with `parse` or `combine`.

    Each facet is sorted and without repeats, kinds have hyphens, *language* is in lower case.
    """

    topics: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    language: str = ""

    @classmethod
    def parse(cls, text: str, *, default_language: str) -> "FeedQuery":
        """Read a query string as anybody may write it; what is no facet is not looked at.

        Raises:
            ValueError: a facet has more values than MOST_CHOSEN, or more than one language.
        """
        try:
            pairs = parse_qsl(text, max_num_fields=6 * MOST_CHOSEN)
        except ValueError as error:
            raise ValueError("that are too many choices for one feed") from error
        found: dict[str, list[str]] = {}
        for name, value in pairs:
            found.setdefault(name, []).append(value.strip())
        return cls.combine(
            topics=found.get("topic", ()),
            kinds=found.get("kind", ()),
            sources=found.get("source", ()),
            lists=found.get("list", ()),
            languages=found.get("lang", ()),
            default_language=default_language,
        )

    @classmethod
    def combine(
        cls,
        *,
        default_language: str,
        topics: Iterable[str] = (),
        kinds: Iterable[str] = (),
        sources: Iterable[str] = (),
        lists: Iterable[str] = (),
        languages: Iterable[str] = (),
    ) -> "FeedQuery":
        """Return the query for a choice of slugs, in canonical form.

        Raises:
            ValueError: a facet has more values than MOST_CHOSEN, or more than one list or language.
        """
        tongues = _distinct(code.lower() for code in languages) or (default_language.lower(),)
        chosen_lists = _distinct(lists)
        if len(tongues) > 1 or len(chosen_lists) > 1:
            raise ValueError("a feed is in one language and of one list at most")
        return cls(
            topics=_distinct(topics),
            kinds=_distinct(kind.lower().replace("_", "-") for kind in kinds),
            sources=_distinct(sources),
            lists=chosen_lists,
            language=tongues[0],
        )

    @property
    def text(self) -> str:
        """The query string: the same for the same combination, always."""
        pairs = [
            *(("topic", slug) for slug in self.topics),
            *(("kind", kind) for kind in self.kinds),
            *(("source", slug) for slug in self.sources),
            *(("list", slug) for slug in self.lists),
            ("lang", self.language),
        ]
        return urlencode(pairs)

    @property
    def named_slug(self) -> str | None:
        """The slug of the named feed that says the same; None: there is none."""
        chosen = [
            *((Facet.TOPIC, slug) for slug in self.topics),
            *((Facet.KIND, kind) for kind in self.kinds),
            *((Facet.LIST, slug) for slug in self.lists),
        ]
        if self.sources or len(chosen) > 1:
            return None
        facet, subject = chosen[0] if chosen else (Facet.ALL, "")
        return FeedPlan(facet, subject, self.language, EVERYTHING).slug


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    distinct = tuple(sorted({value for value in values if value}))
    if len(distinct) > MOST_CHOSEN:
        raise ValueError(f"that are too many choices for one feed: at most {MOST_CHOSEN} of a sort")
    return distinct


PERIOD = re.compile(r"(2\d{3}|19\d{2})-(0[1-9]|1[0-2])")
"""A month, as the addresses of archives have it."""


def period_of(moment: datetime) -> str:
    """Return the month of *moment*, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m}"


def period_span(period: str) -> tuple[datetime, datetime]:
    """Return when a month begins, and when the next one does."""
    year, month = int(period[:4]), int(period[5:])
    begins = datetime(year, month, 1, tzinfo=UTC)
    return begins, datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)


def private_stem(token: str) -> str:
    """Return what a reader's own address has between /feeds/ and the suffix."""
    return f"private/{token}"


def archive_stem(period: str, stem: str) -> str:
    """Return what the address of a feed's archive of a month has between /feeds/ and the suffix."""
    return f"archive/{period}/{stem}"


def newest_archive(newest: datetime, older: Sequence[datetime]) -> str | None:
    """Return the month whose archive the current document names, if it names one.

    *newest*: when its newest article became public; *older*: those moments of articles that it does not hold. A
    month has an archive as soon as an article of a later one is there: from then on its entries seldom change
    (RFC 5005, 4), and it was not there before, so that who follows archives until a known one misses nothing.
    """
    closed = [period for period in map(period_of, older) if period < period_of(newest)]
    return max(closed, default=None)


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


def fit_entries(
    full: Sequence[int], brief: Sequence[int], *, largest: int = LARGEST_DOCUMENT, promised: int = FEWEST_ENTRIES
) -> list[Fit]:
    """Decide how much of each entry a document holds, newest first, from their sizes in full and in brief.

    Entries past the end of what is returned are left out. The newest stand in full as long as there is room in a
    document of *largest* bytes, the others of the first *promised* by their summaries; no more of *brief* is looked at.
    """
    room = largest - ROOM_FOR_HEAD
    promised = min(len(full), promised)
    kept_for_rest = sum(brief[:promised])
    fits: list[Fit] = []
    for position, size in enumerate(full):
        if position < promised:
            kept_for_rest -= brief[position]
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
