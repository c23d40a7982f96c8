"""Conditional requests and content codings (RFC 9110): decides from header values, sends nothing."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from enum import StrEnum
from functools import lru_cache

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


class Coding(StrEnum):
    """A content coding that feeds are kept in; its value is what the header says, and nothing for plain bytes."""

    PLAIN = ""
    GZIP = "gzip"
    BROTLI = "br"

    @property
    def tag_suffix(self) -> str:
        """What tells the entity tag of this representation from those of the others (8.8.3.3)."""
        return {"": "", "gzip": "-gz", "br": "-br"}[self]


def choose_coding(accept_encoding: str | None) -> Coding:
    """Return the coding that a client likes best, of several liked alike the smallest (12.5.3).

    Without the header, or where it refuses all there are, plain bytes are sent: some client that says so still reads
    them.
    """
    if accept_encoding is None:
        return Coding.PLAIN
    return _choose_coding(accept_encoding)


@lru_cache(maxsize=512)
def _choose_coding(accept_encoding: str) -> Coding:
    weights = dict(_codings(accept_encoding))
    others = weights.get("*")
    plain = weights.get("identity", others)
    best, best_weight = Coding.PLAIN, plain or 0.0
    for coding, weight in (
        (Coding.GZIP, weights.get("gzip", weights.get("x-gzip", others))),
        (Coding.BROTLI, weights.get("br")),  # where it is named: not everybody who says * has it
    ):
        if weight and weight >= best_weight:
            best, best_weight = coding, weight
    if best is Coding.PLAIN and plain == 0.0 and weights.get("gzip", others) is None:
        return Coding.GZIP  # plain bytes are refused, and gzip is what nobody fails to read
    return best


def _codings(accept_encoding: str) -> Iterable[tuple[str, float]]:
    for part in accept_encoding.split(","):
        name, _, parameters = part.partition(";")
        weight = _WEIGHT.fullmatch(parameters.strip())
        if not parameters.strip():
            yield name.strip().lower(), 1.0
        elif weight:
            yield name.strip().lower(), min(float(weight.group(1)), 1.0)
