"""What a sender knows of mails and the database does not: proof that the database went back, and what it is good for.

A sender is told the number of an attempt by the commit that wrote it ahead; numbers only grow, no two attempts at a
delivery share one, and deliveries are never deleted. So no kill, clock, resend or erasure can bring about what is
looked for here: only an older state can.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update

from newsletter.domain.deliveries import DeliveryState, Told
from newsletter.storage.bulk import one_of_many
from newsletter.storage.deliveries import NO_LEASE, AttemptRow, DeliveryRow
from newsletter.storage.engine import Session
from newsletter.storage.lineage import load_lineage
from newsletter.storage.stops import GUARD, StopKind, put_stop

_S = DeliveryState

BEHIND_A_SENDER = (
    "the database does not know of mail that a sender had written ahead in it: an older state of it was restored"
)


def stop_if_set_back(session: Session, told: Sequence[Told], epoch: int) -> bool:
    """Stop all mail if *told* is of attempts that the database has forgotten; say whether it has.

    *epoch*: in which the sender began. It has no news of a restore that was acknowledged since.
    """
    known = load_lineage(session)
    if (known is not None and known.epoch > epoch) or not _is_forgotten(session, told):
        return False
    put_stop(session, StopKind.RESTORE, reason=BEHIND_A_SENDER, by=GUARD)
    return True


def _is_forgotten(session: Session, told: Sequence[Told]) -> bool:
    """Say whether any attempt is beyond what its delivery has seen, or was somebody else's there."""
    ids = [each.delivery_id for each in told]
    deliveries = select(DeliveryRow.id, DeliveryRow.attempts, DeliveryRow.state, DeliveryRow.lease_token)
    now = {row.id: row for row in session.execute(deliveries.where(one_of_many(DeliveryRow.id, ids)))}
    attempts = select(AttemptRow.delivery_id, AttemptRow.n, AttemptRow.lease_token)
    tokens = {(ref, n): by for ref, n, by in session.execute(attempts.where(one_of_many(AttemptRow.delivery_id, ids)))}
    for each in told:
        row = now.get(each.delivery_id)
        if row is None:
            continue
        tokens |= {(row.id, row.attempts): row.lease_token} if row.state == _S.SENDING else {}
        if each.attempt > row.attempts or tokens.get((row.id, each.attempt), each.token) != each.token:
            return True
    return False


def accept_forgotten(session: Session, delivery_id: int, attempt: int, *, now: datetime) -> None:
    """Record a relay's yes to an attempt that the database has forgotten, unless the mail is being sent again."""
    session.execute(
        update(DeliveryRow)
        .where(
            DeliveryRow.id == delivery_id,
            DeliveryRow.attempts < attempt,
            DeliveryRow.state.in_((_S.IN_DOUBT, _S.QUEUED, _S.LEASED)),
        )
        .values(state=_S.ACCEPTED, attempts=attempt, state_at=now, accepted_at=now, lapses=0, reason=None, **NO_LEASE)
        .execution_options(synchronize_session=False)
    )
