import json
import re
from datetime import timedelta

import icalendar
import pytest
from web_visitors import Browser, later

from newsletter.services.article_imports import import_document
from newsletter.services.articles import withdraw_article
from newsletter.services.context import App
from newsletter.services.reading import PAGE
from newsletter.storage.articles import visible_articles

ARTICLE = {
    "id": "first",
    "kind": "story",
    "published": "2026-03-10T09:00:00+06:00",
    "topics": ["schools"],
    "language": "en",
    "title": "A school by the river",
    "summary": "Small & brave.",
    "markdown": "First paragraph.\n\nSecond <script>alert(1)</script> paragraph, [a link](https://example.org/more).",
    "image": {
        "url": "https://example.org/school.png",
        "width": 600,
        "height": 400,
        "alt": "A school",
        "credit": "A. B.",
    },
    "translations": {"ru": {"title": "Школа у реки", "summary": "Малая.", "markdown": "Первый абзац."}},
}
EVENT = {
    "id": "open-day",
    "kind": "event",
    "published": "2026-03-12T09:00:00+06:00",
    "topics": ["rivers"],
    "language": "en",
    "title": "Open day; bring boots",
    "summary": "On the bank.",
    "markdown": "All are welcome.",
    "event": {
        "starts_at": "2026-03-20T09:00:00+06:00",
        "ends_at": "2026-03-20T12:00:00+06:00",
        "zone": "Asia/Bishkek",
        "venue": "Old bridge",
        "contact": "desk@example.org",
    },
}


def publish(app: App, *articles: dict) -> list[str]:
    """Import articles and return their uids, in the order given."""
    document = {"source": "Example Newsroom", "articles": list(articles)}
    import_document(app, "articles.json", json.dumps(document).encode())
    with app.reading() as tx:
        by_title = {
            article.translations[article.default_language].title: article.uid
            for article in visible_articles(tx.session, now=tx.now + timedelta(days=365))
        }
    return [by_title[article["title"]] for article in articles]


def test_the_first_page_shows_lists_latest_articles_topics_and_feeds(browser, newsroom):
    publish(newsroom, ARTICLE, EVENT)
    page = browser.get("/").text

    for words in (
        "The week",
        "Events",
        "A school by the river",
        "Small &amp; brave.",
        "The city",
        "/subscribe?list=weekly",
    ):
        assert words in page
    assert "Staff only" not in page
    assert page.index("Open day") < page.index("A school by the river")
    assert 'type="application/atom+xml"' in page


def test_an_article_is_shown_with_its_image_and_topics(browser, newsroom):
    [uid] = publish(newsroom, ARTICLE)
    page = browser.get(f"/articles/{uid}")

    assert 200 == page.status_code
    for words in (
        "<h1>A school by the river</h1>",
        "10 March 2026",
        'alt="A school"',
        'width="600"',
        "A. B.",
        "Second",
        'href="https://example.org/more"',
        "/topics/schools",
    ):
        assert words in page.text
    assert "<script" not in page.text


def test_an_article_is_shown_in_the_visitors_language_or_the_one_there_is(browser, newsroom):
    [uid] = publish(newsroom, ARTICLE)
    russian, kyrgyz = browser.get(f"/articles/{uid}?lang=ru").text, browser.get(f"/articles/{uid}?lang=ky").text

    assert "<h1>Школа у реки</h1>" in russian
    assert "<h1>A school by the river</h1>" in kyrgyz
    assert '<article class="card" lang="en">' in kyrgyz
    assert '<html lang="ky"' in kyrgyz


def test_an_event_says_when_and_where_and_goes_into_a_calendar(browser, newsroom):
    [uid] = publish(newsroom, EVENT)
    page = browser.get(f"/articles/{uid}")
    answer = browser.get(f"/articles/{uid}.ics")
    [event] = icalendar.Calendar.from_ical(answer.content).walk("VEVENT")

    assert "Old bridge" in page.text
    assert "desk@example.org" in page.text
    assert f"/articles/{uid}.ics" in page.text
    assert answer.headers["content-type"].startswith("text/calendar")
    assert (f"{uid}@news.example.org", "Open day; bring boots") == (event["uid"], event["summary"])
    assert timedelta(hours=3) == event.end - event.start


def test_what_is_withdrawn_is_gone_and_says_so(browser, newsroom):
    [uid] = publish(newsroom, ARTICLE)
    withdraw_article(newsroom, uid, reason="wrong figures")
    page = browser.get(f"/articles/{uid}")

    assert 410 == page.status_code
    assert "river" not in page.text
    assert "A school by the river" not in browser.get("/topics/schools").text


def test_what_is_still_to_come_is_not_there(newsroom):
    [uid] = publish(newsroom, {**ARTICLE, "published": "2026-03-17T09:00:00+06:00"})

    assert 404 == Browser(newsroom).get(f"/articles/{uid}").status_code
    assert "by the river" not in Browser(newsroom).get("/").text
    assert 200 == Browser(later(newsroom, timedelta(days=2))).get(f"/articles/{uid}").status_code


@pytest.mark.parametrize(
    "path", ["/articles/x", "/articles/x.ics", "/articles/.ics", "/topics/x", "/topics/schools?after=x"]
)
def test_what_does_not_exist_is_answered_by_a_page(browser, path):
    page = browser.get(path)

    assert 404 == page.status_code
    assert "nothing at this address" in page.text


def test_an_article_without_an_event_has_no_calendar_file(browser, newsroom):
    [uid] = publish(newsroom, ARTICLE)

    assert 404 == browser.get(f"/articles/{uid}.ics").status_code


def test_a_topic_shows_what_lies_under_it_too(browser, newsroom):
    publish(newsroom, ARTICLE, EVENT)
    city, schools = browser.get("/topics/city").text, browser.get("/topics/schools").text

    for page in (city, schools):
        assert "A school by the river" in page
        assert "Open day" not in page
    assert "/topics/schools" in city
    assert "/topics/city" in schools
    assert "/feeds/topic-city-en.atom" in city
    assert "/subscribe?topic=city" in city


def test_a_topic_without_articles_says_so(browser):
    assert "Nothing has been published on this topic yet" in browser.get("/topics/rivers").text


def test_topics_are_listed_each_under_its_parent(browser):
    page = browser.get("/topics/").text

    assert page.index("The city") < page.index("Schools") < page.index("Rivers")


@pytest.mark.slow
def test_older_articles_follow_in_pages_without_gap_or_repeat(browser, newsroom):
    articles = [
        {**ARTICLE, "id": f"a{n}", "title": f"Story number {n:02}", "translations": {}, "markdown": f"Text {n} " * 20}
        for n in range(PAGE * 2 + 1)
    ]
    publish(newsroom, *articles)
    seen, path = [], "/topics/schools"
    while path:
        page = browser.get(path).text
        seen += [word.split("<")[0] for word in page.split("Story number ")[1:]]
        older = re.search(r'/topics/schools\?after=[\w-]+(?=">Older)', page)
        path = older[0] if older else ""

    assert len(articles) == len(seen) == len(set(seen))
