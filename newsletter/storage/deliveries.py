"""The tables of the ledger: deliveries, attempts at them and reports of them."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.domain.deliveries import DeliveryState, Outcome, Pool, Purpose
from newsletter.storage.base import Base, Code, Identifier, PrimaryKey, one_of

UNDER_WAY = "state IN ('leased', 'sending', 'in_doubt')"
"""As the partial index says it, so that the index serves; `queued` has one of its own."""

NO_LEASE: dict[str, Any] = {"lease_token": None, "lease_owner": None, "lease_until": None}
"""What a row that leaves its lease is given."""


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where), unique=unique)


class DeliveryRow(Base):
    """One mail to one reader, made before anything is sent; every move is guarded by its state and lease token.

    Every move writes an entry into each index, so there are few, and none in an order of chance: see ADR 0008.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("edition_id", "subscriber_id"),
        one_of("state", DeliveryState),
        one_of("outcome", Outcome),
        one_of("pool", Pool),
        one_of("purpose", Purpose),
        CheckConstraint(
            "(lease_token IS NOT NULL) = (state IN ('leased', 'sending'))", name="lease_token_while_leased"
        ),
        CheckConstraint("state <> 'accepted' OR accepted_at IS NOT NULL", name="accepted_has_time"),
        CheckConstraint("(purpose = 'edition') = (edition_id IS NOT NULL)", name="edition_has_id"),
        CheckConstraint("(pool = 'bulk') = (edition_id IS NOT NULL)", name="edition_is_bulk"),
        _partial("ix_delivery_due", "edition_id", "provider", "available_at", "id", where="state = 'queued'"),
        _partial("ix_delivery_under_way", "state", "edition_id", where=UNDER_WAY),
        _partial("uq_delivery_idempotency_key", "idempotency_key", where="idempotency_key IS NOT NULL", unique=True),
        Index("ix_delivery_subscriber", "subscriber_id"),
        {
            "postgresql_with": {
                "fillfactor": 50,  # a row is written four times; its versions stay in its page
                "autovacuum_vacuum_scale_factor": 0.02,
                "autovacuum_vacuum_threshold": 10_000,
            }
        },
    )
    id: Mapped[PrimaryKey]
    purpose: Mapped[Code]
    idempotency_key: Mapped[str | None] = mapped_column(String(200))  # of a mail without an edition
    edition_id: Mapped[int | None] = mapped_column(Identifier)  # no foreign keys: see ADR 0008
    list_id: Mapped[int | None] = mapped_column(Identifier)
    variant_id: Mapped[int | None] = mapped_column(Identifier)
    subscriber_id: Mapped[int] = mapped_column(Identifier)
    subscription_id: Mapped[int | None] = mapped_column(Identifier)
    filter_id: Mapped[int | None] = mapped_column(Identifier)
    language: Mapped[Code]
    address: Mapped[str | None] = mapped_column(String(320))
    address_hmac: Mapped[str] = mapped_column(String(64))
    provider: Mapped[Code]  # the receiving provider's group, as of fan-out
    content: Mapped[dict[str, Any] | None]  # of a mail without an edition: what its template is given
    mail_token: Mapped[str] = mapped_column(String(36), unique=True)  # Message-ID and return token, for ever
    mail_at: Mapped[datetime]  # its Date, in newsroom time, for ever
    pool: Mapped[Code]
    state: Mapped[Code]
    state_at: Mapped[datetime]  # while it is sending: when this attempt was begun
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
    """One try at a delivery, written when its end is known; until then the delivery's own row says that it is tried."""

    __tablename__ = "delivery_attempt"
    delivery_id: Mapped[int] = mapped_column(Identifier, primary_key=True)  # no foreign key: see ADR 0008
    n: Mapped[int] = mapped_column(primary_key=True)
    worker: Mapped[str] = mapped_column(String(200))
    lease_token: Mapped[str] = mapped_column(String(36))
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime]
    outcome: Mapped[Code]
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
