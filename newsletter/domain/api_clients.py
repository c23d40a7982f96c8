"""Programs that may bring articles in, and the requests that they gave a key."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ApiClient:
    """A program with a token, whose articles come from one source; times are the database's."""

    id: int
    name: str
    source_id: int
    source: str
    source_title: str
    created_at: datetime
    revoked_at: datetime | None
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request that came before; *status* None: it is being answered, or was broken off."""

    fingerprint: str
    at: datetime
    status: int | None
    answer: str
    location: str
