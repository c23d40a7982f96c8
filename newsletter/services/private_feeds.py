"""Private feeds: what a reader chose of a list, by an address of their own that they can take back."""

import base64
import hashlib
import hmac

from newsletter.domain.feeds import FeedFormat, FeedPlan, feed_address, private_stem
from newsletter.domain.subscriptions import SubscriptionState
from newsletter.errors import ConflictError, NotFoundError
from newsletter.services.context import App, Transaction
from newsletter.services.feed_building import load_writer
from newsletter.services.subscriptions import Standing, find_standing
from newsletter.storage import private_feeds as storage
from newsletter.storage.lists import load_filter, load_list_by_id, lock_list
from newsletter.storage.private_feeds import PrivateFeed
from newsletter.storage.subscriptions import load_latest

TOKEN_BYTES = 24
"""192 bits: nobody guesses one."""

Addresses = dict[FeedFormat, str]


def address_of(app: App, uid: str) -> Addresses | None:
    """Return the addresses of the private feed of a subscription, by format; None: it has none, or it was taken back.

    *uid*: that of any of the reader's subscriptions to the list, as tokens name it. The addresses stay the same
    whatever the reader chooses anew.

    Raises:
        NotFoundError: no subscription has that uid.
    """
    with app.reading() as tx:
        standing = find_standing(tx, uid)
        newest = storage.load_newest(tx.session, standing.latest.subscriber_id, standing.latest.list_id)
        if newest is None or newest.revoked_at is not None:
            return None
        token = _token(tx, newest.subscriber_id, newest.list_id, newest.serial)
        return _addresses(tx, token) if _digest(token) == newest.digest else None  # else made under another key


def renew(app: App, uid: str) -> Addresses:
    """Give a subscription a private feed, or a new address for it, after which the old one is gone.

    Raises:
        NotFoundError: no subscription has that uid.
        ConflictError: it has ended, or waits for its confirmation.
    """
    with app.transaction() as tx:
        standing = find_standing(tx, uid)
        live = standing.live
        if live is None or live.state is not SubscriptionState.CONFIRMED:
            raise ConflictError("a feed of one's own goes with a subscription that is confirmed")
        lock_list(tx.session, live.list_id)  # so that of two windows one makes the address and the other replaces it
        newest = storage.load_newest(tx.session, live.subscriber_id, live.list_id)
        storage.revoke_all(tx.session, live.subscriber_id, live.list_id, now=tx.now)
        serial = newest.serial + 1 if newest else 1
        token = _token(tx, live.subscriber_id, live.list_id, serial)
        made = PrivateFeed(live.subscriber_id, live.list_id, serial, _digest(token), None)
        storage.add_private_feed(tx.session, made, now=tx.now)
        return _addresses(tx, token)


def revoke(app: App, uid: str) -> None:
    """Take back the address of a subscription's private feed; safe to repeat.

    Raises:
        NotFoundError: no subscription has that uid.
    """
    with app.transaction() as tx:
        latest = _latest(find_standing(tx, uid))
        storage.revoke_all(tx.session, *latest, now=tx.now)


def find_plan(app: App, token: str) -> FeedPlan | None:
    """Return what the address with that *token* shows now; None: it was taken back, or the subscription has ended.

    Raises:
        NotFoundError: no such address was ever given.
    """
    with app.reading() as tx:
        found = storage.find_by_digest(tx.session, _digest(token))
        if found is None:
            raise NotFoundError("there is no such feed")
        latest = load_latest(tx.session, found.subscriber_id, found.list_id)
        if found.revoked_at is not None or latest is None or latest.state is not SubscriptionState.CONFIRMED:
            return None
        choice = load_filter(tx.session, latest.filter_id)
        mailing_list = load_list_by_id(tx.session, found.list_id)
        return load_writer(tx).choice(mailing_list, latest.language, choice)


def _latest(standing: Standing) -> tuple[int, int]:
    return standing.latest.subscriber_id, standing.latest.list_id


def _addresses(tx: Transaction, token: str) -> Addresses:
    return {form: feed_address(tx.settings.base_url, private_stem(token), form) for form in FeedFormat}


def _token(tx: Transaction, subscriber_id: int, list_id: int, serial: int) -> str:
    """Return the token of an address: made anew each time it is shown, so that none is stored."""
    said = f"newsletter private feed {subscriber_id} {list_id} {serial}".encode()
    return base64.urlsafe_b64encode(
        hmac.digest(tx.settings.lasting_secret, said, hashlib.sha256)[:TOKEN_BYTES]
    ).decode()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
