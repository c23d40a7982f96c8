"""Audit: who did what, and when; written in the transaction of what was done, and never changed afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that somebody did: *act* is a verb of the noun that *about* names, such as `approved` of `edition 12`.

    *at* is real time, whatever time was acted as if; *actor* a person, or the part of the service that acted by itself.
    *details* hold no address: people are told by number, so that the record outlives an erasure.
    """

    id: int
    at: datetime
    actor: str
    act: str
    about: str
    details: Mapping[str, Any]
