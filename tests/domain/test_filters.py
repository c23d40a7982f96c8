"""Filters: equal choices are equal values, and bits say the same as words."""

import json

import pytest
from article_samples import ANCESTORS, TOPICS, article, articles, filters
from hypothesis import given
from hypothesis import strategies as st

from newsletter.domain.articles import Kind
from newsletter.domain.filters import EVERYTHING, CandidateIndex, Filter, choose, matches

STORY, VIDEO = Kind.STORY, Kind.VIDEO


def test_the_same_choice_in_another_order_is_the_same_filter():
    one = choose(topics=[3, 1, 1], kinds=["video", "story"], sources=["b", "a"], languages=["ru", "en", "ru"])
    other = choose(topics=[1, 3], kinds=["story", "video", "story"], sources=["a", "b", "a"], languages=["en", "ru"])

    assert one == other
    assert (one.canonical, one.digest) == (other.canonical, other.digest)


def test_the_canonical_form_names_only_what_is_chosen():
    assert "{}" == EVERYTHING.canonical
    assert '{"kinds":["story"],"topics":[1,3]}' == choose(topics=[3, 1], kinds=["story"]).canonical


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="podcast"):
        choose(kinds=["podcast"])


@given(filters())
def test_a_stored_choice_is_read_back_as_it_was(choice):
    assert choice == Filter.from_choice(json.loads(json.dumps(choice.as_choice())))


@given(filters(), filters())
def test_filters_are_equal_exactly_where_their_digests_are(one, other):
    assert (one == other) == (one.digest == other.digest)


ABOUT_CHILD = article(1, "ru", topics=(11,), kind=STORY, source="press")


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        pytest.param(EVERYTHING, True, id="everything"),
        pytest.param(choose(topics=[11]), True, id="its topic"),
        pytest.param(choose(topics=[1]), True, id="the parent of its topic"),
        pytest.param(choose(topics=[111]), False, id="a child of its topic"),
        pytest.param(choose(topics=[2, 11]), True, id="any topic of several"),
        pytest.param(choose(topics=[99]), False, id="a topic that does not exist"),
        pytest.param(choose(kinds=[VIDEO]), False, id="another kind"),
        pytest.param(choose(kinds=[VIDEO, STORY]), True, id="any kind of several"),
        pytest.param(choose(sources=["site"]), False, id="another source"),
        pytest.param(choose(languages=["en"]), False, id="a language it has not"),
        pytest.param(choose(languages=["en", "ru"]), True, id="any language of several"),
        pytest.param(choose(topics=[1], kinds=[VIDEO]), False, id="all across facets"),
    ],
)
def test_a_filter_chooses_any_within_a_facet_and_all_across(choice, expected):
    assert expected is matches(choice, ABOUT_CHILD, ANCESTORS)
    assert expected == CandidateIndex([ABOUT_CHILD], ANCESTORS).mask(choice)


def test_an_article_without_topics_is_in_no_choice_of_topics():
    assert not matches(choose(topics=TOPICS), article(1), ANCESTORS)
    assert matches(EVERYTHING, article(1), ANCESTORS)


@given(articles(), st.lists(filters(), max_size=5))
def test_a_mask_has_a_bit_for_each_article_that_matches(candidates, choices):
    index = CandidateIndex(candidates, ANCESTORS)

    for choice in choices:
        chosen = [position for position, each in enumerate(candidates) if matches(choice, each, ANCESTORS)]
        assert sum(1 << position for position in chosen) == index.mask(choice)
