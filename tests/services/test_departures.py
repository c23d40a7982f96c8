"""What is gone at its source is withdrawn here, and what only fell off the end of a feed is not."""

from datetime import timedelta

import pytest
from polled import LONG, add, articles, poll, poll_of
from source_server import item, rss
from sqlalchemy import update

from newsletter.domain.articles import ArticleState
from newsletter.storage.engine import database_now
from newsletter.storage.sources import PollRow


class TestWithdrawnAtTheSource:
    @pytest.mark.slow
    def test_what_falls_off_the_end_stays(self, desk, source):
        add(desk, source.put("/feed", rss(*(item(number) for number in range(9, 0, -1)))))
        poll(desk)
        source.put("/feed", rss(item(11), item(10), *(item(number) for number in range(9, 3, -1))))
        report = poll(desk)

        assert () == report.withdrawn
        assert {} == poll_of(desk).missing
        assert 11 == len(articles(desk))

    @pytest.mark.parametrize(("status", "is_withdrawn"), [(410, True), (404, False), (200, False), (500, False)])
    def test_what_left_the_middle_is_looked_at(self, desk, source, status, is_withdrawn):
        link = source.put("/page", "words", status=status)
        add(desk, source.put("/feed", rss(item(3), item(2, link=link), item(1))))
        poll(desk)
        source.put("/feed", rss(item(3), item(1)))
        report = poll(desk)
        article = articles(desk)["Story number 2"]

        assert is_withdrawn is bool(report.withdrawn)
        assert (ArticleState.WITHDRAWN if is_withdrawn else ArticleState.PUBLISHED) == article.state

    @pytest.mark.slow
    def test_a_page_not_found_twice_in_an_hour_is_gone(self, desk, source):
        link = source.put("/page", "words", status=404)
        add(desk, source.put("/feed", rss(item(3), item(2, link=link), item(1)), headers={"ETag": '"1"'}))
        poll(desk)
        source.put("/feed", rss(item(3), item(1)), headers={"ETag": '"2"'})
        poll(desk)
        assert () == poll(desk).withdrawn
        with desk.transaction() as tx:
            before = (database_now(tx.session) - timedelta(hours=2)).isoformat()
            tx.session.execute(update(PollRow).values(missing={"id:item-2": before}))
        report = poll(desk)

        assert "unchanged" == report.result
        assert [articles(desk)["Story number 2"].uid] == list(report.withdrawn)
        assert "its page answers 404" in articles(desk)["Story number 2"].withdrawal_reason

    def test_a_tombstone_withdraws(self, desk, source):
        atom = (
            '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:at="http://purl.org/atompub/tombstones/1.0">'
            "<title>Press</title><id>tag:x</id>{}</feed>"
        )
        entry = (
            "<entry><id>tag:x,1</id><title>One</title><published>2026-03-13T00:00:00Z</published>"
            f"<content>{LONG}</content></entry>"
        )
        add(desk, source.put("/feed", atom.format(entry)))
        poll(desk)
        source.put("/feed", atom.format('<at:deleted-entry ref="tag:x,1" when="2026-03-15T00:00:00Z"/>'))
        (uid,) = poll(desk).withdrawn

        assert (uid, ArticleState.WITHDRAWN) == (articles(desk)["One"].uid, articles(desk)["One"].state)

    @pytest.mark.slow
    def test_a_feed_whose_ids_all_changed_withdraws_nothing(self, desk, source):
        gone = source.put("/gone", status=410)
        add(desk, source.put("/feed", rss(*(item(number, link=gone) for number in range(6)))))
        poll(desk)
        source.put("/feed", rss(*(item(number) for number in range(20, 26)), item(5, link=gone)))

        assert () == poll(desk).withdrawn
