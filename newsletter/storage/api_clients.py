"""Programs that may bring articles in through the API, in SQL: hashes of their tokens, their pace, their requests."""

from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, String, Text, delete, select, update
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.domain.api_clients import ApiClient, ApiRequest
from newsletter.storage.articles import SourceRow
from newsletter.storage.base import Base, Identifier, PrimaryKey
from newsletter.storage.bulk import insert_into
from newsletter.storage.engine import Session, database_now


class ApiClientRow(Base):
    """A program with a token of its own, whose articles come from one source; times are the database's."""

    __tablename__ = "api_client"
    id: Mapped[PrimaryKey]
    name: Mapped[str] = mapped_column(String(80), unique=True)
    source_id: Mapped[int] = mapped_column(Identifier, ForeignKey("source.id"))
    token_digest: Mapped[str] = mapped_column(String(64), unique=True)  # SHA-256: a token is 256 random bits
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
    minute_at: Mapped[datetime | None]  # begin of the minute that is counted
    minute_count: Mapped[int] = mapped_column(default=0)


class ApiRequestRow(Base):
    """A request that a client gave a key, with its answer; a second one with the key gets the same answer."""

    __tablename__ = "api_request"
    client_id: Mapped[int] = mapped_column(
        Identifier, ForeignKey("api_client.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(index=True)
    status: Mapped[int | None]  # None: it is being answered
    answer: Mapped[str] = mapped_column(Text, default="")
    location: Mapped[str] = mapped_column(Text, default="")


def add_client(session: Session, *, name: str, source_id: int, token_digest: str) -> bool:
    """Add a client; False: there is one of that name already."""
    values = {
        "name": name,
        "source_id": source_id,
        "token_digest": token_digest,
        "created_at": database_now(session),
    }
    statement = insert_into(session, ApiClientRow).on_conflict_do_nothing(index_elements=["name"])
    return session.execute(statement.values(values).returning(ApiClientRow.id)).scalar_one_or_none() is not None


def load_clients(session: Session) -> list[ApiClient]:
    """Return all clients, revoked ones too, in order of name."""
    statement = select(ApiClientRow, SourceRow).join(SourceRow, SourceRow.id == ApiClientRow.source_id)
    return [_client(row, source) for row, source in session.execute(statement.order_by(ApiClientRow.name))]


def find_client(session: Session, token_digest: str) -> ApiClient | None:
    """Return the client whose token has that digest and still counts; None: there is none."""
    statement = (
        select(ApiClientRow, SourceRow)
        .join(SourceRow, SourceRow.id == ApiClientRow.source_id)
        .where(ApiClientRow.token_digest == token_digest, ApiClientRow.revoked_at.is_(None))
    )
    found = session.execute(statement).one_or_none()
    return None if found is None else _client(found[0], found[1])


def revoke_client(session: Session, name: str) -> bool:
    """Let the token of a client count no more, from this commit on; False: there is none, or it is revoked already."""
    statement = (
        update(ApiClientRow)
        .where(ApiClientRow.name == name, ApiClientRow.revoked_at.is_(None))
        .values(revoked_at=database_now(session))
    )
    return session.execute(statement.returning(ApiClientRow.id)).scalar_one_or_none() is not None


def count_request(session: Session, client_id: int, *, most: int) -> timedelta | None:
    """Count a request of this minute; None: it may be answered. Else how long until it may, and it is not counted."""
    now = database_now(session)
    row = session.scalars(select(ApiClientRow).where(ApiClientRow.id == client_id).with_for_update()).one()
    minute = timedelta(minutes=1)
    if row.minute_at is None or now - row.minute_at >= minute:
        row.minute_at, row.minute_count = now, 0
    if row.minute_count >= most:
        return minute - (now - row.minute_at)
    row.minute_count += 1
    row.used_at = now
    session.flush()
    return None


def begin_request(
    session: Session, client_id: int, key: str, fingerprint: str, *, broken_off_after: timedelta
) -> ApiRequest | None:
    """Note that a request with that key is being answered; None: do answer it. Else the one that came before.

    One that has been under way for longer than *broken_off_after* is taken over.
    """
    now = database_now(session)
    values = {"client_id": client_id, "key": key, "fingerprint": fingerprint, "at": now, "status": None}
    statement = insert_into(session, ApiRequestRow).on_conflict_do_nothing(index_elements=["client_id", "key"])
    if session.execute(statement.values(values).returning(ApiRequestRow.key)).scalar_one_or_none() is not None:
        return None
    where = (ApiRequestRow.client_id == client_id) & (ApiRequestRow.key == key)
    row = session.scalars(select(ApiRequestRow).where(where).with_for_update()).one()
    is_broken_off = row.status is None and now - row.at > broken_off_after and row.fingerprint == fingerprint
    if is_broken_off:
        row.at = now
        session.flush()
        return None
    return ApiRequest(row.fingerprint, row.at, row.status, row.answer, row.location)


def end_request(session: Session, client_id: int, key: str, *, status: int, answer: str, location: str) -> None:
    """Keep the answer to a request for whoever asks again."""
    session.execute(
        update(ApiRequestRow)
        .where(ApiRequestRow.client_id == client_id, ApiRequestRow.key == key)
        .values(status=status, answer=answer, location=location)
    )


def drop_request(session: Session, client_id: int, key: str) -> None:
    """Forget a request that came to nothing, so that it may be tried again with its key."""
    session.execute(delete(ApiRequestRow).where(ApiRequestRow.client_id == client_id, ApiRequestRow.key == key))


def forget_requests(session: Session, *, older_than: timedelta) -> None:
    """Forget requests that nobody repeats any more."""
    session.execute(delete(ApiRequestRow).where(ApiRequestRow.at < database_now(session) - older_than))


def _client(row: ApiClientRow, source: SourceRow) -> ApiClient:
    return ApiClient(
        id=row.id,
        name=row.name,
        source_id=source.id,
        source=source.slug,
        source_title=source.title,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        used_at=row.used_at,
    )
