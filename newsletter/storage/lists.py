"""Lists and interned filters in SQL."""

from collections.abc import Iterable, Sequence
from datetime import datetime, time
from typing import Any

from sqlalchemy import ForeignKey, String, Text, Time, select, update
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.domain.filters import Filter
from newsletter.domain.lists import Cadence, InDoubtPolicy, ListPause, MailingList, Schedule, SectionsBy
from newsletter.storage.articles import SourceRow
from newsletter.storage.base import Base, Code, Identifier, PrimaryKey, one_of
from newsletter.storage.bulk import chunks, insert_into, one_of_many
from newsletter.storage.engine import Session, database_now


class ListRow(Base):
    """What one subscribes to."""

    __tablename__ = "list"
    __table_args__ = (one_of("sections", SectionsBy), one_of("in_doubt_policy", InDoubtPolicy))
    id: Mapped[PrimaryKey]
    slug: Mapped[str] = mapped_column(String(80), unique=True)
    titles: Mapped[dict[str, str]]
    descriptions: Mapped[dict[str, str]] = mapped_column(default=dict)
    intros: Mapped[dict[str, str]] = mapped_column(default=dict)
    from_name: Mapped[str] = mapped_column(String(200))
    from_address: Mapped[str] = mapped_column(String(320))
    reply_to: Mapped[str | None] = mapped_column(String(320))
    zone: Mapped[str] = mapped_column(String(60))
    send_at: Mapped[time] = mapped_column(Time)
    weekday: Mapped[int]
    month_day: Mapped[int]
    cadences: Mapped[list[str]]
    languages: Mapped[list[str]]
    filter_id: Mapped[int] = mapped_column(Identifier, ForeignKey("filter.id"))
    sections: Mapped[Code]
    review_minutes: Mapped[int | None]
    review_hold: Mapped[bool] = mapped_column(default=False)
    in_doubt_policy: Mapped[Code]
    since: Mapped[datetime]
    is_public: Mapped[bool] = mapped_column(default=True)
    canary: Mapped[str | None] = mapped_column(String(12))  # mails that go first: a number, or a share such as 1%
    canary_limit: Mapped[float | None]  # percent of them that may fail; None: what the service allows
    paused_at: Mapped[datetime | None]  # its digests wait; the database's clock
    paused_by: Mapped[str | None] = mapped_column(String(200))
    pause_reason: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]


class FilterRow(Base):
    """A canonical choice of topics, kinds, sources and languages; one row per distinct filter."""

    __tablename__ = "filter"
    id: Mapped[PrimaryKey]
    canonical: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(String(64), unique=True)  # SHA-256 of the canonical form
    choice: Mapped[dict[str, Any]]


def intern_filter(session: Session, choice: Filter) -> int:
    """Return the id of *choice*, which gets a row when it has none yet. Safe for any number of processes at once."""
    return intern_filters(session, (choice,))[choice]


def intern_filters(session: Session, choices: Iterable[Filter]) -> dict[Filter, int]:
    """Return the ids of many filters by filter, in a few statements; those without a row get one."""
    by_digest = {choice.digest: choice for choice in choices}
    ids = _filter_ids(session, list(by_digest))
    missing = [by_digest[digest] for digest in sorted(by_digest.keys() - ids.keys())]  # one order: no deadlock
    if missing:
        rows = [{"canonical": new.canonical, "digest": new.digest, "choice": new.as_choice()} for new in missing]
        session.execute(insert_into(session, FilterRow).on_conflict_do_nothing(index_elements=["digest"]), rows)
    ids |= _filter_ids(session, [choice.digest for choice in missing])
    return {choice: ids[digest] for digest, choice in by_digest.items()}


def load_filter(session: Session, filter_id: int) -> Filter:
    """Return the filter with that id; it exists, since every reference to it is a foreign key."""
    return load_filters(session, (filter_id,))[filter_id]


def load_filters(session: Session, ids: Iterable[int]) -> dict[int, Filter]:
    """Return the filters with those ids, by id; unknown ids are left out."""
    statement = select(FilterRow.id, FilterRow.choice).where(one_of_many(FilterRow.id, sorted(set(ids))))
    return {filter_id: Filter.from_choice(choice) for filter_id, choice in session.execute(statement)}


def known_sources(session: Session) -> list[str]:
    """Return the slugs of the sources that a filter may name, sorted."""
    return list(session.scalars(select(SourceRow.slug).order_by(SourceRow.slug)))


def add_list(session: Session, new: MailingList, *, now: datetime) -> MailingList:
    """Store a list and return it with the id it was given; the id of *new* is not looked at.

    Raises:
        sqlalchemy.exc.IntegrityError: its slug is taken; look with `load_list` before.
    """
    row = ListRow(
        slug=new.slug,
        titles=new.titles,
        descriptions=new.descriptions,
        intros=new.intros,
        from_name=new.from_name,
        from_address=new.from_address,
        reply_to=new.reply_to,
        zone=new.schedule.zone,
        send_at=new.schedule.send_at,
        weekday=new.schedule.weekday,
        month_day=new.schedule.month_day,
        cadences=[str(cadence) for cadence in new.cadences],
        languages=list(new.languages),
        filter_id=new.filter_id,
        sections=new.sections,
        review_minutes=new.review_minutes,
        review_hold=new.review_hold,
        canary=new.canary,
        canary_limit=new.canary_limit,
        in_doubt_policy=new.in_doubt_policy,
        since=new.since,
        is_public=new.is_public,
        created_at=now,
    )
    session.add(row)
    session.flush()
    return _to_list(row)


def load_list(session: Session, slug: str) -> MailingList | None:
    """Return the list with that slug, None when there is none."""
    row = session.scalars(select(ListRow).where(ListRow.slug == slug)).one_or_none()
    return None if row is None else _to_list(row)


def load_list_by_id(session: Session, list_id: int) -> MailingList:
    """Return the list with that id; it exists, since every reference to it is a foreign key."""
    return _to_list(session.get_one(ListRow, list_id))


def lock_list(session: Session, list_id: int) -> MailingList:
    """Return the list, locked against other lockers until the transaction ends; subscribing to it goes on."""
    statement = select(ListRow).where(ListRow.id == list_id).with_for_update(key_share=True)
    return _to_list(session.scalars(statement).one())


def lock_lists(session: Session) -> None:
    """Wait for whoever has locked a list, and lock all of them until the transaction ends."""
    session.execute(select(ListRow.id).order_by(ListRow.id).with_for_update(key_share=True))


def load_lists(session: Session, *, is_public: bool | None = None) -> list[MailingList]:
    """Return all lists, or only the public or the hidden ones, in order of slug."""
    statement = select(ListRow).order_by(ListRow.slug)
    if is_public is not None:
        statement = statement.where(ListRow.is_public == is_public)
    return [_to_list(row) for row in session.scalars(statement)]


def set_canary(session: Session, list_id: int, *, canary: str | None, limit_percent: float | None) -> None:
    """Say how many mails of a list's editions go first from now on, and how many of those may fail."""
    change = {"canary": canary, "canary_limit": limit_percent}
    session.execute(update(ListRow).where(ListRow.id == list_id).values(change))


def pause_list(session: Session, list_id: int, *, reason: str, by: str) -> bool:
    """Let a list's mail wait; one that is paused stays as it is. Say whether this is what paused it."""
    pause = {"paused_at": database_now(session), "paused_by": by[:200], "pause_reason": reason}
    paused = update(ListRow).where(ListRow.id == list_id, ListRow.paused_at.is_(None)).values(pause)
    return session.execute(paused.returning(ListRow.id)).first() is not None


def resume_list(session: Session, list_id: int) -> bool:
    """Let a list's mail go on; say whether it was paused."""
    pause = {"paused_at": None, "paused_by": None, "pause_reason": None}
    resumed = update(ListRow).where(ListRow.id == list_id, ListRow.paused_at.is_not(None)).values(pause)
    return session.execute(resumed.returning(ListRow.id)).first() is not None


def load_list_pauses(session: Session) -> list[ListPause]:
    """Return the pauses of lists, in order of slug."""
    rows = session.scalars(select(ListRow).where(ListRow.paused_at.is_not(None)).order_by(ListRow.slug))
    return [pause for row in rows if (pause := _to_pause(row))]


def _to_pause(row: ListRow) -> ListPause | None:
    return ListPause(row.slug, row.paused_at, row.paused_by or "", row.pause_reason or "") if row.paused_at else None


def _filter_ids(session: Session, digests: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for chunk in chunks(digests):
        rows = session.execute(select(FilterRow.digest, FilterRow.id).where(FilterRow.digest.in_(chunk)))
        found.update((row.digest, row.id) for row in rows)
    return found


def _to_list(row: ListRow) -> MailingList:
    return MailingList(
        id=row.id,
        slug=row.slug,
        titles=row.titles,
        descriptions=row.descriptions,
        intros=row.intros,
        from_name=row.from_name,
        from_address=row.from_address,
        reply_to=row.reply_to,
        schedule=Schedule(row.zone, row.send_at, row.weekday, row.month_day),
        cadences=tuple(Cadence(cadence) for cadence in row.cadences),
        languages=tuple(row.languages),
        filter_id=row.filter_id,
        sections=SectionsBy(row.sections),
        review_minutes=row.review_minutes,
        review_hold=row.review_hold,
        canary=row.canary,
        canary_limit=row.canary_limit,
        pause=_to_pause(row),
        in_doubt_policy=InDoubtPolicy(row.in_doubt_policy),
        since=row.since,
        created_at=row.created_at,
        is_public=row.is_public,
    )
