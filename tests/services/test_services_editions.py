"""Editions: opened once per slot, approved, paused, resumed, cancelled and ended; each step may be taken twice."""

import threading
from collections import Counter
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

import pytest
from answering import begin, tell
from newsroom import DAY, HOUR, WEEK, Newsroom
from sqlalchemy import update
from structlog.testing import capture_logs

from newsletter.dispatch import Doorbell, Ring
from newsletter.domain.deliveries import DeliveryState, Pool
from newsletter.domain.editions import Edition, EditionState, SkipReason
from newsletter.domain.lists import Cadence
from newsletter.domain.replies import Verdict
from newsletter.errors import ConflictError, NotFoundError
from newsletter.services.articles import publish_article
from newsletter.services.composing import compile_edition
from newsletter.services.editions import (
    approve_edition,
    approve_overdue_reviews,
    cancel_edition,
    fan_out_edition,
    finish_editions,
    open_due_editions,
    open_immediate_editions,
    pause_edition,
    resume_edition,
)
from newsletter.services.lists import find_list
from newsletter.services.reports import find_progress, list_progress
from newsletter.services.sends import start_send
from newsletter.services.sweeping import sweep
from newsletter.storage import fanout, ledger
from newsletter.storage.editions import EditionRow, list_editions
from newsletter.storage.lists import ListRow

S, D = EditionState, DeliveryState


def editions(newsroom: Newsroom, slug: str = "weekly") -> list[Edition]:
    """Return a list's editions, the oldest slot first."""
    with newsroom.app.reading() as tx:
        return list_editions(tx.session, list_id=find_list(tx, slug).id)[::-1]


def keys(newsroom: Newsroom, slug: str = "weekly") -> dict[str, SkipReason | None]:
    return {edition.slot_key: edition.skip_reason for edition in editions(newsroom, slug)}


@pytest.fixture
def edition_id(newsroom: Newsroom) -> int:
    """An approved edition of one article for two readers."""
    newsroom.publish("A story")
    newsroom.subscribe("ann", "bek")
    return newsroom.compose()


@pytest.fixture
def in_review(newsroom: Newsroom) -> int:
    """An edition that waits an hour for review."""
    newsroom.add_list("reviewed", review_minutes=60)
    newsroom.publish("A story")
    newsroom.subscribe("ann", slug="reviewed")
    return newsroom.compose("reviewed")


def test_a_slot_is_opened_once_its_time_has_come(newsroom, dispatcher):
    newsroom.add_list("soon", cadences=(Cadence.DAILY,), since=newsroom.clock.now - HOUR, weekday=1)
    newsroom.move(-timedelta(minutes=1))
    assert {} == keys(newsroom, "soon")
    open_due_editions(newsroom.app)
    assert {} == keys(newsroom, "soon")
    newsroom.move(timedelta(minutes=1))
    dispatcher.rings.clear()
    opened = open_due_editions(newsroom.app)

    assert {"2026-03-16": None} == keys(newsroom, "soon")
    [edition] = editions(newsroom, "soon")
    assert (S.PLANNED, newsroom.clock.now, newsroom.clock.now) == (edition.state, edition.slot_at, edition.cut_at)
    assert newsroom.clock.now + timedelta(hours=20) == edition.deadline_at
    assert [Ring(Doorbell.COMPILE_EDITION, each) for each in opened] == dispatcher.rings


def test_opening_again_opens_nothing(newsroom, dispatcher):
    open_due_editions(newsroom.app)
    dispatcher.rings.clear()

    assert [] == open_due_editions(newsroom.app)
    assert [] == dispatcher.rings


@pytest.mark.slow
def test_of_several_missed_slots_one_edition_is_made(newsroom):
    """The newest in time; the others are on record as missed, and their articles roll on."""
    newsroom.add_list("daily", cadences=(Cadence.DAILY,), since=newsroom.clock.now)
    newsroom.subscribe("ann", slug="daily")
    newsroom.fan_out("daily", Cadence.DAILY)
    for day in range(3):
        newsroom.move(DAY)
        newsroom.publish(f"Day {day}", age=HOUR)
    edition_id = newsroom.fan_out("daily", Cadence.DAILY)

    missed, empty = SkipReason.MISSED, SkipReason.EMPTY
    assert {"2026-03-16": empty, "2026-03-17": missed, "2026-03-18": missed, "2026-03-19": None} == keys(
        newsroom, "daily"
    )
    assert {"ann": ["Day 2", "Day 1", "Day 0"]} == newsroom.contents(edition_id)


def test_a_slot_found_after_its_deadline_is_missed(newsroom):
    newsroom.move(3 * DAY)

    assert [] == open_due_editions(newsroom.app)
    assert {"2026-W12": SkipReason.MISSED} == keys(newsroom)


def test_what_was_missed_longer_than_a_week_ago_is_not_even_recorded(newsroom):
    newsroom.move(5 * WEEK + HOUR)
    open_due_editions(newsroom.app)

    assert {"2026-W17": None} == keys(newsroom)


def test_any_number_of_processes_open_a_slot_once(newsroom):
    newsroom.move(WEEK)
    opened: list[int] = []
    threads = [threading.Thread(target=lambda: opened.extend(open_due_editions(newsroom.app))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1 == len(opened)
    assert ["2026-W12", "2026-W13"] == list(keys(newsroom))


def test_a_list_that_cannot_be_opened_keeps_no_other_from_opening(newsroom):
    """Its zone is gone from the time zone database: the failure is logged and raised, whatever the lists' order."""
    for slug in ("broken", "zoned"):
        newsroom.add_list(slug)
    with newsroom.app.transaction() as tx:
        tx.session.execute(update(ListRow).where(ListRow.slug == "broken").values(zone="Nowhere/Gone"))
    with capture_logs() as logs, pytest.raises(ZoneInfoNotFoundError):
        open_due_editions(newsroom.app)

    assert [("list_not_opened", "broken")] == [(each["event"], each["list"]) for each in logs]
    assert ["2026-W12"] == list(keys(newsroom, "weekly"))[-1:] == list(keys(newsroom, "zoned"))[-1:]
    assert {} == keys(newsroom, "broken")


def test_a_list_that_sends_at_once_has_no_slots_of_the_calendar(newsroom):
    newsroom.add_list("now", cadences=(Cadence.IMMEDIATE,))
    open_due_editions(newsroom.app)

    assert {} == keys(newsroom, "now")


def test_a_list_that_sends_at_once_does_not_send_its_past(newsroom):
    newsroom.publish("The day before", age=9 * HOUR)  # 23:00 in Bishkek
    newsroom.add_list("now", cadences=(Cadence.IMMEDIATE,), since=newsroom.clock.now - HOUR)
    newsroom.publish("That day", age=8 * HOUR)  # 00:00, as a date without a time is read

    assert 1 == len(open_immediate_editions(newsroom.app))


def test_what_is_dated_by_day_and_comes_in_the_next_morning_is_sent_at_once(newsroom):
    newsroom.add_list("now", cadences=(Cadence.IMMEDIATE,), since=newsroom.clock.now - 10 * DAY)
    newsroom.publish("Yesterday's", age=33 * HOUR)
    [edition_id] = open_immediate_editions(newsroom.app)

    assert newsroom.clock.now + DAY == newsroom.edition(edition_id).deadline_at


def test_a_significant_update_of_an_old_article_is_sent_at_once(newsroom):
    newsroom.add_list("now", cadences=(Cadence.IMMEDIATE,), since=newsroom.clock.now - 90 * DAY)
    uid = newsroom.publish("Old", age=30 * DAY)
    assert [] == open_immediate_editions(newsroom.app)
    publish_article(newsroom.app, uid, is_major=True)

    assert 1 == len(open_immediate_editions(newsroom.app))
    assert [] == open_immediate_editions(newsroom.app)


def test_sending_one_list_at_once_leaves_the_others(newsroom):
    newsroom.add_list("now", cadences=(Cadence.IMMEDIATE,))
    newsroom.add_list("here", cadences=(Cadence.IMMEDIATE,))
    newsroom.publish("News")

    assert 1 == len(open_immediate_editions(newsroom.app, "here"))
    assert 1 == len(open_immediate_editions(newsroom.app))


def test_an_embargoed_article_is_sent_at_once_when_its_time_has_come(newsroom):
    newsroom.add_list("now", cadences=(Cadence.IMMEDIATE,))
    newsroom.publish("Embargoed", embargo_until=(newsroom.clock.now + DAY).isoformat())
    assert [] == open_immediate_editions(newsroom.app)
    newsroom.move(DAY)

    assert 1 == len(open_immediate_editions(newsroom.app))


def test_an_edition_waits_for_review_and_no_longer(newsroom, in_review, dispatcher):
    edition = newsroom.edition(in_review)
    assert (S.REVIEW, newsroom.clock.now + HOUR) == (edition.state, edition.review_until)
    newsroom.move(HOUR - timedelta(seconds=1))
    assert [] == approve_overdue_reviews(newsroom.app)
    newsroom.move(timedelta(seconds=1))
    dispatcher.rings.clear()

    assert [in_review] == approve_overdue_reviews(newsroom.app)
    assert S.APPROVED == newsroom.state(in_review)
    assert [Ring(Doorbell.FAN_OUT_EDITION, in_review)] == dispatcher.rings
    assert [] == approve_overdue_reviews(newsroom.app)


def test_an_edition_cancelled_at_the_last_moment_of_its_review_is_not_approved(postgresql_newsroom, dispatcher):
    newsroom = postgresql_newsroom
    newsroom.add_list("reviewed", review_minutes=60)
    newsroom.publish("A story")
    newsroom.subscribe("ann", slug="reviewed")
    edition_id = newsroom.compose("reviewed")
    newsroom.move(HOUR)
    dispatcher.rings.clear()

    with newsroom.meanwhile("FROM edition", lambda: cancel_edition(newsroom.app, edition_id)):
        assert [] == approve_overdue_reviews(newsroom.app)
    assert S.CANCELLED == newsroom.state(edition_id)
    assert [] == dispatcher.rings


def test_nothing_of_an_edition_in_review_is_fanned_out(newsroom, in_review):
    assert 0 == fan_out_edition(newsroom.app, in_review)
    assert {} == newsroom.deliveries(in_review)


def test_a_person_approves_once(newsroom, in_review, dispatcher):
    dispatcher.rings.clear()
    approve_edition(newsroom.app, in_review, actor="the editor")
    approve_edition(newsroom.app, in_review, actor="somebody else")

    assert (S.APPROVED, newsroom.clock.now) == (newsroom.state(in_review), newsroom.edition(in_review).approved_at)
    assert [Ring(Doorbell.FAN_OUT_EDITION, in_review)] == dispatcher.rings


def test_only_an_edition_in_review_is_approved(newsroom):
    edition_id = newsroom.open()
    with pytest.raises(ConflictError, match="is planned"):
        approve_edition(newsroom.app, edition_id, actor="the editor")
    with pytest.raises(NotFoundError, match="no edition 99"):
        approve_edition(newsroom.app, 99, actor="the editor")


def test_an_edition_reviewed_past_its_deadline_is_missed(newsroom, in_review):
    """Old news is never sent late; its articles roll on."""
    newsroom.move(3 * DAY)
    with pytest.raises(ConflictError, match="deadline"):
        approve_edition(newsroom.app, in_review, actor="the editor")

    assert [] == approve_overdue_reviews(newsroom.app)
    assert (S.SKIPPED, SkipReason.MISSED) == (newsroom.state(in_review), newsroom.edition(in_review).skip_reason)
    newsroom.move(4 * DAY)
    assert {"A story"} == newsroom.titles(newsroom.compose("reviewed"))


def test_fan_out_opens_an_edition_for_sending(newsroom, edition_id, dispatcher):
    dispatcher.rings.clear()

    assert 2 == fan_out_edition(newsroom.app, edition_id)
    assert S.SENDING == newsroom.state(edition_id)
    assert {"ann": D.QUEUED, "bek": D.QUEUED} == newsroom.states(edition_id)
    assert [Ring(Doorbell.SEND_BULK)] == dispatcher.rings
    assert 0 == fan_out_edition(newsroom.app, edition_id)


@pytest.mark.slow
def test_a_fan_out_that_was_broken_off_goes_on_where_it_stopped(newsroom, edition_id, monkeypatch):
    monkeypatch.setattr(fanout, "CHUNK_SIZE", 1)
    with newsroom.app.transaction() as tx:
        edition = newsroom.edition(edition_id)
        fanout.fan_out_chunk(tx.session, edition, fanout.next_readers(tx.session, edition), now=tx.now)

    assert 1 == fan_out_edition(newsroom.app, edition_id)
    progress = find_progress(newsroom.app, edition_id)
    assert (2, {D.QUEUED: 2}, True) == (progress.candidates, progress.deliveries, progress.adds_up)


def test_mail_of_a_fan_out_that_came_late_is_sent_no_longer_than_its_edition_may(newsroom, edition_id):
    """No worker was there for two days; what was left of the deadline has been running since the approval."""
    newsroom.approved_ago(edition_id, 2 * DAY)
    fan_out_edition(newsroom.app, edition_id)
    row = newsroom.deliveries(edition_id)["ann"]

    assert DAY - HOUR < row.deadline_at - row.state_at <= DAY


@pytest.mark.slow
def test_mail_of_a_fan_out_that_came_too_late_expires(newsroom, edition_id):
    newsroom.approved_ago(edition_id, 4 * DAY)
    fan_out_edition(newsroom.app, edition_id)
    sweep(newsroom.app)

    assert {"ann": D.EXPIRED, "bek": D.EXPIRED} == newsroom.states(edition_id)
    assert S.DONE == newsroom.state(edition_id)
    newsroom.move(WEEK)
    assert {"ann": ["A story"], "bek": ["A story"]} == newsroom.contents(newsroom.fan_out())


def test_a_replay_of_history_is_not_too_late(newsroom):
    """The slot lies years back by the database's clock, and its deadline with it."""
    newsroom.add_list("old", cadences=(Cadence.DAILY,), since=newsroom.clock.now)
    newsroom.subscribe("ann", slug="old")
    newsroom.move(-400 * DAY)
    newsroom.publish("Old", age=HOUR)
    edition_id = start_send(newsroom.app, "old", Cadence.DAILY, actor="the editor")
    newsroom.move(400 * DAY)
    fan_out_edition(newsroom.app, edition_id)
    row = newsroom.deliveries(edition_id)["ann"]

    assert timedelta(hours=19) < row.deadline_at - row.state_at <= timedelta(hours=20)


@pytest.mark.slow
def test_a_pause_holds_everything_and_a_resume_goes_on(newsroom, edition_id, dispatcher):
    fan_out_edition(newsroom.app, edition_id)
    pause_edition(newsroom.app, edition_id)
    pause_edition(newsroom.app, edition_id)
    with newsroom.app.reading() as tx:
        assert not ledger.has_due(tx.session, Pool.BULK)
    dispatcher.rings.clear()
    resume_edition(newsroom.app, edition_id)
    resume_edition(newsroom.app, edition_id)

    assert S.SENDING == newsroom.state(edition_id)
    assert [Ring(Doorbell.SEND_BULK)] == dispatcher.rings
    with newsroom.app.reading() as tx:
        assert ledger.has_due(tx.session, Pool.BULK)


@pytest.mark.slow
def test_a_pause_before_or_during_fan_out_stops_it_and_a_resume_finishes_it(newsroom, edition_id, monkeypatch):
    monkeypatch.setattr(fanout, "CHUNK_SIZE", 1)
    with newsroom.app.transaction() as tx:
        edition = newsroom.edition(edition_id)
        fanout.fan_out_chunk(tx.session, edition, fanout.next_readers(tx.session, edition), now=tx.now)
    pause_edition(newsroom.app, edition_id)
    assert 0 == fan_out_edition(newsroom.app, edition_id)
    resume_edition(newsroom.app, edition_id)
    assert S.APPROVED == newsroom.state(edition_id)

    assert 1 == fan_out_edition(newsroom.app, edition_id)
    assert {"ann", "bek"} == newsroom.deliveries(edition_id).keys()


@pytest.mark.slow
@pytest.mark.parametrize("act", [pause_edition, resume_edition, cancel_edition])
def test_what_has_ended_stays_as_it_is(newsroom, edition_id, act):
    fan_out_edition(newsroom.app, edition_id)
    newsroom.deliver(edition_id)
    with pytest.raises(ConflictError, match="is done"):
        act(newsroom.app, edition_id)

    assert S.DONE == newsroom.state(edition_id)


@pytest.mark.parametrize("act", [pause_edition, resume_edition, cancel_edition, find_progress])
def test_an_edition_that_does_not_exist_is_not_found(newsroom, act):
    with pytest.raises(NotFoundError, match="no edition 99"):
        act(newsroom.app, 99)


@pytest.mark.slow
def test_cancelling_stops_what_is_not_sent_and_keeps_the_accounts(newsroom, edition_id):
    fan_out_edition(newsroom.app, edition_id)
    newsroom.change(newsroom.deliveries(edition_id)["ann"], state=D.ACCEPTED, accepted_at=newsroom.clock.now)

    assert 1 == cancel_edition(newsroom.app, edition_id)
    assert 0 == cancel_edition(newsroom.app, edition_id)
    assert {"ann": D.ACCEPTED, "bek": D.CANCELLED} == newsroom.states(edition_id)
    assert S.CANCELLED == newsroom.state(edition_id)
    assert 0 == fan_out_edition(newsroom.app, edition_id)


@pytest.mark.slow
def test_what_comes_back_after_a_cancellation_does_not_wait_for_ever(newsroom, edition_id):
    """It was being sent, so it could not be taken back; then the relay put it off."""
    fan_out_edition(newsroom.app, edition_id)
    told = begin(newsroom)
    assert 0 == cancel_edition(newsroom.app, edition_id)
    tell(newsroom, told, Verdict.RELAY_DEFERRED)
    assert D.QUEUED in newsroom.states(edition_id).values()
    sweep(newsroom.app)

    assert {D.ACCEPTED: 1, D.CANCELLED: 1} == Counter(newsroom.states(edition_id).values())
    with newsroom.app.reading() as tx:
        assert {"accepted": 1, "cancelled": 1} == tx.session.get_one(EditionRow, edition_id).counts


@pytest.mark.slow
def test_a_cancelled_edition_before_fan_out_mails_nobody_and_frees_its_articles(newsroom, edition_id):
    assert 0 == cancel_edition(newsroom.app, edition_id)
    assert 0 == fan_out_edition(newsroom.app, edition_id)
    newsroom.move(WEEK)

    assert {"ann": ["A story"], "bek": ["A story"]} == newsroom.contents(newsroom.fan_out())


@pytest.mark.slow
def test_a_fan_out_that_broke_off_and_is_given_up_leaves_accounts_that_balance(postgresql_newsroom, monkeypatch):
    """Half of a chunk was written by a second connection, and the first one failed."""
    monkeypatch.setattr(fanout, "MANY", 2)
    fan_out_chunk = fanout.fan_out_chunk

    def break_off(*arguments: Any, **named: Any) -> None:
        fan_out_chunk(*arguments, **named)
        raise RuntimeError("power")

    monkeypatch.setattr(fanout, "fan_out_chunk", break_off)
    newsroom = postgresql_newsroom
    newsroom.subscribe("ann", "bek", "eva", "ilya")
    newsroom.move(WEEK)  # or all of them are latecomers
    newsroom.publish("A story")
    edition_id = newsroom.compose()
    with pytest.raises(RuntimeError):
        fan_out_edition(newsroom.app, edition_id)
    assert not find_progress(newsroom.app, edition_id).adds_up
    cancel_edition(newsroom.app, edition_id)

    progress = find_progress(newsroom.app, edition_id)
    assert (0, {}) == (progress.candidates, progress.deliveries)
    assert progress.adds_up


@pytest.mark.slow
def test_an_edition_is_done_when_nothing_of_it_is_open(newsroom, edition_id):
    fan_out_edition(newsroom.app, edition_id)
    newsroom.change(newsroom.deliveries(edition_id)["ann"], state=D.ACCEPTED, accepted_at=newsroom.clock.now)
    assert [] == finish_editions(newsroom.app)
    newsroom.change(newsroom.deliveries(edition_id)["bek"], state=D.FAILED)

    assert [edition_id] == finish_editions(newsroom.app)
    progress = find_progress(newsroom.app, edition_id)
    assert (S.DONE, newsroom.clock.now, {D.ACCEPTED: 1, D.FAILED: 1}) == (
        progress.state,
        progress.done_at,
        progress.deliveries,
    )
    assert [] == finish_editions(newsroom.app)


@pytest.mark.slow
def test_a_paused_edition_with_nothing_left_to_resume_is_done(newsroom, edition_id):
    fan_out_edition(newsroom.app, edition_id)
    pause_edition(newsroom.app, edition_id)
    assert [] == finish_editions(newsroom.app)
    for row in newsroom.deliveries(edition_id).values():
        newsroom.change(row, state=D.EXPIRED)

    assert [edition_id] == finish_editions(newsroom.app)
    assert {D.EXPIRED: 2} == find_progress(newsroom.app, edition_id).deliveries


@pytest.mark.slow
def test_an_edition_whose_accounts_do_not_balance_is_not_done(newsroom, edition_id):
    """A delivery that vanished is a reader lost: somebody must look."""
    fan_out_edition(newsroom.app, edition_id)
    rows = newsroom.deliveries(edition_id)
    newsroom.change(rows["ann"], state=D.ACCEPTED, accepted_at=newsroom.clock.now)
    with newsroom.app.transaction() as tx:
        tx.session.delete(tx.session.merge(rows["bek"]))

    with capture_logs() as logs:
        assert [] == finish_editions(newsroom.app)
    assert S.SENDING == newsroom.state(edition_id)
    assert not find_progress(newsroom.app, edition_id).adds_up
    assert [("edition_does_not_add_up", "error", edition_id)] == [
        (each["event"], each["log_level"], each["edition_id"]) for each in logs
    ]


@pytest.mark.slow
def test_progress_counts_what_there_is(newsroom, edition_id):
    newsroom.subscribe("late", kinds=("video",))
    fan_out_edition(newsroom.app, edition_id)
    progress = find_progress(newsroom.app, edition_id)

    assert ("weekly", "2026-W12", 1, 1, 3) == (
        progress.list_slug,
        progress.slot_key,
        progress.items,
        progress.variants,
        progress.candidates,
    )
    assert {"nothing_chosen": 1} == progress.exclusions
    listed = list_progress(newsroom.app, slug="weekly", state=S.SENDING, limit=10)
    assert [progress] == listed
    assert [S.SENDING] == [each.state for each in list_progress(newsroom.app, slug=None, state=None, limit=10)]


def test_compiling_what_is_not_there_or_past_it_changes_nothing(newsroom, edition_id):
    cancel_edition(newsroom.app, edition_id)
    for each in (edition_id, 99):
        compile_edition(newsroom.app, each)

    assert S.CANCELLED == newsroom.state(edition_id)
