"""Articles: what staff do with them, and what follows when one changes; how they come in is `article_imports`."""

from collections.abc import Sequence
from dataclasses import dataclass

from newsletter.domain import drafts
from newsletter.domain.articles import ArticleRecord, ArticleState, Kind
from newsletter.domain.drafts import StaffEdit, marks_of, tellings_of
from newsletter.domain.topics import Topic
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.services.announcements import announce_changes
from newsletter.services.article_imports import (
    ImportOutcome,
    ImportResult,
    import_articles,
    import_document,
    import_files,
)
from newsletter.services.context import App, Transaction
from newsletter.services.topics import TopicFinder
from newsletter.services.withdrawals import withdraw_from_editions
from newsletter.storage import articles as storage
from newsletter.storage.topics import load_topics

__all__ = [
    "ArticlePage",
    "ImportOutcome",
    "ImportResult",
    "import_articles",
    "import_document",
    "import_files",
    "list_articles",
    "publish_article",
    "retag_article",
    "show_article",
    "withdraw_article",
]


@dataclass(frozen=True, slots=True)
class ArticlePage:
    """Some articles, the last received first, and the uid after which the next page begins; None: there is none."""

    articles: tuple[ArticleRecord, ...]
    next_before: str | None


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


def publish_article(app: App, uid: str, *, edit: StaffEdit | None = None, is_major: bool = False) -> ArticleRecord:
    """Publish a draft, bring back a withdrawn article, or with *is_major* tell readers again of one that is out.

    *edit* gives what a draft lacks, or corrects. Rings `ARTICLE_CHANGED`. Repeating it without *is_major* changes
    nothing.

    Raises:
        NotFoundError: there is no such article.
        InvalidError: it lacks something; the message says what.
        ConflictError: *edit* has a new date for what readers have seen.
    """
    with app.transaction() as tx:
        old = show_article(tx, uid)
        try:
            edited = drafts.edit(old, edit, zone=tx.settings.zone_info, now=tx.now) if edit else old
        except drafts.UnusableError as error:
            raise ConflictError(f"article {old.uid}: {error}") from error
        new = drafts.publish(edited, major=is_major, now=tx.now)
        if new.state is not ArticleState.PUBLISHED or new.lacks:
            raise InvalidError(f"article {old.uid} cannot be published: it lacks {'; '.join(new.lacks)}")
        return _save(tx, old, new)


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
        new = _save(tx, old, drafts.withdraw(old, reason.strip(), now=tx.now))
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
        return _save(tx, old, drafts.retag(old, add=added, remove=removed, now=tx.now))


def _find_topics(topics: Sequence[Topic], names: Sequence[str]) -> list[int]:
    found, unknown = TopicFinder(topics).find(names)
    if unknown:
        raise NotFoundError(f"there is no topic {unknown[0]!r}; `newsletter topics list` shows them")
    return found


def _save(tx: Transaction, old: ArticleRecord, new: ArticleRecord) -> ArticleRecord:
    """Write what changed and ring where readers see it, or saw it."""
    if new == old:
        return old
    storage.save_record(tx.session, new, marks_of(tellings_of(new)))
    if ArticleState.PUBLISHED in (old.state, new.state):
        announce_changes(tx, [new.id])
    return new
