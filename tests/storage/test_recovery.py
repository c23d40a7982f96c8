"""Recovery: what is found of mail whose sender went silent, and what becomes of doubts and deadlines."""

from datetime import timedelta

import pytest
from ledger_rows import (
    attempts_at,
    change,
    claim_some,
    lapse,
    look,
    make_edition,
    make_list,
    make_readers,
    queue,
    queue_all,
    send_first,
    set_edition,
    states,
    told,
    turn,
)
from sqlalchemy import event

from newsletter.domain.deliveries import HOLD_AFTER, MAX_LAPSES, DeliveryState, Pool
from newsletter.domain.editions import EditionState
from newsletter.domain.lists import InDoubtPolicy
from newsletter.storage import recovery
from newsletter.storage.deliveries import DeliveryRow
from newsletter.storage.engine import Database, database_now
from newsletter.storage.mailings import forget_address
from newsletter.storage.subscriptions import SubscriptionRow

S = DeliveryState
HOUR = timedelta(hours=1)


@pytest.fixture
def ids(database: Database) -> list[int]:
    """Three deliveries of an edition that is being sent, of a list that holds what is in doubt."""
    return some(database, InDoubtPolicy.HOLD)


def some(database: Database, policy: InDoubtPolicy) -> list[int]:
    with database.transaction() as session:
        mailing_list = make_list(session, policy=policy)
        edition = make_edition(session, mailing_list)
        return queue_all(session, edition, make_readers(session, mailing_list, "ann", "bek", "eva"))


def run(database: Database, step) -> int:
    with database.transaction() as session:
        return step(session)


def ago(database: Database, span: timedelta):
    with database.reading() as session:
        return database_now(session) - span


def doubt(database: Database, delivery_id: int, **values) -> None:
    """Let a delivery have been in doubt for an hour."""
    send_first(database, delivery_id)
    change(database, delivery_id, state=S.IN_DOUBT, lease_token=None, **({"state_at": ago(database, HOUR)} | values))


def test_what_was_leased_and_never_sent_is_queued_again(database, ids):
    claim_some(database)
    lapse(database, *ids[:2])

    assert 2 == run(database, recovery.requeue_lapsed)
    assert [S.QUEUED, S.QUEUED, S.LEASED] == states(database, *ids)
    row = look(database, ids[0])
    assert (1, 0, 0, None, None) == (row.lapses, row.attempts, row.tries, row.lease_token, row.reason)
    assert 0 == run(database, recovery.requeue_lapsed)
    assert ids[:2] == claim_some(database, "b")


def test_a_row_that_kills_whoever_touches_it_has_failed(database, ids):
    for lapses in range(1, MAX_LAPSES + 1):
        assert ids[0] in claim_some(database, f"t{lapses}", limit=1)
        lapse(database, ids[0])
        run(database, recovery.requeue_lapsed)
        assert lapses == look(database, ids[0]).lapses
        assert (S.FAILED if lapses == MAX_LAPSES else S.QUEUED) == look(database, ids[0]).state

    assert look(database, ids[0]).reason.startswith("poison")
    assert [S.QUEUED, S.QUEUED] == states(database, *ids[1:])


def test_an_answer_shows_that_a_row_is_no_poison(database, ids):
    change(database, ids[0], lapses=MAX_LAPSES - 1)
    send_first(database, ids[0])
    turn(database, told=[told(ids[0], S.QUEUED)])
    claim_some(database, "b")
    lapse(database, ids[0])
    run(database, recovery.requeue_lapsed)

    assert (S.QUEUED, 1) == (look(database, ids[0]).state, look(database, ids[0]).lapses)


def test_what_may_have_been_sent_is_in_doubt(database, ids):
    send_first(database, *ids)
    lapse(database, ids[0])

    assert 0 == run(database, recovery.requeue_lapsed)
    assert 1 == run(database, recovery.doubt_lapsed)
    assert [S.IN_DOUBT, S.SENDING, S.SENDING] == states(database, *ids)
    [attempt] = attempts_at(database, ids[0])
    assert "unknown" == attempt.outcome
    assert attempt.finished_at is not None
    assert ("worker-a", "a", 1) == (attempt.worker, attempt.lease_token, attempt.n)
    assert attempt.started_at < attempt.finished_at
    assert [] == attempts_at(database, ids[1])
    assert 0 == run(database, recovery.doubt_lapsed)


def test_a_lease_that_runs_is_left_alone(database, ids):
    claim_some(database, limit=1)
    send_first(database, ids[1], token="b")

    assert 0 == run(database, recovery.requeue_lapsed) + run(database, recovery.doubt_lapsed)
    assert [S.LEASED, S.SENDING] == states(database, *ids[:2])


def test_a_late_yes_ends_what_the_sweeper_doubted(database, ids):
    send_first(database, ids[0])
    lapse(database, ids[0])
    run(database, recovery.doubt_lapsed)
    turn(database, told=[told(ids[0], S.ACCEPTED)])

    assert S.ACCEPTED == look(database, ids[0]).state
    assert ["accepted"] == [each.outcome for each in attempts_at(database, ids[0])]


def test_old_news_is_never_sent_late(database, ids):
    claim_some(database, limit=1)
    for each in ids:
        change(database, each, deadline_at=ago(database, timedelta()))
    change(database, ids[2], deadline_at=None)

    assert 0 == run(database, recovery.expire_overdue), "its edition may still be sent"
    with database.transaction() as session:
        until = database_now(session)
        set_edition(session, look(database, ids[0]).edition_id, EditionState.PAUSED, send_until=until)
    assert 1 == run(database, recovery.expire_overdue)
    assert [S.LEASED, S.EXPIRED, S.QUEUED] == states(database, *ids)
    assert "deadline" in look(database, ids[1]).reason
    assert 0 == run(database, recovery.expire_overdue)


def test_a_confirmation_is_never_sent_late(database):
    with database.transaction() as session:
        readers = make_readers(session, make_list(session), "ann", "bek")
        ids = [queue(session, None, each) for each in readers]
    change(database, ids[0], deadline_at=ago(database, timedelta()))

    assert 1 == run(database, recovery.expire_overdue)
    assert [S.EXPIRED, S.QUEUED] == states(database, *ids)


def test_what_is_in_doubt_stays_so_where_the_list_holds_it(database, ids):
    doubt(database, ids[0])

    assert 0 == run(database, recovery.resend_doubted)
    assert S.IN_DOUBT == look(database, ids[0]).state


def test_what_is_in_doubt_is_sent_again_once_where_the_list_says_so(database):
    ids = some(database, InDoubtPolicy.RESEND_ONCE)
    doubt(database, ids[0])
    before = look(database, ids[0])

    assert 1 == run(database, recovery.resend_doubted)
    after = look(database, ids[0])
    assert (S.QUEUED, 1) == (after.state, after.resends)
    assert (before.mail_token, before.mail_at) == (after.mail_token, after.mail_at)

    doubt(database, ids[0])
    assert 0 == run(database, recovery.resend_doubted)
    assert (S.IN_DOUBT, 2) == (look(database, ids[0]).state, look(database, ids[0]).attempts)


@pytest.mark.parametrize(
    "late",
    [
        pytest.param({"state_at": timedelta(minutes=4)}, id="evidence may still come"),
        pytest.param({"deadline_at": timedelta()}, id="its deadline has passed"),
    ],
)
def test_nothing_is_sent_again_too_soon_or_too_late(database, late):
    ids = some(database, InDoubtPolicy.RESEND_ONCE)
    doubt(database, ids[0], **{name: ago(database, span) for name, span in late.items()})

    assert 0 == run(database, recovery.resend_doubted)


@pytest.mark.parametrize("state", [EditionState.CANCELLED, EditionState.DONE])
def test_nothing_of_an_edition_that_has_ended_is_sent_again(database, state):
    """It would stay in the queue for ever."""
    ids = some(database, InDoubtPolicy.RESEND_ONCE)
    doubt(database, ids[0])
    with database.transaction() as session:
        set_edition(session, look(database, ids[0]).edition_id, state)

    assert 0 == run(database, recovery.resend_doubted)
    assert S.IN_DOUBT == look(database, ids[0]).state


def test_nothing_of_an_edition_that_ends_at_that_moment_is_sent_again(postgresql_database):
    ids = some(postgresql_database, InDoubtPolicy.RESEND_ONCE)
    doubt(postgresql_database, ids[0])
    with postgresql_database.transaction() as session:
        set_edition(session, look(postgresql_database, ids[0]).edition_id, EditionState.DONE)
        assert 0 == run(postgresql_database, recovery.resend_doubted)
    assert S.IN_DOUBT == look(postgresql_database, ids[0]).state


def test_a_confirmation_in_doubt_is_sent_again_whatever_its_list_does(database):
    with database.transaction() as session:
        [late] = make_readers(session, make_list(session), "late")
        delivery_id = queue(session, None, late)
    claim_some(database, pool=Pool.TRANSACTIONAL)
    turn(database, delivery_id)
    change(database, delivery_id, state=S.IN_DOUBT, lease_token=None, state_at=ago(database, HOUR))

    assert 1 == run(database, recovery.resend_doubted)


def test_nothing_in_doubt_is_sent_again_to_a_reader_who_was_erased(database):
    """Neither an edition's mail nor a confirmation: it stays on record without an address."""
    ids = some(database, InDoubtPolicy.RESEND_ONCE)
    with database.transaction() as session:
        late = session.get_one(SubscriptionRow, look(database, ids[0]).subscription_id)
        confirmation_id = queue(session, None, late, content={"subject": "Confirm"})
    claim_some(database, pool=Pool.TRANSACTIONAL)
    turn(database, confirmation_id)
    doubt(database, ids[0])
    change(database, confirmation_id, state=S.IN_DOUBT, lease_token=None, state_at=ago(database, HOUR))
    with database.transaction() as session:
        forget_address(session, late.subscriber_id)

    assert 0 == run(database, recovery.resend_doubted)
    assert [S.IN_DOUBT, S.IN_DOUBT] == states(database, ids[0], confirmation_id)
    assert {None} == {look(database, each).address for each in (ids[0], confirmation_id)}


def test_an_edition_stays_open_while_anything_of_it_may_still_happen(database, ids):
    edition_id = look(database, ids[0]).edition_id

    def is_open() -> bool:
        with database.reading() as session:
            return recovery.has_open(session, edition_id)

    assert is_open()
    for delivery_id, end in zip(ids[1:], [S.FAILED, S.CANCELLED], strict=True):
        change(database, delivery_id, state=end)
    assert is_open(), "one is queued"
    claim_some(database)
    assert is_open(), "it is leased"
    turn(database, ids[0])
    assert is_open(), "it is being sent"
    change(database, ids[0], state=S.IN_DOUBT, lease_token=None)
    assert is_open(), "evidence may come"
    change(database, ids[0], state_at=ago(database, HOLD_AFTER))
    assert not is_open()


def test_what_comes_back_while_somebody_looks_keeps_its_edition_open(postgresql_database):
    database, ids = postgresql_database, some(postgresql_database, InDoubtPolicy.HOLD)
    for delivery_id in ids[1:]:
        change(database, delivery_id, state=S.FAILED)
    send_first(database, ids[0])

    edition_id = look(database, ids[0]).edition_id
    moved: list[int] = []

    def put_off(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "'queued'" in statement and not moved:
            moved.append(ids[0])
            change(database, ids[0], state=S.QUEUED, lease_token=None)

    with database.transaction() as session:
        event.listen(database.engine, "after_cursor_execute", put_off)
        is_open = recovery.has_open(session, edition_id)
        event.remove(database.engine, "after_cursor_execute", put_off)
    assert is_open
    assert moved == ids[:1]


def test_two_sweepers_do_not_wait_for_each_other(postgresql_database):
    ids = some(postgresql_database, InDoubtPolicy.HOLD)
    claim_some(postgresql_database)
    lapse(postgresql_database, *ids)
    with postgresql_database.transaction() as session:
        assert 3 == recovery.requeue_lapsed(session)
        assert 0 == run(postgresql_database, recovery.requeue_lapsed)

    assert {1} == {look(postgresql_database, each).lapses for each in ids}


def test_one_pass_is_short(sqlite_database, monkeypatch):
    """Whatever is left is found by the next pass, seconds later."""
    monkeypatch.setattr(recovery, "PASS_LIMIT", 2)
    ids = some(sqlite_database, InDoubtPolicy.HOLD)
    claim_some(sqlite_database)
    lapse(sqlite_database, *ids)

    assert [2, 1, 0] == [run(sqlite_database, recovery.requeue_lapsed) for _ in range(3)]
    with sqlite_database.reading() as session:
        assert {1} == {session.get_one(DeliveryRow, each).lapses for each in ids}
