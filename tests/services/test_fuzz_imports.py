"""Whatever a file holds, its import ends in outcomes or in words: nothing escapes, and nothing half stored stays."""

import sys
from pathlib import Path

import pytest
from hypothesis import given

from newsletter.errors import InvalidError
from newsletter.ingest.document import BROKE
from newsletter.services.article_imports import ImportResult, import_document
from newsletter.services.context import App

sys.path.append(str(Path(__file__).parents[1] / "ingest"))

from mutations import FUZZ, anything


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def fuzzed(request, settings, clock, dispatcher) -> App:
    """One database for all examples: what the last one left is there for the next."""
    database = request.getfixturevalue(f"{request.param}_database")
    return App(settings=settings, database=database, clock=clock, dispatcher=dispatcher)


def test_an_import_of_anything_ends(fuzzed: App):
    @FUZZ
    @given(anything)
    def attempt(sample: tuple[str, bytes]) -> None:
        name, content = sample
        try:
            first = import_document(fuzzed, name, content, source="Fuzz")
        except InvalidError:
            return
        again = import_document(fuzzed, name, content, source="Fuzz")

        reasons = [each.reason or "" for each in first]
        assert not [each for each in reasons if "could not be stored" in each or BROKE in each]
        settled = {ImportResult.SAME, ImportResult.REFUSED}
        assert settled >= {each.result for each in again}

    attempt()
