from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from newsletter.clock import fixed_clock
from newsletter.dispatch import Doorbell, Ring
from newsletter.domain.deliveries import NOT_RECEIVED, DeliveryState, Purpose
from newsletter.domain.lists import Cadence
from newsletter.domain.subscriptions import (
    CONFIRMATION_LIFETIME,
    Confirmation,
    ConsentAct,
    EndReason,
    Subscription,
    SubscriptionState,
)
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.mail.addresses import address_hmac
from newsletter.services import choices, confirmations, sign_ups
from newsletter.services import subscriptions as service
from newsletter.services.context import App
from newsletter.services.deliveries import queue_confirmation
from newsletter.services.filters import NamedFilter
from newsletter.services.lists import ListDraft, add_list
from newsletter.services.sign_ups import SignUpRequest, Wish
from newsletter.services.suppressions import suppress_address
from newsletter.services.tick import tick
from newsletter.storage import subscribers, subscriptions
from newsletter.storage.deliveries import DeliveryRow
from newsletter.storage.lists import load_filter
from newsletter.storage.mailings import load_mailings
from newsletter.storage.suppressions import load_suppression

ADDRESS = "Aida@example.org"
DAY = timedelta(days=1)
STORIES = NamedFilter(kinds=("story",))


@pytest.fixture(autouse=True)
def lists(app: App) -> None:
    cadences = (Cadence.DAILY, Cadence.WEEKLY)
    add_list(app, ListDraft(slug="weekly", titles={"en": "The week", "ru": "Неделя"}, cadences=cadences))
    add_list(app, ListDraft(slug="press", titles={"en": "Press"}, cadences=(Cadence.IMMEDIATE,)))
    add_list(app, ListDraft(slug="staff", titles={"en": "Staff"}, is_public=False))


def later(app: App, span: timedelta) -> App:
    return replace(app, clock=fixed_clock(app.clock() + span))


def sign_up(app: App, *slugs: str, address: str = ADDRESS, cadence: Cadence | None = None, **changes) -> None:
    request = SignUpRequest(
        address=address,
        wishes=[Wish(slug, cadence) for slug in slugs or ("weekly",)],
        language="ru",
        basis="Yes, mail me",
        evidence="form at /subscribe, network 192.0.2.0/24",
    )
    sign_ups.subscribe(app, replace(request, **changes))


def mine(app: App, key: str = "aida@example.org") -> list[Subscription]:
    with app.reading() as tx:
        person = subscribers.load_subscriber(tx.session, key)
        return subscriptions.load_subscriptions(tx.session, [person.id]) if person else []


def mails(app: App, key: str = "aida@example.org") -> list[DeliveryState]:
    with app.reading() as tx:
        person = subscribers.load_subscriber(tx.session, key)
        made = load_mailings(tx.session, [person.id]) if person else []
    assert all(each.purpose is Purpose.CONFIRMATION for each in made)
    return [each.state for each in made]


def record(app: App, subscription: Subscription) -> list[ConsentAct]:
    with app.reading() as tx:
        return [each.act for each in subscriptions.load_consents(tx.session, [subscription.id])[subscription.id]]


def confirmed(app: App) -> Subscription:
    sign_up(app)
    confirmations.confirm(app, mine(app)[0].uid, evidence="")
    return mine(app)[0]


def test_a_sign_up_waits_and_is_mailed_one_link(app, dispatcher):
    sign_up(app, cadence=Cadence.DAILY)
    [waiting] = mine(app)

    assert (SubscriptionState.UNCONFIRMED, Cadence.DAILY, "ru") == (waiting.state, waiting.cadence, waiting.language)
    assert [ConsentAct.ASKED] == record(app, waiting)
    assert [DeliveryState.QUEUED] == mails(app)
    assert [Ring(Doorbell.SEND_TRANSACTIONAL)] == dispatcher.rings


def test_one_sign_up_to_two_lists_is_confirmed_by_one_link(app):
    sign_up(app, "weekly", "press")
    first, second = mine(app)

    assert Confirmation.CONFIRM == confirmations.confirm(app, first.uid, evidence="")
    assert [SubscriptionState.CONFIRMED] * 2 == [each.state for each in mine(app)]
    assert [ConsentAct.ASKED, ConsentAct.CONFIRMED] == record(app, second)
    assert 1 == len(mails(app))


def test_a_link_does_not_confirm_what_was_asked_for_later_unless_it_is_ticked(app):
    sign_up(app, "weekly")
    soon = later(app, timedelta(hours=1))
    sign_up(soon, "press")
    weekly, press = mine(app)

    confirmations.confirm(soon, weekly.uid, evidence="")
    assert [SubscriptionState.CONFIRMED, SubscriptionState.UNCONFIRMED] == [each.state for each in mine(app)]
    confirmations.confirm(soon, weekly.uid, slugs=["press"], evidence="")
    assert [SubscriptionState.CONFIRMED] * 2 == [each.state for each in mine(app)]
    assert [ConsentAct.ASKED, ConsentAct.CONFIRMED] == record(app, press)


def test_only_ticked_lists_are_confirmed(app):
    sign_up(app, "weekly", "press")
    confirmations.confirm(app, mine(app)[0].uid, slugs=["press"], evidence="")

    assert [SubscriptionState.UNCONFIRMED, SubscriptionState.CONFIRMED] == [each.state for each in mine(app)]


def test_confirming_twice_changes_nothing(app):
    once = confirmed(app)
    answer = confirmations.confirm(later(app, DAY), once.uid, evidence="")

    assert Confirmation.ALREADY == answer
    assert [once] == mine(app)
    assert [ConsentAct.ASKED, ConsentAct.CONFIRMED] == record(app, once)


def test_a_confirmation_that_comes_too_late_changes_nothing(app):
    sign_up(app)
    [waiting] = mine(app)

    assert Confirmation.EXPIRED == confirmations.confirm(later(app, CONFIRMATION_LIFETIME), waiting.uid, evidence="")
    assert [waiting] == mine(app)


@pytest.mark.parametrize("address", ["aida@example.org", "AIDA@EXAMPLE.ORG"])
def test_signing_up_again_within_a_day_neither_mails_nor_writes(app, address):
    sign_up(app)
    before = mine(app)
    for _ in range(3):
        sign_up(app, address=address, cadence=Cadence.WEEKLY)

    assert before == mine(app)
    assert 1 == len(mails(app))


def end_mail(app: App, state: DeliveryState, **values) -> None:
    """Let the confirmation mail that waits come to an end."""
    row = DeliveryRow
    with app.transaction() as tx:
        ended = update(row).where(row.state == DeliveryState.QUEUED).values(state=state, **values).returning(row.id)
        assert 1 == len(tx.session.scalars(ended).all())


@pytest.mark.slow
@pytest.mark.parametrize("end", NOT_RECEIVED)
def test_a_confirmation_that_never_was_sent_does_not_count(app, dispatcher, end):
    """The relay was down for an hour: whoever signs up again the same day is mailed, as often as that happens."""
    sign_up(app)
    for hours in (2, 4, 6, 8):
        end_mail(app, end)
        dispatcher.rings.clear()
        sign_up(later(app, timedelta(hours=hours)))

        assert [Ring(Doorbell.SEND_TRANSACTIONAL)] == dispatcher.rings
    assert [*[end] * 4, DeliveryState.QUEUED] == mails(app)
    sign_up(later(app, timedelta(hours=9)))
    assert 5 == len(mails(app)), "the last one may yet be sent"


@pytest.mark.parametrize(
    ("end", "values"),
    [(DeliveryState.ACCEPTED, {}), (DeliveryState.IN_DOUBT, {}), (DeliveryState.EXPIRED, {"resends": 1})],
    ids=["accepted", "in doubt", "expired after a doubt"],
)
def test_a_confirmation_that_may_have_been_sent_counts(app, end, values):
    sign_up(app)
    end_mail(app, end, accepted_at=app.clock(), **values)
    sign_up(later(app, timedelta(hours=2)))

    assert [end] == mails(app)


@pytest.mark.slow
def test_a_confirmation_is_queued_once_whoever_asks_at_the_same_moment(app):
    """Even by callers who forgot to ask whether the address may be mailed."""
    sign_up(app)
    end_mail(app, DeliveryState.EXPIRED)
    [waiting] = mine(app)

    def ask() -> int | None:
        with app.transaction() as tx:
            return queue_confirmation(tx, waiting.id)

    with ThreadPoolExecutor(4) as pool:
        queued = [each.result() for each in [pool.submit(ask) for _ in range(4)]]

    assert 1 == len([each for each in queued if each is not None])
    assert [DeliveryState.EXPIRED, DeliveryState.QUEUED] == mails(app)


def test_signing_up_again_the_next_day_renews_the_choice_and_the_old_link_confirms_it(app):
    sign_up(app, cadence=Cadence.DAILY)
    tomorrow = later(app, DAY)
    sign_up(tomorrow, cadence=Cadence.WEEKLY)
    old, _ = mine(app)

    assert EndReason.CHANGED == old.end_reason
    assert 2 == len(mails(app))
    assert Confirmation.CONFIRM == confirmations.confirm(tomorrow, old.uid, evidence="")
    assert SubscriptionState.CONFIRMED == mine(app)[1].state


@pytest.mark.slow
def test_an_address_is_mailed_at_most_three_times_in_thirty_days_over_all_lists(app):
    for day in range(30):
        sign_up(later(app, day * DAY), "weekly" if day % 2 else "press")

    assert 3 == len(mails(app))


def test_a_form_never_changes_what_is_confirmed(app):
    before = confirmed(app)
    sign_up(later(app, DAY), filter=STORIES, cadence=Cadence.WEEKLY)

    assert [before] == mine(app)
    assert 2 == len(mails(app))


def test_a_suppressed_address_gets_nothing_and_leaves_nothing(app, dispatcher):
    suppress_address(app, ADDRESS)
    sign_up(app)

    assert [] == mine(app)
    assert [] == dispatcher.rings


def test_who_left_may_sign_up_again(app):
    first = confirmed(app)
    service.unsubscribe(app, first.uid, basis="button", evidence="")
    sign_up(later(app, DAY))

    assert [SubscriptionState.ENDED, SubscriptionState.UNCONFIRMED] == [each.state for each in mine(app)]


def test_a_choice_is_fitted_to_each_list(app):
    add_list(app, ListDraft(slug="events", titles={"en": "Events"}, filter=NamedFilter(kinds=("event",))))
    sign_up(app, "weekly", "events", filter=STORIES)
    with app.reading() as tx:
        kinds = [load_filter(tx.session, each.filter_id).kinds for each in mine(app)]

    assert [("story",), ()] == kinds


@pytest.mark.parametrize(
    ("slugs", "changes", "words"),
    [
        pytest.param(("weekly",), {"address": "no-address"}, "looks like name@example.org", id="no address"),
        pytest.param((), {"wishes": []}, "no list is chosen", id="no list"),
        pytest.param(("weekly", "no-such"), {}, "no list 'no-such'; there is press, staff, weekly", id="unknown list"),
        pytest.param(("staff",), {}, "takes no sign-ups", id="hidden list"),
        pytest.param(("weekly",), {"filter": NamedFilter(topics=("x",))}, "unknown topic 'x'", id="unknown topic"),
        pytest.param(("weekly",), {"filter": NamedFilter(kinds=("x",))}, "choose among press_release", id="kind"),
        pytest.param(("weekly",), {"filter": NamedFilter(languages=("xx",))}, "among en, ru, ky", id="language"),
    ],
)
def test_a_sign_up_that_cannot_be_is_refused_as_a_whole(app, dispatcher, slugs, changes, words):
    with pytest.raises(InvalidError, match=words):
        sign_up(app, *slugs, **changes)

    assert [] == mine(app)
    assert [] == dispatcher.rings


def test_leaving_cancels_what_waits_and_is_repeatable(app):
    sign_up(app)
    [waiting] = mine(app)
    service.unsubscribe(app, waiting.uid, basis="one-click", evidence="")
    again = service.unsubscribe(later(app, DAY), waiting.uid, basis="one-click", evidence="")
    [ended] = mine(app)

    assert (EndReason.UNSUBSCRIBED, app.clock()) == (ended.end_reason, ended.ended_at)
    assert [DeliveryState.CANCELLED] == mails(app)
    assert [ConsentAct.ASKED, ConsentAct.ENDED] == record(app, ended)
    assert again.live is None


def test_an_old_link_ends_what_took_its_subscriptions_place(app):
    old = confirmed(app)
    changed = choices.change_choice(
        app, old.uid, cadence=Cadence.WEEKLY, language="en", wanted=STORIES, evidence=""
    ).latest
    service.unsubscribe(app, old.uid, basis="button", evidence="")

    assert [EndReason.CHANGED, EndReason.UNSUBSCRIBED] == [each.end_reason for each in mine(app)]
    assert changed.id == mine(app)[1].id


def test_leaving_one_list_leaves_the_others(app):
    sign_up(app, "weekly", "press")
    confirmations.confirm(app, mine(app)[0].uid, evidence="")
    service.unsubscribe(app, mine(app)[1].uid, basis="button", evidence="")

    assert [SubscriptionState.CONFIRMED, SubscriptionState.ENDED] == [each.state for each in mine(app)]


def test_leaving_is_undone_with_the_same_choice_and_confirmation(app):
    before = confirmed(app)
    service.unsubscribe(app, before.uid, basis="button", evidence="")
    soon = later(app, timedelta(minutes=5))
    service.undo_unsubscribe(soon, before.uid, evidence="")
    service.undo_unsubscribe(soon, before.uid, evidence="")
    _, after = mine(app)

    assert (before.choice, before.confirmed_at) == (after.choice, after.confirmed_at)
    assert SubscriptionState.CONFIRMED == after.state
    assert [ConsentAct.UNDONE] == record(app, after)


def test_leaving_is_not_undone_after_an_hour(app):
    before = confirmed(app)
    service.unsubscribe(app, before.uid, basis="button", evidence="")

    with pytest.raises(ConflictError, match="sign up again"):
        service.undo_unsubscribe(later(app, timedelta(hours=1)), before.uid, evidence="")


def test_a_changed_choice_ends_one_subscription_and_starts_another(app):
    old = confirmed(app)
    tomorrow = later(app, DAY)
    choices.change_choice(tomorrow, old.uid, cadence=Cadence.WEEKLY, language="en", wanted=STORIES, evidence="page")
    choices.change_choice(tomorrow, old.uid, cadence=Cadence.WEEKLY, language="en", wanted=STORIES, evidence="page")
    ended, new = mine(app)

    assert EndReason.CHANGED == ended.end_reason
    assert (Cadence.WEEKLY, "en", old.confirmed_at) == (new.cadence, new.language, new.confirmed_at)
    assert [ConsentAct.CHANGED] == record(app, new)
    assert [DeliveryState.QUEUED] == mails(app), "what was queued before the change stays"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cadence": Cadence.MONTHLY}, "no monthly cadence; choose among daily, weekly"),
        ({"language": "xx"}, "not written in 'xx'; choose among en, ru, ky"),
        ({"wanted": NamedFilter(topics=("x",))}, "unknown topic 'x'"),
    ],
)
def test_a_choice_that_the_list_does_not_offer_changes_nothing(app, changes, words):
    before = confirmed(app)
    choice = {"cadence": Cadence.WEEKLY, "language": "en", "wanted": STORIES} | changes

    with pytest.raises(InvalidError, match=words):
        choices.change_choice(app, before.uid, evidence="", **choice)
    assert [before] == mine(app)


def test_nothing_of_an_ended_subscription_can_be_changed(app):
    before = confirmed(app)
    service.unsubscribe(app, before.uid, basis="button", evidence="")

    with pytest.raises(ConflictError, match="sign up again"):
        choices.change_choice(app, before.uid, cadence=Cadence.WEEKLY, language="en", wanted=STORIES, evidence="")


@pytest.mark.parametrize(
    "act",
    [
        lambda app: confirmations.confirm(app, "no-such", evidence=""),
        lambda app: confirmations.disown(app, "no-such"),
        lambda app: service.unsubscribe(app, "no-such", basis="", evidence=""),
        lambda app: service.undo_unsubscribe(app, "no-such", evidence=""),
    ],
    ids=["confirm", "disown", "unsubscribe", "undo"],
)
def test_an_unknown_subscription_is_not_found(app, act):
    with pytest.raises(NotFoundError):
        act(app)


def test_an_owner_who_did_not_ask_is_never_mailed_again(app):
    sign_up(app, "weekly", "press")
    confirmations.disown(app, mine(app)[0].uid)
    sign_up(later(app, 60 * DAY))

    assert [EndReason.REMOVED] * 2 == [each.end_reason for each in mine(app)]
    assert [DeliveryState.CANCELLED] == mails(app)
    with app.reading() as tx:
        assert load_suppression(tx.session, address_hmac(app.settings.secret, "aida@example.org"))


def test_a_reader_who_disowns_a_sign_up_keeps_what_they_read(app):
    reading = confirmed(app)
    sign_up(later(app, DAY), "press")
    confirmations.disown(app, mine(app)[1].uid)

    assert [reading.state, SubscriptionState.ENDED] == [each.state for each in mine(app)]
    with app.reading() as tx:
        assert load_suppression(tx.session, address_hmac(app.settings.secret, "aida@example.org")) is None


@pytest.mark.slow
def test_sign_ups_that_nobody_confirmed_lapse_and_leave_no_address(app):
    sign_up(app)
    sign_up(app, address="bakyt@example.org")
    confirmations.confirm(app, mine(app, "bakyt@example.org")[0].uid, evidence="")
    sign_up(later(app, DAY), "press", address="bakyt@example.org")
    tick(later(app, CONFIRMATION_LIFETIME - DAY))
    in_time = sign_ups.end_lapsed(later(app, CONFIRMATION_LIFETIME))
    tick(later(app, CONFIRMATION_LIFETIME + 2 * DAY))

    assert 0 == in_time
    assert [] == mine(app), "the address is gone"
    assert [None, EndReason.NEVER_CONFIRMED] == [each.end_reason for each in mine(app, "bakyt@example.org")]


@pytest.mark.slow
def test_sign_ups_at_the_same_moment_make_one_subscription_and_one_mail(app):
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(sign_up, app, "weekly", "press") for _ in range(8)]:
            done.result()

    assert 2 == len(mine(app))
    assert 1 == len(mails(app))


def test_leaving_and_changing_at_the_same_moment_never_leaves_a_subscription_behind(app):
    """Whichever comes first, the reader who pressed leave has left in the end."""
    before = confirmed(app)

    def change(cadence: Cadence) -> None:
        with suppress(ConflictError):
            choices.change_choice(app, before.uid, cadence=cadence, language="en", wanted=STORIES, evidence="")

    with ThreadPoolExecutor(4) as pool:
        changes = [pool.submit(change, cadence) for cadence in (Cadence.DAILY, Cadence.WEEKLY, Cadence.DAILY)]
        leaving = pool.submit(service.unsubscribe, app, before.uid, basis="button", evidence="")
        for done in (*changes, leaving):
            done.result()

    assert SubscriptionState.ENDED == mine(app)[-1].state
    assert EndReason.UNSUBSCRIBED == mine(app)[-1].end_reason
