"""Deliveries without an edition: the mail that asks a person to confirm."""

from newsletter.domain.deliveries import CONFIRMATION_DEADLINE, Purpose
from newsletter.mail.tokens import TokenPurpose, TokenSigner
from newsletter.rendering.email import render_confirmation
from newsletter.rendering.languages import available_languages, load_language
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
    subscriber = subscriber_store.load_subscribers(tx.session, [subscription.subscriber_id])[subscription.subscriber_id]
    mailing_list = list_store.load_list_by_id(tx.session, subscription.list_id)
    settings = tx.settings
    known = subscription.language in available_languages(settings.home)
    language = load_language(subscription.language if known else settings.default_language, settings.home)
    token = TokenSigner(settings.secret).sign(TokenPurpose.CONFIRM, subscription.uid)
    mail = render_confirmation(
        language,
        list_title=mailing_list.title(language.code),
        newsroom=settings.name,
        postal_address=settings.postal_address,
        confirm_url=f"{settings.base_url}/confirm/{token}",
        not_me_url=f"{settings.base_url}/confirm/{token}?not-me=1",
        accent_colour=settings.accent_colour,
        logo_url=settings.logo_url,
        home=settings.home,
    )
    unsent = mailings.count_unsent_confirmations(tx.session, subscription.id)
    return fanout.insert_transactional(
        tx.session,
        {
            "purpose": Purpose.CONFIRMATION,
            "idempotency_key": f"confirm:{subscription.uid}:{tx.now:%Y-%m-%d}:{unsent}",
            "subscriber_id": subscription.subscriber_id,
            "subscription_id": subscription.id,
            "list_id": subscription.list_id,
            "language": language.code,
            "address": subscriber.address,
            "address_hmac": subscriber.address_hmac,
            "content": {"subject": mail.subject, "text": mail.text, "html": mail.html},
            "mail_at": tx.now,
            "deadline_at": database_now(tx.session) + CONFIRMATION_DEADLINE,
        },
    )
