"""Dates: what sources write as a time, read without guessing."""

import re
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from zoneinfo import ZoneInfo

from newsletter.domain.drafts import UnusableError

EARLIEST_YEAR, LATEST_YEAR = 1900, 9000
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def read_date(value: object, zone: ZoneInfo) -> date | datetime:
    """Return a day, or a time in UTC; a time without a zone is *zone*'s wall time.

    Takes dates, ISO 8601 (2024-11-29, 2024-11-29T10:00+06:00) and the dates of mails and RSS
    (Fri, 29 Nov 2024 10:00:00 +0600); nothing that could mean two days.

    Raises:
        UnusableError: anything else.
    """
    when = _parsed(value)
    if not EARLIEST_YEAR <= when.year <= LATEST_YEAR:
        raise UnusableError(f"the year {when.year} cannot be right")
    if not isinstance(when, datetime):
        return when
    return (when if when.tzinfo else when.replace(tzinfo=zone)).astimezone(UTC)


def read_time(value: object, zone: ZoneInfo) -> datetime:
    """Return a time in UTC; a day without a time is its midnight in *zone*.

    Raises:
        UnusableError: it is neither.
    """
    when = read_date(value, zone)
    if isinstance(when, datetime):
        return when
    return datetime(when.year, when.month, when.day, tzinfo=zone).astimezone(UTC)


def _parsed(value: object) -> date | datetime:
    if isinstance(value, date):
        return value
    if not isinstance(value, str):
        raise UnusableError(f"{value!r} is no date; write it like 2024-11-29 or 2024-11-29T10:00:00+06:00")
    text = value.strip()
    try:
        return date.fromisoformat(text) if _DAY.fullmatch(text) else datetime.fromisoformat(text)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError) as error:
        shown = text if len(text) <= 40 else text[:40] + "…"  # noqa: PLR2004  enough to recognise it
        raise UnusableError(f"{shown!r} is no date; write it like 2024-11-29 or 2024-11-29T10:00:00+06:00") from error
