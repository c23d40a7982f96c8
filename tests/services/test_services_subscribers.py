import json
from dataclasses import asdict

import pytest

from newsletter.domain.subscriptions import EndReason, SubscriptionState
from newsletter.errors import InvalidError, NotFoundError
from newsletter.services.context import App
from newsletter.services.filters import EVERY_ARTICLE
from newsletter.services.lists import ListDraft, add_list
from newsletter.services.sign_ups import SignUpRequest, Wish, subscribe
from newsletter.services.subscriber_imports import add_subscriber
from newsletter.services.subscribers import erase_subscriber, export_subscriber, list_subscribers
from newsletter.services.subscriptions import end_all
from newsletter.services.suppressions import lift_suppression, suppress_address
from newsletter.storage.subscribers import load_subscriber

BASIS = "signed up on paper at the press day of 12 May 2024"


@pytest.fixture(autouse=True)
def readers(app: App) -> None:
    for slug in ("weekly", "press"):
        add_list(app, ListDraft(slug=slug, titles={"en": slug}))
        add_subscriber(app, slug, "Aida@example.org", basis=BASIS, wanted=EVERY_ARTICLE)
    add_subscriber(app, "weekly", "bakyt@example.org", basis=BASIS, wanted=EVERY_ARTICLE)


def ask(app: App, address: str) -> None:
    subscribe(app, SignUpRequest(address=address, wishes=[Wish("weekly")], language="en", basis="Yes", evidence="form"))


def test_readers_are_listed_by_list_and_in_pages(app):
    everybody = list_subscribers(app)
    of_press = list_subscribers(app, slug="press")
    rest = list_subscribers(app, after=everybody[0].id, limit=1)

    assert [("Aida@example.org", "weekly"), ("Aida@example.org", "press"), ("bakyt@example.org", "weekly")] == [
        (each.address, each.list) for each in everybody
    ]
    assert everybody[1:2] == of_press == rest


def test_an_export_holds_all_about_one_person_and_nobody_else(app):
    ask(app, "chinara@example.org")
    suppress_address(app, "chinara@example.org")
    facts = export_subscriber(app, "CHINARA@example.org")
    text = json.dumps(asdict(facts), default=str)

    assert ("chinara@example.org", "en") == (facts.address, facts.language)
    assert [("weekly", SubscriptionState.UNCONFIRMED)] == [(each.list, each.state) for each in facts.subscriptions]
    assert [("confirmation", "queued")] == [(each.purpose, each.state) for each in facts.mails]
    assert facts.suppression
    assert "Yes" in text
    assert "aida" not in text.lower()


def test_erasing_ends_everything_and_leaves_no_address_anywhere(app):
    ask(app, "chinara@example.org")
    assert 1 == erase_subscriber(app, "Chinara@example.org")

    assert 2 == erase_subscriber(app, "aida@example.org")
    with app.database.engine.connect() as connection:
        for table in ("subscriber", "subscription", "consent", "delivery", "suppression"):
            rows = str(connection.exec_driver_sql(f"SELECT * FROM {table}").all()).lower()
            assert "aida" not in rows, table
            assert "chinara" not in rows, table
    assert ["bakyt@example.org"] == [each.address for each in list_subscribers(app)]


def test_who_was_erased_is_unknown_and_may_sign_up_anew(app):
    erase_subscriber(app, "aida@example.org")
    with pytest.raises(NotFoundError):
        export_subscriber(app, "aida@example.org")
    ask(app, "aida@example.org")
    [subscription] = export_subscriber(app, "aida@example.org").subscriptions

    assert SubscriptionState.UNCONFIRMED == subscription.state


def test_a_suppression_outlives_erasure(app):
    suppress_address(app, "aida@example.org")
    erase_subscriber(app, "aida@example.org")
    ask(app, "aida@example.org")

    with pytest.raises(NotFoundError):
        export_subscriber(app, "aida@example.org")


def test_an_ended_subscription_is_exported_with_its_reason(app):
    with app.transaction() as tx:
        end_all(tx, load_subscriber(tx.session, "aida@example.org").id, EndReason.REMOVED, basis="asked by phone")
    facts = export_subscriber(app, "aida@example.org")

    assert [EndReason.REMOVED] * 2 == [each.end_reason for each in facts.subscriptions]
    assert "removed: asked by phone" == facts.subscriptions[0].consent[-1].basis


def test_suppressing_twice_keeps_the_first_reason_and_lifting_needs_a_suppression(app):
    first = suppress_address(app, "aida@example.org")
    second = suppress_address(app, "AIDA@example.org")
    lift_suppression(app, "aida@example.org")

    assert first == second
    with pytest.raises(NotFoundError, match="nothing to lift"):
        lift_suppression(app, "aida@example.org")


@pytest.mark.parametrize("act", [export_subscriber, erase_subscriber])
def test_unknown_and_impossible_addresses_are_told_apart(app, act):
    with pytest.raises(NotFoundError, match=r"nobody@example\.org"):
        act(app, "nobody@example.org")
    with pytest.raises(InvalidError, match="looks like"):
        act(app, "nobody")
