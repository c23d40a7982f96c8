"""An edition's blocks and variants in SQL."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint, func, insert, select, update
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.domain.editions import Item
from newsletter.domain.variants import Block
from newsletter.storage.base import Base, Code, Identifier, PrimaryKey
from newsletter.storage.bulk import insert_many, one_of_many
from newsletter.storage.engine import Session


class BlockRow(Base):
    """A rendered, inlined piece of an edition in one language, frozen: the same bytes whenever it is needed."""

    __tablename__ = "edition_block"
    edition_id: Mapped[int] = mapped_column(Identifier, ForeignKey("edition.id", ondelete="CASCADE"), primary_key=True)
    language: Mapped[Code] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(80), primary_key=True)
    html: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)


class VariantRow(Base):
    """An edition's content for one distinct (ordered items, language): the order of its blocks, never a body."""

    __tablename__ = "variant"
    __table_args__ = (UniqueConstraint("edition_id", "language", "digest"),)
    id: Mapped[PrimaryKey]
    edition_id: Mapped[int] = mapped_column(Identifier, ForeignKey("edition.id", ondelete="CASCADE"))
    language: Mapped[Code]
    digest: Mapped[str] = mapped_column(String(64))  # of the items
    subject: Mapped[str] = mapped_column(Text)
    blocks: Mapped[list[str]]
    holes: Mapped[dict[str, str]]  # values that are the same for all its readers
    html_bytes: Mapped[int]
    item_count: Mapped[int]
    replaced_at: Mapped[datetime | None]  # when something in it was withdrawn; it is not sent any more
    replaced_by: Mapped[int | None] = mapped_column(  # what its readers get instead; None: nothing was left
        Identifier, ForeignKey("variant.id", ondelete="SET NULL")
    )


class VariantItemRow(Base):
    """An article in a variant, as shown in *language*."""

    __tablename__ = "variant_item"
    variant_id: Mapped[int] = mapped_column(Identifier, ForeignKey("variant.id", ondelete="CASCADE"), primary_key=True)
    article_id: Mapped[int] = mapped_column(Identifier, ForeignKey("article.id"), primary_key=True, index=True)
    position: Mapped[int]
    language: Mapped[Code]
    revision: Mapped[int]
    mend: Mapped[int] = mapped_column(default=0)


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant as it is stored; *holes* are the values that all its readers share."""

    id: int
    edition_id: int
    language: str
    digest: str
    subject: str
    blocks: tuple[str, ...]
    holes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NewVariant:
    """A variant to be stored, with the items it shows."""

    language: str
    digest: str
    subject: str
    blocks: tuple[str, ...]
    holes: Mapping[str, str]
    html_bytes: int
    items: tuple[Item, ...]


def save_blocks(session: Session, edition_id: int, language: str, blocks: Iterable[Block]) -> None:
    """Store an edition's rendered blocks of one language."""
    session.execute(
        insert(BlockRow),
        [
            {"edition_id": edition_id, "language": language, "key": block.key, "html": block.html, "text": block.text}
            for block in blocks
        ],
    )


def load_blocks(
    session: Session, edition_id: int, language: str, keys: Iterable[str] | None = None
) -> dict[str, Block]:
    """Return an edition's blocks of one language by key; all of them where *keys* is None."""
    query = select(BlockRow.key, BlockRow.html, BlockRow.text).where(
        BlockRow.edition_id == edition_id, BlockRow.language == language
    )
    if keys is not None:
        query = query.where(BlockRow.key.in_(list(keys)))
    return {key: Block(key, html, plain) for key, html, plain in session.execute(query)}


def save_variants(session: Session, edition_id: int, variants: Sequence[NewVariant]) -> dict[tuple[str, str], int]:
    """Store variants with their items and return their ids by (language, digest). One there already stays as it is."""
    known = variant_ids(session, edition_id)
    new = [each for each in variants if (each.language, each.digest) not in known]
    if not new:
        return known
    columns = ("edition_id", "language", "digest", "subject", "blocks", "holes", "html_bytes", "item_count")
    insert_many(
        session,
        VariantRow,
        columns,
        (
            (
                edition_id,
                each.language,
                each.digest,
                each.subject,
                list(each.blocks),
                dict(each.holes),
                each.html_bytes,
                len(each.items),
            )
            for each in new
        ),
    )
    ids = variant_ids(session, edition_id)
    insert_many(
        session,
        VariantItemRow,
        ("variant_id", "article_id", "position", "language", "revision", "mend"),
        (
            (ids[each.language, each.digest], item.article_id, position, item.language, item.revision, item.mend)
            for each in new
            for position, item in enumerate(each.items)
        ),
    )
    return ids


def variant_ids(session: Session, edition_id: int) -> dict[tuple[str, str], int]:
    """Return the ids of an edition's variants by (language, digest)."""
    query = select(VariantRow.language, VariantRow.digest, VariantRow.id).where(VariantRow.edition_id == edition_id)
    return {(language, digest): variant_id for language, digest, variant_id in session.execute(query)}


def load_variants(session: Session, variant_ids: Iterable[int]) -> dict[int, Variant]:
    """Return variants by id."""
    rows = session.scalars(select(VariantRow).where(one_of_many(VariantRow.id, list(variant_ids))))
    return {row.id: _variant(row) for row in rows}


def find_variant(session: Session, edition_id: int, digest_prefix: str) -> Variant | None:
    """Return the variant whose digest begins so; None if there is none or not just one."""
    rows = session.scalars(
        select(VariantRow)
        .where(VariantRow.edition_id == edition_id, VariantRow.digest.startswith(digest_prefix, autoescape=True))
        .limit(2)
    ).all()
    return _variant(rows[0]) if len(rows) == 1 else None


def widest_variant(session: Session, edition_id: int, language: str) -> Variant | None:
    """Return the variant of this language that shows most of the edition; the archive shows it.

    Variants with something withdrawn are left out, even if some readers got them.
    """
    row = session.scalars(
        select(VariantRow)
        .where(VariantRow.edition_id == edition_id, VariantRow.language == language, VariantRow.replaced_at.is_(None))
        .order_by(VariantRow.item_count.desc(), VariantRow.id)
        .limit(1)
    ).one_or_none()
    return _variant(row) if row else None


def variants_with(session: Session, edition_id: int, article_id: int) -> list[Variant]:
    """Return the edition's variants that show the article and are not replaced yet, in order of id."""
    query = (
        select(VariantRow)
        .join(VariantItemRow, VariantItemRow.variant_id == VariantRow.id)
        .where(
            VariantRow.edition_id == edition_id,
            VariantItemRow.article_id == article_id,
            VariantRow.replaced_at.is_(None),
        )
        .order_by(VariantRow.id)
    )
    return [_variant(row) for row in session.scalars(query)]


def replace_variants(session: Session, replaced: Mapping[int, int | None], *, now: datetime) -> None:
    """Note that variants are sent no more, and what is sent instead of each; None: nothing.

    Mail that was on its way and comes back to the queue follows in its next turn: see `newsletter.storage.ledger`.
    """
    if replaced:
        rows = [{"id": old, "replaced_at": now, "replaced_by": new} for old, new in replaced.items()]
        session.execute(update(VariantRow), rows)


def variant_items(session: Session, variant_id: int) -> list[Item]:
    """Return what a variant shows, in order."""
    return items_of(session, [variant_id]).get(variant_id, [])


def items_of(session: Session, variant_ids: Iterable[int]) -> dict[int, list[Item]]:
    """Return what variants show, in order, by variant."""
    query = (
        select(
            VariantItemRow.variant_id,
            VariantItemRow.article_id,
            VariantItemRow.language,
            VariantItemRow.revision,
            VariantItemRow.mend,
        )
        .where(one_of_many(VariantItemRow.variant_id, list(variant_ids)))
        .order_by(VariantItemRow.variant_id, VariantItemRow.position)
    )
    found: dict[int, list[Item]] = {}
    for variant_id, article_id, language, revision, mend in session.execute(query):
        found.setdefault(variant_id, []).append(Item(article_id, language, revision, mend))
    return found


def variant_languages(session: Session, edition_id: int) -> list[str]:
    """Return the languages in which an edition has variants, in order of code."""
    query = select(VariantRow.language).where(VariantRow.edition_id == edition_id).distinct()
    return sorted(session.scalars(query))


def variant_count(session: Session, edition_id: int) -> int:
    """Return how many variants an edition has."""
    return session.execute(
        select(func.count()).select_from(VariantRow).where(VariantRow.edition_id == edition_id)
    ).scalar_one()


def _variant(row: VariantRow) -> Variant:
    return Variant(
        row.id, row.edition_id, row.language, row.digest, row.subject, tuple(row.blocks), MappingProxyType(row.holes)
    )
