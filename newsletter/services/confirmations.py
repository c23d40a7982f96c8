"""Confirmations: what a mailed link confirms, by its button alone; and that the address's owner did not ask for it."""

from collections.abc import Iterable
from dataclasses import dataclass

from newsletter.domain.lists import MailingList
from newsletter.domain.subscriptions import (
    CONFIRMATION_LIFETIME,
    Confirmation,
    Consent,
    ConsentAct,
    EndReason,
    Evidence,
    Subscription,
    SubscriptionState,
    decide_confirmation,
)
from newsletter.domain.suppressions import SuppressionReason
from newsletter.services.context import App, Transaction
from newsletter.services.subscriptions import Standing, end_one, find_standing, lock_standing
from newsletter.services.suppressions import suppress_hash
from newsletter.storage import lists as list_store
from newsletter.storage import subscribers as subscriber_store
from newsletter.storage import subscriptions as storage


@dataclass(frozen=True, slots=True)
class Waiting:
    """A subscription of one reader that waits for confirmation, with its list."""

    subscription: Subscription
    mailing_list: MailingList


@dataclass(frozen=True, slots=True)
class Asked:
    """What a confirmation link would do if its button were pressed now, and for which of the reader's lists."""

    decision: Confirmation
    standing: Standing
    waiting: tuple[Waiting, ...]


def look_at_confirmation(app: App, uid: str) -> Asked:
    """
    Return what the page behind a confirmation link has to say; changes nothing.

    Raises:
        NotFoundError: no subscription has that uid.
    """
    with app.reading() as tx:
        standing = find_standing(tx, uid)
        decision = decide_confirmation(standing.named, standing.live, tx.now)
        return Asked(decision, standing, tuple(find_waiting(tx, standing)))


def confirm(app: App, uid: str, *, slugs: Iterable[str] | None = None, evidence: Evidence) -> Confirmation:
    """
    Confirm the sign-up that a mailed link names; with *slugs* exactly those of the reader's waiting lists.

    Without *slugs* it confirms everything asked for in the same sign-up. Safe to repeat.

    Raises:
        NotFoundError: no subscription has that uid.
    """
    with app.transaction() as tx:
        standing = lock_standing(tx, uid)
        decision = decide_confirmation(standing.named, standing.live, tx.now)
        wanted = None if slugs is None else set(slugs)
        for each in find_waiting(tx, standing):
            asked_together = each.subscription.created_at == standing.latest.created_at
            if each.mailing_list.slug in wanted if wanted is not None else asked_together:
                _confirm_one(tx, each.subscription, evidence)
        return decision


def disown(app: App, uid: str) -> None:
    """
    End all that waits for an address whose owner did not ask for it, and never mail the address again.

    Only an address without any confirmed subscription is suppressed: whoever reads us can leave in the usual way.

    Raises:
        NotFoundError: no subscription has that uid.
    """
    with app.transaction() as tx:
        standing = lock_standing(tx, uid)
        mine = storage.load_subscriptions(tx.session, [standing.named.subscriber_id])
        for each in mine:
            if each.state is SubscriptionState.UNCONFIRMED:
                end_one(tx, each, EndReason.REMOVED, basis="the address's owner did not ask for it", evidence="")
        if all(each.confirmed_at is None for each in mine):
            owner = subscriber_store.load_subscriber_by_id(tx.session, standing.named.subscriber_id)
            suppress_hash(tx, owner.address_hmac, SuppressionReason.NOT_ME)


def find_waiting(tx: Transaction, standing: Standing) -> list[Waiting]:
    """Return what a confirmation link can confirm: its own subscription first, then the reader's others that wait."""
    if decide_confirmation(standing.named, standing.live, tx.now) not in (Confirmation.CONFIRM, Confirmation.ALREADY):
        return []
    mine = storage.load_subscriptions(tx.session, [standing.named.subscriber_id])
    waiting = [
        each
        for each in mine
        if each.state is SubscriptionState.UNCONFIRMED and tx.now < each.created_at + CONFIRMATION_LIFETIME
    ]
    waiting.sort(key=lambda each: each.id != standing.latest.id)
    return [Waiting(each, list_store.load_list_by_id(tx.session, each.list_id)) for each in waiting]


def _confirm_one(tx: Transaction, waiting: Subscription, evidence: Evidence) -> None:
    if storage.confirm_subscription(tx.session, waiting.id, now=tx.now):
        consent = Consent(tx.now, ConsentAct.CONFIRMED, "the button behind the mailed link", evidence)
        storage.add_consent(tx.session, waiting.id, consent)
