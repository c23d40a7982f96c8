"""Bounces: when mails that come back one after the other end an address, as against one that says it is no more."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

MOST_SOFT_BOUNCES = 5
"""Mails in a row that may come back before an address is given up."""
LONGEST_TROUBLE = timedelta(days=14)
"""How long the mails in a row span at least: a full mailbox is emptied after the holidays."""

_OF_THE_MAILBOX = frozenset("124")
"""Subjects of a status that tell of the address, the mailbox or the way there (RFC 3463); the others, such as policy,
size or content, are our fault and never count against a reader."""


@dataclass(frozen=True, slots=True)
class Returned:
    """A mail that was accepted at *sent_at*; *status* of the soft bounce that came back, None when none did."""

    sent_at: datetime
    status: str | None


def is_given_up(mails: Iterable[Returned]) -> bool:
    """Say whether an address that was sent *mails*, the newest first, has come to nothing for long enough."""
    run = []
    for mail in mails:
        if mail.status is None:
            break
        if _counts(mail.status):
            run.append(mail.sent_at)
    return len(run) >= MOST_SOFT_BOUNCES and run[0] - run[-1] >= LONGEST_TROUBLE


def _counts(status: str) -> bool:
    _, _, rest = status.partition(".")
    return rest[:1] in _OF_THE_MAILBOX and rest[1:2] == "."
