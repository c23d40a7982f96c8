"""The checks themselves: they find what they are there to find."""

import json

import pytest
from feed_rules import wrong_in_atom, wrong_in_html, wrong_in_json_feed, wrong_in_rss
from feed_samples import NOON, a_head, an_entry, tricky_entries, written_as
from feedgen.feed import FeedGenerator

from newsletter.domain.feeds import FeedFormat


def test_feedgen_as_it_stands_breaks_the_rules():
    """If this fails after an upgrade, feedgen has mended something, and our mend may go."""
    plain = FeedGenerator()
    plain.id("tag:x")
    plain.title("News")
    plain.link(href="https://news.example.org/", rel="alternate")
    plain.link(href="https://hub.example.org/", rel="self")
    plain.description("News")
    entry = plain.add_entry()
    entry.id("tag:y")
    entry.title("Clinic opens")
    entry.published(NOON)
    entry.link(href="https://news.example.org/1", rel="alternate", type="text/html")
    entry.link(href="https://news.example.org/1.jpg", rel="enclosure", type="image/jpeg", length="1")
    entry.summary("<script>alert(1)</script>")
    entry.content("<p>The clinic opened.</p>", type="CDATA")

    in_atom, in_rss = wrong_in_atom(plain.atom_str()), wrong_in_rss(plain.rss_str())

    assert "two alternates of one type and language (4.1.2)" in in_atom
    assert "content is not escaped HTML (4.1.3)" in in_atom
    assert "<script> in content" in in_rss


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        (b"<title>Open day</title>", b"", "has 0 title"),
        (b"12:00:00+00:00</updated>", b"12:00:00.5+00:00</updated>", "updated is"),
        (b"000000000002</id>", b"000000000001</id>", "an id stands twice"),
        (b"11:00:00+00:00</published>", b"01:00:00+00:00</published>", "not in order"),
        (b'href="https://news.example.org/articles/3"', b'href="/articles/3"', "no address on the web"),
    ],
)
def test_mistakes_in_atom_are_found(old, new, wrong):
    document = written_as(a_head(), tricky_entries())[0][FeedFormat.ATOM]
    assert old in document
    found = wrong_in_atom(document.replace(old, new))

    assert any(wrong in each for each in found)


@pytest.mark.parametrize(
    "changes",
    [{"id": 7}, {"title": None}, {"url": "/1"}, {"tags": [""]}, {"surprise": "x"}, {"date_published": "2026-03-16"}],
)
def test_mistakes_in_json_feed_are_found(changes):
    feed = json.loads(written_as(a_head(), [an_entry()])[0][FeedFormat.JSON])
    feed["items"][0] |= changes

    assert 1 == len(wrong_in_json_feed(json.dumps(feed).encode()))


@pytest.mark.parametrize(
    "html",
    [
        "<script>x</script>",
        '<a href="javascript:x">x</a>',
        '<img src="/x.png">',
        '<p onclick="x">x</p>',
        '<p style="x">x</p>',
    ],
)
def test_mistakes_in_content_are_found(html):
    assert 1 == len(wrong_in_html(html))
