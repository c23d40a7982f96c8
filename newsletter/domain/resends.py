"""Resends: which failed mails a person wants sent again, why each failed, and what keeps some of them away."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

RESENDABLE_FOR = timedelta(days=30)
"""How long after an edition was let go its failed mails may be sent again: news of more than a month is archive."""


class Cause(StrEnum):
    """What ended a failed mail."""

    REFUSED = "refused"  # by an answer, whose code says more
    POISON = "poison"  # its senders died of it, again and again
    UNMADE = "unmade"  # it could not be made into a mail
    GIVEN_UP = "given_up"  # by a person who settled a doubt


class Hindrance(StrEnum):
    """What keeps a failed mail from being sent again; the first that holds is told."""

    MAY_HAVE_COME = "may_have_come"  # it was in doubt, or nobody knows after a restore: it could be one too many
    FORGOTTEN = "forgotten"  # its reader was erased, or it is so old that its address is not kept
    SUPPRESSED = "suppressed"
    ENDED = "ended"  # the subscription
    CHANGED = "changed"  # the reader chose other articles, another language or cadence since
    PAUSED = "paused"  # by the reader
    MOVED = "moved"  # the reader has another address by now
    WITHDRAWN = "withdrawn"  # all that was in it
    CAME_OTHERWISE = "came_otherwise"  # another mail of the list brought some of it


@dataclass(frozen=True, slots=True)
class ResendChoice:
    """Which failed mails of an edition: those of one reply, and of one receiving provider; None: of any.

    *enhanced*: a whole enhanced code such as 5.1.1, or its beginning such as 5.1.
    """

    code: int | None = None
    enhanced: str | None = None
    provider: str | None = None


@dataclass(frozen=True, slots=True)
class ResendBounds:
    """What is too old to be sent again.

    *forgotten_before*: mails made by then may lose their address while they wait. *unsure_until*: of those that had
    failed by then nobody knows whether they were sent again since, as after a restore; None: of all it is known.
    """

    forgotten_before: datetime
    unsure_until: datetime | None = None


_CODE = re.compile(r"[45]\d\d", re.ASCII)
_ENHANCED = re.compile(r"[45]\.\d{1,3}(\.\d{1,3})?", re.ASCII)


def parse_choice(code: str | None = None, provider: str | None = None) -> ResendChoice:
    """Return the choice of what a person typed: a reply's code like 550, an enhanced one like 5.1.1, or 5.1 for all.

    Raises:
        ValueError: *code* is none of these.
    """
    if not code:
        return ResendChoice(provider=provider)
    if _CODE.fullmatch(code):
        return ResendChoice(int(code), None, provider)
    if _ENHANCED.fullmatch(code):
        return ResendChoice(None, code, provider)
    raise ValueError(f"{code!r} is no code of a reply; write it like 550, 5.1.1, or 5.1 for all that begin so")
