"""Conditional requests and content codings (RFC 9110): decides from header values, sends nothing."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

LONGEST_TAG = 100
"""Characters of an entity tag; ours have a third of it."""

_CODING_SUFFIX = re.compile(r"(?:-gzip|-gz|-br|-zstd|-df|;gzip|;br)+$")
_WEIGHT = re.compile(r"q\s*=\s*([01](?:\.[0-9]{0,3})?)", re.IGNORECASE)


def is_not_modified(
    *, if_none_match: str | None, if_modified_since: str | None, etag: str, last_modified: datetime
) -> bool:
    """Say whether the client has these bytes already; *etag* is bare, without quotes and coding.

    If-None-Match wins where both are there (13.1.3). Its tags may come as a list, weak, or with what a proxy added to
    name a coding; each representation of the same bytes counts. Dates that cannot be read count as not sent.
    """
    if if_none_match is not None:
        return any(tag in ("*", etag) for tag in _bare_tags(if_none_match))
    since = parse_date(if_modified_since) if if_modified_since is not None else None
    return since is not None and last_modified.replace(microsecond=0) <= since


def _bare_tags(value: str) -> Iterable[str]:
    """Return the tags without weakness, quotes and codings; our own hold no comma."""
    for part in value.split(","):
        tag = part.strip().removeprefix("W/").strip('"')
        if len(tag) <= LONGEST_TAG:
            yield _CODING_SUFFIX.sub("", tag)


def parse_date(value: str) -> datetime | None:
    """Return an HTTP date in any of its three forms (5.6.7), in UTC; None where it is none."""
    try:
        moment = parsedate_to_datetime(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def http_date(moment: datetime) -> str:
    """Return *moment* as an HTTP date."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def prefers_gzip(accept_encoding: str | None) -> bool:
    """Say whether a client takes gzip at least as gladly as plain bytes (12.5.3).

    Without the header, or where it refuses both, plain bytes are sent: some client that says so still reads them.
    """
    if accept_encoding is None:
        return False
    weights = dict(_codings(accept_encoding))
    others = weights.get("*")
    gzip = weights.get("gzip", weights.get("x-gzip", others))
    identity = weights.get("identity", others)
    if identity == 0.0 and gzip is None:
        return True
    return bool(gzip) and (gzip or 0.0) >= (identity or 0.0)


def _codings(accept_encoding: str) -> Iterable[tuple[str, float]]:
    for part in accept_encoding.split(","):
        name, _, parameters = part.partition(";")
        weight = _WEIGHT.fullmatch(parameters.strip())
        if not parameters.strip():
            yield name.strip().lower(), 1.0
        elif weight:
            yield name.strip().lower(), min(float(weight.group(1)), 1.0)
