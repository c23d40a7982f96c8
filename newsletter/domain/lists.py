"""Lists: what one subscribes to."""

from dataclasses import dataclass
from datetime import datetime, time
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
class MailingList:
    """A list; *titles*, *descriptions* and *intros* are by language, the default language always there.

    *since*: articles visible before it are archive, not news. *review_minutes*: how long an edition waits for a
    person before it is sent by itself; None: it does not wait.
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
