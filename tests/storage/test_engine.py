"""The engine: what its errors tell."""

from contextlib import suppress

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from newsletter.errors import InvalidError
from newsletter.storage import engine
from newsletter.storage.engine import Database, connect


def test_an_error_never_tells_the_values_of_its_statement(database: Database):
    values = {"address": "ann@example.org", "unfit": object()}
    with pytest.raises(ProgrammingError) as failed, database.transaction() as session:
        session.execute(text("SELECT :address, :unfit"), values)

    assert "SELECT" in str(failed.value)
    assert "ann@example.org" not in str(failed.value)


def test_the_folder_of_addresses_is_its_owners_alone(tmp_path):
    folder = tmp_path / "made" / "home"
    connect(f"sqlite:///{folder / 'newsletter.db'}").dispose()

    assert 0 == folder.stat().st_mode & 0o077


def test_a_folder_that_cannot_be_made_is_named_with_the_remedy(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(InvalidError, match="file/home cannot be made: Not a directory; choose another"):
        connect(f"sqlite:///{tmp_path}/file/home/newsletter.db")


@pytest.mark.slow
def test_statements_stay_prepared_while_others_only_read(postgresql_database: Database):
    asked = text("SELECT generic_plans + custom_plans FROM pg_prepared_statements WHERE statement LIKE '%41 + 1%'")
    for _ in range(7):
        with postgresql_database.transaction() as session:
            session.execute(text("SELECT 41 + 1"))
        with postgresql_database.reading() as session:
            session.execute(text("SELECT 2"))

    with postgresql_database.reading() as session:
        assert session.scalar(asked)


@pytest.mark.slow
def test_a_connection_that_died_while_idle_is_replaced_unnoticed(postgresql_database: Database, monkeypatch):
    monkeypatch.setattr(engine, "TRUSTED_SECONDS", 0.0)
    other = connect(postgresql_database.engine.url.render_as_string(hide_password=False))
    with postgresql_database.reading() as session:
        pid = session.scalar(text("SELECT pg_backend_pid()"))
    with other.transaction() as session:
        session.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    other.dispose()

    with postgresql_database.reading() as session:
        assert session.scalar(text("SELECT pg_backend_pid()")) != pid


def test_what_is_done_at_once_stays_though_what_follows_fails(database: Database):
    with database.transaction() as session:
        session.execute(text("CREATE TABLE noted (word TEXT)"))
    with suppress(LookupError), database.at_once() as session:
        session.execute(text("INSERT INTO noted VALUES ('here')"))
        raise LookupError

    with database.reading() as session:
        kept = session.scalar(text("SELECT count(*) FROM noted"))
    with database.transaction() as session:
        session.execute(text("DROP TABLE noted"))
    assert kept == (0 if database.is_sqlite else 1)
