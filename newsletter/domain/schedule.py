"""The calendar: which slots of a list are due, in the list's own zone.

A slot is known by its local date, never by an instant: a change of clocks or of zone data moves the hour of an
edition and never makes a second one. Sources: RFC 5545 §3.3.5 for times that a change of clocks skips or repeats.
"""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from newsletter.domain.lists import Cadence, Schedule

CATCH_UP = timedelta(days=7)
"""How far back the calendar is searched for slots that nobody opened."""

DEADLINE_AFTER = {
    Cadence.IMMEDIATE: timedelta(hours=24),
    Cadence.DAILY: timedelta(hours=20),
    Cadence.WEEKLY: timedelta(days=3),
    Cadence.MONTHLY: timedelta(days=7),
}
"""How long after its slot an edition may still be sent; news that is older rolls into the next one."""

LOOK_BACK = {
    Cadence.IMMEDIATE: timedelta(days=3),  # dated by day alone and brought in the next morning, it is still news
    Cadence.DAILY: timedelta(days=14),
    Cadence.WEEKLY: timedelta(days=28),
    Cadence.MONTHLY: timedelta(days=93),
}
"""How late an article may come in, after its own date, and still be mailed."""

NOON = 12
TWO_MONTHS = timedelta(days=63)  # holds at least one slot of each cadence


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """A moment of the calendar that an edition is for; *key* is its identity, *at* its instant in UTC."""

    at: datetime
    key: str


def due_slots(cadence: Cadence, schedule: Schedule, *, now: datetime, since: datetime) -> list[Slot]:
    """Return the slots that have come by *now*, oldest first, at most `CATCH_UP` old and none before *since*."""
    earliest = max(now - CATCH_UP, since)
    return [slot for slot in _slots(cadence, schedule, earliest, now) if earliest <= slot.at <= now]


def latest_slot(cadence: Cadence, schedule: Schedule, *, now: datetime) -> Slot:
    """Return the newest slot that has come by *now*."""
    return max(slot for slot in _slots(cadence, schedule, now - TWO_MONTHS, now) if slot.at <= now)


def previous_slot(cadence: Cadence, schedule: Schedule, slot: Slot) -> Slot:
    """Return the slot before *slot*."""
    return max(each for each in _slots(cadence, schedule, slot.at - TWO_MONTHS, slot.at) if each.at < slot.at)


def days_covered(cadence: Cadence, schedule: Schedule, slot: Slot) -> tuple[date, date] | None:
    """Return the first and the last local day that an edition tells of; None for cadences of a day or less.

    An edition sent in the morning tells of the days before, one sent from noon on of its own day too.
    """
    if cadence in (Cadence.IMMEDIATE, Cadence.DAILY):
        return None
    lag = timedelta(days=1 if schedule.send_at.hour < NOON else 0)
    zone = schedule.zone_info
    first = previous_slot(cadence, schedule, slot).at.astimezone(zone).date() + timedelta(days=1) - lag
    return first, slot.at.astimezone(zone).date() - lag


def next_slot(cadence: Cadence, schedule: Schedule, *, now: datetime) -> Slot:
    """Return the first slot after *now*."""
    return min(slot for slot in _slots(cadence, schedule, now, now + TWO_MONTHS) if slot.at > now)


def _slots(cadence: Cadence, schedule: Schedule, start: datetime, end: datetime) -> Iterator[Slot]:
    """Give the slots from about a day before *start* to about a day after *end*."""
    zone = schedule.zone_info
    day, last = (
        start.astimezone(zone).date() - timedelta(days=1),
        end.astimezone(zone).date() + timedelta(days=1),
    )
    while day <= last:
        if _is_slot_day(cadence, schedule, day):
            yield Slot(_instant(schedule, day), _key(cadence, day))
        day += timedelta(days=1)


def _is_slot_day(cadence: Cadence, schedule: Schedule, day: date) -> bool:
    match cadence:
        case Cadence.DAILY:
            return True
        case Cadence.WEEKLY:
            return day.weekday() == schedule.weekday
        case Cadence.MONTHLY:
            return day.day == min(schedule.month_day, monthrange(day.year, day.month)[1])
        case Cadence.IMMEDIATE:
            raise ValueError("an immediate edition follows its article, not the calendar")


def _key(cadence: Cadence, day: date) -> str:
    match cadence:
        case Cadence.WEEKLY:
            year, week, _ = day.isocalendar()
            return f"{year}-W{week:02}"
        case Cadence.MONTHLY:
            return f"{day:%Y-%m}"
        case _:
            return day.isoformat()


def _instant(schedule: Schedule, day: date) -> datetime:
    """Return the slot's instant: a time in the spring gap moves forward, a repeated hour counts once, the first.

    `fold=0` reads a skipped time by the offset before the gap, which is what moves it forward.
    """
    return datetime.combine(day, schedule.send_at, tzinfo=schedule.zone_info).replace(fold=0).astimezone(UTC)
