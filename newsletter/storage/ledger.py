"""Claim, write ahead, record: the moves of deliveries while they are sent.

Every move is one UPDATE guarded by the old state and the lease token, so whoever lost its lease changes nothing.
Leases and due times are the database's clock; no transaction is open while anyone talks SMTP.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import and_, case, func, select, update
from sqlalchemy.sql.elements import ColumnElement

from newsletter.domain.deliveries import LEASE, SENDING_LEASE, DeliveryState, Pool, Purpose, Told
from newsletter.domain.editions import ENDED
from newsletter.domain.limits import Allowance
from newsletter.domain.replies import Verdict
from newsletter.domain.subscriptions import PAUSED
from newsletter.storage import ledger_postgresql, ledger_sqlite
from newsletter.storage.bulk import one_of_many
from newsletter.storage.deliveries import NO_LEASE, AttemptRow, DeliveryRow
from newsletter.storage.editions import EditionRow
from newsletter.storage.engine import Session, database_now
from newsletter.storage.ledger_conditions import is_replaced, is_subscribed, is_suppressed
from newsletter.storage.ledger_lanes import Lane, due_lanes, shares
from newsletter.storage.ledger_rollback import accept_forgotten, stop_if_set_back
from newsletter.storage.variants import VariantRow

_S = DeliveryState

UNKNOWN = "unknown"
"""The outcome of an attempt whose sender never told one; it may still be told, late."""

ALL_WITHDRAWN = "everything in it was withdrawn before it was sent"


class Claimed(NamedTuple):
    """A delivery that is leased to us, with what its mail needs; *attempts* counts those before this one."""

    id: int
    purpose: Purpose
    edition_id: int | None
    list_id: int | None
    variant_id: int | None
    filter_id: int | None
    language: str
    address: str
    provider: str
    mail_token: str
    mail_at: datetime
    content: Mapping[str, Any] | None
    subscription_uid: str | None
    attempts: int
    tries: int


def claim(
    session: Session, *, pool: Pool, allowance: Allowance, worker: str, token: str, lease: timedelta = LEASE
) -> list[Claimed]:
    """Lease due deliveries to *worker* under a fresh *token*, as many as *allowance* says; in order of variant.

    Only of editions that are being sent, of lists that are not paused, and nothing while anything is stopped; of an
    edition with a canary only what is left of that. News sent at once comes first, then whatever waits longest, and no
    provider waits for another: see `newsletter.storage.ledger_lanes`. Two claimers never get the same row: PostgreSQL
    skips locked rows, SQLite has one writer. A row whose lease has run out before is claimed alone, so that its
    neighbours clear themselves. Fewer than asked for does not mean that there are no more; none does.
    """
    found = shares(_hold_canaries(session, due_lanes(session, pool)), allowance)
    if not found or allowance.total < 1:
        return []
    take = ledger_sqlite.claim_shares if _is_sqlite(session) else ledger_postgresql.claim_shares
    claimed = [
        _to_claimed(row) for row in take(session, found, total=allowance.total, worker=worker, token=token, lease=lease)
    ]
    canaries = {each.lane.edition_id for each in found if each.lane.canary_left is not None}
    for edition_id, count in Counter(each.edition_id for each in claimed).items():
        if edition_id in canaries:
            session.execute(
                update(EditionRow)
                .where(EditionRow.id == edition_id)
                .values(canary_left=EditionRow.canary_left - count)
                .execution_options(synchronize_session=False)
            )
    return claimed


def _to_claimed(row: Sequence[Any]) -> Claimed:
    """Read a row whose columns are in the order of `Claimed`."""
    return Claimed._make((row[0], Purpose(row[1]), *row[2:]))


def _hold_canaries(session: Session, lanes: list[Lane]) -> list[Lane]:
    """Lock the editions with a canary; return *lanes* with what is left of it now, without those that others hold."""
    editions = {lane.edition_id for lane in lanes if lane.canary_left is not None}
    if not editions:
        return lanes
    query = (
        select(EditionRow.id, EditionRow.canary_left)
        .where(EditionRow.id.in_(editions))
        .order_by(EditionRow.id)
        .with_for_update(skip_locked=True, key_share=True)
    )
    left = dict(session.execute(query).all())
    return [
        replace(lane, canary_left=left[lane.edition_id]) if lane.edition_id in left else lane
        for lane in lanes
        if lane.edition_id in left or lane.edition_id not in editions
    ]


def take_turn(
    session: Session,
    *,
    told: Sequence[Told],
    next_ids: Sequence[int],
    token: str,
    worker: str,
    lease: timedelta = SENDING_LEASE,
    epoch: int | None = None,
) -> dict[int, int]:
    """Record what became of mails that were written ahead, and write ahead the next ones, together.

    *told* may belong to several leases, each by its own token; *next_ids* to that of *token*. Returns the attempt
    number by id of those that may be sent now: still ours, in time, not suppressed, their reader subscribed, nothing
    in them withdrawn, their edition being sent, their list not paused, nothing stopped. The others of *next_ids* are
    settled: suppressed, expired, cancelled, back in the queue. *epoch*: of the lineage when the sender began; with it,
    an attempt told that the database has forgotten stops all mail, this turn's too.

    Safe to repeat until its answer has come, since a commit may land whose answer is lost: it records nothing twice and
    clears the same again, or ends the doubt that came over it meanwhile. So on PostgreSQL it needs no transaction
    around it, as in `Database.at_once`: its first statement does what is said above, whatever follows is guarded as all
    moves are, and is only for what came late or is not to be sent.
    """
    step = ledger_sqlite.turn if _is_sqlite(session) else ledger_postgresql.turn
    recorded, cleared = step(session, told=told, next_ids=next_ids, token=token, worker=worker, lease=lease)
    is_set_back = False
    if late := [each for each in told if each.delivery_id not in recorded]:
        is_set_back = epoch is not None and stop_if_set_back(session, late, epoch)
        _record_late(session, late)
    if uncleared := [each for each in next_ids if each not in cleared]:
        now = database_now(session)
        cleared |= _cleared_before(session, uncleared, token, now)
        _settle_uncleared(session, [each for each in uncleared if each not in cleared], token, now)
        _record_late(session, _unsent(session, [each for each in uncleared if each not in cleared], token))
    if is_set_back and cleared:
        step(session, told=_taken_back(cleared, token), next_ids=[], token=token, worker=worker, lease=lease)
        return {}
    return cleared


def _taken_back(cleared: Mapping[int, int], token: str) -> list[Told]:
    """Return what to tell of mails that were written ahead and are not to be sent."""
    return [Told(ref, attempt, token, _S.QUEUED, Verdict.UNSENT.value) for ref, attempt in cleared.items()]


def _cleared_before(session: Session, ids: Sequence[int], token: str, now: datetime) -> dict[int, int]:
    """Return what this very turn has written ahead already: it committed, and its caller never heard so."""
    query = select(DeliveryRow.id, DeliveryRow.attempts).where(
        one_of_many(DeliveryRow.id, ids),
        DeliveryRow.state == _S.SENDING,
        DeliveryRow.lease_token == token,
        DeliveryRow.lease_until > now,
    )
    return dict(session.execute(query).all())


def _unsent(session: Session, ids: Sequence[int], token: str) -> list[Told]:
    """Return what to tell of mails that this very turn wrote ahead, and that were doubted before its answer came."""
    doubted = (
        select(AttemptRow.delivery_id, AttemptRow.n)
        .join(DeliveryRow, (DeliveryRow.id == AttemptRow.delivery_id) & (DeliveryRow.attempts == AttemptRow.n))
        .where(
            one_of_many(AttemptRow.delivery_id, ids),
            AttemptRow.lease_token == token,
            AttemptRow.outcome == UNKNOWN,
            DeliveryRow.state == _S.IN_DOUBT,
        )
    )
    return _taken_back(dict(session.execute(doubted).all()), token)


def release(session: Session, ids: Iterable[int], token: str) -> None:
    """Put leased deliveries back into the queue untouched; those no longer ours stay as they are."""
    session.execute(
        update(DeliveryRow)
        .where(one_of_many(DeliveryRow.id, list(ids)), DeliveryRow.state == _S.LEASED, DeliveryRow.lease_token == token)
        .values(state=_S.QUEUED, state_at=database_now(session), **NO_LEASE)
    )


def fail_leased(session: Session, delivery_id: int, token: str, reason: str) -> None:
    """End a leased delivery that cannot be made into a mail; *reason* says why, without addresses."""
    session.execute(
        update(DeliveryRow)
        .where(DeliveryRow.id == delivery_id, DeliveryRow.state == _S.LEASED, DeliveryRow.lease_token == token)
        .values(state=_S.FAILED, state_at=database_now(session), reason=reason, **NO_LEASE)
    )


def _record_late(session: Session, told: Iterable[Told]) -> None:
    """Record answers to attempts that were given up meanwhile: what they say, and a yes or no as the evidence it is."""
    now = database_now(session)
    for each in told:
        if each.state is _S.ACCEPTED:
            if not accept_late(session, each.delivery_id, each.attempt, now=now):
                accept_forgotten(session, each.delivery_id, each.attempt, now=now)
        elif each.state is not _S.IN_DOUBT:
            _deny_late(session, each, now)
        session.execute(
            update(AttemptRow)
            .where(
                AttemptRow.delivery_id == each.delivery_id,
                AttemptRow.n == each.attempt,
                AttemptRow.lease_token == each.token,
                AttemptRow.outcome == UNKNOWN,
            )
            .values(
                finished_at=now,
                outcome=each.outcome,
                stage=each.stage,
                code=each.code,
                enhanced=each.enhanced,
                reply=each.reply,
            )
            .execution_options(synchronize_session=False)
        )


def _deny_late(session: Session, told: Told, now: datetime) -> None:
    """End a doubt by a definite no: that mail was certainly not taken, and goes on as its answer says.

    Of an edition that has ended nothing goes on: it came too late, as what is past its deadline.
    """
    moved = session.execute(
        update(DeliveryRow)
        .where(
            DeliveryRow.id == told.delivery_id,
            DeliveryRow.attempts == told.attempt,
            DeliveryRow.state == _S.IN_DOUBT,
        )
        .values(
            state=case((_edition_has_ended(), _S.EXPIRED), else_=told.state) if told.state is _S.QUEUED else told.state,
            state_at=now,
            available_at=now + told.wait,
            reason=told.reason,
            tries=DeliveryRow.tries + int(told.costs_a_try),
        )
        .returning(DeliveryRow.edition_id, DeliveryRow.state)
        .execution_options(synchronize_session=False)
    )
    for edition_id, state in moved:
        if edition_id is not None and state == _S.EXPIRED:  # which is what owes its reader the articles
            save_final_counts(session, edition_id, counts_by_state(session, edition_id))


def _edition_has_ended() -> ColumnElement[bool]:
    """Say whether a delivery's edition has ended, which it cannot do then until the statement is through."""
    state = select(EditionRow.state).where(EditionRow.id == DeliveryRow.edition_id).with_for_update(read=True)
    return state.scalar_subquery().in_(ENDED)


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
    ours = and_(one_of_many(DeliveryRow.id, ids), DeliveryRow.state == _S.LEASED, DeliveryRow.lease_token == token)
    for condition, state, reason in (
        (is_suppressed(), _S.SUPPRESSED, "the address was suppressed after fan-out"),
        (DeliveryRow.deadline_at <= now, _S.EXPIRED, "its deadline passed before it could be sent"),
        (
            and_(DeliveryRow.edition_id.is_not(None), ~is_subscribed()),
            _S.CANCELLED,
            "the subscription ended while the edition was fanned out",
        ),
        (and_(DeliveryRow.edition_id.is_not(None), is_subscribed(paused=True)), _S.CANCELLED, PAUSED),
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
        .where(ours, is_replaced())
        .values(state=_S.CANCELLED, state_at=now, reason=ALL_WITHDRAWN, **NO_LEASE)
        .execution_options(synchronize_session=False)
    )


def has_due(session: Session, pool: Pool) -> bool:
    """Say whether any delivery of the pool could be claimed now."""
    return bool(due_lanes(session, pool))


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"


def counts_by_state(session: Session, edition_id: int) -> dict[DeliveryState, int]:
    """Return how many deliveries of an edition are in each state; states with none are left out."""
    query = (
        select(DeliveryRow.state, func.count()).where(DeliveryRow.edition_id == edition_id).group_by(DeliveryRow.state)
    )
    return {DeliveryState(state): count for state, count in session.execute(query)}


def save_final_counts(session: Session, edition_id: int, counts: Mapping[DeliveryState, int]) -> None:
    """Fix an ended edition's deliveries by state."""
    session.execute(
        update(EditionRow)
        .where(EditionRow.id == edition_id)
        .values(counts={str(state): count for state, count in sorted(counts.items())})
    )
