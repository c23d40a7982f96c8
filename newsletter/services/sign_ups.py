"""Sign-ups: asked for on the web, counted, answered by the mail that is right for the address's past; ended in time."""

from collections.abc import Sequence
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
    Consent,
    ConsentAct,
    EndReason,
    Evidence,
    SignUp,
    Subscriber,
    Subscription,
    SubscriptionState,
    decide_sign_up,
    fit_cadence,
    fit_language,
    may_mail_confirmation,
)
from newsletter.errors import InvalidError, NotFoundError
from newsletter.mail.addresses import address_hmac, network_hmac, parse_address
from newsletter.services.context import App, Transaction
from newsletter.services.deliveries import queue_confirmation, queue_reminder
from newsletter.services.filters import EVERY_ARTICLE, NamedFilter
from newsletter.services.lists import find_list
from newsletter.services.subscriptions import add_choice, end_one, filter_of, forget, new_uid
from newsletter.storage import mailings, sign_ups
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
        new = subscriber_store.NewSubscriber(new_uid(), address.original, address.key, hashed, request.language)
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


def _resolve(tx: Transaction, wish: Wish, request: SignUpRequest) -> tuple[MailingList, Choice]:
    try:
        mailing_list = find_list(tx, wish.list_slug)
    except NotFoundError as error:
        raise InvalidError(str(error)) from error
    if not mailing_list.is_public:
        raise InvalidError(f"list {wish.list_slug!r} takes no sign-ups; choose another")
    cadence = fit_cadence(wish.cadence, mailing_list) or mailing_list.cadences[0]
    language = fit_language(request.language, mailing_list)
    return mailing_list, Choice(cadence, language, filter_of(tx, mailing_list, request.filter))


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
