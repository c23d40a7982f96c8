"""Calendars of many events (RFC 5545), which calendar programs follow as readers follow feeds."""

from collections.abc import Sequence
from datetime import UTC, date, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import icalendar

from newsletter.rendering.calendar import MAX_LINE, PRODUCT, CalendarEntry, make_event
from newsletter.rendering.plain import clean

REFRESH = timedelta(hours=4)
"""How often programs are asked to look again (RFC 7986, 5.7)."""
KEPT = 2000
"""Events whose lines are kept; an event stands in the calendars of a dozen feeds."""


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
        return bytes(make_event(entry).to_ical())
    except Exception:  # noqa: BLE001  whatever is wrong with one event, the others must not miss out
        return None


@lru_cache(maxsize=64)
def _zone(name: str, first_year: int, last_year: int) -> bytes:
    zone = icalendar.Timezone.from_tzinfo(ZoneInfo(name), name, date(first_year, 1, 1), date(last_year, 1, 1))
    return bytes(zone.to_ical())
