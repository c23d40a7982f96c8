"""Subscriptions and the record of consent to them, in SQL."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    String,
    Text,
    event,
    func,
    insert,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.domain.lists import Cadence
from newsletter.domain.subscriptions import (
    Choice,
    Consent,
    ConsentAct,
    EndReason,
    Pause,
    Seen,
    Subscription,
    SubscriptionState,
)
from newsletter.storage.base import Base, Code, Identifier, PrimaryKey, one_of
from newsletter.storage.bulk import chunks, insert_into
from newsletter.storage.engine import Session
from newsletter.storage.subscribers import SubscriberRow


class SubscriptionRow(Base):
    """A subscriber's choice of a list; append-only: a changed choice ends one and starts another."""

    __tablename__ = "subscription"
    __table_args__ = (
        one_of("state", SubscriptionState),
        one_of("cadence", Cadence),
        one_of("end_reason", EndReason),
        CheckConstraint("state <> 'confirmed' OR confirmed_at IS NOT NULL", name="confirmed_has_time"),
        CheckConstraint("(state = 'ended') = (ended_at IS NOT NULL)", name="ended_has_time"),
        CheckConstraint("(state = 'ended') = (end_reason IS NOT NULL)", name="ended_has_reason"),
        CheckConstraint("(paused_at IS NULL) = (paused_until IS NULL)", name="pause_has_end"),
        CheckConstraint("resumed_at IS NULL OR paused_at IS NOT NULL", name="resumed_was_paused"),
        Index(
            "ix_subscription_paused",
            "paused_until",
            sqlite_where=text("paused_at IS NOT NULL AND resumed_at IS NULL"),
            postgresql_where=text("paused_at IS NOT NULL AND resumed_at IS NULL"),
        ),
        Index(
            "uq_subscription_live",
            "subscriber_id",
            "list_id",
            unique=True,
            sqlite_where=text("state <> 'ended'"),
            postgresql_where=text("state <> 'ended'"),
        ),
        Index(
            "ix_subscription_audience",
            "list_id",
            "cadence",
            "filter_id",
            "language",
            "id",
            sqlite_where=text("state = 'confirmed'"),
            postgresql_where=text("state = 'confirmed'"),
        ),
        Index(
            "ix_subscription_waiting",
            "created_at",
            sqlite_where=text("state = 'unconfirmed'"),
            postgresql_where=text("state = 'unconfirmed'"),
        ),
    )
    id: Mapped[PrimaryKey]
    uid: Mapped[str] = mapped_column(String(36), unique=True)
    subscriber_id: Mapped[int] = mapped_column(Identifier, ForeignKey("subscriber.id"), index=True)
    list_id: Mapped[int] = mapped_column(Identifier, ForeignKey("list.id"))
    cadence: Mapped[Code]
    language: Mapped[Code]
    filter_id: Mapped[int] = mapped_column(Identifier, ForeignKey("filter.id"))
    state: Mapped[Code]
    created_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[Code | None]
    paused_at: Mapped[datetime | None]  # the last pause; it is over once resumed_at is there
    paused_until: Mapped[datetime | None]
    resumed_at: Mapped[datetime | None]
    catches_up: Mapped[bool] = mapped_column(default=False)  # what the pause held back comes after it


class ConsentRow(Base):
    """The record of what a person agreed to or took back; rows are only ever added, which the database sees to."""

    __tablename__ = "consent"
    __table_args__ = (one_of("act", ConsentAct),)
    id: Mapped[PrimaryKey]
    subscription_id: Mapped[int] = mapped_column(Identifier, ForeignKey("subscription.id"), index=True)
    at: Mapped[datetime]
    act: Mapped[Code]
    basis: Mapped[str] = mapped_column(Text)  # the wording shown, or the basis stated at an import
    wording: Mapped[str] = mapped_column(String(16))  # the version of those words: a hash of them and their language
    page: Mapped[str] = mapped_column(Text, default="")  # the form's address; empty: it did not happen on the web
    language: Mapped[str] = mapped_column(String(40), default="")  # in which the page was shown
    network: Mapped[str] = mapped_column(String(64), default="")  # truncated, hashed or not kept, as is set
    evidence: Mapped[str] = mapped_column(Text, default="")  # what happened elsewhere: the file's name, a mail


_GROWS_ONLY = "the record of consent is only ever added to"
_REFUSE = f"SELECT RAISE(ABORT, '{_GROWS_ONLY}')"
KEEPS_CONSENT = {
    "sqlite": [
        f"CREATE TRIGGER IF NOT EXISTS consent_no_{act} BEFORE {act} ON consent BEGIN {_REFUSE}; END"
        for act in ("update", "delete")
    ],
    "postgresql": [
        f"""
        CREATE OR REPLACE FUNCTION keep_consent() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN RAISE EXCEPTION ''{_GROWS_ONLY}''; END'
        """,
        "DROP TRIGGER IF EXISTS consent_grows_only ON consent",
        """
        CREATE TRIGGER consent_grows_only BEFORE UPDATE OR DELETE OR TRUNCATE ON consent
        FOR EACH STATEMENT EXECUTE FUNCTION keep_consent()
        """,
    ],
}
"""Statements that have the database refuse to change or delete a line of consent; safe to repeat.

Alembic sees no triggers, and loses them where it copies a table of SQLite: `migrate.upgrade` runs these each time.
"""


def keep_consent(connection: Connection) -> None:
    """Have the database refuse to change or delete a line of the record of consent."""
    for statement in KEEPS_CONSENT[connection.dialect.name]:
        connection.exec_driver_sql(statement)


@event.listens_for(ConsentRow.__table__, "after_create")
def _keep_new_consent(_table: object, connection: Connection, **_given: object) -> None:
    keep_consent(connection)


@dataclass(frozen=True, slots=True)
class NewSubscription:
    """A subscription to be stored; *confirmed_at*: since when its choice is confirmed, None: it waits for that."""

    uid: str
    subscriber_id: int
    list_id: int
    choice: Choice
    confirmed_at: datetime | None


def add_subscription(session: Session, new: NewSubscription, *, now: datetime) -> Subscription:
    """Store one subscription.

    Raises:
        sqlalchemy.exc.IntegrityError: the subscriber has one of that list that is not ended.
    """
    row = SubscriptionRow(**_values(new, now))
    session.add(row)
    session.flush()
    return _to_subscription(row)


def add_subscriptions(session: Session, new: Sequence[NewSubscription], consent: Consent, *, now: datetime) -> set[str]:
    """Store many subscriptions, each with the same line of consent; return the uids of those that were stored.

    Who got a subscription of that list by another way meanwhile keeps that one.
    """
    if not new:
        return set()
    statement = insert_into(session, SubscriptionRow).on_conflict_do_nothing()
    returning = statement.returning(SubscriptionRow.uid, SubscriptionRow.id)
    ordered = sorted(new, key=lambda each: (each.subscriber_id, each.list_id))  # so that imports cannot deadlock
    added = {row.uid: row.id for row in session.execute(returning, [_values(each, now) for each in ordered])}
    for ids in chunks(list(added.values())):
        _add_consents(session, ids, consent)
    return set(added)


def load_subscription(session: Session, uid: str) -> Subscription | None:
    """Return the subscription that a token names, ended ones too; None when there is none."""
    row = session.scalars(select(SubscriptionRow).where(SubscriptionRow.uid == uid)).one_or_none()
    return None if row is None else _to_subscription(row)


def load_subscription_by_id(session: Session, subscription_id: int) -> Subscription:
    """Return the subscription with that id, which must exist."""
    return _to_subscription(session.scalars(select(SubscriptionRow).where(SubscriptionRow.id == subscription_id)).one())


def load_latest(session: Session, subscriber_id: int, list_id: int) -> Subscription | None:
    """Return a subscriber's subscription of a list that is not ended, else the one that ended last, else None."""
    statement = (
        select(SubscriptionRow)
        .where(SubscriptionRow.subscriber_id == subscriber_id, SubscriptionRow.list_id == list_id)
        .order_by(SubscriptionRow.id.desc())
        .limit(1)
    )
    row = session.scalars(statement).one_or_none()
    return None if row is None else _to_subscription(row)


def load_subscriptions(session: Session, subscriber_ids: Iterable[int]) -> list[Subscription]:
    """Return all subscriptions of those subscribers, ended ones too, in order of id."""
    found: list[Subscription] = []
    for chunk in chunks(sorted(set(subscriber_ids))):
        statement = select(SubscriptionRow).where(SubscriptionRow.subscriber_id.in_(chunk))
        found.extend(_to_subscription(row) for row in session.scalars(statement))
    return sorted(found, key=lambda subscription: subscription.id)


def load_end_reasons(session: Session, list_id: int, hmacs: Sequence[str]) -> dict[str, set[EndReason]]:
    """Return by keyed hash of the address why subscriptions of a list ended, those of erased subscribers too."""
    reasons: dict[str, set[EndReason]] = defaultdict(set)
    for chunk in chunks(hmacs):
        statement = (
            select(SubscriberRow.address_hmac, SubscriptionRow.end_reason)
            .join(SubscriptionRow, SubscriptionRow.subscriber_id == SubscriberRow.id)
            .where(SubscriberRow.address_hmac.in_(chunk), SubscriptionRow.list_id == list_id)
            .where(SubscriptionRow.end_reason.is_not(None))
        )
        for row in session.execute(statement):
            reasons[row.address_hmac].add(EndReason(row.end_reason))
    return dict(reasons)


def load_lapsed(session: Session, *, before: datetime, limit: int) -> list[Subscription]:
    """Return subscriptions that wait for their confirmation since *before*, the longest waiting first."""
    statement = (
        select(SubscriptionRow)
        .where(SubscriptionRow.state == SubscriptionState.UNCONFIRMED, SubscriptionRow.created_at < before)
        .order_by(SubscriptionRow.created_at, SubscriptionRow.id)
        .limit(limit)
    )
    return [_to_subscription(row) for row in session.scalars(statement)]


def confirm_subscription(session: Session, subscription_id: int, *, now: datetime) -> bool:
    """Confirm a subscription that waits for it; return whether this call did it."""
    confirm = (
        update(SubscriptionRow)
        .where(SubscriptionRow.id == subscription_id, SubscriptionRow.state == SubscriptionState.UNCONFIRMED)
        .values(state=SubscriptionState.CONFIRMED, confirmed_at=now)
    )
    return session.execute(confirm.returning(SubscriptionRow.id)).first() is not None


def end_subscription(session: Session, subscription_id: int, reason: EndReason, *, now: datetime) -> bool:
    """End a subscription; return whether this call did it."""
    end = (
        update(SubscriptionRow)
        .where(SubscriptionRow.id == subscription_id, SubscriptionRow.state != SubscriptionState.ENDED)
        .values(state=SubscriptionState.ENDED, ended_at=now, end_reason=reason)
    )
    return session.execute(end.returning(SubscriptionRow.id)).first() is not None


def is_paused() -> ColumnElement[bool]:
    """Say of a subscription whether its reader wants no mail; a pause is over when that is noted, not by any clock."""
    return SubscriptionRow.paused_at.is_not(None) & SubscriptionRow.resumed_at.is_(None)


def pause_subscription(session: Session, subscription_id: int, pause: Pause) -> None:
    """Store the pause of a subscription, in the place of an earlier one."""
    session.execute(
        update(SubscriptionRow)
        .where(SubscriptionRow.id == subscription_id)
        .values(
            paused_at=pause.since, paused_until=pause.until, catches_up=pause.catches_up, resumed_at=pause.resumed_at
        )
    )


def load_overslept(session: Session, *, now: datetime, limit: int) -> list[Subscription]:
    """Return subscriptions that are not ended and whose pause lasted until *now* or less, the longest over first."""
    statement = (
        select(SubscriptionRow)
        .where(
            SubscriptionRow.paused_at.is_not(None),
            SubscriptionRow.resumed_at.is_(None),
            SubscriptionRow.paused_until <= now,
            SubscriptionRow.state != SubscriptionState.ENDED,
        )
        .order_by(SubscriptionRow.paused_until, SubscriptionRow.id)
        .limit(limit)
    )
    return [_to_subscription(row) for row in session.scalars(statement)]


def add_consent(session: Session, subscription_id: int, consent: Consent) -> None:
    """Add a line to the record of consent."""
    session.execute(insert(ConsentRow), [_consent_values(subscription_id, consent)])


def _add_consents(session: Session, subscription_ids: Sequence[int], consent: Consent) -> None:
    """Add the same line to the record of many subscriptions, in one statement."""
    values = {name: value for name, value in _consent_values(0, consent).items() if name != "subscription_id"}
    said = [literal(value, ConsentRow.__table__.c[name].type) for name, value in values.items()]
    each = (
        select(SubscriptionRow.id, *said).where(SubscriptionRow.id.in_(subscription_ids)).order_by(SubscriptionRow.id)
    )
    session.execute(insert(ConsentRow).from_select(["subscription_id", *values], each))


def load_consents(session: Session, subscription_ids: Iterable[int]) -> dict[int, list[Consent]]:
    """Return the record of consent of each subscription, in the order in which things happened."""
    statement = select(ConsentRow).where(ConsentRow.subscription_id.in_(list(subscription_ids))).order_by(ConsentRow.id)
    record: dict[int, list[Consent]] = defaultdict(list)
    for row in session.scalars(statement):
        record[row.subscription_id].append(to_consent(row))
    return dict(record)


def to_consent(row: ConsentRow) -> Consent:
    """Return a line of the record as it was told."""
    evidence = Seen(row.page, row.language, row.network) if row.page else row.evidence
    return Consent(row.at, ConsentAct(row.act), row.basis, evidence)


@dataclass(frozen=True, slots=True)
class SubscriptionCount:
    """How many subscriptions of a list stand alike."""

    list_id: int
    state: SubscriptionState
    cadence: Cadence
    language: str
    count: int


def count_subscriptions(session: Session) -> list[SubscriptionCount]:
    """Count the subscriptions that are not ended, by list, state, cadence and language, in that order."""
    columns = (SubscriptionRow.list_id, SubscriptionRow.state, SubscriptionRow.cadence, SubscriptionRow.language)
    statement = (
        select(*columns, func.count())
        .where(SubscriptionRow.state != SubscriptionState.ENDED)
        .group_by(*columns)
        .order_by(*columns)
    )
    return [
        SubscriptionCount(list_id, SubscriptionState(state), Cadence(cadence), language, count)
        for list_id, state, cadence, language, count in session.execute(statement)
    ]


@dataclass(frozen=True, slots=True)
class ListedSubscription:
    """A subscription with whose it is."""

    address: str
    subscription: Subscription


def list_subscriptions(session: Session, *, list_id: int | None, after: int, limit: int) -> list[ListedSubscription]:
    """Return subscriptions that are not ended, of one list or of all, after the id *after*, in order of id."""
    statement = (
        select(SubscriberRow.address, SubscriptionRow)
        .join(SubscriberRow, SubscriberRow.id == SubscriptionRow.subscriber_id)
        .where(SubscriptionRow.state != SubscriptionState.ENDED, SubscriptionRow.id > after)
        .order_by(SubscriptionRow.id)
        .limit(limit)
    )
    if list_id is not None:
        statement = statement.where(SubscriptionRow.list_id == list_id)
    return [ListedSubscription(address or "", _to_subscription(row)) for address, row in session.execute(statement)]


def _values(new: NewSubscription, now: datetime) -> dict[str, object]:
    return {
        "uid": new.uid,
        "subscriber_id": new.subscriber_id,
        "list_id": new.list_id,
        "cadence": str(new.choice.cadence),
        "language": new.choice.language,
        "filter_id": new.choice.filter_id,
        "state": str(SubscriptionState.CONFIRMED if new.confirmed_at else SubscriptionState.UNCONFIRMED),
        "created_at": now,
        "confirmed_at": new.confirmed_at,
    }


def _consent_values(subscription_id: int, consent: Consent) -> dict[str, object]:
    seen = consent.evidence if isinstance(consent.evidence, Seen) else None
    return {
        "subscription_id": subscription_id,
        "at": consent.at,
        "act": str(consent.act),
        "basis": consent.basis,
        "wording": consent.wording,
        "page": seen.page if seen else "",
        "language": seen.language if seen else "",
        "network": seen.network if seen else "",
        "evidence": "" if seen else str(consent.evidence),
    }


def _to_subscription(row: SubscriptionRow) -> Subscription:
    return Subscription(
        id=row.id,
        uid=row.uid,
        subscriber_id=row.subscriber_id,
        list_id=row.list_id,
        cadence=Cadence(row.cadence),
        language=row.language,
        filter_id=row.filter_id,
        state=SubscriptionState(row.state),
        created_at=row.created_at,
        confirmed_at=row.confirmed_at,
        ended_at=row.ended_at,
        end_reason=None if row.end_reason is None else EndReason(row.end_reason),
        pause=Pause(row.paused_at, row.paused_until, row.catches_up, row.resumed_at)
        if row.paused_at and row.paused_until
        else None,
    )
