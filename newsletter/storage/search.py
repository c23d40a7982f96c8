"""The search index in SQL: PostgreSQL's full text, SQLite's FTS5; both find words by their beginning, and know titles.

It can be thrown away at any time and is filled again: what it holds is made of articles alone.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    bindparam,
    cast,
    delete,
    func,
    literal,
    literal_column,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.domain.articles import ArticleState
from newsletter.storage.articles import ArticleRow
from newsletter.storage.base import Base, Code, Identifier, PrimaryKey
from newsletter.storage.bulk import insert_into
from newsletter.storage.engine import Session
from newsletter.storage.publication import Place


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


FTS5_TABLE = text("CREATE VIRTUAL TABLE IF NOT EXISTS search_words USING fts5(title, words, tokenize='unicode61')")
"""Made when first written to: Alembic and `create_all` know no virtual tables, and this one is no record."""


@dataclass(frozen=True, slots=True)
class SearchText:
    """The words of one translation's title and of the rest, as `domain.search.searchable` gives them."""

    language: str
    title: str
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
        words = literal("") if is_sqlite else _weighed(each)
        entry_id = session.execute(
            insert_into(session, SearchEntryRow)
            .values(article_id=article_id, language=each.language, modified_at=modified_at, words=words)
            .on_conflict_do_update(
                index_elements=["article_id", "language"], set_={"modified_at": modified_at, "words": words}
            )
            .returning(SearchEntryRow.id)
        ).scalar_one()
        if is_sqlite:
            replace = text("INSERT OR REPLACE INTO search_words (rowid, title, words) VALUES (:id, :title, :words)")
            session.execute(replace, {"id": entry_id, "title": each.title, "words": each.words})


def _weighed(said: SearchText) -> ColumnElement[Any]:
    """Return words as PostgreSQL indexes them, those of the title marked with the weight A."""
    title = func.setweight(func.to_tsvector("simple", said.title), literal_column("'A'"))
    return title.op("||")(func.to_tsvector("simple", said.words))


def find_by_words(
    session: Session, terms: Collection[str], *, now: datetime, after: Place | None = None, limit: int
) -> list[int]:
    """Return the articles that anybody can read at *now* and of which one translation has all *terms*.

    *terms* are beginnings of words as `domain.search.search_terms` gives them, at least one: letters and digits alone.
    Those with more of them in a title come first, of these the latest (decision 27); *after*: where the page before
    ended.
    """
    if session.get_bind().dialect.name == "sqlite":
        if not session.scalar(text("SELECT count(*) FROM sqlite_master WHERE name = 'search_words'")):
            return []  # nothing was ever indexed, and a reading transaction makes no table
        has_words, has_in_title = _found_by_fts5, _found_in_title_by_fts5
    else:
        has_words, has_in_title = _found_by_tsquery, _found_in_title_by_tsquery
    in_title = sum((cast(has_in_title(term), Integer) for term in terms), start=literal(0))
    found = (
        select(SearchEntryRow.article_id, func.max(in_title).label("in_title"))
        .where(has_words(terms))
        .group_by(SearchEntryRow.article_id)
        .subquery()
    )
    statement = (
        select(ArticleRow.id)
        .join(found, found.c.article_id == ArticleRow.id)
        .where(ArticleRow.state == ArticleState.PUBLISHED, ArticleRow.visible_at <= now)
        .order_by(found.c.in_title.desc(), ArticleRow.visible_at.desc(), ArticleRow.id.desc())
        .limit(limit)
    )
    if after is not None:
        last = session.scalar(select(found.c.in_title).where(found.c.article_id == after.article_id)) or 0
        place = tuple_(found.c.in_title, ArticleRow.visible_at, ArticleRow.id)
        statement = statement.where(place < tuple_(literal(last), after.visible_at, after.article_id))
    return list(session.scalars(statement))


def _found_by_fts5(terms: Collection[str]) -> ColumnElement[bool]:
    return _matches(" AND ".join(f'"{term}" *' for term in terms))


def _found_in_title_by_fts5(term: str) -> ColumnElement[bool]:
    return _matches(f'title : "{term}" *')


def _matches(wanted: str) -> ColumnElement[bool]:
    found = text("SELECT rowid FROM search_words WHERE search_words MATCH :wanted")
    known = found.bindparams(bindparam("wanted", wanted, unique=True))
    return SearchEntryRow.id.in_(known.columns(SearchEntryRow.id))


def _found_by_tsquery(terms: Collection[str]) -> ColumnElement[bool]:
    return _answers(" & ".join(f"'{term}':*" for term in terms))


def _found_in_title_by_tsquery(term: str) -> ColumnElement[bool]:
    return _answers(f"'{term}':*A")


def _answers(wanted: str) -> ColumnElement[bool]:
    return SearchEntryRow.words.op("@@")(func.to_tsquery("simple", wanted))
