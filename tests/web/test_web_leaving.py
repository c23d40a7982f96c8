from dataclasses import replace
from datetime import timedelta

import pytest
from web_visitors import Browser, find, later, mails_to

from newsletter.config import Settings
from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.subscriptions import EndReason, SubscriptionState
from newsletter.mail.tokens import TokenPurpose
from newsletter.services.subscribers import export_subscriber
from newsletter.services.suppressions import suppress_address

UNSUBSCRIBE = TokenPurpose.UNSUBSCRIBE
ADDRESS = "aida@example.org"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.mark.slow
def test_the_page_has_one_button_and_offers_fewer_mails(browser, newsroom, reader, path_to):
    page = browser.get(path_to(UNSUBSCRIBE, reader.uid))

    assert 200 == page.status_code
    assert 1 == page.text.count("<button")
    assert "/preferences/" in page.text
    assert "example.org" not in page.text.replace("news.example.org", "")
    assert [reader] == find(newsroom, ADDRESS)


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"data": ONE_CLICK}, id="urlencoded"),
        pytest.param({"files": {"List-Unsubscribe": (None, "One-Click")}}, id="multipart"),
        pytest.param({"data": {"action": "leave"}}, id="button"),
        pytest.param({}, id="nothing"),
        pytest.param({"content": b"List-Unsubscribe=One-Click", "headers": {"content-type": "text/plain"}}, id="text"),
        pytest.param({"content": b"--x", "headers": {"content-type": "multipart/form-data"}}, id="broken"),
        pytest.param({"content": b"\xff\xfe=%00", "headers": {"content-type": "application/x-www-form-urlencoded"}}),
    ],
)
def test_one_post_leaves_and_repeating_it_says_the_same(browser, newsroom, reader, path_to, body):
    """RFC 8058 §3: form-data and urlencoded, no cookie, no redirect, 200; whatever else comes, leaving works."""
    answers = [browser.post(path_to(UNSUBSCRIBE, reader.uid), **body) for _ in range(3)]
    [ended] = find(newsroom, ADDRESS)

    assert EndReason.UNSUBSCRIBED == ended.end_reason
    assert {200} == {answer.status_code for answer in answers}
    assert 1 == len({answer.text for answer in answers})
    assert "set-cookie" not in answers[0].headers


def test_who_pressed_is_on_record(browser, newsroom, reader, path_to):
    browser.post(path_to(UNSUBSCRIBE, reader.uid), data=ONE_CLICK)
    last = export_subscriber(newsroom, ADDRESS).subscriptions[0].consent[-1]

    assert "unsubscribed: one-click, by the mailbox provider" == last.basis


def test_mail_that_waits_is_cancelled(browser, newsroom, sign_up, path_to):
    waiting = sign_up()
    browser.post(path_to(UNSUBSCRIBE, waiting.uid))

    assert [DeliveryState.CANCELLED] == [each.state for each in mails_to(newsroom, ADDRESS)]


@pytest.mark.slow
def test_an_old_mails_link_ends_a_changed_subscription(browser, newsroom, reader, path_to):
    browser.post(path_to(TokenPurpose.PREFERENCES, reader.uid), data={"cadence": "weekly", "language": "ru"})
    browser.post(path_to(UNSUBSCRIBE, reader.uid))

    assert [SubscriptionState.ENDED] * 2 == [each.state for each in find(newsroom, ADDRESS)]


def test_a_mistake_is_undone(browser, newsroom, reader, path_to):
    path = path_to(UNSUBSCRIBE, reader.uid)
    left = browser.post(path)
    undone, again = browser.post(path, data={"action": "undo"}), browser.post(path, data={"action": "undo"})

    assert 'value="undo"' in left.text
    assert (200, 200) == (undone.status_code, again.status_code)
    assert [SubscriptionState.ENDED, SubscriptionState.CONFIRMED] == [each.state for each in find(newsroom, ADDRESS)]


@pytest.mark.slow
def test_a_mistake_is_not_undone_an_hour_later(browser, newsroom, reader, path_to):
    """Whoever was forwarded the mail has the same link."""
    path = path_to(UNSUBSCRIBE, reader.uid)
    browser.post(path)
    answer = Browser(later(newsroom, timedelta(hours=1))).post(path, data={"action": "undo"})

    assert 409 == answer.status_code
    assert "/subscribe?list=weekly" in answer.text
    assert [SubscriptionState.ENDED] == [each.state for each in find(newsroom, ADDRESS)]


def test_a_link_works_for_ever(newsroom, reader, path_to):
    answer = Browser(later(newsroom, timedelta(days=3650))).post(path_to(UNSUBSCRIBE, reader.uid), data=ONE_CLICK)

    assert 200 == answer.status_code
    assert [SubscriptionState.ENDED] == [each.state for each in find(newsroom, ADDRESS)]


def test_the_page_of_who_has_left_says_so(browser, reader, path_to):
    path = path_to(UNSUBSCRIBE, reader.uid)
    browser.post(path)
    page = browser.get(path)

    assert 200 == page.status_code
    assert "<button" not in page.text


@pytest.mark.slow
def test_a_link_and_a_suppression_outlive_the_key_that_made_them(newsroom, reader, path_to):
    """A new key signs new links; old mails are left by their old ones, and who must not be mailed stays so."""
    suppress_address(newsroom, "bakyt@example.org")
    link = path_to(TokenPurpose.UNSUBSCRIBE, reader.uid)
    known = newsroom.settings.model_dump() | {"secret_key": "another key, " * 4}
    after = replace(newsroom, settings=Settings(**known | {"retired_keys": (newsroom.settings.secret_key,)}))
    page = Browser(after).post(link)
    Browser(after).subscribe(address="bakyt@example.org", list="weekly")

    assert 200 == page.status_code
    assert SubscriptionState.ENDED is find(newsroom, "aida@example.org")[-1].state
    assert [] == find(newsroom, "bakyt@example.org")
    assert 404 == Browser(replace(newsroom, settings=Settings(**known))).post(link).status_code
