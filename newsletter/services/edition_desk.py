"""An edition on a desk: what whoever edits and watches it wants to see beside its accounts; nothing here writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from newsletter.domain.articles import ArticleState, Kind
from newsletter.domain.edition_edits import taken_together
from newsletter.domain.editions import Edition, EditionPurpose, EditionState
from newsletter.domain.filters import matches
from newsletter.domain.topics import ancestors
from newsletter.errors import NotFoundError
from newsletter.services.context import App, Transaction
from newsletter.storage import announcements, edition_edits, edition_shares, variants
from newsletter.storage import articles as article_store
from newsletter.storage import editions as edition_store
from newsletter.storage import lists as list_store
from newsletter.storage import topics as topic_store
from newsletter.storage.edition_spans import Span, count_spans

__all__ = [
    "EditedWords",
    "Offered",
    "Particulars",
    "Span",
    "find_edited_words",
    "find_particulars",
    "measure_spans",
    "offer_articles",
]

MOST_OFFERED = 40
LOOKED_AT = 200
"""Articles, the last received, among which those that may be brought in are looked for."""

SPANS = (1, 5, 15, 60, 300, 900, 3600, 21_600, 86_400)
"""Seconds that a column of a chart may stand for; the narrowest is taken that gives few enough."""
MOST_SPANS = 30


@dataclass(frozen=True, slots=True)
class Particulars:
    """What an edition is about and when it goes out.

    *review_until*: when it goes out by itself; None: not before somebody lets it. *readers*: as many as it has by now,
    until its mails are made.
    """

    list_title: str
    subject: str
    purpose: EditionPurpose
    languages: tuple[str, ...]
    review_until: datetime | None
    deadline_at: datetime
    readers: int


@dataclass(frozen=True, slots=True)
class Offered:
    """An article that may be brought into an edition; *starts_at*: of an event."""

    uid: str
    title: str
    kind: Kind
    starts_at: datetime | None


@dataclass(frozen=True, slots=True)
class EditedWords:
    """What staff wrote for an edition alone: introductions by language, summaries by the article's uid and language."""

    intros: Mapping[str, str]
    summaries: Mapping[tuple[str, str], str]


def find_particulars(app: App, edition_id: int) -> Particulars:
    """Return what an edition is about; its subject as most readers of the list's own language see it.

    Raises:
        NotFoundError: there is no such edition.
    """
    with app.reading() as tx:
        edition = _load(tx, edition_id)
        mailing_list = list_store.load_list_by_id(tx.session, edition.list_id)
        languages = tuple(variants.variant_languages(tx.session, edition_id))
        is_waiting = edition.state is EditionState.REVIEW
        return Particulars(
            mailing_list.title(mailing_list.default_language),
            _subject(tx, edition_id, (mailing_list.default_language, *languages)),
            edition.purpose,
            languages,
            edition.review_until if is_waiting else None,
            edition.deadline_at,
            _count_readers(tx, edition) if is_waiting or edition.state is EditionState.APPROVED else 0,
        )


def offer_articles(app: App, edition_id: int) -> list[Offered]:
    """Return articles that may be brought into an edition: events to come first, then what came in last.

    What staff took out is none of them: it is brought back.

    Raises:
        NotFoundError: there is no such edition.
    """
    with app.reading() as tx:
        edition = _load(tx, edition_id)
        mailing_list = list_store.load_list_by_id(tx.session, edition.list_id)
        choice = list_store.load_filter(tx.session, mailing_list.filter_id)
        parents = ancestors(topic_store.load_topics(tx.session))
        edits = taken_together(edition_edits.load_edits(tx.session, edition_id))
        known = {*edition_store.items_held(tx.session, edition_id), *edits.left_out}
        found = {
            each.id: each.as_article()
            for kind in (Kind.EVENT, None)
            for each in article_store.records_page(tx.session, state=ArticleState.PUBLISHED, kind=kind, limit=LOOKED_AT)
            if each.is_public(tx.now) and each.id not in known and matches(choice, each.as_article(), parents)
        }
        sent = edition_store.taken_items(tx.session, mailing_list.id, edition.cadence, found, before=edition.id)
        fresh = [
            Offered(
                each.uid,
                each.best_translation(mailing_list.default_language).title,
                each.kind,
                each.event.starts_at if each.event else None,
            )
            for each in found.values()
            if sent.get(each.id, 0) < each.revision
        ]
        coming = sorted(
            (each for each in fresh if each.starts_at and each.starts_at >= tx.now),
            key=lambda each: (each.starts_at or tx.now, each.uid),
        )
        return [*coming, *(each for each in fresh if not each.starts_at)][:MOST_OFFERED]


def find_edited_words(app: App, edition_id: int) -> EditedWords:
    """Return what staff wrote for an edition so far, as it stands now."""
    with app.reading() as tx:
        edits = taken_together(edition_edits.load_edits(tx.session, edition_id))
        named = {article_id for article_id, _ in edits.summaries}
        uids = {each.id: each.uid for each in article_store.load_articles(tx.session, named)}
        summaries = {
            (uids[each], language): words for (each, language), words in edits.summaries.items() if each in uids
        }
        return EditedWords(edits.intros, summaries)


def measure_spans(app: App, edition_id: int) -> list[Span]:
    """Return how many mails of an edition were accepted, and how many failed, over time; reads each of them.

    Raises:
        NotFoundError: there is no such edition.
    """
    with app.reading() as tx:
        _load(tx, edition_id)
        return count_spans(tx.session, edition_id, widths=SPANS, most=MOST_SPANS)


def _load(tx: Transaction, edition_id: int) -> Edition:
    edition = edition_store.load_edition(tx.session, edition_id)
    if edition is None:
        raise NotFoundError(f"there is no edition {edition_id}; see `newsletter editions list`")
    return edition


def _count_readers(tx: Transaction, edition: Edition) -> int:
    """Return how many an edition would go to: those named, of a correction, else those whose choice has a variant."""
    if edition.purpose is EditionPurpose.CORRECTION:
        return announcements.count_named(tx.session, edition.id)
    return sum(each.readers for each in edition_shares.variant_shares(tx.session, edition))


def _subject(tx: Transaction, edition_id: int, languages: tuple[str, ...]) -> str:
    for language in languages:
        variant = variants.widest_variant(tx.session, edition_id, language)
        if variant is not None:
            return variant.subject
    return ""
