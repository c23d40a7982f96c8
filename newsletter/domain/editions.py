"""Editions: one issue of a list for one cadence and slot, and what may become of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from newsletter.domain.lists import Cadence


class EditionState(StrEnum):
    """Where an edition stands."""

    PLANNED = "planned"
    COMPOSING = "composing"
    REVIEW = "review"
    APPROVED = "approved"
    FANNING_OUT = "fanning_out"
    SENDING = "sending"
    PAUSED = "paused"
    DONE = "done"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class SkipReason(StrEnum):
    """Why an edition was not sent."""

    EMPTY = "empty"  # nothing new for anybody
    NO_READERS = "no_readers"  # nobody subscribes at this cadence
    MISSED = "missed"  # found after its deadline; its items roll on


@dataclass(frozen=True, slots=True)
class Edition:
    """One issue; *slot_key* is the local date, ISO week or month it is for, or the article's revision.

    *slot_at* and *cut_at* are newsroom time: items visible at the cut are in. *deadline_at*: never sent later.
    *nonce* marks the holes of its blocks.
    """

    id: int
    list_id: int
    cadence: Cadence
    slot_key: str
    slot_at: datetime
    cut_at: datetime
    deadline_at: datetime
    state: EditionState
    nonce: str
    skip_reason: SkipReason | None
    review_until: datetime | None
    approved_at: datetime | None
    done_at: datetime | None
