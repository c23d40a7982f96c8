"""Pauses: nothing comes while one lasts, and afterwards what was missed, or not."""

from datetime import date, datetime, timedelta

import pytest
from newsroom import DAY, WEEK, Newsroom

from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.lists import Cadence
from newsletter.domain.subscriptions import PAUSED, ConsentAct, is_paused
from newsletter.errors import ConflictError, InvalidError
from newsletter.services.choices import change_choice
from newsletter.services.filters import NamedFilter
from newsletter.services.pauses import end_pauses, pause_until, resume
from newsletter.services.subscribers import export_subscriber
from newsletter.services.subscriptions import unsubscribe


def pause(newsroom: Newsroom, days: int, *, catches_up: bool = True, name: str = "aida") -> None:
    day = (newsroom.clock.now + days * DAY).date()
    pause_until(newsroom.app, newsroom.subscription(name).uid, day, catches_up=catches_up, evidence="")


def next_week(newsroom: Newsroom, title: str) -> dict[str, list[str]]:
    """Let a week pass with one article in it, and return what each reader gets of its edition."""
    newsroom.move(WEEK)
    end_pauses(newsroom.app)
    newsroom.publish(title)
    edition_id = newsroom.fan_out()
    contents = newsroom.contents(edition_id)
    newsroom.deliver(edition_id)
    return contents


@pytest.mark.slow
@pytest.mark.parametrize("catches_up", [True, False])
def test_what_was_missed_comes_once_for_who_asked_for_it(newsroom, catches_up):
    newsroom.subscribe("aida", "bek")
    pause(newsroom, 10, catches_up=catches_up)
    weeks = [next_week(newsroom, title) for title in ("One", "Two", "Three")]

    assert {"bek": ["One"]} == weeks[0]
    assert {"bek": ["Two"], "aida": sorted(["Two", "One"] if catches_up else ["Two"])} == {
        name: sorted(titles) for name, titles in weeks[1].items()
    }
    assert {"bek": ["Three"], "aida": ["Three"]} == weeks[2]


@pytest.mark.slow
def test_the_accounts_of_an_edition_name_who_paused(newsroom):
    newsroom.subscribe("aida", "bek")
    pause(newsroom, 10)
    newsroom.publish("One")
    edition_id = newsroom.fan_out()

    assert {"bek"} == set(newsroom.states(edition_id))
    assert 2 == newsroom.edition(edition_id).candidate_count


@pytest.mark.slow
def test_mail_in_the_queue_is_taken_back_and_owed(newsroom):
    newsroom.subscribe("aida")
    newsroom.publish("One")
    edition_id = newsroom.fan_out()
    pause(newsroom, 5)
    cancelled = newsroom.states(edition_id)
    newsroom.deliver(edition_id, but=("aida",), end=DeliveryState.CANCELLED)

    assert {"aida": DeliveryState.CANCELLED} == cancelled
    assert {"aida": ["One", "Two"]} == {name: sorted(each) for name, each in next_week(newsroom, "Two").items()}


@pytest.mark.slow
def test_a_pause_counts_for_mail_that_is_on_its_way_out(mailing_newsroom):
    """Mail that was queued at the very moment of the pause is held back by the turn before it is sent."""
    newsroom = mailing_newsroom
    newsroom.subscribe("aida", "bek")
    newsroom.publish("One")
    edition_id = newsroom.fan_out()
    waiting = newsroom.deliveries(edition_id)["aida"]
    pause(newsroom, 5)
    newsroom.change(waiting, state=DeliveryState.QUEUED, reason=None)
    newsroom.send()

    assert {"bek"} == set(newsroom.mails())
    held = newsroom.deliveries(edition_id)["aida"]
    assert (DeliveryState.CANCELLED, PAUSED) == (held.state, held.reason)


@pytest.mark.slow
def test_only_what_the_choice_still_wants_is_owed(newsroom):
    newsroom.add_topics("water", "schools")
    newsroom.subscribe("aida")
    pause(newsroom, 10)
    newsroom.move(WEEK)
    newsroom.publish("On water", topics=["water"])
    newsroom.publish("On schools", topics=["schools"])
    newsroom.deliver(newsroom.fan_out())
    wanted = NamedFilter(topics=("water",))
    uid = newsroom.subscription("aida").uid
    change_choice(newsroom.app, uid, cadence=Cadence.WEEKLY, language="en", wanted=wanted, evidence="")
    newsroom.move(WEEK)
    still_paused = is_paused(newsroom.subscription("aida"))
    end_pauses(newsroom.app)
    newsroom.publish("Water again", topics=["water"])

    assert still_paused
    assert {"aida": ["On water", "Water again"]} == {
        name: sorted(each) for name, each in newsroom.contents(newsroom.fan_out()).items()
    }


def test_a_pause_ends_by_its_reader_or_by_its_day_and_is_on_record(newsroom):
    newsroom.subscribe("aida")
    pause(newsroom, 30)
    resume(newsroom.app, newsroom.subscription("aida").uid, evidence="page")
    resume(newsroom.app, newsroom.subscription("aida").uid, evidence="page")
    pause(newsroom, 2)
    newsroom.move(3 * DAY)
    ended = [end_pauses(newsroom.app) for _ in range(2)]
    [subscription] = export_subscriber(newsroom.app, "aida@readers.example").subscriptions

    assert [1, 0] == ended
    acts = [ConsentAct.PAUSED, ConsentAct.RESUMED] * 2
    assert [ConsentAct.IMPORTED, *acts] == [each.act for each in subscription.consent]


@pytest.mark.parametrize("days", [-1, 0, 400])
def test_a_pause_ends_on_a_day_to_come_within_a_year(newsroom, days):
    newsroom.subscribe("aida")
    with pytest.raises(InvalidError):
        pause(newsroom, days)

    assert newsroom.subscription("aida").pause is None


def test_who_has_left_pauses_nothing(newsroom):
    newsroom.subscribe("aida")
    unsubscribe(newsroom.app, newsroom.subscription("aida").uid, basis="", evidence="")
    with pytest.raises(ConflictError):
        pause(newsroom, 5)


def test_the_day_begins_where_the_list_is(newsroom):
    newsroom.add_list("far", zone="Pacific/Auckland")
    newsroom.subscribe("aida", slug="far")
    pause_until(newsroom.app, newsroom.subscription("aida").uid, date(2026, 4, 1), catches_up=False, evidence="")
    held = newsroom.subscription("aida").pause

    assert held is not None
    assert datetime.fromisoformat("2026-04-01T00:00+13:00") == held.until
    assert timedelta() < held.until - newsroom.clock.now
