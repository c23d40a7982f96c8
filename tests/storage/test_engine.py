"""The engine: what its errors tell."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from newsletter.errors import InvalidError
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
