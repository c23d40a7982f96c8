"""Whatever bytes come in, readers give drafts, refuse items, or say what is wrong: nothing else escapes, and soon."""

import re
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mutations import FUZZ, SAMPLES, anything, mutated

from newsletter.domain.articles import Kind
from newsletter.domain.drafts import Draft, DraftText, UnusableError, refusal, tidy
from newsletter.domain.item_keys import distinct_keys
from newsletter.errors import InvalidError
from newsletter.ingest.document import BROKE, Document
from newsletter.ingest.feed import MOST_TAGS, read_feed
from newsletter.ingest.fields import Defaults
from newsletter.ingest.full_text import with_full_text
from newsletter.ingest.json_feed import read_json_feed
from newsletter.ingest.readers import read_document

DEFAULTS = Defaults(ZoneInfo("Asia/Bishkek"), "en")
MOST_SECONDS = 10.0
"""For one document on a busy machine; most take a thousandth of it."""
MOST_MEGABYTES = 400


@contextmanager
def bounded() -> Iterator[None]:
    """Fail where the block takes too long, or makes the process grow too much."""
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    seconds = time.monotonic() - begun
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024

    assert seconds < MOST_SECONDS
    assert grown < MOST_MEGABYTES


class Addresses(HTMLParser):
    """Collects where a text leads and what it shows, as a browser reads it: words of an alt text are no markup."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.extend(value or "" for name, value in attrs if name in ("href", "src"))


def addresses_in(html: str) -> list[str]:
    parser = Addresses()
    parser.feed(html)
    parser.close()
    return parser.found


SAFE_ADDRESS = re.compile(r"https?://|mailto:|tel:")


def check(read: Callable[[], Document]) -> None:
    """Read a document and prepare its drafts, as an import does."""
    with bounded():
        try:
            document = read()
        except InvalidError:
            return
        found = [tidy(item.draft) for item in document.items if item.draft]
        assert len(found) == len(distinct_keys(found))
        for draft in found:
            assert refusal(draft) is None or refusal(draft)
            for text in draft.texts:
                assert "<script" not in text.body_html.lower()
                assert [] == [each for each in addresses_in(text.body_html) if not SAFE_ADDRESS.match(each)]
                assert all(ord(character) >= 32 for character in text.title)
        assert all(item.refusal and BROKE not in item.refusal for item in document.items if item.draft is None)


@FUZZ
@given(anything)
def test_files_of_every_kind(sample: tuple[str, bytes]):
    check(lambda: read_document(*sample, DEFAULTS))


@FUZZ
@given(mutated("rss.xml", "atom.xml"), st.sampled_from([None, "utf-8", "windows-1251", "utf-16", "no-such", "utf-7"]))
@example(("feed.xml", b""), None)
@example(("feed.xml", b" \n"), "utf-16")
def test_feeds_in_every_encoding(sample: tuple[str, bytes], declared: str | None):
    check(lambda: read_feed(sample[1], DEFAULTS, declared=declared))


@FUZZ
@given(mutated("feed.json"))
def test_json_feeds(sample: tuple[str, bytes]):
    check(lambda: read_json_feed(sample[1], DEFAULTS))


@FUZZ
@given(mutated("page.html"))
def test_full_texts(sample: tuple[str, bytes]):
    draft = Draft(Kind.STORY, (DraftText("en", "A title", url="https://a.example/1"),))
    with bounded():
        try:
            full = with_full_text(draft, sample[1])
        except (UnusableError, InvalidError):
            pass
        else:
            assert "<script" not in full.own.body_html.lower()


@pytest.mark.slow
@pytest.mark.parametrize(
    "flood",
    [
        b"<",
        b"&",
        b"<a>",
        b"<item>",
        b"<item><title>x</title></item>",
        b"<!--",
        b"<![CDATA[",
        b"&lt;div&gt;",
        b"]]>",
        b"\xff",
    ],
    ids=repr,
)
def test_five_megabytes_of_one_thing(flood: bytes):
    """As much as a source may answer; hostile ones take seconds, most of them none."""
    head = b'<?xml version="1.0"?><rss version="2.0"><channel><title>x</title>'
    begun = time.monotonic()
    with suppress(InvalidError):
        read_feed(head + flood * (5_000_000 // len(flood)), DEFAULTS)

    assert time.monotonic() - begun < 60


def test_the_bound_of_tags_lets_the_largest_honest_feed_through():
    items = b"<item><guid>1</guid><title>x</title><link>https://a.example/</link></item>"
    document = read_feed(b"<rss version='2.0'><channel>" + items * 300 + b"</channel></rss>", DEFAULTS)

    assert 300 == len(document.items)
    assert items.count(b"<") * 20_000 < MOST_TAGS


def test_samples_are_read_as_they_are():
    for name, content in SAMPLES.items():
        assert any(item.draft for item in read_document(name, content, DEFAULTS).items), name
