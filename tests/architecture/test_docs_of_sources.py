"""docs/sources.md says what the code does."""

from contributing import ROOT

from newsletter import network
from newsletter.domain.arrivals import _CORRECTED
from newsletter.domain.sources import SICK_AFTER
from newsletter.ingest import feed
from newsletter.services import item_pages, polling

GUIDE = " ".join((ROOT / "docs" / "sources.md").read_text().split())


def test_the_limits_are_those_of_the_code():
    said = (
        f"At most {network.MOST_BYTES // 1024**2} MB and {network.TOTAL_SECONDS:.0f} seconds an answer, before and "
        f"after unpacking; {feed.MOST_TAGS:,} tags and 250 levels; {polling.MOST_ITEMS} items looked at; "
        f"{item_pages.PAGES_SECONDS:.0f} seconds for pages in one poll"
    )

    assert said in GUIDE


def test_the_words_of_correction_are_some_of_those_that_count():
    words = GUIDE.partition("its first word is *")[2].partition(", ...")[0].replace("*", "").lower().split(", ")

    assert 4 <= len(words)
    assert set(words) <= set(_CORRECTED)


def test_a_sick_source_failed_so_often():
    assert 3 == SICK_AFTER
    assert "Three failures in a row, or a 410: the source is *sick*" in GUIDE
