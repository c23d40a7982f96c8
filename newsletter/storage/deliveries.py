"""The tables of the ledger: deliveries, attempts at them and reports of them."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.domain.deliveries import DeliveryState, Outcome, Pool, Purpose
from newsletter.storage.base import Base, Code, Identifier, PrimaryKey, one_of


def _partial(name: str, *columns: str, where: str) -> Index:
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


class DeliveryRow(Base):
    """One mail to one reader, made before anything is sent; every move is guarded by its state and lease token."""

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("edition_id", "subscriber_id"),
        UniqueConstraint("edition_id", "address_hmac"),
        one_of("state", DeliveryState),
        one_of("outcome", Outcome),
        one_of("pool", Pool),
        one_of("purpose", Purpose),
        CheckConstraint(
            "(lease_token IS NOT NULL) = (state IN ('leased', 'sending'))", name="lease_token_while_leased"
        ),
        CheckConstraint("state <> 'accepted' OR accepted_at IS NOT NULL", name="accepted_has_time"),
        CheckConstraint("(purpose = 'edition') = (edition_id IS NOT NULL)", name="edition_has_id"),
        _partial("ix_delivery_due", "pool", "priority", "available_at", "id", where="state = 'queued'"),
        _partial("ix_delivery_leased", "lease_until", where="state IN ('leased', 'sending')"),
        _partial(
            "ix_delivery_open",
            "edition_id",
            "state",
            where="state IN ('queued', 'leased', 'sending', 'in_doubt')",
        ),
        Index("ix_delivery_subscriber", "subscriber_id", "list_id"),
    )
    id: Mapped[PrimaryKey]
    purpose: Mapped[Code]
    idempotency_key: Mapped[str | None] = mapped_column(String(200), unique=True)  # of a mail without an edition
    edition_id: Mapped[int | None] = mapped_column(Identifier, ForeignKey("edition.id"))
    list_id: Mapped[int | None] = mapped_column(Identifier, ForeignKey("list.id"))
    variant_id: Mapped[int | None] = mapped_column(Identifier, ForeignKey("variant.id"))
    subscriber_id: Mapped[int] = mapped_column(Identifier, ForeignKey("subscriber.id"))
    subscription_id: Mapped[int | None] = mapped_column(Identifier, ForeignKey("subscription.id"), index=True)
    filter_id: Mapped[int | None] = mapped_column(Identifier, ForeignKey("filter.id"))
    language: Mapped[Code]
    address: Mapped[str | None] = mapped_column(String(320))
    address_hmac: Mapped[str] = mapped_column(String(64))
    content: Mapped[dict[str, Any] | None]  # of a mail without an edition: what its template is given
    mail_token: Mapped[str] = mapped_column(String(36), unique=True)  # Message-ID and return token, for ever
    mail_at: Mapped[datetime]  # its Date, in newsroom time, for ever
    pool: Mapped[Code]
    priority: Mapped[int]
    state: Mapped[Code]
    state_at: Mapped[datetime]
    available_at: Mapped[datetime]  # this and what follows: the database's clock
    deadline_at: Mapped[datetime | None]
    lease_token: Mapped[str | None] = mapped_column(String(36))
    lease_owner: Mapped[str | None] = mapped_column(String(200))
    lease_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)  # write-aheads; only grows
    tries: Mapped[int] = mapped_column(default=0)  # answers about the recipient; spends the retry budget
    lapses: Mapped[int] = mapped_column(default=0)  # leases that ran out in a row
    resends: Mapped[int] = mapped_column(default=0)
    accepted_at: Mapped[datetime | None]
    outcome: Mapped[Code | None]
    outcome_at: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(Text)  # of an end other than accepted, in words


class AttemptRow(Base):
    """One try at a delivery, written before the mail is; *outcome* is empty until its end is known."""

    __tablename__ = "delivery_attempt"
    delivery_id: Mapped[int] = mapped_column(
        Identifier, ForeignKey("delivery.id", ondelete="CASCADE"), primary_key=True
    )
    n: Mapped[int] = mapped_column(primary_key=True)
    worker: Mapped[str] = mapped_column(String(200))
    lease_token: Mapped[str] = mapped_column(String(36))
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    outcome: Mapped[Code | None]
    stage: Mapped[Code | None]
    code: Mapped[int | None]
    enhanced: Mapped[str | None] = mapped_column(String(12))
    reply: Mapped[str | None] = mapped_column(Text)  # without addresses


class DeliveryEventRow(Base):
    """One thing the far side reported; stored first, then applied, so that reports can be replayed."""

    __tablename__ = "delivery_event"
    __table_args__ = (UniqueConstraint("source", "external_id"),)
    id: Mapped[PrimaryKey]
    source: Mapped[str] = mapped_column(String(80))
    external_id: Mapped[str] = mapped_column(String(300))
    delivery_id: Mapped[int | None] = mapped_column(Identifier, ForeignKey("delivery.id"), index=True)
    outcome: Mapped[Code]
    reported_at: Mapped[datetime]
    received_at: Mapped[datetime]
    applied_at: Mapped[datetime | None]
    details: Mapped[dict[str, Any]]
