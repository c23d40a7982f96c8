"""Subscribers as staff see them: listed, shown, exported as a whole, erased."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from newsletter.domain.subscriptions import Consent, EndReason, Subscriber, Subscription, SubscriptionState
from newsletter.domain.suppressions import Suppression
from newsletter.errors import NotFoundError
from newsletter.mail.addresses import address_hmac, parse_address
from newsletter.services.audit import record_act
from newsletter.services.context import App, Transaction
from newsletter.services.filters import NamedFilter, load_names
from newsletter.services.lists import find_list
from newsletter.services.subscriptions import end_all, forget
from newsletter.storage import lists as list_store
from newsletter.storage import subscribers as storage
from newsletter.storage import subscriptions as subscription_store
from newsletter.storage.mailings import Mailing, load_mailings
from newsletter.storage.suppressions import load_suppression

MOST_LISTED = 1000
"""Rows in one page of a listing."""


@dataclass(frozen=True, slots=True)
class SubscriptionFacts:
    """A subscription in words, with the record of consent to it."""

    list: str
    state: SubscriptionState
    cadence: str
    language: str
    filter: NamedFilter
    created_at: datetime
    confirmed_at: datetime | None
    ended_at: datetime | None
    end_reason: EndReason | None
    consent: tuple[Consent, ...]


@dataclass(frozen=True, slots=True)
class MailFacts:
    """One mail made for a person, in words."""

    purpose: str
    list: str | None
    slot: str | None
    language: str
    made_at: datetime
    state: str
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class SubscriberFacts:
    """All that is kept about one person; subscriptions and mails in the order in which they came."""

    address: str
    language: str
    suppression: Suppression | None
    subscriptions: tuple[SubscriptionFacts, ...]
    mails: tuple[MailFacts, ...]


@dataclass(frozen=True, slots=True)
class ListedSubscriber:
    """One line of a listing; *id* is where the next page begins after."""

    id: int
    address: str
    list: str
    state: SubscriptionState
    cadence: str
    language: str
    filter: NamedFilter


def list_subscribers(
    app: App, *, slug: str | None = None, after: int = 0, limit: int = MOST_LISTED
) -> list[ListedSubscriber]:
    """
    Return subscriptions that are not ended, of one list or of all, after the id *after*, in order of id.

    Raises:
        NotFoundError: there is no list *slug*.
    """
    with app.reading() as tx:
        list_id = find_list(tx, slug).id if slug else None
        found = subscription_store.list_subscriptions(
            tx.session, list_id=list_id, after=after, limit=min(limit, MOST_LISTED)
        )
        words = _Words(tx, [each.subscription for each in found])
    return [
        ListedSubscriber(
            id=each.subscription.id,
            address=each.address,
            list=words.lists[each.subscription.list_id],
            state=each.subscription.state,
            cadence=each.subscription.cadence,
            language=each.subscription.language,
            filter=words.filters[each.subscription.filter_id],
        )
        for each in found
    ]


def export_subscriber(app: App, address: str) -> SubscriberFacts:
    """
    Return all that is kept about the person with that address.

    Raises:
        InvalidError: it is no address.
        NotFoundError: nobody has it, or they were erased.
    """
    with app.reading() as tx:
        subscriber = _find_subscriber(tx, address)
        return describe_subscriber(tx, subscriber)


def describe_subscriber(tx: Transaction, subscriber: Subscriber) -> SubscriberFacts:
    """Return all that is kept about a person."""
    subscriptions = subscription_store.load_subscriptions(tx.session, [subscriber.id])
    consents = subscription_store.load_consents(tx.session, [each.id for each in subscriptions])
    words = _Words(tx, subscriptions)
    return SubscriberFacts(
        address=subscriber.address,
        language=subscriber.language,
        suppression=load_suppression(tx.session, subscriber.address_hmac),
        subscriptions=tuple(words.describe(each, consents.get(each.id, [])) for each in subscriptions),
        mails=tuple(words.describe_mail(each) for each in load_mailings(tx.session, [subscriber.id])),
    )


def erase_subscriber(app: App, address: str) -> int:
    """
    End all subscriptions of a person and empty their address everywhere; return how many ended.

    The keyed hash of the address stays, so that an import does not bring them back; so does a suppression.

    Raises:
        InvalidError: it is no address.
        NotFoundError: nobody has it, or they were erased.
    """
    with app.transaction() as tx:
        subscriber = _find_subscriber(tx, address)
        storage.lock_subscriber(tx.session, subscriber.id)
        ended = end_all(tx, subscriber.id, EndReason.ERASED, basis="erased at request")
        forget(tx, subscriber.id)
        record_act(tx, "erased", f"subscriber {subscriber.id}", subscriptions_ended=ended)
    return ended


def address_hash(app: App, address: str) -> str:
    """Return the keyed hash of *address*, by which it is recognised after its erasure."""
    return address_hmac(app.settings.lasting_secret, parse_address(address).key)


def _find_subscriber(tx: Transaction, address: str) -> Subscriber:
    found = storage.load_subscriber(tx.session, parse_address(address).key)
    if found is None:
        raise NotFoundError(
            f"no subscriber has the address {address}; `newsletter subscribers list` shows who there is"
        )
    return found


class _Words:
    """Names of the lists and filters that some subscriptions refer to by id."""

    def __init__(self, tx: Transaction, subscriptions: Sequence[Subscription]) -> None:
        names = load_names(tx)
        filters = list_store.load_filters(tx.session, (each.filter_id for each in subscriptions))
        self.lists = {each.id: each.slug for each in list_store.load_lists(tx.session)}
        self.filters = {filter_id: names.name(choice) for filter_id, choice in filters.items()}

    def describe(self, subscription: Subscription, consents: Sequence[Consent]) -> SubscriptionFacts:
        return SubscriptionFacts(
            list=self.lists[subscription.list_id],
            state=subscription.state,
            cadence=subscription.cadence,
            language=subscription.language,
            filter=self.filters[subscription.filter_id],
            created_at=subscription.created_at,
            confirmed_at=subscription.confirmed_at,
            ended_at=subscription.ended_at,
            end_reason=subscription.end_reason,
            consent=tuple(consents),
        )

    def describe_mail(self, mailing: Mailing) -> MailFacts:
        return MailFacts(
            purpose=mailing.purpose,
            list=None if mailing.list_id is None else self.lists[mailing.list_id],
            slot=mailing.slot_key,
            language=mailing.language,
            made_at=mailing.mail_at,
            state=mailing.state,
            sent_at=mailing.accepted_at,
        )
