"""When a source is asked again, when it is ill, and what it means that an item is gone."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.domain.sources import (
    CONDITIONAL_INTERVAL,
    LONGEST_BACK_OFF,
    LONGEST_INTERVAL,
    LONGEST_RETRY_AFTER,
    MOST_SUSPECTS,
    UNCONDITIONAL_INTERVAL,
    Timing,
    back_off,
    is_gone,
    next_wait,
    read_timing,
    suspects,
)

NOW = datetime(2026, 3, 16, 2, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
spans = st.none() | st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=4000))


@given(own=spans, asked=st.tuples(spans, spans, spans), conditional=st.booleans(), jitter=st.floats(0, 1))
def test_a_source_is_asked_again_neither_at_once_nor_never(own, asked, conditional, jitter):
    own, retry = max(own, MINUTE) if own else None, asked[2]
    waited = next_wait(own, Timing(*asked), is_conditional=conditional, jitter=jitter)
    wanted = own or (CONDITIONAL_INTERVAL if conditional else UNCONDITIONAL_INTERVAL)

    assert wanted <= waited <= max(wanted, LONGEST_INTERVAL, LONGEST_RETRY_AFTER) * 1.1
    assert retry is None or waited >= min(retry, LONGEST_RETRY_AFTER)


@given(failures=st.integers(0, 10**6), retry=spans, jitter=st.floats(0, 1))
def test_a_sick_source_is_asked_at_least_daily_unless_it_says_when(failures, retry, jitter):
    waited = back_off(failures, Timing(retry_after=retry), jitter=jitter)

    assert 5 * MINUTE <= waited <= max(LONGEST_BACK_OFF * 1.1, LONGEST_RETRY_AFTER)


def test_each_failure_waits_at_least_as_long_as_the_one_before():
    waits = [back_off(failures, Timing(), jitter=0) for failures in range(1, 40)]

    assert all(one <= other for one, other in pairwise(waits))
    assert [5 * MINUTE, 10 * MINUTE, 20 * MINUTE] == waits[:3]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, Timing()),
        ({"cache-control": "public, max-age=600"}, Timing(max_age=10 * MINUTE)),
        ({"cache-control": 'Max-Age="600"'}, Timing(max_age=10 * MINUTE)),
        ({"cache-control": "max-age=-1, no-store"}, Timing()),
        ({"cache-control": "max-age=" + "9" * 500}, Timing()),
        ({"expires": "Mon, 16 Mar 2026 03:00:00 GMT"}, Timing(max_age=HOUR)),
        (
            {"expires": "Mon, 16 Mar 2026 03:00:00 GMT", "date": "Mon, 16 Mar 2026 02:30:00 GMT"},
            Timing(max_age=HOUR / 2),
        ),
        ({"expires": "0"}, Timing()),
        ({"expires": "Mon, 16 Mar 2020 03:00:00 GMT"}, Timing(max_age=timedelta(0))),
        ({"retry-after": "120"}, Timing(retry_after=2 * MINUTE)),
        ({"retry-after": "Mon, 16 Mar 2026 03:00:00 GMT"}, Timing(retry_after=HOUR)),
        ({"retry-after": "soon"}, Timing()),
        ({"retry-after": "١٢"}, Timing()),
    ],
)
def test_headers_say_when_to_come_again(headers, expected):
    assert expected == read_timing(headers, now=NOW)


@given(st.dictionaries(st.sampled_from(["cache-control", "expires", "date", "retry-after"]), st.text(max_size=40)))
def test_headers_of_any_shape_are_read(headers):
    timing = read_timing(headers, now=NOW)

    assert all(each is None or each >= timedelta(0) for each in (timing.max_age, timing.retry_after))


@pytest.mark.parametrize(
    ("before", "after", "complete", "expected"),
    [
        pytest.param("abcdef", "xabcd", False, "", id="fell off the end"),
        pytest.param("abcdef", "abdef", False, "c", id="left the middle"),
        pytest.param("abcdef", "bcdef", False, "a", id="left the top"),
        pytest.param("abcdef", "abcde", True, "f", id="left a complete feed"),
        pytest.param("abcdef", "uvwxyz", False, "", id="all are called anew"),
        pytest.param("abcdef", "aef", False, "bcd", id="half"),
        pytest.param("abcdef", "ef", False, "", id="most"),
        pytest.param("abcdef", "", False, "", id="empty"),
        pytest.param("", "abc", False, "", id="first"),
        pytest.param("abc", "cba", False, "", id="another order"),
    ],
)
def test_what_is_suspected_to_be_withdrawn(before, after, complete, expected):
    assert list(expected) == suspects(list(before), list(after), is_complete=complete)


@given(st.lists(st.integers(0, 60), unique=True), st.lists(st.integers(0, 60), unique=True))
def test_suspects_are_missing_and_few(before, after):
    before, after = [list(map(str, each)) for each in (before, after)]
    found = suspects(before, after)

    assert set(found) <= set(before) - set(after)
    assert len(found) <= min(MOST_SUSPECTS, len(before) / 2)


@pytest.mark.parametrize(
    ("status", "since", "expected"),
    [
        (410, None, True),
        (404, None, False),
        (404, NOW - 30 * MINUTE, False),
        (404, NOW - HOUR, True),
        (200, NOW - DAY, False),
        (500, NOW - DAY, False),
        (0, NOW - DAY, False),
    ],
)
def test_a_page_that_is_gone(status, since, expected):
    assert expected is is_gone(status, since, now=NOW)
