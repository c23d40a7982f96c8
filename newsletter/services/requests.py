"""Requests of readers that need more than the link in a footer, which may have been forwarded: a freshly mailed one."""

import uuid
from dataclasses import dataclass

from newsletter.dispatch import Doorbell
from newsletter.domain.addresses import Address
from newsletter.domain.requests import ADDRESS_LIMIT, REQUEST_LIMIT, ReaderRequest, RequestKind, is_open
from newsletter.domain.subscriptions import Consent, ConsentAct, EndReason, Evidence, Subscriber, SubscriptionState
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.mail.addresses import address_hmac, parse_address
from newsletter.services.context import App, Transaction
from newsletter.services.deliveries import queue_announcement, queue_reminder, queue_request
from newsletter.services.sign_ups import refused_by_policy
from newsletter.services.subscribers import SubscriberFacts, describe_subscriber
from newsletter.services.subscriptions import Standing, end_all, find_standing, forget, lock_standing
from newsletter.storage import requests as storage
from newsletter.storage import subscribers as subscriber_store
from newsletter.storage import subscriptions as subscription_store
from newsletter.storage.mailings import load_confirmation_times
from newsletter.storage.suppressions import load_suppression

STALE = "this link worked for one day and once; ask for a new one"


def ask_for_data(app: App, uid: str) -> Standing:
    """
    Mail the reader whom a token names a link to all that is kept about them.

    Raises:
        NotFoundError: no subscription has that uid.
        ConflictError: it has ended, or too many mails of this sort were asked for today.
    """
    return _ask(app, uid, RequestKind.DOWNLOAD)


def ask_for_erasure(app: App, uid: str) -> Standing:
    """
    Mail the reader whom a token names a link that erases them.

    Raises:
        NotFoundError: no subscription has that uid.
        ConflictError: as `ask_for_data`.
    """
    return _ask(app, uid, RequestKind.ERASE)


def ask_for_address(app: App, uid: str, address: str) -> Standing:
    """
    Mail a link to a new address that moves a reader there, and tell the old one, which can refuse.

    The caller learns nothing of the new address: one that must not be mailed gets nothing, one that is somebody's
    subscribed already is told so, within what sign-ups may send.

    Raises:
        NotFoundError: no subscription has that uid.
        InvalidError: *address* is none, or the newsroom's rules take no sign-ups from it.
        ConflictError: as `ask_for_data`.
    """
    new = parse_address(address)
    if refused_by_policy(app.settings, new):
        raise InvalidError("sign-ups are not taken from that address; choose another")
    return _ask(app, uid, RequestKind.ADDRESS, new)


def _ask(app: App, uid: str, kind: RequestKind, address: Address | None = None) -> Standing:
    with app.transaction() as tx:
        standing = lock_standing(tx, uid)
        if standing.live is None:
            raise ConflictError("this subscription has ended; sign up again to get mails")
        reader = subscriber_store.load_subscriber_by_id(tx.session, standing.named.subscriber_id)
        span, most = REQUEST_LIMIT
        if storage.count_requests(tx.session, reader.id, since=tx.now - span) >= most:
            raise ConflictError("too many such mails were asked for today; come back tomorrow")
        new = storage.NewRequest(str(uuid.uuid4()), reader.id, kind, standing.live.language, address)
        request = storage.add_request(tx.session, new, now=tx.now)
        if address is None or _may_move_to(tx, address):
            queue_request(tx, request, reader)
        if address is not None:
            queue_announcement(tx, request, reader)
        tx.ring(Doorbell.SEND_TRANSACTIONAL)
        return find_standing(tx, uid)


def _may_move_to(tx: Transaction, address: Address) -> bool:
    """Say whether a new address may be asked; who is subscribed with it already is told that instead."""
    hashed = address_hmac(tx.settings.lasting_secret, address.key)
    span, _ = REQUEST_LIMIT
    asked = storage.count_asked(tx.session, address.key, since=tx.now - span)  # this one among them
    if load_suppression(tx.session, hashed) or asked > ADDRESS_LIMIT:
        return False
    owner = subscriber_store.load_subscriber(tx.session, address.key)
    if owner is None:
        return True
    theirs = subscription_store.load_subscriptions(tx.session, [owner.id])
    confirmed = [each for each in theirs if each.state is SubscriptionState.CONFIRMED]
    if confirmed and not load_confirmation_times(tx.session, hashed, since=tx.now - span):
        queue_reminder(tx, confirmed[0].id)
    return False


@dataclass(frozen=True, slots=True)
class Done:
    """What a mailed link has done; *data* is what a download leads to."""

    kind: RequestKind
    language: str
    data: SubscriberFacts | None = None


def look_at_request(app: App, uid: str) -> ReaderRequest:
    """
    Return what the page behind a mailed link asks about; changes nothing.

    Raises:
        NotFoundError: there is no such request.
        ConflictError: its link was used, was refused, or is too old.
    """
    with app.reading() as tx:
        return _open_request(tx, uid)


def fulfil(app: App, uid: str, *, evidence: Evidence) -> Done:
    """
    Do what a request asks, once.

    Raises:
        NotFoundError: there is no such request.
        ConflictError: its link was used, was refused or is too old; or the new address became somebody's meanwhile.
    """
    with app.transaction() as tx:
        request = _open_request(tx, uid)
        subscriber_store.lock_subscriber(tx.session, request.subscriber_id)
        reader = subscriber_store.load_subscriber_by_id(tx.session, request.subscriber_id)
        if not storage.finish_request(tx.session, request.id, now=tx.now) or not reader.address:
            raise ConflictError(STALE)
        if request.kind is RequestKind.DOWNLOAD:
            return Done(request.kind, request.language, describe_subscriber(tx, reader))
        if request.kind is RequestKind.ERASE:
            end_all(tx, reader.id, EndReason.ERASED, basis="erased at request", evidence=evidence)
            forget(tx, reader.id)
        elif request.address is not None:
            _move(tx, reader, request.address, evidence)
        return Done(request.kind, request.language)


def refuse(app: App, uid: str) -> ReaderRequest:
    """
    Make a request's link worthless, since the reader who was told of it did not ask for it. Safe to repeat.

    Raises:
        NotFoundError: there is no such request.
    """
    with app.transaction() as tx:
        request = _find_request(tx, uid)
        storage.finish_request(tx.session, request.id, now=tx.now)
        return request


def find_request(app: App, uid: str) -> ReaderRequest:
    """
    Return a request, decided or not.

    Raises:
        NotFoundError: there is no such request.
    """
    with app.reading() as tx:
        return _find_request(tx, uid)


def _find_request(tx: Transaction, uid: str) -> ReaderRequest:
    request = storage.load_request(tx.session, uid)
    if request is None:
        raise NotFoundError("this link belongs to no request")
    return request


def _open_request(tx: Transaction, uid: str) -> ReaderRequest:
    request = _find_request(tx, uid)
    if not is_open(request, tx.now):
        raise ConflictError(STALE)
    return request


def _move(tx: Transaction, reader: Subscriber, address: Address, evidence: Evidence) -> None:
    """Give a reader another address; every subscription and its record stay theirs."""
    hashed = address_hmac(tx.settings.lasting_secret, address.key)
    if load_suppression(tx.session, hashed):
        raise ConflictError("that address must not be mailed")
    if not subscriber_store.move_subscriber(tx.session, reader.id, address, hashed):
        raise ConflictError("that address became a reader's meanwhile")
    for each in subscription_store.load_subscriptions(tx.session, [reader.id]):
        if each.state is not SubscriptionState.ENDED:
            basis = "the button behind the link mailed to the new address"
            consent = Consent(tx.now, ConsentAct.MOVED, basis, evidence)
            subscription_store.add_consent(tx.session, each.id, consent)
