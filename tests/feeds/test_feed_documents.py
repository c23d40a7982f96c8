"""Documents in all formats: right by their specifications, equal in what they say, equal byte by byte when rebuilt."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from time import struct_time

import feedparser
import pytest
from feed_rules import wrong_in_atom, wrong_in_json_feed, wrong_in_rss
from feed_samples import AUTHORITY, BASE, NOON, a_head, an_entry, tricky_entries, written_as
from lxml import etree

from newsletter.domain.feeds import FEWEST_ENTRIES, LARGEST_DOCUMENT, FeedFormat
from newsletter.feeds import atom, rss
from newsletter.feeds.documents import fit_entries, write_documents
from newsletter.feeds.fragments import FragmentCache, PartCache, write_entry

GOLDEN = Path(__file__).parent / "golden"
HUB = "https://hub.example.org/"


def bodies(entries, **head) -> dict[FeedFormat, bytes]:
    return written_as(a_head(**head), entries)[0]


@pytest.fixture(params=["tricky", "empty"])
def documents(request) -> dict[FeedFormat, bytes]:
    """A full feed with a hub and a removal, and an empty one with neither."""
    if request.param == "empty":
        return bodies([], siblings=(), logo_url="")
    return bodies(tricky_entries(), hubs=(HUB,), gone=((AUTHORITY.entry_id("gone"), NOON - timedelta(days=1)),))


def test_atom_keeps_its_rules(documents):
    assert [] == wrong_in_atom(documents[FeedFormat.ATOM])


def test_rss_keeps_its_rules(documents):
    assert [] == wrong_in_rss(documents[FeedFormat.RSS])


def test_json_feed_keeps_its_rules(documents):
    assert [] == wrong_in_json_feed(documents[FeedFormat.JSON])


@pytest.mark.parametrize("form", list(FeedFormat))
def test_documents_are_as_reviewed(form):
    """Golden files: a change in them is a change for every reader, and is looked at as a diff.

    After a wanted change, raise FORM in services/feed_writing.py, so that stored documents are built anew; delete the
    golden files and run this test twice.
    """
    path = GOLDEN / f"all-en.{form}"
    gone = ((AUTHORITY.entry_id("gone"), NOON - timedelta(days=1)),)
    readable = _readable(bodies(tricky_entries(), hubs=(HUB,), gone=gone)[form], form)
    if not path.exists():
        path.write_bytes(readable)
        pytest.fail(f"wrote {path.name} anew; look at it and run again")

    assert path.read_bytes().decode() == readable.decode()


def _readable(document: bytes, form: FeedFormat) -> bytes:
    if form is FeedFormat.JSON:
        return json.dumps(json.loads(document), ensure_ascii=False, indent=1).encode() + b"\n"
    parsed = etree.fromstring(document, etree.XMLParser(remove_blank_text=True))
    return etree.tostring(parsed, encoding="UTF-8", xml_declaration=True, pretty_print=True)


def test_joined_entries_equal_what_feedgen_builds_in_one_go():
    """Byte by byte: the cache of written entries changes nothing but the time it takes."""
    entries, head = tricky_entries(), a_head()
    atom_feed, rss_feed = atom.atom_generator(head), rss.rss_generator(head)
    for entry in entries:
        atom_feed.add_entry(atom.atom_entry(entry), order="append")
        rss_feed.add_entry(rss.rss_entry(entry), order="append")
    written, _ = written_as(head, entries)

    assert atom_feed.atom_str() == written[FeedFormat.ATOM]
    assert rss_feed.rss_str() == written[FeedFormat.RSS]


def test_the_same_data_makes_the_same_bytes():
    assert bodies(tricky_entries()) == bodies(tricky_entries())


def test_the_formats_say_the_same():
    """Read by a parser that shares no code with what wrote them."""
    written = bodies(tricky_entries())
    items = json.loads(written[FeedFormat.JSON])["items"]

    for form in (FeedFormat.ATOM, FeedFormat.RSS):
        feed = read(written[form])

        assert not feed.bozo
        assert [item["id"] for item in items] == [entry.id for entry in feed.entries]
        assert [item["url"] for item in items] == [entry.link for entry in feed.entries]
        assert [item["title"] for item in items] == [entry.title for entry in feed.entries]
        assert [item["content_html"] for item in items] == [entry.content[0].value for entry in feed.entries]
        assert [item["tags"] for item in items] == [[tag.label or tag.term for tag in e.tags] for e in feed.entries]
        assert [item["authors"][0]["name"] for item in items] == [entry.author for entry in feed.entries]
        assert [_stamp(item["date_published"]) for item in items] == [e.published_parsed for e in feed.entries]
        assert [_stamp(item["date_modified"]) for item in items] == [e.updated_parsed for e in feed.entries]


def read(document: bytes):
    """Read as a feed reader does, but show what came and not what a reader's cleaning made of it."""
    return feedparser.parse(document, sanitize_html=False, resolve_relative_uris=False)


def _stamp(text: str) -> struct_time:
    return datetime.fromisoformat(text).utctimetuple()


def test_plain_text_is_escaped_as_often_as_its_place_asks():
    """An RSS description is HTML inside XML; a title and an Atom summary are text inside XML."""
    written = bodies(tricky_entries())
    item = etree.fromstring(written[FeedFormat.RSS]).find("channel/item")
    entry = etree.fromstring(written[FeedFormat.ATOM]).find("{*}entry")

    assert "Prices &lt; 5 &amp; &gt; 3 &lt;script&gt;alert(1)&lt;/script&gt;" == item.findtext("description")
    assert "Prices < 5 & > 3 <script>alert(1)</script>" == entry.findtext("{*}summary")
    assert "Food & drink: <b>bold</b> prices, “quotes”" == item.findtext("title") == entry.findtext("{*}title")


def test_the_image_is_the_first_figure_and_media_content():
    written = bodies(tricky_entries())
    for form, tag in ((FeedFormat.ATOM, "{*}entry"), (FeedFormat.RSS, "channel/item")):
        media = etree.fromstring(written[form]).find(tag).find("{http://search.yahoo.com/mrss/}content")

        assert {
            "url": "https://example.org/i.jpg?w=1&h=2",
            "medium": "image",
            "type": "image/jpeg",
            "width": "800",
            "height": "600",
        } == dict(media.attrib)
        assert "Photo: A & B" == media.findtext("{http://search.yahoo.com/mrss/}credit")
        assert 'A "stall" & fruit' == media.findtext("{http://search.yahoo.com/mrss/}description")
    assert "https://example.org/i.jpg?w=1&h=2" == json.loads(written[FeedFormat.JSON])["items"][0]["image"]


def test_readers_take_the_article_for_the_link_and_the_site_for_the_channel():
    """Two traps of feedgen: the image or the hub taken for the link."""
    written = bodies(tricky_entries(), hubs=(HUB,))
    for form in (FeedFormat.ATOM, FeedFormat.RSS):
        feed = read(written[form])

        assert f"{BASE}/" == feed.feed.link
        assert f"{BASE}/articles/1" == feed.entries[0].link
        assert [f"{BASE}/feeds/all-en.{form}"] == [each.href for each in feed.feed.links if each.rel == "self"]
        assert [HUB] == [each.href for each in feed.feed.links if each.rel == "hub"]
        assert [f"{BASE}/feeds/all-ru.{form}"] == [
            each.href for each in feed.feed.links if each.get("hreflang") == "ru"
        ]


def test_a_removed_article_is_named_in_atom():
    when = NOON - timedelta(days=1)
    root = etree.fromstring(bodies([], gone=((AUTHORITY.entry_id("gone"), when),))[FeedFormat.ATOM])
    (tombstone,) = root.findall("{http://purl.org/atompub/tombstones/1.0}deleted-entry")

    assert {"ref": AUTHORITY.entry_id("gone"), "when": when.isoformat()} == dict(tombstone.attrib)


def test_a_typo_changes_the_bytes_and_not_the_times():
    entries = tricky_entries()
    mended = [replace(entries[0], content_html="<p>Prices &lt; 6</p>"), *entries[1:]]
    before, after = bodies(entries), bodies(mended)

    for form in FeedFormat:
        assert before[form] != after[form]
    updated = "{*}updated"
    assert [each.text for each in etree.fromstring(before[FeedFormat.ATOM]).iter(updated)] == [
        each.text for each in etree.fromstring(after[FeedFormat.ATOM]).iter(updated)
    ]


def test_an_entry_that_cannot_be_written_is_left_out_and_reported():
    broken = replace(an_entry(2), title="a \x00 in the title, which no XML can hold")
    written, fitted = written_as(a_head(), [an_entry(1), broken, an_entry(3)])

    assert [1, 3] == [entry.article_id for entry in fitted.entries]
    assert 2 == len(json.loads(written[FeedFormat.JSON])["items"])
    (problem,) = fitted.problems
    assert problem.startswith("article 2 is left out: ")


def test_long_articles_make_no_long_document():
    """All formats hold the same entries, the older ones in brief."""
    entries = [an_entry(n, body_html=f"<p>{'слово ' * 3000}</p>") for n in range(1, 51)]
    written, fitted = written_as(a_head(), entries)
    items = json.loads(written[FeedFormat.JSON])["items"]

    assert max(map(len, written.values())) <= LARGEST_DOCUMENT
    assert FEWEST_ENTRIES == len(items) == len(fitted.entries)
    assert "слово" in items[0]["content_html"]
    assert "<p>The clinic number 30 opened.</p>" == items[-1]["content_html"]
    assert [] == wrong_in_atom(written[FeedFormat.ATOM])


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_document_is_as_large_as_it_says(count):
    """It is counted without being put together, which is left to who serves it."""
    fitted = fit_entries([an_entry(number) for number in range(1, count + 1)], FragmentCache())
    recipes = write_documents(a_head(), fitted)

    assert {form: len(recipe.body) for form, recipe in recipes.items()} == {
        form: recipe.size for form, recipe in recipes.items()
    }


def test_documents_of_one_head_differ_in_their_time_alone():
    """A head is kept as it is written, whatever time it had then."""
    fitted = fit_entries([an_entry(1)], FragmentCache())
    earlier, later = (write_documents(a_head(updated=NOON + timedelta(days=n)), fitted) for n in range(2))

    assert earlier[FeedFormat.JSON].head == later[FeedFormat.JSON].head
    assert b"<updated>2026-03-16T" in earlier[FeedFormat.ATOM].head
    assert b"<updated>2026-03-17T" in later[FeedFormat.ATOM].head
    assert b"<lastBuildDate>Mon, 16 Mar 2026" in earlier[FeedFormat.RSS].head
    assert b"<lastBuildDate>Tue, 17 Mar 2026" in later[FeedFormat.RSS].head


def test_written_entries_are_kept_by_what_they_say(monkeypatch):
    """Publishing one article costs the writing of one article."""
    written = []
    monkeypatch.setattr(
        "newsletter.feeds.fragments.write_entry", lambda entry: written.append(entry.id) or write_entry(entry)
    )
    cache = FragmentCache()
    written_as(a_head(), [an_entry(2), an_entry(3)], cache)
    written_as(a_head(title="Another"), [an_entry(1), an_entry(2), an_entry(3, title="Mended")], cache)

    assert [an_entry(n).id for n in (2, 3, 1, 3)] == written


def test_parts_keep_to_their_capacity_and_are_what_was_written():
    written = [write_entry(an_entry(number)) for number in range(1, 20)]
    packed = {each.digest: each.packed for each in written}
    cache = PartCache(capacity=5_000)
    parts = cache.unpack(FeedFormat.JSON, packed)
    cache.unpack(FeedFormat.JSON, {written[-1].digest: written[-1].packed})
    known = cache.known(FeedFormat.JSON, packed)

    assert [an_entry(number).id for number in range(1, 20)] == [json.loads(each)["id"] for each in parts.values()]
    assert 1 < len(known) < 19
    assert sum(map(len, known.values())) == cache._bytes <= 5_000
    assert known.items() <= parts.items()
    assert {} == cache.known(FeedFormat.ATOM, packed)


def test_the_cache_keeps_to_its_capacity():
    cache = FragmentCache(capacity=5_000)
    for number in range(1, 40):
        cache.fragment(an_entry(number))

    assert 1 < len(cache._kept) < 39
    assert cache._bytes <= 5_000
    assert an_entry(39) in cache._kept
    kept = sum(len(e.content_html) + len(f.packed) for e, f in cache._kept.items())
    assert kept == cache._bytes
