"""Feeds' readers: noted as they poll, written down together with what other processes saw."""

from dataclasses import replace
from datetime import timedelta

from newsletter.clock import fixed_clock
from newsletter.domain.feed_readers import FeedReaders
from newsletter.services import feed_readers
from newsletter.services.feed_readers import WRITTEN_EVERY_SECONDS, PollNotes, estimate_readers

FEEDLY = "Feedly/1.0 (+http://www.feedly.com/fetcher.html; {} subscribers; like FeedFetcher-Google)"
READER = "NetNewsWire (RSS Reader; https://netnewswire.com/)"


class Seconds:
    """A monotonic clock that stands where it is put."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_two_processes_together_count_each_reader_once(app):
    one, other = PollNotes(app, Seconds()), PollNotes(app, Seconds())
    one.note("all-en", FEEDLY.format(16), "192.0.2.0/24")
    other.note("all-en", FEEDLY.format(15), "192.0.2.0/24")
    for notes in (one, other):
        for number in range(4):
            notes.note("all-en", READER, f"198.51.{number}.0/24")
    other.note("all-ru", READER, "198.51.9.0/24")
    one.note("all-en", "Googlebot/2.1", "203.0.113.0/24")
    one.write()
    other.write()
    one.write()

    assert [FeedReaders("all-en", {"Feedly": 16}, 4), FeedReaders("all-ru", {}, 1)] == estimate_readers(app)


def test_what_was_noted_is_written_once_a_minute(app):
    seconds = Seconds()
    notes = PollNotes(app, seconds)
    seconds.now = WRITTEN_EVERY_SECONDS - 1
    early = notes.note("all-en", READER, "192.0.2.0/24")
    seconds.now = WRITTEN_EVERY_SECONDS
    due = [notes.note("all-en", READER, "192.0.2.0/24") for _ in range(2)]

    assert not early
    assert [True, False] == due


def test_a_week_counts_and_older_days_are_forgotten(app):
    PollNotes(app, Seconds()).write()
    notes = PollNotes(app, Seconds())
    notes.note("all-en", READER, "192.0.2.0/24")
    notes.write()
    later = replace(app, clock=fixed_clock(app.clock() + timedelta(days=8)))

    assert 1 == len(estimate_readers(app))
    assert [] == estimate_readers(later)


def test_a_flood_of_feeds_fills_no_memory(app, monkeypatch):
    monkeypatch.setattr(feed_readers, "MOST_FEEDS", 3)
    notes = PollNotes(app, Seconds())
    for number in range(5):
        notes.note(f"feed-{number}", READER, "192.0.2.0/24")
    notes.write()

    assert 3 == len(estimate_readers(app))


def test_a_poller_is_known_again_for_one_day_only(app):
    """What is kept of one is a hash with the day in it: tomorrow it is another, and nobody is followed."""
    notes = PollNotes(app, Seconds())
    today = app.clock().date()
    hashes = {notes._hash(today + timedelta(days=number // 2), "192.0.2.0/24", READER) for number in range(4)}

    assert 2 == len(hashes)
