"""Progress: fits any terminal, says how fast and how long, and tells what holds an edition up."""

import pytest

from newsletter.cli.progress import Pace, lines_of
from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.editions import EditionState
from newsletter.services.progress import EditionStatus, Trouble

S = DeliveryState


def a_status(**changes) -> EditionStatus:
    """Return an edition of 20,000 mails of which a good half is sent."""
    values = {
        "edition_id": 12,
        "list_slug": "weekly",
        "slot_key": "2026-W13",
        "state": EditionState.SENDING,
        "total": 20_000,
        "unsent": 8_000,
        "deliveries": {S.ACCEPTED: 11_990, S.FAILED: 10, S.QUEUED: 8_000},
        "by_provider": {"gmail": {S.ACCEPTED: 5_000, S.QUEUED: 5_000}, "other": {S.ACCEPTED: 6_990, S.QUEUED: 3_000}},
        "troubles": [Trouble("recipient_failed", 550, "5.1.1", 10)],
        "accepted_last_minute": 12_000,
        "per_second": 200.0,
        "seconds_left": 40.0,
        "held_by": [],
        "next_due_at": None,
        "readers": 20_000,
        "adds_up": True,
    }
    return EditionStatus(**(values | changes))


def text(found: EditionStatus, *, width: int = 80, **options) -> str:
    """Return the lines as text."""
    return "\n".join(line.plain for line in lines_of(found, width=width, **options))


def test_it_says_how_far_how_fast_and_how_long():
    """From the database's last minute, or from what was watched."""
    told = text(a_status())

    assert "60 %  12,000 of 20,000" in told
    assert "200.0 mails/s · about 40 s left" in told
    assert "80.0 mails/s · about 2 min left" in text(a_status(), pace=80.0)
    assert "gmail 5,000/10,000" in told
    assert "10 × recipient_failed 550 5.1.1" in told


@pytest.mark.parametrize("width", [20, 30, 40, 60, 80, 200])
def test_bar_and_counts_fit_the_terminal(width):
    """As far as a number can be short; a terminal narrower than that sees the beginning of each."""
    _, bar, _, *others = lines_of(a_status(), width=width)

    assert len(bar.plain) <= max(width, len("60 %  12,000 of 20,000"))
    assert all(len(line.plain) <= max(width, 60) for line in others)


def test_what_holds_it_up_is_told_in_place_of_a_pace():
    """A guess how long it takes would be wrong."""
    told = text(a_status(held_by=["ann paused the list: why. Next: newsletter lists resume weekly"]))

    assert "! ann paused the list" in told
    assert "left" not in told


def test_that_nobody_works_is_told():
    """But not of an edition that needs nobody."""
    assert "no worker gives a sign of life" in text(a_status(), idle=True)
    assert "no worker" not in text(a_status(unsent=0), idle=True)


def test_an_edition_without_mails_has_no_bar():
    """And nothing is divided by it."""
    assert "no mails yet" in text(a_status(total=0, unsent=0, deliveries={}, by_provider={}, troubles=[]))


def test_pace_is_that_of_the_last_minute_watched():
    """Not known at once, and forgetful."""
    now = [0.0]
    pace = Pace(clock=lambda: now[0])
    told = []
    for second, count in ((0, 0), (2, 100), (10, 1_000), (70, 1_600), (75, 2_100)):
        now[0] = float(second)
        told.append(pace.observe(count))

    assert told == [None, None, 100.0, 10.0, 100.0]
