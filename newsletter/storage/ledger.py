"""Claim, write ahead, record: the moves of deliveries while they are sent.

Every move is one UPDATE guarded by the old state and the lease token, so whoever lost its lease changes nothing.
Leases and due times are the database's clock; no transaction is open while anyone talks SMTP.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, func, insert, or_, select, text, update
from sqlalchemy.sql.elements import ColumnElement

from newsletter.domain.deliveries import LEASE, SENDING_LEASE, DeliveryState, Pool, Purpose, Told
from newsletter.storage.deliveries import AttemptRow, DeliveryRow
from newsletter.storage.editions import EditionRow
from newsletter.storage.engine import Session, database_now
from newsletter.storage.subscriptions import SubscriptionRow
from newsletter.storage.suppressions import SuppressionRow
from newsletter.storage.variants import VariantRow

_S = DeliveryState

UNKNOWN = "unknown"
"""The outcome of an attempt whose sender never told one; it may still be told, late."""

ALL_WITHDRAWN = "everything in it was withdrawn before it was sent"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is leased to us, with what its mail needs; *attempts* counts those before this one."""

    id: int
    purpose: Purpose
    edition_id: int | None
    list_id: int | None
    variant_id: int | None
    filter_id: int | None
    language: str
    address: str
    mail_token: str
    mail_at: datetime
    content: Mapping[str, Any] | None
    subscription_uid: str | None
    attempts: int
    tries: int


def claim(
    session: Session, *, pool: Pool, limit: int, worker: str, token: str, lease: timedelta = LEASE
) -> list[Claimed]:
    """Lease up to *limit* due deliveries to *worker* under a fresh *token*; first by priority, then by due time.

    Only of editions that are being sent. Two claimers never get the same row: PostgreSQL skips locked rows, SQLite
    has one writer. A row whose lease has run out before is claimed alone, so that its neighbours clear themselves.
    """
    now = database_now(session)
    due = (
        select(DeliveryRow.id, DeliveryRow.lapses)
        .where(
            DeliveryRow.state == text("'queued'"),
            DeliveryRow.pool == pool,
            DeliveryRow.available_at <= now,
            or_(DeliveryRow.edition_id.is_(None), _edition_is_sending()),
        )
        .order_by(DeliveryRow.priority, DeliveryRow.available_at, DeliveryRow.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = session.execute(due).all()
    suspects = [delivery_id for delivery_id, lapses in found if lapses > 1]
    chosen = suspects[:1] if suspects and suspects[0] == found[0][0] else [i for i, lapses in found if lapses <= 1]
    if not chosen:
        chosen = suspects[:1]
    if not chosen:
        return []
    session.execute(
        update(DeliveryRow)
        .where(DeliveryRow.id.in_(chosen), DeliveryRow.state == _S.QUEUED)
        .values(state=_S.LEASED, state_at=now, lease_token=token, lease_owner=worker, lease_until=now + lease)
    )
    return _claimed(session, token, chosen)


def _claimed(session: Session, token: str, ids: Sequence[int]) -> list[Claimed]:
    rows = session.execute(
        select(DeliveryRow, SubscriptionRow.uid)
        .outerjoin(SubscriptionRow, SubscriptionRow.id == DeliveryRow.subscription_id)
        .where(DeliveryRow.id.in_(ids), DeliveryRow.lease_token == token)
        .order_by(DeliveryRow.priority, DeliveryRow.variant_id, DeliveryRow.id)
        .execution_options(populate_existing=True)
    )
    return [
        Claimed(
            id=row.id,
            purpose=Purpose(row.purpose),
            edition_id=row.edition_id,
            list_id=row.list_id,
            variant_id=row.variant_id,
            filter_id=row.filter_id,
            language=row.language,
            address=row.address or "",
            mail_token=row.mail_token,
            mail_at=row.mail_at,
            content=row.content,
            subscription_uid=subscription_uid,
            attempts=row.attempts,
            tries=row.tries,
        )
        for row, subscription_uid in rows
    ]


def take_turn(
    session: Session,
    *,
    told: Sequence[Told],
    told_token: str,
    next_ids: Sequence[int],
    token: str,
    worker: str,
    lease: timedelta = SENDING_LEASE,
) -> dict[int, int]:
    """Record what became of the last micro-batch and write ahead the next one, in one transaction.

    *told* belongs to the lease of *told_token*, *next_ids* to that of *token*. Returns the attempt number by id of
    those that may be sent now: still ours, in time, not suppressed, their reader subscribed, nothing in them withdrawn,
    their edition not paused. The others of *next_ids* are settled: suppressed, expired, cancelled, back in the queue.
    Safe to repeat until its answer has come, since a commit may land whose answer is lost: it records nothing twice and
    clears the same again.
    """
    now = database_now(session)
    _record(session, told, told_token, now)
    if not next_ids:
        return {}
    cleared = dict(
        session.execute(
            update(DeliveryRow)
            .where(
                DeliveryRow.id.in_(next_ids),
                DeliveryRow.state == _S.LEASED,
                DeliveryRow.lease_token == token,
                DeliveryRow.lease_until > now,
                or_(DeliveryRow.deadline_at.is_(None), DeliveryRow.deadline_at > now),
                ~_is_suppressed(),
                ~_is_replaced(),
                or_(DeliveryRow.edition_id.is_(None), and_(_edition_is_sending(), _is_subscribed())),
            )
            .values(
                state=_S.SENDING,
                state_at=now,
                attempts=DeliveryRow.attempts + 1,
                lease_until=now + lease,
            )
            .returning(DeliveryRow.id, DeliveryRow.attempts)
            .execution_options(synchronize_session=False)
        ).all()
    )
    if cleared:
        session.execute(
            insert(AttemptRow),
            [
                {"delivery_id": delivery_id, "n": n, "worker": worker, "lease_token": token, "started_at": now}
                for delivery_id, n in cleared.items()
            ],
        )
    uncleared = [each for each in next_ids if each not in cleared]
    if uncleared:
        cleared |= _cleared_before(session, uncleared, token, now)
        _settle_uncleared(session, [each for each in uncleared if each not in cleared], token, now)
    return cleared


def _cleared_before(session: Session, ids: Sequence[int], token: str, now: datetime) -> dict[int, int]:
    """Return what this very turn has written ahead already: it committed, and its caller never heard so."""
    query = select(DeliveryRow.id, DeliveryRow.attempts).where(
        DeliveryRow.id.in_(ids),
        DeliveryRow.state == _S.SENDING,
        DeliveryRow.lease_token == token,
        DeliveryRow.lease_until > now,
    )
    return dict(session.execute(query).all())


def release(session: Session, ids: Iterable[int], token: str) -> None:
    """Put leased deliveries back into the queue untouched; those no longer ours stay as they are."""
    session.execute(
        update(DeliveryRow)
        .where(DeliveryRow.id.in_(list(ids)), DeliveryRow.state == _S.LEASED, DeliveryRow.lease_token == token)
        .values(state=_S.QUEUED, state_at=database_now(session), **NO_LEASE)
    )


def fail_leased(session: Session, delivery_id: int, token: str, reason: str) -> None:
    """End a leased delivery that cannot be made into a mail; *reason* says why, without addresses."""
    session.execute(
        update(DeliveryRow)
        .where(DeliveryRow.id == delivery_id, DeliveryRow.state == _S.LEASED, DeliveryRow.lease_token == token)
        .values(state=_S.FAILED, state_at=database_now(session), reason=reason, **NO_LEASE)
    )


NO_LEASE: dict[str, Any] = {"lease_token": None, "lease_owner": None, "lease_until": None}


def _record(session: Session, told: Sequence[Told], token: str, now: datetime) -> None:
    if not told:
        return
    for each in _alike(told):
        first = each[0]
        recorded = set(
            session.scalars(
                update(DeliveryRow)
                .where(
                    DeliveryRow.id.in_([one.delivery_id for one in each]),
                    DeliveryRow.state == _S.SENDING,
                    DeliveryRow.lease_token == token,
                    DeliveryRow.attempts == first.attempt,
                )
                .values(
                    state=first.state,
                    state_at=now,
                    available_at=now + first.wait,
                    accepted_at=now if first.state is _S.ACCEPTED else None,
                    reason=first.reason,
                    lapses=0,
                    tries=DeliveryRow.tries + int(first.costs_a_try),
                    **NO_LEASE,
                )
                .returning(DeliveryRow.id)
                .execution_options(synchronize_session=False)
            )
        )
        if first.state is _S.ACCEPTED:
            for late in each:
                if late.delivery_id not in recorded:
                    accept_late(session, late.delivery_id, late.attempt, now=now)
    attempts = AttemptRow.__table__.c
    session.connection().execute(  # not by the session, which would want rows' keys under their own names
        update(AttemptRow.__table__)  # type: ignore[arg-type]  # declarative tables are typed too loosely
        .where(
            attempts.delivery_id == bindparam("b_id"),
            attempts.n == bindparam("b_n"),
            attempts.lease_token == token,
            or_(attempts.finished_at.is_(None), attempts.outcome == UNKNOWN),
        )
        .values(
            finished_at=bindparam("b_at"),
            outcome=bindparam("b_outcome"),
            stage=bindparam("b_stage"),
            code=bindparam("b_code"),
            enhanced=bindparam("b_enhanced"),
            reply=bindparam("b_reply"),
        ),
        [
            {
                "b_id": each.delivery_id,
                "b_n": each.attempt,
                "b_at": now,
                "b_outcome": each.outcome,
                "b_stage": each.stage,
                "b_code": each.code,
                "b_enhanced": each.enhanced,
                "b_reply": each.reply,
            }
            for each in told
        ],
    )


def _alike(told: Iterable[Told]) -> list[list[Told]]:
    """Group what was told by what it does to the row, so that a micro-batch is one or two UPDATEs."""
    groups: dict[tuple[object, ...], list[Told]] = {}
    for each in told:
        groups.setdefault((each.attempt, each.state, each.wait, each.costs_a_try, each.reason), []).append(each)
    return list(groups.values())


def accept_late(session: Session, delivery_id: int, attempt: int, *, now: datetime) -> bool:
    """Record a relay's yes that came after the lease was given up; only if no later attempt was begun."""
    moved = session.execute(
        update(DeliveryRow)
        .where(
            DeliveryRow.id == delivery_id,
            DeliveryRow.attempts == attempt,
            DeliveryRow.state.in_((_S.IN_DOUBT, _S.QUEUED, _S.LEASED)),
        )
        .values(state=_S.ACCEPTED, state_at=now, accepted_at=now, lapses=0, reason=None, **NO_LEASE)
    )
    return int(moved.rowcount) > 0  # type: ignore[attr-defined]  # the result of an UPDATE has it


def _settle_uncleared(session: Session, ids: Sequence[int], token: str, now: datetime) -> None:
    ours = and_(DeliveryRow.id.in_(ids), DeliveryRow.state == _S.LEASED, DeliveryRow.lease_token == token)
    for condition, state, reason in (
        (_is_suppressed(), _S.SUPPRESSED, "the address was suppressed after fan-out"),
        (DeliveryRow.deadline_at <= now, _S.EXPIRED, "its deadline passed before it could be sent"),
        (
            and_(DeliveryRow.edition_id.is_not(None), ~_is_subscribed()),
            _S.CANCELLED,
            "the subscription ended while the edition was fanned out",
        ),
    ):
        session.execute(
            update(DeliveryRow)
            .where(ours, condition)
            .values(state=state, state_at=now, reason=reason, **NO_LEASE)
            .execution_options(synchronize_session=False)
        )
    _follow_replaced(session, ours, now)
    release(session, ids, token)


def _follow_replaced(session: Session, ours: ColumnElement[bool], now: datetime) -> None:
    """Give mail of which something was withdrawn back to the queue as what replaced it, or end it."""
    following = select(VariantRow.replaced_by).where(VariantRow.id == DeliveryRow.variant_id).scalar_subquery()
    session.execute(
        update(DeliveryRow)
        .where(ours, following.is_not(None))
        .values(state=_S.QUEUED, state_at=now, variant_id=following, **NO_LEASE)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(DeliveryRow)
        .where(ours, _is_replaced())
        .values(state=_S.CANCELLED, state_at=now, reason=ALL_WITHDRAWN, **NO_LEASE)
        .execution_options(synchronize_session=False)
    )


def _edition_is_sending() -> ColumnElement[bool]:
    return (
        select(EditionRow.id)
        .where(EditionRow.id == DeliveryRow.edition_id, EditionRow.state == text("'sending'"))
        .exists()
    )


def _is_subscribed() -> ColumnElement[bool]:
    """Say whether the reader has a confirmed subscription to the list, be it not the one this mail was made for."""
    return (
        select(SubscriptionRow.id)
        .where(
            SubscriptionRow.subscriber_id == DeliveryRow.subscriber_id,
            SubscriptionRow.list_id == DeliveryRow.list_id,
            SubscriptionRow.state == text("'confirmed'"),
        )
        .exists()
    )


def _is_replaced() -> ColumnElement[bool]:
    return (
        select(VariantRow.id)
        .where(VariantRow.id == DeliveryRow.variant_id, VariantRow.replaced_at.is_not(None))
        .exists()
    )


def _is_suppressed() -> ColumnElement[bool]:
    return (
        select(SuppressionRow.id)
        .where(SuppressionRow.address_hmac == DeliveryRow.address_hmac, SuppressionRow.lifted_at.is_(None))
        .exists()
    )


def has_due(session: Session, pool: Pool) -> bool:
    """Say whether any delivery of the pool could be claimed now."""
    query = (
        select(DeliveryRow.id)
        .where(
            DeliveryRow.state == text("'queued'"),
            DeliveryRow.pool == pool,
            DeliveryRow.available_at <= database_now(session),
            or_(DeliveryRow.edition_id.is_(None), _edition_is_sending()),
        )
        .limit(1)
    )
    return session.execute(query).first() is not None


def counts_by_state(session: Session, edition_id: int) -> dict[DeliveryState, int]:
    """Return how many deliveries of an edition are in each state; states with none are left out."""
    query = (
        select(DeliveryRow.state, func.count()).where(DeliveryRow.edition_id == edition_id).group_by(DeliveryRow.state)
    )
    return {DeliveryState(state): count for state, count in session.execute(query)}
