"""WebSub in SQL: who is to be called when a feed changes, who asked to be, and which hub elsewhere is to be told."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, LargeBinary, String, Text, delete, func, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column

from newsletter.domain.feeds import Facet
from newsletter.domain.websub import HubRequest, Mode
from newsletter.storage.base import Base, Code, PrimaryKey, one_of
from newsletter.storage.bulk import chunks, insert_into
from newsletter.storage.engine import Session
from newsletter.storage.feeds import FeedDocumentRow, FeedRow


class FollowerRow(Base):
    """A callback that confirmed that it wants to be called when a document changes."""

    __tablename__ = "feed_follower"
    id: Mapped[PrimaryKey]
    key: Mapped[str] = mapped_column(String(64), unique=True)  # of topic and callback
    document: Mapped[str] = mapped_column(String(170), index=True)
    topic: Mapped[str] = mapped_column(Text)
    callback: Mapped[str] = mapped_column(Text)
    secret: Mapped[bytes | None] = mapped_column(LargeBinary)  # sealed
    since: Mapped[datetime]
    lease_until: Mapped[datetime]
    change_count: Mapped[int] = mapped_column(default=0)  # grows with each change of the document
    due_at: Mapped[datetime | None] = mapped_column(index=True)  # None: it has all there is
    attempts: Mapped[int] = mapped_column(default=0)
    claimed_until: Mapped[datetime | None]
    pushed_at: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]
    problem: Mapped[str | None] = mapped_column(Text)


class HubRequestRow(Base):
    """What a callback is to be asked to confirm; the newest for a topic and a callback counts."""

    __tablename__ = "hub_request"
    __table_args__ = (one_of("mode", Mode),)
    id: Mapped[PrimaryKey]
    key: Mapped[str] = mapped_column(String(64), unique=True)
    document: Mapped[str] = mapped_column(String(170))
    mode: Mapped[Code]
    topic: Mapped[str] = mapped_column(Text)
    callback: Mapped[str] = mapped_column(Text)
    lease_seconds: Mapped[int]
    secret: Mapped[bytes | None] = mapped_column(LargeBinary)  # sealed
    asked_at: Mapped[datetime]
    due_at: Mapped[datetime] = mapped_column(index=True)
    attempts: Mapped[int] = mapped_column(default=0)
    claimed_until: Mapped[datetime | None]


class HubPingRow(Base):
    """A document that changed and that another's hub is to be told of."""

    __tablename__ = "hub_ping"
    document: Mapped[str] = mapped_column(String(170), primary_key=True)
    due_at: Mapped[datetime] = mapped_column(index=True)
    attempts: Mapped[int] = mapped_column(default=0)
    change_count: Mapped[int] = mapped_column(default=1)


@dataclass(frozen=True, slots=True)
class Follower:
    """A callback to be called; *secret* is sealed, *change_count* what it is to be told up to."""

    id: int
    key: str
    document: str
    topic: str
    callback: str
    secret: bytes | None
    change_count: int
    attempts: int
    lease_until: datetime
    due_at: datetime | None
    pushed_at: datetime | None
    failing_since: datetime | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """A request whose callback is to be asked; *secret* is sealed."""

    id: int
    document: str
    request: HubRequest
    secret: bytes | None
    asked_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class Ping:
    """A document that another's hub is to be told of."""

    document: str
    attempts: int
    change_count: int


def note_changed(session: Session, names: Collection[str], *, now: datetime) -> bool:
    """Note that documents changed; say whether anybody follows them.

    A push that waits for its next try waits on: it will carry the newest.
    """
    is_followed = False
    for chunk in chunks(sorted(names)):
        note = (
            update(FollowerRow)
            .where(FollowerRow.document.in_(chunk))
            .values(change_count=FollowerRow.change_count + 1, due_at=func.coalesce(FollowerRow.due_at, now))
        )
        is_followed |= bool(session.execute(note.returning(FollowerRow.id)).first())
    return is_followed


def add_pings(session: Session, names: Collection[str], *, now: datetime) -> None:
    """Note documents that another's hub is to be told of."""
    for chunk in chunks(sorted(names)):
        note = insert_into(session, HubPingRow).values(
            [{"document": name, "due_at": now, "attempts": 0, "change_count": 1} for name in chunk]
        )
        session.execute(
            note.on_conflict_do_update(index_elements=["document"], set_={"change_count": HubPingRow.change_count + 1})
        )


def add_request(session: Session, document: str, request: HubRequest, secret: bytes | None, *, now: datetime) -> None:
    """Note what a callback is to be asked; what was asked before in its name about the topic is forgotten."""
    values = {
        "key": request.key,
        "document": document,
        "mode": request.mode,
        "topic": request.topic,
        "callback": request.callback,
        "lease_seconds": int(request.lease.total_seconds()),
        "secret": secret,
        "asked_at": now,
        "due_at": now,
        "attempts": 0,
        "claimed_until": None,
    }
    note = insert_into(session, HubRequestRow).values(values)
    swapped = {name: note.excluded[name] for name in values if name != "key"}
    session.execute(note.on_conflict_do_update(index_elements=["key"], set_=swapped))


def count_requests(session: Session) -> int:
    """Count the requests whose callbacks have not answered yet."""
    return session.scalar(select(func.count()).select_from(HubRequestRow)) or 0


def count_followers(session: Session, document: str) -> int:
    """Count those who follow a document."""
    statement = select(func.count()).select_from(FollowerRow).where(FollowerRow.document == document)
    return session.scalar(statement) or 0


def has_follower(session: Session, key: str) -> bool:
    """Say whether there is a subscription with that key."""
    return session.scalar(select(FollowerRow.id).where(FollowerRow.key == key)) is not None


def claim_requests(session: Session, *, now: datetime, until: datetime, limit: int) -> list[PendingRequest]:
    """Take requests whose callbacks are to be asked now; nobody else does *until* then."""
    statement = (
        select(HubRequestRow)
        .where(HubRequestRow.due_at <= now, _is_free(HubRequestRow.claimed_until, now))
        .order_by(HubRequestRow.due_at, HubRequestRow.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = list(session.scalars(statement))
    for row in rows:
        row.claimed_until = until
    session.flush()
    return [
        PendingRequest(
            row.id,
            row.document,
            HubRequest(Mode(row.mode), row.topic, row.callback, timedelta(seconds=row.lease_seconds)),
            row.secret,
            row.asked_at,
            row.attempts,
        )
        for row in rows
    ]


def take_request(session: Session, pending: PendingRequest) -> bool:
    """Remove a request; say whether it was still there, not replaced by a newer one."""
    gone = delete(HubRequestRow).where(HubRequestRow.id == pending.id, HubRequestRow.asked_at == pending.asked_at)
    return session.execute(gone.returning(HubRequestRow.id)).first() is not None


def postpone_request(session: Session, pending: PendingRequest, *, due_at: datetime) -> None:
    """Ask a callback again later."""
    later = {"due_at": due_at, "attempts": pending.attempts + 1, "claimed_until": None}
    same = (HubRequestRow.id == pending.id, HubRequestRow.asked_at == pending.asked_at)
    session.execute(update(HubRequestRow).where(*same).values(later))


def save_follower(session: Session, pending: PendingRequest, *, lease_until: datetime, now: datetime) -> None:
    """Store a subscription that was confirmed, with a new lease and secret if there was one."""
    request = pending.request
    values = {
        "key": request.key,
        "document": pending.document,
        "topic": request.topic,
        "callback": request.callback,
        "secret": pending.secret,
        "since": now,
        "lease_until": lease_until,
        "change_count": 0,
        "attempts": 0,
    }
    note = insert_into(session, FollowerRow).values(values)
    swapped = {name: note.excluded[name] for name in ("document", "secret", "lease_until")}
    session.execute(note.on_conflict_do_update(index_elements=["key"], set_=swapped))


def remove_follower(session: Session, key: str) -> None:
    """End a subscription."""
    session.execute(delete(FollowerRow).where(FollowerRow.key == key))


def remove_lapsed(session: Session, *, now: datetime) -> int:
    """End the subscriptions whose lease is over; return how many."""
    ended = session.execute(delete(FollowerRow).where(FollowerRow.lease_until <= now).returning(FollowerRow.id))
    return len(ended.all())


def claim_pushes(session: Session, *, now: datetime, until: datetime, limit: int) -> list[Follower]:
    """Take followers that are to be called now; nobody else does *until* then."""
    statement = (
        select(FollowerRow)
        .where(FollowerRow.due_at <= now, FollowerRow.lease_until > now, _is_free(FollowerRow.claimed_until, now))
        .order_by(FollowerRow.due_at, FollowerRow.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = list(session.scalars(statement))
    for row in rows:
        row.claimed_until = until
    session.flush()
    return [_to_follower(row) for row in rows]


def settle_push(session: Session, follower: Follower, *, now: datetime) -> None:
    """Note that a follower has what it was to be told; what changed meanwhile is due at once."""
    row = session.get(FollowerRow, follower.id, with_for_update=True)
    if row is None:
        return
    row.due_at = now if row.change_count > follower.change_count else None
    row.attempts, row.claimed_until, row.failing_since, row.problem, row.pushed_at = 0, None, None, None, now


def fail_push(
    session: Session, follower: Follower, problem: str, *, due_at: datetime | None, attempts: int, now: datetime
) -> None:
    """Note that a follower could not be called; *due_at* None: not again until the next change."""
    values = {
        "due_at": due_at,
        "attempts": attempts,
        "claimed_until": None,
        "failing_since": func.coalesce(FollowerRow.failing_since, now),
        "problem": problem,
    }
    session.execute(update(FollowerRow).where(FollowerRow.id == follower.id).values(values))


def release_pushes(session: Session, ids: Collection[int]) -> None:
    """Give back followers that were taken and not called."""
    for chunk in chunks(sorted(ids)):
        session.execute(update(FollowerRow).where(FollowerRow.id.in_(chunk)).values(claimed_until=None))


def load_followers(session: Session, *, limit: int = 1000) -> list[Follower]:
    """Return those who follow, by document."""
    statement = select(FollowerRow).order_by(FollowerRow.document, FollowerRow.id).limit(limit)
    return [_to_follower(row) for row in session.scalars(statement)]


def due_pings(session: Session, *, now: datetime, limit: int) -> list[Ping]:
    """Return documents that another's hub is to be told of now."""
    statement = (
        select(HubPingRow).where(HubPingRow.due_at <= now).order_by(HubPingRow.due_at, HubPingRow.document).limit(limit)
    )
    return [Ping(row.document, row.attempts, row.change_count) for row in session.scalars(statement)]


def settle_pings(session: Session, pings: Iterable[Ping]) -> None:
    """Forget what another's hub was told, unless it changed meanwhile."""
    for ping in pings:
        told = (HubPingRow.document == ping.document, HubPingRow.change_count == ping.change_count)
        session.execute(delete(HubPingRow).where(*told))


def postpone_pings(session: Session, pings: Sequence[Ping], *, due_at: datetime | None) -> None:
    """Tell another's hub later; *due_at* None: not at all."""
    for ping in pings:
        same = HubPingRow.document == ping.document
        if due_at is None:
            session.execute(delete(HubPingRow).where(same))
        else:
            later = {"due_at": due_at, "attempts": ping.attempts + 1}
            session.execute(update(HubPingRow).where(same).values(later))


def next_due(session: Session) -> datetime | None:
    """Return when the next callback or hub is to be called; None: nobody waits."""
    moments = [
        session.scalar(select(func.min(column)))
        for column in (FollowerRow.due_at, HubRequestRow.due_at, HubPingRow.due_at)
    ]
    return min((moment for moment in moments if moment is not None), default=None)


def followed_feeds(session: Session, *, asked_before: datetime) -> list[int]:
    """Return the ids of feeds made by asking that somebody follows and nobody has asked for since."""
    statement = (
        select(FeedRow.id)
        .join(FeedDocumentRow, FeedDocumentRow.feed_id == FeedRow.id)
        .join(FollowerRow, FollowerRow.document == FeedDocumentRow.name)
        .where(FeedRow.asked_at < asked_before)
        .distinct()
        .order_by(FeedRow.id)
    )
    return list(session.scalars(statement))


def longest_unasked(session: Session, facet: Facet, *, before: datetime) -> int | None:
    """Return the id of the feed that nobody has asked for the longest, nor since *before*, and that nobody follows."""
    follows = (
        select(FollowerRow.id)
        .join(FeedDocumentRow, FeedDocumentRow.name == FollowerRow.document)
        .where(FeedDocumentRow.feed_id == FeedRow.id)
    )
    statement = (
        select(FeedRow.id)
        .where(FeedRow.facet == facet, FeedRow.asked_at < before, ~follows.exists())
        .order_by(FeedRow.asked_at, FeedRow.id)
        .limit(1)
    )
    return session.scalar(statement)


def _is_free(claimed_until: InstrumentedAttribute[datetime | None], now: datetime) -> ColumnElement[bool]:
    return or_(claimed_until.is_(None), claimed_until <= now)


def _to_follower(row: FollowerRow) -> Follower:
    return Follower(
        id=row.id,
        key=row.key,
        document=row.document,
        topic=row.topic,
        callback=row.callback,
        secret=row.secret,
        change_count=row.change_count,
        attempts=row.attempts,
        lease_until=row.lease_until,
        due_at=row.due_at,
        pushed_at=row.pushed_at,
        failing_since=row.failing_since,
        problem=row.problem,
    )
