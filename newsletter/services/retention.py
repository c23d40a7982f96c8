"""Retention: forgets, hour by hour, what was kept only for a time."""

from datetime import timedelta

import structlog

from newsletter.domain.requests import REQUEST_LIFETIME
from newsletter.services.context import App
from newsletter.services.sign_ups import SIGN_UP_SPANS
from newsletter.services.subscriptions import forget
from newsletter.storage import feed_documents, requests, retention, sign_ups
from newsletter.storage.heartbeats import beat, heartbeat_age

log = structlog.get_logger()

HEARTBEAT = "retention"
PAUSE_BETWEEN = timedelta(hours=1)
MAILS_AT_ONCE = 5_000
READERS_AT_ONCE = 500


def forget_what_is_old(app: App) -> None:
    """
    Empty the addresses of old mails and requests, erase who left every list long ago, drop old counts of sign-ups and
    what no feed's document is put together from any more.

    Does its work once an hour, whoever calls it how often, in steps that lock little; safe to repeat.
    """
    with app.transaction() as tx:
        age = heartbeat_age(tx.session, HEARTBEAT)
        if age is not None and age < PAUSE_BETWEEN:
            return
        beat(tx.session, HEARTBEAT)
        requests.forget_requests(tx.session, before=tx.now - REQUEST_LIFETIME)
        sign_ups.forget_tallies(tx.session, before=tx.now - 2 * max(span for span, _ in SIGN_UP_SPANS))
    mails, readers = _forget_mails(app), _forget_readers(app)
    if mails or readers:
        log.info("old_addresses_forgotten", mails=mails, readers=readers)
    with app.transaction() as tx:
        feed_documents.forget_fragments(tx.session, now=tx.now)


def _forget_mails(app: App) -> int:
    forgotten = 0
    while True:
        with app.transaction() as tx:
            before = tx.now - timedelta(days=tx.settings.keep_addresses_days)
            step = retention.forget_delivery_addresses(tx.session, before=before, limit=MAILS_AT_ONCE)
        forgotten += step
        if step < MAILS_AT_ONCE:
            return forgotten


def _forget_readers(app: App) -> int:
    """Erase who has left; the keyed hash of an address stays, so that no import brings its owner back."""
    forgotten = 0
    while True:
        with app.transaction() as tx:
            before = tx.now - timedelta(days=tx.settings.keep_ended_days)
            gone = retention.find_long_gone(tx.session, before=before, limit=READERS_AT_ONCE)
            for subscriber_id in gone:
                forget(tx, subscriber_id)
        forgotten += len(gone)
        if len(gone) < READERS_AT_ONCE:
            return forgotten
