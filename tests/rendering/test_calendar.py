"""Calendar files: read back by the library's parser and held against RFC 5545."""

from datetime import UTC, date, datetime, timedelta

import icalendar
import pytest

from newsletter.domain.articles import Event
from newsletter.rendering.calendar import CalendarEntry, render_calendar

START = datetime(2026, 3, 19, 4, tzinfo=UTC)
FORUM = Event(START, START + timedelta(hours=6), "Asia/Bishkek", "Hotel; Big", "148 B, Street", "Press office")


def calendar(event=FORUM, **more):
    values = {
        "uid": "a1@news.example.org",
        "title": "Forum on water",
        "summary": "Rivers, shared; with \\ all.",
        "url": "https://news.example.org/articles/7",
        "language": "ky",
        "modified_at": datetime(2026, 3, 1, tzinfo=UTC),
        "revision": 1,
    }
    return render_calendar(CalendarEntry(event, **(values | more)))


def read(content):
    return icalendar.Calendar.from_ical(content).walk("VEVENT")[0]


def test_the_event_comes_back_as_it_was():
    event = read(calendar())

    assert START == event.decoded("dtstart")
    assert START + timedelta(hours=6) == event.decoded("dtend")
    assert "Asia/Bishkek" == event["dtstart"].params["TZID"]
    assert "Forum on water" == event["summary"]
    assert "Rivers, shared; with \\ all." == event["description"]
    assert "Hotel; Big, 148 B, Street" == event["location"]
    assert "Press office" == event["contact"]
    assert "https://news.example.org/articles/7" == event["url"]


def test_the_uid_stays_and_the_sequence_grows():
    first, second = read(calendar(revision=1)), read(calendar(revision=3, title="Forum, moved"))

    assert "a1@news.example.org" == first["uid"] == second["uid"]
    assert (0, 2) == (first["sequence"], second["sequence"])


def test_the_same_event_gives_the_same_bytes():
    assert calendar() == calendar()


def test_lines_and_zones_follow_the_standard():
    content = calendar(title="ө" * 200)

    assert b"BEGIN:VTIMEZONE\r\nTZID:Asia/Bishkek\r\n" in content
    assert content.endswith(b"END:VCALENDAR\r\n")
    for line in content.split(b"\r\n"):
        assert b"\n" not in line
        assert len(line) <= 75
    for needed in (b"VERSION:2.0", b"PRODID:", b"DTSTAMP:20260301T000000Z", b"METHOD:PUBLISH"):
        assert needed in content


def test_titles_cannot_add_lines():
    event = read(calendar(title="One\r\nATTACH:http://x.example\r\nEND:VEVENT"))

    assert "One ATTACH:http://x.example END:VEVENT" == event["summary"]


@pytest.mark.parametrize(
    ("ends_at", "expected"),
    [(None, date(2026, 3, 20)), (datetime(2026, 3, 21, 18, tzinfo=UTC), date(2026, 3, 22))],
    ids=["one day", "three days"],
)
def test_a_day_without_a_time_is_a_whole_day(ends_at, expected):
    event = read(calendar(Event(datetime(2026, 3, 18, 18, tzinfo=UTC), ends_at, "Asia/Bishkek")))

    assert date(2026, 3, 19) == event.decoded("dtstart")
    assert expected == event.decoded("dtend")


def test_an_event_without_an_end_has_none():
    assert "dtend" not in read(calendar(Event(START, None, "Asia/Bishkek")))
    assert "dtend" not in read(calendar(Event(START, START - timedelta(hours=1), "Asia/Bishkek")))


def test_a_zone_with_summer_time_brings_its_rules():
    content = calendar(Event(START, None, "Europe/Berlin"))

    assert b"TZNAME:CEST" in content
    assert START == read(content).decoded("dtstart")


def test_utc_needs_no_rules():
    assert b"DTSTART:20260319T040000Z" in calendar(Event(START, None, "UTC"))
