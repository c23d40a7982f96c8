"""Lists: what one subscribes to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from enum import StrEnum
from zoneinfo import ZoneInfo


class Cadence(StrEnum):
    """How often a reader hears from a list."""

    IMMEDIATE = "immediate"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class SectionsBy(StrEnum):
    """What a digest of the list is divided by."""

    TOPIC = "topic"
    KIND = "kind"


class InDoubtPolicy(StrEnum):
    """What becomes of a delivery whose acceptance stays unknown."""

    HOLD = "hold"
    RESEND_ONCE = "resend_once"


@dataclass(frozen=True, slots=True)
class Schedule:
    """When digests are due, in local wall time of *zone*.

    *weekday* counts from Monday = 0; *month_day* beyond a month's end means its last day.
    """

    zone: str
    send_at: time
    weekday: int
    month_day: int

    @property
    def zone_info(self) -> ZoneInfo:
        """The zone as an object."""
        return ZoneInfo(self.zone)


@dataclass(frozen=True, slots=True)
class ListPause:
    """Why the mail of list *slug* waits, since when by the database's clock, and by whose hand."""

    slug: str
    at: datetime
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class MailingList:
    """A list; *titles*, *descriptions* and *intros* are by language, the default language always there.

    *since*: articles of days before it are archive, not news. *review_minutes*: how long an edition waits for a
    person before it is sent by itself; None: it does not wait. *canary*: the mails of an edition that go first, a
    number or a share such as 1%; *canary_limit*: percent of them that may fail, None: what the service allows.
    *pause*: why its mail waits, None: it does not. *created_at*: slots before it are nobody's, None: nobody knows.
    """

    id: int
    slug: str
    titles: dict[str, str]
    descriptions: dict[str, str]
    intros: dict[str, str]
    from_name: str
    from_address: str
    reply_to: str | None
    schedule: Schedule
    cadences: tuple[Cadence, ...]
    languages: tuple[str, ...]
    filter_id: int
    sections: SectionsBy
    review_minutes: int | None
    in_doubt_policy: InDoubtPolicy
    since: datetime
    is_public: bool = True
    review_hold: bool = False
    canary: str | None = None
    canary_limit: float | None = None
    pause: ListPause | None = None
    created_at: datetime | None = None

    @property
    def news_since(self) -> datetime:
        """The start of the local day on which the list began: what is dated by that day alone is news too."""
        zone = self.schedule.zone_info
        return datetime.combine(self.since.astimezone(zone).date(), time(), zone).astimezone(UTC)

    @property
    def default_language(self) -> str:
        """The language used where a reader's own has no words."""
        return self.languages[0]

    def title(self, language: str) -> str:
        """Return the title in *language*, else in the default language."""
        return self.titles.get(language) or self.titles[self.default_language]

    def description(self, language: str) -> str:
        """Return the description in *language*, else in the default language, else nothing."""
        return self.descriptions.get(language) or self.descriptions.get(self.default_language, "")

    def intro(self, language: str) -> str:
        """Return the standing intro in *language*, else in the default language, else nothing."""
        return self.intros.get(language) or self.intros.get(self.default_language, "")


_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
LONGEST_SLUG = 60
LONGEST_TITLE = 200
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
LAST_MONTH_DAY = 31


def check_slug(slug: str) -> None:
    """Refuse what cannot stand in a URL and a List-Id.

    Raises:
        ValueError: *slug* is not like weekly-digest, or too long.
    """
    if not _SLUG.fullmatch(slug) or len(slug) > LONGEST_SLUG:
        raise ValueError(
            f"{slug!r} cannot be a list's slug: use up to {LONGEST_SLUG} small Latin letters, digits and single "
            "hyphens, such as weekly-digest"
        )


def check_words(words: Mapping[str, str], *, what: str, longest: int = LONGEST_TITLE) -> None:
    """Refuse words that would break a mail's header or a page, in any language.

    Raises:
        ValueError: some are too long, or hold a line break or another control character.
    """
    for language, text in words.items():
        if len(text) > longest:
            raise ValueError(f"the {what} in {language!r} has {len(text)} characters; at most {longest} fit")
        if not text.isprintable():
            raise ValueError(f"the {what} in {language!r} holds a line break or a control character; write one line")


def parse_weekday(text: str) -> int:
    """Return the weekday that *text* names in English, in full or by three letters and more, from Monday = 0.

    Raises:
        ValueError: it names none.
    """
    named = text.strip().lower()
    for number, name in enumerate(WEEKDAYS):
        if len(named) >= len("mon") and name.startswith(named):
            return number
    raise ValueError(f"{text!r} is no weekday; write monday, tuesday and so on")


def parse_wall_time(text: str) -> time:
    """Return the time of day written like 08:00.

    Raises:
        ValueError: it is no time, or names seconds or a zone; the list's zone is its own setting.
    """
    if not re.fullmatch(r"([01]?\d|2[0-3]):[0-5]\d", text.strip()):
        raise ValueError(f"{text!r} is no time of day; write it like 08:00")
    hours, minutes = text.split(":")
    return time(int(hours), int(minutes))
