"""Circuit breakers: when a relay that fails is left alone, for how long, and when it is tried again."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from newsletter.domain.replies import Stage

FAILURES_UNTIL_OPEN = 5
"""Failures in a row, over all workers, before any mail was taken."""

FIRST_REST = timedelta(seconds=30)
LONGEST_REST = timedelta(minutes=10)
PROBE = timedelta(minutes=2)
"""How long one worker has the relay to itself to try it; if it dies meanwhile, another one may."""

_JITTER = 0.2

COUNTS = frozenset({Stage.CONNECT, Stage.TLS, Stage.GREETING, Stage.EHLO, Stage.AUTH, Stage.MAIL})
"""Stages at which it is the relay or our account that fails, and no reader."""


class BreakerState(StrEnum):
    """Whether mail is handed to a relay."""

    CLOSED = "closed"  # it is
    OPEN = "open"  # it is not, until a time
    HALF_OPEN = "half_open"  # one mail is, to see


@dataclass(frozen=True, slots=True)
class Breaker:
    """What is known of a relay's failures; times are the database's clock.

    *failures* in a row; *trips*: how often in a row it was opened. *open_until*: None while closed.
    *probe_until*: until when somebody has it to try; *probed*: that one mail was claimed for it.
    """

    failures: int = 0
    trips: int = 0
    open_until: datetime | None = None
    probe_until: datetime | None = None
    probed: bool = False

    def state(self, now: datetime) -> BreakerState:
        """Return whether mail is handed over at *now*."""
        if self.open_until is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self.open_until > now else BreakerState.HALF_OPEN

    @property
    def is_clean(self) -> bool:
        """Whether a success has nothing to forget."""
        return self == CLEAN


CLEAN = Breaker()


def after_failure(breaker: Breaker, now: datetime, *, jitter: float, wait_factor: float = 1) -> Breaker:
    """Return the breaker after one more failure.

    While open nothing changes: what fails then was begun before. *jitter*: a random number from 0 up to 1, so that
    relays that failed together are not tried together. *wait_factor* shortens the rest in rehearsals.
    """
    failures = breaker.failures + 1
    state = breaker.state(now)
    if state is BreakerState.OPEN:
        return breaker
    if state is BreakerState.CLOSED and failures < FAILURES_UNTIL_OPEN:
        return replace(breaker, failures=failures)
    doubled = FIRST_REST * 2 ** min(breaker.trips, 10)
    rest = min(doubled, LONGEST_REST) * (1 - _JITTER + 2 * _JITTER * jitter) * wait_factor
    return Breaker(failures, breaker.trips + 1, now + rest)


def may_probe(breaker: Breaker, now: datetime) -> bool:
    """Say whether a half-open relay is nobody's to try yet."""
    return breaker.probe_until is None or breaker.probe_until <= now
