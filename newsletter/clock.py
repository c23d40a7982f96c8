"""The newsroom's clock: the only place that asks the machine what time it is.

Newsroom time (slots, cuts, embargoes, dates in mails) comes from here and may be set back to replay history.
Leases and due times do not: they belong to the database's clock, see `newsletter.storage.engine`.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]
"""Returns the current newsroom time, aware and in UTC."""


def system_clock() -> datetime:
    """Return the machine's time, in UTC."""
    return datetime.now(UTC)


def clock_from(start: datetime) -> Clock:
    """Return a clock that stands at *start* now and goes on from there; *start* must be aware."""
    if start.tzinfo is None:
        raise ValueError("a clock starts at an aware datetime")
    origin, begun = start.astimezone(UTC), time.monotonic()
    return lambda: origin + timedelta(seconds=time.monotonic() - begun)


def fixed_clock(at: datetime) -> Clock:
    """Return a clock that always says *at*, an aware datetime."""
    if at.tzinfo is None:
        raise ValueError("a clock stands at an aware datetime")
    instant = at.astimezone(UTC)
    return lambda: instant
