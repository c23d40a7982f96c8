"""Calendars of many events (RFC 5545), which calendar programs follow as readers follow feeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import icalendar

from newsletter.domain.articles import Event
from newsletter.rendering.calendar import MAX_LINE, PRODUCT, make_event
from newsletter.rendering.plain import clean

REFRESH = timedelta(hours=4)
"""How often programs are asked to look again (RFC 7986, 5.7)."""
KEPT = 2000
"""Events whose lines are kept; an event stands in the calendars of a dozen feeds."""


@dataclass(frozen=True, slots=True)
class CalendarEntry:
    """An event article in one language; *uid* is the event's for ever."""

    event: Event
    uid: str
    title: str
    summary: str
    url: str
    modified_at: datetime
    revision: int
    language: str


def render_calendar_feed(entries: Sequence[CalendarEntry], *, name: str, url: str, zone: str) -> tuple[bytes, int]:
    """Return a calendar of *entries*, with the rules of their zones and of the newsroom's *zone*, to be had at *url*.

    The same entries make the same bytes. Without any it holds the newsroom's zone alone: a calendar must hold
    something (3.6). Returns it with how many events stand in it: one that cannot be written, such as one in a zone
    that is not known, is left out.
    """
    written = [(entry, lines) for entry in entries if (lines := _lines(entry)) is not None]
    head = icalendar.Calendar()
    head.add("version", "2.0")
    head.add("prodid", PRODUCT)
    head.add("method", "PUBLISH")
    head.add("name", clean(name, MAX_LINE))
    head.add("x-wr-calname", clean(name, MAX_LINE))
    if url:
        head.add("source", url, parameters={"value": "URI"})
    head.add("refresh-interval", icalendar.vDuration(REFRESH), parameters={"value": "DURATION"})
    begins, _, ends = bytes(head.to_ical()).rpartition(b"END:VCALENDAR")
    years = [entry.event.starts_at.astimezone(UTC).year for entry, _ in written] or [_EPOCH]
    span = (min(years) - 1, max(years) + 2)
    zones = sorted({zone, *(entry.event.zone for entry, _ in written)} - {"UTC"}) or ["UTC"]
    parts = [_zone(name, *span) for name in zones]
    parts += [lines for _, lines in written]
    return b"".join((begins, *parts, b"END:VCALENDAR", ends)), len(written)


_EPOCH = 2020
"""The year whose rules stand in an empty calendar."""


@lru_cache(maxsize=KEPT)
def _lines(entry: CalendarEntry) -> bytes | None:
    try:
        return bytes(_event(entry).to_ical())
    except Exception:  # noqa: BLE001  whatever is wrong with one event, the others must not miss out
        return None


def _event(entry: CalendarEntry) -> icalendar.Event:
    return make_event(
        entry.event,
        uid=entry.uid,
        title=entry.title,
        summary=entry.summary,
        url=entry.url,
        modified_at=entry.modified_at,
        revision=entry.revision,
        language=entry.language,
    )


@lru_cache(maxsize=64)
def _zone(name: str, first_year: int, last_year: int) -> bytes:
    zone = icalendar.Timezone.from_tzinfo(ZoneInfo(name), name, date(first_year, 1, 1), date(last_year, 1, 1))
    return bytes(zone.to_ical())
