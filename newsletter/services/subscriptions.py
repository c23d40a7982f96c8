"""Subscriptions: what a mailed link names, left at once and taken up again, each act with its record."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from newsletter.domain.filters import choose
from newsletter.domain.lists import MailingList
from newsletter.domain.subscriptions import (
    Choice,
    Consent,
    ConsentAct,
    EndReason,
    Evidence,
    Subscription,
    SubscriptionState,
    fit_filter,
    may_undo,
)
from newsletter.errors import ConflictError, NotFoundError
from newsletter.services.context import App, Transaction
from newsletter.services.filters import EVERY_ARTICLE, NamedFilter, load_names
from newsletter.storage import lists as list_store
from newsletter.storage import mailings, requests
from newsletter.storage import subscribers as subscriber_store
from newsletter.storage import subscriptions as storage


@dataclass(frozen=True, slots=True)
class Standing:
    """
    What the link in a mail leads to.

    *named* is the subscription that the mail was made for, *latest* the reader's newest of that list: the one that
    is not ended, if there is one.
    """

    named: Subscription
    latest: Subscription
    mailing_list: MailingList

    @property
    def live(self) -> Subscription | None:
        """The subscription in force or waiting for confirmation, None once the reader has left."""
        return None if self.latest.state is SubscriptionState.ENDED else self.latest


def find_standing(tx: Transaction, uid: str) -> Standing:
    """
    Return what the subscription that a token names has become.

    Raises:
        NotFoundError: no subscription has that uid.
    """
    named = storage.load_subscription(tx.session, uid)
    if named is None:
        raise NotFoundError("this link belongs to no subscription; sign up again, or use the link in a newer mail")
    latest = storage.load_latest(tx.session, named.subscriber_id, named.list_id) or named
    return Standing(named, latest, list_store.load_list_by_id(tx.session, named.list_id))


def lock_standing(tx: Transaction, uid: str) -> Standing:
    """Return what `find_standing` does, nobody else changing that reader's subscriptions until the end."""
    subscriber_store.lock_subscriber(tx.session, find_standing(tx, uid).named.subscriber_id)
    return find_standing(tx, uid)


def unsubscribe(app: App, uid: str, *, basis: str, evidence: Evidence) -> Standing:
    """
    End the reader's subscription of the list that a token names, and cancel what waits to be sent. Safe to repeat.

    An old link ends what took its subscription's place, too: leaving always works.

    Raises:
        NotFoundError: no subscription has that uid.
    """
    with app.transaction() as tx:
        standing = lock_standing(tx, uid)
        if standing.live:
            end_one(tx, standing.live, EndReason.UNSUBSCRIBED, basis=basis, evidence=evidence)
        return find_standing(tx, uid)


def unsubscribe_all(app: App, uid: str, *, basis: str, evidence: Evidence) -> Standing:
    """
    End every subscription of the reader whom a token names, and cancel what waits to be sent. Safe to repeat.

    Raises:
        NotFoundError: no subscription has that uid.
    """
    with app.transaction() as tx:
        standing = lock_standing(tx, uid)
        end_all(tx, standing.named.subscriber_id, EndReason.UNSUBSCRIBED, basis=basis, evidence=evidence)
        return find_standing(tx, uid)


def undo_unsubscribe(app: App, uid: str, *, evidence: Evidence) -> Standing:
    """
    Take up again, with the same choice, what its reader ended within the last hour. Safe to repeat.

    Raises:
        NotFoundError: no subscription has that uid.
        ConflictError: it did not end by its reader just now; they sign up again instead.
    """
    with app.transaction() as tx:
        standing = lock_standing(tx, uid)
        if standing.live:
            return standing
        last = standing.latest
        if not may_undo(last, tx.now):
            raise ConflictError("it is too late to undo this; sign up again")
        consent = Consent(tx.now, ConsentAct.UNDONE, "undo of leaving", evidence)
        add_choice(tx, last.subscriber_id, last.list_id, last.choice, consent, confirmed_at=last.confirmed_at)
        return find_standing(tx, uid)


def end_one(tx: Transaction, live: Subscription, reason: EndReason, *, basis: str, evidence: Evidence) -> None:
    """End a subscription, cancel what waits to be sent for it, and record it; nothing when it has ended already."""
    if not storage.end_subscription(tx.session, live.id, reason, now=tx.now):
        return
    mailings.cancel_open_deliveries(tx.session, live.subscriber_id, live.list_id, f"the subscription ended: {reason}")
    storage.add_consent(tx.session, live.id, Consent(tx.now, ConsentAct.ENDED, f"{reason}: {basis}", evidence))


def end_all(tx: Transaction, subscriber_id: int, reason: EndReason, *, basis: str, evidence: Evidence = "") -> int:
    """End every subscription of a reader that is not ended, and cancel what waits to be sent; return how many."""
    live = [
        each
        for each in storage.load_subscriptions(tx.session, [subscriber_id])
        if each.state is not SubscriptionState.ENDED
    ]
    for each in live:
        end_one(tx, each, reason, basis=basis, evidence=evidence)
    return len(live)


def forget(tx: Transaction, subscriber_id: int) -> bool:
    """Empty a subscriber's address wherever it stands; its keyed hash stays. Return whether there was one."""
    mailings.forget_address(tx.session, subscriber_id)
    requests.forget_requests_of(tx.session, subscriber_id)
    return subscriber_store.erase_subscriber(tx.session, subscriber_id, now=tx.now)


def add_choice(
    tx: Transaction,
    subscriber_id: int,
    list_id: int,
    choice: Choice,
    consent: Consent,
    *,
    confirmed_at: datetime | None,
) -> Subscription:
    """Store one subscription with its line of consent; the reader has none of that list."""
    new = storage.NewSubscription(new_uid(), subscriber_id, list_id, choice, confirmed_at)
    added = storage.add_subscription(tx.session, new, now=tx.now)
    storage.add_consent(tx.session, added.id, consent)
    return added


def filter_of(tx: Transaction, mailing_list: MailingList, named: NamedFilter) -> int:
    """Return the id of a reader's choice, without what the list never carries."""
    if named == EVERY_ARTICLE:
        return list_store.intern_filter(tx.session, choose())
    names = load_names(tx)
    carried = list_store.load_filter(tx.session, mailing_list.filter_id)
    return list_store.intern_filter(tx.session, fit_filter(names.find(named), carried, names.ancestors))


def new_uid() -> str:
    """Return what tokens name a subscription or its reader by."""
    return str(uuid.uuid4())
