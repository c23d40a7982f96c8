"""What staff changed in editions, in SQL: one row for each change, in order, none ever changed."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import ForeignKey, String, Text, delete, insert, select, update
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.domain.edition_edits import Edit, EditKind
from newsletter.storage.audiences import AudienceExceptionRow, AudienceRow
from newsletter.storage.base import Base, Code, Identifier, PrimaryKey, one_of
from newsletter.storage.editions import EditionItemRow
from newsletter.storage.engine import Session, database_now
from newsletter.storage.variants import BlockRow, VariantItemRow, VariantRow


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


def save_dropped(session: Session, edition_id: int, revisions: Mapping[int, int], *, now: datetime) -> None:
    """Note articles that staff dropped: they are not in the edition, and no later one of the list holds them again.

    *revisions* by article id; a later revision is news again.
    """
    for place, (article_id, revision) in enumerate(revisions.items()):
        row = {"edition_id": edition_id, "article_id": article_id, "revision": revision, "withdrawn_at": now}
        session.execute(insert(EditionItemRow).values({**row, "position": 100_000 + place}))


def forget_contents(session: Session, edition_id: int) -> None:
    """Delete the items, blocks, variants and audience of an edition in review, or skipped after it; it has no mail."""
    of_edition = select(VariantRow.id).where(VariantRow.edition_id == edition_id).scalar_subquery()
    session.execute(delete(VariantItemRow).where(VariantItemRow.variant_id.in_(of_edition)))
    for table in (AudienceExceptionRow, AudienceRow, VariantRow, BlockRow, EditionItemRow):
        session.execute(delete(table).where(table.edition_id == edition_id))
    session.expire_all()


def mends(session: Session, edition_id: int) -> dict[int, int]:
    """Return how often each article was mended since the edition was composed, by id; those never mended left out."""
    query = select(EditionItemRow.article_id, EditionItemRow.mend).where(
        EditionItemRow.edition_id == edition_id, EditionItemRow.mend > 0
    )
    return dict(session.execute(query).all())


def note_mend(session: Session, edition_id: int, article_id: int) -> int:
    """Count one more mend of an article in an edition; return how many there are now."""
    mended = session.execute(
        update(EditionItemRow)
        .where(EditionItemRow.edition_id == edition_id, EditionItemRow.article_id == article_id)
        .values(mend=EditionItemRow.mend + 1)
        .returning(EditionItemRow.mend)
    )
    return int(mended.scalar_one())
