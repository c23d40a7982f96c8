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

    def best_translation(self, *languages: str) -> Translation:
        """Return the translation in the first of *languages* there is, else in the article's own language."""
        for language in (*languages, self.default_language):
            if language in self.translations:
                return self.translations[language]
        return next(iter(self.translations.values()))
