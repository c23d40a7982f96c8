"""What the sweeper does in SQL: finds leases that ran out, mail past its deadline, doubts to settle."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, literal, select, text, update

from newsletter.domain.deliveries import HOLD_AFTER, MAX_LAPSES, DeliveryState
from newsletter.domain.editions import EditionState
from newsletter.domain.lists import InDoubtPolicy
from newsletter.storage.bulk import insert_into, one_of_many
from newsletter.storage.deliveries import NO_LEASE, UNDER_WAY, AttemptRow, DeliveryRow
from newsletter.storage.editions import EditionRow
from newsletter.storage.engine import Session, database_now
from newsletter.storage.heartbeats import beat
from newsletter.storage.ledger import UNKNOWN
from newsletter.storage.lists import ListRow

_S = DeliveryState

PASS_LIMIT = 2_000
"""Rows that one pass of the sweeper moves at most, of each sort; the next pass is seconds away."""

POISON = "poison"
"""The sign that is left when a mail was given up, since it killed its senders."""

EVIDENCE_WAIT = timedelta(minutes=5)
"""How long a late reply may settle a doubt before the policy does."""


def requeue_lapsed(session: Session) -> int:
    """Queue again what was leased and never sent before its lease ran out; return how many.

    A row that lapsed `MAX_LAPSES` times in a row kills whoever touches it: it has failed.
    """
    now = database_now(session)
    ids = _lapsed(session, _S.LEASED, now)
    _count_lapse(session, ids, now)
    return len(ids)


def _count_lapse(session: Session, ids: Collection[int], now: datetime) -> None:
    for poisoned in (False, True):
        moved = session.execute(
            update(DeliveryRow)
            .where(
                one_of_many(DeliveryRow.id, ids),
                DeliveryRow.state == _S.LEASED,
                (DeliveryRow.lapses + 1 >= MAX_LAPSES) if poisoned else (DeliveryRow.lapses + 1 < MAX_LAPSES),
            )
            .values(
                state=_S.FAILED if poisoned else _S.QUEUED,
                state_at=now,
                lapses=DeliveryRow.lapses + 1,
                reason=f"poison: its sender died {MAX_LAPSES} times in a row" if poisoned else None,
                **NO_LEASE,
            )
            .execution_options(synchronize_session=False)
        )
        if poisoned and moved.rowcount:  # type: ignore[attr-defined]  # the result of an UPDATE has it
            beat(session, POISON)


def doubt_lapsed(session: Session) -> int:
    """Record as in doubt what may have been sent by somebody who never told; return how many."""
    now = database_now(session)
    ids = _lapsed(session, _S.SENDING, now)
    _doubt(session, ids, now)
    return len(ids)


def _doubt(session: Session, ids: Collection[int], now: datetime) -> None:
    given_up = select(
        DeliveryRow.id,
        DeliveryRow.attempts,
        DeliveryRow.lease_owner,
        DeliveryRow.lease_token,
        DeliveryRow.state_at,
        literal(now, DeliveryRow.state_at.type),
        literal(UNKNOWN),
    ).where(one_of_many(DeliveryRow.id, ids), DeliveryRow.state == _S.SENDING)
    columns = ["delivery_id", "n", "worker", "lease_token", "started_at", "finished_at", "outcome"]
    session.execute(insert_into(session, AttemptRow).from_select(columns, given_up).on_conflict_do_nothing())
    session.execute(
        update(DeliveryRow)
        .where(one_of_many(DeliveryRow.id, ids), DeliveryRow.state == _S.SENDING)
        .values(
            state=_S.IN_DOUBT,
            state_at=now,
            lapses=DeliveryRow.lapses + 1,
            reason="its sender died between writing it ahead and recording a reply",
            **NO_LEASE,
        )
        .execution_options(synchronize_session=False)
    )


@dataclass(frozen=True, slots=True)
class Held:
    """A delivery that a dead sender has on lease; *attempt* is the last one that was written ahead."""

    id: int
    state: DeliveryState
    attempt: int
    token: str
    tries: int
    edition_id: int | None


def load_held(session: Session, owner: str) -> list[Held]:
    """Return what the sender *owner* has on lease, locked until the transaction ends."""
    query = (
        select(
            DeliveryRow.id,
            DeliveryRow.state,
            DeliveryRow.attempts,
            DeliveryRow.lease_token,
            DeliveryRow.tries,
            DeliveryRow.edition_id,
        )
        .where(text("state IN ('leased', 'sending')"), DeliveryRow.lease_owner == owner)
        .order_by(DeliveryRow.id)
        .with_for_update()
    )
    return [
        Held(each.id, DeliveryState(each.state), each.attempts, each.lease_token or "", each.tries, each.edition_id)
        for each in session.execute(query)
    ]


def load_given_up(session: Session, owner: str, ids: Collection[int]) -> list[Held]:
    """Return those of *ids* that are in doubt since *owner* lost its lease on them, as it held them."""
    query = (
        select(DeliveryRow.id, DeliveryRow.attempts, AttemptRow.lease_token, DeliveryRow.tries, DeliveryRow.edition_id)
        .join(AttemptRow, (AttemptRow.delivery_id == DeliveryRow.id) & (AttemptRow.n == DeliveryRow.attempts))
        .where(
            one_of_many(DeliveryRow.id, ids),
            DeliveryRow.state == _S.IN_DOUBT,
            AttemptRow.worker == owner,
            AttemptRow.outcome == UNKNOWN,
        )
        .order_by(DeliveryRow.id)
    )
    return [
        Held(each.id, _S.IN_DOUBT, each.attempts, each.lease_token, each.tries, each.edition_id)
        for each in session.execute(query)
    ]


def requeue_held(session: Session, ids: Collection[int], *, suspects: Collection[int] = ()) -> None:
    """Queue again what a dead sender certainly did not send. *suspects* may be what killed it: that is counted."""
    now = database_now(session)
    _count_lapse(session, suspects, now)
    session.execute(
        update(DeliveryRow)
        .where(one_of_many(DeliveryRow.id, ids), DeliveryRow.state.in_((_S.LEASED, _S.SENDING)))
        .values(state=_S.QUEUED, state_at=now, **NO_LEASE)
        .execution_options(synchronize_session=False)
    )


def doubt_held(session: Session, ids: Collection[int]) -> None:
    """Record as in doubt what a dead sender had written the dot of, and heard no answer."""
    _doubt(session, ids, database_now(session))


def _lapsed(session: Session, state: DeliveryState, now: datetime) -> list[int]:
    query = (
        select(DeliveryRow.id)
        .where(DeliveryRow.state == text(f"'{state.value}'"), DeliveryRow.lease_until <= now)
        .order_by(DeliveryRow.lease_until, DeliveryRow.id)
        .limit(PASS_LIMIT)
        .with_for_update(skip_locked=True)
    )
    return list(session.scalars(query))


def expire_overdue(session: Session) -> int:
    """End what is queued past its deadline: old news is never sent late; return how many.

    Looks only where something can be overdue: at editions that may be sent no longer, and at mail without an edition,
    of which little waits.
    """
    now = database_now(session)
    over = select(EditionRow.id).where(EditionRow.state.in_(_MAY_HAVE_MAIL), EditionRow.send_until <= now)
    editions = list(session.scalars(over.order_by(EditionRow.id)))
    expired = 0
    for edition_id in (None, *editions):
        query = (
            select(DeliveryRow.id)
            .where(
                DeliveryRow.state == text("'queued'"),
                DeliveryRow.edition_id == edition_id,
                DeliveryRow.deadline_at <= now,
            )
            .limit(PASS_LIMIT - expired)
            .with_for_update(skip_locked=True)
        )
        ids = list(session.scalars(query))
        session.execute(
            update(DeliveryRow)
            .where(one_of_many(DeliveryRow.id, ids), DeliveryRow.state == _S.QUEUED)
            .values(state=_S.EXPIRED, state_at=now, reason="its deadline passed before it could be sent")
        )
        expired += len(ids)
    return expired


_MAY_HAVE_MAIL = (EditionState.APPROVED, EditionState.SENDING, EditionState.PAUSED)


def resend_doubted(session: Session, *, evidence_wait: timedelta = EVIDENCE_WAIT) -> int:
    """Queue again, once for ever, what is in doubt where the list's policy says so; return how many.

    Mail without a list (a confirmation) follows resend_once. Only before its deadline, only of an edition that is still
    open, and not before a late reply had *evidence_wait* to come. Of a reader who was erased meanwhile it stays in
    doubt, on record.
    """
    now = database_now(session)
    due = (
        DeliveryRow.state == text("'in_doubt'"),
        DeliveryRow.state_at <= now - evidence_wait,
        DeliveryRow.resends == 0,
        DeliveryRow.address.is_not(None),
        DeliveryRow.deadline_at.is_(None) | (DeliveryRow.deadline_at > now),
    )
    query = (
        select(DeliveryRow.id)
        .where(*due, DeliveryRow.edition_id.is_(None) | DeliveryRow.edition_id.in_(_hold_open(session, *due)))
        .order_by(DeliveryRow.id)
        .limit(PASS_LIMIT)
        .with_for_update(skip_locked=True)
    )
    ids = list(session.scalars(query))
    session.execute(
        update(DeliveryRow)
        .where(one_of_many(DeliveryRow.id, ids), DeliveryRow.state == _S.IN_DOUBT)
        .values(state=_S.QUEUED, state_at=now, available_at=now, resends=1)
    )
    return len(ids)


def _hold_open(session: Session, *due: ColumnElement[bool]) -> list[int]:
    """Return the open editions whose lists send again what is in doubt, of those with mail that is *due*.

    None of them ends before the transaction does, since a doubt that is old holds no edition open; what somebody has
    locked is left to the next pass.
    """
    query = (
        select(EditionRow.id)
        .join(ListRow, ListRow.id == EditionRow.list_id)
        .where(
            EditionRow.id.in_(select(DeliveryRow.edition_id).where(*due)),
            EditionRow.state.in_(_MAY_HAVE_MAIL),
            ListRow.in_doubt_policy == InDoubtPolicy.RESEND_ONCE,
        )
        .order_by(EditionRow.id)
        .with_for_update(read=True, skip_locked=True, of=EditionRow)
    )
    return list(session.scalars(query))


def has_open(session: Session, edition_id: int) -> bool:
    """Say whether any delivery keeps an edition from being done.

    One in doubt counts for `HOLD_AFTER`, in which evidence may come in; then it stays on record as held. One statement
    sees all at one moment: of two, neither would see what comes back into the queue between them.
    """
    now = database_now(session)
    queued = select(DeliveryRow.id).where(DeliveryRow.state == text("'queued'"), DeliveryRow.edition_id == edition_id)
    under_way = select(DeliveryRow.id).where(
        text(UNDER_WAY),
        DeliveryRow.edition_id == edition_id,
        DeliveryRow.state.in_((_S.LEASED, _S.SENDING, _S.IN_DOUBT)),
        (DeliveryRow.state != _S.IN_DOUBT) | (DeliveryRow.state_at > now - HOLD_AFTER),
    )
    return session.execute(select(queued.exists() | under_way.exists())).scalar_one()
