"""Who gets which variant of an edition, and who does not, in SQL."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVarTuple

from sqlalchemy import ForeignKey, Select, Text, func, select, text, tuple_, update
from sqlalchemy.orm import Mapped, aliased, mapped_column

from newsletter.domain.deliveries import NOT_RECEIVED, DeliveryState
from newsletter.domain.editions import Edition, EditionState
from newsletter.domain.lists import Cadence
from newsletter.domain.subscriptions import PAUSED
from newsletter.storage.base import Base, Code, Identifier
from newsletter.storage.bulk import insert_many, one_of_many
from newsletter.storage.deliveries import DeliveryRow
from newsletter.storage.editions import EditionItemRow, EditionRow
from newsletter.storage.engine import Session
from newsletter.storage.subscriptions import SubscriptionRow
from newsletter.storage.variants import VariantItemRow, VariantRow

Columns = TypeVarTuple("Columns")


class AudienceRow(Base):
    """Which variant the readers with one (filter, language) get (None: nothing), and the words that say why."""

    __tablename__ = "edition_audience"
    edition_id: Mapped[int] = mapped_column(Identifier, ForeignKey("edition.id", ondelete="CASCADE"), primary_key=True)
    filter_id: Mapped[int] = mapped_column(Identifier, ForeignKey("filter.id"), primary_key=True)
    language: Mapped[Code] = mapped_column(primary_key=True)
    variant_id: Mapped[int | None] = mapped_column(Identifier, ForeignKey("variant.id", ondelete="CASCADE"), index=True)
    why: Mapped[str] = mapped_column(Text)


class AudienceExceptionRow(Base):
    """A reader whose history differs from the others of their filter: their own variant, or none at all."""

    __tablename__ = "edition_audience_exception"
    edition_id: Mapped[int] = mapped_column(Identifier, ForeignKey("edition.id", ondelete="CASCADE"), primary_key=True)
    subscription_id: Mapped[int] = mapped_column(Identifier, ForeignKey("subscription.id"), primary_key=True)
    variant_id: Mapped[int | None] = mapped_column(Identifier, ForeignKey("variant.id", ondelete="CASCADE"), index=True)


class ExclusionRow(Base):
    """A candidate who got no delivery in fan-out, and why, so that the accounts balance."""

    __tablename__ = "edition_exclusion"
    edition_id: Mapped[int] = mapped_column(Identifier, ForeignKey("edition.id", ondelete="CASCADE"), primary_key=True)
    subscription_id: Mapped[int] = mapped_column(Identifier, ForeignKey("subscription.id"), primary_key=True)
    reason: Mapped[Code]  # nothing_chosen | suppressed | paused | has_one_already


def beside_audience(query: Select[*Columns], edition_id: int) -> Select[*Columns]:
    """Put beside each subscription what an edition holds for it: the row of its filter and language, and its own.

    Its own wins, where it has one; either may be missing.
    """
    return query.outerjoin(
        AudienceRow,
        (AudienceRow.edition_id == edition_id)
        & (AudienceRow.filter_id == SubscriptionRow.filter_id)
        & (AudienceRow.language == SubscriptionRow.language),
    ).outerjoin(
        AudienceExceptionRow,
        (AudienceExceptionRow.edition_id == edition_id) & (AudienceExceptionRow.subscription_id == SubscriptionRow.id),
    )


@dataclass(frozen=True, slots=True)
class AudienceGroup:
    """The readers of a list and cadence who share a filter and a language."""

    filter_id: int
    language: str
    reader_count: int


def audience_groups(session: Session, list_id: int, cadence: Cadence) -> list[AudienceGroup]:
    """Return the distinct (filter, language) of the confirmed subscriptions, with how many readers share each."""
    query = (
        select(SubscriptionRow.filter_id, SubscriptionRow.language, func.count())
        .where(
            SubscriptionRow.list_id == list_id,
            SubscriptionRow.cadence == cadence,
            SubscriptionRow.state == text("'confirmed'"),
        )
        .group_by(SubscriptionRow.filter_id, SubscriptionRow.language)
        .order_by(SubscriptionRow.filter_id, SubscriptionRow.language)
    )
    return [AudienceGroup(*row) for row in session.execute(query)]


@dataclass(frozen=True, slots=True)
class Latecomer:
    """A reader who came, or chose anew, since an edition was composed.

    *is_foreseen*: others shared their filter and language then, so that it is decided what these get.
    """

    subscription_id: int
    filter_id: int
    language: str
    is_foreseen: bool


def latecomers(session: Session, edition: Edition, readers: Sequence[int]) -> list[Latecomer]:
    """Return who of *readers*, given as subscription ids, may have come since *edition* was composed; in order of id.

    All whose filter and language it did not foresee, and all whose choice dates from after its cut. Without those who
    have a delivery of it, by whatever subscription, or of whom it is known already what they get.
    """
    has_delivery = (
        select(DeliveryRow.id)
        .where(DeliveryRow.edition_id == edition.id, DeliveryRow.subscriber_id == SubscriptionRow.subscriber_id)
        .exists()
    )
    readers_of = select(
        SubscriptionRow.id, SubscriptionRow.filter_id, SubscriptionRow.language, AudienceRow.edition_id.is_not(None)
    )
    query = (
        beside_audience(readers_of, edition.id)
        .where(
            one_of_many(SubscriptionRow.id, readers),
            AudienceRow.edition_id.is_(None)
            | (SubscriptionRow.created_at >= edition.cut_at)
            | (SubscriptionRow.confirmed_at >= edition.cut_at),
            AudienceExceptionRow.subscription_id.is_(None),
            ~has_delivery,
        )
        .order_by(SubscriptionRow.id)
    )
    return [Latecomer(*row) for row in session.execute(query)]


@dataclass(frozen=True, slots=True)
class History:
    """A reader whose past with a list differs from that of the others with the same filter.

    *received*: articles they had already, with the revision; *owed*: articles of an edition that never reached them.
    """

    subscription_id: int
    filter_id: int
    language: str
    received: Mapping[int, int]
    owed: Mapping[int, int]


_MAY_HAVE_COME = DeliveryRow.state.not_in(NOT_RECEIVED) | (DeliveryRow.resends > 0)
"""A mail that was queued again was in doubt before: the reader may have it, whatever became of its second attempt."""


def differing_histories(
    session: Session,
    list_id: int,
    cadence: Cadence,
    *,
    candidates: Iterable[int],
    since: datetime,
    readers: Sequence[int] | None = None,
) -> list[History]:
    """Return the readers whose share of this edition is not that of the others with their filter and language.

    Readers are the confirmed subscriptions of the list and cadence, in order of id. They had one of *candidates*
    by an earlier subscription or from an edition that was cancelled under way; or an edition with a slot after
    *since* expired before it reached them, or came while they had paused and asked for what they missed, and they are
    owed what it held. *readers*: only these subscriptions, by id; None: all.
    """
    choices: dict[int, tuple[int, str]] = {}
    received: dict[int, dict[int, int]] = {}
    owed: dict[int, dict[int, int]] = {}
    live, past = aliased(SubscriptionRow), aliased(SubscriptionRow)
    shown = (
        select(live.id, live.filter_id, live.language, VariantItemRow.article_id, func.max(VariantItemRow.revision))
        .where(live.list_id == list_id, live.cadence == cadence, live.state == text("'confirmed'"))
        .group_by(live.id, live.filter_id, live.language, VariantItemRow.article_id)
    )
    if readers is not None:
        shown = shown.where(one_of_many(live.id, readers))
    by_earlier_subscription = (
        shown.join(
            past,
            (past.subscriber_id == live.subscriber_id)
            & (past.list_id == live.list_id)
            & (past.state == text("'ended'")),  # there is one at a time; and few have ended, which a planner can know
        )
        .join(DeliveryRow, (DeliveryRow.subscriber_id == past.subscriber_id) & (DeliveryRow.subscription_id == past.id))
        .join(VariantItemRow, VariantItemRow.variant_id == DeliveryRow.variant_id)
        .where(_MAY_HAVE_COME, one_of_many(VariantItemRow.article_id, list(candidates)))
    )
    of_same_reader = (DeliveryRow.subscriber_id == live.subscriber_id) & (DeliveryRow.list_id == live.list_id)
    by_same_reader = shown.join(DeliveryRow, of_same_reader).join(
        VariantItemRow, VariantItemRow.variant_id == DeliveryRow.variant_id
    )
    broken_off, expired = _unfinished_editions(session, list_id, cadence, since)
    queries = [(by_earlier_subscription, received)]
    if broken_off:
        in_them = by_same_reader.where(DeliveryRow.edition_id.in_(broken_off), _MAY_HAVE_COME)
        queries.append((in_them, received))
    if expired:
        in_them = by_same_reader.where(
            DeliveryRow.edition_id.in_(expired), DeliveryRow.state == text("'expired'"), ~_MAY_HAVE_COME
        )
        queries.append((in_them, owed))
    queries += [(query, owed) for query in _slept_through(session, list_id, cadence, since, readers)]
    for query, found in queries:
        for subscription_id, filter_id, language, article_id, revision in session.execute(query):
            choices[subscription_id] = (filter_id, language)
            revisions = found.setdefault(subscription_id, {})
            revisions[article_id] = max(revision, revisions.get(article_id, 0))
    delivered = _received_by(session, list_id, owed)
    for subscription_id, articles in owed.items():
        for article_id, revision in delivered.get(subscription_id, {}).items():
            if articles.get(article_id, revision + 1) <= revision:
                del articles[article_id]
    return [History(each, *choices[each], received.get(each, {}), owed.get(each, {})) for each in sorted(choices)]


def _unfinished_editions(
    session: Session, list_id: int, cadence: Cadence, since: datetime
) -> tuple[list[int], list[int]]:
    """Return the editions that were cancelled after fan-out, and those with mail that expired."""
    query = select(EditionRow.id, EditionRow.state, EditionRow.counts).where(
        EditionRow.list_id == list_id,
        EditionRow.cadence == cadence,
        EditionRow.slot_at > since,
        EditionRow.counts.is_not(None),
    )
    broken_off, expired = [], []
    for edition_id, state, counts in session.execute(query):
        if state == EditionState.CANCELLED and counts:
            broken_off.append(edition_id)
        if (counts or {}).get(DeliveryState.EXPIRED):
            expired.append(edition_id)
    return broken_off, expired


def _slept_through(
    session: Session, list_id: int, cadence: Cadence, since: datetime, readers: Sequence[int] | None
) -> list[Select[int, int, str, int, int]]:
    """Return how to find what readers who wanted to catch up after a pause got no delivery of; mostly nobody did."""
    live, past = aliased(SubscriptionRow), aliased(SubscriptionRow)
    awake = [
        live.list_id == list_id,
        live.cadence == cadence,
        live.state == text("'confirmed'"),
        live.catches_up,
        live.resumed_at > since,
    ]
    if readers is not None:
        awake.append(one_of_many(live.id, readers))
    if session.scalar(select(live.id).where(*awake).limit(1)) is None:
        return []
    missed = (
        select(live.id, live.filter_id, live.language, EditionItemRow.article_id, func.max(EditionItemRow.revision))
        .join(past, (past.subscriber_id == live.subscriber_id) & (past.list_id == live.list_id))
        .where(*awake, EditionRow.cadence == cadence, EditionRow.slot_at > since, EditionItemRow.withdrawn_at.is_(None))
        .group_by(live.id, live.filter_id, live.language, EditionItemRow.article_id)
    )
    left_out = missed.join(ExclusionRow, (ExclusionRow.subscription_id == past.id) & (ExclusionRow.reason == PAUSED))
    of_past = (DeliveryRow.subscriber_id == past.subscriber_id) & (DeliveryRow.subscription_id == past.id)
    taken_back = missed.join(DeliveryRow, of_past & (DeliveryRow.reason == PAUSED))
    return [
        query.join(EditionRow, EditionRow.id == row.edition_id).join(
            EditionItemRow, EditionItemRow.edition_id == EditionRow.id
        )
        for query, row in ((left_out, ExclusionRow), (taken_back, DeliveryRow))
    ]


def _received_by(session: Session, list_id: int, wanted: Mapping[int, Mapping[int, int]]) -> dict[int, dict[int, int]]:
    """Return what the readers *wanted* names did get of the articles it names, by any subscription to the list."""
    if not wanted:
        return {}
    live = aliased(SubscriptionRow)
    articles = {article_id for each in wanted.values() for article_id in each}
    query = (
        select(live.id, VariantItemRow.article_id, func.max(VariantItemRow.revision))
        .join(DeliveryRow, (DeliveryRow.subscriber_id == live.subscriber_id) & (DeliveryRow.list_id == live.list_id))
        .join(VariantItemRow, VariantItemRow.variant_id == DeliveryRow.variant_id)
        .where(
            one_of_many(live.id, list(wanted)),
            DeliveryRow.list_id == list_id,
            _MAY_HAVE_COME,
            one_of_many(VariantItemRow.article_id, articles),
        )
        .group_by(live.id, VariantItemRow.article_id)
    )
    found: dict[int, dict[int, int]] = {}
    for subscription_id, article_id, revision in session.execute(query):
        found.setdefault(subscription_id, {})[article_id] = revision
    return found


def save_audience(session: Session, edition_id: int, rows: Sequence[tuple[int, str, int | None, str]]) -> None:
    """Store which variant each (filter, language) gets, given as (filter id, language, variant id, why)."""
    columns = ("edition_id", "filter_id", "language", "variant_id", "why")
    insert_many(session, AudienceRow, columns, ((edition_id, *row) for row in rows))


def save_exceptions(session: Session, edition_id: int, rows: Sequence[tuple[int, int | None]]) -> None:
    """Store the readers with a variant of their own, given as (subscription id, variant id)."""
    columns = ("edition_id", "subscription_id", "variant_id")
    insert_many(session, AudienceExceptionRow, columns, ((edition_id, *row) for row in rows))


def load_whys(session: Session, keys: Iterable[tuple[int, int, str]]) -> dict[tuple[int, int, str], str]:
    """Return why readers get an edition, by (edition id, filter id, language)."""
    key = tuple_(AudienceRow.edition_id, AudienceRow.filter_id, AudienceRow.language)
    rows = session.execute(
        select(AudienceRow.edition_id, AudienceRow.filter_id, AudienceRow.language, AudienceRow.why).where(
            key.in_(sorted(set(keys)))
        )
    )
    return {(edition_id, filter_id, language): why for edition_id, filter_id, language, why in rows}


def replace_variants_in_audience(session: Session, replaced: Collection[int]) -> None:
    """Let readers who would get variants that were replaced get what is sent instead, if anything.

    For those not fanned out yet; see `newsletter.storage.variants.replace_variants`.
    """
    for table in (AudienceRow, AudienceExceptionRow):
        instead = select(VariantRow.replaced_by).where(VariantRow.id == table.variant_id).scalar_subquery()
        session.execute(
            update(table)
            .where(one_of_many(table.variant_id, list(replaced)))
            .values(variant_id=instead)
            .execution_options(synchronize_session=False)
        )
