"""Deliveries: one edition to one subscriber, its states and the moves between them."""

from enum import StrEnum


class DeliveryState(StrEnum):
    """Our side of the story; what the far side reports is the outcome, another column."""

    QUEUED = "queued"
    LEASED = "leased"
    SENDING = "sending"
    ACCEPTED = "accepted"
    IN_DOUBT = "in_doubt"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Outcome(StrEnum):
    """What the far side reported of an accepted delivery."""

    DELIVERED = "delivered"
    DELAYED = "delayed"
    SOFT_BOUNCE = "soft_bounce"
    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"


class Pool(StrEnum):
    """Lanes of sending, so that a confirmation never waits behind a digest."""

    TRANSACTIONAL = "transactional"
    BULK = "bulk"


class Purpose(StrEnum):
    """What a delivery is for."""

    EDITION = "edition"
    CONFIRMATION = "confirmation"
