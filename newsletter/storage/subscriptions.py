"""Subscribers, subscriptions, consent and suppressions in SQL."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.domain.lists import Cadence
from newsletter.domain.subscriptions import EndReason, SubscriptionState
from newsletter.storage.base import Base, Code, Identifier, PrimaryKey, one_of


class SubscriberRow(Base):
    """A person's address and language; erasing one empties the row and keeps it for the ledger's sake."""

    __tablename__ = "subscriber"
    id: Mapped[PrimaryKey]
    uid: Mapped[str] = mapped_column(String(36), unique=True)
    address: Mapped[str | None] = mapped_column(String(320))  # as the reader wrote it; None once erased
    address_key: Mapped[str | None] = mapped_column(String(320), unique=True)  # as it is compared
    address_hmac: Mapped[str] = mapped_column(String(64), index=True)
    language: Mapped[Code]
    created_at: Mapped[datetime]
    erased_at: Mapped[datetime | None]


class SubscriptionRow(Base):
    """A subscriber's choice of a list; append-only: a changed choice ends one and starts another."""

    __tablename__ = "subscription"
    __table_args__ = (
        one_of("state", SubscriptionState),
        one_of("cadence", Cadence),
        one_of("end_reason", EndReason),
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


class ConsentRow(Base):
    """The record of what a person agreed to or took back; rows are only ever added."""

    __tablename__ = "consent"
    id: Mapped[PrimaryKey]
    subscription_id: Mapped[int] = mapped_column(Identifier, ForeignKey("subscription.id"), index=True)
    at: Mapped[datetime]
    act: Mapped[Code]  # asked | confirmed | imported | changed | ended
    basis: Mapped[str] = mapped_column(Text)  # the wording shown, or the basis stated at an import
    evidence: Mapped[str] = mapped_column(Text, default="")  # form address, network prefix, file name


class SuppressionRow(Base):
    """An address that must not be mailed, as a keyed hash so that it outlives erasure."""

    __tablename__ = "suppression"
    id: Mapped[PrimaryKey]
    address_hmac: Mapped[str] = mapped_column(String(64), unique=True)
    reason: Mapped[Code]  # hard_bounce | complaint | manual | not_me
    created_at: Mapped[datetime]
    lifted_at: Mapped[datetime | None]
