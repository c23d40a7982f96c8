"""Searching, the preview, the form for other sites, the site map, and what other sites show of a link."""

import json
import re
import time
from dataclasses import replace
from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest
from web_visitors import Browser, find, stamp_of

from newsletter.services.article_imports import import_document
from newsletter.services.search import index_articles
from newsletter.services.subscribers import export_subscriber
from newsletter.web import rates
from newsletter.web.application import build_web
from newsletter.web.sign_up import LONGEST, QUICKEST

FORM = {"address": "aida@example.org", "list": "weekly"}


@pytest.fixture
def reading_room(newsroom):
    """A newsroom with two published stories, one of them five weeks old."""
    told = {"topics": ["rivers"]}
    items = [
        {
            "id": str(days),
            "title": title,
            "published": days_ago(newsroom, days),
            **told,
            "paragraphs": [f"{title}. " * 9],
        }
        for days, title in ((2, "The river rises"), (35, "A river of old"))
    ]
    import_document(newsroom, "articles.json", json.dumps(items).encode(), source="Press")
    index_articles(newsroom)
    return newsroom


def days_ago(newsroom, days: int) -> str:
    return (newsroom.clock() - timedelta(days=days)).isoformat()


@pytest.mark.slow
def test_articles_are_found_by_words(reading_room):
    browser = Browser(reading_room)
    found, none, empty = (browser.get(f"/search?q={query}") for query in ("rivers", "volcano", ""))

    assert "The river rises" in found.text
    assert "Nothing has all of these words" in none.text
    assert "Nothing has all" not in empty.text


@pytest.mark.parametrize("query", ["%00", "%27%22%29%3B", "x" * 9000, "%F0%9F%92%A9", "%ED%A0%80", "a&after=no-such"])
def test_no_query_breaks_the_search(reading_room, query):
    assert Browser(reading_room).get(f"/search?q={query}").status_code in (200, 404)


@pytest.mark.slow
def test_the_preview_shows_the_last_week_and_stores_nothing(reading_room):
    browser = Browser(reading_room)
    page = browser.post("/subscribe", data={**FORM, "preview": "1"})
    part = browser.post("/subscribe/preview", data=FORM)
    other = browser.post("/subscribe/preview", data={**FORM, "topic": "schools"})
    unchosen = browser.post("/subscribe/preview", data={})

    for answer in (page, part):
        assert "The river rises" in answer.text
        assert "A river of old" not in answer.text
    assert 'value="aida@example.org"' in page.text
    assert "<html" not in part.text
    assert "nothing lately" in other.text
    assert "Choose at least one" in unchosen.text
    assert [] == find(reading_room, "aida@example.org")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limit", "path", "form"),
    [
        ("MOST_SEARCHES", "/search?q=rivers&lang=ru", None),
        ("MOST_PREVIEWS", "/subscribe?lang=ru", {**FORM, "preview": "1"}),
        ("MOST_PREVIEWS", "/subscribe/preview?lang=ru", FORM),
    ],
)
def test_a_network_that_asks_for_costly_pages_all_the_time_waits_a_minute_and_no_other_does(
    reading_room, monkeypatch, limit, path, form
):
    monkeypatch.setattr(rates, limit, 2)
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    web = build_web(reading_room)
    browser, neighbour, stranger = (Browser(reading_room, host=host, web=web) for host in HOSTS)

    def ask(who: Browser):
        return who.get(path) if form is None else who.post(path, data=form)

    first = [ask(browser), ask(neighbour)]
    refused = ask(browser)

    assert [200, 200, 429] == [each.status_code for each in (*first, refused)]
    assert "60" == refused.headers["retry-after"]
    assert "Подождите минуту" in refused.text
    assert 200 == ask(stranger).status_code
    assert 200 == browser.get("/search").status_code, "the empty form costs nothing"
    now += rates.MINUTE
    assert 200 == ask(browser).status_code


HOSTS = ("192.0.2.1", "192.0.2.2", "198.51.100.1")
"""Two of one network, and one of another."""


@pytest.mark.parametrize(
    ("age", "is_taken"),
    [(timedelta(), False), (QUICKEST, True), (LONGEST, True), (LONGEST * 2, False), (-LONGEST, False)],
)
def test_a_form_sent_sooner_than_read_or_long_after_is_shown_once_more(browser, newsroom, age, is_taken):
    answer = browser.post("/subscribe", data={**FORM, "stamp": stamp_of(newsroom, age=age)})

    assert is_taken == bool(find(newsroom, "aida@example.org"))
    assert is_taken != ("once more" in answer.text)


def test_a_slip_of_the_finger_is_asked_about_once(browser, newsroom):
    typed = "aida@gmial.com"
    asked = browser.subscribe(list="weekly", address=typed)
    kept = browser.subscribe(list="weekly", address=typed, **{"as-typed": typed})

    assert "Did you mean aida@gmail.com?" in asked.text
    assert f'name="as-typed" value="{typed}"' in asked.text
    assert "Look into your mailbox" in kept.text
    assert 1 == len(find(newsroom, typed))


def test_a_mailbox_that_does_not_last_is_refused(browser, newsroom):
    answer = browser.subscribe(list="weekly", address="a@mailinator.com")

    assert 422 == answer.status_code
    assert "do not last" in answer.text
    assert [] == find(newsroom, "a@mailinator.com")


def test_the_form_for_other_sites_brings_its_choices(browser):
    page = browser.get("/subscribe/embed?list=weekly&topic=rivers&lang=ru").text
    [link] = re.findall(r'value="(http[^"]+)"', page)
    form = browser.get(link.replace("&amp;", "&")).text

    assert "&lt;form method=&#34;post&#34; action=&#34;https://news.example.org/subscribe?lang=ru&#34;&gt;" in page
    assert 'value="rivers" checked' in form
    assert 'value="weekly" checked' in form
    assert "<script" not in page


@pytest.mark.slow
def test_the_site_map_lists_what_anybody_may_find(reading_room):
    browser = Browser(reading_room)
    answer = browser.get("/sitemap.xml")
    places = [each.text for each in ET.fromstring(answer.text).iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")]

    assert "application/xml" == answer.headers["content-type"]
    assert "https://news.example.org/topics/rivers" in places
    assert "https://news.example.org/archive/weekly" in places
    assert not [each for each in places if "staff" in str(each)]
    assert 2 == sum("/articles/" in str(each) for each in places)
    assert {200} == {browser.get(str(each).removeprefix("https://news.example.org")).status_code for each in places}
    assert "Sitemap: https://news.example.org/sitemap.xml" in browser.get("/robots.txt").text


@pytest.mark.parametrize("path", ["/", "/topics/rivers", "/archive/weekly"])
def test_other_sites_know_what_a_link_shows(browser, path):
    page = browser.get(path).text

    assert f'<meta property="og:url" content="https://news.example.org{path}">' in page
    assert '<meta property="og:title" content="' in page
    assert f'<link rel="canonical" href="https://news.example.org{path}">' in page


@pytest.mark.parametrize(("kept", "words"), [("hashed", r"network [0-9a-f]{32}$"), ("none", r"/subscribe in en$")])
def test_a_newsroom_says_how_much_of_a_network_goes_on_record(newsroom, kept, words):
    settings = newsroom.settings.model_copy(update={"consent_network": kept})
    Browser(replace(newsroom, settings=settings)).subscribe(**FORM)
    [consent] = export_subscriber(newsroom, "aida@example.org").subscriptions[0].consent

    assert re.search(words, str(consent.evidence))
    assert "192.0.2" not in str(consent.evidence)


def test_pages_are_small(browser):
    assert max(len(browser.get(path).content) for path in ("/", "/subscribe", "/archive/", "/topics/")) < 50_000
