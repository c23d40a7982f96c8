"""What staff changed in editions, in SQL: one row for each change, in order, none ever changed."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import ForeignKey, String, Text, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.domain.edition_edits import Edit, EditKind
from newsletter.storage.base import Base, Code, Identifier, PrimaryKey, one_of
from newsletter.storage.engine import Session, database_now


class EditRow(Base):
    """One change to an edition's content, for this edition alone; the database's clock."""

    __tablename__ = "edition_edit"
    __table_args__ = (one_of("kind", EditKind),)
    id: Mapped[PrimaryKey]
    edition_id: Mapped[int] = mapped_column(Identifier, ForeignKey("edition.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(200))
    kind: Mapped[Code]
    article_id: Mapped[int | None] = mapped_column(Identifier, ForeignKey("article.id"))
    language: Mapped[Code | None]
    words: Mapped[str | None] = mapped_column(Text)  # an intro, a summary, a reason


def add_edits(session: Session, edition_id: int, edits: Iterable[Edit], *, actor: str) -> None:
    """Put changes on record in this order."""
    at = database_now(session)
    for edit in edits:  # one by one, so that ids follow the order
        row = {"edition_id": edition_id, "at": at, "actor": actor, "kind": edit.kind, "article_id": edit.article_id}
        session.execute(insert(EditRow).values({**row, "language": edit.language, "words": edit.words}))


def load_edits(session: Session, edition_id: int) -> list[Edit]:
    """Return all changes to an edition in their order."""
    rows = session.scalars(select(EditRow).where(EditRow.edition_id == edition_id).order_by(EditRow.id))
    return [
        Edit(EditKind(row.kind), row.article_id, row.language, row.words, at=row.at, actor=row.actor) for row in rows
    ]
