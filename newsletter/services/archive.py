"""The archive: sent editions to look at again, exactly as sent and without anybody's personal parts."""

from dataclasses import dataclass
from datetime import datetime

from newsletter.domain.editions import Edition, EditionState
from newsletter.domain.lists import Cadence
from newsletter.domain.variants import READER_HOLES
from newsletter.errors import NotFoundError
from newsletter.services.context import Transaction
from newsletter.services.lists import find_list
from newsletter.services.mailing import join, variant_parts
from newsletter.storage import editions as edition_store
from newsletter.storage import variants
from newsletter.storage.variants import Variant

PUBLIC = (EditionState.APPROVED, EditionState.SENDING, EditionState.PAUSED, EditionState.DONE)
"""States in which an edition may be seen by anybody."""


@dataclass(frozen=True, slots=True)
class ArchivedEdition:
    """A sent edition as the archive lists it; *subjects* by language, at least one."""

    slot_key: str
    cadence: Cadence
    sent_at: datetime
    subjects: dict[str, str]


@dataclass(frozen=True, slots=True)
class View:
    """A variant to look at: its subject, its HTML and its text, links of a reader's own leading nowhere personal."""

    subject: str
    html: str
    text: str
    language: str


def list_archive(tx: Transaction, slug: str, *, limit: int = 200) -> list[ArchivedEdition]:
    """Return a list's editions that anybody may see, the newest first; without those of which nothing is left to show.

    Raises:
        NotFoundError: there is no such list.
    """
    mailing_list = find_list(tx, slug)
    found = []
    for edition in edition_store.list_editions(tx.session, list_id=mailing_list.id, states=PUBLIC, limit=limit):
        subjects = {}
        for language in variants.variant_languages(tx.session, edition.id):
            variant = variants.widest_variant(tx.session, edition.id, language)
            if variant:
                subjects[language] = variant.subject
        if subjects:
            found.append(ArchivedEdition(edition.slot_key, edition.cadence, edition.slot_at, subjects))
    return found


def view_edition(
    tx: Transaction,
    slug: str,
    slot_key: str,
    language: str,
    digest_prefix: str | None = None,
    *,
    for_staff: bool = False,
) -> View:
    """Return an edition as it was sent in *language*; the variant with that digest, else the one that shows most.

    Raises:
        NotFoundError: there is none that the asker may see; staff may see it before it is approved.
    """
    mailing_list = find_list(tx, slug)
    edition = edition_store.find_edition(tx.session, mailing_list.id, slot_key)
    states = (*PUBLIC, EditionState.REVIEW) if for_staff else PUBLIC
    variant = _variant(tx, edition, language, digest_prefix) if edition and edition.state in states else None
    if edition is None or variant is None:
        raise NotFoundError(f"there is no edition {slot_key} of {slug} in {language}")
    return view_variant(tx, edition, variant)


def view_variant(tx: Transaction, edition: Edition, variant: Variant) -> View:
    """Return a variant with links that are nobody's in place of a reader's own."""
    blocks = variants.load_blocks(tx.session, edition.id, variant.language, variant.blocks)
    text, body = variant_parts(variant, blocks, edition.nonce)
    nobody = dict.fromkeys(READER_HOLES, "") | {
        "unsubscribe_url": f"{tx.settings.base_url}/subscribe",
        "preferences_url": f"{tx.settings.base_url}/subscribe",
    }
    return View(variant.subject, join(body, nobody), join(text, nobody), variant.language)


def _variant(tx: Transaction, edition: Edition, language: str, digest_prefix: str | None) -> Variant | None:
    if digest_prefix is None:
        return variants.widest_variant(tx.session, edition.id, language)
    variant = variants.find_variant(tx.session, edition.id, digest_prefix)
    return variant if variant and variant.language == language else None
