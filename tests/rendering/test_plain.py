"""Plain text: on one line, free of what is not text, cut and wrapped at words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.rendering.plain import CONTROL_CHARACTERS, capitalised, clean, shortened, wrapped


@given(st.text(st.characters(exclude_categories=())), st.integers(min_value=1, max_value=60))
def test_clean_text_is_one_short_line_without_controls(text, limit):
    line = clean(text, limit)

    assert len(line) <= limit
    assert not CONTROL_CHARACTERS.search(line)
    assert line == line.strip()
    assert len(line.splitlines()) <= 1
    assert line == clean(line, limit)
    assert line == line.encode().decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("short", "short"),
        ("exactly twenty chars", "exactly twenty chars"),
        ("this one is cut, yes at a word", "this one is cut…"),
        ("cut after a word and not in it", "cut after a word…"),
        ("unbrokenunbrokenunbroken", "unbrokenunbrokenunb…"),
        ("a unbrokenunbrokenunbroken", "a unbrokenunbrokenu…"),
    ],
)
def test_long_text_ends_at_a_word_where_there_is_one(text, expected):
    assert expected == shortened(text, 20)


def test_wrapping_leaves_addresses_whole_and_indents_every_line():
    url = "https://news.example.org/" + "x" * 90
    lines = wrapped(f"Words before it {url} and many words after it, so that they fill another line too, yes", 2)

    assert f"  {url}" in lines.split("\n")
    assert all(line.startswith("  ") for line in lines.split("\n"))
    assert all(len(line) <= 72 for line in lines.split("\n") if url not in line)


@given(st.text(alphabet=st.sampled_from("слово -word"), max_size=300))
def test_wrapping_loses_no_word(text):
    assert text.split() == wrapped(text).split()


def test_a_capital_in_front_and_nothing_else():
    assert "Вторник, 24 марта" == capitalised("вторник, 24 марта")
    assert "" == capitalised("")
