"""Articles kept between rebuilds: read once, and never told as they were."""

import pytest
from feed_newsroom import Newsroom

from newsletter.services import article_memory
from newsletter.services.article_memory import ArticleMemory
from newsletter.storage.articles import load_articles


@pytest.fixture
def newsroom(app, preparations) -> Newsroom:
    return Newsroom.prepared(app, preparations)


@pytest.fixture
def read(monkeypatch) -> list[int]:
    """The ids of articles that were read whole."""
    found: list[int] = []

    def noting(session, ids):
        articles = load_articles(session, ids)
        found.extend(article.id for article in articles)
        return articles

    monkeypatch.setattr(article_memory, "load_articles", noting)
    return found


def titles(newsroom: Newsroom, memory: ArticleMemory, *ids: int) -> list[str]:
    with newsroom.app.reading() as tx:
        return [article.translations["en"].title for _, article in sorted(memory.load(tx, ids).items())]


def test_an_article_is_read_once_until_it_changes(newsroom, read):
    memory = ArticleMemory()
    first, second = newsroom.publish(1), newsroom.publish(2)
    titles(newsroom, memory, first)
    titles(newsroom, memory, first, second)
    newsroom.later(seconds=1).change(first, title="Mended")

    assert ["Mended", "Story 2 (en)"] == titles(newsroom, memory, first, second)
    assert [first, second, first] == read


def test_a_change_within_one_tick_of_the_clock_counts_where_it_is_told_of(newsroom):
    memory = ArticleMemory()
    article = newsroom.publish(1)
    titles(newsroom, memory, article)
    newsroom.change(article, title="Mended")
    memory.forget([article, 404])

    assert ["Mended"] == titles(newsroom, memory, article)


def test_what_was_needed_longest_ago_makes_room(newsroom, read):
    memory = ArticleMemory(capacity=2)
    first, second, third = (newsroom.publish(number) for number in (1, 2, 3))
    titles(newsroom, memory, first, second)
    titles(newsroom, memory, first)
    titles(newsroom, memory, third)
    read.clear()
    titles(newsroom, memory, first, third)
    titles(newsroom, memory, second)

    assert [second] == read
