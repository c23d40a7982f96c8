"""Sources that are polled: when to ask again, which of them are ill, and what it means that an item is gone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum

CONDITIONAL_INTERVAL = timedelta(hours=1)
"""How often a server is asked that tells by a 304 that nothing changed."""
UNCONDITIONAL_INTERVAL = timedelta(hours=24)
"""How often one that sends everything each time; who needs it sooner says so for that source."""
LONGEST_INTERVAL = timedelta(days=1)
"""A ttl or a max-age beyond this is not believed: a site that is mended or moves should be noticed the next day."""
LONGEST_RETRY_AFTER = timedelta(days=7)
FIRST_BACK_OFF = timedelta(minutes=5)
LONGEST_BACK_OFF = timedelta(days=1)
JITTER = 0.1
"""Share of a wait by which it is made longer at random, so that sources added together do not fall due together."""
SICK_AFTER = 3
"""Failures in a row after which a person should look."""
GONE_AFTER = timedelta(hours=1)
"""How long a page must be missing, on two looks, before its article is taken for withdrawn; 410 counts at once."""
MOST_SUSPECTS = 20


class SourceState(StrEnum):
    """Whether a source is polled."""

    ACTIVE = "active"
    PAUSED = "paused"  # by staff
    CLOSED = "closed"  # its server said that it is gone (410)


class HubState(StrEnum):
    """Where a subscription at a source's WebSub hub stands."""

    NONE = "none"
    ASKED = "asked"
    SUBSCRIBED = "subscribed"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Timing:
    """What an answer says of when to ask again; None: nothing."""

    max_age: timedelta | None = None
    ttl: timedelta | None = None
    retry_after: timedelta | None = None


def next_wait(own: timedelta | None, timing: Timing, *, is_conditional: bool, jitter: float) -> timedelta:
    """Return how long to wait after an answer that was fine.

    *own*: what staff want for this source, None: as polite readers do. The server's wishes make it longer, never
    shorter. *jitter*: a random number from 0 to 1.
    """
    wanted = own or (CONDITIONAL_INTERVAL if is_conditional else UNCONDITIONAL_INTERVAL)
    asked = min(max(timing.max_age or timedelta(0), timing.ttl or timedelta(0)), LONGEST_INTERVAL)
    waited = min(timing.retry_after or timedelta(0), LONGEST_RETRY_AFTER)
    return max(wanted, asked, waited) * (1 + JITTER * jitter)


def back_off(failures: int, timing: Timing, *, jitter: float) -> timedelta:
    """Return how long to wait after the *failures*-th failure in a row: 5 minutes, then double, at most a day.

    Where the server says when to come again, not before.
    """
    doubled = min(FIRST_BACK_OFF * (1 << min(max(failures, 1) - 1, 20)), LONGEST_BACK_OFF)
    waited = min(timing.retry_after or timedelta(0), LONGEST_RETRY_AFTER)
    return max(doubled * (1 + JITTER * jitter), waited)


def read_timing(headers: Mapping[str, str], *, now: datetime, ttl: timedelta | None = None) -> Timing:
    """Return what the *headers* of an answer, by names in small letters, say of when to ask again (RFC 9111, 9110)."""
    max_age = None
    for directive in headers.get("cache-control", "").lower().split(","):
        name, _, value = directive.strip().partition("=")
        if name == "max-age":
            max_age = _seconds(value.strip(' "'))
    if max_age is None and (expires := _moment(headers.get("expires", ""))) is not None:
        max_age = max(expires - (_moment(headers.get("date", "")) or now), timedelta(0))
    retry = headers.get("retry-after", "")
    retry_after = _seconds(retry.strip())
    if retry_after is None and (at := _moment(retry)) is not None:
        retry_after = max(at - now, timedelta(0))
    return Timing(max_age, ttl, retry_after)


def _seconds(text: str) -> timedelta | None:
    return timedelta(seconds=int(text)) if text.isascii() and text.isdecimal() and len(text) <= 9 else None  # noqa: PLR2004  a longer number is no time


def _moment(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def suspects(before: Sequence[str], after: Sequence[str], *, is_complete: bool = False) -> list[str]:
    """Return the items of the document *before* that may have been withdrawn, since *after* lacks them.

    What falls off a feed does so at its end. So only what stood above an item that is still there is suspected; in a
    document that says it is *complete*, all that is missing. Where most of what was there is missing, the site has
    changed how it names things, and nothing is.
    """
    there = set(after)
    kept = [place for place, key in enumerate(before) if key in there]
    if not kept or len(kept) * 2 < len(before):
        return []
    end = len(before) if is_complete else kept[-1]
    return [key for place, key in enumerate(before) if place < end and key not in there][:MOST_SUSPECTS]


def is_gone(status: int, missing_since: datetime | None, *, now: datetime) -> bool:
    """Say whether a suspected item is withdrawn, whose page answers *status* and was first missing at *missing_since*.

    410 says so; 404 must say so twice, an hour apart, since sites have bad moments.
    """
    if status == 410:  # noqa: PLR2004  RFC 9110 §15.5.11: gone, and known to be for good
        return True
    return status == 404 and missing_since is not None and now - missing_since >= GONE_AFTER  # noqa: PLR2004  not found
