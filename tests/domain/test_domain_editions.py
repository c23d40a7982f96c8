"""Editions: the order in which readers meet articles, which leads, in which language, and which state follows which."""

from dataclasses import replace
from datetime import timedelta

import pytest
from article_samples import HOUR, LANGUAGES, NOON, article, articles, event
from hypothesis import given
from hypothesis import strategies as st

from newsletter.domain.articles import Kind
from newsletter.domain.editions import (
    COUNTS_AS_SENT,
    ENDED,
    MOVES,
    EditionState,
    Item,
    choose_lead,
    immediate_slot_key,
    in_order,
    is_upcoming,
    section_of,
    shown_language,
)
from newsletter.domain.lists import SectionsBy

S = EditionState
BY_TOPIC, BY_KIND = SectionsBy.TOPIC, SectionsBy.KIND
ORDER = {7: 0, 5: 1}
ALLOWED = {
    (S.PLANNED, S.REVIEW),
    (S.PLANNED, S.APPROVED),
    (S.PLANNED, S.SKIPPED),
    (S.PLANNED, S.CANCELLED),
    (S.REVIEW, S.APPROVED),
    (S.REVIEW, S.SKIPPED),
    (S.REVIEW, S.CANCELLED),
    (S.APPROVED, S.SENDING),
    (S.APPROVED, S.PAUSED),
    (S.APPROVED, S.CANCELLED),
    (S.SENDING, S.PAUSED),
    (S.SENDING, S.DONE),
    (S.SENDING, S.CANCELLED),
    (S.PAUSED, S.APPROVED),
    (S.PAUSED, S.SENDING),
    (S.PAUSED, S.DONE),
    (S.PAUSED, S.CANCELLED),
    (S.SKIPPED, S.PLANNED),
    (S.DONE, S.SENDING),
}


@pytest.mark.parametrize("after", S)
@pytest.mark.parametrize("before", S)
def test_every_move_is_allowed_or_refused_on_purpose(before, after):
    assert ((before, after) in ALLOWED) == (after in MOVES[before])


def test_nothing_leaves_an_end_but_what_a_person_opens_again():
    assert {state for state in S if not MOVES[state]} == {S.CANCELLED}
    assert {S.SKIPPED: {S.PLANNED}, S.DONE: {S.SENDING}} == {each: MOVES[each] for each in ENDED if MOVES[each]}


def test_items_are_taken_from_review_on_and_free_again_where_nothing_is_sent():
    assert set(S) - {S.PLANNED, S.SKIPPED, S.CANCELLED} == set(COUNTS_AS_SENT)


def ids(found) -> list[int]:
    return [each.id for each in found]


def test_sections_follow_the_topics_order_and_the_newest_comes_first():
    told = [
        article(1, at=NOON - 3 * HOUR, topics=(5,)),
        article(2, at=NOON - 2 * HOUR),
        article(3, at=NOON - HOUR, topics=(7, 5)),
        article(4, at=NOON, topics=(5, 7)),
        article(5, at=NOON, topics=(7,)),
        article(6, at=NOON, topics=(99,)),
    ]

    assert [5, 3, 4, 1, 6, 2] == ids(in_order(told, sections=BY_TOPIC, topic_order=ORDER, cut_at=NOON))


def test_sections_by_kind_follow_the_order_of_kinds():
    told = [article(place, kind=kind) for place, kind in enumerate(reversed(Kind))]
    ordered = in_order(told, sections=BY_KIND, topic_order={}, cut_at=NOON)

    assert list(Kind) == [each.kind for each in ordered]


def test_of_two_articles_of_one_moment_the_first_stored_comes_first():
    assert [1, 2] == ids(in_order([article(2), article(1)], sections=BY_TOPIC, topic_order={}, cut_at=NOON))


def test_upcoming_events_come_last_and_the_soonest_first():
    told = [
        event(1, NOON + 48 * HOUR, topics=(7,)),
        event(2, NOON + 2 * HOUR),
        article(3, topics=(5,)),
        event(4, NOON - HOUR, topics=(7,)),
    ]

    assert [4, 3, 2, 1] == ids(in_order(told, sections=BY_TOPIC, topic_order=ORDER, cut_at=NOON))


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param(event(1, NOON + HOUR), True, id="to come"),
        pytest.param(event(1, NOON), False, id="begins at the cut"),
        pytest.param(event(1, NOON - HOUR), False, id="over"),
        pytest.param(article(1, kind=Kind.EVENT), False, id="an event that says no time"),
        pytest.param(replace(event(1, NOON + HOUR), kind=Kind.STORY), False, id="a story about an event"),
    ],
)
def test_an_event_is_upcoming_until_it_begins(told, expected):
    assert expected is is_upcoming(told, NOON)


@given(articles(), st.sampled_from(SectionsBy), st.randoms(use_true_random=False))
def test_order_is_complete_and_the_same_whatever_order_articles_come_in(told, sections, random):
    shuffled = random.sample(told, len(told))
    ordered = in_order(told, sections=sections, topic_order={1: 0, 2: 1, 11: 2}, cut_at=NOON)

    assert ordered == in_order(shuffled, sections=sections, topic_order={1: 0, 2: 1, 11: 2}, cut_at=NOON)
    assert sorted(ids(told)) == sorted(ids(ordered))


@pytest.mark.parametrize(
    ("told", "lead"),
    [
        pytest.param([], None, id="nothing"),
        pytest.param([article(1, at=NOON - HOUR), article(2)], 2, id="the newest"),
        pytest.param(
            [article(1, at=NOON - HOUR, image_url="https://example.org/a.jpg"), article(2)], 1, id="with a picture"
        ),
        pytest.param([article(2), article(1)], 1, id="of one moment: the first stored"),
        pytest.param([event(1, NOON + HOUR, image_url="https://example.org/a.jpg"), article(2)], 2, id="news leads"),
        pytest.param([event(1, NOON + HOUR)], None, id="nothing but events"),
        pytest.param([event(1, NOON - HOUR)], 1, id="an event that is over is news"),
    ],
)
def test_the_lead_is_the_newest_news_with_a_picture(told, lead):
    found = choose_lead(told, cut_at=NOON)

    assert lead == (found.id if found else None)


def test_an_embargoed_article_is_as_new_as_its_embargo():
    embargoed = replace(article(1, at=NOON - 50 * HOUR), visible_at=NOON)

    assert [1, 2] == ids(
        in_order([article(2, at=NOON - HOUR), embargoed], sections=BY_KIND, topic_order={}, cut_at=NOON)
    )
    assert choose_lead([article(2, at=NOON - HOUR), embargoed], cut_at=NOON) == embargoed


@pytest.mark.parametrize(
    ("topics", "sections", "expected"),
    [
        ((5, 7), BY_TOPIC, "5"),
        ((99, 7), BY_TOPIC, "7"),
        ((99,), BY_TOPIC, ""),
        ((), BY_TOPIC, ""),
        ((5,), BY_KIND, "story"),
    ],
)
def test_an_article_stands_under_its_first_known_topic_or_its_kind(topics, sections, expected):
    assert expected == section_of(article(1, topics=topics), sections, ORDER)


@pytest.mark.parametrize(
    ("languages", "preferred", "allowed", "expected"),
    [
        pytest.param("en ru", "ru en", "", "ru", id="the reader's own"),
        pytest.param("en", "ru en", "", "en", id="the list's first fallback"),
        pytest.param("ky en", "ru en ky", "", "en", id="fallbacks in order"),
        pytest.param("de", "ru en", "", "de", id="the article's own, if no fallback"),
        pytest.param("en ru", "ru en", "en", "en", id="the filter allows only one"),
        pytest.param("de fr en", "ru", "fr de", "de", id="the article's own among those allowed"),
        pytest.param("de fr it", "ru", "it fr", "fr", id="any that is allowed, always the same"),
        pytest.param("en", "ru", "ky", "en", id="a filter that did not choose it"),
    ],
)
def test_a_reader_sees_an_article_in_the_first_language_of_theirs_it_has(languages, preferred, allowed, expected):
    told = article(1, *languages.split())

    assert expected == shown_language(told, preferred.split(), allowed.split())


@given(articles(), st.permutations(LANGUAGES), st.lists(st.sampled_from(LANGUAGES), unique=True))
def test_the_language_shown_is_one_that_the_article_has_and_the_filter_allows(told, preferred, allowed):
    for each in told:
        shown = shown_language(each, preferred, allowed)

        assert shown in each.translations
        assert not allowed or shown in allowed or set(allowed).isdisjoint(each.translations)


def test_a_significant_update_is_a_slot_of_its_own():
    first = article(1)

    assert immediate_slot_key(first) != immediate_slot_key(replace(first, revision=2))
    assert immediate_slot_key(first) == immediate_slot_key(replace(first, modified_at=NOON + timedelta(days=1)))


def test_an_items_key_names_article_and_language():
    assert "7:ru" == Item(7, "ru", 2).key
