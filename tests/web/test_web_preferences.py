from datetime import timedelta

import pytest
from web_visitors import OF_A_SUBSCRIPTION, Browser, find, later, mails_to

from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.lists import Cadence
from newsletter.domain.subscriptions import EndReason, SubscriptionState
from newsletter.mail.tokens import TokenPurpose
from newsletter.services.subscribers import export_subscriber
from newsletter.storage.lists import load_filter

CONFIRM, PREFERENCES = TokenPurpose.CONFIRM, TokenPurpose.PREFERENCES
ADDRESS = "aida@example.org"
CHOICE = {
    "cadence": "weekly",
    "language": "ru",
    "topic": ["schools", "rivers"],
    "kind": "story",
    "article-language": "ru",
}


def states(app) -> list[SubscriptionState]:
    return [each.state for each in find(app, ADDRESS)]


def test_following_the_link_confirms_nothing_and_pressing_the_button_does(browser, newsroom, sign_up, path_to):
    path = path_to(CONFIRM, sign_up().uid)
    page = browser.get(path)
    before = states(newsroom)
    answer = browser.post(path, data={"action": "confirm"})

    assert 200 == page.status_code
    assert "The week" in page.text
    assert '<form method="post">' in page.text
    assert [SubscriptionState.UNCONFIRMED] == before
    assert 200 == answer.status_code
    assert [SubscriptionState.CONFIRMED] == states(newsroom)
    assert "/preferences/" in answer.text


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
@pytest.mark.parametrize("purpose", OF_A_SUBSCRIPTION)
def test_only_a_post_changes_anything(newsroom, sign_up, path_to, method, purpose):
    """Mail scanners fetch every link of a mail, with whatever method they fancy."""
    waiting = sign_up()
    answer = Browser(newsroom).request(method, path_to(purpose, waiting.uid))

    assert [waiting] == find(newsroom, ADDRESS)
    assert (200 if method in ("GET", "HEAD") else 405) == answer.status_code


def test_pressing_twice_says_the_same(browser, newsroom, sign_up, path_to):
    path = path_to(CONFIRM, sign_up().uid)
    first, second = browser.post(path), browser.post(path)

    assert (200, first.text) == (second.status_code, second.text)
    assert first.text == browser.get(path).text
    assert [SubscriptionState.CONFIRMED] == states(newsroom)


def test_several_lists_are_confirmed_as_they_are_ticked(browser, newsroom, sign_up, path_to):
    sign_up(list=["weekly", "events"])
    path = path_to(CONFIRM, find(newsroom, ADDRESS)[0].uid)
    page = browser.get(path).text
    none = browser.post(path, data={"has-lists": "1"})
    before = states(newsroom)
    browser.post(path, data={"has-lists": "1", "list": "weekly"})

    assert 2 == page.count('type="checkbox"')
    assert "ticked none" in none.text
    assert [SubscriptionState.UNCONFIRMED] * 2 == before
    assert [SubscriptionState.UNCONFIRMED, SubscriptionState.CONFIRMED] == states(newsroom)


def test_all_that_was_confirmed_is_named(browser, newsroom, sign_up, path_to):
    sign_up(list=["weekly", "events"])
    page = browser.post(path_to(CONFIRM, find(newsroom, ADDRESS)[0].uid)).text

    assert ["The week", "Events"] == [each for each in ("The week", "Events") if f"<li>{each}</li>" in page]


def test_a_link_that_came_too_late_says_so(newsroom, sign_up, path_to):
    path = path_to(CONFIRM, sign_up().uid)
    late = Browser(later(newsroom, timedelta(days=7)))

    for answer in (late.get(path), late.post(path)):
        assert 410 == answer.status_code
        assert "/subscribe" in answer.text
    assert [SubscriptionState.UNCONFIRMED] == states(newsroom)


def test_an_owner_who_did_not_ask_presses_another_button(browser, newsroom, sign_up, path_to):
    path = path_to(CONFIRM, sign_up().uid)
    page = browser.get(f"{path}?not-me=1")
    answer = browser.post(path, data={"action": "not-me"})
    browser.subscribe(address=ADDRESS, list="weekly")

    assert 'value="not-me"' in page.text
    assert 200 == answer.status_code
    assert [SubscriptionState.ENDED] == states(newsroom)
    assert [DeliveryState.CANCELLED] == [each.state for each in mails_to(newsroom, ADDRESS)]


def test_preferences_show_what_was_chosen_and_never_the_address(browser, sign_up, path_to):
    waiting = sign_up(**{"topic": "schools", "cadence-weekly": "weekly"})
    browser.post(path_to(CONFIRM, waiting.uid))
    page = browser.get(path_to(PREFERENCES, waiting.uid)).text

    assert 'value="schools" checked' in page
    assert 'value="weekly" checked' in page
    assert "checked" not in page.split('value="rivers"')[1].split(">")[0]
    assert "example.org" not in page.replace("news.example.org", "")


@pytest.mark.slow
@pytest.mark.parametrize("purpose", [CONFIRM, PREFERENCES, TokenPurpose.UNSUBSCRIBE])
@pytest.mark.parametrize("is_confirmed", [False, True])
def test_pages_behind_a_mail_are_in_its_language_unless_the_link_asks_for_another(
    browser, sign_up, path_to, purpose, is_confirmed
):
    waiting = sign_up(language="ru")
    if is_confirmed:
        browser.post(path_to(CONFIRM, waiting.uid))
    english = {"accept-language": "en"}
    path = path_to(purpose, waiting.uid)

    assert "ru" == browser.get(path, headers=english).headers["content-language"]
    assert "en" == browser.get(f"{path}?lang=en").headers["content-language"]


@pytest.mark.slow
def test_a_new_language_of_the_mails_is_that_of_the_answer(browser, reader, path_to):
    assert "ru" == browser.post(path_to(PREFERENCES, reader.uid), data=CHOICE).headers["content-language"]


@pytest.mark.slow
def test_preferences_are_changed_and_shown_as_saved(browser, newsroom, reader, path_to):
    answer = browser.post(path_to(PREFERENCES, reader.uid), data=CHOICE)
    old, new = find(newsroom, ADDRESS)
    with newsroom.reading() as tx:
        choice = load_filter(tx.session, new.filter_id)

    assert 200 == answer.status_code
    assert 'role="status"' in answer.text
    assert 'value="rivers" checked' in answer.text
    assert (EndReason.CHANGED, None) == (old.end_reason, new.end_reason)
    assert (Cadence.WEEKLY, "ru", ("story",), ("ru",)) == (new.cadence, new.language, choice.kinds, choice.languages)
    assert 2 == len(choice.topics)


@pytest.mark.slow
def test_a_form_sent_twice_is_saved_once(browser, newsroom, reader, path_to):
    path = path_to(PREFERENCES, reader.uid)
    first, second = browser.post(path, data=CHOICE), browser.post(path, data=CHOICE)

    assert first.text.count("checked") == second.text.count("checked")
    assert 2 == len(find(newsroom, ADDRESS))


@pytest.mark.parametrize(
    "fields",
    [
        {"cadence": "hourly"},
        {"cadence": "monthly"},
        {"cadence": ""},
        {"language": "xx"},
        {"language": ""},
        {"topic": "no-such"},
        {"kind": "rumour"},
        {"article-language": "xx"},
    ],
)
def test_a_choice_that_is_not_on_offer_saves_nothing(browser, newsroom, reader, path_to, fields):
    answer = browser.post(path_to(PREFERENCES, reader.uid), data={**CHOICE, **fields})

    assert 422 == answer.status_code
    assert 'role="alert"' in answer.text
    assert [reader] == find(newsroom, ADDRESS)


@pytest.mark.slow
def test_who_has_left_is_told_how_to_come_back(browser, reader, path_to):
    browser.post(path_to(TokenPurpose.UNSUBSCRIBE, reader.uid))
    path = path_to(PREFERENCES, reader.uid)

    for answer in (browser.get(path), browser.post(path, data=CHOICE)):
        assert 410 == answer.status_code
        assert "/subscribe?list=weekly" in answer.text


@pytest.mark.slow
def test_a_change_is_on_record_with_its_words(browser, newsroom, reader, path_to):
    browser.post(path_to(PREFERENCES, reader.uid), data=CHOICE)
    [consent] = export_subscriber(newsroom, ADDRESS).subscriptions[-1].consent

    assert "weekly in ru; topics: schools, rivers; kinds: story; languages: ru" == consent.basis
    assert "https://news.example.org/preferences in en, network 192.0.2.0/24" == str(consent.evidence)
