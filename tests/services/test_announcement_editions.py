"""Announcements reach whom they are for, once; corrections exactly those who had what was wrong."""

import pytest
from newsroom import DAY, Newsroom, read, text_of

from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.editions import EditionState
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.services.announcement_editions import LetterDraft, compose_announcement, compose_correction
from newsletter.services.archive import list_archive, view_edition
from newsletter.services.articles import publish_article, staff_edit, withdraw_article
from newsletter.services.audit import list_acts
from newsletter.services.edition_checks import check_edition
from newsletter.services.editions import (
    approve_edition,
    approve_overdue_reviews,
    fan_out_edition,
    finish_editions,
    pause_edition,
    resume_edition,
    schedule_edition,
)
from newsletter.services.filters import NamedFilter
from newsletter.services.reports import find_progress
from newsletter.services.subscriptions import unsubscribe
from newsletter.storage.articles import load_record

EN = LetterDraft(
    "We move", "# Hello\n\nOn *Monday* we move to [a new house](https://example.org/house).\n\n- one\n- two"
)
RU = LetterDraft("Мы переезжаем", "Здравствуйте!\n\nВ **понедельник** переезжаем.")


@pytest.fixture
def readers(mailing_newsroom: Newsroom) -> Newsroom:
    """A newsroom with readers of two cadences, two languages and different choices."""
    newsroom = mailing_newsroom
    newsroom.add_topics("water", "rivers < water", "health")
    newsroom.add_list("all", cadences=("daily", "weekly"))
    newsroom.subscribe("ann", slug="all", cadence="weekly")
    newsroom.subscribe("dan", slug="all", cadence="daily")
    newsroom.subscribe("eva", slug="all", cadence="weekly", language="ru")
    newsroom.subscribe("wes", slug="all", cadence="weekly", topics=("rivers",))
    newsroom.subscribe("hal", slug="all", cadence="weekly", topics=("health",))
    newsroom.subscribe("else", slug="weekly")
    return newsroom


def send(newsroom: Newsroom, edition_id: int) -> None:
    approve_edition(newsroom.app, edition_id, actor="a test")
    fan_out_edition(newsroom.app, edition_id)
    newsroom.send()


@pytest.mark.slow
def test_an_announcement_reaches_every_reader_of_the_list_once_in_their_language(readers):
    found = compose_announcement(readers.app, "all", {"en": EN, "ru": RU})
    assert (5, EditionState.REVIEW) == (found.readers, readers.state(found.edition_id))
    assert [] == check_edition(readers.app, found.edition_id)
    send(readers, found.edition_id)

    mails = readers.mails()
    assert {"ann", "dan", "eva", "wes", "hal"} == set(mails)
    assert all(len(each) == 1 for each in mails.values())
    ann, eva = read(mails["ann"][0]), read(mails["eva"][0])
    assert ("We move", "Мы переезжаем") == (ann["Subject"], eva["Subject"])
    text = text_of(mails["ann"][0])
    assert "<https://example.org/house>." in text
    assert "because you subscribed to “The all”." in text
    html = ann.get_body(("html",)).get_content()
    assert '<h3 style="' in html
    assert "<em>Monday</em>" in html
    assert "List-Unsubscribe=One-Click" == ann["List-Unsubscribe-Post"]
    finish_editions(readers.app)
    assert EditionState.DONE is readers.state(found.edition_id)
    assert find_progress(readers.app, found.edition_id).adds_up


def test_an_announcement_may_be_for_those_alone_whom_it_concerns(readers):
    found = compose_announcement(readers.app, "all", {"en": EN}, wanted=NamedFilter(topics=("water",)))
    send(readers, found.edition_id)

    assert {"ann", "dan", "eva", "wes"} == set(readers.mails())
    assert {"nothing_chosen": 1} == find_progress(readers.app, found.edition_id).exclusions


@pytest.mark.slow
def test_who_comes_before_it_is_sent_gets_it_too(readers):
    found = compose_announcement(readers.app, "all", {"en": EN, "ru": RU})
    readers.subscribe("new", slug="all", cadence="daily", language="ru", kinds=("video",))
    send(readers, found.edition_id)

    assert "Мы переезжаем" == read(readers.mails()["new"][0])["Subject"]


@pytest.mark.slow
def test_an_announcement_takes_nothing_from_the_news(readers):
    readers.publish("A story")
    send(readers, compose_announcement(readers.app, "all", {"en": EN}).edition_id)

    assert {"A story"} == readers.titles(readers.compose("all"))


def test_what_comes_in_a_letter_is_sanitised(readers):
    hostile = LetterDraft("Hello", "Hi <script>alert(1)</script> [x](javascript:alert(1)) <b onclick='x'>bold</b>")
    found = compose_announcement(readers.app, "all", {"en": hostile})
    with readers.app.reading() as tx:
        view = view_edition(tx, "all", readers.edition(found.edition_id).slot_key, "en", for_staff=True)

    for bad in ("<script", 'href="javascript:', "onclick"):
        assert bad not in view.html
    assert "<b>bold</b>" in view.html


@pytest.mark.parametrize(
    ("letters", "words"),
    [
        ({"ru": RU}, "write it in 'en'"),
        ({"en": LetterDraft("", "Hello")}, "needs a subject"),
        ({"en": LetterDraft("a\nb\x07", "Hello")}, "needs a subject"),
        ({"en": LetterDraft("Hello", " \n")}, "says nothing"),
        ({"en": EN, "fr": EN}, "not written in 'fr'"),
        ({"en": LetterDraft("x" * 121, "Hello")}, "121 characters"),
        ({"en": LetterDraft("Hello", "x" * 50_000)}, "tell it in fewer"),
    ],
)
def test_a_letter_that_cannot_be_sent_leaves_nothing_behind(readers, letters, words):
    with pytest.raises(InvalidError, match=words):
        compose_announcement(readers.app, "all", letters)

    assert 1 == compose_announcement(readers.app, "all", {"en": EN}).edition_id


@pytest.mark.slow
def test_several_a_day_have_slots_of_their_own_and_one_said_before_is_told(readers):
    first = compose_announcement(readers.app, "all", {"en": EN})
    send(readers, first.edition_id)
    second = compose_announcement(readers.app, "all", {"en": EN})

    slots = [readers.edition(each.edition_id).slot_key for each in (first, second)]
    assert ["announcement-2026-03-16", "announcement-2026-03-16-2"] == slots
    assert ["duplicate"] == [each.rule for each in check_edition(readers.app, second.edition_id)]


def test_it_goes_out_by_itself_at_the_time_that_was_set(readers):
    found = compose_announcement(readers.app, "all", {"en": EN})
    schedule_edition(readers.app, found.edition_id, readers.clock.now + DAY)
    assert [] == approve_overdue_reviews(readers.app)
    readers.move(DAY)

    assert [found.edition_id] == approve_overdue_reviews(readers.app)
    with pytest.raises(ConflictError, match="only one in review"):
        schedule_edition(readers.app, found.edition_id, readers.clock.now + DAY)


class TestCorrections:
    """One bad day: what was wrong went to some, was mended for the others, and only the first are told."""

    @pytest.fixture
    def sent(self, mailing_newsroom: Newsroom) -> tuple[Newsroom, int, str]:
        """A digest of which a part has gone out when somebody sees what is wrong in it."""
        newsroom = mailing_newsroom
        uid = newsroom.publish("Wrong figure")
        newsroom.publish("A video", kind="video")
        newsroom.subscribe("ann", "bek", "cat", "dan")
        newsroom.subscribe("vic", kinds=("video",))
        edition_id = newsroom.fan_out()
        return newsroom, edition_id, uid

    def accept(self, newsroom: Newsroom, edition_id: int, *names: str, state: DeliveryState) -> None:
        for name in names:
            values = {"accepted_at": newsroom.clock.now} if state is DeliveryState.ACCEPTED else {}
            newsroom.change(newsroom.deliveries(edition_id)[name], state=state, **values)

    @pytest.mark.slow
    def test_only_those_who_had_it_are_told(self, sent):
        newsroom, edition_id, uid = sent
        self.accept(newsroom, edition_id, "ann", "vic", state=DeliveryState.ACCEPTED)
        self.accept(newsroom, edition_id, "bek", state=DeliveryState.IN_DOUBT)
        pause_edition(newsroom.app, edition_id)
        publish_article(newsroom.app, uid, edit=staff_edit(newsroom.app, title="Right figure"))
        resume_edition(newsroom.app, edition_id)
        newsroom.send()
        assert {"cat", "dan"} == set(newsroom.mails())
        for name in ("cat", "dan"):
            assert "Right figure" in text_of(newsroom.mails()[name][0])
        found = compose_correction(newsroom.app, edition_id, uid, {"en": LetterDraft("", "The figure is 12, not 21.")})
        assert 2 == found.readers
        send(newsroom, found.edition_id)

        told = {name for name, mails in newsroom.mails().items() if b"Correction" in mails[-1]}
        assert {"ann", "bek"} == told
        mail = read(newsroom.mails()["ann"][0])
        assert "Correction: Right figure" == mail["Subject"]
        assert "held what is corrected here" in text_of(newsroom.mails()["ann"][0])
        finish_editions(newsroom.app)
        first, correction = (find_progress(newsroom.app, each) for each in (edition_id, found.edition_id))
        assert (True, True, 2) == (first.adds_up, correction.adds_up, correction.candidates)
        with newsroom.app.reading() as tx:
            assert 2 == len(list_archive(tx, "weekly"))
            view = view_edition(tx, "weekly", newsroom.edition(edition_id).slot_key, "en")
        assert "Right figure" in view.text, "the archive shows what is right"
        assert ["composed"] == [
            each.act for each in list_acts(newsroom.app, about=f"edition {found.edition_id}") if each.act == "composed"
        ]

    @pytest.mark.slow
    def test_who_left_meanwhile_is_not_told_and_who_came_back_is(self, sent):
        newsroom, edition_id, uid = sent
        self.accept(newsroom, edition_id, "ann", "bek", "cat", state=DeliveryState.ACCEPTED)
        found = compose_correction(newsroom.app, edition_id, uid, {"en": LetterDraft("Sorry", "It was wrong.")})
        assert 3 == found.readers
        unsubscribe(newsroom.app, newsroom.subscription("ann").uid, basis="one click", evidence="a test")
        self.accept(newsroom, edition_id, "dan", state=DeliveryState.ACCEPTED)
        send(newsroom, found.edition_id)

        assert {"bek", "cat", "dan"} == {name for name, mails in newsroom.mails().items() if b"Sorry" in mails[-1]}

    @pytest.mark.slow
    def test_a_withdrawn_article_can_be_corrected_too(self, sent):
        newsroom, edition_id, uid = sent
        self.accept(newsroom, edition_id, "ann", state=DeliveryState.ACCEPTED)
        withdraw_article(newsroom.app, uid, reason="it was wrong")

        assert 1 == compose_correction(newsroom.app, edition_id, uid, {"en": LetterDraft("", "It was wrong.")}).readers

    @pytest.mark.slow
    def test_where_nobody_had_it_nobody_is_told(self, sent):
        newsroom, edition_id, uid = sent
        letters = {"en": LetterDraft("Sorry", "It was wrong.")}
        with pytest.raises(ConflictError, match="nobody has had"):
            compose_correction(newsroom.app, edition_id, uid, letters)
        with pytest.raises(NotFoundError, match="never held"):
            compose_correction(newsroom.app, edition_id, newsroom.publish("Another"), letters)

        with newsroom.app.reading() as tx:
            assert load_record(tx.session, newsroom.article_id("Wrong figure")).uid == uid
