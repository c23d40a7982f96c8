"""Staff: accounts for the console, made by the command line; sign-ins, counted; sessions, kept as hashes."""

import hashlib
import hmac
import secrets
import threading
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from newsletter.domain.staff import (
    LONGEST_PASSWORD,
    SESSION_LIFETIME,
    TRIES_AT_ACCOUNT,
    TRIES_AT_ACCOUNT_FROM_NETWORK,
    TRIES_FROM_NETWORK,
    TRY_WINDOW,
    Account,
    Role,
    account_key,
    is_live,
    refuse_password,
)
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.mail.addresses import parse_sender
from newsletter.services.audit import record_act
from newsletter.services.context import App, Transaction
from newsletter.storage import staff as storage

__all__ = ["Account", "Role"]

hasher = PasswordHasher()
"""Argon2id by RFC 9106's second recommendation: 64 MiB, three passes."""

_at_once = threading.BoundedSemaphore(2)
"""Passwords looked at in one process at a time: each takes 64 MiB, and guessing must not use up the machine."""

_NOBODYS = "a password that nobody has"
TOUCHED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class NewPassword:
    """An account's password just made; shown once and kept nowhere."""

    email: str
    role: Role
    password: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session just begun; *token* goes into the browser's cookie and is kept nowhere else."""

    account: Account
    token: str


@dataclass(frozen=True, slots=True)
class TooManyTries:
    """A sign-in that was not looked at; *wait*: when one will be again."""

    wait: timedelta


def add_account(app: App, email: str, role: Role) -> NewPassword:
    """Make an account with a password, which is shown once.

    Raises:
        InvalidError: it is no address.
        ConflictError: there is such an account.
    """
    email = account_key(parse_sender(email))
    password = secrets.token_urlsafe(15)
    hashed = _hash(password)
    with app.transaction() as tx:
        if storage.add_account(tx.session, email=email, role=role, password_hash=hashed, now=tx.now) is None:
            raise ConflictError(
                f"there is an account {email} already; `newsletter staff reset` makes it a new password, and "
                "`newsletter staff enable` lets it in again"
            )
        record_act(tx, "added", f"account {email}", role=role.value)
    return NewPassword(email, role, password)


def list_accounts(app: App) -> list[Account]:
    """Return all accounts, disabled ones too, in order of address."""
    with app.reading() as tx:
        return storage.load_accounts(tx.session)


def reset_password(app: App, email: str) -> NewPassword:
    """Make an account a new password, which is shown once; whoever is signed in with the account is signed out.

    Raises:
        NotFoundError: there is no such account.
    """
    password = secrets.token_urlsafe(15)
    hashed = _hash(password)
    with app.transaction() as tx:
        account = _load(tx, email)
        storage.set_password(tx.session, account.id, hashed)
        storage.end_sessions(tx.session, account.id)
        storage.forget_tries(tx.session, scope=_scope(tx, "account", account.email))
        record_act(tx, "reset", f"account {account.email}")
    return NewPassword(account.email, account.role, password)


def change_password(app: App, account: Account, *, old: str, new: str) -> None:
    """Give an account the password that its owner chose; every session of it ends.

    Raises:
        InvalidError: the old one is wrong, or the new one cannot be chosen; says why.
    """
    if why := refuse_password(new, email=account.email):
        raise InvalidError(why)
    with app.reading() as tx:
        found = storage.find_account(tx.session, account.email)
    if found is None or not _is_right(found[1], old):
        raise InvalidError("the password used so far is another one")
    hashed = _hash(new)
    with app.transaction() as tx:
        storage.set_password(tx.session, account.id, hashed)
        storage.end_sessions(tx.session, account.id)
        record_act(tx, "changed the password of", f"account {account.email}")


def change_role(app: App, email: str, role: Role) -> None:
    """Give an account another role, from its next page on.

    Raises:
        NotFoundError: there is no such account.
    """
    with app.transaction() as tx:
        account = _load(tx, email)
        storage.set_role(tx.session, account.id, role)
        record_act(tx, "changed", f"account {account.email}", role=role.value)


def disable_account(app: App, email: str) -> None:
    """Let an account in no more and end its sessions; what it did stays on record. Repeating it changes nothing.

    Raises:
        NotFoundError: there is no such account.
    """
    with app.transaction() as tx:
        account = _load(tx, email)
        if account.disabled_at is None:
            storage.set_disabled(tx.session, account.id, tx.now)
            record_act(tx, "disabled", f"account {account.email}")
        storage.end_sessions(tx.session, account.id)


def enable_account(app: App, email: str) -> None:
    """Let a disabled account in again, with the password it had. Repeating it changes nothing.

    Raises:
        NotFoundError: there is no such account.
    """
    with app.transaction() as tx:
        account = _load(tx, email)
        if account.disabled_at is not None:
            storage.set_disabled(tx.session, account.id, None)
            record_act(tx, "enabled", f"account {account.email}")


def sign_in(app: App, email: str, password: str, *, network: str) -> SignedIn | TooManyTries | None:
    """Begin a session for whoever knows an account's password; None: no account has these, whichever is wrong.

    It takes the same time whether or not there is such an account. Every try is counted before it is looked at.
    """
    email = account_key(email)
    with app.transaction() as tx:
        wait = _count(tx, email, network)
    if wait is not None:
        return TooManyTries(wait)
    with app.reading() as tx:
        found = storage.find_account(tx.session, email)
    account, hashed = found or (None, _nobodys_hash())
    if not _is_right(hashed, password) or account is None or account.disabled_at is not None:
        return None
    token = secrets.token_urlsafe(32)
    app = replace(app, actor=account.email)
    better = _hash(password) if hasher.check_needs_rehash(hashed) else ""
    with app.transaction() as tx:
        if better:
            storage.set_password(tx.session, account.id, better)
        storage.forget_sessions(tx.session, before=tx.now - SESSION_LIFETIME)
        storage.forget_tries(tx.session, before=tx.now - 2 * TRY_WINDOW)
        storage.add_session(tx.session, staff_id=account.id, token_digest=_digest(token), now=tx.now)
        record_act(tx, "signed in", f"account {account.email}")
    return SignedIn(account, token)


def find_session(app: App, token: str) -> Account | None:
    """Return whose session it is, and note that it was used; None: nobody's, any more."""
    digest = _digest(token)
    with app.reading() as tx:
        found = storage.find_session(tx.session, digest)
        now = tx.now
    if found is None or not is_live(created_at=found.created_at, used_at=found.used_at, now=now):
        return None
    if now - found.used_at >= TOUCHED_EVERY:
        with app.transaction() as tx:
            storage.touch_session(tx.session, digest, now=now)
    return found.account


def sign_out(app: App, token: str) -> None:
    """End one session."""
    with app.transaction() as tx:
        storage.end_session(tx.session, _digest(token))


def sign_out_everywhere(app: App, email: str) -> int:
    """End all sessions of an account; return how many there were.

    Raises:
        NotFoundError: there is no such account.
    """
    with app.transaction() as tx:
        account = _load(tx, email)
        ended = storage.end_sessions(tx.session, account.id)
        record_act(tx, "signed out", f"account {account.email}", sessions=ended)
        return ended


def form_token(session_token: str) -> str:
    """Return what every form of a session carries, by which it is known to come from a page of ours."""
    return hmac.new(session_token.encode(), b"newsletter console form", hashlib.sha256).hexdigest()


def is_form_token(session_token: str, told: str) -> bool:
    """Say whether a form came from a page of that session."""
    return hmac.compare_digest(form_token(session_token).encode(), told.encode())


def _load(tx: Transaction, email: str) -> Account:
    found = storage.find_account(tx.session, account_key(email))
    if found is None:
        raise NotFoundError(f"there is no account {email}; `newsletter staff list` shows them")
    return found[0]


def _count(tx: Transaction, email: str, network: str) -> timedelta | None:
    """Count a try within each scope, the narrowest first; None: look at it, else how long none will be."""
    begins_at = _window(tx.now)
    scopes = (
        (_scope(tx, "pair", f"{email} {network}"), TRIES_AT_ACCOUNT_FROM_NETWORK),
        (_scope(tx, "network", network), TRIES_FROM_NETWORK),
        (_scope(tx, "account", email), TRIES_AT_ACCOUNT),
    )
    for scope, most in scopes:
        if storage.count_try(tx.session, scope, begins_at=begins_at) > most:
            return begins_at + TRY_WINDOW - tx.now
    return None


def _window(now: datetime) -> datetime:
    return now - timedelta(seconds=now.timestamp() % TRY_WINDOW.total_seconds())


def _scope(tx: Transaction, kind: str, name: str) -> str:
    return f"{kind} {hmac.new(tx.settings.secret, f'newsletter {kind} {name}'.encode(), hashlib.sha256).hexdigest()}"


def _hash(password: str) -> str:
    with _at_once:
        return hasher.hash(password)


def _is_right(hashed: str, password: str) -> bool:
    with _at_once:
        try:
            return hasher.verify(hashed, password[: LONGEST_PASSWORD + 1])
        except (Argon2Error, InvalidHashError):
            return False


def _nobodys_hash() -> str:
    """Return a hash that is looked at where there is no account, made once in a process."""
    known = _nobodys.get(hasher)
    if known is None:
        known = _nobodys[hasher] = _hash(_NOBODYS)
    return known


_nobodys: dict[PasswordHasher, str] = {}


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
