"""Suppressions: why an address must not be mailed."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class SuppressionReason(StrEnum):
    """Why an address must not be mailed; leaving a list is no such reason, it ends a subscription."""

    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    MANUAL = "manual"  # by staff
    NOT_ME = "not_me"  # somebody else typed the address into our form, and its owner said so


@dataclass(frozen=True, slots=True)
class Suppression:
    """An address that must not be mailed, known only by its keyed hash."""

    address_hmac: str
    reason: SuppressionReason
    created_at: datetime
