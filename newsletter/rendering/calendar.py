"""Calendar files: an event article as iCalendar (RFC 5545), so that a reader's calendar can hold it."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import icalendar

from newsletter.domain.articles import Event
from newsletter.rendering.plain import clean

PRODUCT = "-//newsletter//events//EN"
MAX_LINE, MAX_DESCRIPTION = 300, 2000


def render_calendar(
    event: Event,
    *,
    uid: str,
    title: str,
    summary: str,
    url: str,
    modified_at: datetime,
    revision: int,
    language: str = "",
    is_cancelled: bool = False,
) -> bytes:
    """Return a calendar of one event, its times in the venue's zone, whose rules travel along.

    *uid* must be the same for the same event for ever, such as `<article uid>@<mail domain>`: by it, and by a higher
    *revision*, calendars replace what they hold. *language* is that of title and summary, "" if not known.
    Midnight to midnight, or midnight without an end, is whole days.
    """
    entry = make_event(
        event,
        uid=uid,
        title=title,
        summary=summary,
        url=url,
        modified_at=modified_at,
        revision=revision,
        language=language,
        is_cancelled=is_cancelled,
    )
    calendar = icalendar.Calendar()
    calendar.add("version", "2.0")
    calendar.add("prodid", PRODUCT)
    calendar.add("method", "PUBLISH")
    calendar.add_component(entry)
    # Only the zone's rules around the event: all of them, since 1970, would be ten times the rest.
    year = event.starts_at.year
    calendar.add_missing_timezones(date(year - 1, 1, 1), date(year + 2, 1, 1))
    return bytes(calendar.to_ical())


def make_event(
    event: Event,
    *,
    uid: str,
    title: str,
    summary: str,
    url: str,
    modified_at: datetime,
    revision: int,
    language: str = "",
    is_cancelled: bool = False,
) -> icalendar.Event:
    """Return the event alone, as a calendar holds it; the arguments are those of `render_calendar`."""
    spoken = {"language": language} if language else {}
    entry = icalendar.Event()
    entry.add("uid", uid)
    entry.add("dtstamp", modified_at.astimezone(UTC))
    entry.add("last-modified", modified_at.astimezone(UTC))
    entry.add("sequence", max(0, revision - 1))
    for name, moment in _span(event):
        entry.add(name, moment)
    entry.add("summary", clean(title, MAX_LINE), parameters=spoken)
    if summary:
        entry.add("description", clean(summary, MAX_DESCRIPTION), parameters=spoken)
    if place := ", ".join(part for part in (event.venue, event.address) if part):
        entry.add("location", clean(place, MAX_LINE))
    if event.contact:
        entry.add("contact", clean(event.contact, MAX_LINE))
    entry.add("url", url)
    entry.add("status", "CANCELLED" if is_cancelled else "CONFIRMED")
    return entry


def _span(event: Event) -> list[tuple[str, date | datetime]]:
    """Return start and end in the venue's time; midnight without an end means a whole day."""
    zone = ZoneInfo(event.zone)
    start = event.starts_at.astimezone(zone)
    end = event.ends_at.astimezone(zone) if event.ends_at else None
    if start.time() == time() and (end is None or end.time() == time()):
        last = end.date() if end and end > start else start.date() + timedelta(days=1)
        return [("dtstart", start.date()), ("dtend", last)]
    return [("dtstart", start), *([("dtend", end)] if end and end > start else [])]
