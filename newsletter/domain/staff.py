"""Staff: who may use the console, what each role may do there, and how long a session lasts."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

SESSION_LIFETIME = timedelta(hours=12)
"""A session ends then, however busy it is: one working day."""

SESSION_IDLE = timedelta(hours=2)
"""A session that nobody uses ends then: a screen left open over lunch is not open at night."""

TRY_WINDOW = timedelta(minutes=15)
TRIES_AT_ACCOUNT_FROM_NETWORK = 10
TRIES_FROM_NETWORK = 30
TRIES_AT_ACCOUNT = 60
"""Sign-ins tried in one window. What a narrower limit turns away uses up no wider one, so that one network cannot lock
an account's owner out."""

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 200


class Role(StrEnum):
    """What an account may do in the console."""

    EDITOR = "editor"  # drafts: edit, look at, check, approve, compose
    OPERATOR = "operator"  # all of that; also stops and resumes, mails, limits

    def covers(self, needed: "Role") -> bool:
        """Say whether this role may do what asks for *needed*."""
        return self is Role.OPERATOR or needed is Role.EDITOR


@dataclass(frozen=True, slots=True)
class Account:
    """One person of the staff; *disabled_at*: since when they may not sign in, None: they may."""

    id: int
    email: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None
    signed_in_at: datetime | None


def account_key(email: str) -> str:
    """Return how an account's address is compared: without spaces around it, in small letters."""
    return email.strip().casefold()


def is_live(*, created_at: datetime, used_at: datetime, now: datetime) -> bool:
    """Say whether a session still counts."""
    return now - created_at < SESSION_LIFETIME and now - used_at < SESSION_IDLE


def refuse_password(password: str, *, email: str) -> str | None:
    """Say why a password cannot be chosen; None: it can.

    Long ones of any letters, as NIST SP 800-63B 5.1.1.2 asks; no rules about digits and signs, which make them worse.
    """
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        return f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters"
    if len(set(password)) < SHORTEST_PASSWORD // 2 or email.partition("@")[0].casefold() in password.casefold():
        return "this password would soon be guessed"
    return None
