"""WebSub (W3C Recommendation of 2018): what a hub grants, whom it believes, how it signs, and when it tries again."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from urllib.parse import urlencode, urlsplit, urlunsplit

LONGEST_SECRET = 199
"""Bytes; the specification says less than 200 (5.1)."""
LONGEST_CALLBACK = 2048
SHORTEST_LEASE = timedelta(hours=1)
USUAL_LEASE = timedelta(days=10)
LONGEST_LEASE = timedelta(days=30)
"""Leases always end: whoever still wants to be called says so again."""

RETRIES = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=24),
)
"""After so long a failed push is tried again; after the last the next change is waited for."""
VERIFICATION_RETRIES = RETRIES[:3]
DEAD_AFTER = timedelta(days=7)
"""A callback that has failed for so long is dropped, whatever its lease."""
GONE = 410

_CALLBACK = re.compile(r"https?://[!-~]+", re.IGNORECASE)


class Mode(StrEnum):
    """What a subscriber asks for, or is told."""

    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class HubRequest:
    """What a subscriber asks of the hub; nothing of it counts until its callback has confirmed it."""

    mode: Mode
    topic: str
    callback: str
    lease: timedelta = USUAL_LEASE
    secret: str = ""

    @property
    def key(self) -> str:
        """What tells subscriptions apart: topic and callback (5.1)."""
        return hashlib.sha256(f"{self.topic}\n{self.callback}".encode()).hexdigest()


def read_request(form: Mapping[str, str]) -> HubRequest:
    """Return what a form asks for; fields that are not known are not looked at (5.1).

    Raises:
        ValueError: something is missing or cannot be; the message says what.
    """
    mode = form.get("hub.mode", "")
    if mode not in (Mode.SUBSCRIBE, Mode.UNSUBSCRIBE):
        raise ValueError("hub.mode must be subscribe or unsubscribe")
    if not (topic := form.get("hub.topic", "")):
        raise ValueError("hub.topic is missing")
    callback = form.get("hub.callback", "")
    if not _CALLBACK.fullmatch(callback) or len(callback) > LONGEST_CALLBACK or urlsplit(callback).fragment:
        raise ValueError("hub.callback must be an http or https address without a fragment")
    secret = form.get("hub.secret", "")
    if len(secret.encode()) > LONGEST_SECRET:
        raise ValueError(f"hub.secret has at most {LONGEST_SECRET} bytes")
    return HubRequest(Mode(mode), topic, callback, _lease(form.get("hub.lease_seconds", "")), secret)


def _lease(text: str) -> timedelta:
    """Return the lease granted for the one asked for; a number beyond reason gets the nearest within it."""
    if not text:
        return USUAL_LEASE
    if not text.isascii() or not text.isdecimal():
        raise ValueError("hub.lease_seconds must be a number of seconds")
    seconds = int(text[:12])
    if seconds == 0:
        return USUAL_LEASE
    longest = LONGEST_LEASE.total_seconds()
    return max(SHORTEST_LEASE, timedelta(seconds=min(seconds, longest)))


def verification_url(request: HubRequest, challenge: str) -> str:
    """Return the address that asks a callback whether it means it (5.3)."""
    asked = {"hub.mode": request.mode.value, "hub.topic": request.topic, "hub.challenge": challenge}
    if request.mode is Mode.SUBSCRIBE:
        asked["hub.lease_seconds"] = str(int(request.lease.total_seconds()))
    return _appended(request.callback, asked)


def denial_url(request: HubRequest, reason: str) -> str:
    """Return the address that tells a callback that it gets nothing (5.2)."""
    told = {"hub.mode": Mode.DENIED.value, "hub.topic": request.topic, "hub.reason": reason}
    return _appended(request.callback, told)


def _appended(callback: str, asked: Mapping[str, str]) -> str:
    """Return *callback* with parameters behind those that it has, which stay as they are."""
    parts = urlsplit(callback)
    query = "&".join(part for part in (parts.query, urlencode(asked)) if part)
    return urlunsplit(parts._replace(query=query))


def is_confirmed(status: int, body: bytes, challenge: str) -> bool:
    """Say whether a callback's answer confirms what was asked in its name (5.3.1)."""
    return is_success(status) and hmac.compare_digest(body.strip(), challenge.encode())


def is_success(status: int) -> bool:
    """Say whether an answer is a success: redirects are not (7)."""
    return 200 <= status < 300  # noqa: PLR2004  the class of RFC 9110, 15.3


def signature(secret: str, body: bytes) -> str:
    """Return what X-Hub-Signature says of *body* (7.1)."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def next_try(attempts: int, *, jitter: float, retries: tuple[timedelta, ...] = RETRIES) -> timedelta | None:
    """Return how long to wait after so many failed *attempts*; *jitter*, 0 to 1, adds up to a tenth. None: no more."""
    if attempts > len(retries):
        return None
    return retries[attempts - 1] * (1 + jitter / 10)
