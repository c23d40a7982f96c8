"""Limits: no more than the rate and one burst, however it is asked; and what no limit can be."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.domain.limits import (
    Limit,
    burst_of,
    check_limit,
    full_after,
    mails_allowed,
    seconds_until_allowed,
)

NOON = datetime(2026, 3, 16, 12, tzinfo=UTC)


@given(
    rate=st.floats(0.01, 5000),
    asks=st.lists(st.tuples(st.floats(0, 20), st.integers(1, 5000)), min_size=1, max_size=40),
)
def test_no_more_is_allowed_than_the_rate_and_one_burst(rate: float, asks: list[tuple[float, int]]) -> None:
    """Whoever asks, and at whatever intervals: in t seconds at most rate x t and a burst."""
    now, full_at, taken = NOON, None, 0
    for pause, wanted in asks:
        now += timedelta(seconds=pause)
        got = min(wanted, mails_allowed(rate, full_at, now))
        if got:
            full_at = full_after(rate, full_at, now, got)
            taken += got

    assert taken <= rate * (now - NOON).total_seconds() + burst_of(rate) + 1e-3 * len(asks)


@given(rate=st.floats(0.01, 5000))
def test_what_is_asked_for_all_the_time_comes_at_the_full_rate(rate: float) -> None:
    """Asking often loses nothing to rounding."""
    now, full_at, taken = NOON, None, 0
    end = NOON + timedelta(seconds=max(100.0, 20 / rate))
    while now < end:
        if got := mails_allowed(rate, full_at, now):
            full_at = full_after(rate, full_at, now, got)
            taken += got
        now += timedelta(seconds=max(0.25, seconds_until_allowed(rate, full_at, now)))

    assert taken >= 0.99 * rate * (end - NOON).total_seconds() - burst_of(rate)


@given(rate=st.floats(0.01, 5000), mails=st.integers(1, 20_000))
def test_after_the_wait_there_is_one_mail(rate: float, mails: int) -> None:
    """The wait that is told is enough, and none is told where one may go at once."""
    full_at = full_after(rate, None, NOON, mails)
    wait = seconds_until_allowed(rate, full_at, NOON)

    assert mails_allowed(rate, full_at, NOON + timedelta(seconds=wait)) >= 1
    assert (wait > 1e-5) <= (mails_allowed(rate, full_at, NOON) == 0)


def test_debt_is_paid_back_by_waiting() -> None:
    """Mail that does not wait is charged, and the other mail waits for it."""
    full_at = full_after(10, None, NOON, 30)

    assert mails_allowed(10, full_at, NOON) == 0
    assert mails_allowed(10, full_at, NOON + timedelta(seconds=2)) == 0
    assert mails_allowed(10, full_at, NOON + timedelta(seconds=2.1)) == 1
    assert mails_allowed(10, full_at, NOON + timedelta(seconds=60)) == 10


@pytest.mark.parametrize(
    ("limit", "why"),
    [
        (Limit("gmail"), "at least one"),
        (Limit("gmail", rate=0), "cannot be kept"),
        (Limit("gmail", rate=float("inf")), "cannot be kept"),
        (Limit("gmail", rate=float("nan")), "cannot be kept"),
        (Limit("gmail", concurrency=0), "sending pause"),
        (Limit("gmail", per_connection=-1), "sending pause"),
        (Limit("relay.example:25", concurrency=3), "NEWSLETTER_SMTP_URL"),
    ],
)
def test_a_limit_that_cannot_be_is_refused_with_the_remedy(limit: Limit, why: str) -> None:
    """Nothing is stored that would stop all mail by mistake, or do nothing."""
    with pytest.raises(ValueError, match=why):
        check_limit(limit)


def test_a_relay_has_a_rate_and_a_provider_all_three() -> None:
    """What can be limited is taken."""
    check_limit(Limit("relay.example:25", rate=0.5))
    check_limit(Limit("gmail", rate=20, concurrency=5, per_connection=50))
