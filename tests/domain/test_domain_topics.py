"""Rules find topics in texts; parents make a tree without circles."""

import pytest

from newsletter.domain.topics import Suggester, Suggestion, Topic, ancestors, check_phrase, suggest


def topic(topic_id: int, parent_id: int | None = None, *, applies=False, **rules: tuple[str, ...]) -> Topic:
    return Topic(
        id=topic_id,
        slug=f"topic-{topic_id}",
        scheme="",
        parent_id=parent_id,
        position=topic_id,
        labels={"en": f"Topic {topic_id}", "ru": f"Тема {topic_id}"},
        rules=rules,
        applies_rules=applies,
    )


def test_ancestors_go_up_to_the_top():
    assert {1: (), 2: (1,), 3: (2, 1)} == ancestors([topic(1), topic(2, 1), topic(3, 2)])


def test_ancestors_of_a_circle_end_where_it_closes():
    assert {1: (2,), 2: (1,)} == ancestors([topic(1, 2), topic(2, 1)])


@pytest.mark.parametrize(
    ("phrase", "text", "found"),
    [
        pytest.param("water", "Water for all", "Water", id="case"),
        pytest.param("water", "underwater, watery", None, id="whole words"),
        pytest.param("clean water", "clean   water", "clean water", id="a phrase"),
        pytest.param("clean water", "a clean-water plan", "clean-water", id="a phrase with a hyphen"),
        pytest.param("clean water", "clean the water", None, id="a phrase with a word between"),
        pytest.param("школ*", "Для школьников", "школьников", id="any ending"),
        pytest.param("зелёный", "Зеленый двор", "Зеленый", id="ё and е"),
        pytest.param("C++ (beta)", "uses c++ (beta) now", "c++ (beta)", id="signs do not make patterns"),
        pytest.param("өзөн*", "Өзөндөр тазаланды", "Өзөндөр", id="Kyrgyz"),
    ],
)
def test_a_rule_finds_its_phrase(phrase, text, found):
    suggestions = suggest([topic(1, xx=(phrase,))], {"xx": text})

    assert ([] if found is None else [found]) == [each.phrase for each in suggestions]


def test_a_rule_speaks_for_its_language_only():
    assert [] == suggest([topic(1, ru=("суд",))], {"ky": "суд"})


def test_each_topic_is_suggested_once_as_it_says():
    topics = [topic(1, en=("water", "rain"), ru=("вода",)), topic(2, applies=True, en=("rain",)), topic(3)]

    found = Suggester(topics).suggest({"en": "rain and water", "ru": "вода"})

    assert [Suggestion(1, "en", "rain", applies=False), Suggestion(2, "en", "rain", applies=True)] == found


@pytest.mark.parametrize("phrase", ["", "***", "*water", "wa*ter", "ab*", "a b*"])
def test_a_phrase_that_would_find_anything_or_nothing_is_refused(phrase):
    with pytest.raises(ValueError, match=r"star|word"):
        check_phrase(phrase)


def test_a_label_falls_back_to_another_language():
    assert "Тема 1" == topic(1).label("ru", "en")
    assert "Topic 1" == topic(1).label("ky")
