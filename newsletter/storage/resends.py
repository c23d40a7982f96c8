"""Failed mails in SQL: why each failed, what keeps it from being sent again, and the way back into the queue."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, String, and_, case, func, literal, null, or_, select, text, update
from sqlalchemy.orm import aliased

from newsletter.domain.articles import ArticleState
from newsletter.domain.deliveries import MAX_LAPSES, NOT_RECEIVED, DeliveryState
from newsletter.domain.editions import EditionState
from newsletter.domain.replies import Verdict
from newsletter.domain.resends import Cause, Hindrance, ResendBounds, ResendChoice
from newsletter.storage.articles import ArticleRow
from newsletter.storage.bulk import one_of_many
from newsletter.storage.deliveries import AttemptRow, DeliveryRow
from newsletter.storage.doubts import GIVEN_UP_BY
from newsletter.storage.editions import EditionItemRow, EditionRow
from newsletter.storage.engine import Session, database_now
from newsletter.storage.ledger import UNKNOWN
from newsletter.storage.ledger_conditions import is_subscribed, is_suppressed
from newsletter.storage.subscribers import SubscriberRow
from newsletter.storage.subscriptions import SubscriptionRow
from newsletter.storage.variants import VariantItemRow, VariantRow

_S = DeliveryState


@dataclass(frozen=True, slots=True)
class FailedMails:
    """Mails of an edition that failed alike, to one provider, with the same answer; *hindrance*: None, they may go."""

    cause: Cause
    code: int | None
    enhanced: str | None
    provider: str
    hindrance: Hindrance | None
    mails: int


def count_failed(session: Session, edition_id: int, choice: ResendChoice, *, bounds: ResendBounds) -> list[FailedMails]:
    """Return the failed mails of an edition that *choice* names, by what became of them; the most frequent first."""
    cause = _cause()
    refused = cause == Cause.REFUSED.value
    each = (
        _failed(edition_id, choice)
        .add_columns(
            cause.label("cause"),
            case((refused, AttemptRow.code), else_=null()).label("code"),
            case((refused, AttemptRow.enhanced), else_=null()).label("enhanced"),
            DeliveryRow.provider,
            _hindrance(bounds).label("hindrance"),
        )
        .subquery()
    )
    alike = (each.c.cause, each.c.code, each.c.enhanced, each.c.provider, each.c.hindrance)
    query = select(*alike, func.count()).group_by(*alike).order_by(func.count().desc(), *alike)
    return [
        FailedMails(Cause(cause), code, enhanced or None, provider, Hindrance(hindrance) if hindrance else None, mails)
        for cause, code, enhanced, provider, hindrance, mails in session.execute(query)
    ]


def failed_ids(session: Session, edition_id: int, choice: ResendChoice, *, after: int = 0, limit: int) -> list[int]:
    """Return the failed mails of an edition that *choice* names, in order of id, from those behind *after* on."""
    query = _failed(edition_id, choice).where(DeliveryRow.id > after).order_by(DeliveryRow.id).limit(limit)
    return list(session.scalars(query))


def resendable(session: Session, ids: Sequence[int], *, bounds: ResendBounds) -> list[int]:
    """Return which of these deliveries have failed and may be sent again."""
    query = (
        select(DeliveryRow.id)
        .outerjoin(AttemptRow, _LAST)
        .where(
            one_of_many(DeliveryRow.id, ids),
            DeliveryRow.state == _S.FAILED,
            _hindrance(bounds).is_(None),
        )
        .order_by(DeliveryRow.id)
    )
    return list(session.scalars(query))


def requeue_failed(session: Session, edition_id: int, ids: Sequence[int], *, deadline_at: datetime) -> int:
    """Queue failed mails of one edition as if they had never been tried, but for the attempts; return how many were.

    Their Message-ID and Date stay. What was counted of the edition when it was done is counted down. `resends` counts
    what was in doubt, and none of these was: see `newsletter.storage.audiences`.
    """
    now = database_now(session)
    moved = session.execute(
        update(DeliveryRow)
        .where(one_of_many(DeliveryRow.id, ids), DeliveryRow.edition_id == edition_id, DeliveryRow.state == _S.FAILED)
        .values(
            state=_S.QUEUED, state_at=now, available_at=now, deadline_at=deadline_at, tries=0, lapses=0, reason=None
        )
        .execution_options(synchronize_session=False)
    )
    count = int(moved.rowcount)  # type: ignore[attr-defined]  # the result of an UPDATE has it
    _count_down(session, edition_id, count)
    return count


def _count_down(session: Session, edition_id: int, mails: int) -> None:
    """Let the counts of an edition that was done be of what has ended: nothing is counted as ended and open at once."""
    query = select(EditionRow.counts).where(EditionRow.id == edition_id)
    counts = session.execute(query).scalar_one()
    if counts is None:
        return
    left = {**counts, str(_S.FAILED): counts.get(_S.FAILED, 0) - mails}
    session.execute(
        update(EditionRow)
        .where(EditionRow.id == edition_id)
        .values(counts={state: count for state, count in left.items() if count > 0})
    )


def extend_sending(session: Session, edition_id: int, until: datetime) -> None:
    """Let an edition's mail be sent until then, if that is later than it was."""
    session.execute(
        update(EditionRow)
        .where(EditionRow.id == edition_id, or_(EditionRow.send_until.is_(None), EditionRow.send_until < until))
        .values(send_until=until)
    )


def was_done_before(session: Session, edition_id: int) -> bool:
    """Say whether an edition is open again after it was done, for mails that are sent again."""
    query = select(EditionRow.id).where(
        EditionRow.id == edition_id,
        EditionRow.state.in_((EditionState.SENDING, EditionState.PAUSED)),
        EditionRow.counts.is_not(None),
    )
    return session.execute(query).first() is not None


def end_with_this_attempt(session: Session, edition_id: int) -> None:
    """Let no mail of an edition that is under way, or in doubt, be tried once more: it is overdue by then."""
    now = database_now(session)
    session.execute(
        update(DeliveryRow)
        .where(DeliveryRow.edition_id == edition_id, DeliveryRow.state.in_((_S.SENDING, _S.IN_DOUBT)))
        .values(deadline_at=now)
        .execution_options(synchronize_session=False)
    )
    session.execute(update(EditionRow).where(EditionRow.id == edition_id).values(send_until=now))


def changed_items(session: Session, edition_id: int, *, since: datetime) -> tuple[list[int], list[int]]:
    """Return what became of an edition's articles *since*: those withdrawn, and those whose words were changed.

    Of those that are still in it; what was withdrawn is told whenever that was.
    """
    query = (
        select(ArticleRow.id, ArticleRow.state)
        .join(EditionItemRow, EditionItemRow.article_id == ArticleRow.id)
        .where(
            EditionItemRow.edition_id == edition_id,
            EditionItemRow.withdrawn_at.is_(None),
            or_(ArticleRow.state == ArticleState.WITHDRAWN, ArticleRow.modified_at > since),
        )
        .order_by(EditionItemRow.position)
    )
    withdrawn: list[int] = []
    changed: list[int] = []
    for article_id, state in session.execute(query):
        (withdrawn if state == ArticleState.WITHDRAWN else changed).append(article_id)
    return withdrawn, changed


_LAST = and_(AttemptRow.delivery_id == DeliveryRow.id, AttemptRow.n == DeliveryRow.attempts)


def _failed(edition_id: int, choice: ResendChoice) -> Any:
    """Select the ids of the failed mails that *choice* names, beside their last attempts."""
    query = (
        select(DeliveryRow.id)
        .outerjoin(AttemptRow, _LAST)
        .where(DeliveryRow.edition_id == edition_id, DeliveryRow.state == _S.FAILED)
    )
    if choice.provider is not None:
        query = query.where(DeliveryRow.provider == choice.provider)
    if choice.code is not None:
        query = query.where(AttemptRow.code == choice.code, _cause() == Cause.REFUSED.value)
    if choice.enhanced is not None:
        begins_so = AttemptRow.enhanced.startswith(f"{choice.enhanced}.", autoescape=True)
        query = query.where(or_(AttemptRow.enhanced == choice.enhanced, begins_so), _cause() == Cause.REFUSED.value)
    return query


def _cause() -> ColumnElement[str]:
    return case(
        (_was_given_up(), _told(Cause.GIVEN_UP)),
        (DeliveryRow.lapses >= MAX_LAPSES, _told(Cause.POISON)),
        (AttemptRow.outcome.in_(_NOES), _told(Cause.REFUSED)),
        else_=_told(Cause.UNMADE),
    )


_NOES = (Verdict.RECIPIENT_FAILED, Verdict.CONTENT_REFUSED, Verdict.POLICY_REFUSED)
"""Answers that end a mail, the last two of those that may not wait."""


def _hindrance(bounds: ResendBounds) -> ColumnElement[Any]:
    """Return what keeps a failed mail away, beside its last attempt; NULL: nothing does."""
    reader = SubscriberRow.id == DeliveryRow.subscriber_id
    unsure = () if bounds.unsure_until is None else (DeliveryRow.state_at <= bounds.unsure_until,)
    moved = select(SubscriberRow.id).where(reader, SubscriberRow.address_hmac != DeliveryRow.address_hmac)
    return case(
        (or_(_was_given_up(), DeliveryRow.resends > 0, *unsure), _told(Hindrance.MAY_HAVE_COME)),
        (
            or_(DeliveryRow.address.is_(None), DeliveryRow.mail_at < bounds.forgotten_before),
            _told(Hindrance.FORGOTTEN),
        ),
        (is_suppressed(), _told(Hindrance.SUPPRESSED)),
        (~is_subscribed(), _told(Hindrance.ENDED)),
        (and_(_shown().exists(), ~_is_as_chosen()), _told(Hindrance.CHANGED)),
        (is_subscribed(paused=True), _told(Hindrance.PAUSED)),
        (moved.exists(), _told(Hindrance.MOVED)),
        (_is_withdrawn(), _told(Hindrance.WITHDRAWN)),
        (_came_otherwise(), _told(Hindrance.CAME_OTHERWISE)),
        else_=null(),
    )


def _was_given_up() -> ColumnElement[bool]:
    """Say whether it failed since a person gave up a doubt."""
    return or_(
        AttemptRow.outcome.in_((UNKNOWN, Verdict.IN_DOUBT)), DeliveryRow.reason.startswith(GIVEN_UP_BY, autoescape=True)
    )


def _is_as_chosen() -> ColumnElement[bool]:
    """Say whether what its reader chose is what they choose now.

    Else it may hold what they do not want by now; and what an edition has in store for another choice of theirs is
    known only when its mails are made.
    """
    now, then = aliased(SubscriptionRow), aliased(SubscriptionRow)
    return (
        select(now.id)
        .join(then, and_(then.cadence == now.cadence, then.filter_id == now.filter_id, then.language == now.language))
        .where(
            then.id == DeliveryRow.subscription_id,
            now.subscriber_id == DeliveryRow.subscriber_id,
            now.list_id == DeliveryRow.list_id,
            now.state == text("'confirmed'"),
        )
        .exists()
    )


def _shown() -> Select[int]:
    """Select the articles that it would show; a letter shows none."""
    return select(VariantItemRow.article_id).where(VariantItemRow.variant_id == DeliveryRow.variant_id)


def _is_withdrawn() -> ColumnElement[bool]:
    """Say whether nothing is left of what it would show; of a letter something always is."""
    ended = select(VariantRow.id).where(
        VariantRow.id == DeliveryRow.variant_id, VariantRow.replaced_at.is_not(None), VariantRow.replaced_by.is_(None)
    )
    left = (
        _shown()
        .join(ArticleRow, ArticleRow.id == VariantItemRow.article_id)
        .where(ArticleRow.state != ArticleState.WITHDRAWN)
    )
    return or_(ended.exists(), and_(_shown().exists(), ~left.exists()))


def _came_otherwise() -> ColumnElement[bool]:
    """Say whether another mail of the list brought, or may have brought, an article of this one; or is to bring it."""
    other, theirs = aliased(DeliveryRow), aliased(VariantItemRow)
    return (
        select(other.id)
        .join(theirs, theirs.variant_id == other.variant_id)
        .join(
            VariantItemRow,
            and_(VariantItemRow.article_id == theirs.article_id, VariantItemRow.revision <= theirs.revision),
        )
        .where(
            other.subscriber_id == DeliveryRow.subscriber_id,
            other.list_id == DeliveryRow.list_id,
            other.id != DeliveryRow.id,
            or_(other.state.not_in(NOT_RECEIVED), other.resends > 0),
            VariantItemRow.variant_id == DeliveryRow.variant_id,
        )
        .correlate(DeliveryRow)
        .exists()
    )


def _told(word: Cause | Hindrance) -> ColumnElement[str]:
    return literal(word.value, String)
