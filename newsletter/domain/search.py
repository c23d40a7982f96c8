"""Searching: which words of a text count, and what of a word must match, the same in every language and database.

A word is found by its beginning, without the ending that grammar gives it: rough, but the same rule serves English,
Russian and Kyrgyz, and no database needs a dictionary for it.
"""

import re
import unicodedata

MOST_TERMS = 8
LONGEST_TERM = 40
SHORTEST_STEM = 3
"""Letters of a word that its ending must leave."""
LONGEST_INDEXED = 200_000
"""Characters of a text that are indexed, a book's worth; PostgreSQL takes no more than a megabyte of distinct words."""

_WORD = re.compile(r"[^\W_]+")
_LATIN_ENDINGS = ("ings", "ies", "ing", "es", "ed", "s", "y", "e")
_CYRILLIC_ENDINGS = (
    *("иями", "ость", "ости", "ями", "ами", "ого", "его", "ому", "ему", "ыми", "ими", "ией"),
    *("ий", "ый", "ой", "ая", "яя", "ое", "ее", "ые", "ие", "ых", "их", "ую", "юю", "ов", "ев", "ей", "ам", "ям"),
    *("ах", "ях", "ом", "ем", "ью", "ия", "ии", "ию"),
    *("а", "я", "о", "е", "ы", "и", "у", "ю", "й", "ь", "ө", "ү"),
)


def searchable(text: str) -> str:
    """Return *text* as it is indexed: its words in one case, one spelling and one line, the first ones of many."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("ё", "е")
    return " ".join(_WORD.findall(folded))[:LONGEST_INDEXED]


def search_terms(query: str) -> tuple[str, ...]:
    """Return the beginnings of words that an article must have, each once; none: the query holds no word."""
    words = searchable(query[: MOST_TERMS * LONGEST_TERM * 2]).split()
    return tuple(dict.fromkeys(_stem(word)[:LONGEST_TERM] for word in words))[:MOST_TERMS]


def _stem(word: str) -> str:
    """Return *word* without the first of the endings that fits and leaves enough of it."""
    endings = _LATIN_ENDINGS if word.isascii() else _CYRILLIC_ENDINGS
    for ending in endings:
        if word.endswith(ending) and len(word) - len(ending) >= SHORTEST_STEM:
            return word[: -len(ending)]
    return word
