"""The ledger: who holds a delivery, what may be sent, and what is on record of it, whoever crashes or comes late."""

import threading
from collections import Counter
from datetime import timedelta

import pytest
from ledger_rows import (
    BULK,
    NOON,
    attempts_at,
    change,
    claim_some,
    count,
    give_up,
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
from sqlalchemy import text, update

from newsletter.domain.deliveries import LEASE, SENDING_LEASE, DeliveryState, Pool
from newsletter.domain.editions import EditionState
from newsletter.domain.limits import Allowance
from newsletter.domain.lists import Cadence
from newsletter.domain.subscriptions import EndReason
from newsletter.domain.suppressions import SuppressionReason
from newsletter.storage import ledger, recovery
from newsletter.storage.deliveries import AttemptRow
from newsletter.storage.editions import EditionRow
from newsletter.storage.engine import Database
from newsletter.storage.ledger_lanes import _DUE, Lane, shares
from newsletter.storage.lists import ListRow, load_list_by_id
from newsletter.storage.stops import StopKind, lift_stop, put_stop
from newsletter.storage.subscriptions import end_subscription
from newsletter.storage.suppressions import add_suppression, lift_suppression

S = DeliveryState


@pytest.fixture
def ids(database: Database) -> list[int]:
    """Four deliveries of an edition that is being sent."""
    with database.transaction() as session:
        mailing_list = make_list(session)
        return queue_all(
            session,
            make_edition(session, mailing_list),
            make_readers(session, mailing_list, "ann", "bek", "eva", "ilya"),
        )


def test_a_claim_leases_what_is_due_to_one_worker(database, ids):
    with database.transaction() as session:
        [first, second] = ledger.claim(session, pool=BULK, allowance=Allowance(2), worker="here:1", token="t")

    assert ids[:2] == [first.id, second.id]
    assert ("ann@example.org", 0, NOON) == (first.address, first.attempts, first.mail_at)
    row = look(database, ids[0])
    assert (S.LEASED, "t", "here:1") == (row.state, row.lease_token, row.lease_owner)
    assert LEASE == row.lease_until - row.state_at
    assert [S.LEASED, S.LEASED, S.QUEUED, S.QUEUED] == states(database, *ids)


def test_what_is_claimed_is_not_claimed_again(database, ids):
    assert ids[:3] == claim_some(database, "a", limit=3)
    assert ids[3:] == claim_some(database, "b", limit=3)
    assert [] == claim_some(database, "c")


def test_what_waits_longest_is_claimed_first(database, ids):
    with database.transaction() as session:
        now = ledger.database_now(session)
    change(database, ids[1], available_at=now - timedelta(minutes=1))
    change(database, ids[3], available_at=now + timedelta(minutes=1))

    assert [[ids[1]], [ids[0]], [ids[2]], []] == [claim_some(database, token, limit=1) for token in "abcd"]


@pytest.mark.parametrize("state", [state for state in EditionState if state is not EditionState.SENDING])
def test_only_editions_that_are_being_sent_are_claimed(sqlite_database, state):
    with sqlite_database.transaction() as session:
        mailing_list = make_list(session)
        queue(session, make_edition(session, mailing_list, state), *make_readers(session, mailing_list, "ann"))

    assert [] == claim_some(sqlite_database)
    with sqlite_database.reading() as session:
        assert not ledger.has_due(session, BULK)


def test_lanes_do_not_mix(database, ids):
    with database.transaction() as session:
        [late] = make_readers(session, make_list(session, "other"), "late")
        confirmation = queue(session, None, late)

    assert [confirmation] == claim_some(database, "a", pool=Pool.TRANSACTIONAL)
    assert ids == claim_some(database, "b", pool=BULK)


def test_has_due_says_what_a_claim_would_find(database, ids):
    with database.transaction() as session:
        assert ledger.has_due(session, BULK)
        assert not ledger.has_due(session, Pool.TRANSACTIONAL)
    claim_some(database)
    with database.transaction() as session:
        assert not ledger.has_due(session, BULK)
    assert len(ids) == Counter(states(database, *ids))[S.LEASED]


def test_a_row_whose_leases_ran_out_is_claimed_alone(database, ids):
    change(database, ids[1], lapses=2)
    change(database, ids[2], lapses=2)

    assert [[ids[0], ids[3]], [ids[1]], [ids[2]], []] == [claim_some(database, token) for token in "abcd"]


def test_a_suspect_at_the_head_of_the_queue_does_not_block_it(database, ids):
    change(database, ids[0], lapses=2)

    assert [[ids[0]], ids[1:]] == [claim_some(database, token) for token in "ab"]


def test_one_lapse_makes_no_suspect(database, ids):
    change(database, ids[0], lapses=1)

    assert ids == claim_some(database)


@pytest.mark.slow
def test_any_number_of_claimers_share_no_row(database):
    with database.transaction() as session:
        mailing_list = make_list(session)
        readers = make_readers(session, mailing_list, *(f"reader{number}" for number in range(60)))
        ids = queue_all(session, make_edition(session, mailing_list), readers)
    taken: list[list[int]] = [[] for _ in range(4)]

    def take(place: int) -> None:
        while batch := claim_some(database, token=f"{place}-{len(taken[place])}", limit=3):
            taken[place] += batch
            assert set(batch) == turn(database, *batch, token=f"{place}-{len(taken[place]) - len(batch)}").keys()

    threads = [threading.Thread(target=take, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ids == sorted(each for some in taken for each in some)
    assert {1} == {look(database, each).attempts for each in ids}


def test_claimers_wait_for_nobody(postgresql_database):
    """Another claimer's open transaction is stepped over, not waited for."""
    with postgresql_database.transaction() as session:
        mailing_list = make_list(session)
        ids = queue_all(session, make_edition(session, mailing_list), make_readers(session, mailing_list, "ann", "bek"))
    with postgresql_database.transaction() as session:
        ledger.claim(session, pool=BULK, allowance=Allowance(1), worker="slow", token="slow")
        assert ids[1:] == claim_some(postgresql_database, "quick")


def test_what_may_be_sent_is_written_ahead(database, ids):
    claim_some(database, "a", limit=2)
    cleared = turn(database, *ids[:2])

    assert {ids[0]: 1, ids[1]: 1} == cleared
    assert [S.SENDING, S.SENDING, S.QUEUED, S.QUEUED] == states(database, *ids)
    row = look(database, ids[0])
    assert (1, "worker-a", "a", SENDING_LEASE) == (
        row.attempts,
        row.lease_owner,
        row.lease_token,
        row.lease_until - row.state_at,
    )


def test_a_turn_that_is_repeated_changes_nothing(database, ids):
    """A commit whose answer was lost is asked for again, and clears the same mails under the same attempts."""
    claim_some(database, "a", limit=2)
    first = turn(database, *ids[:2])
    before = [look(database, each).lease_until for each in ids[:2]]
    again = turn(database, *ids[:2])

    assert first == again
    assert before == [look(database, each).lease_until for each in ids[:2]]


def test_what_a_repeated_turn_tells_is_recorded_once(database, ids):
    send_first(database, ids[0])
    words = [told(ids[0], S.QUEUED, wait=timedelta(minutes=5), costs_a_try=True)]
    turn(database, told=words)
    before = look(database, ids[0]), attempts_at(database, ids[0])[0].finished_at
    turn(database, told=words)
    after = look(database, ids[0]), attempts_at(database, ids[0])[0].finished_at

    assert 1 == before[0].tries == after[0].tries
    assert (before[0].state_at, before[0].available_at, before[1]) == (
        after[0].state_at,
        after[0].available_at,
        after[1],
    )


def test_suppressed_since_fan_out_gets_nothing(database, ids):
    claim_some(database)
    with database.transaction() as session:
        add_suppression(session, "ann", SuppressionReason.COMPLAINT, now=NOON)
        add_suppression(session, "bek", SuppressionReason.COMPLAINT, now=NOON)
        lift_suppression(session, "bek", now=NOON)

    assert set(ids[1:]) == turn(database, *ids).keys()
    assert S.SUPPRESSED == look(database, ids[0]).state
    assert "suppressed" in look(database, ids[0]).reason


def test_what_was_written_ahead_and_doubted_before_its_sender_heard_so_is_queued_again(database, ids):
    """A commit whose answer was lost, and asked for again too late: nobody can have sent these."""
    claim_some(database)
    sent, unsent = ids[:2]
    assert {sent: 1} == turn(database, sent)
    assert {unsent: 1} == turn(database, unsent)
    lapse(database, sent, unsent)
    with database.transaction() as session:
        recovery.doubt_lapsed(session)
    assert {} == turn(database, unsent)

    assert [S.IN_DOUBT, S.QUEUED] == states(database, sent, unsent)
    [attempt] = attempts_at(database, unsent)
    assert "unsent" == attempt.outcome
    assert [unsent] == claim_some(database, "b")


def test_what_is_too_late_is_not_sent(database, ids):
    claim_some(database)
    with database.transaction() as session:
        now = ledger.database_now(session)
    change(database, ids[0], deadline_at=now)
    change(database, ids[1], deadline_at=None)

    assert set(ids[1:]) == turn(database, *ids).keys()
    assert S.EXPIRED == look(database, ids[0]).state


@pytest.mark.parametrize("state", [EditionState.PAUSED, EditionState.CANCELLED])
def test_an_edition_stopped_since_the_claim_is_not_sent(database, ids, state):
    claim_some(database)
    with database.transaction() as session:
        set_edition(session, look(database, ids[0]).edition_id, state)

    assert {} == turn(database, *ids)
    assert [S.QUEUED] * 4 == states(database, *ids)
    assert [None] * 4 == [look(database, each).lease_token for each in ids]
    assert 0 == count(database, AttemptRow)


def test_a_reader_who_left_gets_nothing_even_if_nobody_cancelled_their_mail(database, ids):
    """Fan-out and leaving at the same moment do not see each other; the turn sees both."""
    claim_some(database)
    with database.transaction() as session:
        subscription_id = look(database, ids[0]).subscription_id
        end_subscription(session, subscription_id, EndReason.UNSUBSCRIBED, now=NOON)

    assert set(ids[1:]) == turn(database, *ids).keys()
    assert S.CANCELLED == look(database, ids[0]).state
    assert "subscription" in look(database, ids[0]).reason


def test_a_reader_who_chose_anew_still_gets_what_was_fanned_out(database, ids):
    claim_some(database)
    with database.transaction() as session:
        row = look(database, ids[0])
        end_subscription(session, row.subscription_id, EndReason.CHANGED, now=NOON)
        make_readers(session, load_list_by_id(session, row.list_id), "ann", language="ru")

    assert ids == sorted(turn(database, *ids))


def test_a_confirmation_needs_no_confirmed_subscription(database):
    with database.transaction() as session:
        [late] = make_readers(session, make_list(session), "late")
        delivery_id = queue(session, None, late)
        end_subscription(session, late.id, EndReason.CHANGED, now=NOON)
    claim_some(database, pool=Pool.TRANSACTIONAL)

    assert [delivery_id] == list(turn(database, delivery_id))


def test_whoever_lost_a_lease_to_another_sends_nothing(database, ids):
    claim_some(database, "a", limit=1)
    with database.transaction() as session:
        ledger.release(session, ids[:1], "a")
    claim_some(database, "b", limit=1)

    assert {} == turn(database, ids[0], token="a")
    assert (S.LEASED, "b") == (look(database, ids[0]).state, look(database, ids[0]).lease_token)
    assert {ids[0]: 1} == turn(database, ids[0], token="b")


def test_whose_lease_ran_out_sends_nothing(database, ids):
    claim_some(database, "a", limit=1)
    lapse(database, ids[0])

    assert {} == turn(database, ids[0], token="a")
    assert S.QUEUED == look(database, ids[0]).state
    assert 0 == count(database, AttemptRow)


@pytest.mark.parametrize("strange", [{"token": "b"}, {"attempt": 2}, {"attempt": 0}])
def test_what_a_stranger_tells_changes_nothing(database, ids, strange):
    send_first(database, ids[0])
    before = look(database, ids[0]).lease_until
    turn(database, told=[told(ids[0], S.ACCEPTED, **strange)])
    row = look(database, ids[0])

    assert (S.SENDING, "a", before) == (row.state, row.lease_token, row.lease_until)
    assert [] == attempts_at(database, ids[0])


def test_a_yes_ends_a_delivery(database, ids):
    send_first(database, ids[0])
    change(database, ids[0], lapses=3)
    turn(database, told=[told(ids[0], S.ACCEPTED, enhanced="2.0.0")])
    row, [attempt] = look(database, ids[0]), attempts_at(database, ids[0])

    assert ("worker-a", "a", 1) == (attempt.worker, attempt.lease_token, attempt.n)
    assert attempt.started_at < attempt.finished_at
    assert (S.ACCEPTED, None, None, None, 0, 0) == (
        row.state,
        row.lease_token,
        row.lease_until,
        row.reason,
        row.lapses,
        row.tries,
    )
    assert row.accepted_at == row.state_at == attempt.finished_at
    assert ("accepted", "dot", 250, "2.0.0", "words of the relay") == (
        attempt.outcome,
        attempt.stage,
        attempt.code,
        attempt.enhanced,
        attempt.reply,
    )


WORDS = ['say "so"', "back\\slash \\", "{braces, commas}", "NULL", "", "don't", "Ошибка — 𝛑", None]


def test_words_of_a_relay_are_kept_as_they_are(database, ids):
    for number, (first, second) in enumerate(zip(WORDS[::2], WORDS[1::2], strict=True)):
        send_first(database, ids[number])
        turn(database, told=[told(ids[number], S.FAILED, reply=first, reason=second, enhanced=None, code=None)])
        [attempt] = attempts_at(database, ids[number])

        assert (first, None, None) == (attempt.reply, attempt.enhanced, attempt.code)
        assert second == look(database, ids[number]).reason


def test_a_refusal_for_now_waits_in_the_queue(database, ids):
    send_first(database, ids[0])
    turn(database, told=[told(ids[0], S.QUEUED, wait=timedelta(minutes=5), costs_a_try=True)])
    row = look(database, ids[0])

    assert (S.QUEUED, 1, 1, None) == (row.state, row.tries, row.attempts, row.lease_token)
    assert timedelta(minutes=5) == row.available_at - row.state_at
    assert ids[0] not in claim_some(database, "b")


def test_a_refusal_for_good_says_why(database, ids):
    send_first(database, ids[0])
    turn(database, told=[told(ids[0], S.FAILED, reason="no such user", costs_a_try=True)])
    row = look(database, ids[0])

    assert (S.FAILED, "no such user", None) == (row.state, row.reason, row.accepted_at)


def test_a_micro_batch_of_different_ends_is_recorded_in_one_turn_with_the_next(database, ids):
    claim_some(database, "a", limit=3)
    turn(database, *ids[:3])
    claim_some(database, "b")
    words = [
        told(ids[0], S.ACCEPTED),
        told(ids[1], S.FAILED, reason="no such user"),
        told(ids[2], S.IN_DOUBT, reason="no reply"),
    ]

    assert {ids[3]: 1} == turn(database, ids[3], token="b", told=words)
    assert [S.ACCEPTED, S.FAILED, S.IN_DOUBT, S.SENDING] == states(database, *ids)
    assert all(attempts_at(database, each)[0].finished_at for each in ids[:3])


def test_a_second_attempt_is_a_row_of_its_own(database, ids):
    send_first(database, ids[0])
    turn(database, told=[told(ids[0], S.QUEUED)])
    claim_some(database, "b")

    assert {ids[0]: 2} == turn(database, ids[0], token="b")
    turn(database, told=[told(ids[0], S.ACCEPTED, 2, "b")])
    assert [(1, "relay_deferred"), (2, "accepted")] == [
        (each.n, each.outcome) for each in attempts_at(database, ids[0])
    ]


@pytest.mark.parametrize("state", [S.IN_DOUBT, S.QUEUED])
def test_a_late_yes_is_evidence(database, ids, state):
    """The sweeper gave up, then the sender that was thought dead told what the relay had said."""
    send_first(database, ids[0])
    give_up(database, ids[0])
    change(database, ids[0], state=state)
    turn(database, told=[told(ids[0], S.ACCEPTED)])
    row, [attempt] = look(database, ids[0]), attempts_at(database, ids[0])

    assert (S.ACCEPTED, None, 0) == (row.state, row.reason, row.lapses)
    assert row.accepted_at is not None
    assert "accepted" == attempt.outcome


def test_a_late_yes_takes_a_resend_out_of_its_sender_s_hands(database, ids):
    send_first(database, ids[0])
    give_up(database, ids[0])
    change(database, ids[0], state=S.QUEUED, resends=1)
    claim_some(database, "b", limit=1)
    turn(database, told=[told(ids[0], S.ACCEPTED)])

    assert {} == turn(database, ids[0], token="b")
    assert (S.ACCEPTED, 1) == (look(database, ids[0]).state, look(database, ids[0]).attempts)


@pytest.mark.parametrize("state", [S.SENDING, S.IN_DOUBT, S.QUEUED, S.FAILED])
def test_a_late_yes_does_not_settle_an_attempt_that_was_begun_after_it(database, ids, state):
    send_first(database, ids[0])
    give_up(database, ids[0])
    change(database, ids[0], state=S.QUEUED, resends=1)
    send_first(database, ids[0], token="b")
    change(database, ids[0], state=state, lease_token="b" if state is S.SENDING else None)
    turn(database, told=[told(ids[0], S.ACCEPTED, attempt=1)])

    assert (state, 2) == (look(database, ids[0]).state, look(database, ids[0]).attempts)
    assert ["accepted"] == [each.outcome for each in attempts_at(database, ids[0])]


@pytest.mark.parametrize("state", [S.QUEUED, S.FAILED])
def test_a_late_definite_no_ends_the_doubt(database, ids, state):
    """As after a database was away for longer than a lease: what was not begun is certainly not sent."""
    send_first(database, ids[0])
    give_up(database, ids[0])
    turn(database, told=[told(ids[0], state, reason="no")])

    assert (state, "no", 1) == (
        look(database, ids[0]).state,
        look(database, ids[0]).reason,
        look(database, ids[0]).attempts,
    )


@pytest.mark.parametrize("end", [EditionState.DONE, EditionState.CANCELLED])
def test_a_late_no_puts_nothing_back_into_the_queue_of_an_edition_that_has_ended(database, ids, end):
    """There nobody would look for it; as what came too late its articles are owed to its reader."""
    send_first(database, ids[0])
    give_up(database, ids[0])
    edition_id = look(database, ids[0]).edition_id
    with database.transaction() as session:
        session.get_one(EditionRow, edition_id).state = end
    turn(database, told=[told(ids[0], S.QUEUED, reason="later")])

    assert (S.EXPIRED, "later") == (look(database, ids[0]).state, look(database, ids[0]).reason)
    with database.reading() as session:
        assert {"expired": 1, "leased": 3} == session.get_one(EditionRow, edition_id).counts


def test_a_late_no_does_not_undo_what_was_settled(database, ids):
    send_first(database, ids[0])
    change(database, ids[0], state=S.ACCEPTED, lease_token=None, accepted_at=NOON)
    turn(database, told=[told(ids[0], S.FAILED, reason="no")])

    assert (S.ACCEPTED, None) == (look(database, ids[0]).state, look(database, ids[0]).reason)


def test_released_mail_is_due_at_once_and_costs_nothing(database, ids):
    claim_some(database, "a")
    with database.transaction() as session:
        ledger.release(session, ids[:2], "a")
        ledger.release(session, ids[2:], "somebody else")

    assert [S.QUEUED, S.QUEUED, S.LEASED, S.LEASED] == states(database, *ids)
    assert (0, 0, 0) == (look(database, ids[0]).attempts, look(database, ids[0]).tries, look(database, ids[0]).lapses)
    assert ids[:2] == claim_some(database, "b")


def test_what_cannot_be_built_has_failed_in_the_hands_of_its_holder_alone(database, ids):
    claim_some(database, "a", limit=2)
    with database.transaction() as session:
        ledger.fail_leased(session, ids[0], "a", "the address is none")
        ledger.fail_leased(session, ids[1], "b", "the address is none")

    assert [S.FAILED, S.LEASED] == states(database, *ids[:2])
    assert ("the address is none", None) == (look(database, ids[0]).reason, look(database, ids[0]).lease_token)


def test_counts_name_every_state_that_there_is(database, ids):
    claim_some(database, "a", limit=1)
    edition_id = look(database, ids[0]).edition_id
    with database.reading() as session:
        assert {S.LEASED: 1, S.QUEUED: 3} == ledger.counts_by_state(session, edition_id)


def test_nothing_is_claimed_or_written_ahead_while_anything_is_stopped(database, ids):
    claim_some(database, "a", limit=1)
    with database.transaction() as session:
        put_stop(session, StopKind.PAUSE, reason="the wrong list", by="ann")

    assert [] == claim_some(database, "b")
    assert {} == turn(database, ids[0])
    assert [S.QUEUED] * 4 == states(database, *ids)
    with database.transaction() as session:
        assert not ledger.has_due(session, BULK)
        lift_stop(session, StopKind.PAUSE)
    assert ids == claim_some(database, "c")


def test_the_digests_of_a_paused_list_wait_and_no_other_s(database, ids):
    with database.transaction() as session:
        other = make_list(session, "other")
        others = queue_all(session, make_edition(session, other), make_readers(session, other, "kim"))
        session.execute(update(ListRow).where(ListRow.slug == "weekly").values(paused_at=NOON))

    assert others == claim_some(database, "a")
    with database.transaction() as session:
        session.execute(update(ListRow).values(paused_at=None))
    assert ids == claim_some(database, "b")
    with database.transaction() as session:
        session.execute(update(ListRow).where(ListRow.slug == "weekly").values(paused_at=NOON))
    assert {} == turn(database, *ids, token="b")
    assert [S.QUEUED] * 4 == states(database, *ids)


def test_a_claim_takes_of_a_canary_what_is_left_of_it(database, ids):
    edition_id = look(database, ids[0]).edition_id
    for each in ids[2:]:
        change(database, each, provider="gmail")
    with database.transaction() as session:
        set_edition(session, edition_id, EditionState.SENDING, canary_left=3)

    taken = claim_some(database, "a", limit=2) + claim_some(database, "b")
    assert 3 == len(set(taken))
    assert [] == claim_some(database, "c")
    with database.transaction() as session:
        assert 0 == session.get_one(EditionRow, edition_id).canary_left
        set_edition(session, edition_id, EditionState.SENDING, canary_left=None)
    assert 1 == len(claim_some(database, "d"))


def test_a_provider_gets_no_more_than_it_is_allowed_and_the_others_their_share(database, ids):
    for each in ids[:3]:
        change(database, each, provider="gmail")
    with database.transaction() as session:
        other = make_list(session, "other")
        [late] = queue_all(session, make_edition(session, other), make_readers(session, other, "kim"), provider="gmail")

    assert ids[3:] == claim_some(database, "a", gmail=0)
    assert 1 == len(claim_some(database, "b", gmail=1))
    assert [] == claim_some(database, "c", limit=0)
    rest = claim_some(database, "d", limit=9) + claim_some(database, "e", limit=9)
    assert 3 == len(rest)
    assert {*ids[:3], late} >= set(rest)


def test_news_sent_at_once_overtakes_digests(database, ids):
    with database.transaction() as session:
        mailing_list = make_list(session, "other")
        [reader] = make_readers(session, mailing_list, "kim", cadence=Cadence.IMMEDIATE)
        edition = make_edition(session, mailing_list, cadence=Cadence.IMMEDIATE)
        news = queue(session, edition, reader)

    assert [[news], [ids[0]]] == [claim_some(database, token, limit=1) for token in "ab"]


def test_answers_of_several_leases_are_recorded_in_one_turn(database, ids):
    for token, delivery_id in zip("ab", ids, strict=False):
        claim_some(database, token, limit=1)
        turn(database, delivery_id, token=token)

    turn(database, told=[told(ids[0], S.ACCEPTED, token="a"), told(ids[1], S.FAILED, token="b", reason="gone")])
    assert [S.ACCEPTED, S.FAILED] == states(database, *ids[:2])
    assert ["a", "b"] == [attempts_at(database, each)[0].lease_token for each in ids[:2]]


def test_shares_never_exceed_what_a_provider_or_a_canary_is_allowed():
    lanes = [
        Lane(edition_id, provider, is_urgent=False, canary_left=canary_left, oldest_at=NOON)
        for edition_id, canary_left in ((1, None), (2, 5), (3, 1))
        for provider in ("gmail", "other", "yahoo")
    ]
    for total in (1, 2, 20, 500):
        found = shares(lanes, Allowance(total, {"gmail": 7, "yahoo": 0}))
        by_provider, by_edition = Counter(), Counter()
        for share in found:
            by_provider[share.lane.provider] += share.most
            by_edition[share.lane.edition_id] += share.most
        assert by_provider["gmail"] <= 7
        assert not by_provider["yahoo"]
        assert by_edition[2] <= 5
        assert by_edition[3] <= 1
        assert sum(share.most for share in found if share.lane.provider == "other") >= min(total, 1)


def test_looking_for_mail_reads_nothing_past_what_must_wait(postgresql_database):
    """Neither a paused edition's mail nor a provider's without allowance is passed over row by row."""
    with postgresql_database.transaction() as session:
        mailing_list = make_list(session)
        readers = make_readers(session, mailing_list, *(f"reader{number}" for number in range(41)))
        paused = make_edition(session, mailing_list, EditionState.PAUSED)
        sending = make_edition(session, mailing_list, slot_key="2026-W13")
        queue_all(session, paused, readers)
        queue_all(session, sending, readers[:40], provider="gmail")
        last = queue(session, sending, readers[40])
    with postgresql_database.transaction() as session:
        plan = "\n".join(session.execute(text("EXPLAIN " + str(_DUE[BULK, False].element))).scalars())

    assert [last] == claim_some(postgresql_database, "a", gmail=0)
    assert "ix_delivery_due" in plan
    assert "Seq Scan on delivery" not in plan
