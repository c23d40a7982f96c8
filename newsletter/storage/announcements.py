"""What staff wrote for an edition of their own, and whom it is for, in SQL."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ForeignKey, case, func, insert, literal, select, text
from sqlalchemy.orm import Mapped, aliased, mapped_column

from newsletter.domain.announcements import Announcement, Letter
from newsletter.domain.deliveries import DeliveryState
from newsletter.storage.audiences import AudienceExceptionRow, AudienceGroup, AudienceRow
from newsletter.storage.base import Base, Identifier
from newsletter.storage.bulk import insert_into
from newsletter.storage.deliveries import DeliveryRow
from newsletter.storage.editions import EditionItemRow
from newsletter.storage.engine import Session
from newsletter.storage.subscriptions import SubscriptionRow
from newsletter.storage.variants import NewVariant, VariantItemRow, VariantRow


class AnnouncementRow(Base):
    """An announcement's own words; its edition has slot, state and deliveries like any other."""

    __tablename__ = "announcement"
    edition_id: Mapped[int] = mapped_column(Identifier, ForeignKey("edition.id", ondelete="CASCADE"), primary_key=True)
    letters: Mapped[dict[str, Any]]  # by language: subject, html, text
    filter_id: Mapped[int | None] = mapped_column(Identifier, ForeignKey("filter.id"))
    corrects_edition_id: Mapped[int | None] = mapped_column(Identifier, ForeignKey("edition.id"))
    corrects_article_id: Mapped[int | None] = mapped_column(Identifier, ForeignKey("article.id"))


def save_announcement(session: Session, announcement: Announcement) -> None:
    """Store the words of an edition, which has none yet."""
    edition_id, article_id = announcement.corrects or (None, None)
    letters = {
        language: {"subject": letter.subject, "html": letter.html, "text": letter.text}
        for language, letter in announcement.letters.items()
    }
    session.execute(
        insert(AnnouncementRow).values(
            edition_id=announcement.edition_id,
            letters=letters,
            filter_id=announcement.filter_id,
            corrects_edition_id=edition_id,
            corrects_article_id=article_id,
        )
    )


def load_announcement(session: Session, edition_id: int) -> Announcement | None:
    """Return what staff wrote for an edition; None: it is no announcement."""
    row = session.get(AnnouncementRow, edition_id)
    if row is None:
        return None
    corrects = None
    if row.corrects_edition_id is not None and row.corrects_article_id is not None:
        corrects = (row.corrects_edition_id, row.corrects_article_id)
    letters = {language: Letter(**words) for language, words in sorted(row.letters.items())}
    return Announcement(row.edition_id, letters, row.filter_id, corrects)


_HAD = (DeliveryState.ACCEPTED, DeliveryState.IN_DOUBT)
"""States in which a reader has a mail, or may have it."""


def name_holders(
    session: Session, edition_id: int, *, of_edition: int, article_id: int, variants: Mapping[str, int]
) -> int:
    """Make those who had *article_id* in an edition the readers of another one; return how many they are.

    They are known by their live subscription to the list, whichever it is now; who has left is none of them, nor who
    got the article as it was mended. Safe to repeat: who is named stays named.
    *variants*: what each gets, by the language of the subscription.
    """
    live = aliased(SubscriptionRow)
    mends = (
        select(EditionItemRow.mend)
        .where(
            EditionItemRow.edition_id == of_edition, EditionItemRow.article_id == article_id, EditionItemRow.mend > 0
        )
        .scalar_subquery()
    )
    holders = (
        select(live.id, live.language)
        .join(DeliveryRow, (DeliveryRow.subscriber_id == live.subscriber_id) & (DeliveryRow.list_id == live.list_id))
        .join(VariantItemRow, VariantItemRow.variant_id == DeliveryRow.variant_id)
        .where(
            DeliveryRow.edition_id == of_edition,
            DeliveryRow.state.in_(_HAD),
            VariantItemRow.article_id == article_id,
            VariantItemRow.mend < func.coalesce(mends, 1),
            live.state == text("'confirmed'"),
        )
        .distinct()
    )
    chosen = holders.subquery()
    variant = case(*((chosen.c.language == language, literal(each)) for language, each in variants.items()))
    rows = select(literal(edition_id), chosen.c.id, variant).where(chosen.c.id > 0)  # SQLite wants a WHERE before ON
    named = session.execute(
        insert_into(session, AudienceExceptionRow)
        .from_select(["edition_id", "subscription_id", "variant_id"], rows)
        .on_conflict_do_nothing()
    )
    return int(named.rowcount)  # type: ignore[attr-defined]  # the result of an INSERT has it


def reader_groups(session: Session, list_id: int) -> list[AudienceGroup]:
    """Return the distinct (filter, language) of a list's confirmed subscriptions, whatever their cadence."""
    query = (
        select(SubscriptionRow.filter_id, SubscriptionRow.language, func.count())
        .where(SubscriptionRow.list_id == list_id, SubscriptionRow.state == text("'confirmed'"))
        .group_by(SubscriptionRow.filter_id, SubscriptionRow.language)
        .order_by(SubscriptionRow.filter_id, SubscriptionRow.language)
    )
    return [AudienceGroup(*row) for row in session.execute(query)]


def groups_foreseen(session: Session, edition_id: int) -> set[tuple[int, str]]:
    """Return the (filter id, language) of which it is decided what they get of an edition."""
    query = select(AudienceRow.filter_id, AudienceRow.language).where(AudienceRow.edition_id == edition_id)
    return {(filter_id, language) for filter_id, language in session.execute(query)}


def count_named(session: Session, edition_id: int) -> int:
    """Return how many readers are named as those of a correction."""
    query = select(func.count()).where(
        AudienceExceptionRow.edition_id == edition_id, AudienceExceptionRow.variant_id.is_not(None)
    )
    return session.execute(query).scalar_one()


def save_letter_variant(session: Session, edition_id: int, variant: NewVariant) -> int:
    """Store the one variant of a language, which shows no article; return its id."""
    row = {
        "edition_id": edition_id,
        "language": variant.language,
        "digest": variant.digest,
        "subject": variant.subject,
        "blocks": list(variant.blocks),
        "holes": dict(variant.holes),
        "html_bytes": variant.html_bytes,
        "item_count": 0,
    }
    return session.execute(insert(VariantRow).values(row).returning(VariantRow.id)).scalar_one()


def letter_variants(session: Session, edition_id: int) -> dict[str, int]:
    """Return an announcement's variants by language."""
    query = select(VariantRow.language, VariantRow.id).where(VariantRow.edition_id == edition_id)
    return dict(session.execute(query.order_by(VariantRow.language)).all())
