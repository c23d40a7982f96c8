"""Articles: what a newsroom publishes, in one or more languages."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """What sort of thing was published."""

    PRESS_RELEASE = "press_release"
    STORY = "story"
    SPEECH = "speech"
    VIDEO = "video"
    PUBLICATION = "publication"
    EVENT = "event"


class ArticleState(StrEnum):
    """Where an article stands; a draft says what it lacks."""

    DRAFT = "draft"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Event:
    """When and where an event article takes place; times are aware, *zone* names the venue's."""

    starts_at: datetime
    ends_at: datetime | None
    zone: str
    venue: str = ""
    address: str = ""
    contact: str = ""


@dataclass(frozen=True, slots=True)
class Translation:
    """An article in one language; *body_html* is sanitised, *title* and *summary* are plain text.

    *url* is the article's page on the newsroom's own site; None: this service's page of it is used.
    """

    language: str
    title: str
    summary: str
    body_html: str
    url: str | None = None
    image_alt: str = ""
    image_credit: str = ""


@dataclass(frozen=True, slots=True)
class Article:
    """One published thing; *translations* holds at least one, by language code.

    *published_at* is the first public time and never changes, *visible_at* the later of it and the embargo,
    *updated_at* the last change an editor calls significant, *modified_at* any change at all. All in UTC.
    *revision* counts significant updates, from 1. *topics* are ids, the first being the main one.
    """

    id: int
    uid: str
    kind: Kind
    state: ArticleState
    source: str
    published_at: datetime
    visible_at: datetime
    updated_at: datetime
    modified_at: datetime
    revision: int
    default_language: str
    translations: dict[str, Translation]
    topics: tuple[int, ...] = ()
    image_url: str | None = None
    image_width: int | None = None
    image_height: int | None = None
    event: Event | None = None

    @property
    def news_at(self) -> datetime:
        """When it was last news: when it appeared, or when a significant update was published."""
        return max(self.visible_at, self.updated_at) if self.revision > 1 else self.visible_at

    def best_translation(self, *languages: str) -> Translation:
        """Return the translation in the first of *languages* there is, else in the article's own language."""
        for language in (*languages, self.default_language):
            if language in self.translations:
                return self.translations[language]
        return next(iter(self.translations.values()))


class TopicOrigin(StrEnum):
    """Who said that an article is about a topic."""

    STATED = "stated"  # the source did
    RULE = "rule"  # a rule did, of a topic whose rules are applied
    SUGGESTED = "suggested"  # a rule did, of a topic whose rules only suggest: counts for nothing until applied
    STAFF = "staff"
    REMOVED = "removed"  # staff took it away: neither source nor rule brings it back


COUNTING_ORIGINS = frozenset({TopicOrigin.STATED, TopicOrigin.RULE, TopicOrigin.STAFF})


@dataclass(frozen=True, slots=True)
class TopicMark:
    """A topic's id on an article, and who put it there."""

    topic_id: int
    origin: TopicOrigin


@dataclass(frozen=True, slots=True)
class ArticleRecord:
    """An article as the newsroom keeps it: a draft too, with what it *lacks*, and all that readers do not see.

    *published_at* is None for a draft without a date. *id* is 0 until it is stored. *topics* are in order, those
    that do not count included. *is_archive*: it was there before we looked, so it is read and never mailed, until a
    significant update makes news of it. Everything else is as in `Article`.
    """

    id: int
    uid: str
    kind: Kind
    state: ArticleState
    source: str
    default_language: str
    translations: dict[str, Translation]
    received_at: datetime
    updated_at: datetime
    modified_at: datetime
    published_at: datetime | None = None
    embargo_until: datetime | None = None
    withdrawn_at: datetime | None = None
    withdrawal_reason: str | None = None
    lacks: tuple[str, ...] = ()
    revision: int = 1
    topics: tuple[TopicMark, ...] = ()
    image_url: str | None = None
    image_width: int | None = None
    image_height: int | None = None
    event: Event | None = None
    is_archive: bool = False

    @property
    def visible_at(self) -> datetime | None:
        """The later of the publication date and the embargo; None without a date."""
        if self.published_at is None:
            return None
        return max(self.published_at, self.embargo_until or self.published_at)

    @property
    def title(self) -> str:
        """The title in the article's own language; empty where a draft has none."""
        return self.own_translation.title

    @property
    def own_translation(self) -> Translation:
        """The translation in the article's own language."""
        return self.translations[self.default_language]

    @property
    def counting_topics(self) -> tuple[int, ...]:
        """Ids of the topics that the article is about, suggestions and removed ones left out."""
        return tuple(mark.topic_id for mark in self.topics if mark.origin in COUNTING_ORIGINS)

    @property
    def suggested_topics(self) -> tuple[int, ...]:
        """Ids of the topics that a rule suggests and nobody has applied."""
        return tuple(mark.topic_id for mark in self.topics if mark.origin is TopicOrigin.SUGGESTED)

    def as_article(self) -> Article:
        """Return what readers may see of it.

        Raises:
            ValueError: it has no date.
        """
        if self.published_at is None or self.visible_at is None:
            raise ValueError(f"article {self.uid} has no date; no reader sees a draft without one")
        return Article(
            id=self.id,
            uid=self.uid,
            kind=self.kind,
            state=self.state,
            source=self.source,
            published_at=self.published_at,
            visible_at=self.visible_at,
            updated_at=self.updated_at,
            modified_at=self.modified_at,
            revision=self.revision,
            default_language=self.default_language,
            translations=self.translations,
            topics=self.counting_topics,
            image_url=self.image_url,
            image_width=self.image_width,
            image_height=self.image_height,
            event=self.event,
        )

    def is_public(self, now: datetime) -> bool:
        """Say whether readers can see it at *now*."""
        return self.state is ArticleState.PUBLISHED and self.visible_at is not None and self.visible_at <= now
