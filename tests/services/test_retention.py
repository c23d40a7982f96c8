"""What is kept only for a time, and what stays when it has passed."""

import pytest
from newsroom import DAY
from sqlalchemy import delete

from newsletter.domain.subscriptions import EndReason
from newsletter.errors import NotFoundError
from newsletter.services.lists import find_list
from newsletter.services.retention import HEARTBEAT, forget_what_is_old
from newsletter.services.subscribers import export_subscriber
from newsletter.services.subscriptions import unsubscribe
from newsletter.storage.heartbeats import HeartbeatRow
from newsletter.storage.retention import count_addresses
from newsletter.storage.subscribers import load_subscriber
from newsletter.storage.subscriptions import load_end_reasons


def an_hour_later(newsroom) -> None:
    """Let the job run again; its hour is the database's."""
    with newsroom.app.transaction() as tx:
        tx.session.execute(delete(HeartbeatRow).where(HeartbeatRow.name == HEARTBEAT))


def addresses(newsroom) -> int:
    with newsroom.app.reading() as tx:
        return count_addresses(tx.session)


def test_old_mails_lose_their_address_and_what_waits_keeps_it(newsroom):
    newsroom.subscribe("aida", "bek")
    newsroom.publish("One")
    first = newsroom.fan_out()
    newsroom.deliver(first)
    newsroom.move(7 * DAY)
    newsroom.publish("Two")
    newsroom.fan_out()
    before = addresses(newsroom)
    newsroom.move((newsroom.app.settings.keep_addresses_days - 3) * DAY)
    forget_what_is_old(newsroom.app)
    newsroom.move(30 * DAY)
    forget_what_is_old(newsroom.app)
    once_an_hour = addresses(newsroom)
    an_hour_later(newsroom)
    forget_what_is_old(newsroom.app)

    assert (4, 2, 2) == (before, once_an_hour, addresses(newsroom))
    assert "aida@readers.example" == export_subscriber(newsroom.app, "aida@readers.example").address


def test_who_left_everything_long_ago_is_erased_and_their_leaving_is_not(newsroom):
    newsroom.add_list("daily")
    newsroom.subscribe("gone", "stays")
    newsroom.subscribe("stays", slug="daily")
    hashed = export_hash(newsroom, "gone")
    for name in ("gone", "stays"):
        uid = newsroom.subscription(name).uid
        unsubscribe(newsroom.app, uid, basis="", evidence="")
    newsroom.move((newsroom.app.settings.keep_ended_days - 1) * DAY)
    forget_what_is_old(newsroom.app)
    export_subscriber(newsroom.app, "gone@readers.example")
    an_hour_later(newsroom)
    newsroom.move(2 * DAY)
    forget_what_is_old(newsroom.app)

    with pytest.raises(NotFoundError):
        export_subscriber(newsroom.app, "gone@readers.example")
    assert "stays@readers.example" == export_subscriber(newsroom.app, "stays@readers.example").address
    with newsroom.app.reading() as tx:
        reasons = load_end_reasons(tx.session, find_list(tx, "weekly").id, [hashed])
    assert {EndReason.UNSUBSCRIBED} == reasons[hashed]


def export_hash(newsroom, name: str) -> str:
    with newsroom.app.reading() as tx:
        person = load_subscriber(tx.session, f"{name}@readers.example")
        assert person is not None
        return person.address_hmac
