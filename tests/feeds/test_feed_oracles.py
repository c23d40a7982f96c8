"""Independent judges of what is published: schemas of Atom and JSON Feed, and readers that share no code with us."""

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import fastfeedparser
import feedparser
import feedparser_rs
import jsonschema
import pytest
from feed_samples import AUTHORITY, BASE, NOON, a_head, an_entry, tricky_entries, written_as
from lxml import etree

from newsletter.domain.feeds import FeedFormat
from newsletter.feeds.document import Guide

SCHEMAS = Path(__file__).parent / "schemas"
ATOM_SCHEMA = etree.RelaxNG(etree.parse(SCHEMAS / "atom.rng"))
JSON_SCHEMA = jsonschema.Draft202012Validator(json.loads((SCHEMAS / "jsonfeed-1.1.json").read_text()))

RICH = {
    "hubs": (f"{BASE}/feeds/hub",),
    "gone": ((AUTHORITY.entry_id("gone"), NOON),),
    "older": "archive/2026-02/all-en",
    "guide": Guide("This is a feed & no page.", "For people", f"{BASE}/feeds/style.css"),
}
HEADS = {
    "a feed": RICH,
    "an archive": {
        **RICH,
        "slug": "archive/2026-02/all-en",
        "current": "all-en",
        "older": "archive/2026-01/all-en",
        "newer": "archive/2026-03/all-en",
    },
    "a combination": {**RICH, "slug": "custom", "query": "topic=a&topic=b&lang=en"},
    "a reader's choice": {"slug": "", "siblings": (), "guide": RICH["guide"]},
}


@pytest.fixture(params=HEADS)
def documents(request) -> dict[FeedFormat, bytes]:
    return written_as(a_head(**HEADS[request.param]), tricky_entries())[0]


def test_atom_is_valid_by_its_schema(documents):
    ATOM_SCHEMA.assertValid(etree.fromstring(documents[FeedFormat.ATOM]))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (b"<title>", b"<title type='CDATA'>"),
        (b"<updated>2026-03-16T11:00:00+00:00</updated>", b"<updated>Monday</updated>"),
        (b"</generator>", b"</generator><generator>twice</generator>"),
        (b"<name>", b"<nickname>x</nickname><name>"),
        (b"<link ", b"<link rel='a:b c' "),
        (b"</feed>", b"<entry><title>without an id</title></entry></feed>"),
    ],
)
def test_the_schema_of_atom_finds_mistakes(right, wrong):
    document = written_as(a_head(), tricky_entries())[0][FeedFormat.ATOM]
    assert right in document
    try:
        broken = etree.fromstring(document.replace(right, wrong, 1))
    except etree.XMLSyntaxError:
        return

    assert not ATOM_SCHEMA.validate(broken)


def test_json_feed_is_valid_by_its_schema(documents):
    feed = json.loads(documents[FeedFormat.JSON])

    assert [] == [error.message for error in JSON_SCHEMA.iter_errors(feed)]
    assert len(feed["items"]) == len({item["id"] for item in feed["items"]})
    assert feed.get("next_url") != feed.get("feed_url", "")


@pytest.mark.parametrize(
    "changes", [{"version": "1"}, {"title": None}, {"home_page_url": "/"}, {"link": "x"}, {"items": [{"id": 1}]}]
)
def test_the_schema_of_json_feed_finds_mistakes(changes):
    feed = json.loads(written_as(a_head(), [an_entry()])[0][FeedFormat.JSON])

    assert [] != list(JSON_SCHEMA.iter_errors(feed | changes))


def test_all_readers_agree(documents):
    """Id, link, title, dates and content are the same for whoever reads whichever format."""
    items = [
        (
            item["id"],
            item["url"],
            item["title"],
            _moment(item["date_published"]),
            item["content_html"],
        )
        for item in json.loads(documents[FeedFormat.JSON])["items"]
    ]

    assert items
    for form in (FeedFormat.ATOM, FeedFormat.RSS):
        assert items == list(_by_feedparser(documents[form])), form
        assert items == list(_by_fastfeedparser(documents[form])), form
    for form in FeedFormat:
        assert items == list(_by_feedparser_rs(documents[form])), form
    assert items == list(_atom_by_expat(documents[FeedFormat.ATOM]))
    assert items == list(_rss_by_expat(documents[FeedFormat.RSS]))


def test_no_reader_takes_the_word_to_people_for_news(documents):
    for form in (FeedFormat.ATOM, FeedFormat.RSS):
        feed = feedparser.parse(documents[form])

        assert not feed.bozo
        assert "This is a feed" not in str(feed.feed.get("title")) + str(feed.feed.get("subtitle"))
        assert "This is a feed" not in str(fastfeedparser.parse(documents[form]).feed)


def _by_feedparser(document: bytes):
    for entry in feedparser.parse(document, sanitize_html=False, resolve_relative_uris=False).entries:
        published = datetime(*entry.published_parsed[:6], tzinfo=UTC)
        yield entry.id, entry.link, entry.title, published, entry.content[0].value


def _by_fastfeedparser(document: bytes):
    for entry in fastfeedparser.parse(document).entries:
        yield entry.id, entry.link, entry.title, _moment(entry.published), entry.content[0]["value"]


def _by_feedparser_rs(document: bytes):
    found = feedparser_rs.parse(document, sanitize_html=False)
    assert not found.bozo
    for entry in found.entries:
        published = datetime(*entry.published_parsed[:6], tzinfo=UTC)
        yield entry.id, entry.link, entry.title, published, entry.content[0].value if entry.content else ""


def _atom_by_expat(document: bytes):
    atom = "{http://www.w3.org/2005/Atom}"
    for entry in ET.fromstring(document).iter(f"{atom}entry"):
        links = [each.get("href") for each in entry.findall(f"{atom}link") if each.get("rel") == "alternate"]
        yield (
            entry.findtext(f"{atom}id"),
            links[0],
            entry.findtext(f"{atom}title"),
            _moment(entry.findtext(f"{atom}published")),
            entry.findtext(f"{atom}content"),
        )


def _rss_by_expat(document: bytes):
    for item in ET.fromstring(document).iter("item"):
        yield (
            item.findtext("guid"),
            item.findtext("link"),
            item.findtext("title"),
            parsedate_to_datetime(item.findtext("pubDate")).astimezone(UTC),
            item.findtext("{http://purl.org/rss/1.0/modules/content/}encoded"),
        )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
