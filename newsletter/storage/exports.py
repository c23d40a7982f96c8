"""Exports in SQL: pages of everything there is, by key and in order of it, so that no export holds more than a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, select
from sqlalchemy.orm import aliased

from newsletter.domain.editions import Edition
from newsletter.domain.lists import Cadence
from newsletter.domain.subscriptions import Consent, EndReason, SubscriptionState
from newsletter.domain.suppressions import Suppression, SuppressionReason
from newsletter.storage.articles import ArticleRow, SourceRow
from newsletter.storage.editions import EditionItemRow, EditionRow, to_edition
from newsletter.storage.engine import Session
from newsletter.storage.lists import ListRow
from newsletter.storage.private_feeds import PrivateFeedRow
from newsletter.storage.subscribers import SubscriberRow
from newsletter.storage.subscriptions import ConsentRow, SubscriptionRow, to_consent
from newsletter.storage.suppressions import SuppressionRow


@dataclass(frozen=True, slots=True)
class Standing:
    """How a person stands with a list: their newest subscription of it, and whether they may be mailed at all."""

    id: int
    address: str
    state: SubscriptionState
    cadence: Cadence
    language: str
    filter_id: int
    created_at: datetime
    confirmed_at: datetime | None
    ended_at: datetime | None
    end_reason: EndReason | None
    paused_until: datetime | None
    suppression: SuppressionReason | None
    suppressed_at: datetime | None


@dataclass(frozen=True, slots=True)
class ConsentLine:
    """A line of the record of consent; *address* is empty once its person was erased."""

    id: int
    address: str
    list: str
    consent: Consent


@dataclass(frozen=True, slots=True)
class PrivateFeedLine:
    """A feed of a reader's own, without its address."""

    id: int
    address: str
    list: str
    made_at: datetime
    revoked_at: datetime | None


def article_ids(session: Session, *, after: int, limit: int) -> list[int]:
    """Return ids of articles after the id *after*, in their order."""
    return list(
        session.scalars(select(ArticleRow.id).where(ArticleRow.id > after).order_by(ArticleRow.id).limit(limit))
    )


def source_titles(session: Session) -> dict[str, str]:
    """Return the titles of all sources by slug."""
    return {row.slug: row.title for row in session.execute(select(SourceRow.slug, SourceRow.title))}


def standings(session: Session, list_id: int, *, after: int, limit: int) -> list[Standing]:
    """Return how people stand with a list, who were not erased, by subscription after the id *after*."""
    newer = aliased(SubscriptionRow)
    query = (
        select(SubscriptionRow, SubscriberRow.address, SuppressionRow.reason, SuppressionRow.created_at)
        .join(SubscriberRow, SubscriberRow.id == SubscriptionRow.subscriber_id)
        .outerjoin(
            SuppressionRow,
            (SuppressionRow.address_hmac == SubscriberRow.address_hmac) & SuppressionRow.lifted_at.is_(None),
        )
        .where(
            SubscriptionRow.list_id == list_id,
            SubscriptionRow.id > after,
            SubscriberRow.address.is_not(None),
            ~exists().where(
                newer.subscriber_id == SubscriptionRow.subscriber_id,
                newer.list_id == SubscriptionRow.list_id,
                newer.id > SubscriptionRow.id,
            ),
        )
        .order_by(SubscriptionRow.id)
        .limit(limit)
    )
    return [
        Standing(
            id=row.id,
            address=address or "",
            state=SubscriptionState(row.state),
            cadence=Cadence(row.cadence),
            language=row.language,
            filter_id=row.filter_id,
            created_at=row.created_at,
            confirmed_at=row.confirmed_at,
            ended_at=row.ended_at,
            end_reason=EndReason(row.end_reason) if row.end_reason else None,
            paused_until=row.paused_until if row.paused_at and not row.resumed_at else None,
            suppression=SuppressionReason(reason) if reason else None,
            suppressed_at=since,
        )
        for row, address, reason, since in session.execute(query)
    ]


def consents(session: Session, *, after: int, limit: int) -> list[ConsentLine]:
    """Return the record of consent after the id *after*, as it was written."""
    query = (
        select(ConsentRow, SubscriberRow.address, ListRow.slug)
        .join(SubscriptionRow, SubscriptionRow.id == ConsentRow.subscription_id)
        .join(SubscriberRow, SubscriberRow.id == SubscriptionRow.subscriber_id)
        .join(ListRow, ListRow.id == SubscriptionRow.list_id)
        .where(ConsentRow.id > after)
        .order_by(ConsentRow.id)
        .limit(limit)
    )
    return [ConsentLine(row.id, address or "", slug, to_consent(row)) for row, address, slug in session.execute(query)]


def private_feeds(session: Session, *, after: int, limit: int) -> list[PrivateFeedLine]:
    """Return the feeds that readers were given after the id *after*; those of erased readers are gone."""
    query = (
        select(PrivateFeedRow, SubscriberRow.address, ListRow.slug)
        .join(SubscriberRow, SubscriberRow.id == PrivateFeedRow.subscriber_id)
        .join(ListRow, ListRow.id == PrivateFeedRow.list_id)
        .where(PrivateFeedRow.id > after)
        .order_by(PrivateFeedRow.id)
        .limit(limit)
    )
    return [
        PrivateFeedLine(row.id, address or "", slug, row.made_at, row.revoked_at)
        for row, address, slug in session.execute(query)
    ]


def suppressions(session: Session, *, after: int, limit: int) -> list[tuple[int, Suppression]]:
    """Return the suppressions in force after the id *after*, with their ids."""
    query = select(SuppressionRow).where(SuppressionRow.id > after, SuppressionRow.lifted_at.is_(None))
    return [
        (row.id, Suppression(row.address_hmac, SuppressionReason(row.reason), row.created_at))
        for row in session.scalars(query.order_by(SuppressionRow.id).limit(limit))
    ]


def editions(session: Session, *, after: int, limit: int) -> list[Edition]:
    """Return editions after the id *after*, in their order."""
    query = select(EditionRow).where(EditionRow.id > after).order_by(EditionRow.id).limit(limit)
    return [to_edition(row) for row in session.scalars(query)]


def items_by_uid(session: Session, edition_id: int) -> Sequence[tuple[str, datetime | None]]:
    """Return the uids of an edition's articles in order, and when each was taken out of it."""
    query = (
        select(ArticleRow.uid, EditionItemRow.withdrawn_at)
        .join(EditionItemRow, EditionItemRow.article_id == ArticleRow.id)
        .where(EditionItemRow.edition_id == edition_id)
        .order_by(EditionItemRow.position)
    )
    return [(uid, withdrawn_at) for uid, withdrawn_at in session.execute(query)]
