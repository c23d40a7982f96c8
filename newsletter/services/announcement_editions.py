"""Announcements and corrections: editions that staff write themselves, with the same looks, checks and ledger.

One variant per language, and no article in it: what readers are owed of the news is not changed by a letter.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from newsletter.domain.announcements import Announcement, Letter
from newsletter.domain.editions import Edition, EditionPurpose, EditionState
from newsletter.domain.lists import Cadence, MailingList
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.ingest import markdown
from newsletter.ingest.markup import sanitise
from newsletter.rendering.digest import Digest
from newsletter.rendering.email import render_digest, render_preheader
from newsletter.rendering.languages import load_language
from newsletter.rendering.letters import (
    plain_letter,
    render_correction_subject,
    render_letter_intro,
)
from newsletter.services.announcement_readers import foresee, name_readers
from newsletter.services.articles import show_article
from newsletter.services.audit import record_act
from newsletter.services.context import App, Transaction
from newsletter.services.digests import DigestMaker
from newsletter.services.filters import NamedFilter, load_names
from newsletter.services.lists import find_list
from newsletter.storage import announcements as storage
from newsletter.storage import editions as edition_store
from newsletter.storage import lists as list_store
from newsletter.storage import topics as topic_store
from newsletter.storage import variants
from newsletter.storage.variants import NewVariant

LIVES = timedelta(days=7)
"""How long an announcement may wait for its approval and be sent."""

LARGEST_LETTER = 40_000
"""Characters of one language; a mail has room for about twice that once it is inlined."""

LONGEST_SUBJECT = 120
MOST_A_DAY = 99


@dataclass(frozen=True, slots=True)
class LetterDraft:
    """What staff wrote in one language, in Markdown; a correction may leave its subject empty."""

    subject: str
    markdown: str


@dataclass(frozen=True, slots=True)
class Announced:
    """An announcement that waits for review: its edition, and how many readers it would reach now."""

    edition_id: int
    readers: int
    languages: tuple[str, ...]


def compose_announcement(
    app: App, slug: str, letters: Mapping[str, LetterDraft], *, wanted: NamedFilter | None = None
) -> Announced:
    """Compose an announcement to the readers of a list, of every cadence; it waits until somebody approves it.

    *letters* by language; who reads another one gets it in the list's first. *wanted*: only readers whom it concerns.

    Raises:
        NotFoundError: there is no such list.
        InvalidError: a letter or the filter cannot be used; says why.
    """
    with app.transaction() as tx:
        mailing_list = list_store.lock_list(tx.session, find_list(tx, slug).id)
        told = _letters(mailing_list, letters)
        filter_id = None
        if wanted is not None and wanted != NamedFilter():
            filter_id = list_store.intern_filter(tx.session, load_names(tx).find(wanted))
        edition = _open(tx, mailing_list, EditionPurpose.ANNOUNCEMENT)
        announcement = Announcement(edition.id, told, filter_id)
        storage.save_announcement(tx.session, announcement)
        _compose(tx, mailing_list, edition, announcement)
        readers = foresee(tx, mailing_list, edition, announcement)
        if not readers:
            raise ConflictError(f"nobody of list {slug!r} would get it; choose other topics or kinds, or none")
        _hold(tx, edition, "composed", subject=next(iter(told.values())).subject)
        return Announced(edition.id, readers, tuple(told))


def compose_correction(app: App, edition_id: int, uid: str, letters: Mapping[str, LetterDraft]) -> Announced:
    """Compose a correction of an article to exactly those who were sent it in an edition; it waits for approval.

    They are those whose delivery was accepted or is in doubt and showed the article as it was before it was mended,
    and who have not left the list since.

    Raises:
        NotFoundError: there is no such edition or article, or the edition never held it.
        InvalidError: a letter cannot be used; says why.
        ConflictError: nobody has had it.
    """
    with app.transaction() as tx:
        corrected = edition_store.load_edition(tx.session, edition_id)
        if corrected is None:
            raise NotFoundError(f"there is no edition {edition_id}; see `newsletter editions list`")
        article = show_article(tx, uid)
        if article.id not in {each for each, _ in edition_store.edition_items(tx.session, edition_id)}:
            raise NotFoundError(f"edition {edition_id} never held article {article.uid}")
        mailing_list = list_store.lock_list(tx.session, corrected.list_id)
        titled = {
            language: LetterDraft(
                each.subject
                or render_correction_subject(
                    load_language(language, tx.settings.home), article.as_article().best_translation(language).title
                ),
                each.markdown,
            )
            for language, each in letters.items()
        }
        told = _letters(mailing_list, titled)
        edition = _open(tx, mailing_list, EditionPurpose.CORRECTION)
        announcement = Announcement(edition.id, told, corrects=(edition_id, article.id))
        storage.save_announcement(tx.session, announcement)
        _compose(tx, mailing_list, edition, announcement)
        name_readers(tx, edition)
        foresee(tx, mailing_list, edition, announcement)
        readers = storage.count_named(tx.session, edition.id)
        if not readers:
            raise ConflictError(f"nobody has had article {article.uid} from edition {edition_id}; nobody is to be told")
        _hold(tx, edition, "composed", corrects=edition_id, article=article.uid)
        return Announced(edition.id, readers, tuple(told))


def _letters(mailing_list: MailingList, drafts: Mapping[str, LetterDraft]) -> dict[str, Letter]:
    """Return *drafts* as they are sent: sanitised, and as text.

    Raises:
        InvalidError: one has no subject or nothing to say, is too long, or in a language that the list does not speak.
    """
    if mailing_list.default_language not in drafts:
        raise InvalidError(
            f"write it in {mailing_list.default_language!r} at least: readers of other languages get it in that one"
        )
    letters = {}
    for language, draft in drafts.items():
        subject = " ".join(draft.subject.split())
        if language not in mailing_list.languages:
            offered = ", ".join(mailing_list.languages)
            raise InvalidError(f"list {mailing_list.slug!r} is not written in {language!r}, only in {offered}")
        if not subject or not subject.isprintable():
            raise InvalidError(f"the letter in {language!r} needs a subject of one line: --subject")
        if len(subject) > LONGEST_SUBJECT:
            raise InvalidError(f"the subject in {language!r} has {len(subject)} characters; at most {LONGEST_SUBJECT}")
        if len(draft.markdown) > LARGEST_LETTER:
            raise InvalidError(f"the letter in {language!r} has {len(draft.markdown):,} characters; tell it in fewer")
        html = sanitise(markdown.render(draft.markdown))
        if not html:
            raise InvalidError(f"the letter in {language!r} says nothing")
        letters[language] = Letter(subject, html, plain_letter(draft.markdown))
    return letters


def _open(tx: Transaction, mailing_list: MailingList, purpose: EditionPurpose) -> Edition:
    """Open an edition of its own slot: the local day, and a number where there is one of that day already."""
    day = f"{tx.now.astimezone(mailing_list.schedule.zone_info):%Y-%m-%d}"
    for number in range(1, MOST_A_DAY):
        edition_id = edition_store.open_edition(
            tx.session,
            list_id=mailing_list.id,
            cadence=Cadence.IMMEDIATE,
            slot_key=f"{purpose}-{day}" + (f"-{number}" if number > 1 else ""),
            slot_at=tx.now,
            cut_at=tx.now,
            deadline_at=tx.now + LIVES,
            nonce=secrets.token_hex(8),
            now=tx.now,
            purpose=purpose,
        )
        found = edition_store.load_edition(tx.session, edition_id) if edition_id is not None else None
        if found is not None:
            return found
    raise ConflictError(f"list {mailing_list.slug!r} has had {MOST_A_DAY - 1} of them today")


def _compose(tx: Transaction, mailing_list: MailingList, edition: Edition, announcement: Announcement) -> None:
    """Render and store one variant for each language of the letters."""
    maker = DigestMaker(tx.settings, mailing_list, edition, tuple(topic_store.load_topics(tx.session)), {})
    is_correction = edition.purpose is EditionPurpose.CORRECTION
    for language, letter in announcement.letters.items():
        digest: Digest = maker.letter(language, letter)
        blocks = render_digest(digest, edition.nonce, home=tx.settings.home)
        shown = ("head", "letter", "foot")
        variants.save_blocks(tx.session, edition.id, language, [blocks[key] for key in shown])
        fingerprint = hashlib.sha256(f"{language}\n{letter.subject}\n{letter.html}".encode()).hexdigest()
        page = f"{tx.settings.base_url}/archive/{mailing_list.slug}/{edition.slot_key}"
        storage.save_letter_variant(
            tx.session,
            edition.id,
            NewVariant(
                language=language,
                digest=fingerprint,
                subject=letter.subject,
                blocks=shown,
                holes={
                    "preheader": render_preheader(" ".join(letter.text.split())),
                    "intro": render_letter_intro(digest.language, tx.settings.name, is_correction=is_correction),
                    "view_url": f"{page}/{language}/{fingerprint[:16]}",
                    "more": "",
                },
                html_bytes=sum(len(blocks[key].html.encode()) for key in shown),
                items=(),
            ),
        )


def _hold(tx: Transaction, edition: Edition, act: str, **details: Any) -> None:
    edition_store.set_state(tx.session, edition.id, EditionState.REVIEW, now=tx.now)
    record_act(tx, act, f"edition {edition.id}", **details)
