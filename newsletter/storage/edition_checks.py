"""What the checks of an edition ask: variants worth a look, what earlier editions held, and how many got them."""

from collections.abc import Iterable

from sqlalchemy import func, select

from newsletter.domain.editions import Edition, EditionPurpose, EditionState
from newsletter.storage.announcements import AnnouncementRow
from newsletter.storage.audiences import AudienceRow
from newsletter.storage.editions import EditionItemRow, EditionRow
from newsletter.storage.engine import Session
from newsletter.storage.subscriptions import SubscriptionRow
from newsletter.storage.variants import VariantItemRow, VariantRow

SENT = (EditionState.APPROVED, EditionState.SENDING, EditionState.PAUSED, EditionState.DONE)


def telling_variants(session: Session, edition_id: int, language: str) -> list[int]:
    """Return the ids of the variants of a language that show most and fewest items, and that are largest in bytes."""
    size = select(func.count()).where(VariantItemRow.variant_id == VariantRow.id).scalar_subquery()
    found: list[int] = []
    for order in (size.desc(), size.asc(), VariantRow.html_bytes.desc()):
        query = (
            select(VariantRow.id)
            .where(
                VariantRow.edition_id == edition_id,
                VariantRow.language == language,
                VariantRow.replaced_at.is_(None),
            )
            .order_by(order, VariantRow.id)
            .limit(1)
        )
        found += session.scalars(query)
    return list(dict.fromkeys(found))


def subjects(session: Session, edition_id: int) -> list[str]:
    """Return the distinct subjects of an edition, in order."""
    query = select(VariantRow.subject).where(VariantRow.edition_id == edition_id, VariantRow.replaced_at.is_(None))
    return sorted(session.scalars(query.distinct()))


def earlier_editions(session: Session, edition: Edition, *, limit: int) -> list[int]:
    """Return the editions of the same list, cadence and purpose that were sent before this one, the last first."""
    query = (
        select(EditionRow.id)
        .where(
            EditionRow.list_id == edition.list_id,
            EditionRow.cadence == edition.cadence,
            EditionRow.purpose == edition.purpose,
            EditionRow.id != edition.id,
            EditionRow.slot_at <= edition.slot_at,
            EditionRow.state.in_(SENT),
        )
        .order_by(EditionRow.slot_at.desc(), EditionRow.id.desc())
        .limit(limit)
    )
    return list(session.scalars(query))


def items_of(session: Session, edition_ids: Iterable[int]) -> dict[int, set[int]]:
    """Return the articles of each edition, withdrawn ones left out."""
    found: dict[int, set[int]] = {each: set() for each in edition_ids}
    query = select(EditionItemRow.edition_id, EditionItemRow.article_id).where(
        EditionItemRow.edition_id.in_(found), EditionItemRow.withdrawn_at.is_(None)
    )
    for edition_id, article_id in session.execute(query):
        found[edition_id].add(article_id)
    return found


def letters_of(session: Session, edition_ids: Iterable[int]) -> dict[int, dict[str, str]]:
    """Return the texts of announcements by edition and language."""
    rows = session.scalars(select(AnnouncementRow).where(AnnouncementRow.edition_id.in_(list(edition_ids))))
    return {row.edition_id: {language: words["text"] for language, words in row.letters.items()} for row in rows}


def mail_counts(session: Session, edition_ids: Iterable[int]) -> list[int]:
    """Return how many mails each ended edition made; those without final counts are left out."""
    query = select(EditionRow.counts).where(EditionRow.id.in_(list(edition_ids)), EditionRow.counts.is_not(None))
    return [sum(counts.values()) for counts in session.scalars(query) if counts]


def expected_readers(session: Session, edition: Edition) -> int:
    """Return how many readers would get something of a composed edition, before fan-out; a few exceptions aside."""
    query = (
        select(func.count())
        .select_from(SubscriptionRow)
        .join(
            AudienceRow,
            (AudienceRow.filter_id == SubscriptionRow.filter_id) & (AudienceRow.language == SubscriptionRow.language),
        )
        .where(
            AudienceRow.edition_id == edition.id,
            AudienceRow.variant_id.is_not(None),
            SubscriptionRow.list_id == edition.list_id,
            SubscriptionRow.state == "confirmed",
        )
    )
    if edition.purpose is EditionPurpose.DIGEST:
        query = query.where(SubscriptionRow.cadence == edition.cadence)
    return session.execute(query).scalar_one()
