"""The sweeper: finds whatever was forgotten, and changes nothing where nothing was."""

from datetime import timedelta

import pytest
from newsroom import DAY, HOUR, Newsroom
from sqlalchemy import update
from structlog.testing import capture_logs

from newsletter.dispatch import Doorbell, Ring
from newsletter.domain.deliveries import SENDING_LEASE, DeliveryState, Pool
from newsletter.domain.editions import EditionState
from newsletter.domain.limits import Allowance
from newsletter.errors import TransientError
from newsletter.services import tick as ticking
from newsletter.services.checks import Level, examine
from newsletter.services.composing import compile_edition
from newsletter.services.editions import fan_out_edition
from newsletter.services.sign_ups import SignUpRequest, Wish, subscribe
from newsletter.services.sweeping import Swept, sweep
from newsletter.services.tick import HEARTBEAT, tick
from newsletter.storage import ledger
from newsletter.storage.deliveries import DeliveryRow
from newsletter.storage.editions import EditionRow
from newsletter.storage.heartbeats import heartbeat_age

S = DeliveryState
NOTHING = Swept(requeued=0, doubted=0, expired=0, resent=0, approved=0, done=0)


def hold(newsroom: Newsroom, token: str = "t", *, written_ahead: bool = False) -> None:
    """Claim what is due, as a sender would that then dies."""
    with newsroom.app.transaction() as tx:
        claimed = ledger.claim(tx.session, pool=Pool.BULK, allowance=Allowance(20), worker="w", token=token)
        if written_ahead:
            ids = [each.id for each in claimed]
            ledger.take_turn(tx.session, told=[], next_ids=ids, token=token, worker="w")


def let_time_pass(newsroom: Newsroom, span: timedelta) -> None:
    """Let leases, deadlines and doubts be older, by the database's clock."""
    row = DeliveryRow
    with newsroom.app.transaction() as tx:
        for column in (row.lease_until, row.deadline_at, row.state_at, row.available_at):
            for delivery in tx.session.query(row).where(column.is_not(None)):
                older = {column.key: getattr(delivery, column.key) - span}
                tx.session.execute(update(row).where(row.id == delivery.id).values(older))
        for edition in tx.session.query(EditionRow).where(EditionRow.send_until.is_not(None)):
            edition.send_until -= span


def an_edition(newsroom: Newsroom) -> int:
    newsroom.publish("A story")
    newsroom.subscribe("ann", "bek")
    return newsroom.fan_out()


@pytest.mark.slow
def test_where_nothing_was_forgotten_nothing_changes(newsroom, dispatcher):
    edition_id = an_edition(newsroom)
    newsroom.deliver(edition_id)
    dispatcher.rings.clear()

    assert [NOTHING, NOTHING] == [sweep(newsroom.app), sweep(newsroom.app)]
    assert [] == dispatcher.rings
    assert EditionState.DONE == newsroom.state(edition_id)


@pytest.mark.slow
def test_forgotten_steps_of_an_edition_are_rung_for_until_they_are_taken(newsroom, dispatcher):
    """Whichever doorbell was lost, the next sweep rings again."""
    newsroom.publish("A story")
    newsroom.subscribe("ann")
    edition_id = newsroom.open()
    rings = []
    for step in (compile_edition, fan_out_edition, lambda *_: newsroom.deliver(edition_id)):
        dispatcher.rings.clear()
        assert NOTHING == sweep(newsroom.app)
        rings.append(list(dispatcher.rings))
        step(newsroom.app, edition_id)
    dispatcher.rings.clear()
    sweep(newsroom.app)

    assert [
        [Ring(Doorbell.COMPILE_EDITION, edition_id)],
        [Ring(Doorbell.FAN_OUT_EDITION, edition_id)],
        [Ring(Doorbell.SEND_BULK)],
    ] == rings
    assert [] == dispatcher.rings


def test_a_forgotten_confirmation_is_rung_for_on_its_own_lane(newsroom, dispatcher):
    wish = SignUpRequest(
        address="new@readers.example", wishes=[Wish("weekly")], language="en", basis="Yes, mail me", evidence=""
    )
    subscribe(newsroom.app, wish)
    dispatcher.rings.clear()
    sweep(newsroom.app)

    assert [Ring(Doorbell.SEND_TRANSACTIONAL)] == dispatcher.rings


@pytest.mark.slow
def test_mail_of_a_sender_that_died_is_taken_back_and_sent(mailing_newsroom, dispatcher):
    newsroom = mailing_newsroom
    edition_id = an_edition(newsroom)
    hold(newsroom)
    assert NOTHING == sweep(newsroom.app)
    let_time_pass(newsroom, timedelta(minutes=3))
    dispatcher.rings.clear()

    assert 2 == sweep(newsroom.app).requeued
    assert [Ring(Doorbell.SEND_BULK)] == dispatcher.rings
    newsroom.send()
    assert {"ann": S.ACCEPTED, "bek": S.ACCEPTED} == newsroom.states(edition_id)
    assert EditionState.DONE == newsroom.state(edition_id)


@pytest.mark.slow
def test_mail_of_a_sender_that_died_in_the_middle_is_in_doubt_and_holds_its_edition_open(newsroom):
    edition_id = an_edition(newsroom)
    hold(newsroom, written_ahead=True)
    let_time_pass(newsroom, SENDING_LEASE + timedelta(minutes=1))

    assert 2 == sweep(newsroom.app).doubted
    assert {"ann": S.IN_DOUBT, "bek": S.IN_DOUBT} == newsroom.states(edition_id)
    assert EditionState.SENDING == newsroom.state(edition_id)
    let_time_pass(newsroom, DAY)
    assert 1 == sweep(newsroom.app).done
    assert {"ann": S.IN_DOUBT, "bek": S.IN_DOUBT} == newsroom.states(edition_id)


@pytest.mark.slow
def test_what_is_too_late_ends_and_so_does_its_edition(newsroom):
    edition_id = an_edition(newsroom)
    let_time_pass(newsroom, 3 * DAY)
    swept = sweep(newsroom.app)

    assert (2, 1) == (swept.expired, swept.done)
    assert {"ann": S.EXPIRED, "bek": S.EXPIRED} == newsroom.states(edition_id)


def test_a_review_whose_time_has_passed_is_over(newsroom):
    newsroom.add_list("reviewed", review_minutes=60)
    newsroom.publish("A story")
    newsroom.subscribe("ann", slug="reviewed")
    edition_id = newsroom.compose("reviewed")
    newsroom.move(HOUR)

    assert 1 == sweep(newsroom.app).approved
    assert EditionState.APPROVED == newsroom.state(edition_id)


def test_a_tick_opens_what_is_due_and_leaves_a_sign_of_life(newsroom, dispatcher):
    newsroom.publish("A story")
    newsroom.subscribe("ann")
    with newsroom.app.reading() as tx:
        assert heartbeat_age(tx.session, HEARTBEAT) is None
    dispatcher.rings.clear()
    tick(newsroom.app)
    [edition_id] = {ring.subject for ring in dispatcher.rings if ring.doorbell is Doorbell.COMPILE_EDITION}

    assert EditionState.PLANNED == newsroom.state(edition_id)
    assert Ring(Doorbell.REBUILD_FEEDS) in dispatcher.rings
    with newsroom.app.reading() as tx:
        assert heartbeat_age(tx.session, HEARTBEAT) < timedelta(minutes=1)


@pytest.mark.slow
def test_ticking_again_opens_nothing(newsroom, dispatcher):
    newsroom.add_list("now", cadences=("immediate",))
    newsroom.publish("A story")
    for _ in range(2):
        tick(newsroom.app)
    opened = [ring.subject for ring in dispatcher.rings if ring.doorbell is Doorbell.COMPILE_EDITION]

    assert 2 == len(set(opened))
    dispatcher.rings.clear()
    for edition_id in set(opened):
        compile_edition(newsroom.app, edition_id)
    tick(newsroom.app)
    assert [Ring(Doorbell.REBUILD_FEEDS)] == dispatcher.rings


@pytest.mark.parametrize(("ticked", "level"), [(False, Level.WARNING), (True, Level.OK)])
def test_the_doctor_sees_whether_anything_ticks(newsroom, ticked, level):
    if ticked:
        tick(newsroom.app)
    found = {finding.check: finding for finding in examine(newsroom.app)}

    assert level == found["tick"].level
    assert (Level.OK, Level.WARNING) == (found["database"].level, found["relay"].level)
    assert all(finding.remedy for finding in found.values() if finding.level is not Level.OK)


@pytest.mark.slow
def test_a_step_of_a_tick_that_fails_keeps_no_other_from_running(newsroom, dispatcher, monkeypatch):
    """The tick is seen to have failed, each failure is logged, and everything else was done."""
    edition_id = an_edition(newsroom)
    hold(newsroom)
    let_time_pass(newsroom, timedelta(minutes=3))
    dispatcher.rings.clear()
    failures = {"open_due_editions": "the first", "end_lapsed": "the second"}
    steps = list(ticking.STEPS)
    for name, words in failures.items():

        def fail(_app: object, words: str = words) -> None:
            raise TransientError(words)

        fail.__name__ = name
        [place] = [place for place, step in enumerate(steps) if step.__name__ == name]
        steps[place] = fail
    monkeypatch.setattr(ticking, "STEPS", tuple(steps))
    with capture_logs() as logs, pytest.raises(TransientError, match="the first"):
        tick(newsroom.app)

    failed = [each for each in logs if each["event"] == "tick_step_failed"]
    assert [(name, "error") for name in failures] == [(each["step"], each["log_level"]) for each in failed]
    assert {"ann": S.QUEUED, "bek": S.QUEUED} == newsroom.states(edition_id)
    assert [1, 1] == [row.lapses for row in newsroom.deliveries(edition_id).values()]
    assert {Ring(Doorbell.SEND_BULK), Ring(Doorbell.REBUILD_FEEDS)} <= set(dispatcher.rings)
    with newsroom.app.reading() as tx:
        assert heartbeat_age(tx.session, HEARTBEAT) < timedelta(minutes=1), "it ran"
