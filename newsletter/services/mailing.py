"""Mailing: builds the bytes of claimed deliveries from frozen variants, the same bytes however often it is asked."""

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from newsletter.config import Settings
from newsletter.domain.deliveries import Purpose
from newsletter.domain.editions import Edition
from newsletter.domain.lists import MailingList
from newsletter.domain.variants import Block, Segment, cut, fill
from newsletter.errors import NewsletterError, NotFoundError, PermanentError
from newsletter.mail.addresses import return_address
from newsletter.mail.dkim import Signer
from newsletter.mail.headers import DigestHeaders, Feedback, NoticeHeaders, Reader, Recipient
from newsletter.mail.message import PreparedMessage, build_notice, prepare
from newsletter.mail.tokens import TokenPurpose, TokenSigner
from newsletter.services.signing import signer_of
from newsletter.storage import audiences, variants
from newsletter.storage import editions as edition_store
from newsletter.storage import lists as list_store
from newsletter.storage.engine import Session
from newsletter.storage.ledger import Claimed
from newsletter.storage.variants import Variant

MOST_KEPT_BYTES = 24 * 1024 * 1024
"""Of prepared variants in memory; fan-out queues deliveries in order of variant, so few are met at a time."""


class EditionNotMailableError(PermanentError):
    """Nothing of an edition can be put into mails: what all its readers share is wrong, such as the list's sender."""

    def __init__(self, edition_id: int, why: NewsletterError) -> None:
        super().__init__(
            f"edition {edition_id} cannot be put into mails: {why}; correct that, then "
            f"`newsletter editions resume {edition_id}`"
        )
        self.edition_id = edition_id


@dataclass
class MailBuilder:
    """Builds mails for one sender; keeps what the next ones will need again.

    `load` fetches within a transaction what a batch needs, `build` then makes each mail without the database.
    None is made, with the error of `signer_of`, where a named key cannot sign: mail waits rather than go unsigned.
    """

    settings: Settings
    _tokens: TokenSigner = field(init=False)
    _signer: Signer | None = field(init=False)
    _editions: dict[int, tuple[Edition, MailingList]] = field(default_factory=dict)
    _blocks: dict[tuple[int, str], Mapping[str, Block]] = field(default_factory=dict)
    _loaded: dict[int, Variant] = field(default_factory=dict)
    _prepared: dict[int, PreparedMessage] = field(default_factory=dict)
    _kept_bytes: int = 0
    _not_mailable: dict[int, EditionNotMailableError] = field(default_factory=dict)
    _whys: dict[tuple[int, int, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._tokens = TokenSigner(self.settings.secret)
        self._signer = signer_of(self.settings)

    def load(self, session: Session, claimed: Sequence[Claimed]) -> None:
        """Fetch the variants, their blocks and the reasons that *claimed* need and that are not at hand.

        What was claimed before is to be built before: it may be forgotten.
        """
        if self._kept_bytes > MOST_KEPT_BYTES:
            self._forget()
        wanted = {each.variant_id for each in claimed if each.variant_id is not None}
        for variant in variants.load_variants(session, wanted - self._prepared.keys()).values():
            self._load(session, variant)
        whys = {_why_key(each) for each in claimed if each.edition_id is not None} - self._whys.keys()
        self._whys |= audiences.load_whys(session, whys) if whys else {}

    def build(self, delivery: Claimed) -> list[bytes]:
        """Return the mail as pieces, CRLF throughout, without the final dot.

        Raises:
            InvalidError: something in it cannot be put into a mail; this delivery alone is concerned.
            EditionNotMailableError: no mail of its edition can be built.
            NotFoundError: what it is made of is gone.
        """
        if delivery.purpose is not Purpose.EDITION:
            return self._notice(delivery)
        prepared = self._prepared_for(delivery)
        why = self._whys.get(_why_key(delivery))
        if prepared is None or why is None or delivery.subscription_uid is None:
            raise NotFoundError(f"delivery {delivery.id}: its variant or subscription is gone")
        unsubscribe_url = self._url("unsubscribe", TokenPurpose.UNSUBSCRIBE, delivery.subscription_uid)
        return prepared.fill(
            Reader(
                address=delivery.address,
                token=delivery.mail_token,
                sent_at=delivery.mail_at,
                unsubscribe_url=unsubscribe_url,
                unsubscribe_mailto=self._mailto(unsubscribe_url),
            ),
            {
                "unsubscribe_url": unsubscribe_url,
                "preferences_url": self._url("preferences", TokenPurpose.PREFERENCES, delivery.subscription_uid),
                "why": why,
            },
        )

    def return_path(self, delivery: Claimed) -> str:
        """Return the envelope sender of a delivery; with return tags it names the mail, should it come back."""
        if self.settings.return_tags:
            return return_address(self.settings.return_base, delivery.mail_token)
        if self.settings.return_path:
            return self.settings.return_path
        if delivery.edition_id is None:
            return self.settings.sender
        return self._editions[delivery.edition_id][1].from_address

    def _url(self, page: str, purpose: TokenPurpose, uid: str) -> str:
        return f"{self.settings.base_url}/{page}/{self._tokens.sign(purpose, uid)}"

    def _mailto(self, unsubscribe_url: str) -> str | None:
        """Return the address by which a reader leaves by mail; None: no mailbox takes reports."""
        token = unsubscribe_url.rpartition("/")[2]
        reports = self.settings.reports_address
        return f"mailto:{reports}?subject=unsubscribe%20{token}" if reports else None

    def _notice(self, delivery: Claimed) -> list[bytes]:
        content = delivery.content
        if content is None:
            raise NotFoundError(f"delivery {delivery.id}: what it said is gone, its reader was erased")
        return build_notice(
            NoticeHeaders(
                subject=content["subject"],
                from_name=self.settings.name,
                from_address=self.settings.sender,
                language=delivery.language,
                mail_domain=self.settings.domain,
            ),
            Recipient(address=delivery.address, token=delivery.mail_token, sent_at=delivery.mail_at),
            text=content["text"],
            html=content["html"],
            signer=self._signer,
        )

    def _forget(self) -> None:
        self._loaded.clear()
        self._prepared.clear()
        self._whys.clear()
        self._kept_bytes = 0

    def _load(self, session: Session, variant: Variant) -> None:
        """Keep *variant*, with what to prepare it of; or why it cannot be prepared, as the others are sound."""
        try:
            self._load_edition(session, variant.edition_id)
            self._load_blocks(session, variant)
        except NewsletterError as error:
            self._not_mailable[variant.id] = EditionNotMailableError(variant.edition_id, error)
        else:
            self._loaded[variant.id] = variant

    def _prepared_for(self, delivery: Claimed) -> PreparedMessage | None:
        """Return the prepared variant of a delivery; it is prepared for the first. None: it is gone."""
        variant_id = delivery.variant_id or 0
        if variant_id in self._prepared:
            return self._prepared[variant_id]
        if variant := self._loaded.pop(variant_id, None):
            try:
                self._prepared[variant_id] = prepared = self._prepare(variant)
                self._kept_bytes += prepared.size
            except NewsletterError as error:
                self._not_mailable[variant_id] = EditionNotMailableError(variant.edition_id, error)
        if not_mailable := self._not_mailable.get(variant_id):
            raise not_mailable
        return self._prepared.get(variant_id)

    def _prepare(self, variant: Variant) -> PreparedMessage:
        edition, mailing_list = self._editions[variant.edition_id]
        blocks = self._blocks[variant.edition_id, variant.language]
        text, body = variant_parts(variant, blocks, edition.nonce)
        return prepare(
            digest_headers(self.settings, edition, mailing_list, variant),
            text=text,
            html=body,
            nonce=edition.nonce,
            signer=self._signer,
        )

    def _load_edition(self, session: Session, edition_id: int) -> None:
        if edition_id not in self._editions:
            edition = edition_store.load_edition(session, edition_id)
            if edition is None:
                raise NotFoundError(f"there is no edition {edition_id}")
            self._editions[edition_id] = edition, list_store.load_list_by_id(session, edition.list_id)

    def _load_blocks(self, session: Session, variant: Variant) -> None:
        key = (variant.edition_id, variant.language)
        if key not in self._blocks:
            self._blocks[key] = variants.load_blocks(session, *key)


def _why_key(delivery: Claimed) -> tuple[int, int, str]:
    return delivery.edition_id or 0, delivery.filter_id or 0, delivery.language


def variant_parts(
    variant: Variant, blocks: Mapping[str, Block], nonce: str
) -> tuple[tuple[Segment, ...], tuple[Segment, ...]]:
    """Return a variant's text and HTML as segments; the holes that all its readers share are filled."""
    in_html = {name: html.escape(value) for name, value in variant.holes.items()}
    text = tuple(part for key in variant.blocks for part in _cut(blocks[key].text, nonce))
    body = tuple(part for key in variant.blocks for part in _cut(blocks[key].html, nonce))
    return fill(text, variant.holes), fill(body, in_html)


_cut = lru_cache(maxsize=4096)(cut)


def digest_headers(settings: Settings, edition: Edition, mailing_list: MailingList, variant: Variant) -> DigestHeaders:
    """Return the header values that all readers of a variant share."""
    site = settings.base_url
    return DigestHeaders(
        subject=variant.subject,
        from_name=mailing_list.from_name,
        from_address=mailing_list.from_address,
        reply_to=mailing_list.reply_to,
        language=variant.language,
        mail_domain=settings.domain,
        list_title=mailing_list.title(variant.language),
        list_id=f"{mailing_list.slug}.lists.{settings.domain}",
        archive_url=f"{site}/archive/",
        help_url=f"{site}/",
        subscribe_url=f"{site}/subscribe",
        owner=mailing_list.reply_to or mailing_list.from_address,
        feedback=Feedback(
            edition=str(edition.id),
            list=mailing_list.slug,
            kind=edition.cadence.value,
            sender=feedback_sender(settings),
        ),
    )


def feedback_sender(settings: Settings) -> str:
    """Return the installation's name in Feedback-ID: 5 to 15 characters, the same for ever."""
    letters = "".join(letter for letter in settings.domain if letter.isalnum())[:15]
    return letters.ljust(5, "0")


def join(segments: Iterable[Segment], values: Mapping[str, str]) -> str:
    """Return segments as one text, every hole filled from *values*; a hole without a value is left empty."""
    return "".join(part if isinstance(part, str) else values.get(part.name, "") for part in segments)
