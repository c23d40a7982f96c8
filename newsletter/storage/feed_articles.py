"""Which articles belong in a feed: those of a filter that have the feed's language, public, to come and withdrawn."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVarTuple

from sqlalchemy import ColumnElement, Select, func, select

from newsletter.domain.articles import COUNTING_ORIGINS, ArticleState
from newsletter.domain.filters import Filter
from newsletter.storage.articles import ArticleRow, ArticleTopicRow, SourceRow, TranslationRow
from newsletter.storage.engine import Session

Row = TypeVarTuple("Row")


def find_candidates(
    session: Session, choice: Filter, language: str, *, now: datetime, limit: int
) -> list[tuple[int, datetime]]:
    """Return (id, when it became public) of the newest articles that *choice* chooses and that have *language*.

    Newest first, of those of one moment the one stored last. A translation without a title does not count. Topics are
    taken as they are: whoever wants those that lie under them names them too.
    """
    statement = (
        _chosen(select(ArticleRow.id, ArticleRow.visible_at), choice, language)
        .where(ArticleRow.state == ArticleState.PUBLISHED, ArticleRow.visible_at <= now)
        .order_by(ArticleRow.visible_at.desc(), ArticleRow.id.desc())
        .limit(limit)
    )
    return [(row.id, row.visible_at) for row in session.execute(statement)]


def has_articles_to_come(session: Session, *, now: datetime) -> bool:
    """Say whether any article at all is under embargo; where none is, no feed need be asked."""
    to_come = select(ArticleRow.id).where(ArticleRow.state == ArticleState.PUBLISHED, ArticleRow.visible_at > now)
    return session.scalar(to_come.limit(1)) is not None


def has_removals(session: Session) -> bool:
    """Say whether any article at all was withdrawn; where none was, no feed need be asked."""
    return session.scalar(select(ArticleRow.id).where(ArticleRow.state == ArticleState.WITHDRAWN).limit(1)) is not None


def next_appearance(session: Session, choice: Filter, language: str, *, now: datetime) -> datetime | None:
    """Return when the next article under embargo appears among those that *choice* chooses; None: there is none."""
    statement = _chosen(select(func.min(ArticleRow.visible_at)), choice, language).where(
        ArticleRow.state == ArticleState.PUBLISHED, ArticleRow.visible_at > now
    )
    return session.scalar(statement)


def find_removals(session: Session, choice: Filter, language: str, *, limit: int) -> list[tuple[str, datetime]]:
    """Return (uid, when) of the articles withdrawn last, of those that had become public; the latest first."""
    statement = (
        _chosen(select(ArticleRow.uid, ArticleRow.withdrawn_at), choice, language)
        .where(ArticleRow.state == ArticleState.WITHDRAWN, ArticleRow.withdrawn_at >= ArticleRow.visible_at)
        .order_by(ArticleRow.withdrawn_at.desc(), ArticleRow.id.desc())
        .limit(limit)
    )
    return [(row.uid, row.withdrawn_at) for row in session.execute(statement)]


def _chosen(statement: Select[*Row], choice: Filter, language: str) -> Select[*Row]:
    """Narrow *statement* to the articles of *choice* that have *language*; `filters.matches` says the same."""
    statement = statement.where(_has_language((language,), TranslationRow.title != ""))
    if choice.topics:
        about = select(ArticleTopicRow.article_id).where(
            ArticleTopicRow.topic_id.in_(choice.topics), ArticleTopicRow.origin.in_(sorted(COUNTING_ORIGINS))
        )
        statement = statement.where(ArticleRow.id.in_(about))
    if choice.kinds:
        statement = statement.where(ArticleRow.kind.in_(choice.kinds))
    if choice.sources:
        sources = select(SourceRow.id).where(SourceRow.slug.in_(choice.sources))
        statement = statement.where(ArticleRow.source_id.in_(sources))
    if choice.languages:
        statement = statement.where(_has_language(choice.languages))
    return statement


def _has_language(languages: Sequence[str], *more: ColumnElement[bool]) -> ColumnElement[bool]:
    return (
        select(TranslationRow.id)
        .where(TranslationRow.article_id == ArticleRow.id, TranslationRow.language.in_(languages), *more)
        .exists()
    )
