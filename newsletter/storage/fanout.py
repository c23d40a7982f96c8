"""Fan-out in SQL: one delivery for each reader of an edition, in chunks by key, repeatable."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, String, case, func, literal, null, select, text, update
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import aliased
from sqlalchemy.sql.functions import FunctionElement

from newsletter.domain.deliveries import DeliveryState, Pool, Purpose
from newsletter.domain.editions import Edition
from newsletter.domain.providers import provider_of
from newsletter.domain.subscriptions import PAUSED
from newsletter.storage.audiences import AudienceExceptionRow, AudienceRow, ExclusionRow
from newsletter.storage.bulk import insert_into
from newsletter.storage.deliveries import DeliveryRow
from newsletter.storage.editions import EditionRow
from newsletter.storage.engine import Session, database_now
from newsletter.storage.ledger import ALL_WITHDRAWN
from newsletter.storage.subscribers import SubscriberRow
from newsletter.storage.subscriptions import SubscriptionRow
from newsletter.storage.suppressions import SuppressionRow

CHUNK_SIZE = 10_000


class random_token(FunctionElement[str]):  # noqa: N801  It is a SQL function, named like one.
    """Thirty-two random hex digits, made by the database for each row."""

    type = String(32)
    inherit_cache = True
    name = "random_token"


@compiles(random_token, "postgresql")
def _random_token_on_postgresql(_element: object, _compiler: object, **_: object) -> str:
    return "replace(gen_random_uuid()::text, '-', '')"


@compiles(random_token, "sqlite")
def _random_token_on_sqlite(_element: object, _compiler: object, **_: object) -> str:
    return "lower(hex(randomblob(16)))"


def next_readers(session: Session, edition: Edition) -> list[int]:
    """Return the next `CHUNK_SIZE` readers of *edition*, in order of id from its cursor on; none: all were seen.

    Readers are the list's confirmed subscriptions of its cadence. Locks the edition until the transaction ends.
    """
    cursor = session.execute(
        select(EditionRow.fan_out_cursor).where(EditionRow.id == edition.id).with_for_update()
    ).scalar_one()
    statement = (
        select(SubscriptionRow.id)
        .where(
            SubscriptionRow.list_id == edition.list_id,
            SubscriptionRow.cadence == edition.cadence,
            SubscriptionRow.state == text("'confirmed'"),
            SubscriptionRow.id > cursor,
        )
        .order_by(SubscriptionRow.id)
        .limit(CHUNK_SIZE)
    )
    return list(session.scalars(statement))


def fan_out_chunk(session: Session, edition: Edition, readers: Sequence[int], *, now: datetime) -> None:
    """Make queued deliveries for *readers*, as `next_readers` gave them in this transaction; at least one.

    Those with a variant get a delivery, in order of variant; the others an exclusion that says why. Writes rows and
    cursor in the caller's transaction; safe to repeat, since (edition, subscriber) is unique.
    *now* is newsroom time, which is the Date of the mails; how long they may be sent was fixed at the approval.
    """
    send_until = session.execute(select(EditionRow.send_until).where(EditionRow.id == edition.id)).scalar_one()
    _insert_deliveries(session, edition, readers, now=now, send_until=send_until)
    _insert_exclusions(session, edition, readers, now=now)
    session.execute(
        update(EditionRow)
        .where(EditionRow.id == edition.id)
        .values(fan_out_cursor=readers[-1], candidate_count=EditionRow.candidate_count + len(readers))
    )


def _readers(edition: Edition, readers: Sequence[int], *columns: Any) -> Any:
    """Select *columns* for each reader of the chunk, beside the variant that is theirs, if any.

    By id alone: each statement sees what others have committed meanwhile, and who has left since the chunk began
    must still be accounted for. The turn before sending looks again.
    """
    return (
        select(*columns)
        .select_from(SubscriptionRow)
        .join(SubscriberRow, SubscriberRow.id == SubscriptionRow.subscriber_id)
        .outerjoin(
            AudienceRow,
            (AudienceRow.edition_id == edition.id)
            & (AudienceRow.filter_id == SubscriptionRow.filter_id)
            & (AudienceRow.language == SubscriptionRow.language),
        )
        .outerjoin(
            AudienceExceptionRow,
            (AudienceExceptionRow.edition_id == edition.id)
            & (AudienceExceptionRow.subscription_id == SubscriptionRow.id),
        )
        .where(SubscriptionRow.id.in_(readers))
    )


_VARIANT = case(
    (AudienceExceptionRow.subscription_id.is_not(None), AudienceExceptionRow.variant_id),
    else_=AudienceRow.variant_id,
)
_SUPPRESSED = (
    select(SuppressionRow.id)
    .where(SuppressionRow.address_hmac == SubscriberRow.address_hmac, SuppressionRow.lifted_at.is_(None))
    .exists()
)


def _is_paused(now: datetime) -> ColumnElement[bool]:
    """Say of each reader whether they want no mail at *now*; one whose pause is over waits for no tick."""
    return (
        SubscriptionRow.paused_at.is_not(None)
        & SubscriptionRow.resumed_at.is_(None)
        & (SubscriptionRow.paused_until > literal(now, SubscriptionRow.paused_until.type))
    )


def _insert_deliveries(
    session: Session, edition: Edition, readers: Sequence[int], *, now: datetime, send_until: datetime | None
) -> None:
    due_at = database_now(session)
    values = {
        "purpose": literal(Purpose.EDITION.value),
        "edition_id": literal(edition.id),
        "list_id": literal(edition.list_id),
        "variant_id": _VARIANT,
        "subscriber_id": SubscriptionRow.subscriber_id,
        "subscription_id": SubscriptionRow.id,
        "filter_id": SubscriptionRow.filter_id,
        "language": SubscriptionRow.language,
        "address": SubscriberRow.address,
        "address_hmac": SubscriberRow.address_hmac,
        "provider": SubscriberRow.provider,
        "content": null(),
        "mail_token": random_token(),
        "mail_at": literal(now, DeliveryRow.mail_at.type),
        "pool": literal(Pool.BULK.value),
        "state": literal(DeliveryState.QUEUED.value),
        "state_at": literal(due_at, DeliveryRow.state_at.type),
        "available_at": literal(due_at, DeliveryRow.available_at.type),
        "deadline_at": literal(send_until, DeliveryRow.state_at.type),
        "attempts": literal(0),
        "tries": literal(0),
        "lapses": literal(0),
        "resends": literal(0),
    }
    before = aliased(SubscriberRow)
    had_it_before_they_were_erased = (
        select(before.id)
        .join(DeliveryRow, DeliveryRow.subscriber_id == before.id)
        .where(
            before.address_hmac == SubscriberRow.address_hmac,
            before.id != SubscriberRow.id,
            DeliveryRow.edition_id == edition.id,
        )
        .exists()
    )
    chosen = (
        _readers(edition, readers, *values.values())
        .where(
            _VARIANT.is_not(None),
            SubscriberRow.address.is_not(None),
            ~_SUPPRESSED,
            ~_is_paused(now),
            ~had_it_before_they_were_erased,
        )
        .order_by(_VARIANT, SubscriptionRow.id)
    )
    session.execute(insert_into(session, DeliveryRow).from_select(list(values), chosen).on_conflict_do_nothing())


def _insert_exclusions(session: Session, edition: Edition, readers: Sequence[int], *, now: datetime) -> None:
    """Say of each reader without a delivery why they have none; whoever chose anew meanwhile has another one."""
    reason = case(
        (_VARIANT.is_(None), literal("nothing_chosen")),
        (SubscriberRow.address.is_(None) | _SUPPRESSED, literal("suppressed")),
        (_is_paused(now), literal(PAUSED)),
        else_=literal("has_one_already"),
    )
    has_delivery = (
        select(DeliveryRow.id)
        .where(
            DeliveryRow.edition_id == edition.id,
            DeliveryRow.subscriber_id == SubscriptionRow.subscriber_id,
            DeliveryRow.subscription_id == SubscriptionRow.id,
        )
        .exists()
    )
    left_out = _readers(edition, readers, literal(edition.id), SubscriptionRow.id, reason).where(~has_delivery)
    session.execute(
        insert_into(session, ExclusionRow)
        .from_select(["edition_id", "subscription_id", "reason"], left_out)
        .on_conflict_do_nothing()
    )


def finish_fan_out(session: Session, edition_id: int, *, now: datetime) -> None:
    """Note that every reader of the edition has been seen."""
    session.execute(
        update(EditionRow)
        .where(EditionRow.id == edition_id, EditionRow.fanned_out_at.is_(None))
        .values(fanned_out_at=now)
    )


def exclusion_counts(session: Session, edition_id: int) -> dict[str, int]:
    """Return how many readers got no delivery, by reason."""
    query = (
        select(ExclusionRow.reason, func.count())
        .where(ExclusionRow.edition_id == edition_id)
        .group_by(ExclusionRow.reason)
    )
    return dict(session.execute(query).all())


def save_final_counts(session: Session, edition_id: int, counts: dict[DeliveryState, int]) -> None:
    """Fix an ended edition's deliveries by state."""
    session.execute(
        update(EditionRow)
        .where(EditionRow.id == edition_id)
        .values(counts={str(state): count for state, count in sorted(counts.items())})
    )


def move_open_deliveries(session: Session, old_variant: int, new_variant: int | None) -> int:
    """Let mail not sent yet follow a changed variant; None cancels it. Leased mail goes back: its sender skips it."""
    now = database_now(session)
    values: dict[str, Any] = {"variant_id": new_variant, "state": DeliveryState.QUEUED}
    if new_variant is None:
        values = {"state": DeliveryState.CANCELLED, "reason": ALL_WITHDRAWN}
    moved = session.execute(
        update(DeliveryRow)
        .where(
            DeliveryRow.variant_id == old_variant,
            DeliveryRow.state.in_((DeliveryState.QUEUED, DeliveryState.LEASED)),
        )
        .values(state_at=now, lease_token=None, lease_owner=None, lease_until=None, **values)
        .execution_options(synchronize_session=False)
    )
    return int(moved.rowcount)  # type: ignore[attr-defined]  # the result of an UPDATE has it


def cancel_edition_deliveries(session: Session, edition_id: int, reason: str) -> int:
    """End what is queued or leased of an edition; what is being sent goes on. Return how many."""
    now = database_now(session)
    ended = session.execute(
        update(DeliveryRow)
        .where(
            DeliveryRow.edition_id == edition_id,
            DeliveryRow.state.in_((DeliveryState.QUEUED, DeliveryState.LEASED)),
        )
        .values(
            state=DeliveryState.CANCELLED,
            state_at=now,
            reason=reason,
            lease_token=None,
            lease_owner=None,
            lease_until=None,
        )
        .execution_options(synchronize_session=False)
    )
    return int(ended.rowcount)  # type: ignore[attr-defined]  # the result of an UPDATE has it


def insert_transactional(session: Session, values: dict[str, Any]) -> int | None:
    """Queue one mail without an edition; None if its idempotency key is taken.

    *values*: columns of the delivery, its address among them.
    """
    now = database_now(session)
    row = {
        "pool": Pool.TRANSACTIONAL,
        "state": DeliveryState.QUEUED,
        "state_at": now,
        "available_at": now,
        "mail_token": random_token(),
        "provider": provider_of(values["address"]),
    } | values
    inserted: int | None = session.execute(
        insert_into(session, DeliveryRow).on_conflict_do_nothing().values(row).returning(DeliveryRow.id)
    ).scalar_one_or_none()
    return inserted
