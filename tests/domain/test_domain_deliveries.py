"""Deliveries: which state may follow which, what an answer does, how long to wait."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.domain.deliveries import (
    ENDED,
    MOVES,
    NOT_RECEIVED,
    POLICY_WAIT,
    RELAY_WAIT,
    DeliveryState,
    Move,
    back_off,
    next_move,
)
from newsletter.domain.replies import Verdict

S = DeliveryState
ALLOWED = {
    (S.QUEUED, S.LEASED): "claimed",
    (S.QUEUED, S.SUPPRESSED): "the address was suppressed",
    (S.QUEUED, S.CANCELLED): "its subscription or its edition ended",
    (S.QUEUED, S.EXPIRED): "too late",
    (S.QUEUED, S.ACCEPTED): "a late yes, before its resend",
    (S.LEASED, S.QUEUED): "released, lapsed, or moved to another variant",
    (S.LEASED, S.SENDING): "written ahead",
    (S.LEASED, S.SUPPRESSED): "found in the turn",
    (S.LEASED, S.CANCELLED): "its subscription or its edition ended",
    (S.LEASED, S.EXPIRED): "found in the turn",
    (S.LEASED, S.FAILED): "cannot be built, or poison",
    (S.LEASED, S.ACCEPTED): "a late yes, before its resend",
    (S.SENDING, S.ACCEPTED): "250",
    (S.SENDING, S.QUEUED): "certainly not accepted, to be tried again",
    (S.SENDING, S.FAILED): "refused for good",
    (S.SENDING, S.IN_DOUBT): "no reply after the dot, or its lease lapsed",
    (S.IN_DOUBT, S.ACCEPTED): "evidence",
    (S.IN_DOUBT, S.QUEUED): "resent once",
    (S.IN_DOUBT, S.FAILED): "evidence",
    (S.IN_DOUBT, S.EXPIRED): "settled by staff",
    (S.FAILED, S.QUEUED): "sent again by staff",
}


@pytest.mark.parametrize("after", S)
@pytest.mark.parametrize("before", S)
def test_every_move_is_allowed_or_refused_on_purpose(before, after):
    assert ((before, after) in ALLOWED) == (after in MOVES[before])


def test_nothing_leaves_an_end_but_what_failed_and_a_person_sends_again():
    assert {S.ACCEPTED, S.FAILED, S.SUPPRESSED, S.CANCELLED, S.EXPIRED} == set(ENDED)
    assert {state for state in S if not MOVES[state]} == set(ENDED) - {S.FAILED}
    assert MOVES[S.FAILED] == {S.QUEUED}


def test_doubt_and_acceptance_count_as_received():
    assert {S.FAILED, S.SUPPRESSED, S.CANCELLED, S.EXPIRED} == set(NOT_RECEIVED)


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Verdict.ACCEPTED, Move(S.ACCEPTED)),
        (Verdict.RECIPIENT_FAILED, Move(S.FAILED, costs_a_try=True)),
        (Verdict.RECIPIENT_DEFERRED, Move(S.QUEUED, timedelta(minutes=5), costs_a_try=True)),
        (Verdict.RELAY_DEFERRED, Move(S.QUEUED, RELAY_WAIT)),
        (Verdict.POLICY_REFUSED, Move(S.QUEUED, POLICY_WAIT)),
        (Verdict.CONTENT_REFUSED, Move(S.QUEUED, RELAY_WAIT)),
        (Verdict.IN_DOUBT, Move(S.IN_DOUBT)),
        (Verdict.UNSENT, Move(S.QUEUED)),
    ],
)
def test_an_answer_decides_what_becomes_of_a_delivery(verdict, expected):
    assert expected == next_move(verdict, tries=0, jitter=0.5, may_retry_content=True)


def test_every_verdict_has_a_move_that_sending_allows():
    for verdict in Verdict:
        for may_retry in (True, False):
            move = next_move(verdict, tries=3, jitter=0, may_retry_content=may_retry)
            assert move.state in MOVES[S.SENDING]


def test_a_refused_confirmation_has_failed_since_no_edition_can_be_paused_for_it():
    assert Move(S.FAILED) == next_move(Verdict.CONTENT_REFUSED, tries=0, jitter=0, may_retry_content=False)


def test_only_answers_about_the_recipient_cost_a_try():
    costly = {
        verdict for verdict in Verdict if next_move(verdict, tries=0, jitter=0, may_retry_content=True).costs_a_try
    }

    assert {Verdict.RECIPIENT_DEFERRED, Verdict.RECIPIENT_FAILED} == costly


@pytest.mark.parametrize(
    ("tries", "minutes"), [(0, 5), (1, 5), (2, 15), (3, 30), (4, 60), (5, 120), (6, 240), (7, 240), (1000, 240)]
)
def test_waits_grow_to_four_hours(tries, minutes):
    assert timedelta(minutes=minutes) == back_off(tries, jitter=0.5)


@given(st.integers(0, 50), st.floats(0, 1, exclude_max=True))
def test_jitter_spreads_a_wait_by_a_fifth_to_either_side(tries, jitter):
    middle = back_off(tries, jitter=0.5)

    assert middle * 0.8 <= back_off(tries, jitter) <= middle * 1.2
    assert back_off(tries, 0) <= back_off(tries, jitter)
