"""Which words of a query count, and which beginnings of them."""

import pytest

from newsletter.domain.search import LONGEST_TERM, MOST_TERMS, search_terms, searchable


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("schools", ("school",)),
        ("stories", ("stor",)),
        ("Bus", ("bus",)),
        ("школы", ("школ",)),
        ("Образование, образования", ("образован", "образован")),
        ("Ёлка елка", ("елк",)),
        ("мектептер", ("мектептер",)),
        ("ＦＵＬＬ", ("full",)),
        ("2026", ("2026",)),
        ("a_b", ("a", "b")),
        ("' \" & | ! ( ) : * \\ \0 --", ()),
    ],
)
def test_terms_are_beginnings_of_words_without_punctuation(query: str, terms: tuple[str, ...]):
    assert tuple(dict.fromkeys(terms)) == search_terms(query)


def test_a_query_without_end_has_few_short_terms():
    terms = search_terms(" ".join(f"word{number}" for number in range(1000)) + "x" * 1000)

    assert len(terms) <= MOST_TERMS
    assert max(map(len, terms)) <= LONGEST_TERM


def test_a_text_is_its_words_in_one_case():
    assert "привет мир it s елка" == searchable("Привет, <МИР>! It's ёлка")
