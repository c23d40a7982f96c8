"""Schedule: when slots are due, across clock changes, years and months of every length."""

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.domain.lists import Cadence, Schedule
from newsletter.domain.schedule import CATCH_UP, Slot, due_slots, latest_slot, next_slot, previous_slot

DAILY, WEEKLY, MONTHLY = Cadence.DAILY, Cadence.WEEKLY, Cadence.MONTHLY
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
SUNDAY = 6


def schedule(zone: str = "Europe/London", send_at: time = time(8), weekday: int = 0, month_day: int = 1) -> Schedule:
    return Schedule(zone, send_at, weekday, month_day)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "send_at", "now", "key", "at"),
    [
        pytest.param("Europe/London", "01:30", "2026-03-28T12:00", "2026-03-28", "2026-03-28T01:30", id="winter"),
        pytest.param("Europe/London", "01:30", "2026-03-29T12:00", "2026-03-29", "2026-03-29T01:30", id="skipped"),
        pytest.param("Europe/London", "01:30", "2026-03-30T12:00", "2026-03-30", "2026-03-30T00:30", id="summer"),
        pytest.param("Europe/London", "01:30", "2026-10-25T12:00", "2026-10-25", "2026-10-25T00:30", id="repeated"),
        pytest.param("Europe/London", "01:30", "2026-10-26T12:00", "2026-10-26", "2026-10-26T01:30", id="after it"),
        pytest.param("Asia/Bishkek", "08:00", "2026-03-29T12:00", "2026-03-29", "2026-03-29T02:00", id="no DST"),
        pytest.param("Asia/Kathmandu", "08:00", "2026-01-01T12:00", "2026-01-01", "2026-01-01T02:15", id="odd offset"),
        pytest.param("America/Sao_Paulo", "00:00", "2018-11-04T12:00", "2018-11-04", "2018-11-04T03:00", id="midnight"),
        pytest.param("Australia/Lord_Howe", "02:15", "2026-10-04T12:00", "2026-10-04", "2026-10-03T15:45", id="half"),
        pytest.param("Pacific/Apia", "08:00", "2011-12-30T20:00", "2011-12-31", "2011-12-30T18:00", id="day skipped"),
    ],
)
def test_a_daily_slot_is_local_wall_time_whatever_the_clocks_do(zone, send_at, now, key, at):
    slot = latest_slot(DAILY, schedule(zone, time.fromisoformat(send_at)), now=utc(now))

    assert Slot(utc(at), key) == slot


def test_a_time_that_the_clocks_skip_is_an_hour_later_on_the_clock():
    slot = latest_slot(DAILY, schedule(send_at=time(1, 30)), now=utc("2026-03-29T12:00"))

    assert time(2, 30) == slot.at.astimezone(schedule().zone_info).time()


def test_the_repeated_hour_has_one_slot():
    keys = [
        slot.key
        for slot in due_slots(DAILY, schedule(send_at=time(1, 30)), now=utc("2026-10-26T00:00"), since=BEGINNING)
    ]

    assert 1 == keys.count("2026-10-25")
    assert not due_slots(
        DAILY, schedule(send_at=time(1, 30)), now=utc("2026-10-25T00:29"), since=utc("2026-10-25T00:00")
    )


@pytest.mark.parametrize(
    ("now", "hours"),
    [("2026-03-22T12:00", 168), ("2026-03-29T12:00", 167), ("2026-04-05T12:00", 168), ("2026-10-25T12:00", 169)],
)
def test_a_week_is_as_long_as_the_clocks_make_it(now, hours):
    sundays = schedule(weekday=SUNDAY)
    slot = latest_slot(WEEKLY, sundays, now=utc(now))

    assert timedelta(hours=hours) == slot.at - previous_slot(WEEKLY, sundays, slot).at


@pytest.mark.parametrize(
    ("now", "key"),
    [
        ("2020-12-31T12:00", "2020-W53"),
        ("2021-01-03T12:00", "2020-W53"),
        ("2021-01-07T12:00", "2021-W01"),
        ("2024-12-31T12:00", "2024-W52"),
        ("2025-01-02T12:00", "2025-W01"),
        ("2026-12-31T12:00", "2026-W53"),
    ],
)
def test_a_weekly_key_is_the_iso_week_across_years(now, key):
    thursdays = schedule(weekday=3)

    assert key == latest_slot(WEEKLY, thursdays, now=utc(now)).key


def test_a_week_around_new_year_has_the_iso_year_of_its_thursday():
    assert "2025-W01" == latest_slot(WEEKLY, schedule(weekday=0), now=utc("2024-12-30T12:00")).key


@pytest.mark.parametrize(
    ("now", "day"),
    [
        ("2026-02-28T12:00", "2026-02-28"),
        ("2024-02-29T12:00", "2024-02-29"),
        ("2026-04-30T12:00", "2026-04-30"),
        ("2026-01-31T12:00", "2026-01-31"),
        ("2026-03-30T12:00", "2026-02-28"),
    ],
)
def test_the_31st_is_the_last_day_of_a_shorter_month(now, day):
    slot = latest_slot(MONTHLY, schedule("UTC", month_day=31), now=utc(now))

    assert (day, day[:7]) == (slot.at.date().isoformat(), slot.key)


@pytest.mark.parametrize(
    ("zone", "now", "key"),
    [
        pytest.param("Pacific/Auckland", "2026-03-15T20:00", "2026-03-16", id="already tomorrow there"),
        pytest.param("America/Los_Angeles", "2026-03-16T02:00", "2026-03-15", id="still yesterday there"),
    ],
)
def test_a_key_is_the_date_where_the_list_lives(zone, now, key):
    assert key == latest_slot(DAILY, schedule(zone), now=utc(now)).key


def test_slots_are_looked_for_a_week_back_and_no_longer():
    now = utc("2026-03-16T08:00")
    keys = [slot.key for slot in due_slots(DAILY, schedule("UTC"), now=now, since=BEGINNING)]

    assert [f"2026-03-{day:02}" for day in range(9, 17)] == keys


def test_no_slot_is_due_from_before_the_list_began():
    since = utc("2026-03-14T09:00")
    keys = [slot.key for slot in due_slots(DAILY, schedule("UTC"), now=utc("2026-03-16T07:59"), since=since)]

    assert ["2026-03-15"] == keys


def test_a_slot_is_due_from_its_instant_on():
    at = utc("2026-03-16T08:00")

    assert "2026-03-16" == latest_slot(DAILY, schedule("UTC"), now=at).key
    assert "2026-03-15" == latest_slot(DAILY, schedule("UTC"), now=at - timedelta(microseconds=1)).key
    assert "2026-03-17" == next_slot(DAILY, schedule("UTC"), now=at).key


def test_immediate_editions_have_no_calendar():
    with pytest.raises(ValueError, match="follows its article"):
        next_slot(Cadence.IMMEDIATE, schedule(), now=utc("2026-03-16T08:00"))


ZONES = ["UTC", "Europe/London", "Asia/Bishkek", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"]
schedules = st.builds(
    Schedule,
    zone=st.sampled_from(ZONES),
    send_at=st.times().map(lambda at: at.replace(microsecond=0)),
    weekday=st.integers(0, 6),
    month_day=st.integers(1, 31),
)
moments = st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001


@given(st.sampled_from([DAILY, WEEKLY, MONTHLY]), schedules, moments)
def test_slots_follow_each_other_once_each(cadence, when, now):
    """Going back from any moment, instants fall and no key comes twice; going forward meets the same slots."""
    last = latest_slot(cadence, when, now=now)
    before = previous_slot(cadence, when, last)
    chain = [previous_slot(cadence, when, before), before, last, next_slot(cadence, when, now=now)]

    assert all(earlier.at < later.at for earlier, later in pairwise(chain))
    assert len(chain) == len({slot.key for slot in chain})
    assert all(later == next_slot(cadence, when, now=earlier.at) for earlier, later in pairwise(chain))
    assert last.at <= now < chain[-1].at


@given(st.sampled_from([DAILY, WEEKLY, MONTHLY]), schedules, moments)
def test_due_slots_are_all_slots_of_the_last_week(cadence, when, now):
    due = due_slots(cadence, when, now=now, since=BEGINNING)
    expected, slot = [], latest_slot(cadence, when, now=now)
    while slot.at >= now - CATCH_UP:
        expected.append(slot)
        slot = previous_slot(cadence, when, slot)

    assert expected[::-1] == due
