"""What is taken of a source's first document and of later ones, and what was there before it was asked."""

import pytest
from polled import add, articles, counts, news, poll
from source_server import item, rss

from newsletter.domain.articles import Kind
from newsletter.services.topics import load_topic_document


class TestFirstPoll:
    def test_takes_the_newest_and_mails_nothing(self, desk, source):
        add(desk, source.put("/feed", rss(*(item(number) for number in range(20)))), first_items=5)
        report = poll(desk)

        assert ("changed", 5) == (report.result, len(report.outcomes))
        assert {f"Story number {number}" for number in range(15, 20)} == set(articles(desk))
        assert [] == news(desk)

    @pytest.mark.slow
    def test_what_was_left_out_never_comes_in_and_what_is_new_is_news(self, desk, source):
        add(desk, source.put("/feed", rss(*(item(number) for number in range(10)))), first_items=3)
        poll(desk)
        source.put(
            "/feed",
            rss(item(20), *(item(number) for number in range(10)), item(77, pubDate="Sun, 01 Mar 2026 01:00:00 GMT")),
        )
        report = poll(desk)

        assert 4 == len(articles(desk))
        assert ["Story number 20"] == news(desk)
        assert {"new": 1, "same": 3} == counts(desk)
        assert 4 == len(report.outcomes)

    def test_mails_what_was_there_where_staff_ask_for_it(self, desk, source):
        add(desk, source.put("/feed", rss(item(1), item(2))), mails_first=True)
        poll(desk)

        assert ["Story number 1", "Story number 2"] == news(desk)

    def test_of_no_items_takes_none(self, desk, source):
        add(desk, source.put("/feed", rss(item(1), item(2))), first_items=0)
        poll(desk)
        source.put("/feed", rss(item(3, pubDate="Mon, 16 Mar 2026 02:00:00 GMT"), item(1), item(2)))
        poll(desk)

        assert ["Story number 3"] == list(articles(desk))

    def test_gives_articles_what_staff_decided(self, desk, source):
        topics = b"topics: [{slug: water, labels: {en: Water}}, {slug: rivers, labels: {en: Rivers}}]"
        load_topic_document(desk, "t.yaml", topics)
        url = source.put(
            "/feed",
            rss(
                item(1, more="<category>Rivers</category><category>Odd</category>"),
                channel="<language>en-us</language>",
            ),
        )
        add(desk, url, kind=Kind.PRESS_RELEASE, topics=["Water"], language="ky")
        (outcome,) = poll(desk).outcomes
        (article,) = articles(desk).values()

        assert (Kind.PRESS_RELEASE, "ky", "press") == (article.kind, article.default_language, article.source)
        assert 2 == len(article.counting_topics)
        assert () == outcome.warnings
