"""Staff accounts and their sessions, in SQL: hashes of passwords and of sessions' tokens, never either itself."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ForeignKey, String, delete, select, update
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.domain.staff import Account, Role
from newsletter.storage.base import Base, Code, Identifier, PrimaryKey, one_of
from newsletter.storage.bulk import insert_into
from newsletter.storage.engine import Session


class StaffRow(Base):
    """A person who may use the console; newsroom time."""

    __tablename__ = "staff"
    __table_args__ = (one_of("role", Role),)
    id: Mapped[PrimaryKey]
    email: Mapped[str] = mapped_column(String(320), unique=True)  # in small letters
    role: Mapped[Code]
    password_hash: Mapped[str] = mapped_column(String(200))  # Argon2id, with its salt and costs
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]
    signed_in_at: Mapped[datetime | None]


class StaffSessionRow(Base):
    """One browser that a person is signed in with."""

    __tablename__ = "staff_session"
    token_digest: Mapped[str] = mapped_column(String(64), primary_key=True)  # SHA-256: a token is 256 random bits
    staff_id: Mapped[int] = mapped_column(Identifier, ForeignKey("staff.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime]


class StaffTryRow(Base):
    """How many sign-ins were tried within one scope in one window."""

    __tablename__ = "staff_try"
    scope: Mapped[str] = mapped_column(String(80), primary_key=True)  # a keyed hash of account, network or both
    begins_at: Mapped[datetime] = mapped_column(primary_key=True)
    count: Mapped[int]


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session with whose it is."""

    account: Account
    created_at: datetime
    used_at: datetime


def add_account(session: Session, *, email: str, role: Role, password_hash: str, now: datetime) -> int | None:
    """Add an account and return its id; None: there is one of that address already."""
    values = {"email": email, "role": role, "password_hash": password_hash, "created_at": now}
    statement = insert_into(session, StaffRow).on_conflict_do_nothing(index_elements=["email"])
    return session.execute(statement.values(values).returning(StaffRow.id)).scalar_one_or_none()


def load_accounts(session: Session) -> list[Account]:
    """Return all accounts, disabled ones too, in order of address."""
    return [_account(row) for row in session.scalars(select(StaffRow).order_by(StaffRow.email))]


def find_account(session: Session, email: str) -> tuple[Account, str] | None:
    """Return the account of that address and the hash of its password; None: there is none."""
    row = session.scalars(select(StaffRow).where(StaffRow.email == email)).one_or_none()
    return None if row is None else (_account(row), row.password_hash)


def set_password(session: Session, staff_id: int, password_hash: str) -> None:
    """Replace an account's password."""
    session.execute(update(StaffRow).where(StaffRow.id == staff_id).values(password_hash=password_hash))


def set_role(session: Session, staff_id: int, role: Role) -> None:
    """Give an account another role."""
    session.execute(update(StaffRow).where(StaffRow.id == staff_id).values(role=role))


def set_disabled(session: Session, staff_id: int, at: datetime | None) -> None:
    """Let an account sign in no more, or again."""
    session.execute(update(StaffRow).where(StaffRow.id == staff_id).values(disabled_at=at))


def add_session(session: Session, *, staff_id: int, token_digest: str, now: datetime) -> None:
    """Begin a session, and note when its person signed in last."""
    session.add(StaffSessionRow(token_digest=token_digest, staff_id=staff_id, created_at=now, used_at=now))
    session.execute(update(StaffRow).where(StaffRow.id == staff_id).values(signed_in_at=now))
    session.flush()


def find_session(session: Session, token_digest: str) -> StoredSession | None:
    """Return the session with that digest, of an account that is not disabled; None: there is none."""
    query = (
        select(StaffSessionRow, StaffRow)
        .join(StaffRow, StaffRow.id == StaffSessionRow.staff_id)
        .where(StaffSessionRow.token_digest == token_digest, StaffRow.disabled_at.is_(None))
    )
    found = session.execute(query).one_or_none()
    return None if found is None else StoredSession(_account(found[1]), found[0].created_at, found[0].used_at)


def touch_session(session: Session, token_digest: str, *, now: datetime) -> None:
    """Note that a session was used."""
    session.execute(update(StaffSessionRow).where(StaffSessionRow.token_digest == token_digest).values(used_at=now))


def end_session(session: Session, token_digest: str) -> None:
    """End one session."""
    session.execute(delete(StaffSessionRow).where(StaffSessionRow.token_digest == token_digest))


def end_sessions(session: Session, staff_id: int) -> int:
    """End all sessions of an account; return how many there were."""
    statement = delete(StaffSessionRow).where(StaffSessionRow.staff_id == staff_id)
    return len(list(session.scalars(statement.returning(StaffSessionRow.token_digest))))


def forget_sessions(session: Session, *, before: datetime) -> None:
    """Delete sessions that began before then, which count no more."""
    session.execute(delete(StaffSessionRow).where(StaffSessionRow.created_at < before))


def count_try(session: Session, scope: str, *, begins_at: datetime) -> int:
    """Count one more sign-in tried within *scope* in the window that begins then; return how many there are now.

    Whoever counts in the same window at the same moment waits, so that none is missed.
    """
    insert = insert_into(session, StaffTryRow).values(scope=scope, begins_at=begins_at, count=1)
    counted: int = session.execute(
        insert.on_conflict_do_update(
            index_elements=["scope", "begins_at"], set_={"count": StaffTryRow.count + 1}
        ).returning(StaffTryRow.count)
    ).scalar_one()
    return counted


def forget_tries(session: Session, *, scope: str = "", before: datetime | None = None) -> None:
    """Delete the counts of one scope, or those of windows that began before then."""
    statement = delete(StaffTryRow)
    if scope:
        statement = statement.where(StaffTryRow.scope == scope)
    if before is not None:
        statement = statement.where(StaffTryRow.begins_at < before)
    session.execute(statement)


def _account(row: StaffRow) -> Account:
    return Account(
        id=row.id,
        email=row.email,
        role=Role(row.role),
        created_at=row.created_at,
        disabled_at=row.disabled_at,
        signed_in_at=row.signed_in_at,
    )
