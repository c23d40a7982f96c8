"""Doubts in SQL: deliveries of which nobody knows whether they were taken, and what settles them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, TextClause, and_, func, or_, select, text, update

from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.editions import EditionState
from newsletter.storage.bulk import chunks, one_of_many
from newsletter.storage.deliveries import NO_LEASE, DeliveryRow
from newsletter.storage.editions import EditionRow
from newsletter.storage.engine import Session, database_now

_S = DeliveryState
IN_DOUBT = text("state = 'in_doubt'")
"""As the partial index says it, so that the index serves."""

GIVEN_UP_BY = "settled by "
"""What the reason of a mail begins with that a person gave up, though it may have arrived."""


def doubted(session: Session, *, edition_id: int | None = None, after: int = 0, limit: int) -> list[tuple[int, str]]:
    """Return deliveries in doubt as (id, mail token) in order of id, from those behind *after* on."""
    query = select(DeliveryRow.id, DeliveryRow.mail_token).where(IN_DOUBT, DeliveryRow.id > after)
    if edition_id is not None:
        query = query.where(DeliveryRow.edition_id == edition_id)
    return [(delivery_id, token) for delivery_id, token in session.execute(query.order_by(DeliveryRow.id).limit(limit))]


def accept_doubted(session: Session, ids: Collection[int]) -> int:
    """Record that the relay took these mails, which are in doubt; return how many were."""
    now = database_now(session)
    return _move(session, ids, state=_S.ACCEPTED, state_at=now, accepted_at=now, reason=None, lapses=0)


def accept_reported(session: Session, delivery_id: int) -> bool:
    """Record that the relay took a mail, since somebody reports of it; say whether that was in doubt.

    So is one that waits to be sent again.
    """
    now = database_now(session)
    settled = session.execute(
        update(DeliveryRow)
        .where(
            DeliveryRow.id == delivery_id,
            or_(
                DeliveryRow.state == _S.IN_DOUBT,
                and_(DeliveryRow.state == _S.QUEUED, DeliveryRow.resends > 0),
            ),
        )
        .values(state=_S.ACCEPTED, state_at=now, accepted_at=now, reason=None, lapses=0)
        .returning(DeliveryRow.id)
    )
    return settled.first() is not None


def fail_doubted(session: Session, ids: Collection[int], *, by: str, why: str) -> int:
    """Record that these mails, which are in doubt, came to no good and are not sent again; return how many were."""
    return _move(session, ids, state=_S.FAILED, state_at=database_now(session), reason=f"{GIVEN_UP_BY}{by}: {why}")


def lock_editions_of(session: Session, ids: Collection[int]) -> None:
    """Lock the editions of these deliveries, so that none ends until the transaction does."""
    mails = select(DeliveryRow.edition_id).where(one_of_many(DeliveryRow.id, sorted(ids)))
    query = select(EditionRow.id).where(EditionRow.id.in_(mails)).order_by(EditionRow.id)
    session.execute(query.with_for_update()).all()


def requeue_doubted(session: Session, ids: Collection[int]) -> int:
    """Queue these mails again, which are in doubt, as long as they may be sent at all; return how many were.

    Only before their deadline, of readers who were not erased, and of editions that are still open: see
    `lock_editions_of`.
    """
    now = database_now(session)
    is_open = select(EditionRow.id).where(
        EditionRow.id == DeliveryRow.edition_id,
        EditionRow.state.in_((EditionState.SENDING, EditionState.PAUSED)),
    )
    return _move(
        session,
        ids,
        DeliveryRow.address.is_not(None),
        or_(DeliveryRow.deadline_at.is_(None), DeliveryRow.deadline_at > now),
        or_(DeliveryRow.edition_id.is_(None), is_open.exists()),
        state=_S.QUEUED,
        state_at=now,
        available_at=now,
        reason=None,
        resends=DeliveryRow.resends + 1,
    )


def _move(session: Session, ids: Collection[int], *conditions: Any, **values: Any) -> int:
    moved = 0
    for chunk in chunks(sorted(ids)):
        statement = (
            update(DeliveryRow)
            .where(one_of_many(DeliveryRow.id, chunk), DeliveryRow.state == _S.IN_DOUBT, *conditions)
            .values(**values)
            .execution_options(synchronize_session=False)
        )
        moved += int(session.execute(statement).rowcount)  # type: ignore[attr-defined]  # an UPDATE's result has it
    return moved


def ended_editions_of(session: Session, ids: Sequence[int]) -> list[int]:
    """Return the ended editions of these deliveries, whose final counts they change."""
    query = (
        select(EditionRow.id)
        .join(DeliveryRow, DeliveryRow.edition_id == EditionRow.id)
        .where(one_of_many(DeliveryRow.id, ids), EditionRow.counts.is_not(None))
        .distinct()
        .order_by(EditionRow.id)
    )
    return list(session.scalars(query))


def next_unsure(session: Session, *, until: datetime, limit: int) -> list[int]:
    """Return deliveries that may have been sent after the state that the database was restored to; none are left: [].

    Those are all that could have been sent by *until*: leased and being sent; queued and due by then, without an
    edition or of one that was being sent or paused. They are to be moved on before more are asked for.
    """
    for condition in _unsure(session, until):
        query = select(DeliveryRow.id).where(*condition).order_by(DeliveryRow.id).limit(limit)
        if ids := list(session.scalars(query)):
            return ids
    return []


def count_unsure(session: Session, *, until: datetime) -> int:
    """Count what `next_unsure` would return in all."""
    counts = (
        session.execute(select(func.count()).select_from(DeliveryRow).where(*condition)).scalar_one()
        for condition in _unsure(session, until)
    )
    return sum(counts)


def _unsure(session: Session, until: datetime) -> list[tuple[ColumnElement[bool] | TextClause, ...]]:
    open_ones = select(EditionRow.id).where(EditionRow.state.in_((EditionState.SENDING, EditionState.PAUSED)))
    editions: list[int | None] = [None, *session.scalars(open_ones.order_by(EditionRow.id))]
    is_queued = text("state = 'queued'")
    return [
        (text("state IN ('leased', 'sending')"),),
        *((is_queued, DeliveryRow.edition_id == each, DeliveryRow.available_at <= until) for each in editions),
    ]


def doubt(session: Session, ids: Sequence[int], reason: str) -> int:
    """Record these deliveries, queued, leased or being sent, as in doubt; return how many were."""
    moved = session.execute(
        update(DeliveryRow)
        .where(one_of_many(DeliveryRow.id, ids), DeliveryRow.state.in_((_S.QUEUED, _S.LEASED, _S.SENDING)))
        .values(state=_S.IN_DOUBT, state_at=database_now(session), reason=reason, **NO_LEASE)
        .execution_options(synchronize_session=False)
    )
    return int(moved.rowcount)  # type: ignore[attr-defined]  # an UPDATE's result has it
