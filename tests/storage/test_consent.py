"""The record of consent: told by columns, and kept by the database itself against whoever would change it."""

import pytest
from ledger_rows import NOON, make_list, make_readers
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from newsletter.domain.subscriptions import Consent, ConsentAct, Seen
from newsletter.storage import migrate
from newsletter.storage import subscriptions as storage
from newsletter.storage.engine import Database, connect

PAGE = Seen("https://news.example.org/subscribe", "ru", "192.0.2.0/24")
AGREED = Consent(NOON, ConsentAct.CHANGED, "Mail me", PAGE)
BY_MAIL = Consent(NOON, ConsentAct.ENDED, "by mail", "mail")
COLUMNS = "act, basis, wording, page, language, network, evidence"


def agree(database: Database) -> int:
    """Store a reader with two more lines of consent; return their subscription's id."""
    with database.transaction() as session:
        [reader] = make_readers(session, make_list(session), "aida")
        for consent in (AGREED, BY_MAIL):
            storage.add_consent(session, reader.id, consent)
        return reader.id


def test_each_fact_has_a_column_and_comes_back_as_it_was_told(database):
    reader_id = agree(database)
    with database.reading() as session:
        rows = [tuple(row) for row in session.execute(text(f"SELECT {COLUMNS} FROM consent ORDER BY id"))][1:]
        told = storage.load_consents(session, [reader_id])[reader_id][1:]

    assert [
        ("changed", "Mail me", AGREED.wording, PAGE.page, "ru", "192.0.2.0/24", ""),
        ("ended", "by mail", BY_MAIL.wording, "", "", "", "mail"),
    ] == rows
    assert [AGREED, BY_MAIL] == told


def test_a_wording_has_a_version_by_its_words_and_language():
    in_english = Consent(NOON, ConsentAct.ASKED, "Mail me", Seen(PAGE.page, "en"))

    assert in_english.wording == Consent(NOON, ConsentAct.CHANGED, "Mail me", Seen("elsewhere", "en")).wording
    assert 3 == len({in_english.wording, AGREED.wording, Consent(NOON, ConsentAct.ASKED, "No", PAGE).wording})


@pytest.mark.parametrize("statement", ["UPDATE consent SET basis = 'anything'", "DELETE FROM consent"])
def test_the_database_refuses_to_change_or_delete_a_line(database, statement):
    agree(database)
    with pytest.raises(DBAPIError, match="only ever added to"), database.transaction() as session:
        session.execute(text(statement))

    with database.reading() as session:
        assert ["a test", "Mail me", "by mail"] == list(session.scalars(text("SELECT basis FROM consent ORDER BY id")))


@pytest.mark.slow
def test_a_database_made_by_migrations_refuses_too(tmp_path):
    database = connect(f"sqlite:///{tmp_path / 'new.db'}")
    migrate.upgrade(database)
    agree(database)
    with pytest.raises(DBAPIError, match="only ever added to"), database.transaction() as session:
        session.execute(text("DELETE FROM consent"))
    database.dispose()
