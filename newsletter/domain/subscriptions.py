"""Subscriptions: what a reader chose of a list, and what may become of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from newsletter.domain.lists import Cadence


class SubscriptionState(StrEnum):
    """A subscription is asked for, confirmed, and ended with a reason; an ended one never revives."""

    UNCONFIRMED = "unconfirmed"
    CONFIRMED = "confirmed"
    ENDED = "ended"


class EndReason(StrEnum):
    """Why a subscription ended."""

    UNSUBSCRIBED = "unsubscribed"
    CHANGED = "changed"  # another one took its place: cadence, language or filter were chosen anew
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    NEVER_CONFIRMED = "never_confirmed"
    REMOVED = "removed"  # by staff
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A person's address, as they wrote it, and language."""

    id: int
    uid: str
    address: str
    language: str


@dataclass(frozen=True, slots=True)
class Subscription:
    """One subscriber's choice of one list; *uid* is what tokens name."""

    id: int
    uid: str
    subscriber_id: int
    list_id: int
    cadence: Cadence
    language: str
    filter_id: int
    state: SubscriptionState
    created_at: datetime
    confirmed_at: datetime | None
    ended_at: datetime | None
    end_reason: EndReason | None
