"""Editions: one issue of a list for one cadence and slot; which articles are in it, in which order, and its states."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from newsletter.domain.articles import Article, Kind
from newsletter.domain.lists import Cadence, SectionsBy


class EditionState(StrEnum):
    """Where an edition stands."""

    PLANNED = "planned"
    REVIEW = "review"
    APPROVED = "approved"
    SENDING = "sending"
    PAUSED = "paused"
    DONE = "done"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


MOVES: Mapping[EditionState, frozenset[EditionState]] = {
    EditionState.PLANNED: frozenset(
        {EditionState.REVIEW, EditionState.APPROVED, EditionState.SKIPPED, EditionState.CANCELLED}
    ),
    EditionState.REVIEW: frozenset({EditionState.APPROVED, EditionState.SKIPPED, EditionState.CANCELLED}),
    EditionState.APPROVED: frozenset({EditionState.SENDING, EditionState.PAUSED, EditionState.CANCELLED}),
    EditionState.SENDING: frozenset({EditionState.PAUSED, EditionState.DONE, EditionState.CANCELLED}),
    EditionState.PAUSED: frozenset(
        {EditionState.APPROVED, EditionState.SENDING, EditionState.DONE, EditionState.CANCELLED}
    ),
    EditionState.DONE: frozenset({EditionState.SENDING}),  # by a person, to send again what failed
    EditionState.SKIPPED: frozenset({EditionState.PLANNED}),  # by a person, when there is something to send after all
    EditionState.CANCELLED: frozenset(),
}
"""What may follow each state. Approved: its content is frozen and its audience is being fanned out."""

ENDED = (EditionState.DONE, EditionState.SKIPPED, EditionState.CANCELLED)
COUNTS_AS_SENT = (
    EditionState.REVIEW,
    EditionState.APPROVED,
    EditionState.SENDING,
    EditionState.PAUSED,
    EditionState.DONE,
)
"""States whose items are taken: no later edition of the same list and cadence holds them again."""


class SkipReason(StrEnum):
    """Why an edition was not sent."""

    EMPTY = "empty"  # nothing new for anybody
    NO_READERS = "no_readers"  # nobody subscribes at this cadence
    MISSED = "missed"  # found after its deadline, or overtaken by a later slot; its items roll on


class EditionPurpose(StrEnum):
    """What an edition is: made from articles by itself, or written by staff."""

    DIGEST = "digest"  # of a slot of the calendar, or of one article sent at once
    ANNOUNCEMENT = "announcement"  # to the readers of every cadence
    CORRECTION = "correction"  # to those who had an article in an earlier edition


@dataclass(frozen=True, slots=True)
class Edition:
    """One issue; *slot_key* is the local date, ISO week or month it is for, or the article's revision.

    *slot_at* and *cut_at* are newsroom time: items visible at the cut are in. *deadline_at*: never sent later.
    *nonce* marks the holes of its blocks. *pause_reason*: why it is paused, or was cancelled; *paused_by*: the person,
    None: the service by itself.
    """

    id: int
    list_id: int
    cadence: Cadence
    slot_key: str
    slot_at: datetime
    cut_at: datetime
    deadline_at: datetime
    state: EditionState
    nonce: str
    skip_reason: SkipReason | None
    review_until: datetime | None
    approved_at: datetime | None
    fanned_out_at: datetime | None
    candidate_count: int
    done_at: datetime | None
    purpose: EditionPurpose = EditionPurpose.DIGEST
    pause_reason: str | None = None
    paused_by: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """An article in an edition, as one group of readers sees it: in *language*.

    *mend* counts how often it was mended after the edition had been composed.
    """

    article_id: int
    language: str
    revision: int
    mend: int = 0

    @property
    def key(self) -> str:
        """How its blocks are named."""
        return item_key(self.article_id, self.language, self.mend)


def item_key(article_id: int, language: str, mend: int = 0) -> str:
    """Return how the blocks of an article in an edition are named; a mended one has blocks of its own."""
    return f"{article_id}:{language}~{mend}" if mend else f"{article_id}:{language}"


def immediate_slot_key(article: Article) -> str:
    """Return the slot of an article sent at once: a significant update is a slot of its own."""
    return f"{article.uid}:{article.revision}"


def is_upcoming(article: Article, cut_at: datetime) -> bool:
    """Say whether *article* announces an event that is still to come at the cut."""
    return article.kind is Kind.EVENT and article.event is not None and article.event.starts_at > cut_at


def section_of(article: Article, sections: SectionsBy, topic_order: Mapping[int, int]) -> str:
    """Return the key of the section that *article* stands in: a kind, the id of its main topic, or "" for none."""
    if sections is SectionsBy.KIND:
        return article.kind.value
    known = [topic for topic in article.topics if topic in topic_order]
    return str(known[0]) if known else ""


def in_order(
    articles: Iterable[Article], *, sections: SectionsBy, topic_order: Mapping[int, int], cut_at: datetime
) -> list[Article]:
    """Put an edition's articles in the order in which a reader meets them.

    Sections follow the list's own order (topics by position, kinds as declared), articles without a section come
    after them, newest first within each; upcoming events come last, the soonest first.
    """
    kinds = {kind.value: position for position, kind in enumerate(Kind)}
    places = kinds if sections is SectionsBy.KIND else {str(topic): place for topic, place in topic_order.items()}

    def news_order(article: Article) -> tuple[int, float, int]:
        place = places.get(section_of(article, sections, topic_order), len(places))
        return place, -article.visible_at.timestamp(), article.id

    def event_order(article: Article) -> tuple[float, int]:
        return article.event.starts_at.timestamp() if article.event else 0.0, article.id

    articles = list(articles)
    upcoming = [article for article in articles if is_upcoming(article, cut_at)]
    news = [article for article in articles if not is_upcoming(article, cut_at)]
    return sorted(news, key=news_order) + sorted(upcoming, key=event_order)


def choose_lead(articles: Sequence[Article], *, cut_at: datetime) -> Article | None:
    """Return the story that leads: the newest news item with a picture, else the newest news item, else none.

    An edition of nothing but upcoming events has no lead.
    """
    news = [article for article in articles if not is_upcoming(article, cut_at)]
    return max(news, key=lead_rank, default=None)


def lead_rank(article: Article) -> tuple[bool, datetime, int]:
    """Return what decides between two news items that could lead: the one with the higher rank does."""
    return article.image_url is not None, article.visible_at, -article.id


def shown_language(article: Article, preferred: Sequence[str], allowed: Sequence[str]) -> str:
    """Return the language in which a reader sees *article*: the first preferred one it has and the filter allows.

    *allowed* are the languages of the reader's filter, empty for any. A reader whose filter chose the article has
    at least one.
    """
    offered = [code for code in article.translations if not allowed or code in allowed] or list(article.translations)
    for code in (*preferred, article.default_language):
        if code in offered:
            return code
    return min(offered)
