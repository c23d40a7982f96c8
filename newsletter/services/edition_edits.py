"""Edition edits: what staff change in an edition before it goes out, each change on record, and what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from newsletter.domain.articles import Article, ArticleState
from newsletter.domain.edition_edits import Edit, EditKind, Edits, taken_together
from newsletter.domain.editions import Edition, EditionPurpose, EditionState, choose_lead, in_order
from newsletter.domain.filters import matches
from newsletter.domain.lists import MailingList
from newsletter.domain.topics import ancestors
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.services.articles import show_article
from newsletter.services.audit import record_act
from newsletter.services.composing import compose_again
from newsletter.services.context import App, Transaction
from newsletter.services.mends import mend_in_edition
from newsletter.storage import articles as article_store
from newsletter.storage import edition_edits as storage
from newsletter.storage import editions as edition_store
from newsletter.storage import lists as list_store
from newsletter.storage import topics as topic_store

LONGEST_WORDS = 1200
"""Characters of an intro or a summary; more is an article of its own."""

LONGEST_NUMBER = 3
"""Digits of a place in an edition; what is longer begins an article's uid."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change as staff ask for it; *article*: its number in the edition, or its uid or the beginning of it."""

    kind: EditKind
    article: str | None = None
    language: str | None = None
    words: str | None = None


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """An article in an edition; *number* counts from 1, None for one that staff took out."""

    number: int | None
    uid: str
    kind: str
    title: str
    is_lead: bool = False


@dataclass(frozen=True, slots=True)
class EditFacts:
    """One change on record, in words."""

    at: datetime | None
    actor: str
    kind: EditKind
    uid: str | None
    title: str | None
    language: str | None
    words: str | None


@dataclass(frozen=True, slots=True)
class EditionDiff:
    """An edition beside what it would be by itself, and every change that was made, in order."""

    edition_id: int
    automatic: tuple[ItemFacts, ...]
    edited: tuple[ItemFacts, ...]
    changes: tuple[EditFacts, ...]


def edit_edition(app: App, edition_id: int, changes: Sequence[Change]) -> EditionDiff:
    """Change an edition in review, all of *changes* or none, and compose it anew; return what it has become.

    Readers' item sets stay right: what is taken out or added is so for those only who chose it.

    Raises:
        NotFoundError: there is no such edition or article.
        InvalidError: a change cannot be made; the message says why.
        ConflictError: the edition is past review, or nothing would be left of it.
    """
    if not changes:
        raise InvalidError("say what to change, such as --lead, --drop or --intro; --help lists all of it")
    with app.transaction() as tx:
        edition = _load(tx, edition_id)
        mailing_list = list_store.lock_list(tx.session, edition.list_id)
        edition = _load(tx, edition_id, for_update=True)
        if edition.purpose is not EditionPurpose.DIGEST:
            raise ConflictError(f"edition {edition_id} is an {edition.purpose}; cancel it and compose it anew")
        if edition.state not in (EditionState.PLANNED, EditionState.REVIEW):
            raise ConflictError(
                f"edition {edition_id} is {edition.state} and past editing; `newsletter articles withdraw` and "
                f"`newsletter editions mend {edition_id} ARTICLE` still change what has not been sent"
            )
        edits = [_checked(tx, mailing_list, edition, change) for change in changes]
        storage.add_edits(tx.session, edition_id, edits, actor=tx.actor)
        record_act(tx, "edited", f"edition {edition_id}", changes=_for_the_record(tx, edits))
        if edition.state is EditionState.REVIEW:
            compose_again(tx, mailing_list, edition)
        return _diff(tx, edition)


def mend_edition(app: App, edition_id: int, uid: str) -> int:
    """Put an article's present words into an edition that is under way; return how many unsent mails that changed.

    Raises:
        NotFoundError: there is no such edition, or it does not hold the article.
        ConflictError: it has ended; `newsletter editions correct` tells those who had the article.
    """
    with app.transaction() as tx:
        article_id = show_article(tx, uid).id
        list_store.lock_lists(tx.session)
        edition = _load(tx, edition_id, for_update=True)
        if edition.id not in {each.id for each in edition_store.editions_holding(tx.session, article_id)}:
            if article_id not in edition_store.items_held(tx.session, edition_id):
                raise NotFoundError(f"edition {edition_id} does not hold article {uid}")
            raise ConflictError(
                f"edition {edition_id} is {edition.state}: nothing waits to be sent; "
                f"`newsletter editions correct {edition_id} {uid}` tells those who had it"
            )
        return mend_in_edition(tx, edition, article_id)


def diff_edition(app: App, edition_id: int) -> EditionDiff:
    """Return an edition beside what the automatic one would be.

    Raises:
        NotFoundError: there is no such edition.
    """
    with app.reading() as tx:
        return _diff(tx, _load(tx, edition_id))


def _for_the_record(tx: Transaction, edits: Sequence[Edit]) -> list[dict[str, object]]:
    """Return changes with the names that staff know articles by."""
    ids = {edit.article_id for edit in edits if edit.article_id is not None}
    uids = {each.id: each.uid for each in article_store.load_articles(tx.session, ids)}
    told = [
        {
            "kind": edit.kind.value,
            "article": uids.get(edit.article_id or 0),
            "language": edit.language,
            "words": edit.words,
        }
        for edit in edits
    ]
    return [{name: value for name, value in each.items() if value is not None} for each in told]


def _load(tx: Transaction, edition_id: int, *, for_update: bool = False) -> Edition:
    edition = edition_store.load_edition(tx.session, edition_id, for_update=for_update)
    if edition is None:
        raise NotFoundError(f"there is no edition {edition_id}; see `newsletter editions list`")
    return edition


def _checked(tx: Transaction, mailing_list: MailingList, edition: Edition, change: Change) -> Edit:
    """Return *change* as it is put on record."""
    words = _words(change)
    if change.kind is EditKind.INTRO:
        language = change.language or mailing_list.default_language
        if language not in mailing_list.languages:
            offered = ", ".join(mailing_list.languages)
            raise InvalidError(f"list {mailing_list.slug!r} is not written in {language!r}, only in {offered}")
        return Edit(change.kind, language=language, words=words)
    if change.kind is EditKind.RESET or change.article is None:
        return Edit(change.kind)
    if change.kind is EditKind.ADD:
        return Edit(change.kind, _addable(tx, mailing_list, edition, change.article))
    article = _find(tx, edition, change.article)
    if change.kind in (EditKind.DROP, EditKind.POSTPONE) and not words:
        raise InvalidError("say why, for those who ask later: --reason TEXT")
    if change.kind is EditKind.SUMMARY:
        language = change.language or article.default_language
        if language not in article.translations:
            offered = ", ".join(article.translations)
            raise InvalidError(f"article {article.uid} is not there in {language!r}, only in {offered}")
        return Edit(change.kind, article.id, language, words)
    return Edit(change.kind, article.id, words=words)


def _words(change: Change) -> str | None:
    if change.words is None:
        return None
    words = " ".join(change.words.split())
    if len(words) > LONGEST_WORDS:
        raise InvalidError(f"the {change.kind} has {len(words)} characters; at most {LONGEST_WORDS} fit")
    if not words.isprintable():
        raise InvalidError(f"the {change.kind} holds a control character; write plain text")
    return words


def _find(tx: Transaction, edition: Edition, name: str) -> Article:
    """Return the article of an edition that *name* means: its number in it, or its uid or the beginning of it."""
    held = list(edition_store.items_held(tx.session, edition.id))
    if name.isdecimal() and len(name) <= LONGEST_NUMBER:
        if not 1 <= int(name) <= len(held):
            raise NotFoundError(f"edition {edition.id} has no item {name}; `newsletter editions diff` numbers them")
        article_id = held[int(name) - 1]
    else:
        article_id = show_article(tx, name).id
    left_out = taken_together(storage.load_edits(tx.session, edition.id)).left_out
    if article_id not in held and article_id not in left_out and edition.state is not EditionState.PLANNED:
        raise NotFoundError(f"edition {edition.id} does not hold article {name}; --add brings it in")
    [article] = article_store.load_articles(tx.session, [article_id])
    return article


def _addable(tx: Transaction, mailing_list: MailingList, edition: Edition, name: str) -> int:
    """Return the id of an article that may be added: of the list, visible, and never sent by it at this cadence."""
    record = show_article(tx, name)
    if record.state is not ArticleState.PUBLISHED or not record.is_public(tx.now):
        raise ConflictError(f"article {record.uid} is not to be seen by readers yet; publish it first")
    choice = list_store.load_filter(tx.session, mailing_list.filter_id)
    if not matches(choice, record.as_article(), ancestors(topic_store.load_topics(tx.session))):
        raise ConflictError(f"article {record.uid} is none of what list {mailing_list.slug!r} carries; retag it first")
    if record.id in edition_store.items_held(tx.session, edition.id):
        raise ConflictError(f"edition {edition.id} holds article {record.uid} already")
    sent = edition_store.taken_items(tx.session, mailing_list.id, edition.cadence, [record.id], before=edition.id)
    if sent.get(record.id, 0) >= record.revision:
        raise ConflictError(f"an earlier edition had article {record.uid}; no reader gets an article twice")
    return record.id


def _diff(tx: Transaction, edition: Edition) -> EditionDiff:
    mailing_list = list_store.load_list_by_id(tx.session, edition.list_id)
    history = storage.load_edits(tx.session, edition.id)
    edits = taken_together(history)
    held = list(edition_store.items_held(tx.session, edition.id))
    named = {edit.article_id for edit in history if edit.article_id is not None}
    articles = {each.id: each for each in article_store.load_articles(tx.session, {*held, *edits.left_out, *named})}
    topics = topic_store.load_topics(tx.session)
    by_itself = in_order(
        [articles[each] for each in {*held, *edits.left_out} - set(edits.added) if each in articles],
        sections=mailing_list.sections,
        topic_order={topic.id: place for place, topic in enumerate(topics)},
        cut_at=edition.cut_at,
    )
    edited = [articles[each] for each in held if each in articles]
    leads = choose_lead(by_itself, cut_at=edition.cut_at), _lead(edited, edits, edition)
    return EditionDiff(
        edition.id,
        tuple(_item(each, place, leads[0], mailing_list) for place, each in enumerate(by_itself, start=1)),
        tuple(_item(each, place, leads[1], mailing_list) for place, each in enumerate(edited, start=1)),
        tuple(_told(edit, articles, mailing_list) for edit in history),
    )


def _lead(articles: Sequence[Article], edits: Edits, edition: Edition) -> Article | None:
    named = next((each for each in articles if each.id == edits.lead), None)
    return named or choose_lead(articles, cut_at=edition.cut_at)


def _item(article: Article, number: int, lead: Article | None, mailing_list: MailingList) -> ItemFacts:
    title = article.best_translation(mailing_list.default_language).title
    return ItemFacts(number, article.uid, article.kind.value, title, is_lead=article == lead)


def _told(edit: Edit, articles: Mapping[int, Article], mailing_list: MailingList) -> EditFacts:
    article = articles.get(edit.article_id or 0)
    return EditFacts(
        at=edit.at,
        actor=edit.actor,
        kind=edit.kind,
        uid=article.uid if article else None,
        title=article.best_translation(mailing_list.default_language).title if article else None,
        language=edit.language,
        words=edit.words,
    )
