"""Any text that an article may hold comes back from a feed as it went in."""

import json
from datetime import UTC, datetime
from html import escape

import feedparser
from feed_rules import wrong_in_atom, wrong_in_json_feed, wrong_in_rss
from feed_samples import NOON, a_head, an_entry, written_as
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from newsletter.domain.feeds import FeedFormat
from newsletter.feeds.document import clean, clean_line

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=80)
TITLES = ANY_TEXT.filter(clean_line)
TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  hypothesis adds the zone


@st.composite
def articles(draw) -> dict:
    published = draw(TIMES)
    return {
        "title": draw(TITLES),
        "summary": draw(ANY_TEXT),
        "body_html": f"<p>{escape(draw(ANY_TEXT))}</p>",
        "image_url": draw(st.sampled_from([None, "https://example.org/ы.png?a=1&b=<2>"])),
        "image_alt": draw(ANY_TEXT),
        "image_credit": draw(ANY_TEXT),
        "visible_at": published,
        "updated_at": draw(TIMES),
        "revision": draw(st.integers(1, 3)),
        "facts": draw(st.lists(st.tuples(ANY_TEXT, ANY_TEXT), max_size=2)),
    }


@settings(max_examples=100)
@given(st.lists(articles(), max_size=4))
def test_whatever_an_article_says_a_reader_gets(drawn):
    entries = [an_entry(number, **article) for number, article in enumerate(drawn, start=1)]
    entries.sort(key=lambda entry: (entry.published, entry.article_id), reverse=True)
    head = a_head(updated=max([NOON, *(entry.updated for entry in entries)]))
    written, fitted = written_as(head, entries)

    assert () == fitted.problems
    assert [] == wrong_in_atom(written[FeedFormat.ATOM])
    assert [] == wrong_in_rss(written[FeedFormat.RSS])
    assert [] == wrong_in_json_feed(written[FeedFormat.JSON])
    said = [(entry.id, entry.url, entry.title, entry.summary, entry.content_html) for entry in entries]
    assert said == _said_in_atom(written[FeedFormat.ATOM])
    assert said == _said_in_rss(written[FeedFormat.RSS])
    assert said == _said_in_json(written[FeedFormat.JSON])
    _assert_a_reader_agrees(written, entries)


@given(st.text(st.characters(exclude_categories=())))
def test_cleaning_twice_is_cleaning_once(text):
    assert clean(text) == clean(clean(text))
    assert clean_line(text) == clean_line(clean_line(text))
    etree.Element("a").text = clean(text)
    clean(text).encode()


def _said_in_atom(document: bytes) -> list[tuple]:
    return [
        (
            entry.findtext("{*}id"),
            entry.find("{*}link").get("href"),
            entry.findtext("{*}title"),
            entry.findtext("{*}summary", ""),
            entry.findtext("{*}content"),
        )
        for entry in etree.fromstring(document).iter("{*}entry")
    ]


def _said_in_rss(document: bytes) -> list[tuple]:
    return [
        (
            item.findtext("guid"),
            item.findtext("link"),
            item.findtext("title"),
            item.findtext("description", "").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"),
            item.findtext("{http://purl.org/rss/1.0/modules/content/}encoded"),
        )
        for item in etree.fromstring(document).iter("item")
    ]


def _said_in_json(document: bytes) -> list[tuple]:
    return [
        (item["id"], item["url"], item["title"], item.get("summary", ""), item["content_html"])
        for item in json.loads(document)["items"]
    ]


def _assert_a_reader_agrees(bodies, entries) -> None:
    """Ids, links, dates, order and count as a feed reader has them; it makes its own of white space in texts."""
    for form in (FeedFormat.ATOM, FeedFormat.RSS):
        feed = feedparser.parse(bodies[form], sanitize_html=False, resolve_relative_uris=False)

        assert not feed.bozo
        assert [(entry.id, entry.link) for entry in feed.entries] == [(entry.id, entry.url) for entry in entries]
        for read, entry in zip(feed.entries, entries, strict=True):
            assert entry.published.utctimetuple() == read.published_parsed
            assert entry.updated.utctimetuple() == read.updated_parsed
            if form is FeedFormat.ATOM:  # in RSS it takes titles with a tag-like word for HTML
                assert _mended(entry.title).split() == read.title.split()


def _mended(text: str) -> str:
    """The text as feedparser shows it, which takes UTF-8 read as Latin-1 (Â¡) for a mistake and mends it."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text
