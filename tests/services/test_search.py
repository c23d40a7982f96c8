"""Search in three languages, the same on both databases."""

import pytest
from newsroom import DAY

from newsletter.errors import NotFoundError
from newsletter.services.articles import withdraw_article
from newsletter.services.reading import PAGE
from newsletter.services.search import index_articles, search_articles


def titles(newsroom, query: str, **place: str) -> list[str]:
    return [each.best_translation("en").title for each in search_articles(newsroom.app, query, **place).articles]


@pytest.fixture
def library(newsroom):
    """Three articles in the index, one of them in two languages."""
    newsroom.publish("Clean water for the schools", ru="Чистая вода для школ", age=3 * DAY)
    newsroom.publish("Таза суу мектептерге жетти", age=2 * DAY)
    newsroom.publish("A new road", age=DAY)
    index_articles(newsroom.app)
    return newsroom


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("water", ["Clean water for the schools"]),
        ("WATERS school", ["Clean water for the schools"]),
        ("воды", ["Clean water for the schools"]),
        ("чистую воду школы", ["Clean water for the schools"]),
        ("мектеп суу", ["Таза суу мектептерге жетти"]),
        ("road water", []),
        ("", []),
        ("?!", []),
        ("a", ["A new road"]),
        ('" OR 1=1 --', []),
        ("road*' & !", ["A new road"]),
        ("x" * 5000, []),
        ("\u202eroad", ["A new road"]),
    ],
)
def test_what_has_all_words_is_found(library, query, found):
    assert found == titles(library, query)


def test_what_has_more_of_the_words_in_its_title_comes_first_then_the_latest(newsroom):
    """The same on both databases: words in titles are counted, and no database's own rank is asked."""
    newsroom.publish("A bridge for the river", age=9 * DAY)
    newsroom.publish("A river", summary="It has a bridge.", age=5 * DAY)
    newsroom.publish("A road", summary="By the river, over a bridge.", age=DAY)
    texts = {"en": {"title": "Rivers", "paragraphs": ["Bridges and rivers. " * 9]}}
    newsroom.publish("Суу", language="ky", translations=texts, age=7 * DAY)
    index_articles(newsroom.app)

    assert ["A bridge for the river", "A river", "Rivers", "A road"] == titles(newsroom, "river bridges")
    assert ["A river", "Rivers", "A bridge for the river", "A road"] == titles(newsroom, "rivers")


@pytest.mark.slow
def test_pages_go_on_among_what_is_as_relevant(newsroom):
    for number in range(PAGE + 2):
        newsroom.publish(f"Day {number}", summary="Of the bridge.", age=number * DAY + DAY)
    newsroom.publish("The bridge of old", age=90 * DAY)
    index_articles(newsroom.app)
    first = search_articles(newsroom.app, "bridge")
    second = search_articles(newsroom.app, "bridge", after=first.older)

    assert ["The bridge of old", "Day 0"] == [each.best_translation("en").title for each in first.articles[:2]]
    assert [f"Day {number}" for number in range(PAGE - 1, PAGE + 2)] == [
        each.best_translation("en").title for each in second.articles
    ]
    assert second.older is None


def test_what_is_withdrawn_or_still_to_come_is_not_found(library):
    uid = search_articles(library.app, "road").articles[0].uid
    withdraw_article(library.app, uid, reason="wrong")
    library.publish("A road to come", age=-DAY)
    index_articles(library.app)

    assert [] == titles(library, "road")


def test_indexing_again_takes_only_what_changed(library):
    before = index_articles(library.app)
    library.move(DAY)
    library.publish("A new bridge", id="A new road")
    after = index_articles(library.app)

    assert (0, 1) == (before, after)
    assert (["A new bridge"], []) == (titles(library, "bridge"), titles(library, "road"))


@pytest.mark.slow
def test_a_text_of_any_length_is_indexed_and_keeps_no_other_from_it(newsroom):
    """A bad article harms nothing but itself: neither database refuses what is a megabyte of words, none twice."""
    letters = str.maketrans("0123456789", "абвгджзклм")
    words = [f"{number:07d}".translate(letters) for number in range(61_000)]
    endless = [" ".join(words[begin : begin + 1000]) for begin in range(0, len(words), 1000)]
    newsroom.publish("Endless", paragraphs=endless)
    newsroom.publish("A short one")

    assert 2 == index_articles(newsroom.app)
    assert ["Endless"] == titles(newsroom, words[7])
    assert ["A short one"] == titles(newsroom, "short")


@pytest.mark.slow
def test_pages_go_on_where_the_last_one_ended(newsroom):
    for number in range(PAGE + 2):
        newsroom.publish(f"Road {number}", age=(number + 1) * DAY / 24)
    index_articles(newsroom.app)
    first = search_articles(newsroom.app, "roads")
    second = search_articles(newsroom.app, "roads", after=first.older)

    assert (PAGE, 2) == (len(first.articles), len(second.articles))
    assert second.older is None
    with pytest.raises(NotFoundError):
        search_articles(newsroom.app, "roads", after="no-such-article")
