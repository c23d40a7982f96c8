"""Sentences: what fills the holes of a mail, in three languages."""

from datetime import date

import pytest
from sample_digest import a_digest

from newsletter.domain.lists import Cadence
from newsletter.rendering.languages import load_language
from newsletter.rendering.sentences import (
    render_dateline,
    render_intro,
    render_more,
    render_preheader,
    render_subject,
    render_why,
)

LONG = "A headline that goes on and on until it is longer than any mail program would ever care to show to anybody"


def test_an_immediate_edition_is_named_by_its_headline():
    assert "Headline" == render_subject(a_digest(cadence=Cadence.IMMEDIATE), "Headline", 1)


def test_a_digest_is_named_by_its_list_and_first_headline():
    assert "The week in Kyrgyzstan: Headline & more" == render_subject(a_digest(), "Headline & more", 4)


def test_a_digest_of_events_alone_counts_them():
    assert "The week in Kyrgyzstan: 2 upcoming events" == render_subject(a_digest(), "", 2)


@pytest.mark.parametrize("title", [LONG, LONG.replace(" ", ""), "слово " * 40])
def test_a_subject_is_short_and_ends_at_a_word(title):
    subject = render_subject(a_digest(list_title=LONG), title, 3)

    assert len(subject) <= 90
    assert subject.endswith("…")
    assert not subject.endswith(" …")
    assert subject.startswith("A headline that goes on and on until it")


def test_a_subject_is_one_line_whatever_the_headline_holds():
    subject = render_subject(a_digest(), "One\r\nBcc: two@example.org\x00\u2028\u202ethree", 3)

    assert "The week in Kyrgyzstan: One Bcc: two@example.org three" == subject


def test_the_preheader_tells_what_else_there_is():
    assert "Second · Third" == render_preheader("Summary of the first.", ["Second", "Third"])
    assert "Summary of the first." == render_preheader("Summary of the first.")
    assert len(render_preheader("", [LONG, LONG])) <= 130


@pytest.mark.parametrize(
    ("code", "items", "events", "expected"),
    [
        ("en", 1, 0, "For you in this edition: 1 new item."),
        ("en", 7, 2, "For you in this edition: 7 new items and 2 upcoming events."),
        ("ru", 1, 1, "В этом выпуске для вас: 1 новый материал и 1 предстоящее мероприятие."),
        ("ru", 3, 2, "В этом выпуске для вас: 3 новых материала и 2 предстоящих мероприятия."),
        ("ru", 11, 5, "В этом выпуске для вас: 11 новых материалов и 5 предстоящих мероприятий."),
        ("ru", 21, 0, "В этом выпуске для вас: 21 новый материал."),
        ("ky", 1, 0, "Бул чыгарылышта сиз үчүн: 1 жаңы материал."),
        ("ky", 7, 2, "Бул чыгарылышта сиз үчүн: 7 жаңы материал жана 2 алдыдагы иш-чара."),
    ],
)
def test_the_intro_counts_as_each_language_does(code, items, events, expected):
    assert expected == render_intro(a_digest(code), items, events)


def test_an_immediate_edition_says_who_published():
    digest = a_digest(cadence=Cadence.IMMEDIATE, newsroom="City Press")

    assert "Just published by City Press." == render_intro(digest, 1)


@pytest.mark.parametrize(
    ("code", "count", "expected"),
    [
        ("en", 1, "1 more on the site"),
        ("en", 1234, "1,234 more on the site"),
        ("ru", 1, "Ещё 1 материал на сайте"),
        ("ru", 4, "Ещё 4 материала на сайте"),
        ("ru", 12, "Ещё 12 материалов на сайте"),
        ("ky", 5, "Сайтта дагы 5 материал"),
    ],
)
def test_what_did_not_fit_is_counted(code, count, expected):
    assert expected == render_more(load_language(code), count)


def test_a_reader_learns_why():
    why = render_why(load_language("en"), "The week", Cadence.WEEKLY, ["Water", "Health"], ["Stories"])

    assert (
        "You receive this e-mail because you subscribed to “The week”, once a week. "
        "Topics: Water, Health. Kinds: Stories."
    ) == why


def test_who_chose_everything_is_told_no_topics():
    assert render_why(load_language("ru"), "Неделя", Cadence.DAILY).endswith("«Неделя» (раз в день).")


def test_many_topics_are_counted():
    why = render_why(load_language("ky"), "Жума", Cadence.MONTHLY, [f"T{number}" for number in range(17)])

    assert why.endswith("T6, T7, дагы 9.")


@pytest.mark.parametrize(
    ("cadence", "period", "expected"),
    [
        (Cadence.WEEKLY, (date(2026, 3, 9), date(2026, 3, 15)), "9–15 March 2026"),
        (Cadence.MONTHLY, (date(2026, 2, 1), date(2026, 2, 28)), "February 2026"),
        (Cadence.MONTHLY, (date(2026, 2, 10), date(2026, 3, 9)), "10 February – 9 March 2026"),
        (Cadence.DAILY, (date(2026, 3, 15), date(2026, 3, 15)), "Monday, 16 March 2026"),
        (Cadence.IMMEDIATE, None, "Monday, 16 March 2026"),
    ],
)
def test_the_dateline_says_what_the_edition_is_for(cadence, period, expected):
    assert expected == render_dateline(a_digest(cadence=cadence, period=period))
