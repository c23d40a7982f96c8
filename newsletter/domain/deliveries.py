"""Deliveries: one edition to one subscriber, its states, the moves between them, and when to try again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from newsletter.domain.replies import Verdict


class DeliveryState(StrEnum):
    """Our side of the story; what the far side reports is the outcome, another column."""

    QUEUED = "queued"
    LEASED = "leased"
    SENDING = "sending"
    ACCEPTED = "accepted"
    IN_DOUBT = "in_doubt"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


_S = DeliveryState
MOVES: Mapping[DeliveryState, frozenset[DeliveryState]] = {
    _S.QUEUED: frozenset({_S.LEASED, _S.SUPPRESSED, _S.CANCELLED, _S.EXPIRED, _S.ACCEPTED}),
    _S.LEASED: frozenset({_S.QUEUED, _S.SENDING, _S.SUPPRESSED, _S.CANCELLED, _S.EXPIRED, _S.FAILED, _S.ACCEPTED}),
    _S.SENDING: frozenset({_S.ACCEPTED, _S.QUEUED, _S.FAILED, _S.IN_DOUBT}),
    _S.IN_DOUBT: frozenset({_S.ACCEPTED, _S.QUEUED, _S.FAILED, _S.EXPIRED}),
    _S.ACCEPTED: frozenset(),
    _S.FAILED: frozenset({_S.QUEUED}),  # by a person, see `newsletter.services.resending`
    _S.SUPPRESSED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.EXPIRED: frozenset(),
}
"""What may follow each state; queued and leased become accepted by a late reply to an attempt given up."""

ENDED = (_S.ACCEPTED, _S.FAILED, _S.SUPPRESSED, _S.CANCELLED, _S.EXPIRED)
"""States that need nothing more of the senders."""

NOT_RECEIVED = (_S.CANCELLED, _S.EXPIRED, _S.FAILED, _S.SUPPRESSED)
"""States in which the reader certainly did not get the edition."""


class Outcome(StrEnum):
    """What the far side reported of an accepted delivery."""

    DELIVERED = "delivered"
    DELAYED = "delayed"
    SOFT_BOUNCE = "soft_bounce"
    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"


class Pool(StrEnum):
    """Lanes of sending, so that a confirmation never waits behind a digest."""

    TRANSACTIONAL = "transactional"
    BULK = "bulk"


class Purpose(StrEnum):
    """What a delivery is for."""

    EDITION = "edition"
    CONFIRMATION = "confirmation"  # asks for one; how many an address may get is limited
    NOTICE = "notice"  # any other mail to one person: a link they asked for, a change they should know of


LEASE = timedelta(seconds=120)
"""How long a claimed delivery stays with its claimer before anything was sent."""

START_WINDOW = timedelta(seconds=20)
"""How long after a micro-batch was written ahead its last mail may be begun; the rest goes back into the queue."""

LONGEST_REPLY = timedelta(seconds=600)
"""How long the reply to a dot is waited for at most (RFC 5321 §4.5.3.2.6)."""

LONGEST_BODY = timedelta(seconds=180)
"""How long the writing of a mail may take at most."""

_MARGIN = timedelta(seconds=100)


def sending_lease(longest_reply: timedelta = LONGEST_REPLY, *, wait_factor: float = 1) -> timedelta:
    """Return how long a micro-batch stays with its sender: it cannot still be sending when the lease has run out.

    *longest_reply*: what the relay is granted; for a body too, but `LONGEST_BODY` at most. *wait_factor* shortens the
    rest in rehearsals.
    """
    return (START_WINDOW + _MARGIN) * wait_factor + min(longest_reply, LONGEST_BODY) + longest_reply


SENDING_LEASE = sending_lease()

MICRO_BATCH = {Pool.BULK: 96, Pool.TRANSACTIONAL: 4}
"""Mails that one sender has written ahead at any moment: the most that it leaves in doubt if it is killed and its
journal is lost with its machine. See ADR 0006 for the measurement."""

MAX_LAPSES = 5
"""Leases in a row that may run out before a row counts as poison."""

HOLD_AFTER = timedelta(hours=24)
"""How long a delivery in doubt waits for evidence."""

CONFIRMATION_DEADLINE = timedelta(hours=1)

_BACK_OFF_MINUTES = (5, 15, 30, 60, 120, 240)
_JITTER = 0.2


def back_off(tries: int, jitter: float) -> timedelta:
    """Return how long to wait after the *tries*-th temporary refusal of a recipient.

    *jitter*: a random number from 0 up to 1; spreads the wait by a fifth to either side.
    """
    minutes = _BACK_OFF_MINUTES[min(max(tries, 1), len(_BACK_OFF_MINUTES)) - 1]
    return timedelta(minutes=minutes * (1 - _JITTER + 2 * _JITTER * jitter))


RELAY_WAIT = timedelta(seconds=30)
"""How long mail waits after the relay itself refused or broke off; costs no try."""

POLICY_WAIT = timedelta(minutes=30)
"""How long mail waits after a refusal that is our own fault, so that somebody can mend it before the deadline."""


@dataclass(frozen=True, slots=True)
class Move:
    """What an answer does to a delivery."""

    state: DeliveryState
    wait: timedelta = timedelta()
    costs_a_try: bool = False


def next_move(verdict: Verdict, *, tries: int, jitter: float, may_retry_content: bool) -> Move:
    """Decide what becomes of a delivery after an attempt at it.

    *tries*: how many answers about the recipient there were before. *jitter* as in `back_off`.
    *may_retry_content*: a mail that was refused for what it says waits in the queue, since its edition is paused.
    Deadlines end what would be retried too long; see `newsletter.storage.recovery`.
    """
    if verdict is Verdict.RECIPIENT_DEFERRED:
        return Move(_S.QUEUED, back_off(tries + 1, jitter), costs_a_try=True)
    if verdict is Verdict.CONTENT_REFUSED and not may_retry_content:
        return Move(_S.FAILED)
    return _MOVE_AFTER[verdict]


_MOVE_AFTER: Mapping[Verdict, Move] = {
    Verdict.ACCEPTED: Move(_S.ACCEPTED),
    Verdict.RECIPIENT_FAILED: Move(_S.FAILED, costs_a_try=True),
    Verdict.RELAY_DEFERRED: Move(_S.QUEUED, RELAY_WAIT),
    Verdict.POLICY_REFUSED: Move(_S.QUEUED, POLICY_WAIT),
    Verdict.CONTENT_REFUSED: Move(_S.QUEUED, RELAY_WAIT),
    Verdict.IN_DOUBT: Move(_S.IN_DOUBT),
    Verdict.UNSENT: Move(_S.QUEUED),
}


class Told(NamedTuple):
    """What became of one attempt, to be recorded: the delivery's next state and the relay's words.

    *token*: of the lease under which that attempt was written ahead.
    """

    delivery_id: int
    attempt: int
    token: str
    state: DeliveryState
    outcome: str
    stage: str | None = None
    code: int | None = None
    enhanced: str | None = None
    reply: str | None = None
    wait: timedelta = timedelta()
    costs_a_try: bool = False
    reason: str | None = None
