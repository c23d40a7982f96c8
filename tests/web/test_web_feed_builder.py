"""The page where a feed is put together: a form without scripts, whose addresses are those that feeds have."""

import re
from html import unescape

import pytest

VALUE = re.compile(r'readonly value="([^"]+)"')


def addresses(answer) -> list[str]:
    return [unescape(value) for value in VALUE.findall(answer.text)]


def test_the_page_offers_everything_there_is(browser):
    answer = browser.get("/feeds")

    assert 200 == answer.status_code
    for name, value in (("topic", "schools"), ("kind", "press-release"), ("list", "weekly"), ("lang", "ky")):
        assert f'name="{name}" value="{value}"' in answer.text
    assert "Staff only" not in answer.text, "a hidden list stays hidden"
    assert [] == addresses(answer)
    assert "/feeds.opml" in answer.text


def test_what_is_chosen_gets_the_address_that_the_feed_has(browser):
    answer = browser.get("/feeds?topic=rivers&topic=schools&kind=story&list=&lang=ru")
    found = addresses(answer)

    assert "https://news.example.org/feeds/custom.atom?topic=rivers&topic=schools&kind=story&lang=ru" == found[0]
    assert 3 == len(found), "no event is a story, so that there is no calendar"
    for address in found:
        feed = browser.get(address.removeprefix("https://news.example.org"))
        assert 200 == feed.status_code, "without a redirect"
    assert "Реки" in answer.text
    assert 'value="rivers" checked' in answer.text, "the form remembers"


def test_one_choice_gets_the_named_feed(browser):
    found = addresses(browser.get("/feeds?topic=rivers&lang=en"))

    assert [
        f"https://news.example.org/feeds/topic-rivers-en.{suffix}" for suffix in ("atom", "rss", "json", "ics")
    ] == (found)


@pytest.mark.parametrize("query", ["topic=nothing", "kind=%00", "&".join(f"topic=t{n}" for n in range(40)), "lang=fr"])
def test_what_does_not_exist_is_refused_in_words(browser, query):
    answer = browser.get(f"/feeds?{query}")

    assert 422 == answer.status_code
    assert "Choose anew" in answer.text
    assert [] == addresses(answer)


@pytest.mark.parametrize("path", ["/", "/subscribe", "/archive/", "/topics/", "/feeds", "/nothing-here"])
def test_every_page_names_the_feeds(browser, path):
    """In its head and in its headers, where readers look (RFC 8288)."""
    answer = browser.get(path)

    for media_type, suffix in (("atom+xml", "atom"), ("rss+xml", "rss"), ("feed+json", "json")):
        address = f"https://news.example.org/feeds/all-en.{suffix}"
        assert f'<link rel="alternate" type="application/{media_type}"' in answer.text
        assert f'<{address}>; rel="alternate"; type="application/{media_type}"' in answer.headers["link"]
    assert 1 == answer.text.count('href="https://news.example.org/feeds/all-en.atom">\n'), "once in the head"


def test_a_slash_behind_it_leads_to_the_page(browser):
    answer = browser.get("/feeds/")

    assert (301, "https://news.example.org/feeds") == (answer.status_code, answer.headers["location"])
