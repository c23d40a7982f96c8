"""Which variant a reader gets of an edition, and how many get each, in SQL; as fan-out decides it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from newsletter.domain.deliveries import NOT_RECEIVED
from newsletter.domain.editions import Edition, EditionPurpose
from newsletter.storage.audiences import AudienceExceptionRow, AudienceRow, ExclusionRow, beside_audience
from newsletter.storage.deliveries import DeliveryRow
from newsletter.storage.editions import EditionItemRow, EditionRow
from newsletter.storage.engine import Session
from newsletter.storage.lists import ListRow
from newsletter.storage.subscriptions import SubscriptionRow
from newsletter.storage.variants import VariantItemRow, VariantRow


@dataclass(frozen=True, slots=True)
class Share:
    """A reader's part of an edition: by which subscription and choice, and which variant; None: nothing.

    *delivery_id*: the mail that was made; None: fan-out has not come to them, or left them out. *is_foreseen*: it was
    decided what readers with this filter and language get.
    """

    subscription_id: int
    filter_id: int
    language: str
    cadence: str
    variant_id: int | None
    delivery_id: int | None
    is_exception: bool
    is_foreseen: bool


def share_of(session: Session, edition: Edition, subscriber_id: int) -> Share | None:
    """Return a person's share of an edition; None: they are no reader of its list at its cadence.

    By the delivery where there is one, whatever their subscription is now, else by the one in force.
    """
    delivery = session.execute(
        select(DeliveryRow.id, DeliveryRow.variant_id, DeliveryRow.subscription_id).where(
            DeliveryRow.edition_id == edition.id, DeliveryRow.subscriber_id == subscriber_id
        )
    ).one_or_none()
    query = (
        beside_audience(
            select(
                SubscriptionRow.id,
                SubscriptionRow.filter_id,
                SubscriptionRow.language,
                SubscriptionRow.cadence,
                AudienceRow.variant_id,
                AudienceRow.edition_id,
                AudienceExceptionRow.variant_id,
                AudienceExceptionRow.edition_id,
            ),
            edition.id,
        )
        .order_by(SubscriptionRow.id.desc())
        .limit(1)
    )
    if delivery is not None and delivery.subscription_id is not None:
        query = query.where(SubscriptionRow.id == delivery.subscription_id)
    else:
        query = query.where(
            SubscriptionRow.subscriber_id == subscriber_id,
            SubscriptionRow.list_id == edition.list_id,
            SubscriptionRow.state == "confirmed",
        )
        if edition.purpose is EditionPurpose.DIGEST:
            query = query.where(SubscriptionRow.cadence == edition.cadence)
    found = session.execute(query).one_or_none()
    if found is None:
        return None
    subscription_id, filter_id, language, cadence, usual, usual_of, own, own_of = found
    variant_id = own if own_of is not None else usual
    if delivery is not None:
        variant_id = delivery.variant_id
    return Share(
        subscription_id,
        filter_id,
        language,
        cadence,
        variant_id,
        delivery.id if delivery is not None else None,
        is_exception=own_of is not None,
        is_foreseen=usual_of is not None,
    )


@dataclass(frozen=True, slots=True)
class VariantShare:
    """A variant, how many readers get it, and how much of the edition it shows."""

    variant_id: int
    language: str
    readers: int
    items: int
    html_bytes: int


def variant_shares(session: Session, edition: Edition) -> list[VariantShare]:
    """Return an edition's present variants, those that most readers get first, then those that show most."""
    readers = (
        select(AudienceRow.variant_id, func.count(SubscriptionRow.id).label("readers"))
        .join(
            SubscriptionRow,
            (SubscriptionRow.filter_id == AudienceRow.filter_id)
            & (SubscriptionRow.language == AudienceRow.language)
            & (SubscriptionRow.list_id == edition.list_id)
            & (SubscriptionRow.state == "confirmed"),
        )
        .where(AudienceRow.edition_id == edition.id)
        .group_by(AudienceRow.variant_id)
    )
    if edition.purpose is EditionPurpose.DIGEST:
        readers = readers.where(SubscriptionRow.cadence == edition.cadence)
    counted = readers.subquery()
    items = select(func.count()).where(VariantItemRow.variant_id == VariantRow.id).scalar_subquery()
    query = (
        select(VariantRow.id, VariantRow.language, func.coalesce(counted.c.readers, 0), items, VariantRow.html_bytes)
        .outerjoin(counted, counted.c.variant_id == VariantRow.id)
        .where(VariantRow.edition_id == edition.id, VariantRow.replaced_at.is_(None))
        .order_by(func.coalesce(counted.c.readers, 0).desc(), items.desc(), VariantRow.id)
    )
    return [VariantShare(*row) for row in session.execute(query)]


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a mail."""

    state: str
    reason: str | None
    accepted_at: datetime | None


def fate_of(session: Session, delivery_id: int) -> Fate:
    """Return what became of a mail, which exists."""
    query = select(DeliveryRow.state, DeliveryRow.reason, DeliveryRow.accepted_at).where(DeliveryRow.id == delivery_id)
    return Fate(*session.execute(query).one())


def exclusion_of(session: Session, edition_id: int, subscription_id: int) -> str | None:
    """Return why fan-out made no mail for a subscription; None: it made one, or has not come to it."""
    query = select(ExclusionRow.reason).where(
        ExclusionRow.edition_id == edition_id, ExclusionRow.subscription_id == subscription_id
    )
    return session.execute(query).scalar_one_or_none()


def had_before(session: Session, edition: Edition, subscriber_id: int, article_ids: Iterable[int]) -> dict[int, int]:
    """Return which of the articles other mails of the list brought to a person, each with the last such edition."""
    query = (
        select(VariantItemRow.article_id, func.max(DeliveryRow.edition_id))
        .join(DeliveryRow, DeliveryRow.variant_id == VariantItemRow.variant_id)
        .where(
            DeliveryRow.subscriber_id == subscriber_id,
            DeliveryRow.list_id == edition.list_id,
            DeliveryRow.edition_id != edition.id,
            DeliveryRow.state.not_in(NOT_RECEIVED),
            VariantItemRow.article_id.in_(list(article_ids)),
        )
        .group_by(VariantItemRow.article_id)
    )
    return {article_id: edition_id or 0 for article_id, edition_id in session.execute(query)}


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """An edition that holds an article, and its mails with it by state."""

    edition_id: int
    list_slug: str
    slot_key: str
    state: str
    withdrawn_at: datetime | None
    mends: int
    mails: Mapping[str, int]


def whereabouts(session: Session, article_id: int) -> list[Whereabouts]:
    """Return the editions that hold, or held, an article, the newest first."""
    held = session.execute(
        select(
            EditionRow.id,
            ListRow.slug,
            EditionRow.slot_key,
            EditionRow.state,
            EditionItemRow.withdrawn_at,
            EditionItemRow.mend,
        )
        .join(EditionItemRow, EditionItemRow.edition_id == EditionRow.id)
        .join(ListRow, ListRow.id == EditionRow.list_id)
        .where(EditionItemRow.article_id == article_id)
        .order_by(EditionRow.id.desc())
    ).all()
    mails: dict[int, dict[str, int]] = {}
    counted = (
        select(DeliveryRow.edition_id, DeliveryRow.state, func.count())
        .join(VariantItemRow, VariantItemRow.variant_id == DeliveryRow.variant_id)
        .where(VariantItemRow.article_id == article_id, DeliveryRow.edition_id.is_not(None))
        .group_by(DeliveryRow.edition_id, DeliveryRow.state)
        .order_by(DeliveryRow.edition_id, DeliveryRow.state)
    )
    for edition_id, state, count in session.execute(counted):
        mails.setdefault(edition_id or 0, {})[state] = count
    return [Whereabouts(*row, mails.get(row.id, {})) for row in held]
