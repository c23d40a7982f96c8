"""Choices: what a reader gets of a list and which lists, put in the place of what they chose before, on record."""

from collections.abc import Iterable

from newsletter.domain.lists import Cadence, MailingList
from newsletter.domain.subscriptions import (
    Choice,
    Consent,
    ConsentAct,
    EndReason,
    Evidence,
    Subscription,
    SubscriptionState,
    fit_cadence,
    fit_language,
)
from newsletter.errors import ConflictError, InvalidError
from newsletter.services.context import App, Transaction
from newsletter.services.filters import EVERY_ARTICLE, NamedFilter
from newsletter.services.subscriptions import Standing, add_choice, end_one, filter_of, find_standing, lock_standing
from newsletter.storage import lists as list_store
from newsletter.storage import subscribers as subscriber_store
from newsletter.storage import subscriptions as storage


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
            filter_of(tx, standing.mailing_list, wanted),
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
        filter_of(tx, mailing_list, EVERY_ARTICLE),
    )
    add_choice(tx, named.subscriber_id, mailing_list.id, choice, consent, confirmed_at=tx.now)


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


def _in_words(choice: Choice, named: NamedFilter) -> str:
    facets = {"topics": named.topics, "kinds": named.kinds, "languages": named.languages}
    chosen = "; ".join(f"{facet}: {', '.join(values)}" for facet, values in facets.items() if values)
    return f"{choice.cadence} in {choice.language}; {chosen or 'everything'}"
