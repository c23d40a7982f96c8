"""The search index in SQL: PostgreSQL's full text, SQLite's FTS5; both only find words by their beginning.

It can be thrown away at any time and is filled again: what it holds is made of articles alone.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, Index, Text, UniqueConstraint, delete, func, literal, select, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.domain.articles import ArticleState
from newsletter.storage.articles import ArticleRow
from newsletter.storage.base import Base, Code, Identifier, PrimaryKey
from newsletter.storage.bulk import insert_into
from newsletter.storage.engine import Session
from newsletter.storage.publication import Place, after_place


class SearchEntryRow(Base):
    """One translation in the index; its words stand here on PostgreSQL, in the FTS5 table `search_words` on SQLite."""

    __tablename__ = "search_entry"
    __table_args__ = (
        UniqueConstraint("article_id", "language"),
        Index("ix_search_entry_words", "words", postgresql_using="gin"),
    )
    id: Mapped[PrimaryKey]
    article_id: Mapped[int] = mapped_column(Identifier, ForeignKey("article.id", ondelete="CASCADE"))
    language: Mapped[Code]
    modified_at: Mapped[datetime]  # the article's, when it was indexed
    words: Mapped[Any] = mapped_column(TSVECTOR().with_variant(Text(), "sqlite"))


FTS5_TABLE = text("CREATE VIRTUAL TABLE IF NOT EXISTS search_words USING fts5(words, tokenize='unicode61')")
"""Made when first written to: Alembic and `create_all` know no virtual tables, and this one is no record."""


@dataclass(frozen=True, slots=True)
class SearchText:
    """One translation's words, as `domain.search.searchable` gives them."""

    language: str
    words: str


def find_unindexed(session: Session, *, limit: int) -> list[int]:
    """Return published articles that the index lacks or holds as they were before a change, in order of id."""
    indexed = (
        select(SearchEntryRow.id)
        .where(SearchEntryRow.article_id == ArticleRow.id, SearchEntryRow.modified_at == ArticleRow.modified_at)
        .exists()
    )
    statement = (
        select(ArticleRow.id)
        .where(ArticleRow.state == ArticleState.PUBLISHED, ~indexed)
        .order_by(ArticleRow.id)
        .limit(limit)
    )
    return list(session.scalars(statement))


def index_article(session: Session, article_id: int, modified_at: datetime, texts: Sequence[SearchText]) -> None:
    """Put an article's translations into the index, in the place of what it holds of it."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    if is_sqlite:
        session.execute(FTS5_TABLE)
    old = delete(SearchEntryRow).where(
        SearchEntryRow.article_id == article_id, SearchEntryRow.language.not_in([each.language for each in texts])
    )
    removed = list(session.scalars(old.returning(SearchEntryRow.id)))
    if is_sqlite and removed:
        session.execute(text("DELETE FROM search_words WHERE rowid = :id"), [{"id": each} for each in removed])
    for each in texts:
        words = literal("") if is_sqlite else func.to_tsvector("simple", each.words)
        entry_id = session.execute(
            insert_into(session, SearchEntryRow)
            .values(article_id=article_id, language=each.language, modified_at=modified_at, words=words)
            .on_conflict_do_update(
                index_elements=["article_id", "language"], set_={"modified_at": modified_at, "words": words}
            )
            .returning(SearchEntryRow.id)
        ).scalar_one()
        if is_sqlite:
            replace = text("INSERT OR REPLACE INTO search_words (rowid, words) VALUES (:id, :words)")
            session.execute(replace, {"id": entry_id, "words": each.words})


def find_by_words(
    session: Session, terms: Collection[str], *, now: datetime, after: Place | None = None, limit: int
) -> list[int]:
    """Return the articles that anybody can read at *now* and of which one translation has all *terms*.

    *terms* are beginnings of words as `domain.search.search_terms` gives them, at least one: letters and digits alone.
    The latest come first, in the order of `find_readable`; *after*: where the page before ended.
    """
    matching: ColumnElement[bool]
    if session.get_bind().dialect.name == "sqlite":
        if not session.scalar(text("SELECT count(*) FROM sqlite_master WHERE name = 'search_words'")):
            return []  # nothing was ever indexed, and a reading transaction makes no table
        wanted = " AND ".join(f'"{term}" *' for term in terms)
        found = text("SELECT rowid FROM search_words WHERE search_words MATCH :wanted").bindparams(wanted=wanted)
        matching = SearchEntryRow.id.in_(found.columns(SearchEntryRow.id))
    else:
        wanted = " & ".join(f"'{term}':*" for term in terms)
        matching = SearchEntryRow.words.op("@@")(func.to_tsquery("simple", wanted))
    statement = (
        select(ArticleRow.id)
        .where(
            ArticleRow.state == ArticleState.PUBLISHED,
            ArticleRow.visible_at <= now,
            ArticleRow.id.in_(select(SearchEntryRow.article_id).where(matching)),
        )
        .order_by(ArticleRow.visible_at.desc(), ArticleRow.id.desc())
        .limit(limit)
    )
    return list(session.scalars(after_place(statement, after)))
