"""Deliveries without an edition: mails to one person, such as the one that asks them to confirm."""

from newsletter.domain.addresses import Address
from newsletter.domain.deliveries import CONFIRMATION_DEADLINE, Purpose
from newsletter.domain.requests import NOTICE_DEADLINE, ReaderRequest
from newsletter.domain.subscriptions import Subscriber, Subscription
from newsletter.mail.addresses import address_hmac
from newsletter.mail.tokens import TokenPurpose, TokenSigner
from newsletter.rendering.email import RenderedMail, render_notice
from newsletter.rendering.languages import Language, available_languages, load_language
from newsletter.services.context import Transaction
from newsletter.storage import fanout, mailings
from newsletter.storage import lists as list_store
from newsletter.storage import subscribers as subscriber_store
from newsletter.storage import subscriptions as subscription_store
from newsletter.storage.engine import database_now


def queue_confirmation(tx: Transaction, subscription_id: int) -> int | None:
    """Queue the mail that asks for a subscription's confirmation; return its delivery's id, None if it is there.

    The mail is rendered now and kept, so that a resend has the same bytes. One for each subscription and day, those
    that ended unsent not counted; who may get how many is decided by the caller.
    """
    subscription = subscription_store.load_subscription_by_id(tx.session, subscription_id)
    url = _url(tx, TokenPurpose.CONFIRM, subscription.uid)
    links = {"confirm_url": url, "not_me_url": f"{url}?not-me=1"}
    return _queue_about(tx, subscription, "confirm", links)


def queue_reminder(tx: Transaction, subscription_id: int) -> int | None:
    """Queue the mail that tells a subscribed person that they are; counts and repeats as a confirmation does."""
    subscription = subscription_store.load_subscription_by_id(tx.session, subscription_id)
    url = _url(tx, TokenPurpose.PREFERENCES, subscription.uid)
    return _queue_about(tx, subscription, "already", {"preferences_url": url})


def queue_request(tx: Transaction, request: ReaderRequest, reader: Subscriber) -> None:
    """Queue the mail with the link that a request needs: to its new address, if it asks for one, else to its reader."""
    links = {"request_url": _url(tx, TokenPurpose.REQUEST, request.uid)}
    address = request.address.original if request.address else None
    hashed = address_hmac(tx.settings.lasting_secret, request.address.key) if request.address else reader.address_hmac
    language = _language(tx, request.language)
    mail = _render(tx, str(request.kind), language, **links)
    _queue_notice(
        tx, f"request:{request.uid}", reader, mail, language, address=address or reader.address, hashed=hashed
    )


def queue_announcement(tx: Transaction, request: ReaderRequest, reader: Subscriber) -> None:
    """Queue the mail that tells a reader, at the address used so far, that another one was asked for."""
    language = _language(tx, request.language)
    mail = _render(tx, "address-asked", language, refusal_url=_url(tx, TokenPurpose.REFUSAL, request.uid))
    key = f"announcement:{request.uid}"
    _queue_notice(tx, key, reader, mail, language, address=reader.address, hashed=reader.address_hmac)


def queue_staff_notice(
    tx: Transaction, key: str, address: Address, name: str, language: Language, **words: str
) -> None:
    """Queue the mail `email/<name>` to one of the newsroom's own addresses, once for each *key*.

    No reader is concerned: it is suppressed, counted and erased by its address alone.
    """
    mail = _render(tx, name, language, **words)
    hashed = address_hmac(tx.settings.lasting_secret, address.key)
    _queue_notice(tx, key, None, mail, language, address=address.original, hashed=hashed)


def _queue_about(tx: Transaction, subscription: Subscription, name: str, links: dict[str, str]) -> int | None:
    """Queue the answer to a sign-up: about one subscription and in its language; counts as a confirmation."""
    reader = subscriber_store.load_subscribers(tx.session, [subscription.subscriber_id])[subscription.subscriber_id]
    mailing_list = list_store.load_list_by_id(tx.session, subscription.list_id)
    language = _language(tx, subscription.language)
    mail = _render(tx, name, language, list_title=mailing_list.title(language.code), **links)
    unsent = mailings.count_unsent_confirmations(tx.session, subscription.id)
    return fanout.insert_transactional(
        tx.session,
        {
            "purpose": Purpose.CONFIRMATION,
            "idempotency_key": f"{name}:{subscription.uid}:{tx.now:%Y-%m-%d}:{unsent}",
            "subscriber_id": subscription.subscriber_id,
            "subscription_id": subscription.id,
            "list_id": subscription.list_id,
            "language": language.code,
            "address": reader.address,
            "address_hmac": reader.address_hmac,
            "content": {"subject": mail.subject, "text": mail.text, "html": mail.html},
            "mail_at": tx.now,
            "deadline_at": database_now(tx.session) + CONFIRMATION_DEADLINE,
        },
    )


def _queue_notice(
    tx: Transaction,
    key: str,
    reader: Subscriber | None,
    mail: RenderedMail,
    language: Language,
    *,
    address: str,
    hashed: str,
) -> None:
    fanout.insert_transactional(
        tx.session,
        {
            "purpose": Purpose.NOTICE,
            "idempotency_key": key,
            "subscriber_id": reader.id if reader else fanout.NO_READER,
            "language": language.code,
            "address": address,
            "address_hmac": hashed,
            "content": {"subject": mail.subject, "text": mail.text, "html": mail.html},
            "mail_at": tx.now,
            "deadline_at": database_now(tx.session) + NOTICE_DEADLINE,
        },
    )


def _render(tx: Transaction, name: str, language: Language, **words: str) -> RenderedMail:
    settings = tx.settings
    return render_notice(
        name,
        language,
        newsroom=settings.name,
        postal_address=settings.postal_address,
        accent_colour=settings.accent_colour,
        logo_url=settings.logo_url,
        home=settings.home,
        **words,
    )


def _language(tx: Transaction, code: str) -> Language:
    known = code in available_languages(tx.settings.home)
    return load_language(code if known else tx.settings.default_language, tx.settings.home)


def _url(tx: Transaction, purpose: TokenPurpose, uid: str) -> str:
    return f"{tx.settings.base_url}/{purpose}/{TokenSigner(tx.settings.secret).sign(purpose, uid)}"
