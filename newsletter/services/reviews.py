"""Reviews: tells staff by mail that an edition waits for them, and shows it to who has the link; decides nothing."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from newsletter.dispatch import Doorbell
from newsletter.domain.editions import EditionState
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.mail.addresses import parse_address
from newsletter.mail.tokens import TokenPurpose, TokenSigner
from newsletter.rendering.languages import Language, available_languages, load_language
from newsletter.services.archive import View, view_variant
from newsletter.services.context import App, Transaction
from newsletter.services.deliveries import queue_staff_notice
from newsletter.storage import edition_shares, variants
from newsletter.storage import editions as edition_store
from newsletter.storage import lists as list_store

log = structlog.get_logger()

LINK_LIFETIME = timedelta(days=7)
"""How long a mailed link shows an edition; whoever was forwarded the mail has it too."""

MOST_SHOWN = 50
"""Variants on the page; those that most readers get come first."""


@dataclass(frozen=True, slots=True)
class ReviewVariant:
    """A variant that can be looked at, and how many get it."""

    variant_id: int
    language: str
    subject: str
    items: int
    readers: int


@dataclass(frozen=True, slots=True)
class Review:
    """An edition for staff to look over; *is_waiting*: nobody has decided. *until*: when it goes out by itself.

    *language*: the list's. *more*: variants that are not shown.
    """

    edition_id: int
    list_title: str
    language: str
    subject: str
    is_waiting: bool
    until: datetime | None
    variants: tuple[ReviewVariant, ...]
    more: int


def tell_staff(tx: Transaction, edition_id: int, *, has_errors: bool = False) -> int:
    """Queue a mail to each of the newsroom's review addresses, once for each edition; return how many.

    In the list's language, with a link that shows the edition for a week. *has_errors*: its checks hold it.
    """
    edition = edition_store.load_edition(tx.session, edition_id)
    if not tx.settings.review_addresses or edition is None:
        return 0
    if not edition_store.mark_review_told(tx.session, edition_id, now=tx.now):
        return 0
    mailing_list = list_store.load_list_by_id(tx.session, edition.list_id)
    language = _language(tx, mailing_list.default_language)
    expires_at = tx.now + LINK_LIFETIME
    zone = mailing_list.schedule.zone_info
    subject, shares = _subject(tx, edition_id, language.code), edition_shares.variant_shares(tx.session, edition)
    until = edition.review_until.astimezone(zone) if edition.review_until else None
    token = TokenSigner(tx.settings.secret).sign(TokenPurpose.REVIEW, f"{edition_id}.{int(expires_at.timestamp())}")
    count = 0
    for written in tx.settings.review_addresses:
        try:
            address = parse_address(written)
        except InvalidError as error:  # the others are told
            log.warning("review_address_unusable", edition_id=edition_id, error=str(error))
            continue
        queue_staff_notice(
            tx,
            f"review:{edition_id}:{address.key}"[:200],
            address,
            "review",
            language,
            list_title=mailing_list.title(language.code),
            subject=subject,
            items=language.format_number(len(edition_store.items_held(tx.session, edition_id))),
            readers=language.format_number(sum(each.readers for each in shares)),
            until=_moment(language, until) if until else "",
            has_errors="yes" if has_errors else "",
            preview_url=f"{tx.settings.base_url}/{TokenPurpose.REVIEW}/{token}",
            expires=_moment(language, expires_at.astimezone(zone)),
            command=approval_of(edition_id),
        )
        count += 1
    tx.ring(Doorbell.SEND_TRANSACTIONAL)
    return count


def approval_of(edition_id: int) -> str:
    """Return what to type to let an edition go."""
    return f"newsletter editions approve {edition_id}"


def look_at_review(app: App, name: str) -> Review:
    """Return the edition that a mailed link names, decided or not.

    Raises:
        NotFoundError: the link names none.
        ConflictError: its time has passed.
    """
    with app.reading() as tx:
        edition_id = _named(tx, name)
        edition = edition_store.load_edition(tx.session, edition_id)
        if edition is None:
            raise NotFoundError(f"there is no edition {edition_id}")
        mailing_list = list_store.load_list_by_id(tx.session, edition.list_id)
        shares = edition_shares.variant_shares(tx.session, edition)
        shown = shares[:MOST_SHOWN]
        loaded = variants.load_variants(tx.session, [each.variant_id for each in shown])
        language = mailing_list.default_language
        return Review(
            edition_id=edition_id,
            list_title=mailing_list.title(language),
            language=language,
            subject=_subject(tx, edition_id, language),
            is_waiting=edition.state is EditionState.REVIEW,
            until=edition.review_until.astimezone(mailing_list.schedule.zone_info) if edition.review_until else None,
            variants=tuple(
                ReviewVariant(each.variant_id, each.language, loaded[each.variant_id].subject, each.items, each.readers)
                for each in shown
            ),
            more=len(shares) - len(shown),
        )


def look_at_variant(app: App, name: str, variant_id: int) -> View:
    """Return a variant of the edition that a mailed link names, without any reader's own parts.

    Raises:
        NotFoundError: it is none of that edition, or the link names none.
        ConflictError: the link's time has passed.
    """
    with app.reading() as tx:
        edition = edition_store.load_edition(tx.session, _named(tx, name))
        shares = edition_shares.variant_shares(tx.session, edition) if edition else []
        if edition is None or variant_id not in {each.variant_id for each in shares}:
            raise NotFoundError("this link shows no such variant")
        return view_variant(tx, edition, variants.load_variants(tx.session, [variant_id])[variant_id])


def _named(tx: Transaction, name: str) -> int:
    """Return the id of the edition that a link names, as long as it may be looked at."""
    edition_id, _, expires = name.partition(".")
    if tx.now >= datetime.fromtimestamp(int(expires), UTC):
        raise ConflictError(f"the link to edition {edition_id} has expired")
    return int(edition_id)


def _subject(tx: Transaction, edition_id: int, language: str) -> str:
    """Return an edition's subject as most readers of *language* see it, or of the first language that it has."""
    for code in (language, *variants.variant_languages(tx.session, edition_id)):
        variant = variants.widest_variant(tx.session, edition_id, code)
        if variant is not None:
            return variant.subject
    return ""


def _language(tx: Transaction, code: str) -> Language:
    known = code in available_languages(tx.settings.home)
    return load_language(code if known else tx.settings.default_language, tx.settings.home)


def _moment(language: Language, at: datetime) -> str:
    return f"{language.format_date(at)}, {language.format_time(at)} ({at:%Z})"
