"""Canaries of editions in SQL: columns of the edition, and answers counted from its deliveries."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Integer, case, func, or_, select, text, update

from newsletter.domain.canaries import Answers
from newsletter.domain.deliveries import DeliveryState, Outcome
from newsletter.domain.editions import EditionState
from newsletter.domain.replies import Verdict
from newsletter.storage.deliveries import AttemptRow, DeliveryRow
from newsletter.storage.editions import EditionRow
from newsletter.storage.engine import Session, database_now
from newsletter.storage.lists import ListRow

_S = DeliveryState


@dataclass(frozen=True, slots=True)
class CanaryRecord:
    """An edition's canary: *told* by its send or its list; *size*, *left* and *begun_at* once sending has begun."""

    edition_id: int
    told: str | None
    limit_percent: float | None
    size: int | None
    left: int | None
    begun_at: datetime | None


def load_canary(session: Session, edition_id: int, *, lock: bool = False) -> CanaryRecord | None:
    """Return an edition's canary, locked against claims until the transaction ends if asked."""
    query = (
        select(
            EditionRow.id,
            func.coalesce(EditionRow.canary, ListRow.canary),
            ListRow.canary_limit,
            EditionRow.canary_size,
            EditionRow.canary_left,
            EditionRow.canary_at,
        )
        .join(ListRow, ListRow.id == EditionRow.list_id)
        .where(EditionRow.id == edition_id)
    )
    row = session.execute(query.with_for_update(of=EditionRow, key_share=True) if lock else query).one_or_none()
    return CanaryRecord(*row) if row else None


def editions_with_canary(session: Session) -> list[int]:
    """Return the editions being sent whose canary is not judged, the oldest first."""
    query = select(EditionRow.id).where(
        EditionRow.state == EditionState.SENDING.value, EditionRow.canary_left.is_not(None)
    )
    return list(session.scalars(query.order_by(EditionRow.id)))


def begin_canary(session: Session, edition_id: int, size: int) -> None:
    """Let *size* mails of an edition go, and hold the others back; answers from now on count."""
    _update(session, edition_id, canary_size=size, canary_left=size, canary_at=database_now(session))


def top_up_canary(session: Session, edition_id: int, mails: int) -> None:
    """Let so many more go."""
    _update(session, edition_id, canary_left=mails)


def end_canary(session: Session, edition_id: int) -> None:
    """Hold nothing back any more."""
    _update(session, edition_id, canary_left=None)


def ask_canary(session: Session, edition_id: int, told: str) -> None:
    """Note what the send of an edition asked for, in place of what its list does."""
    _update(session, edition_id, canary=told)


def _update(session: Session, edition_id: int, **values: object) -> None:
    session.execute(update(EditionRow).where(EditionRow.id == edition_id).values(**values))


def count_answers(session: Session, edition_id: int, since: datetime) -> Answers:
    """Count what became since *since* of an edition's mails that were begun."""
    state, verdict = DeliveryRow.state, AttemptRow.outcome
    is_failed = state.in_((_S.FAILED,)) | DeliveryRow.outcome.in_((Outcome.HARD_BOUNCE, Outcome.COMPLAINT))
    refused = (Verdict.POLICY_REFUSED, Verdict.CONTENT_REFUSED)
    kind = case(
        (is_failed, "failed"),
        (state == _S.ACCEPTED, "accepted"),
        (state == _S.IN_DOUBT, "in_doubt"),
        (state.in_((_S.LEASED, _S.SENDING)), "under_way"),
        (verdict.in_(refused), "refused"),
        (verdict == Verdict.RECIPIENT_DEFERRED, "deferred"),
        else_="none",
    )
    query = (
        select(kind.label("kind"), func.count(type_=Integer))
        .select_from(DeliveryRow)
        .outerjoin(AttemptRow, (AttemptRow.delivery_id == DeliveryRow.id) & (AttemptRow.n == DeliveryRow.attempts))
        .where(
            DeliveryRow.edition_id == edition_id,
            or_(DeliveryRow.attempts > 0, DeliveryRow.state.in_((_S.LEASED, _S.SENDING))),
            DeliveryRow.state_at >= since,
        )
        .group_by(text("kind"))
    )
    counts: dict[str, int] = dict(session.execute(query).all())
    counts.pop("none", None)
    return Answers(**counts)


def has_queued(session: Session, edition_id: int) -> bool:
    """Say whether any mail of an edition waits in the queue, due or not."""
    query = select(DeliveryRow.id).where(DeliveryRow.edition_id == edition_id, DeliveryRow.state == text("'queued'"))
    return session.execute(query.limit(1)).first() is not None
