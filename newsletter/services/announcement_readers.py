"""Readers of announcements and corrections: who they are, as it stands when their mails are made."""

from collections.abc import Mapping, Sequence

from newsletter.domain.announcements import Announcement, concerns
from newsletter.domain.editions import Edition, EditionPurpose
from newsletter.domain.lists import MailingList
from newsletter.domain.topics import ancestors
from newsletter.errors import NotFoundError
from newsletter.rendering.languages import load_language
from newsletter.rendering.letters import render_letter_why
from newsletter.services.context import Transaction
from newsletter.storage import announcements as storage
from newsletter.storage import audiences
from newsletter.storage import lists as list_store
from newsletter.storage import topics as topic_store


def name_readers(tx: Transaction, edition: Edition) -> None:
    """Name those whom a correction is for, as it stands now; for other editions nothing. Safe to repeat."""
    if edition.purpose is not EditionPurpose.CORRECTION:
        return
    announcement = _announcement(tx, edition)
    if announcement.corrects is None:
        return
    of_edition, article_id = announcement.corrects
    mailing_list = list_store.load_list_by_id(tx.session, edition.list_id)
    known = storage.letter_variants(tx.session, edition.id)
    spoken = {group.language for group in storage.reader_groups(tx.session, edition.list_id)}
    storage.name_holders(
        tx.session,
        edition.id,
        of_edition=of_edition,
        article_id=article_id,
        variants={each: known[_shown(mailing_list, known, each)] for each in sorted(spoken)},
    )


def admit_to_announcement(tx: Transaction, edition: Edition, readers: Sequence[int]) -> None:
    """Decide what readers get whose filter and language an announcement did not foresee; others stay as they are."""
    if readers:
        mailing_list = list_store.load_list_by_id(tx.session, edition.list_id)
        foresee(tx, mailing_list, edition, _announcement(tx, edition))


def _announcement(tx: Transaction, edition: Edition) -> Announcement:
    found = storage.load_announcement(tx.session, edition.id)
    if found is None:
        raise NotFoundError(f"edition {edition.id} has no words of its own")
    return found


def foresee(tx: Transaction, mailing_list: MailingList, edition: Edition, announcement: Announcement) -> int:
    """Store what each group of readers gets that is not decided yet; return how many readers get something now.

    Of a correction nobody gets anything by their choice: those are named whom it is for.
    """
    groups = storage.reader_groups(tx.session, mailing_list.id)
    known = storage.letter_variants(tx.session, edition.id)
    foreseen = storage.groups_foreseen(tx.session, edition.id)
    filters = list_store.load_filters(tx.session, {each.filter_id for each in groups})
    wanted = list_store.load_filter(tx.session, announcement.filter_id) if announcement.filter_id else None
    parents = ancestors(topic_store.load_topics(tx.session))
    rows, readers = [], 0
    for group in groups:
        is_for_them = announcement.corrects is None and (
            wanted is None or concerns(wanted, filters[group.filter_id], parents)
        )
        readers += group.reader_count if is_for_them else 0
        if (group.filter_id, group.language) in foreseen:
            continue
        shown_in = _shown(mailing_list, known, group.language)
        why = render_letter_why(
            load_language(shown_in, tx.settings.home),
            mailing_list.title(shown_in),
            is_correction=announcement.corrects is not None,
        )
        rows.append((group.filter_id, group.language, known[shown_in] if is_for_them else None, why))
    audiences.save_audience(tx.session, edition.id, rows)
    return readers


def _shown(mailing_list: MailingList, known: Mapping[str, int], language: str) -> str:
    return language if language in known else mailing_list.default_language
