"""Subscriptions: asked for on the web, confirmed by mail, changed, left and taken up again, each with its record."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from newsletter.config import Settings
from newsletter.dispatch import Doorbell
from newsletter.domain.addresses import Address, AddressPolicy, is_shared_role, split_address
from newsletter.domain.disposable import is_disposable, is_within
from newsletter.domain.lists import Cadence, MailingList
from newsletter.domain.subscriptions import (
    CONFIRMATION_LIFETIME,
    CONFIRMATION_LIMITS,
    Choice,
    Confirmation,
    Consent,
    ConsentAct,
    EndReason,
    Evidence,
    SignUp,
    Subscriber,
    Subscription,
    SubscriptionState,
    decide_confirmation,
    decide_sign_up,
    fit_cadence,
    fit_filter,
    fit_language,
    may_mail_confirmation,
    may_undo,
)
from newsletter.domain.suppressions import SuppressionReason
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.mail.addresses import address_hmac, network_hmac, parse_address
from newsletter.services.context import App, Transaction
from newsletter.services.deliveries import queue_confirmation, queue_reminder
from newsletter.services.filters import EVERY_ARTICLE, NamedFilter, load_names
from newsletter.services.lists import find_list
from newsletter.services.suppressions import suppress_hash
from newsletter.storage import lists as list_store
from newsletter.storage import mailings, requests, sign_ups
from newsletter.storage import subscribers as subscriber_store
from newsletter.storage import subscriptions as storage
from newsletter.storage.suppressions import load_suppression

log = structlog.get_logger()

LAPSED_AT_ONCE = 1000
"""Sign-ups ended in one transaction when they were never confirmed."""

SIGN_UP_SPANS = ((timedelta(hours=1), 1), (timedelta(days=1), 4))
"""Spans in which sign-ups are counted, each with how many times an hour's limit it allows."""
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""Where spans are counted from."""
OVERALL = "overall"

LONGEST_CONFIRMATION_SPAN = max(span for span, _ in CONFIRMATION_LIMITS)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a visitor asks of one list; *cadence* None: the list's first."""

    list_slug: str
    cadence: Cadence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUpRequest:
    """One filled-in sign-up form; *basis* is the wording of consent shown, *evidence* where and from which network.

    *network* is what sign-ups are counted by: the network of one household or office; it is not kept.
    """

    address: str
    wishes: Sequence[Wish]
    language: str
    filter: NamedFilter = EVERY_ARTICLE
    basis: str
    evidence: Evidence
    network: str = ""


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


def subscribe(app: App, request: SignUpRequest) -> None:
    """
    Take a sign-up and mail what is right for the address's past; the caller learns nothing of that.

    Writes an unconfirmed subscription for each list without one, a line of consent each, and at most one mail within
    the limits per address: the link that confirms, or that all of it is subscribed already. A suppressed address gets
    nothing and leaves nothing; so does every address once its network, or all of them together, sent too many.

    Raises:
        InvalidError: the address is none, or no list is chosen, or one does not take sign-ups, or a choice is unknown.
    """
    address = parse_address(request.address)
    hashed = address_hmac(app.settings.lasting_secret, address.key)
    if not request.wishes:
        raise InvalidError("no list is chosen; choose at least one")
    with app.transaction() as tx:
        chosen = [_resolve(tx, wish, request) for wish in request.wishes]
        if not _count_in(tx, request.network):
            return
        if load_suppression(tx.session, hashed):
            return
        new = subscriber_store.NewSubscriber(_new_uid(), address.original, address.key, hashed, request.language)
        subscriber = subscriber_store.intern_subscribers(tx.session, [new], now=tx.now)[address.key]
        subscriber_store.lock_subscriber(tx.session, subscriber.id)
        mailed_at = mailings.load_confirmation_times(tx.session, hashed, since=tx.now - LONGEST_CONFIRMATION_SPAN)
        may_mail = may_mail_confirmation(mailed_at, tx.now)
        consent = Consent(tx.now, ConsentAct.ASKED, request.basis, request.evidence)
        touched = [
            _sign_up(tx, subscriber, mailing_list, choice, consent, may_mail=may_mail)
            for mailing_list, choice in chosen
        ]
        if may_mail:
            waiting = [each for each in touched if each.state is SubscriptionState.UNCONFIRMED]
            if waiting:
                queue_confirmation(tx, waiting[0].id)
            else:
                queue_reminder(tx, touched[0].id)
            tx.ring(Doorbell.SEND_TRANSACTIONAL)


def refused_by_policy(settings: Settings, address: Address) -> AddressPolicy | None:
    """Say by which of the newsroom's rules an address that could get mail may not sign up; None: it may."""
    local, domain = split_address(address.key)
    if is_within(domain, settings.refused_domains) or (settings.refuse_disposable and is_disposable(domain)):
        return AddressPolicy.DOMAIN
    if settings.refuse_roles and is_shared_role(local):
        return AddressPolicy.ROLE
    return None


def _count_in(tx: Transaction, network: str) -> bool:
    """Count a sign-up and say whether it may go on: whether its network and all of them stay within their limits."""
    hashed = network_hmac(tx.settings.secret, network)
    for scope, limit in ((hashed, tx.settings.sign_ups_per_network), (OVERALL, tx.settings.sign_ups_overall)):
        for span, times in SIGN_UP_SPANS:
            begins_at = tx.now - (tx.now - EPOCH) % span
            seconds = int(span.total_seconds())
            count = sign_ups.count_sign_up(tx.session, scope, begins_at=begins_at, seconds=seconds)
            if count == limit * times + 1:
                log.warning("sign_ups_limited", overall=scope == OVERALL, hours=seconds // 3600, limit=limit * times)
            if (
                count > limit * times
            ):  # what is turned away uses up no wider limit: one network cannot lock out the rest
                return False
    return True


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


@dataclass(frozen=True, slots=True)
class Waiting:
    """A subscription of one reader that waits for confirmation, with its list."""

    subscription: Subscription
    mailing_list: MailingList


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


def choose_lists(app: App, uid: str, slugs: Iterable[str], *, basis: str, evidence: Evidence) -> Standing:
    """
    Let the reader whom a token names get exactly these of the public lists, and stay with the hidden ones they have.

    A list that is new to them begins in the language, and if it can in the cadence, of the one that the token names,
    confirmed: the link came to the address. Safe to repeat.

    Raises:
        NotFoundError: no subscription has that uid.
        ConflictError: it has ended.
    """
    wanted = set(slugs)
    with app.transaction() as tx:
        standing = lock_standing(tx, uid)
        if standing.live is None:
            raise ConflictError("this subscription has ended; sign up again to get mails")
        mine = storage.load_subscriptions(tx.session, [standing.named.subscriber_id])
        live = {each.list_id: each for each in mine if each.state is not SubscriptionState.ENDED}
        for each in list_store.load_lists(tx.session, is_public=True):
            held = live.get(each.id)
            if each.slug in wanted:
                _begin(tx, standing.live, held, each, Consent(tx.now, ConsentAct.CONFIRMED, basis, evidence))
            elif held:
                end_one(tx, held, EndReason.UNSUBSCRIBED, basis=basis, evidence=evidence)
        return find_standing(tx, uid)


def _begin(
    tx: Transaction, named: Subscription, held: Subscription | None, mailing_list: MailingList, consent: Consent
) -> None:
    """Subscribe a reader to a list as like as can be to the subscription *named*, unless they have it confirmed."""
    if held and held.state is SubscriptionState.CONFIRMED:
        return
    if held:
        if storage.confirm_subscription(tx.session, held.id, now=tx.now):
            storage.add_consent(tx.session, held.id, consent)
        return
    choice = Choice(
        fit_cadence(named.cadence, mailing_list) or mailing_list.cadences[0],
        fit_language(named.language, mailing_list),
        _filter_of(tx, mailing_list, EVERY_ARTICLE),
    )
    add_choice(tx, named.subscriber_id, mailing_list.id, choice, consent, confirmed_at=tx.now)


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


def change_choice(
    app: App, uid: str, *, cadence: Cadence, language: str, wanted: NamedFilter, evidence: Evidence
) -> Standing:
    """
    Put a new choice in the place of the one in force; the old one ends as changed, in one transaction. Safe to repeat.

    Editions that were fanned out already stay as they were frozen.

    Raises:
        NotFoundError: no subscription has that uid.
        ConflictError: the subscription has ended; its reader signs up again.
        InvalidError: the list has no such cadence or language, or a topic, kind or language is unknown.
    """
    with app.transaction() as tx:
        standing = lock_standing(tx, uid)
        live = standing.live
        if live is None:
            raise ConflictError("this subscription has ended; sign up again to get mails")
        choice = Choice(
            _cadence_of(standing.mailing_list, cadence),
            _language_of(standing.mailing_list, language),
            _filter_of(tx, standing.mailing_list, wanted),
        )
        if choice == live.choice:
            return standing
        storage.end_subscription(tx.session, live.id, EndReason.CHANGED, now=tx.now)
        consent = Consent(tx.now, ConsentAct.CHANGED, _in_words(choice, wanted), evidence)
        changed = add_choice(tx, live.subscriber_id, live.list_id, choice, consent, confirmed_at=live.confirmed_at)
        if live.pause:
            storage.pause_subscription(tx.session, changed.id, live.pause)
        if language != live.language:
            subscriber_store.set_language(tx.session, live.subscriber_id, language)
        return find_standing(tx, uid)


def end_lapsed(app: App) -> int:
    """End sign-ups that nobody confirmed in time and erase who has no other subscription; return how many ended."""
    with app.transaction() as tx:
        lapsed = storage.load_lapsed(tx.session, before=tx.now - CONFIRMATION_LIFETIME, limit=LAPSED_AT_ONCE)
        for each in lapsed:
            end_one(tx, each, EndReason.NEVER_CONFIRMED, basis="not confirmed in time", evidence="")
        remaining = storage.load_subscriptions(tx.session, {each.subscriber_id for each in lapsed})
        kept = {each.subscriber_id for each in remaining if each.confirmed_at or each.end_reason is None}
        for subscriber_id in {each.subscriber_id for each in lapsed} - kept:
            forget(tx, subscriber_id)
    return len(lapsed)


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


def lock_standing(tx: Transaction, uid: str) -> Standing:
    """Return what `find_standing` does, nobody else changing that reader's subscriptions until the end."""
    subscriber_store.lock_subscriber(tx.session, find_standing(tx, uid).named.subscriber_id)
    return find_standing(tx, uid)


def _resolve(tx: Transaction, wish: Wish, request: SignUpRequest) -> tuple[MailingList, Choice]:
    try:
        mailing_list = find_list(tx, wish.list_slug)
    except NotFoundError as error:
        raise InvalidError(str(error)) from error
    if not mailing_list.is_public:
        raise InvalidError(f"list {wish.list_slug!r} takes no sign-ups; choose another")
    cadence = fit_cadence(wish.cadence, mailing_list) or mailing_list.cadences[0]
    language = fit_language(request.language, mailing_list)
    return mailing_list, Choice(cadence, language, _filter_of(tx, mailing_list, request.filter))


def _sign_up(
    tx: Transaction,
    subscriber: Subscriber,
    mailing_list: MailingList,
    choice: Choice,
    consent: Consent,
    *,
    may_mail: bool,
) -> Subscription:
    """Do what the sign-up to one list does; return the subscription that is not ended afterwards."""
    latest = storage.load_latest(tx.session, subscriber.id, mailing_list.id)
    live = latest if latest and latest.state is not SubscriptionState.ENDED else None
    decision = decide_sign_up(live, choice, may_mail=may_mail)
    if live and decision in (SignUp.REMIND, SignUp.NOTHING):
        return live
    if live:
        storage.end_subscription(tx.session, live.id, EndReason.CHANGED, now=tx.now)
    return add_choice(tx, subscriber.id, mailing_list.id, choice, consent, confirmed_at=None)


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
    new = storage.NewSubscription(_new_uid(), subscriber_id, list_id, choice, confirmed_at)
    added = storage.add_subscription(tx.session, new, now=tx.now)
    storage.add_consent(tx.session, added.id, consent)
    return added


def _confirm_one(tx: Transaction, waiting: Subscription, evidence: Evidence) -> None:
    if storage.confirm_subscription(tx.session, waiting.id, now=tx.now):
        consent = Consent(tx.now, ConsentAct.CONFIRMED, "the button behind the mailed link", evidence)
        storage.add_consent(tx.session, waiting.id, consent)


def end_one(tx: Transaction, live: Subscription, reason: EndReason, *, basis: str, evidence: Evidence) -> None:
    """End a subscription, cancel what waits to be sent for it, and record it; nothing when it has ended already."""
    if not storage.end_subscription(tx.session, live.id, reason, now=tx.now):
        return
    mailings.cancel_open_deliveries(tx.session, live.subscriber_id, live.list_id, f"the subscription ended: {reason}")
    storage.add_consent(tx.session, live.id, Consent(tx.now, ConsentAct.ENDED, f"{reason}: {basis}", evidence))


def _cadence_of(mailing_list: MailingList, cadence: Cadence) -> Cadence:
    fitting = fit_cadence(cadence, mailing_list)
    if fitting is None:
        offered = ", ".join(mailing_list.cadences)
        raise InvalidError(f"list {mailing_list.slug!r} has no {cadence} cadence; choose among {offered}")
    return fitting


def _language_of(mailing_list: MailingList, language: str) -> str:
    if language not in mailing_list.languages:
        offered = ", ".join(mailing_list.languages)
        raise InvalidError(f"list {mailing_list.slug!r} is not written in {language!r}; choose among {offered}")
    return language


def _filter_of(tx: Transaction, mailing_list: MailingList, named: NamedFilter) -> int:
    """Return the id of a reader's choice, without what the list never carries."""
    names = load_names(tx)
    carried = list_store.load_filter(tx.session, mailing_list.filter_id)
    return list_store.intern_filter(tx.session, fit_filter(names.find(named), carried, names.ancestors))


def _in_words(choice: Choice, named: NamedFilter) -> str:
    facets = {"topics": named.topics, "kinds": named.kinds, "languages": named.languages}
    chosen = "; ".join(f"{facet}: {', '.join(values)}" for facet, values in facets.items() if values)
    return f"{choice.cadence} in {choice.language}; {chosen or 'everything'}"


def _new_uid() -> str:
    return str(uuid.uuid4())
