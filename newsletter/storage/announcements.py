"""What staff wrote for an edition of their own, and whom it is for, in SQL."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ForeignKey, case, insert, literal, select, text
from sqlalchemy.orm import Mapped, aliased, mapped_column

from newsletter.domain.announcements import Announcement, Letter
from newsletter.domain.deliveries import DeliveryState
from newsletter.storage.audiences import AudienceExceptionRow
from newsletter.storage.base import Base, Identifier
from newsletter.storage.bulk import insert_into
from newsletter.storage.deliveries import DeliveryRow
from newsletter.storage.engine import Session
from newsletter.storage.subscriptions import SubscriptionRow
from newsletter.storage.variants import VariantItemRow


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

    They are known by their live subscription to the list, whichever it is now; who has left is none of them.
    *variants*: what each gets, by the language of the subscription.
    """
    live = aliased(SubscriptionRow)
    holders = (
        select(live.id, live.language)
        .join(DeliveryRow, (DeliveryRow.subscriber_id == live.subscriber_id) & (DeliveryRow.list_id == live.list_id))
        .join(VariantItemRow, VariantItemRow.variant_id == DeliveryRow.variant_id)
        .where(
            DeliveryRow.edition_id == of_edition,
            DeliveryRow.state.in_(_HAD),
            VariantItemRow.article_id == article_id,
            live.state == text("'confirmed'"),
        )
        .distinct()
    )
    chosen = holders.subquery()
    variant = case(*((chosen.c.language == language, literal(each)) for language, each in variants.items()))
    rows = select(literal(edition_id), chosen.c.id, variant)
    named = session.execute(
        insert_into(session, AudienceExceptionRow)
        .from_select(["edition_id", "subscription_id", "variant_id"], rows)
        .on_conflict_do_nothing()
    )
    return int(named.rowcount)  # type: ignore[attr-defined]  # the result of an INSERT has it
