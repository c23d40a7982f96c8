from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from newsletter.clock import fixed_clock
from newsletter.domain.lists import Cadence
from newsletter.domain.subscriptions import ConsentAct, EndReason, SubscriptionState
from newsletter.domain.suppressions import SuppressionReason
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.ingest.subscriber_csv import read_subscriber_file
from newsletter.services import choices, sign_ups, subscriptions
from newsletter.services.context import App
from newsletter.services.filters import EVERY_ARTICLE, NamedFilter
from newsletter.services.lists import ListDraft, add_list
from newsletter.services.sign_ups import SignUpRequest, Wish
from newsletter.services.subscriber_imports import ImportReport, RowOutcome, add_subscriber, import_subscribers
from newsletter.services.subscribers import erase_subscriber, export_subscriber, list_subscribers
from newsletter.services.suppressions import lift_suppression, suppress_address
from newsletter.storage import subscribers
from newsletter.storage import subscriptions as storage

BASIS = "signed up on paper at the press day of 12 May 2024"


@pytest.fixture(autouse=True)
def lists(app: App) -> None:
    cadences = (Cadence.DAILY, Cadence.WEEKLY)
    add_list(app, ListDraft(slug="weekly", titles={"en": "The week"}, cadences=cadences))
    add_list(app, ListDraft(slug="events", titles={"en": "Events"}, filter=NamedFilter(kinds=("event",))))


def bring(app: App, rows: str, slug: str = "weekly", basis: str = BASIS) -> ImportReport:
    file = read_subscriber_file(rows.encode(), name="readers.csv")
    return import_subscribers(app, slug, file, name="readers.csv", basis=basis)


def counts(report: ImportReport) -> tuple[int, int, int]:
    return tuple(report.counts[outcome] for outcome in (RowOutcome.ADDED, RowOutcome.SAME, RowOutcome.REFUSED))


def uid_of(app: App, address: str) -> str:
    with app.reading() as tx:
        person = subscribers.load_subscriber(tx.session, address)
        return storage.load_subscriptions(tx.session, [person.id])[-1].uid


def test_rows_become_confirmed_subscriptions_with_their_choices(app):
    report = bring(
        app,
        "address,language,cadence,kinds,languages\n"
        "Aida@example.org,ky,weekly,story speech,ky\n"
        "bakyt@example.org,,,,\n"
        "chinara@example.org,ru-RU,daily,,\n",
    )
    listed = [(each.address, each.cadence, each.language, each.filter) for each in list_subscribers(app)]

    assert (3, 0, 0) == counts(report)
    assert [
        ("Aida@example.org", "weekly", "ky", NamedFilter(kinds=("speech", "story"), languages=("ky",))),
        ("bakyt@example.org", "daily", "en", EVERY_ARTICLE),
        ("chinara@example.org", "daily", "ru", EVERY_ARTICLE),
    ] == listed


def test_the_basis_and_the_file_are_on_record(app):
    bring(app, "aida@example.org\n")
    [subscription] = export_subscriber(app, "aida@example.org").subscriptions
    [consent] = subscription.consent

    assert (ConsentAct.IMPORTED, BASIS, "import of readers.csv") == (consent.act, consent.basis, consent.evidence)


@pytest.mark.parametrize("basis", ["", "  ", "yes"])
def test_nothing_is_brought_in_without_a_basis(app, basis):
    with pytest.raises(InvalidError, match="basis for consent"):
        bring(app, "aida@example.org\n", basis=basis)


def test_an_import_into_an_unknown_list_is_refused(app):
    with pytest.raises(NotFoundError, match="no list 'daily'; there is events, weekly"):
        bring(app, "aida@example.org\n", slug="daily")


def test_repeating_an_import_changes_nothing_and_keeps_what_readers_chose(app):
    rows = "address,cadence\naida@example.org,daily\nbakyt@example.org,daily\n"
    bring(app, rows)
    choices.change_choice(
        app, uid_of(app, "aida@example.org"), cadence=Cadence.WEEKLY, language="ru", wanted=EVERY_ARTICLE, evidence=""
    )
    before = list_subscribers(app)

    assert (0, 2, 0) == counts(bring(app, rows))
    assert before == list_subscribers(app)


def test_each_refused_row_is_reported_with_its_line_and_why_and_the_others_are_taken(app):
    report = bring(
        app,
        "address,language,cadence,topics,kinds\n"
        "nobody,,,,\n"
        "postmaster@example.org,,,,\n"
        ",en,,,\n"
        "aida@example.org,,,,\n"
        "AIDA@example.org,,,,\n"
        "b@example.org,de,,,\n"
        "c@example.org,,hourly,,\n"
        "d@example.org,,monthly,,\n"
        "e@example.org,,,sdg-99,\n"
        "f@example.org,,,,rumour\n"
        "g@example.org,,,,,surplus\n"
        "last@example.org,,,,\n",
    )

    assert ["aida@example.org", "last@example.org"] == [each.address for each in list_subscribers(app)]
    assert [2, 3, 4, 6] == [refusal.line for refusal in report.refusals[:4]]
    for refusal, words in zip(
        report.refusals, ["name@example.org", "role's address", "no address", "line 5"], strict=False
    ):
        assert words in refusal.why
    assert [
        (7, "list 'weekly' is not written in 'de'; choose among en, ru, ky"),
        (8, "list 'weekly' has no cadence 'hourly'; choose among daily, weekly"),
        (9, "list 'weekly' has no cadence 'monthly'; choose among daily, weekly"),
        (10, "unknown topic 'sdg-99': there is no topic yet"),
        (11, "unknown kind 'rumour': choose among press_release, story, speech, video, publication, event"),
        (12, "it has 1 more fields than the header; put quotes around a field that holds ','"),
    ] == [(refusal.line, refusal.why) for refusal in report.refusals[4:]]


def test_nobody_is_brought_in_whose_status_does_not_say_that_they_want_mail(app):
    report = bring(
        app,
        "address,Status\n"
        "aida@example.org,Active\n"
        "bakyt@example.org,unsubscribed\n"
        "chinara@example.org,\n"
        "daniyar@example.org,отписан\n"
        "elmira@example.org,подписана\n",
    )

    assert (3, 0, 2) == counts(report)
    assert [3, 5] == [each.line for each in report.refusals]
    assert "its status is 'unsubscribed'" in report.refusals[0].why
    assert "--as left" in report.refusals[0].why


def test_nobody_is_brought_in_of_whom_a_column_says_that_they_left(app):
    report = bring(
        app,
        "address,Unsubscribed at,Bounced\n"
        "aida@example.org,,no\n"
        "bakyt@example.org,2024-05-06 07:08:09,no\n"
        "chinara@example.org,,TRUE\n"
        "daniyar@example.org\n",
    )

    assert (2, 0, 2) == counts(report)
    assert [3, 4] == [each.line for each in report.refusals]
    assert "'unsubscribed at: 2024-05-06 07:08:09'" in report.refusals[0].why


def test_a_choice_that_its_list_never_carries_is_refused(app):
    report = bring(app, "address,kinds\naida@example.org,story\nbakyt@example.org,story event\n", slug="events")

    assert (1, 0, 1) == counts(report)
    assert "list 'events' carries none of the kinds chosen" in report.refusals[0].why
    assert NamedFilter(kinds=("event",)) == list_subscribers(app)[0].filter


@pytest.mark.parametrize("was_erased", [False, True])
def test_an_import_never_brings_back_who_left_that_list(app, was_erased):
    bring(app, "aida@example.org\n")
    bring(app, "aida@example.org\n", slug="events")
    if was_erased:
        erase_subscriber(app, "aida@example.org")
    else:
        subscriptions.unsubscribe(app, uid_of(app, "aida@example.org"), basis="button", evidence="")
    weekly, events = bring(app, "aida@example.org\n"), bring(app, "aida@example.org\n", slug="events")

    assert "left this list" in events.refusals[0].why
    assert (0, 0, 1) == counts(events)
    assert (0, 0, 1) == counts(weekly) if was_erased else (0, 1, 0) == counts(weekly)


def test_an_import_never_takes_a_suppressed_address_until_it_is_released(app):
    suppress_address(app, "aida@example.org", SuppressionReason.COMPLAINT)
    refused = bring(app, "aida@example.org\n")
    lift_suppression(app, "aida@example.org")

    assert "must not be mailed (complaint)" in refused.refusals[0].why
    assert (1, 0, 0) == counts(bring(app, "aida@example.org\n"))


def test_an_import_confirms_a_sign_up_that_waits_on_its_own_basis(app):
    request = SignUpRequest(
        address="aida@example.org", wishes=[Wish("weekly")], language="ru", basis="Yes, mail me", evidence="form"
    )
    sign_ups.subscribe(app, request)

    assert (1, 0, 0) == counts(bring(app, "address,cadence\naida@example.org,weekly\n"))
    waiting, imported = export_subscriber(app, "aida@example.org").subscriptions
    assert EndReason.CHANGED == waiting.end_reason
    assert (SubscriptionState.CONFIRMED, "weekly") == (imported.state, imported.cadence)


def test_a_sign_up_that_lapsed_does_not_count_as_leaving(app):
    request = SignUpRequest(
        address="aida@example.org", wishes=[Wish("weekly")], language="ru", basis="Yes, mail me", evidence="form"
    )
    sign_ups.subscribe(app, request)
    sign_ups.end_lapsed(replace(app, clock=fixed_clock(app.clock() + timedelta(days=8))))

    assert (1, 0, 0) == counts(bring(app, "aida@example.org\n"))


@pytest.mark.slow
def test_a_large_file_is_taken_in_parts_and_progress_is_told(app):
    rows = "".join(f"reader{n}@example.org\n" for n in range(2500))
    seen = []
    file = read_subscriber_file(rows.encode(), name="readers.csv")
    report = import_subscribers(app, "weekly", file, name="readers.csv", basis=BASIS, on_progress=seen.append)

    assert (2500, 0, 0) == counts(report)
    assert [1000, 2000, 2500] == seen


@pytest.mark.slow
def test_the_same_file_imported_twice_at_the_same_moment_is_taken_once(app):
    rows = [f"reader{n}@example.org\n" for n in range(600)]
    with ThreadPoolExecutor(2) as pool:
        reports = [pool.submit(bring, app, "".join(some)) for some in (rows, reversed(rows))]
    outcomes = Counter()
    for report in reports:
        outcomes += report.result().counts

    assert {RowOutcome.ADDED: 600, RowOutcome.SAME: 600} == dict(outcomes)


def test_an_import_mails_nobody(app, dispatcher):
    bring(app, "aida@example.org\n")

    assert [] == dispatcher.rings
    assert () == export_subscriber(app, "aida@example.org").mails


def test_one_subscriber_is_added_by_the_same_rules(app):
    added = add_subscriber(app, "weekly", "aida@example.org", basis=BASIS, cadence="weekly", wanted=EVERY_ARTICLE)
    again = add_subscriber(app, "weekly", "aida@example.org", basis=BASIS, wanted=EVERY_ARTICLE)
    suppress_address(app, "bakyt@example.org")

    assert (RowOutcome.ADDED, RowOutcome.SAME) == (added, again)
    with pytest.raises(ConflictError, match=r"bakyt@example\.org: the address must not be mailed"):
        add_subscriber(app, "weekly", "bakyt@example.org", basis=BASIS, wanted=EVERY_ARTICLE)
