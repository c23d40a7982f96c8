"""Entries from articles: what they say, made whole and clean."""

from datetime import timedelta

import pytest
from feed_samples import BASE, NOON, an_article, an_entry

from newsletter.feeds.entries import absolute, make_entry


def test_an_article_without_significant_update_was_updated_when_published():
    """An import of a hundred old articles must not stamp them all with the time of the import."""
    entry = an_entry(1, updated_at=NOON, revision=1)

    assert entry.published == entry.updated == NOON - timedelta(hours=1)


def test_a_significant_update_is_told_in_whole_seconds():
    entry = an_entry(1, updated_at=NOON.replace(microsecond=123_456), revision=2)

    assert NOON == entry.updated
    assert NOON - timedelta(hours=1) == entry.published


def test_published_is_when_the_embargo_passed():
    entry = an_entry(1, visible_at=NOON, updated_at=NOON - timedelta(days=1), revision=2)

    assert NOON == entry.published == entry.updated


def test_texts_lose_what_xml_forbids_and_stand_on_one_line():
    entry = an_entry(title="A\x00\ud800 title\r\n in\ttwo\x0blines\ufffe", body_html="<p>bo\x1bdy</p>\r\n<p>x</p>")

    assert "A title in twolines" == entry.title
    assert "<p>body</p>\n<p>x</p>" == entry.content_html


def test_an_article_without_a_title_makes_no_entry():
    with pytest.raises(ValueError, match="has no title in 'en'; give it one"):
        an_entry(title=" \x00 ")


def test_the_lead_image_opens_the_content_once():
    image = {"image_url": "/media/i.jpg?a=1&b=2", "image_alt": 'A "stall"', "image_credit": "A & B"}
    url = "https://news.example.org/media/i.jpg?a=1&amp;b=2"
    shown = an_entry(**image)
    already = an_entry(**image, body_html=f'<p>Look:</p><img src="{url}" alt="">')

    assert shown.content_html.startswith(
        f'<figure><img src="{url}" alt="A &quot;stall&quot;"><figcaption>A &amp; B</figcaption></figure>\n<p>'
    )
    assert 1 == already.content_html.count("<img")
    assert "https://news.example.org/media/i.jpg?a=1&b=2" == already.image.url


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:image/png;base64,AAAA", "http://[", "", None])
def test_an_image_that_is_not_on_the_web_is_left_out(url):
    entry = an_entry(image_url=url)

    assert entry.image is None
    assert "<img" not in entry.content_html


def test_event_details_stand_before_the_text():
    entry = an_entry(facts=[("When", "Friday"), ("Where", "Hall <2> & garden")])

    assert entry.content_html.startswith(
        "<p><strong>When:</strong> Friday<br><strong>Where:</strong> Hall &lt;2&gt; &amp; garden</p>\n<p>The clinic"
    )


def test_an_article_without_body_is_told_by_its_summary():
    assert "<p>A &lt; B</p>" == an_entry(body_html=" ", summary="A < B").content_html
    assert not an_entry(body_html="", summary="").content_html


def test_an_entry_in_brief_keeps_everything_but_its_content():
    entry = an_entry(summary="Short & sweet", image_url="https://example.org/i.png")
    brief = entry.in_brief()

    assert "<p>Short &amp; sweet</p>" == brief.content_html
    assert (entry.id, entry.title, entry.image, entry.published) == (
        brief.id,
        brief.title,
        brief.image,
        brief.published,
    )
    assert "<p>Clinic 1 opens</p>" == an_entry(summary="").in_brief().content_html


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<a href="/a?x=1&amp;y=2">a</a>', f'<a href="{BASE}/a?x=1&amp;y=2">a</a>'),
        ('<a title="a &gt; b > c" href="b">b</a>', f'<a title="a &gt; b &gt; c" href="{BASE}/dir/b">b</a>'),
        ('<img alt="" src="//cdn.example.org/i.png">', '<img alt="" src="https://cdn.example.org/i.png">'),
        ('<a href="#note">1</a>&nbsp;&#160;&lt;b&gt;', f'<a href="{BASE}/dir/page#note">1</a>&nbsp;&#160;&lt;b&gt;'),
        (
            '<a href="?q">q</a><br><img src="x" alt>',
            f'<a href="{BASE}/dir/page?q">q</a><br><img src="{BASE}/dir/x" alt>',
        ),
        ('<a href="mailto:a@b.org">m</a><a name="x">n</a>', '<a href="mailto:a@b.org">m</a><a name="x">n</a>'),
        ('<a href="/ok">1</a><a href="http://[">2</a>', f'<a href="{BASE}/ok">1</a><a href="http://[">2</a>'),
        ("<p>href= src= in words</p>", "<p>href= src= in words</p>"),
    ],
)
def test_relative_addresses_become_absolute_and_nothing_else_changes(html, expected):
    assert expected == absolute(html, f"{BASE}/dir/page")
    assert expected == absolute(expected, f"{BASE}/elsewhere")


def test_entries_that_would_be_written_alike_are_equal():
    """The cache of written entries stands on it."""
    again = make_entry(
        an_article(1),
        "en",
        entry_id=an_entry(1).id,
        url=an_entry(1).url,
        author="Example  Newsroom",
        day=an_entry(1).day,
        categories=list(an_entry(1).categories),
    )

    assert an_entry(1) == again
    assert hash(an_entry(1)) == hash(again)
    assert an_entry(1) != an_entry(1, body_html="<p>A typo less.</p>")
