"""Growth: readers won and lost, week by week, on both databases."""

from newsroom import WEEK, Newsroom

from newsletter.domain.subscriptions import EndReason
from newsletter.services.growth import measure_growth
from newsletter.services.subscriptions import unsubscribe


def test_weeks_show_who_came_and_who_left_and_why(app):
    room = Newsroom(app)
    room.move(-3 * WEEK)
    room.subscribe("aida", "bek", "chyngyz")
    room.move(WEEK)
    room.subscribe("dana")
    unsubscribe(room.app, room.subscription("aida").uid, basis="a link", evidence="a test")
    room.move(2 * WEEK)
    [grown] = measure_growth(room.app, weeks=4)

    assert [(3, 0), (1, 1), (0, 0), (0, 0)] == [(week.gained, week.lost) for week in grown.weeks]
    assert 3 == grown.readers
    assert {EndReason.UNSUBSCRIBED: 1} == grown.reasons


def test_whoever_never_confirmed_was_no_reader_to_lose(app):
    room = Newsroom(app)
    [grown] = measure_growth(room.app)

    assert 0 == sum(week.gained + week.lost for week in grown.weeks)
    assert {} == grown.reasons
