"""The engine: what its errors tell."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from newsletter.storage.engine import Database


def test_an_error_never_tells_the_values_of_its_statement(database: Database):
    values = {"address": "ann@example.org", "unfit": object()}
    with pytest.raises(ProgrammingError) as failed, database.transaction() as session:
        session.execute(text("SELECT :address, :unfit"), values)

    assert "SELECT" in str(failed.value)
    assert "ann@example.org" not in str(failed.value)
