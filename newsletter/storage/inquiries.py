"""Inquiries: what became of a mail, with every attempt at it and every report of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from newsletter.domain.deliveries import DeliveryState
from newsletter.storage.deliveries import AttemptRow, DeliveryEventRow, DeliveryRow
from newsletter.storage.editions import EditionRow
from newsletter.storage.engine import Session
from newsletter.storage.lists import ListRow


@dataclass(frozen=True, slots=True)
class MailRecord:
    """A delivery as it stands; *answer*: what its last attempt came to, with the relay's *code* and words."""

    id: int
    purpose: str
    edition_id: int | None
    list_slug: str | None
    slot_key: str | None
    address: str | None
    provider: str
    state: DeliveryState
    state_at: datetime
    outcome: str | None
    outcome_at: datetime | None
    reason: str | None
    mail_token: str
    available_at: datetime
    deadline_at: datetime | None
    lease_owner: str | None
    attempts: int
    tries: int
    lapses: int
    resends: int
    accepted_at: datetime | None
    answer: str | None
    code: int | None
    enhanced: str | None
    reply: str | None


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One attempt: by whom, when, how far it came and what the relay said."""

    n: int
    worker: str
    started_at: datetime
    finished_at: datetime
    outcome: str
    stage: str | None
    code: int | None
    enhanced: str | None
    reply: str | None


@dataclass(frozen=True, slots=True)
class ReportRecord:
    """One thing that the far side reported, and who told us."""

    source: str
    outcome: str
    reported_at: datetime
    received_at: datetime


def list_mails(
    session: Session,
    *,
    edition_id: int | None = None,
    states: Collection[DeliveryState] = (),
    answer: str | None = None,
    provider: str | None = None,
    after: int = 0,
    limit: int,
) -> list[MailRecord]:
    """Return deliveries in order of id; *answer*: what the last attempt came to; *after*: an id, to page on."""
    query = _mails().where(DeliveryRow.id > after).order_by(DeliveryRow.id).limit(limit)
    if edition_id is not None:
        query = query.where(DeliveryRow.edition_id == edition_id)
    if states:
        query = query.where(DeliveryRow.state.in_(states))
    if answer is not None:
        query = query.where(AttemptRow.outcome == answer)
    if provider is not None:
        query = query.where(DeliveryRow.provider == provider)
    return [_to_mail(row) for row in session.execute(query)]


def mails_of(session: Session, subscriber_id: int, *, limit: int) -> list[MailRecord]:
    """Return a reader's deliveries, the newest first."""
    query = _mails().where(DeliveryRow.subscriber_id == subscriber_id).order_by(DeliveryRow.id.desc()).limit(limit)
    return [_to_mail(row) for row in session.execute(query)]


def load_mail(session: Session, delivery_id: int) -> MailRecord | None:
    """Return one delivery, None when there is none."""
    row = session.execute(_mails().where(DeliveryRow.id == delivery_id)).one_or_none()
    return _to_mail(row) if row else None


def load_attempts(session: Session, delivery_ids: Sequence[int]) -> dict[int, list[AttemptRecord]]:
    """Return the attempts at deliveries, by delivery, in their order; one that is under way is not among them."""
    found: dict[int, list[AttemptRecord]] = {delivery_id: [] for delivery_id in delivery_ids}
    query = select(AttemptRow).where(AttemptRow.delivery_id.in_(delivery_ids)).order_by(AttemptRow.n)
    for row in session.scalars(query):
        found[row.delivery_id].append(
            AttemptRecord(
                row.n,
                row.worker,
                row.started_at,
                row.finished_at,
                row.outcome,
                row.stage,
                row.code,
                row.enhanced,
                row.reply,
            )
        )
    return found


def load_reports(session: Session, delivery_ids: Sequence[int]) -> dict[int, list[ReportRecord]]:
    """Return the reports of deliveries, by delivery, in the order in which they came."""
    found: dict[int, list[ReportRecord]] = {delivery_id: [] for delivery_id in delivery_ids}
    row = DeliveryEventRow
    query = select(row).where(row.delivery_id.in_(delivery_ids)).order_by(row.received_at, row.id)
    for each in session.scalars(query):
        if each.delivery_id is not None:
            report = ReportRecord(each.source, each.outcome, each.reported_at, each.received_at)
            found[each.delivery_id].append(report)
    return found


def _mails() -> Any:
    row = DeliveryRow
    return (
        select(row, ListRow.slug, EditionRow.slot_key, AttemptRow)
        .outerjoin(EditionRow, EditionRow.id == row.edition_id)
        .outerjoin(ListRow, ListRow.id == row.list_id)
        .outerjoin(AttemptRow, (AttemptRow.delivery_id == row.id) & (AttemptRow.n == row.attempts))
    )


def _to_mail(found: Any) -> MailRecord:
    row, slug, slot_key, last = found
    return MailRecord(
        id=row.id,
        purpose=row.purpose,
        edition_id=row.edition_id,
        list_slug=slug,
        slot_key=slot_key,
        address=row.address,
        provider=row.provider,
        state=DeliveryState(row.state),
        state_at=row.state_at,
        outcome=row.outcome,
        outcome_at=row.outcome_at,
        reason=row.reason,
        mail_token=row.mail_token,
        available_at=row.available_at,
        deadline_at=row.deadline_at,
        lease_owner=row.lease_owner,
        attempts=row.attempts,
        tries=row.tries,
        lapses=row.lapses,
        resends=row.resends,
        accepted_at=row.accepted_at,
        answer=last.outcome if last else None,
        code=last.code if last else None,
        enhanced=last.enhanced if last else None,
        reply=last.reply if last else None,
    )
