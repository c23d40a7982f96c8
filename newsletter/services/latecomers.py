"""Latecomers: readers who confirmed, or chose anew, after an edition was composed and before it is fanned out.

They get their share of the edition as it stands: no other article, no other revision, the same blocks where there are
any. What is not rendered in their language yet is rendered now, and stored beside the rest.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import structlog

from newsletter.domain.compositions import Assignment, Candidates, Content, Exceptional, Group, assign, digest_of
from newsletter.domain.edition_edits import taken_together
from newsletter.domain.editions import Edition, EditionPurpose, Item
from newsletter.domain.filters import CandidateIndex
from newsletter.domain.schedule import LOOK_BACK
from newsletter.domain.topics import ancestors
from newsletter.services.announcement_readers import admit_to_announcement
from newsletter.services.context import Transaction
from newsletter.services.digests import DigestMaker
from newsletter.storage import articles as article_store
from newsletter.storage import audiences, edition_edits, variants
from newsletter.storage import editions as edition_store
from newsletter.storage import lists as list_store
from newsletter.storage import topics as topic_store
from newsletter.storage.audiences import History, Latecomer

log = structlog.get_logger()


def admit_latecomers(tx: Transaction, edition: Edition, readers: Sequence[int]) -> None:
    """Store what the latecomers among *readers*, given as subscription ids, get of an edition about to be fanned out.

    The caller has the edition locked. Repeating it changes nothing, and nothing changes for the other readers.
    """
    if edition.purpose is not EditionPurpose.DIGEST:
        admit_to_announcement(tx, edition, readers)
        return
    late = audiences.latecomers(tx.session, edition, readers)
    held = edition_store.items_held(tx.session, edition.id) if late else {}
    if not held:
        return
    new = {(each.filter_id, each.language) for each in late if not each.is_foreseen}
    histories = audiences.differing_histories(
        tx.session,
        edition.list_id,
        edition.cadence,
        candidates=held,
        since=edition.cut_at - LOOK_BACK[edition.cadence],
        readers=[each.subscription_id for each in late],
    )
    if not new and not histories:
        return
    maker, assignment = _assign(tx, edition, held, late, histories)
    groups = [each for each in assignment.groups if (each[0].filter_id, each[0].language) in new]
    contents = [(group.shown_in, items) for group, items in groups]
    contents += [(reader.group.shown_in, items) for reader, items in assignment.exceptions]
    ids = _save_contents(tx, maker, [content for content in dict.fromkeys(contents) if content[1]])
    audiences.save_audience(
        tx.session,
        edition.id,
        [
            (
                group.filter_id,
                group.language,
                ids.get((group.shown_in, digest_of(group.shown_in, items))),
                maker.why(group.language, group.choice),
            )
            for group, items in groups
        ],
    )
    audiences.save_exceptions(
        tx.session,
        edition.id,
        [
            (reader.subscription_id, ids.get((reader.group.shown_in, digest_of(reader.group.shown_in, items))))
            for reader, items in assignment.exceptions
        ],
    )
    log.info("latecomers_admitted", edition_id=edition.id, groups=len(groups), exceptions=len(assignment.exceptions))


def _assign(
    tx: Transaction, edition: Edition, held: dict[int, int], late: Sequence[Latecomer], histories: Sequence[History]
) -> tuple[DigestMaker, Assignment]:
    """Decide what the latecomers get as composing does, but of the articles that the edition holds already."""
    topics = topic_store.load_topics(tx.session)
    mailing_list = list_store.load_list_by_id(tx.session, edition.list_id)
    loaded = {each.id: each for each in article_store.load_articles(tx.session, held)}
    articles = {each: replace(loaded[each], revision=revision) for each, revision in held.items() if each in loaded}
    taken = edition_store.taken_items(tx.session, edition.list_id, edition.cadence, held, before=edition.id)
    fresh = sum(1 << place for place, each in enumerate(articles.values()) if each.revision > taken.get(each.id, 0))
    edits = taken_together(edition_edits.load_edits(tx.session, edition.id))
    maker = DigestMaker(tx.settings, mailing_list, edition, tuple(topics), articles, edits)
    filters = list_store.load_filters(tx.session, {each.filter_id for each in late})
    groups = {
        (filter_id, language): Group(filter_id, language, maker.shown_in(language), filters[filter_id], 1)
        for filter_id, language in sorted({(each.filter_id, each.language) for each in late})
    }
    return maker, assign(
        Candidates(tuple(articles.values()), fresh, edition_edits.mends(tx.session, edition.id)),
        list(groups.values()),
        [
            Exceptional(each.subscription_id, groups[each.filter_id, each.language], each.received, each.owed)
            for each in histories
        ],
        mask=CandidateIndex(list(articles.values()), ancestors(topics)).mask,
        fallbacks=mailing_list.languages,
    )


def _save_contents(tx: Transaction, maker: DigestMaker, contents: Iterable[Content]) -> dict[tuple[str, str], int]:
    """Store the variants, and the blocks, that are not there yet; return the edition's variants by language, digest."""
    edition_id = maker.edition.id
    known = variants.variant_ids(tx.session, edition_id)
    missing = [(language, items) for language, items in contents if (language, digest_of(language, items)) not in known]
    maker.render(missing)
    shown: dict[str, dict[Item, None]] = {}
    for language, items in missing:
        shown.setdefault(language, {}).update(dict.fromkeys(items))
    for language, items_shown in shown.items():
        stored = variants.load_blocks(tx.session, edition_id, language)
        added = {key: each for key, each in maker.rendered[language].blocks.items() if key not in stored}
        if added:
            variants.save_blocks(tx.session, edition_id, language, added.values())
        maker.reuse(language, items_shown, added | stored)
    return variants.save_variants(tx.session, edition_id, [maker.variant(content) for content in missing])
