"""Requests: what a reader asked for and must confirm by a freshly mailed link, since a forwarded mail's link is not."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from newsletter.domain.addresses import Address

REQUEST_LIFETIME = timedelta(days=1)
"""How long a mailed link works; it works once."""

NOTICE_DEADLINE = timedelta(hours=12)
"""How long its mail may still be sent."""

REQUEST_LIMIT = (timedelta(days=1), 5)
"""At most so many mails of this sort to one reader in that span: a forwarded link must not become a weapon."""

ADDRESS_LIMIT = 2
"""At most so many mails to one new address in the same span, whoever asks for it."""


class RequestKind(StrEnum):
    """What was asked for."""

    DOWNLOAD = "download"
    ERASE = "erase"
    ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class ReaderRequest:
    """A request; *address* is the new one that a change of address asks for, until it is decided."""

    id: int
    uid: str
    subscriber_id: int
    kind: RequestKind
    asked_at: datetime
    done_at: datetime | None
    language: str
    address: Address | None


def is_open(request: ReaderRequest, now: datetime) -> bool:
    """Say whether the link mailed for *request* still works."""
    return request.done_at is None and now < request.asked_at + REQUEST_LIFETIME
