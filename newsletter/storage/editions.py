"""Editions and the articles in them, in SQL."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, func, insert, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.domain.editions import (
    COUNTS_AS_SENT,
    ENDED,
    MOVES,
    Edition,
    EditionPurpose,
    EditionState,
    SkipReason,
)
from newsletter.domain.lists import Cadence
from newsletter.storage.base import Base, Code, Identifier, PrimaryKey, one_of
from newsletter.storage.bulk import insert_into, one_of_many
from newsletter.storage.engine import Session


class EditionRow(Base):
    """One issue of a list for one cadence and one slot."""

    __tablename__ = "edition"
    __table_args__ = (
        UniqueConstraint("list_id", "cadence", "slot_key"),
        one_of("state", EditionState),
        one_of("cadence", Cadence),
        one_of("skip_reason", SkipReason),
        one_of("purpose", EditionPurpose),
        Index(
            "ix_edition_open",
            "state",
            sqlite_where=text("state NOT IN ('done', 'skipped', 'cancelled')"),
            postgresql_where=text("state NOT IN ('done', 'skipped', 'cancelled')"),
        ),
    )
    id: Mapped[PrimaryKey]
    list_id: Mapped[int] = mapped_column(Identifier, ForeignKey("list.id"))
    purpose: Mapped[Code] = mapped_column(default=EditionPurpose.DIGEST)
    cadence: Mapped[Code]
    slot_key: Mapped[str] = mapped_column(String(60))
    slot_at: Mapped[datetime]
    cut_at: Mapped[datetime]
    deadline_at: Mapped[datetime]
    state: Mapped[Code]
    state_at: Mapped[datetime]
    nonce: Mapped[str] = mapped_column(String(32))
    skip_reason: Mapped[Code | None]
    review_until: Mapped[datetime | None]  # None in review: it waits until somebody decides
    review_told_at: Mapped[datetime | None]  # when staff were told that it waits
    approved_at: Mapped[datetime | None]
    approved_by: Mapped[str | None] = mapped_column(String(200))
    send_until: Mapped[datetime | None]  # deadline_at by the database's clock, reckoned at the approval
    fan_out_cursor: Mapped[int] = mapped_column(Identifier, default=0)  # last subscription id fanned out
    candidate_count: Mapped[int] = mapped_column(default=0)  # subscriptions that fan-out has seen
    fanned_out_at: Mapped[datetime | None]
    done_at: Mapped[datetime | None]
    counts: Mapped[dict[str, Any] | None]  # deliveries by state, fixed when the edition is done
    pause_reason: Mapped[str | None] = mapped_column(Text)  # why it is paused, or was cancelled
    paused_by: Mapped[str | None] = mapped_column(String(200))  # who did that; None: the service itself
    canary: Mapped[str | None] = mapped_column(String(12))  # as `newsletter send --canary` said; None: the list's
    canary_size: Mapped[int | None]  # mails that go first, decided when sending begins; None: all at once
    canary_left: Mapped[int | None]  # those of them yet to be claimed; None: no canary holds the rest back
    canary_at: Mapped[datetime | None]  # when the present canary began; the database's clock
    created_at: Mapped[datetime]


BEFORE_SENDING = (EditionState.PLANNED, EditionState.REVIEW, EditionState.APPROVED)
"""States in which an edition has no delivery that could be sent."""


class EditionItemRow(Base):
    """An article in an edition; in the order of the edition."""

    __tablename__ = "edition_item"
    edition_id: Mapped[int] = mapped_column(Identifier, ForeignKey("edition.id", ondelete="CASCADE"), primary_key=True)
    article_id: Mapped[int] = mapped_column(Identifier, ForeignKey("article.id"), primary_key=True, index=True)
    position: Mapped[int]
    revision: Mapped[int]
    mend: Mapped[int] = mapped_column(default=0)  # how often it was mended since the edition was composed
    withdrawn_at: Mapped[datetime | None]  # when it was withdrawn, or dropped by staff


def open_edition(
    session: Session,
    *,
    list_id: int,
    cadence: Cadence,
    slot_key: str,
    slot_at: datetime,
    cut_at: datetime,
    deadline_at: datetime,
    nonce: str,
    now: datetime,
    skip_reason: SkipReason | None = None,
    purpose: EditionPurpose = EditionPurpose.DIGEST,
) -> int | None:
    """Insert the edition of a slot and return its id; None if the slot is taken. Safe to repeat, from any process."""
    row = {
        "list_id": list_id,
        "purpose": purpose,
        "cadence": cadence,
        "slot_key": slot_key,
        "slot_at": slot_at,
        "cut_at": cut_at,
        "deadline_at": deadline_at,
        "state": EditionState.SKIPPED if skip_reason else EditionState.PLANNED,
        "state_at": now,
        "nonce": nonce,
        "skip_reason": skip_reason,
        "created_at": now,
    }
    return session.execute(
        insert_into(session, EditionRow).on_conflict_do_nothing().values(row).returning(EditionRow.id)
    ).scalar_one_or_none()


def load_edition(session: Session, edition_id: int, *, for_update: bool = False) -> Edition | None:
    """Return the edition, locked against other processes until the transaction ends if asked."""
    query = select(EditionRow).where(EditionRow.id == edition_id).execution_options(populate_existing=True)
    row = session.scalars(query.with_for_update(key_share=True) if for_update else query).one_or_none()
    return to_edition(row) if row else None


def find_edition(session: Session, list_id: int, slot_key: str, cadence: Cadence | None = None) -> Edition | None:
    """Return the edition of a list with this slot key; keys of different cadences never look alike but by cadence."""
    query = select(EditionRow).where(EditionRow.list_id == list_id, EditionRow.slot_key == slot_key)
    if cadence:
        query = query.where(EditionRow.cadence == cadence)
    row = session.scalars(query.order_by(EditionRow.id)).first()
    return to_edition(row) if row else None


def list_editions(
    session: Session,
    *,
    list_id: int | None = None,
    states: Iterable[EditionState] = (),
    limit: int | None = None,
) -> list[Edition]:
    """Return editions, the newest slot first."""
    query = select(EditionRow).order_by(EditionRow.slot_at.desc(), EditionRow.id.desc()).limit(limit)
    if list_id is not None:
        query = query.where(EditionRow.list_id == list_id)
    if states := list(states):
        query = query.where(EditionRow.state.in_(states))
    return [to_edition(row) for row in session.scalars(query)]


def editions_in(session: Session, *states: EditionState) -> list[int]:
    """Return the ids of all editions in these states, oldest first."""
    query = select(EditionRow.id).where(EditionRow.state.in_(states)).order_by(EditionRow.slot_at, EditionRow.id)
    return list(session.scalars(query))


def slots_taken(session: Session, list_id: int, cadence: Cadence, keys: Iterable[str]) -> set[str]:
    """Return which of these slots have an edition already, whatever its state."""
    query = select(EditionRow.slot_key).where(
        EditionRow.list_id == list_id, EditionRow.cadence == cadence, EditionRow.slot_key.in_(list(keys))
    )
    return set(session.scalars(query))


def set_state(session: Session, edition_id: int, state: EditionState, *, now: datetime, **values: Any) -> bool:
    """Move the edition to *state* if its present state allows it; say whether it did.

    The reason of a pause is forgotten when it goes on.
    """
    if state in (EditionState.APPROVED, EditionState.SENDING):
        values = {"pause_reason": None, "paused_by": None} | values
    before = [source for source, following in MOVES.items() if state in following]
    moved = session.execute(
        update(EditionRow)
        .where(EditionRow.id == edition_id, EditionRow.state.in_(before))
        .values(state=state, state_at=now, **values)
    )
    return int(moved.rowcount) > 0  # type: ignore[attr-defined]  # the result of an UPDATE has it


def hold_review(session: Session, edition_id: int, *, until: datetime | None = None) -> None:
    """Let an edition in review wait until a time, None: until somebody decides, whatever time was set for it."""
    session.execute(update(EditionRow).where(EditionRow.id == edition_id).values(review_until=until))


def mark_review_told(session: Session, edition_id: int, *, now: datetime) -> bool:
    """Note that staff are told that an edition waits; say whether this call did it, and nobody before."""
    told = (
        update(EditionRow)
        .where(EditionRow.id == edition_id, EditionRow.review_told_at.is_(None))
        .values(review_told_at=now)
    )
    return session.execute(told.returning(EditionRow.id)).first() is not None


def taken_items(
    session: Session, list_id: int, cadence: Cadence, article_ids: Iterable[int], *, before: int | None = None
) -> dict[int, int]:
    """Return the articles that an earlier edition of this list and cadence holds, with the revision it held.

    Items of skipped and cancelled editions are free again. *before*: only of editions opened before the one with
    this id; None: of all.
    """
    query = (
        select(EditionItemRow.article_id, func.max(EditionItemRow.revision))
        .join(EditionRow, EditionRow.id == EditionItemRow.edition_id)
        .where(
            EditionRow.list_id == list_id,
            EditionRow.cadence == cadence,
            EditionRow.state.in_(COUNTS_AS_SENT),
            one_of_many(EditionItemRow.article_id, list(article_ids)),
        )
        .group_by(EditionItemRow.article_id)
    )
    if before is not None:
        query = query.where(EditionRow.id < before)
    return dict(session.execute(query).all())


def items_held(session: Session, edition_id: int) -> dict[int, int]:
    """Return the edition's articles that were not withdrawn, by id with their revision, in order."""
    query = (
        select(EditionItemRow.article_id, EditionItemRow.revision)
        .where(EditionItemRow.edition_id == edition_id, EditionItemRow.withdrawn_at.is_(None))
        .order_by(EditionItemRow.position)
    )
    return dict(session.execute(query).all())


def items_under_way(session: Session, list_id: int, cadence: Cadence, article_ids: Iterable[int]) -> set[int]:
    """Return which of the articles are in an edition of this list and cadence that has not ended yet."""
    query = (
        select(EditionItemRow.article_id)
        .join(EditionRow, EditionRow.id == EditionItemRow.edition_id)
        .where(
            EditionRow.list_id == list_id,
            EditionRow.cadence == cadence,
            EditionRow.state.not_in(ENDED),
            one_of_many(EditionItemRow.article_id, list(article_ids)),
        )
    )
    return set(session.scalars(query))


def save_items(session: Session, edition_id: int, articles: Sequence[tuple[int, int]]) -> None:
    """Store the edition's articles, given as (id, revision) in order."""
    if articles:
        session.execute(
            insert(EditionItemRow),
            [
                {"edition_id": edition_id, "article_id": article_id, "position": position, "revision": revision}
                for position, (article_id, revision) in enumerate(articles)
            ],
        )


def edition_items(session: Session, edition_id: int) -> list[tuple[int, datetime | None]]:
    """Return the edition's articles in order: (article id, when it was withdrawn or None)."""
    query = (
        select(EditionItemRow.article_id, EditionItemRow.withdrawn_at)
        .where(EditionItemRow.edition_id == edition_id)
        .order_by(EditionItemRow.position)
    )
    return list(session.execute(query))


def editions_holding(session: Session, article_id: int) -> list[Edition]:
    """Return the editions not ended yet that hold the article, oldest first, locked until the transaction ends."""
    query = (
        select(EditionRow)
        .join(EditionItemRow, EditionItemRow.edition_id == EditionRow.id)
        .where(
            EditionItemRow.article_id == article_id,
            EditionItemRow.withdrawn_at.is_(None),
            EditionRow.state.not_in(ENDED),
        )
        .order_by(EditionRow.slot_at, EditionRow.id)
        .with_for_update(of=EditionRow)
        .execution_options(populate_existing=True)
    )
    return [to_edition(row) for row in session.scalars(query)]


def mark_item_withdrawn(session: Session, edition_id: int, article_id: int, *, now: datetime) -> None:
    """Note that an article was taken out of an edition."""
    session.execute(
        update(EditionItemRow)
        .where(EditionItemRow.edition_id == edition_id, EditionItemRow.article_id == article_id)
        .values(withdrawn_at=now)
    )


def to_edition(row: EditionRow) -> Edition:
    """Return the value of a row."""
    return Edition(
        id=row.id,
        list_id=row.list_id,
        cadence=Cadence(row.cadence),
        slot_key=row.slot_key,
        slot_at=row.slot_at,
        cut_at=row.cut_at,
        deadline_at=row.deadline_at,
        state=EditionState(row.state),
        nonce=row.nonce,
        skip_reason=SkipReason(row.skip_reason) if row.skip_reason else None,
        review_until=row.review_until,
        approved_at=row.approved_at,
        fanned_out_at=row.fanned_out_at,
        candidate_count=row.candidate_count,
        done_at=row.done_at,
        purpose=EditionPurpose(row.purpose),
        pause_reason=row.pause_reason,
        paused_by=row.paused_by,
    )
