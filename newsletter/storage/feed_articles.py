"""Which articles belong in a feed: those of a filter that have the feed's language, public, to come and withdrawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVarTuple

from sqlalchemy import ColumnElement, Select, func, select

from newsletter.domain.articles import COUNTING_ORIGINS, ArticleState, Kind
from newsletter.domain.filters import Filter
from newsletter.storage.articles import ArticleRow, ArticleTopicRow, SourceRow, TranslationRow
from newsletter.storage.engine import Session

Row = TypeVarTuple("Row")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Articles that all of *choices* choose and that have *language*; "" stands for any language.

    A translation without a title does not count. Topics are taken as they are: whoever wants those that lie under them
    names them too.
    """

    choices: tuple[Filter, ...]
    language: str


def find_candidates(
    session: Session,
    wanted: Wanted,
    *,
    now: datetime,
    limit: int,
    since: datetime | None = None,
    before: datetime | None = None,
) -> list[tuple[int, datetime]]:
    """Return (id, when it became public) of the newest articles that are *wanted*; *since* and *before* narrow that.

    Newest first, of those of one moment the one stored last.
    """
    statement = (
        _chosen(select(ArticleRow.id, ArticleRow.visible_at), wanted)
        .where(ArticleRow.state == ArticleState.PUBLISHED, ArticleRow.visible_at <= now)
        .order_by(ArticleRow.visible_at.desc(), ArticleRow.id.desc())
        .limit(limit)
    )
    if since is not None:
        statement = statement.where(ArticleRow.visible_at >= since)
    if before is not None:
        statement = statement.where(ArticleRow.visible_at < before)
    return [(row.id, row.visible_at) for row in session.execute(statement)]


def find_updated(session: Session, wanted: Wanted, *, before: datetime, since: datetime, limit: int) -> list[int]:
    """Return the ids of articles public *before* a moment that had a significant update *since*; the latest first."""
    statement = (
        _chosen(select(ArticleRow.id), wanted)
        .where(
            ArticleRow.state == ArticleState.PUBLISHED,
            ArticleRow.visible_at < before,
            ArticleRow.revision > 1,
            ArticleRow.updated_at >= since,
        )
        .order_by(ArticleRow.updated_at.desc(), ArticleRow.id.desc())
        .limit(limit)
    )
    return list(session.scalars(statement))


def next_visible(session: Session, wanted: Wanted, *, now: datetime, since: datetime) -> datetime | None:
    """Return when the first article became public that is *wanted*, *since* that moment; None: there is none."""
    statement = _chosen(select(func.min(ArticleRow.visible_at)), wanted).where(
        ArticleRow.state == ArticleState.PUBLISHED, ArticleRow.visible_at <= now, ArticleRow.visible_at >= since
    )
    return session.scalar(statement)


def has_updates(session: Session) -> bool:
    """Say whether any article at all had a significant update; where none had, no feed need be asked."""
    return session.scalar(select(ArticleRow.id).where(ArticleRow.revision > 1).limit(1)) is not None


def has_events(session: Session) -> bool:
    """Say whether any article at all is an event; where none is, no feed need be asked."""
    return session.scalar(select(ArticleRow.id).where(ArticleRow.kind == Kind.EVENT).limit(1)) is not None


def has_articles_to_come(session: Session, *, now: datetime) -> bool:
    """Say whether any article at all is under embargo; where none is, no feed need be asked."""
    to_come = select(ArticleRow.id).where(ArticleRow.state == ArticleState.PUBLISHED, ArticleRow.visible_at > now)
    return session.scalar(to_come.limit(1)) is not None


def has_removals(session: Session) -> bool:
    """Say whether any article at all was withdrawn; where none was, no feed need be asked."""
    return session.scalar(select(ArticleRow.id).where(ArticleRow.state == ArticleState.WITHDRAWN).limit(1)) is not None


def next_appearance(session: Session, wanted: Wanted, *, now: datetime) -> datetime | None:
    """Return when the next article under embargo appears among those *wanted*; None: there is none."""
    statement = _chosen(select(func.min(ArticleRow.visible_at)), wanted).where(
        ArticleRow.state == ArticleState.PUBLISHED, ArticleRow.visible_at > now
    )
    return session.scalar(statement)


def find_removals(session: Session, wanted: Wanted, *, limit: int) -> list[tuple[str, datetime]]:
    """Return (uid, when) of the articles withdrawn last, of those that had become public; the latest first."""
    statement = (
        _chosen(select(ArticleRow.uid, ArticleRow.withdrawn_at), wanted)
        .where(ArticleRow.state == ArticleState.WITHDRAWN, ArticleRow.withdrawn_at >= ArticleRow.visible_at)
        .order_by(ArticleRow.withdrawn_at.desc(), ArticleRow.id.desc())
        .limit(limit)
    )
    return [(row.uid, row.withdrawn_at) for row in session.execute(statement)]


def _chosen(statement: Select[*Row], wanted: Wanted) -> Select[*Row]:
    """Narrow *statement* to the articles that are *wanted*; `filters.matches` says the same."""
    if wanted.language:
        statement = statement.where(_has_language((wanted.language,), TranslationRow.title != ""))
    for choice in wanted.choices:
        statement = _narrowed(statement, choice)
    return statement


def _narrowed(statement: Select[*Row], choice: Filter) -> Select[*Row]:
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
