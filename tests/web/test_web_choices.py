"""What the page behind a preferences link does beside the choice itself."""

import json
import re
from datetime import timedelta

import pytest
from web_visitors import Browser, find, later, mails_to

from newsletter.domain.deliveries import Purpose
from newsletter.domain.subscriptions import EndReason, SubscriptionState, is_paused
from newsletter.mail.tokens import TokenPurpose
from newsletter.services.requests import ask_for_address, ask_for_data, ask_for_erasure
from newsletter.storage.requests import ReaderRequestRow
from newsletter.web import visits

ADDRESS = "aida@example.org"


@pytest.fixture
def preferences(path_to, reader) -> str:
    return path_to(TokenPurpose.PREFERENCES, reader.uid)


def request_uid(newsroom) -> str:
    """Return what the link mailed last names."""
    with newsroom.reading() as tx:
        return tx.session.query(ReaderRequestRow).order_by(ReaderRequestRow.id.desc()).first().uid


@pytest.mark.slow
def test_a_pause_is_shown_until_it_is_ended(browser, newsroom, preferences):
    paused = browser.post(preferences, data={"action": "pause", "until": "2026-04-20", "catch-up": "1"})
    shown = browser.get(preferences)
    resumed = browser.post(preferences, data={"action": "resume"})
    [subscription] = find(newsroom, ADDRESS)

    assert [200] * 3 == [each.status_code for each in (paused, shown, resumed)]
    assert "until 20 April 2026" in shown.text
    assert "What you miss comes with" in shown.text
    assert not is_paused(subscription)


@pytest.mark.parametrize("day", ["", "2026-03-16", "2020-01-01", "2099-01-01", "soon", "2026-13-40", "9" * 500])
def test_a_day_that_cannot_be_is_refused(browser, newsroom, preferences, day):
    answer = browser.post(preferences, data={"action": "pause", "until": day})

    assert 422 == answer.status_code
    assert "choose a day to come" in answer.text
    assert not any(is_paused(each) for each in find(newsroom, ADDRESS))


@pytest.mark.slow
def test_a_pause_outlives_a_change_of_choice(browser, newsroom, preferences):
    browser.post(preferences, data={"action": "pause", "until": "2026-04-20"})
    browser.post(preferences, data={"cadence": "weekly", "language": "ru"})

    assert is_paused(find(newsroom, ADDRESS)[-1])


@pytest.mark.slow
def test_all_newsletters_are_chosen_at_once(browser, newsroom, preferences):
    both = browser.post(preferences, data={"action": "lists", "list": ["weekly", "events"]})
    states = [each.state for each in find(newsroom, ADDRESS)]
    none = browser.post(preferences, data={"action": "lists"})

    assert [SubscriptionState.CONFIRMED] * 2 == states
    assert "are saved" in both.text
    assert "You have unsubscribed" in none.text
    assert {EndReason.UNSUBSCRIBED} == {each.end_reason for each in find(newsroom, ADDRESS)}


def test_a_hidden_list_is_neither_offered_nor_begun(browser, newsroom, preferences):
    page = browser.get(preferences)
    browser.post(preferences, data={"action": "lists", "list": ["weekly", "staff", "no-such"]})

    assert "Staff only" not in page.text
    assert 1 == len(find(newsroom, ADDRESS))


@pytest.mark.slow
@pytest.mark.parametrize("action", ["download", "erase", "address"])
def test_what_needs_a_fresh_link_is_mailed_and_shows_nothing(browser, newsroom, preferences, action):
    answer = browser.post(preferences, data={"action": action, "address": "new@example.org"})
    notices = [each for each in mails_to(newsroom, ADDRESS) if each.purpose is Purpose.NOTICE]

    assert 200 == answer.status_code
    assert "We have sent a link" in answer.text
    assert ADDRESS not in answer.text
    assert (2 if action == "address" else 1) == len(notices)
    assert [SubscriptionState.CONFIRMED] == [each.state for each in find(newsroom, ADDRESS)]


@pytest.mark.slow
def test_an_address_that_is_none_is_refused_and_too_many_links_too(browser, preferences):
    wrong = browser.post(preferences, data={"action": "address", "address": "aida"})
    answers = [browser.post(preferences, data={"action": "download"}).status_code for _ in range(6)]

    assert 422 == wrong.status_code
    assert [*[200] * 5, 429] == answers


@pytest.mark.slow
def test_a_feed_of_ones_own_is_made_shown_and_taken_back(browser, preferences):
    made = browser.post(preferences, data={"action": "feed"})
    shown = browser.get(preferences)
    [address] = re.findall(r'href="https://news.example.org(/feeds/private/[^"]+\.atom)"', shown.text)
    feed = browser.get(address)
    browser.post(preferences, data={"action": "no-feed"})

    assert [200] * 2 == [made.status_code, feed.status_code]
    assert browser.get(address).status_code in (404, 410)


def test_an_unknown_button_changes_nothing(browser, newsroom, preferences):
    before = find(newsroom, ADDRESS)
    answer = browser.post(preferences, data={"action": "explode"})

    assert 422 == answer.status_code
    assert before == find(newsroom, ADDRESS)


@pytest.mark.slow
def test_data_comes_as_a_file_by_post_alone_and_once(browser, newsroom, reader, path_to):
    ask_for_data(newsroom, reader.uid)
    path = path_to(TokenPurpose.REQUEST, request_uid(newsroom))
    page, file, again = browser.get(path), browser.post(path), browser.post(path)
    facts = json.loads(file.text)

    assert "Download my data" in page.text
    assert ADDRESS not in page.text
    assert 'attachment; filename="my-data.json"' == file.headers["content-disposition"]
    assert (ADDRESS, "weekly") == (facts["address"], facts["subscriptions"][0]["list"])
    assert "no-store" == file.headers["cache-control"]
    assert 410 == again.status_code


@pytest.mark.slow
def test_who_is_erased_can_still_follow_every_old_link(browser, newsroom, reader, path_to):
    ask_for_erasure(newsroom, reader.uid)
    browser.post(path_to(TokenPurpose.REQUEST, request_uid(newsroom)))
    paths = [path_to(purpose, reader.uid) for purpose in ("confirm", "preferences", "unsubscribe")]

    assert [] == find(newsroom, ADDRESS)
    assert [410, 410, 200] == [browser.get(path).status_code for path in map(str, paths)]


@pytest.mark.slow
def test_who_was_told_refuses_by_a_button(browser, newsroom, reader, path_to):
    ask_for_address(newsroom, reader.uid, "new@example.org")
    uid = request_uid(newsroom)
    asked, refusal = path_to(TokenPurpose.REQUEST, uid), path_to(TokenPurpose.REFUSAL, uid)
    looked, still_open = browser.get(refusal), browser.get(asked)
    refused, late = browser.post(refusal), browser.post(asked)

    assert [200, 200, 200, 410] == [each.status_code for each in (looked, still_open, refused, late)]
    assert "Your address stays" in refused.text
    assert ADDRESS == find_address(newsroom)


def find_address(newsroom) -> str:
    return ADDRESS if find(newsroom, ADDRESS) else ""


@pytest.mark.slow
def test_a_link_is_a_day_old_at_most(newsroom, reader, path_to):
    ask_for_data(newsroom, reader.uid)
    path = path_to(TokenPurpose.REQUEST, request_uid(newsroom))
    tomorrow = Browser(later(newsroom, timedelta(days=1)))

    assert [410, 410] == [tomorrow.get(path).status_code, tomorrow.post(path).status_code]


def test_what_was_sent_is_a_page_of_its_own(browser, preferences):
    page = browser.get(f"{preferences}/sent?before=%00")

    assert 200 == page.status_code
    assert "Nothing has been sent yet." in page.text
    assert "no-store" == page.headers["cache-control"]


@pytest.mark.parametrize("purpose", ["requests", "refusals"])
def test_a_forged_request_is_answered_by_a_page(browser, purpose):
    assert {404} == {browser.request(method, f"/{purpose}/AAAA").status_code for method in ("GET", "POST")}


@pytest.mark.slow
@pytest.mark.usefixtures("reader")
def test_the_time_of_an_answer_tells_nothing(browser, monkeypatch):
    """Known, new and suppressed addresses are answered at the same moment, which is longer than any of the work."""
    waits = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(visits, "ANSWER_SECONDS", 30)
    monkeypatch.setattr(visits.asyncio, "sleep", note)
    for address in (ADDRESS, "new@example.org"):
        browser.subscribe(address=address, list="weekly")

    assert 2 == len(waits)
    assert all(25 < each <= 30 for each in waits)
