"""Languages: messages, plurals, dates and times as their readers write them."""

from datetime import UTC, date, datetime

import pytest

from newsletter.errors import InvalidError
from newsletter.rendering.languages import available_languages, load_language

BISHKEK = "Asia/Bishkek"

GERMAN = """
msgid ""
msgstr ""
"Language: de\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

msgid "Subscribe"
msgstr "Abonnieren"

msgid "%(count)s dog of %(name)s"
msgid_plural "%(count)s dogs of %(name)s"
msgstr[0] "%(count)s Hund von %(name)s"
msgstr[1] "%(count)s Hunde von %(name)s"
"""


def a_home(tmp_path, catalogue, code="de"):
    (tmp_path / "locales").mkdir()
    (tmp_path / "locales" / f"{code}.po").write_text(catalogue, encoding="utf-8")
    return tmp_path


def test_a_fourth_language_is_one_file(tmp_path):
    home = a_home(tmp_path, GERMAN)
    german = load_language("de", home)

    assert ("de", "en", "ky", "ru") == available_languages(home)
    assert "Abonnieren" == german.gettext("Subscribe")
    assert "Deutsch" == german.name
    assert "9.–15. März 2026" == german.format_dates(date(2026, 3, 9), date(2026, 3, 15))


@pytest.mark.parametrize(
    ("count", "expected"), [(1, "1 Hund von Ada"), (0, "0 Hunde von Ada"), (1200, "1.200 Hunde von Ada")]
)
def test_plurals_follow_the_catalogue_and_numbers_the_locale(tmp_path, count, expected):
    german = load_language("de", a_home(tmp_path, GERMAN))

    assert expected == german.ngettext("%(count)s dog of %(name)s", "%(count)s dogs of %(name)s", count, name="Ada")


def test_a_missing_message_is_shown_in_english(tmp_path):
    german = load_language("de", a_home(tmp_path, GERMAN))

    assert "Unsubscribe" == german.gettext("Unsubscribe")
    assert "2 cats" == german.ngettext("%(count)s cat", "%(count)s cats", 2)


def test_the_newsrooms_own_wording_wins_and_the_rest_stays(tmp_path):
    own = a_home(tmp_path, 'msgid ""\nmsgstr "Language: ru\\n"\n\nmsgid "Archive"\nmsgstr "Прежние выпуски"\n', "ru")
    russian = load_language("ru", own)

    assert "Прежние выпуски" == russian.gettext("Archive")
    assert "Отписаться" == russian.gettext("Unsubscribe")


def test_an_english_header_may_choose_american_dates(tmp_path):
    american = load_language("en", a_home(tmp_path, 'msgid ""\nmsgstr "Language: en_US\\n"\n', "en"))

    assert "March 9, 2026" == american.format_date(date(2026, 3, 9))
    assert "9 March 2026" == load_language("en").format_date(date(2026, 3, 9))


def test_a_language_without_catalogue_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(InvalidError, match=rf"'xx': add xx\.po to {tmp_path}"):
        load_language("xx", tmp_path)


def test_a_broken_catalogue_is_refused_by_name(tmp_path):
    home = a_home(tmp_path, 'msgid "a"\nmsgstr[x "b"\n')

    with pytest.raises(InvalidError, match=r"de\.po cannot be read"):
        load_language("de", home)


def test_a_language_that_cldr_does_not_know_is_refused(tmp_path):
    home = a_home(tmp_path, 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n', "q7")

    with pytest.raises(InvalidError, match="Language header"):
        load_language("q7", home)


def test_arabic_runs_from_right_to_left(tmp_path):
    arabic = load_language("ar", a_home(tmp_path, 'msgid ""\nmsgstr "Language: ar\\n"\n', "ar"))

    assert "rtl" == arabic.direction
    assert "ltr" == load_language("ky").direction


@pytest.mark.parametrize(
    ("code", "expected"),
    [("en", "9–15 March 2026"), ("ru", "9–15 марта 2026\xa0г."), ("ky", "9–15-март 2026-ж.")],
)
def test_a_week_is_written_once(code, expected):
    actual = load_language(code).format_dates(date(2026, 3, 9), date(2026, 3, 15))

    assert expected == actual


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (date(2026, 3, 9), date(2026, 3, 9), "9 March 2026"),
        (date(2026, 3, 30), date(2026, 4, 5), "30 March – 5 April 2026"),
        (date(2025, 12, 29), date(2026, 1, 4), "29 December 2025 – 4 January 2026"),
    ],
)
def test_ranges_across_months_and_years_say_what_changes(first, last, expected):
    actual = load_language("en").format_dates(first, last)

    assert expected == actual


START = datetime(2026, 3, 12, 4, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("en", "Thursday, 12 March 2026, 10:00–16:30 (Bishkek, UTC+6)"),
        ("ru", "четверг, 12 марта 2026\xa0г., 10:00–16:30 (Бишкек, UTC+6)"),
        ("ky", "2026-ж., 12-март, бейшемби, 10:00–16:30 (Бишкек, UTC+6)"),
    ],
)
def test_an_event_is_told_in_its_venues_time(code, expected):
    actual = load_language(code).format_event(START, datetime(2026, 3, 12, 10, 30, tzinfo=UTC), BISHKEK)

    assert expected == actual


@pytest.mark.parametrize(
    ("start", "end", "zone", "expected"),
    [
        (START, None, BISHKEK, "Thursday, 12 March 2026, 10:00 (Bishkek, UTC+6)"),
        (
            START,
            datetime(2026, 3, 13, 9, 0, tzinfo=UTC),
            BISHKEK,
            "Thursday, 12 March 2026, 10:00 – Friday, 13 March 2026, 15:00 (Bishkek, UTC+6)",
        ),
        (START, None, "UTC", "Thursday, 12 March 2026, 04:00 (UTC)"),
        (START, None, "Asia/Kolkata", "Thursday, 12 March 2026, 09:30 (Kolkata, UTC+5:30)"),
        (
            datetime(2026, 3, 12, 14, tzinfo=UTC),
            None,
            "America/New_York",
            "Thursday, 12 March 2026, 10:00 (New York, UTC−4)",
        ),
        (datetime(2026, 3, 11, 18, tzinfo=UTC), None, BISHKEK, "Thursday, 12 March 2026"),
        (
            datetime(2026, 3, 11, 18, tzinfo=UTC),
            datetime(2026, 3, 13, 18, tzinfo=UTC),
            BISHKEK,
            "12–13 March 2026",
        ),
    ],
    ids=["no end", "over night", "utc", "half hours", "west", "a day", "two days"],
)
def test_events_of_every_length_and_zone(start, end, zone, expected):
    actual = load_language("en").format_event(start, end, zone)

    assert expected == actual
