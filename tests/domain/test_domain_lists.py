from datetime import time

import pytest

from newsletter.domain.lists import LONGEST_SLUG, check_slug, check_words, parse_wall_time, parse_weekday


@pytest.mark.parametrize("slug", ["a", "weekly", "press-releases", "2024-news", "x" * LONGEST_SLUG])
def test_a_slug_of_small_letters_digits_and_hyphens_will_do(slug):
    check_slug(slug)


@pytest.mark.parametrize(
    "slug", ["", "Weekly", "-a", "a-", "a--b", "a_b", "a b", "неделя", "a/b", "../a", "a\n", "x" * (LONGEST_SLUG + 1)]
)
def test_a_slug_that_breaks_an_address_is_refused(slug):
    with pytest.raises(ValueError, match="weekly-digest"):
        check_slug(slug)


@pytest.mark.parametrize("text", ["a\r\nBcc: v@example.org", "a\x00b", "a\u2028b", "x" * 201])
def test_words_that_break_a_header_are_refused_by_name_and_language(text):
    with pytest.raises(ValueError, match="the title in 'ru'"):
        check_words({"en": "Fine", "ru": text}, what="title")


@pytest.mark.parametrize(
    ("text", "expected"), [("monday", 0), ("Sunday", 6), (" wed ", 2), ("thurs", 3), ("saturday", 5)]
)
def test_a_weekday_is_named_in_full_or_in_short(text, expected):
    assert expected == parse_weekday(text)


@pytest.mark.parametrize("text", ["", "mo", "montag", "0", "mondays"])
def test_what_names_no_weekday_is_refused(text):
    with pytest.raises(ValueError, match="weekday"):
        parse_weekday(text)


@pytest.mark.parametrize(("text", "expected"), [("08:00", time(8)), ("8:05", time(8, 5)), ("23:59", time(23, 59))])
def test_a_time_of_day_is_hours_and_minutes(text, expected):
    assert expected == parse_wall_time(text)


@pytest.mark.parametrize("text", ["", "8", "24:00", "8:60", "08:00:00", "08:00+06:00", "8am"])
def test_what_is_no_time_of_day_is_refused(text):
    with pytest.raises(ValueError, match="08:00"):
        parse_wall_time(text)
