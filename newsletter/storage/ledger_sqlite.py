"""The hot path of sending on SQLite: one writer at a time, so plain statements one after the other do."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, insert, or_, select, text, update

from newsletter.domain.deliveries import DeliveryState, Told
from newsletter.storage.bulk import one_of_many
from newsletter.storage.deliveries import NO_LEASE, AttemptRow, DeliveryRow
from newsletter.storage.engine import Session, database_now
from newsletter.storage.ledger_conditions import edition_is_sending, is_replaced, is_subscribed, is_suppressed
from newsletter.storage.ledger_lanes import Share
from newsletter.storage.stops import StopRow
from newsletter.storage.subscriptions import SubscriptionRow

_S = DeliveryState


def claim_shares(
    session: Session, shares: Sequence[Share], *, total: int, worker: str, token: str, lease: timedelta
) -> Sequence[Any]:
    """Lease what is due of *shares*, which are of one pool, up to *total*; return what `ledger.Claimed` asks for."""
    now = database_now(session)
    found: list[tuple[int, int]] = []
    for share in shares:
        due = (
            select(DeliveryRow.id, DeliveryRow.lapses)
            .where(
                DeliveryRow.state == text("'queued'"),
                DeliveryRow.edition_id == share.lane.edition_id,
                DeliveryRow.provider == share.lane.provider,
                DeliveryRow.available_at <= now,
            )
            .order_by(DeliveryRow.available_at, DeliveryRow.id)
            .limit(min(share.most, total - len(found)))
        )
        found += [(delivery_id, lapses) for delivery_id, lapses in session.execute(due)]
        if len(found) == total:
            break
    first_is_suspect = bool(found) and found[0][1] > 1
    chosen = [found[0][0]] if first_is_suspect else [delivery_id for delivery_id, lapses in found if lapses <= 1]
    session.execute(
        update(DeliveryRow)
        .where(one_of_many(DeliveryRow.id, chosen))
        .values(state=_S.LEASED, state_at=now, lease_token=token, lease_owner=worker, lease_until=now + lease)
        .execution_options(synchronize_session=False)
    )
    row = DeliveryRow
    query = (
        select(
            row.id,
            row.purpose,
            row.edition_id,
            row.list_id,
            row.variant_id,
            row.filter_id,
            row.language,
            func.coalesce(row.address, "").label("address"),
            row.provider,
            row.mail_token,
            row.mail_at,
            row.content,
            SubscriptionRow.uid.label("subscription_uid"),
            row.attempts,
            row.tries,
        )
        .outerjoin(SubscriptionRow, SubscriptionRow.id == row.subscription_id)
        .where(one_of_many(row.id, chosen))
        .order_by(row.variant_id, row.id)
    )
    return session.execute(query).all()


def turn(
    session: Session, *, told: Sequence[Told], next_ids: Sequence[int], token: str, worker: str, lease: timedelta
) -> tuple[set[int], dict[int, int]]:
    """Record *told* and write *next_ids* ahead; return which were recorded, and the attempts by id of what was cleared.

    What is not among them came late, or is not to be sent: see `ledger.take_turn`.
    """
    now = database_now(session)
    recorded = _record(session, told, now)
    if not next_ids:
        return recorded, {}
    ahead = (
        update(DeliveryRow)
        .where(
            one_of_many(DeliveryRow.id, next_ids),
            DeliveryRow.state == _S.LEASED,
            DeliveryRow.lease_token == token,
            DeliveryRow.lease_until > now,
            or_(DeliveryRow.deadline_at.is_(None), DeliveryRow.deadline_at > now),
            ~select(StopRow.kind).exists(),
            ~is_suppressed(),
            ~is_replaced(),
            or_(
                DeliveryRow.edition_id.is_(None),
                and_(edition_is_sending(), is_subscribed(), ~is_subscribed(paused=True)),
            ),
        )
        .values(
            state=_S.SENDING,
            state_at=now,
            attempts=DeliveryRow.attempts + 1,
            lease_owner=worker,
            lease_until=now + lease,
        )
        .returning(DeliveryRow.id, DeliveryRow.attempts)
        .execution_options(synchronize_session=False)
    )
    return recorded, dict(session.execute(ahead).all())


def _record(session: Session, told: Sequence[Told], now: datetime) -> set[int]:
    """Record what belongs to attempts that are under way, and the attempts themselves; return their ids."""
    begun = {
        row.id: row
        for row in session.execute(
            select(
                DeliveryRow.id,
                DeliveryRow.attempts,
                DeliveryRow.lease_token,
                DeliveryRow.lease_owner,
                DeliveryRow.state_at,
            ).where(one_of_many(DeliveryRow.id, [each.delivery_id for each in told]), DeliveryRow.state == _S.SENDING)
        )
    }
    found = [
        each
        for each in told
        if (row := begun.get(each.delivery_id)) and (each.attempt, each.token) == (row.attempts, row.lease_token)
    ]
    for alike in _alike(found):
        first = alike[0]
        session.execute(
            update(DeliveryRow)
            .where(one_of_many(DeliveryRow.id, [each.delivery_id for each in alike]))
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
            .execution_options(synchronize_session=False)
        )
    if found:
        session.execute(
            insert(AttemptRow),
            [
                {
                    "delivery_id": each.delivery_id,
                    "n": each.attempt,
                    "worker": begun[each.delivery_id].lease_owner,
                    "lease_token": each.token,
                    "started_at": begun[each.delivery_id].state_at,
                    "finished_at": now,
                    "outcome": each.outcome,
                    "stage": each.stage,
                    "code": each.code,
                    "enhanced": each.enhanced,
                    "reply": each.reply,
                }
                for each in found
            ],
        )
    return {each.delivery_id for each in found}


def _alike(told: Iterable[Told]) -> list[list[Told]]:
    """Group what was told by what it does to the row, so that a micro-batch is one or two UPDATEs."""
    groups: dict[tuple[object, ...], list[Told]] = {}
    for each in told:
        groups.setdefault((each.state, each.wait, each.costs_a_try, each.reason), []).append(each)
    return list(groups.values())
