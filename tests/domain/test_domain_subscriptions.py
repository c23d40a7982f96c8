from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from newsletter.domain.filters import EVERYTHING, choose
from newsletter.domain.lists import Cadence, InDoubtPolicy, MailingList, Schedule, SectionsBy
from newsletter.domain.subscriptions import (
    CONFIRMATION_LIFETIME,
    UNDO_WINDOW,
    Choice,
    Confirmation,
    EndReason,
    SignUp,
    Subscription,
    SubscriptionState,
    decide_confirmation,
    decide_sign_up,
    fit_cadence,
    fit_filter,
    fit_language,
    left_out,
    may_mail_confirmation,
    may_undo,
)

NOON = datetime(2026, 3, 16, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WEEKLY = Choice(Cadence.WEEKLY, "en", 1)
DAILY = Choice(Cadence.DAILY, "en", 1)


def subscription(state: SubscriptionState = SubscriptionState.UNCONFIRMED, **changes) -> Subscription:
    plain = Subscription(
        id=1,
        uid="u",
        subscriber_id=1,
        list_id=1,
        cadence=Cadence.WEEKLY,
        language="en",
        filter_id=1,
        state=state,
        created_at=NOON,
        confirmed_at=NOON if state is SubscriptionState.CONFIRMED else None,
        ended_at=None,
        end_reason=None,
    )
    return replace(plain, **changes)


WAITING = subscription()
CONFIRMED = subscription(SubscriptionState.CONFIRMED)


def ended(reason: EndReason, **changes) -> Subscription:
    return subscription(SubscriptionState.ENDED, ended_at=NOON, end_reason=reason, **changes)


@pytest.mark.parametrize(
    ("mailed_days_ago", "expected"),
    [([], True), ([0.5], False), ([1], True), ([2, 3], True), ([2, 3, 29], False), ([2, 3, 30], True), ([0], False)],
)
def test_an_address_gets_one_confirmation_a_day_and_three_a_month(mailed_days_ago, expected):
    assert expected == may_mail_confirmation([NOON - days * DAY for days in mailed_days_ago], NOON)


@pytest.mark.parametrize(
    ("live", "choice", "may_mail", "expected"),
    [
        pytest.param(None, WEEKLY, True, SignUp.START, id="nobody yet"),
        pytest.param(None, WEEKLY, False, SignUp.START, id="another list, mail limit reached"),
        pytest.param(WAITING, WEEKLY, True, SignUp.REMIND, id="waits, asks the same"),
        pytest.param(WAITING, DAILY, True, SignUp.RENEW, id="waits, asks anew"),
        pytest.param(WAITING, DAILY, False, SignUp.NOTHING, id="waits, mail limit reached"),
        pytest.param(CONFIRMED, DAILY, True, SignUp.REMIND, id="confirmed, never changed by a form"),
        pytest.param(CONFIRMED, DAILY, False, SignUp.NOTHING, id="confirmed, mail limit reached"),
    ],
)
def test_a_sign_up_does_what_the_readers_standing_allows(live, choice, may_mail, expected):
    assert expected == decide_sign_up(live, choice, may_mail=may_mail)


@pytest.mark.parametrize(
    ("named", "live", "later", "expected"),
    [
        pytest.param(WAITING, WAITING, 6 * DAY, Confirmation.CONFIRM, id="in time"),
        pytest.param(WAITING, WAITING, CONFIRMATION_LIFETIME, Confirmation.EXPIRED, id="a moment too late"),
        pytest.param(CONFIRMED, CONFIRMED, 90 * DAY, Confirmation.ALREADY, id="pressed again, however late"),
        pytest.param(
            ended(EndReason.CHANGED), replace(WAITING, id=2), DAY, Confirmation.CONFIRM, id="asked anew since"
        ),
        pytest.param(ended(EndReason.CHANGED), replace(CONFIRMED, id=2), DAY, Confirmation.ALREADY, id="changed since"),
        pytest.param(ended(EndReason.NEVER_CONFIRMED), None, 9 * DAY, Confirmation.EXPIRED, id="lapsed"),
        pytest.param(ended(EndReason.UNSUBSCRIBED), None, DAY, Confirmation.ENDED, id="left since"),
        pytest.param(
            ended(EndReason.UNSUBSCRIBED), replace(WAITING, id=2), DAY, Confirmation.ENDED, id="somebody asked after it"
        ),
    ],
)
def test_a_confirmation_link_confirms_what_it_was_mailed_for(named, live, later, expected):
    assert expected == decide_confirmation(named, live, NOON + later)


@pytest.mark.parametrize(
    ("last", "later", "expected"),
    [
        pytest.param(ended(EndReason.UNSUBSCRIBED), timedelta(minutes=59), True, id="at once"),
        pytest.param(ended(EndReason.UNSUBSCRIBED), UNDO_WINDOW, False, id="too late"),
        pytest.param(ended(EndReason.COMPLAINED), timedelta(), False, id="complained"),
        pytest.param(ended(EndReason.ERASED), timedelta(), False, id="erased"),
        pytest.param(CONFIRMED, timedelta(), False, id="never left"),
    ],
)
def test_only_leaving_by_oneself_just_now_is_undone(last, later, expected):
    assert expected == may_undo(last, NOON + later)


def a_list(**changes) -> MailingList:
    plain = MailingList(
        id=1,
        slug="weekly",
        titles={"en": "The week", "ru": "Неделя"},
        descriptions={"en": "Each Monday"},
        intros={},
        from_name="Newsroom",
        from_address="news@example.org",
        reply_to=None,
        schedule=Schedule("UTC", time(8), 0, 1),
        cadences=(Cadence.DAILY, Cadence.WEEKLY),
        languages=("en", "ru"),
        filter_id=1,
        sections=SectionsBy.TOPIC,
        review_minutes=None,
        in_doubt_policy=InDoubtPolicy.HOLD,
        since=NOON,
    )
    return replace(plain, **changes)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [(None, Cadence.DAILY), (Cadence.WEEKLY, Cadence.WEEKLY), (Cadence.MONTHLY, None)],
)
def test_a_cadence_is_one_of_the_lists(wanted, expected):
    assert expected == fit_cadence(wanted, a_list())


@pytest.mark.parametrize(("wanted", "expected"), [("ru", "ru"), ("ky", "en"), (None, "en")])
def test_a_reader_is_written_to_in_their_language_where_the_list_has_it(wanted, expected):
    assert expected == fit_language(wanted, a_list())


CITY, HEALTH, CLINICS, SCHOOLS = 1, 2, 3, 4
ANCESTORS = {HEALTH: (CITY,), CLINICS: (HEALTH, CITY), SCHOOLS: ()}


@pytest.mark.parametrize(
    ("wanted", "carried", "expected"),
    [
        pytest.param(choose(topics=[HEALTH]), EVERYTHING, choose(topics=[HEALTH]), id="a list of everything"),
        pytest.param(choose(topics=[CLINICS]), choose(topics=[CITY]), choose(topics=[CLINICS]), id="narrower"),
        pytest.param(choose(topics=[CITY]), choose(topics=[CLINICS]), choose(topics=[CITY]), id="wider"),
        pytest.param(choose(topics=[SCHOOLS]), choose(topics=[CITY]), EVERYTHING, id="apart"),
        pytest.param(choose(topics=[SCHOOLS, HEALTH]), choose(topics=[CITY]), choose(topics=[HEALTH]), id="in part"),
        pytest.param(choose(kinds=["story"]), choose(kinds=["event"]), EVERYTHING, id="another kind"),
        pytest.param(choose(languages=["en", "ky"]), choose(languages=["ky"]), choose(languages=["ky"]), id="language"),
        pytest.param(choose(sources=["un", "who"]), choose(sources=["un"]), choose(sources=["un"]), id="source"),
    ],
)
def test_a_choice_keeps_what_its_list_carries(wanted, carried, expected):
    assert expected == fit_filter(wanted, carried, ANCESTORS)


def test_facets_of_which_nothing_is_left_are_named():
    wanted = choose(topics=[SCHOOLS], kinds=["story", "event"], languages=["ky"])
    fitted = fit_filter(wanted, choose(topics=[CITY], kinds=["event"]), ANCESTORS)

    assert ["topics"] == left_out(wanted, fitted)
