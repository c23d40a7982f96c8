"""Articles: what staff do with them, and what follows when one changes; how they come in is `article_imports`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from newsletter.domain import article_edits, drafts
from newsletter.domain.arrivals import marks_of, tellings_of
from newsletter.domain.article_edits import StaffEdit
from newsletter.domain.articles import ArticleRecord, ArticleState, Event, Kind
from newsletter.domain.prose import text_of
from newsletter.domain.topics import Topic
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.ingest.dates import read_date
from newsletter.ingest.markup import safe_url
from newsletter.services.article_changes import announce_changes
from newsletter.services.article_imports import (
    ImportOutcome,
    ImportResult,
    import_articles,
    import_document,
    import_files,
)
from newsletter.services.audit import record_act
from newsletter.services.context import App, Transaction
from newsletter.services.mends import mend_in_editions
from newsletter.services.topics import TopicFinder
from newsletter.services.withdrawals import withdraw_from_editions
from newsletter.storage import articles as storage
from newsletter.storage.topics import load_topics

__all__ = [
    "ArticleFacts",
    "ArticlePage",
    "ImportOutcome",
    "ImportResult",
    "TranslationFacts",
    "describe_articles",
    "import_articles",
    "import_document",
    "import_files",
    "list_articles",
    "publish_article",
    "retag_article",
    "show_article",
    "staff_edit",
    "withdraw_article",
]


@dataclass(frozen=True, slots=True)
class ArticlePage:
    """Some articles, the last received first, and the uid after which the next page begins; None: there is none."""

    articles: tuple[ArticleRecord, ...]
    next_before: str | None


@dataclass(frozen=True, slots=True)
class TranslationFacts:
    """An article in one language, for staff; *text* is its body's words."""

    title: str
    summary: str
    url: str | None
    text: str


@dataclass(frozen=True, slots=True)
class ArticleFacts:
    """An article for staff, topics by slug; *suggested* gives for each suggested topic the words that spoke for it."""

    uid: str
    state: ArticleState
    kind: Kind
    title: str
    source: str
    language: str
    published_at: datetime | None
    visible_at: datetime | None
    lacks: tuple[str, ...]
    topics: tuple[str, ...]
    suggested: dict[str, str]
    revision: int
    received_at: datetime
    updated_at: datetime
    withdrawn_at: datetime | None
    withdrawal_reason: str | None
    image_url: str | None
    event: Event | None
    translations: dict[str, TranslationFacts]


def describe_articles(tx: Transaction, records: Sequence[ArticleRecord]) -> list[ArticleFacts]:
    """Return the facts of *records*, in their order."""
    topics = load_topics(tx.session)
    finder = TopicFinder(topics)
    slugs = {topic.id: topic.slug for topic in topics}
    return [_facts(record, finder, slugs) for record in records]


def _facts(record: ArticleRecord, finder: TopicFinder, slugs: Mapping[int, str]) -> ArticleFacts:
    spoke = {each.topic_id: each.phrase for each in finder.suggest(record)} if record.suggested_topics else {}
    return ArticleFacts(
        uid=record.uid,
        state=record.state,
        kind=record.kind,
        title=record.title,
        source=record.source,
        language=record.default_language,
        published_at=record.published_at,
        visible_at=record.visible_at,
        lacks=record.lacks,
        topics=tuple(slugs[topic_id] for topic_id in record.counting_topics),
        suggested={slugs[topic_id]: spoke.get(topic_id, "") for topic_id in record.suggested_topics},
        revision=record.revision,
        received_at=record.received_at,
        updated_at=record.updated_at,
        withdrawn_at=record.withdrawn_at,
        withdrawal_reason=record.withdrawal_reason,
        image_url=record.image_url,
        event=record.event,
        translations={
            language: TranslationFacts(text.title, text.summary, text.url, text_of(text.body_html))
            for language, text in record.translations.items()
        },
    )


def list_articles(
    tx: Transaction,
    *,
    state: ArticleState | None = None,
    kind: Kind | None = None,
    source: str | None = None,
    topic: str | None = None,
    before: str | None = None,
    limit: int = 50,
) -> ArticlePage:
    """Return a page of articles, drafts and withdrawn ones too.

    Raises:
        NotFoundError: there is no topic *topic*, or no article *before*.
    """
    topic_id = None if topic is None else _find_topics(load_topics(tx.session), [topic])[0]
    found = storage.records_page(
        tx.session,
        state=state,
        kind=kind,
        source=source,
        topic_id=topic_id,
        before=None if before is None else show_article(tx, before).id,
        limit=limit + 1,
    )
    is_more = len(found) > limit
    return ArticlePage(tuple(found[:limit]), found[limit - 1].uid if is_more else None)


def show_article(tx: Transaction, uid: str) -> ArticleRecord:
    """Return the article whose uid is *uid*, or begins with it where no other does.

    Raises:
        NotFoundError: there is none.
        ConflictError: there are several; give more of it.
    """
    found = storage.find_records(tx.session, uid.strip().lower()) if uid.strip() else []
    if not found:
        raise NotFoundError(f"there is no article {uid!r}; `newsletter articles list` shows them")
    if len(found) > 1 and found[0].uid != uid:
        raise ConflictError(f"several articles begin with {uid!r}; give more of it")
    return found[0]


def staff_edit(
    app: App,
    *,
    title: str | None = None,
    published: str | None = None,
    summary: str | None = None,
    url: str | None = None,
) -> StaffEdit | None:
    """Return what a person typed, checked; None: they typed nothing.

    Raises:
        InvalidError: a date or an address that cannot be used, or an empty title.
    """
    if title is None and published is None and summary is None and url is None:
        return None
    if title is not None and not title.strip():
        raise InvalidError("a title cannot be empty")
    if url is not None and safe_url(url) is None:
        raise InvalidError(f"{url!r} is no http or https address")
    try:
        when = None if published is None else read_date(published, app.settings.zone_info)
    except (ValueError, OverflowError) as error:
        raise InvalidError(str(error)) from error
    return StaffEdit(title=title, published=when, summary=summary, url=url)


def publish_article(app: App, uid: str, *, edit: StaffEdit | None = None, is_major: bool = False) -> ArticleRecord:
    """Publish a draft, bring back a withdrawn article, or with *is_major* tell readers again of one that is out.

    *edit* gives what a draft lacks, or corrects; mail that has not left is mended. Rings `ARTICLE_CHANGED`. Repeating
    it without *is_major* changes nothing.

    Raises:
        NotFoundError: there is no such article.
        InvalidError: it lacks something; the message says what.
        ConflictError: *edit* has a new date for what readers have seen.
    """
    with app.transaction() as tx:
        old = show_article(tx, uid)
        try:
            edited = article_edits.edit(old, edit, zone=tx.settings.zone_info, now=tx.now) if edit else old
        except drafts.UnusableError as error:
            raise ConflictError(f"article {old.uid}: {error}") from error
        new = article_edits.publish(edited, major=is_major, now=tx.now)
        if new.state is not ArticleState.PUBLISHED or new.lacks:
            raise InvalidError(
                f"article {old.uid} cannot be published: it lacks {'; '.join(new.lacks)}. "
                "Give it with --title, --date, --summary or --url, or import the complete item"
            )
        saved = _save(tx, old, new, "published")
        if edit and new != old and old.state is ArticleState.PUBLISHED:
            mend_in_editions(tx, new.id)
        return saved


def withdraw_article(app: App, uid: str, *, reason: str) -> ArticleRecord:
    """Take an article out of feeds, pages and everything not sent yet; no import brings it back.

    Rings `ARTICLE_CHANGED`. Repeating it changes nothing.

    Raises:
        NotFoundError: there is no such article.
        InvalidError: there is no reason given.
    """
    if not reason.strip():
        raise InvalidError("a withdrawal needs a reason, for those who ask later; give --reason TEXT")
    with app.transaction() as tx:
        old = show_article(tx, uid)
        new = _save(
            tx, old, article_edits.withdraw(old, reason.strip(), now=tx.now), "withdrawn", reason=reason.strip()
        )
        if new != old:
            withdraw_from_editions(tx, new.id)
        return new


def retag_article(app: App, uid: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> ArticleRecord:
    """Add and remove topics by slug; neither an import nor a rule undoes it. Repeating it changes nothing.

    Rings `ARTICLE_CHANGED`.

    Raises:
        NotFoundError: there is no such article, or no such topic.
        InvalidError: a topic is both added and removed.
    """
    with app.transaction() as tx:
        topics = load_topics(tx.session)
        added, removed = _find_topics(topics, add), _find_topics(topics, remove)
        if set(added) & set(removed):
            raise InvalidError("a topic cannot be added and removed at once")
        old = show_article(tx, uid)
        new = article_edits.retag(old, add=added, remove=removed, now=tx.now)
        return _save(tx, old, new, "retagged", add=list(add), remove=list(remove))


def _find_topics(topics: Sequence[Topic], names: Sequence[str]) -> list[int]:
    found, unknown = TopicFinder(topics).find(names)
    if unknown:
        raise NotFoundError(f"there is no topic {unknown[0]!r}; `newsletter topics list` shows them")
    return found


def _save(tx: Transaction, old: ArticleRecord, new: ArticleRecord, act: str, **details: Any) -> ArticleRecord:
    """Write what changed, put it on record, and ring where readers see it, or saw it."""
    if new == old:
        return old
    storage.save_record(tx.session, new, marks_of(tellings_of(new)))
    record_act(tx, act, f"article {new.uid}", title=new.title, **details)
    if ArticleState.PUBLISHED in (old.state, new.state):
        announce_changes(tx, [new.id])
    return new
