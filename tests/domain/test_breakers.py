"""Breakers: five failures in a row, longer and longer rests, one mail to try."""

from datetime import UTC, datetime, timedelta

import pytest

from newsletter.domain.breakers import CLEAN, Breaker, BreakerState, after_failure, may_probe

NOON = datetime(2026, 3, 16, 12, tzinfo=UTC)


def test_the_fifth_failure_in_a_row_opens_it() -> None:
    """Four are bad luck."""
    breaker = CLEAN
    states = []
    for _ in range(5):
        breaker = after_failure(breaker, NOON, jitter=0.5)
        states.append(breaker.state(NOON))

    assert states == [BreakerState.CLOSED] * 4 + [BreakerState.OPEN]


def test_each_trip_doubles_the_rest_up_to_ten_minutes() -> None:
    """A relay that is down for hours is asked six times an hour."""
    breaker, now, rests = Breaker(failures=4), NOON, []
    for _ in range(8):
        breaker = after_failure(breaker, now, jitter=0.5)
        assert breaker.open_until
        rests.append((breaker.open_until - now).total_seconds())
        now = breaker.open_until

    assert rests == [30, 60, 120, 240, 480, 600, 600, 600]


@pytest.mark.parametrize(("jitter", "seconds"), [(0.0, 24), (0.5, 30), (1.0, 36)])
def test_the_rest_is_spread(jitter: float, seconds: float) -> None:
    """By a fifth to either side."""
    after = after_failure(Breaker(failures=4), NOON, jitter=jitter)

    assert after.open_until == NOON + timedelta(seconds=seconds)


def test_failures_of_what_was_begun_before_do_not_prolong_the_rest() -> None:
    """Twenty connections that break at once are one trip."""
    opened = after_failure(Breaker(failures=4), NOON, jitter=0.5)

    assert after_failure(opened, NOON + timedelta(seconds=10), jitter=0.9) == opened


def test_one_failure_while_half_open_opens_it_again() -> None:
    """The probe is one mail, not five."""
    half_open = Breaker(5, 1, NOON, NOON + timedelta(minutes=1), probed=True)
    after = after_failure(half_open, NOON, jitter=0.5)

    assert half_open.state(NOON) is BreakerState.HALF_OPEN
    assert after == Breaker(6, 2, NOON + timedelta(seconds=60))


def test_a_probe_whose_worker_died_is_somebody_elses_after_a_while() -> None:
    """Nobody keeps a relay for ever."""
    breaker = Breaker(5, 1, NOON, probe_until=NOON + timedelta(minutes=2))

    assert not may_probe(breaker, NOON + timedelta(minutes=1))
    assert may_probe(breaker, NOON + timedelta(minutes=2))
    assert may_probe(Breaker(5, 1, NOON), NOON)
