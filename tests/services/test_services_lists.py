from dataclasses import replace
from datetime import UTC, datetime, time

import pytest

from newsletter.domain.lists import Cadence, InDoubtPolicy, Schedule, SectionsBy
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.ingest.subscriber_csv import read_subscriber_file
from newsletter.services.filters import NamedFilter
from newsletter.services.lists import ListDraft, add_list, list_lists, show_list
from newsletter.services.subscriber_imports import import_subscribers

WEEKLY = ListDraft(slug="weekly", titles={"en": "The week", "ru": "Неделя"})


def test_what_a_draft_leaves_out_comes_from_the_settings(app):
    made = add_list(app, WEEKLY)

    assert Schedule("Asia/Bishkek", time(8), 0, 1) == made.schedule
    assert ("Example Newsroom", "news@news.example.org") == (made.from_name, made.from_address)
    assert ("en", "ru", "ky") == made.languages
    assert (Cadence.WEEKLY,) == made.cadences
    assert app.clock() == made.since


def test_all_of_a_draft_is_kept(app):
    draft = ListDraft(
        slug="press",
        titles={"ru": " Пресса "},
        descriptions={"ru": "Сразу"},
        intros={"ky": "Салам"},
        from_name="Press office",
        from_address="press@example.org",
        reply_to="desk@example.org",
        cadences=(Cadence.DAILY, Cadence.IMMEDIATE),
        zone="Europe/Madrid",
        send_at=time(7, 30),
        weekday=4,
        month_day=31,
        languages=("ru", "ky"),
        filter=NamedFilter(kinds=("press_release",), languages=("ru",)),
        sections=SectionsBy.KIND,
        review_minutes=90,
        in_doubt_policy=InDoubtPolicy.RESEND_ONCE,
        since=datetime(2024, 1, 1, tzinfo=UTC),
        is_public=False,
    )
    made = add_list(app, draft)
    facts = show_list(app, "press")

    assert made == facts.mailing_list
    assert draft.filter == facts.filter
    assert ({"ru": "Пресса"}, ("ru", "ky")) == (made.titles, made.languages)
    assert (Cadence.IMMEDIATE, Cadence.DAILY) == made.cadences, "from the most to the least frequent"
    assert Schedule("Europe/Madrid", time(7, 30), 4, 31) == made.schedule
    assert (90, InDoubtPolicy.RESEND_ONCE, SectionsBy.KIND) == (
        made.review_minutes,
        made.in_doubt_policy,
        made.sections,
    )
    assert ("desk@example.org", False) == (made.reply_to, made.is_public)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"slug": "Weekly News"}, "'Weekly News' cannot be a list's slug"),
        ({"titles": {}}, "needs a title in its first language, 'en'"),
        ({"titles": {"en": "  "}}, "needs a title in its first language, 'en'"),
        ({"titles": {"en": "a\r\nBcc: v@example.org"}}, "the title in 'en' holds a line break"),
        ({"descriptions": {"en": "a\x00"}}, "the description in 'en' holds"),
        ({"from_name": "a\nb"}, "the sender's name"),
        ({"from_address": "nobody"}, "'nobody' is not usable as a sender's address"),
        ({"reply_to": "a@b\r\nBcc: v@example.org"}, "is not usable as a sender's address"),
        ({"languages": ("en", "xx")}, "no messages for the language 'xx': choose among en, ky, ru"),
        ({"languages": ("en",)}, "words in 'ru', but the list's languages are en"),
        ({"zone": "Bishkek"}, "'Bishkek' is no time zone; use a name such as Asia/Bishkek"),
        ({"cadences": ()}, "at least one cadence: immediate, daily, weekly, monthly"),
        ({"weekday": 7}, "Monday is 0"),
        ({"month_day": 0}, "31 means the last day"),
        ({"review_minutes": 0}, "at least 1"),
        ({"filter": NamedFilter(topics=("sdg-99",))}, "unknown topic 'sdg-99': there is no topic yet"),
        ({"filter": NamedFilter(kinds=("rumour",))}, "unknown kind 'rumour': choose among press_release, story"),
        ({"filter": NamedFilter(sources=("nowhere",))}, "unknown source 'nowhere'"),
        ({"filter": NamedFilter(languages=("xx",))}, "unknown language 'xx': choose among en, ru, ky"),
    ],
)
def test_a_draft_that_cannot_be_is_refused_and_nothing_is_stored(app, changes, words):
    with pytest.raises(InvalidError, match=words):
        add_list(app, replace(WEEKLY, **changes))

    assert [] == list_lists(app)


def test_a_slug_is_taken_once(app):
    add_list(app, WEEKLY)

    with pytest.raises(ConflictError, match="'weekly' already"):
        add_list(app, WEEKLY)


def test_an_unknown_list_is_answered_with_those_there_are(app):
    with pytest.raises(NotFoundError, match="none yet, add one"):
        show_list(app, "daily")
    add_list(app, WEEKLY)

    with pytest.raises(NotFoundError, match="there is weekly"):
        show_list(app, "daily")


def test_a_list_is_shown_with_its_readers_in_counts(app):
    add_list(app, replace(WEEKLY, cadences=(Cadence.DAILY, Cadence.WEEKLY)))
    add_list(app, replace(WEEKLY, slug="nobody"))
    rows = "address,language,cadence\na@example.org,en,weekly\nb@example.org,ky,weekly\nc@example.org,ky,daily\n"
    file = read_subscriber_file(rows.encode(), name="readers.csv")
    import_subscribers(app, "weekly", file, name="readers.csv", basis="signed on paper in May")
    empty, full = list_lists(app)

    assert ("nobody", 0) == (empty.mailing_list.slug, empty.confirmed)
    assert (3, 0) == (full.confirmed, full.unconfirmed)
    assert {Cadence.DAILY: 1, Cadence.WEEKLY: 2} == full.by_cadence
    assert {"en": 1, "ru": 0, "ky": 2} == full.by_language


@pytest.mark.parametrize("sender", ["no-reply@example.org", "news@localhost", "пресса@пример.рф"])
def test_a_sender_may_be_a_role_or_this_machine(app, sender):
    assert sender == add_list(app, replace(WEEKLY, from_address=sender)).from_address
