"""The whole life of one subscriber by HTTP alone, on both databases."""

import re

import pytest
from web_visitors import find, mails_to

from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.subscriptions import SubscriptionState
from newsletter.mail.tokens import TokenPurpose


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_from_sign_up_to_leaving(browser, newsroom, sign_up, path_to):
    waiting = sign_up(topic="schools", **{"cadence-weekly": "weekly"})
    confirmed = browser.post(path_to(TokenPurpose.CONFIRM, waiting.uid))
    preferences = path_in(confirmed.text, "preferences")
    choice = {"cadence": "daily", "language": "ru", "kind": "story"}
    changed = browser.post(preferences, data=choice)
    unsubscribe = path_in(changed.text, "unsubscribe")
    fewer = path_in(browser.get(unsubscribe).text, "preferences")
    left = browser.post(unsubscribe, data={"List-Unsubscribe": "One-Click"})
    undone = browser.post(unsubscribe, data={"action": "undo"})
    browser.post(unsubscribe)
    states = [each.state for each in find(newsroom, "aida@example.org")]

    assert [200] * 4 == [each.status_code for each in (confirmed, changed, left, undone)]
    assert [410, 410] == [browser.get(each).status_code for each in (preferences, fewer)]
    assert [SubscriptionState.ENDED] * 3 == states
    assert [DeliveryState.CANCELLED] == [each.state for each in mails_to(newsroom, "aida@example.org")]


def path_in(page: str, purpose: str) -> str:
    return re.search(rf"/{purpose}/[\w-]+", page)[0]
