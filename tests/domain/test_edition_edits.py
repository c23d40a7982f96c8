"""Edition edits: what many small changes come to."""

from dataclasses import replace

import pytest
from article_samples import article

from newsletter.domain.edition_edits import NO_EDITS, Edit, EditKind, in_edited_order, retold, taken_together

K = EditKind


def order(*ids: int) -> list[Edit]:
    return [Edit(K.ORDER, each, words=str(place)) for place, each in enumerate(ids, start=1)]


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([], NO_EDITS),
        ([Edit(K.INTRO, language="en", words="Hello")], replace(NO_EDITS, intros={"en": "Hello"})),
        ([Edit(K.INTRO, language="en", words="Hello"), Edit(K.INTRO, language="en")], NO_EDITS),
        ([Edit(K.LEAD, 1), Edit(K.LEAD, 2)], replace(NO_EDITS, lead=2)),
        ([Edit(K.LEAD, 1), Edit(K.LEAD)], NO_EDITS),
        ([Edit(K.PIN, 1), Edit(K.PIN, 2), Edit(K.PIN, 1)], replace(NO_EDITS, pinned=(2, 1))),
        ([Edit(K.PIN, 1), Edit(K.UNPIN, 1)], NO_EDITS),
        ([Edit(K.DROP, 1, words="old"), Edit(K.POSTPONE, 1, words="later")], replace(NO_EDITS, postponed={1: "later"})),
        ([Edit(K.POSTPONE, 1, words="later"), Edit(K.DROP, 1, words="old")], replace(NO_EDITS, dropped={1: "old"})),
        ([Edit(K.DROP, 1, words="old"), Edit(K.RESTORE, 1)], NO_EDITS),
        ([*order(3, 1), *order(2, 3)], replace(NO_EDITS, order=(2, 3))),
        ([Edit(K.SUMMARY, 1, "ru", "Кратко")], replace(NO_EDITS, summaries={(1, "ru"): "Кратко"})),
        ([Edit(K.ADD, 4), Edit(K.ADD, 4)], replace(NO_EDITS, added=(4,))),
        ([Edit(K.PIN, 1), Edit(K.LEAD, 1), Edit(K.RESET)], NO_EDITS),
    ],
)
def test_a_later_change_overrules_an_earlier_one_of_its_kind(edits, expected):
    found = taken_together(edits)

    assert expected == found
    assert bool(found) is (expected != NO_EDITS)


def test_what_is_pinned_stands_first_and_the_rest_keeps_its_order():
    articles = [article(each) for each in (1, 2, 3, 4, 5)]
    edits = taken_together([*order(4, 2), Edit(K.PIN, 5)])

    assert [5, 4, 2, 1, 3] == [each.id for each in in_edited_order(articles, edits)]


def test_a_summary_of_this_edition_leaves_the_article_and_its_other_languages_alone():
    told = article(1, "en", "ru")
    edits = taken_together([Edit(K.SUMMARY, 1, "en", "Short")])
    found = retold(told, edits)

    assert "Short" == found.translations["en"].summary
    assert told.translations["ru"] == found.translations["ru"]
    assert told is retold(told, taken_together([Edit(K.SUMMARY, 2, "en", "Short")]))
