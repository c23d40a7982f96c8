"""Feeds with the beginnings of texts are completed from the pages that they lead to, within bounds."""

from datetime import timedelta

import pytest
from polled import LONG, add, articles, poll, poll_of
from source_server import item, rss

from newsletter.domain.articles import ArticleState
from newsletter.services import item_pages


class TestFullText:
    PAGE = (
        '<html><head><meta property="og:image" content="/lead.jpg"><meta property="og:image:alt" content="The bridge">'
        f"</head><body><nav><a href='/'>Home</a></nav><article><h1>A title</h1><p>{LONG}</p></article></body></html>"
    )

    def test_comes_from_the_page_where_a_feed_has_an_excerpt(self, desk, source):
        link = source.put("/page", self.PAGE, headers={"Content-Type": "text/html; charset=utf-8"})
        add(desk, source.put("/feed", rss(item(1, link=link, description="The beginning of it."))))
        poll(desk)
        (article,) = articles(desk).values()

        assert "its feed has not" in article.own_translation.body_html
        assert "Home" not in article.own_translation.body_html
        assert "The beginning of it." == article.own_translation.summary
        assert (source.url + "/lead.jpg", "The bridge") == (article.image_url, article.own_translation.image_alt)

    def test_is_fetched_once(self, desk, source):
        link = source.put("/page", self.PAGE)
        add(desk, source.put("/feed", rss(item(1, link=link, description="The beginning."))))
        poll(desk)
        source.put(
            "/feed",
            rss(item(2), item(1, link=link, description="The beginning.", pubDate="Sat, 14 Mar 2026 01:00:00 GMT")),
        )
        poll(desk)

        assert 1 == len(source.requests("/page"))
        assert 2 == len(articles(desk))

    @pytest.mark.parametrize(
        "page",
        [
            pytest.param({"status": 404}, id="none"),
            pytest.param({"body": "%PDF-1.7", "headers": {"Content-Type": "application/pdf"}}, id="no page"),
            pytest.param({"body": "<p>Accept our cookies</p>"}, id="nothing on it"),
            pytest.param({"body": "<div>" * 500 + LONG}, id="too deep"),
            pytest.param({"body": b"\0\1\2" * 900}, id="binary"),
            pytest.param({"body": b"x" * 2_000_000}, id="too large"),
        ],
    )
    def test_that_cannot_be_had_leaves_the_excerpt(self, desk, source, page):
        link = source.put("/page", **page)
        add(desk, source.put("/feed", rss(item(1, link=link, description="The beginning of it."))))
        (outcome,) = poll(desk).outcomes
        (article,) = articles(desk).values()

        assert ArticleState.PUBLISHED == article.state
        assert "The beginning of it." == article.own_translation.summary
        assert any("the feed's excerpt was taken" in each for each in outcome.warnings)

    @pytest.mark.slow
    def test_of_slow_pages_is_left_for_the_next_poll(self, desk, source, monkeypatch):
        """Those that were fetched are published; the rest come a minute later, and none twice."""
        add(desk, source.put("/feed", rss(item(0))))
        poll(desk)
        link = source.put("/page", self.PAGE)
        excerpts = [item(number, link=f"{link}?{number}", description="Short.") for number in range(1, 4)]
        for number in range(1, 4):
            source.put(f"/page?{number}", self.PAGE.replace("A sentence", f"Sentence {number} of its own"))
        source.put("/feed", rss(*excerpts, item(0)), headers={"ETag": '"1"'})
        monkeypatch.setattr(item_pages, "PAGES_SECONDS", -1)
        poll(desk)
        found = poll_of(desk)
        monkeypatch.setattr(item_pages, "PAGES_SECONDS", 60)

        assert 1 == len(articles(desk))
        assert found.due_at - found.polled_at <= timedelta(minutes=1)
        poll(desk)
        assert 4 == len(articles(desk))
        assert 4 == len(source.requests("/page?1") + source.requests("/page?2") + source.requests("/page?3")) + 1

    def test_is_not_fetched_where_staff_do_not_want_it(self, desk, source):
        link = source.put("/page", self.PAGE)
        add(desk, source.put("/feed", rss(item(1, link=link, description="Short."))), takes_full_text=False)
        poll(desk)

        assert [] == source.requests("/page")
