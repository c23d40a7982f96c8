"""Composing: picks an edition's items, has them rendered once per language, stores one variant per distinct choice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from newsletter.domain.articles import Article, ArticleState
from newsletter.domain.compositions import (
    Assignment,
    Candidates,
    Content,
    Exceptional,
    Group,
    assign,
)
from newsletter.domain.edition_edits import Edits, in_edited_order, taken_together
from newsletter.domain.editions import Edition, EditionState, SkipReason, immediate_slot_key, in_order
from newsletter.domain.filters import CandidateIndex, matches
from newsletter.domain.lists import Cadence, MailingList
from newsletter.domain.schedule import LOOK_BACK, Slot, previous_slot
from newsletter.domain.topics import Topic, ancestors
from newsletter.domain.variants import Block
from newsletter.errors import ConflictError
from newsletter.services.audit import record_act
from newsletter.services.context import App, Transaction
from newsletter.services.digests import DigestMaker
from newsletter.services.edition_checks import CheckLevel, check_in
from newsletter.services.editions import approve_in
from newsletter.services.reviews import tell_staff
from newsletter.storage import articles as article_store
from newsletter.storage import audiences, edition_edits, variants
from newsletter.storage import editions as edition_store
from newsletter.storage import lists as list_store
from newsletter.storage import topics as topic_store
from newsletter.storage.audiences import AudienceGroup, History
from newsletter.storage.variants import NewVariant

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Composition:
    """An edition's finished content and who gets what, not yet stored.

    *whys*: for each group of readers, in order, why they get it. *reader_count*: all readers of the list and cadence,
    with or without something chosen.
    """

    articles: tuple[Article, ...]
    assignment: Assignment
    blocks: Mapping[str, Mapping[str, Block]]
    variants: Mapping[Content, NewVariant]
    whys: tuple[str, ...]
    reader_count: int
    edits: Edits

    @property
    def skip_reason(self) -> SkipReason | None:
        """Why there is nothing to send; None: there is."""
        if not self.reader_count:
            return SkipReason.NO_READERS
        return None if self.variants else SkipReason.EMPTY


def compile_edition(app: App, edition_id: int, *, is_held: bool = False, tells_staff: bool = False) -> None:
    """Compose a planned edition and store it: approved, waiting for review, or skipped with the reason.

    *is_held*: it waits for review until somebody decides, whatever its list asks for; staff are told of it only where
    *tells_staff* and the list asks for review.
    One transaction, in which the list is locked, so that two editions of one list never take the same article.
    Repeating it, or running it for an edition that is past this, changes nothing.
    """
    with app.transaction() as tx:
        planned = edition_store.load_edition(tx.session, edition_id)
        if planned is None or planned.state is not EditionState.PLANNED:
            return
        mailing_list = list_store.lock_list(tx.session, planned.list_id)
        edition = edition_store.load_edition(tx.session, edition_id, for_update=True)
        if edition is None or edition.state is not EditionState.PLANNED:
            return
        if tx.now >= edition.deadline_at:
            _skip(tx, edition_id, SkipReason.MISSED)
            return
        composition = compose(tx, mailing_list, edition)
        if composition.skip_reason:
            _skip(tx, edition_id, composition.skip_reason)
            return
        _store(tx, edition_id, composition)
        _release(tx, edition_id, mailing_list, is_held=is_held, tells_staff=tells_staff)
        log.info(
            "edition_compiled",
            edition_id=edition_id,
            items=len(composition.articles),
            variants=len(composition.variants),
            readers=sum(composition.assignment.readers.values()),
        )


def compose(tx: Transaction, mailing_list: MailingList, edition: Edition) -> Composition:
    """Decide and render an edition; reads only. *edition* need not be stored: a dry run makes one up.

    Filters are matched once each against all candidates, and a variant is made once per distinct (items, language),
    never per reader.
    """
    topics = topic_store.load_topics(tx.session)
    groups = audiences.audience_groups(tx.session, mailing_list.id, edition.cadence)
    edits = taken_together(edition_edits.load_edits(tx.session, edition.id))
    candidates, histories = _candidates(tx, mailing_list, edition, topics, edits)
    articles = {article.id: article for article in candidates.articles}
    maker = DigestMaker(tx.settings, mailing_list, edition, tuple(topics), articles, edits)
    readers = _groups(tx, maker, groups)
    assignment = assign(
        candidates,
        list(readers.values()),
        [_exceptional(group, each) for each in histories if (group := readers.get((each.filter_id, each.language)))],
        mask=CandidateIndex(candidates.articles, ancestors(topics)).mask,
        fallbacks=mailing_list.languages,
    )
    maker.render(assignment.readers)
    return Composition(
        articles=candidates.articles,
        assignment=assignment,
        blocks={language: rendered.blocks for language, rendered in maker.rendered.items()},
        variants={content: maker.variant(content) for content in assignment.readers},
        whys=tuple(maker.why(group.language, group.choice) for group, _ in assignment.groups),
        reader_count=sum(group.reader_count for group in groups),
        edits=edits,
    )


def _candidates(
    tx: Transaction, mailing_list: MailingList, edition: Edition, topics: Sequence[Topic], edits: Edits
) -> tuple[Candidates, list[History]]:
    """Return the list's articles that no earlier edition of the same cadence holds, and who differs from the rest.

    With those that staff added, without those that they took out.
    """
    since = news_since(mailing_list, edition.cadence, Slot(edition.slot_at, edition.slot_key), edition.cut_at)
    choice = list_store.load_filter(tx.session, mailing_list.filter_id)
    parents = ancestors(topics)
    visible = [
        article
        for article in article_store.visible_articles(tx.session, now=edition.cut_at, since=since)
        if matches(choice, article, parents)
    ]
    if edition.cadence is Cadence.IMMEDIATE:
        visible = [article for article in visible if immediate_slot_key(article) == edition.slot_key]
    known = {article.id for article in visible}
    visible += [
        article
        for article in article_store.load_articles(tx.session, edits.added)
        if article.id not in known and article.state is ArticleState.PUBLISHED and article.visible_at <= tx.now
    ]
    visible = [article for article in visible if article.id not in edits.left_out]
    taken = edition_store.taken_items(tx.session, mailing_list.id, edition.cadence, [article.id for article in visible])
    fresh = {article.id: article for article in visible if article.revision > taken.get(article.id, 0)}
    histories = audiences.differing_histories(
        tx.session, mailing_list.id, edition.cadence, candidates=fresh, since=since
    )
    owed = {article_id for history in histories for article_id in history.owed} - fresh.keys() - edits.left_out
    owed -= edition_store.items_under_way(tx.session, mailing_list.id, edition.cadence, owed)
    leftover = [
        article
        for article in article_store.load_articles(tx.session, sorted(owed))
        if article.state is ArticleState.PUBLISHED and matches(choice, article, parents)
    ]
    ordered = in_order(
        [*fresh.values(), *leftover],
        sections=mailing_list.sections,
        topic_order={topic.id: place for place, topic in enumerate(topics)},
        cut_at=edition.cut_at,
    )
    ordered = in_edited_order(ordered, edits)
    bits = sum(1 << place for place, article in enumerate(ordered) if article.id in fresh)
    return Candidates(tuple(ordered), bits), histories


def news_since(mailing_list: MailingList, cadence: Cadence, slot: Slot, cut_at: datetime) -> datetime:
    """Return the moment from which an article counts as news for an edition.

    Not before the list began, nor longer ago than the cadence looks back. An edition of a time before the list began,
    which only a replay of history asks for, covers the time since the slot before it.
    """
    looked_back = cut_at - LOOK_BACK[cadence]
    if cut_at >= mailing_list.since:
        return max(looked_back, mailing_list.news_since)
    if cadence is Cadence.IMMEDIATE:
        return looked_back
    return previous_slot(cadence, mailing_list.schedule, slot).at


def _groups(tx: Transaction, maker: DigestMaker, groups: Sequence[AudienceGroup]) -> dict[tuple[int, str], Group]:
    filters = list_store.load_filters(tx.session, {group.filter_id for group in groups})
    return {
        (each.filter_id, each.language): Group(
            each.filter_id, each.language, maker.shown_in(each.language), filters[each.filter_id], each.reader_count
        )
        for each in groups
    }


def _exceptional(group: Group, history: History) -> Exceptional:
    return Exceptional(history.subscription_id, group, history.received, history.owed)


def _store(tx: Transaction, edition_id: int, composition: Composition) -> None:
    edition_store.save_items(tx.session, edition_id, [(each.id, each.revision) for each in composition.articles])
    dropped = article_store.load_articles(tx.session, composition.edits.dropped)
    edition_edits.save_dropped(tx.session, edition_id, {each.id: each.revision for each in dropped}, now=tx.now)
    for language, blocks in composition.blocks.items():
        variants.save_blocks(tx.session, edition_id, language, blocks.values())
    ids = variants.save_variants(tx.session, edition_id, list(composition.variants.values()))

    def variant_id(content: Content) -> int | None:
        made = composition.variants.get(content)  # none where all who share a choice are exceptions
        return ids[made.language, made.digest] if made else None

    audiences.save_audience(
        tx.session,
        edition_id,
        [
            (group.filter_id, group.language, variant_id((group.shown_in, items)), why)
            for (group, items), why in zip(composition.assignment.groups, composition.whys, strict=True)
        ],
    )
    audiences.save_exceptions(
        tx.session,
        edition_id,
        [
            (reader.subscription_id, variant_id((reader.group.shown_in, items)))
            for reader, items in composition.assignment.exceptions
        ],
    )


def compose_again(tx: Transaction, mailing_list: MailingList, edition: Edition) -> Composition:
    """Compose an edition in review anew, with what staff changed; the caller has the list locked, then the edition.

    Raises:
        ConflictError: nothing would be left of it.
    """
    edition_edits.forget_contents(tx.session, edition.id)
    composition = compose(tx, mailing_list, edition)
    if composition.skip_reason:
        raise ConflictError(
            f"nothing would be left of edition {edition.id}; `newsletter editions cancel {edition.id}` ends it instead"
        )
    _store(tx, edition.id, composition)
    return composition


def _release(tx: Transaction, edition_id: int, mailing_list: MailingList, *, is_held: bool, tells_staff: bool) -> None:
    if is_held:
        edition_store.set_state(tx.session, edition_id, EditionState.REVIEW, now=tx.now, review_until=None)
        if tells_staff and mailing_list.review_minutes is not None:
            tell_staff(tx, edition_id)
        return
    if mailing_list.review_minutes is None:
        edition = edition_store.load_edition(tx.session, edition_id)
        errors = edition and [each for each in check_in(tx, edition) if each.level is CheckLevel.ERROR]
        if not errors:
            approve_in(tx, edition_id, actor="no review asked")
            return
        edition_store.set_state(tx.session, edition_id, EditionState.REVIEW, now=tx.now)
        told = "; ".join(f"{each.rule}: {each.found}" for each in errors)
        record_act(tx, "held", f"edition {edition_id}", errors=told)
        log.error("edition_held", edition_id=edition_id, errors=told)
        tell_staff(tx, edition_id, has_errors=True)
        return
    edition_store.set_state(
        tx.session,
        edition_id,
        EditionState.REVIEW,
        now=tx.now,
        review_until=None if mailing_list.review_hold else tx.now + timedelta(minutes=mailing_list.review_minutes),
    )
    tell_staff(tx, edition_id)


def _skip(tx: Transaction, edition_id: int, reason: SkipReason) -> None:
    edition_store.set_state(tx.session, edition_id, EditionState.SKIPPED, now=tx.now, skip_reason=reason)
    log.info("edition_skipped", edition_id=edition_id, reason=reason.value)
