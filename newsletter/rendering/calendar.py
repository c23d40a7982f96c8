"""Calendar files: an event article as iCalendar (RFC 5545), so that a reader's calendar can hold it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import icalendar

from newsletter.domain.articles import Event
from newsletter.rendering.plain import clean

PRODUCT = "-//newsletter//events//EN"
MAX_LINE, MAX_DESCRIPTION = 300, 2000


@dataclass(frozen=True, slots=True)
class CalendarEntry:
    """An event article in one language, "" if that is not known.

    *uid* must be the same for the same event for ever, such as `<article uid>@<mail domain>`: by it, and by a higher
    *revision*, calendars replace what they hold.
    """

    event: Event
    uid: str
    title: str
    summary: str
    url: str
    modified_at: datetime
    revision: int
    language: str


def render_calendar(entry: CalendarEntry) -> bytes:
    """Return a calendar of one event, its times in the venue's zone, whose rules travel along.

    Midnight to midnight, or midnight without an end, is whole days.
    """
    calendar = icalendar.Calendar()
    calendar.add("version", "2.0")
    calendar.add("prodid", PRODUCT)
    calendar.add("method", "PUBLISH")
    calendar.add_component(make_event(entry))
    # Only the zone's rules around the event: all of them, since 1970, would be ten times the rest.
    year = entry.event.starts_at.year
    calendar.add_missing_timezones(date(year - 1, 1, 1), date(year + 2, 1, 1))
    return bytes(calendar.to_ical())


def make_event(entry: CalendarEntry) -> icalendar.Event:
    """Return the event alone, as a calendar holds it."""
    event, spoken = entry.event, {"language": entry.language} if entry.language else {}
    made = icalendar.Event()
    made.add("uid", entry.uid)
    made.add("dtstamp", entry.modified_at.astimezone(UTC))
    made.add("last-modified", entry.modified_at.astimezone(UTC))
    made.add("sequence", max(0, entry.revision - 1))
    for name, moment in _span(event):
        made.add(name, moment)
    made.add("summary", clean(entry.title, MAX_LINE), parameters=spoken)
    if entry.summary:
        made.add("description", clean(entry.summary, MAX_DESCRIPTION), parameters=spoken)
    if place := ", ".join(part for part in (event.venue, event.address) if part):
        made.add("location", clean(place, MAX_LINE))
    if event.contact:
        made.add("contact", clean(event.contact, MAX_LINE))
    made.add("url", entry.url)
    made.add("status", "CONFIRMED")
    return made


def _span(event: Event) -> list[tuple[str, date | datetime]]:
    """Return start and end in the venue's time; midnight without an end means a whole day."""
    zone = ZoneInfo(event.zone)
    start = event.starts_at.astimezone(zone)
    end = event.ends_at.astimezone(zone) if event.ends_at else None
    if start.time() == time() and (end is None or end.time() == time()):
        last = end.date() if end and end > start else start.date() + timedelta(days=1)
        return [("dtstart", start.date()), ("dtend", last)]
    return [("dtstart", start), *([("dtend", end)] if end and end > start else [])]
