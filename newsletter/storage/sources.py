"""Sources that are polled, in SQL: where and when to ask, what the last answer was, and who is asking now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ForeignKey, Index, Select, String, Text, delete, func, select, update
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.domain.sources import HubState, SourceState
from newsletter.storage.articles import ArticleKeyRow, ArticleRow, SourceRow
from newsletter.storage.base import Base, Code, Identifier, one_of
from newsletter.storage.bulk import insert_into
from newsletter.storage.engine import Session, database_now


class PollRow(Base):
    """How a source is polled, and how that went; times are the database's."""

    __tablename__ = "source_poll"
    __table_args__ = (one_of("state", SourceState), one_of("hub_state", HubState), Index(None, "state", "due_at"))
    source_id: Mapped[int] = mapped_column(Identifier, ForeignKey("source.id"), primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    given_url: Mapped[str] = mapped_column(Text)  # what staff typed, before the site moved
    kind: Mapped[Code]
    topics: Mapped[list[str]] = mapped_column(default=list)  # slugs, for each of its articles
    language: Mapped[Code | None]
    every_minutes: Mapped[int | None]
    takes_full_text: Mapped[bool]
    first_items: Mapped[int]
    mails_first: Mapped[bool]
    added_at: Mapped[datetime]
    state: Mapped[Code]
    state_at: Mapped[datetime]
    state_reason: Mapped[str] = mapped_column(Text, default="")
    due_at: Mapped[datetime]
    lease_token: Mapped[str | None] = mapped_column(String(32))
    lease_until: Mapped[datetime | None]
    etag: Mapped[str | None] = mapped_column(Text)
    last_modified: Mapped[str | None] = mapped_column(Text)
    ttl_seconds: Mapped[int | None]  # how long its last document asked to be left alone
    body_digest: Mapped[str] = mapped_column(String(64), default="")
    since: Mapped[datetime | None]  # items published before it were there before us
    skipped: Mapped[list[str]] = mapped_column(default=list)  # keys of items that were there before us
    window: Mapped[list[str]] = mapped_column(default=list)  # keys of the last document, in its order
    missing: Mapped[dict[str, str]] = mapped_column(default=dict)  # suspects: key -> since when, ISO 8601
    polled_at: Mapped[datetime | None]
    succeeded_at: Mapped[datetime | None]
    changed_at: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)
    problem: Mapped[str] = mapped_column(Text, default="")
    problem_at: Mapped[datetime | None]
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)  # results of the last document that changed
    warnings: Mapped[list[str]] = mapped_column(default=list)
    hub_state: Mapped[Code] = mapped_column(default=HubState.NONE)
    hub_url: Mapped[str | None] = mapped_column(Text)
    hub_topic: Mapped[str | None] = mapped_column(Text)
    hub_name: Mapped[str | None] = mapped_column(String(64), unique=True)  # in our callback's address
    hub_until: Mapped[datetime | None]
    hub_at: Mapped[datetime | None]  # when it was asked last


@dataclass(frozen=True, slots=True)
class NewPoll:
    """What staff decide about a source that is polled; see `PollRow`."""

    url: str
    kind: str
    topics: tuple[str, ...] = ()
    language: str | None = None
    every_minutes: int | None = None
    takes_full_text: bool = True
    first_items: int = 10
    mails_first: bool = False


@dataclass(frozen=True, slots=True)
class Poll:
    """A source that is polled, as it stands; see `PollRow`."""

    source_id: int
    slug: str
    title: str
    url: str
    given_url: str
    kind: str
    topics: tuple[str, ...]
    language: str | None
    every_minutes: int | None
    takes_full_text: bool
    first_items: int
    mails_first: bool
    added_at: datetime
    state: SourceState
    state_at: datetime
    state_reason: str
    due_at: datetime
    etag: str | None
    last_modified: str | None
    ttl_seconds: int | None
    body_digest: str
    since: datetime | None
    skipped: tuple[str, ...]
    window: tuple[str, ...]
    missing: dict[str, str]
    polled_at: datetime | None
    succeeded_at: datetime | None
    changed_at: datetime | None
    failures: int
    problem: str
    problem_at: datetime | None
    counts: dict[str, int]
    warnings: tuple[str, ...]
    hub_state: HubState
    hub_url: str | None
    hub_topic: str | None
    hub_name: str | None
    hub_until: datetime | None
    hub_at: datetime | None

    @property
    def interval(self) -> timedelta | None:
        """How often staff want it polled; None: as polite readers do."""
        return None if self.every_minutes is None else timedelta(minutes=self.every_minutes)

    @property
    def is_first(self) -> bool:
        """Whether nothing was read of it yet."""
        return self.changed_at is None


@dataclass(frozen=True, slots=True)
class SourceCount:
    """A source of any sort, with its articles."""

    id: int
    slug: str
    title: str
    article_count: int
    last_received_at: datetime | None


def add_poll(session: Session, source_id: int, new: NewPoll) -> bool:
    """Poll a source from now on; False: it is polled already."""
    now = database_now(session)
    values = {
        "source_id": source_id,
        "url": new.url,
        "given_url": new.url,
        "kind": new.kind,
        "topics": list(new.topics),
        "language": new.language,
        "every_minutes": new.every_minutes,
        "takes_full_text": new.takes_full_text,
        "first_items": new.first_items,
        "mails_first": new.mails_first,
        "added_at": now,
        "state": SourceState.ACTIVE,
        "state_at": now,
        "due_at": now,
    }
    statement = insert_into(session, PollRow).on_conflict_do_nothing(index_elements=["source_id"])
    return session.execute(statement.values(values).returning(PollRow.source_id)).scalar_one_or_none() is not None


def find_poll(session: Session, slug: str) -> Poll | None:
    """Return how the source called *slug* is polled; None: it is not, or there is none."""
    return _one(session, _polls().where(SourceRow.slug == slug))


def find_poll_by_url(session: Session, url: str) -> Poll | None:
    """Return the source that is polled at *url*, or was added with it; None: there is none."""
    statement = _polls().where((PollRow.url == url) | (PollRow.given_url == url)).order_by(PollRow.source_id).limit(1)
    return _one(session, statement)


def find_poll_by_hub_name(session: Session, name: str) -> Poll | None:
    """Return the source whose hub calls us back under *name*; None: there is none."""
    return _one(session, _polls().where(PollRow.hub_name == name))


def load_polls(session: Session) -> list[Poll]:
    """Return all sources that are polled, in order of slug."""
    rows = session.execute(_polls().order_by(SourceRow.slug))
    return [_to_poll(row, source) for row, source in rows]


def due_polls(session: Session, *, limit: int) -> list[int]:
    """Return the ids of the sources to ask now that nobody is asking, those that waited longest first."""
    now = database_now(session)
    statement = (
        select(PollRow.source_id)
        .where(PollRow.state == SourceState.ACTIVE, PollRow.due_at <= now)
        .where(PollRow.lease_until.is_(None) | (PollRow.lease_until <= now))
        .order_by(PollRow.due_at, PollRow.source_id)
        .limit(limit)
    )
    return list(session.scalars(statement))


def claim_poll(session: Session, source_id: int, *, token: str, lease: timedelta, at_once: bool = False) -> Poll | None:
    """Take a source that is due, to be asked by whoever has *token*; None: it is not due, or another asks it.

    *at_once*: whether due or not, and in whatever state.
    """
    now = database_now(session)
    statement = (
        update(PollRow)
        .where(PollRow.source_id == source_id, PollRow.lease_until.is_(None) | (PollRow.lease_until <= now))
        .values(lease_token=token, lease_until=now + lease)
    )
    if not at_once:
        statement = statement.where(PollRow.state == SourceState.ACTIVE, PollRow.due_at <= now)
    if session.execute(statement.returning(PollRow.source_id)).scalar_one_or_none() is None:
        return None
    return _one(session, _polls().where(PollRow.source_id == source_id))


def save_poll(session: Session, source_id: int, *, token: str, wait: timedelta, **values: Any) -> bool:
    """Write what a poll found and give the source back, to be asked again after *wait*.

    False: the lease ran out and another took it; then nothing is written, since the other knows better.
    """
    now = database_now(session)
    statement = (
        update(PollRow)
        .where(PollRow.source_id == source_id, PollRow.lease_token == token)
        .values(lease_token=None, lease_until=None, polled_at=now, due_at=now + wait, **values)
    )
    return session.execute(statement.returning(PollRow.source_id)).scalar_one_or_none() is not None


def set_poll_state(session: Session, source_id: int, state: SourceState, reason: str) -> None:
    """Pause, resume or close; a source that is resumed is due at once and starts without failures."""
    now = database_now(session)
    values: dict[str, Any] = {"state": state, "state_at": now, "state_reason": reason}
    if state is SourceState.ACTIVE:
        values |= {"due_at": now, "failures": 0, "problem": "", "problem_at": None}
    session.execute(update(PollRow).where(PollRow.source_id == source_id).values(values))


def hasten_poll(session: Session, source_id: int, *, not_within: timedelta) -> None:
    """Let a source be due now, or *not_within* after it was last asked, where that is later; never later than it is."""
    now = database_now(session)
    polled_at = session.scalar(select(PollRow.polled_at).where(PollRow.source_id == source_id))
    wanted = now if polled_at is None else max(now, polled_at + not_within)
    session.execute(
        update(PollRow).where(PollRow.source_id == source_id, PollRow.due_at > wanted).values(due_at=wanted)
    )


def save_hub(session: Session, source_id: int, **values: Any) -> None:
    """Write where the subscription at the source's hub stands."""
    session.execute(update(PollRow).where(PollRow.source_id == source_id).values(values))


def remove_poll(session: Session, source_id: int) -> None:
    """Poll a source no more; its articles, and what is known of its items, stay."""
    session.execute(delete(PollRow).where(PollRow.source_id == source_id))


def count_sources(session: Session) -> list[SourceCount]:
    """Return all sources, polled or not, with how many articles each gave, in order of slug."""
    statement = (
        select(
            SourceRow.id, SourceRow.slug, SourceRow.title, func.count(ArticleRow.id), func.max(ArticleRow.received_at)
        )
        .outerjoin(ArticleRow, ArticleRow.source_id == SourceRow.id)
        .group_by(SourceRow.id, SourceRow.slug, SourceRow.title)
        .order_by(SourceRow.slug)
    )
    return [SourceCount(*row) for row in session.execute(statement)]


def articles_of_keys(session: Session, source_id: int, keys: Sequence[str]) -> dict[str, int]:
    """Return the ids of the articles that came from a source as *keys*."""
    statement = select(ArticleKeyRow.key, ArticleKeyRow.article_id).where(
        ArticleKeyRow.source_id == source_id, ArticleKeyRow.key.in_(keys)
    )
    return {row.key: row.article_id for row in session.execute(statement)}


def _polls() -> Select[PollRow, SourceRow]:
    return (
        select(PollRow, SourceRow)
        .join(SourceRow, SourceRow.id == PollRow.source_id)
        .execution_options(populate_existing=True)
    )


def _one(session: Session, statement: Select[PollRow, SourceRow]) -> Poll | None:
    row = session.execute(statement).one_or_none()
    return None if row is None else _to_poll(row[0], row[1])


def _to_poll(row: PollRow, source: SourceRow) -> Poll:
    return Poll(
        source_id=row.source_id,
        slug=source.slug,
        title=source.title,
        url=row.url,
        given_url=row.given_url,
        kind=row.kind,
        topics=tuple(row.topics),
        language=row.language,
        every_minutes=row.every_minutes,
        takes_full_text=row.takes_full_text,
        first_items=row.first_items,
        mails_first=row.mails_first,
        added_at=row.added_at,
        state=SourceState(row.state),
        state_at=row.state_at,
        state_reason=row.state_reason,
        due_at=row.due_at,
        etag=row.etag,
        last_modified=row.last_modified,
        ttl_seconds=row.ttl_seconds,
        body_digest=row.body_digest,
        since=row.since,
        skipped=tuple(row.skipped),
        window=tuple(row.window),
        missing=dict(row.missing),
        polled_at=row.polled_at,
        succeeded_at=row.succeeded_at,
        changed_at=row.changed_at,
        failures=row.failures,
        problem=row.problem,
        problem_at=row.problem_at,
        counts=dict(row.counts),
        warnings=tuple(row.warnings),
        hub_state=HubState(row.hub_state),
        hub_url=row.hub_url,
        hub_topic=row.hub_topic,
        hub_name=row.hub_name,
        hub_until=row.hub_until,
        hub_at=row.hub_at,
    )
