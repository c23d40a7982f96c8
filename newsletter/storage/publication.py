"""What anybody may read on the web: published articles, the newest first, in pages by key."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, tuple_

from newsletter.domain.articles import COUNTING_ORIGINS, ArticleState
from newsletter.storage.articles import ArticleRow, ArticleTopicRow
from newsletter.storage.engine import Session


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of articles ended: when its last article became visible, and its id."""

    visible_at: datetime
    article_id: int


def find_readable(
    session: Session, *, now: datetime, topics: Collection[int] = (), after: Place | None = None, limit: int
) -> list[int]:
    """Return the ids of articles that anybody can read at *now*, about one of *topics* where given, after a place.

    The latest to become visible come first, of those of one moment the one with the highest id.
    """
    statement = (
        select(ArticleRow.id)
        .where(ArticleRow.state == ArticleState.PUBLISHED, ArticleRow.visible_at <= now)
        .order_by(ArticleRow.visible_at.desc(), ArticleRow.id.desc())
        .limit(limit)
    )
    if topics:
        about = select(ArticleTopicRow.article_id).where(
            ArticleTopicRow.topic_id.in_(topics), ArticleTopicRow.origin.in_(sorted(COUNTING_ORIGINS))
        )
        statement = statement.where(ArticleRow.id.in_(about))
    if after is not None:
        place = tuple_(ArticleRow.visible_at, ArticleRow.id)
        statement = statement.where(place < tuple_(after.visible_at, after.article_id))
    return list(session.scalars(statement))
