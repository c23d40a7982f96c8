"""Editing an edition: what staff change is in every reader's mail, on record, and in no other edition."""

from dataclasses import replace

import pytest
from newsroom import DAY, WEEK, Newsroom, text_of, titles_in

from newsletter.domain.edition_edits import EditKind
from newsletter.domain.editions import EditionState
from newsletter.domain.subscriptions import SubscriptionState
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.services.articles import publish_article, staff_edit
from newsletter.services.audit import list_acts
from newsletter.services.composing import compile_edition
from newsletter.services.edition_edits import Change, diff_edition, edit_edition, mend_edition
from newsletter.services.editions import approve_edition, approve_overdue_reviews, fan_out_edition, finish_editions
from newsletter.services.reports import preview_edition
from newsletter.storage.articles import load_record

K = EditKind


@pytest.fixture
def reviewed(mailing_newsroom: Newsroom) -> Newsroom:
    """A newsroom whose list "drafts" asks for review, due on Tuesdays, with a reader of all and one of videos."""
    newsroom = mailing_newsroom
    newsroom.app = replace(newsroom.app, actor="aida")
    newsroom.add_list("drafts", weekday=1, review_minutes=60, intros={"en": "Always the same."})
    for age, title in ((10, "First"), (8, "Second"), (6, "Third")):
        newsroom.publish(title, age=age * DAY / 24)
    newsroom.publish("A video", kind="video")
    newsroom.subscribe("ann", slug="drafts")
    newsroom.subscribe("vic", slug="drafts", kinds=("video",))
    newsroom.move(DAY)
    return newsroom


def send(newsroom: Newsroom, edition_id: int) -> None:
    approve_edition(newsroom.app, edition_id, actor="a test")
    fan_out_edition(newsroom.app, edition_id)
    newsroom.send()


@pytest.mark.slow
def test_what_is_changed_is_in_the_mails_of_those_who_chose_it(reviewed):
    edition_id = reviewed.compose("drafts")
    first, video = reviewed_uid(reviewed, edition_id, "First"), reviewed_uid(reviewed, edition_id, "A video")
    found = edit_edition(
        reviewed.app,
        edition_id,
        [
            Change(K.LEAD, first),
            Change(K.INTRO, language="en", words="  A week of  floods. "),
            Change(K.SUMMARY, video, words="Two minutes by the river."),
            Change(K.DROP, reviewed_uid(reviewed, edition_id, "Second"), words="told last week"),
        ],
    )
    assert [["First"], []] == [
        [each.title for each in found.edited if each.is_lead],
        [each.title for each in found.edited if each.title == "Second"],
    ]
    send(reviewed, edition_id)

    [ann], [vic] = reviewed.mails()["ann"], reviewed.mails()["vic"]
    assert {"First", "Third", "A video"} == titles_in(ann)
    assert {"A video"} == titles_in(vic)
    assert "The drafts: First" in ann.decode()
    for mail in (ann, vic):
        assert "A week of floods." in text_of(mail)
        assert "Two minutes by the river." in text_of(mail)
        assert "Always the same" not in text_of(mail)


def reviewed_uid(newsroom: Newsroom, edition_id: int, title: str) -> str:
    facts = diff_edition(newsroom.app, edition_id)
    return next(each.uid for each in (*facts.automatic, *facts.edited) if each.title == title)


@pytest.mark.slow
def test_every_change_is_on_record_with_who_and_why(reviewed):
    edition_id = reviewed.compose("drafts")
    edit_edition(reviewed.app, edition_id, [Change(K.DROP, "1", words="not ours"), Change(K.PIN, "3")])
    found = diff_edition(reviewed.app, edition_id)
    [act] = list_acts(reviewed.app, about=f"edition {edition_id}", actor="aida")

    assert [(K.DROP, "aida", "not ours"), (K.PIN, "aida", None)] == [
        (each.kind, each.actor, each.words) for each in found.changes
    ]
    assert all(each.at for each in found.changes)
    assert ("edited", ["drop", "pin"]) == (act.act, [each["kind"] for each in act.details["changes"]])
    assert [each.uid for each in found.changes] == [each["article"] for each in act.details["changes"]]
    assert 4 == len(found.automatic)
    assert 3 == len(found.edited)


@pytest.mark.slow
def test_what_was_dropped_is_not_in_the_next_edition_and_what_was_postponed_is(reviewed):
    edition_id = reviewed.compose("drafts")
    changes = [
        Change(K.DROP, reviewed_uid(reviewed, edition_id, "First"), words="wrong"),
        Change(K.POSTPONE, reviewed_uid(reviewed, edition_id, "Third"), words="next week"),
    ]
    edit_edition(reviewed.app, edition_id, changes)
    send(reviewed, edition_id)
    finish_editions(reviewed.app)
    reviewed.publish("Fourth")
    reviewed.move(WEEK)
    following = reviewed.compose("drafts")

    assert {"Third", "Fourth"} == reviewed.titles(following)


@pytest.mark.slow
def test_pins_and_an_order_are_what_readers_meet(reviewed):
    edition_id = reviewed.compose("drafts")
    uids = {title: reviewed_uid(reviewed, edition_id, title) for title in ("First", "Second", "Third")}
    edit_edition(
        reviewed.app,
        edition_id,
        [*(Change(K.ORDER, uids[title], words=str(place)) for place, title in enumerate(("Third", "First"), start=1))],
    )
    found = edit_edition(reviewed.app, edition_id, [Change(K.PIN, uids["Second"]), Change(K.LEAD, uids["Second"])])

    assert ["Second", "Third", "First", "A video"] == [each.title for each in found.edited]
    text = preview_edition(reviewed.app, edition_id, "en").text
    assert sorted(("Second", "Third", "First"), key=text.index) == ["Second", "Third", "First"]


@pytest.mark.slow
def test_an_event_known_for_long_can_be_added_but_never_what_an_edition_had(reviewed):
    reviewed.publish("Old and never sent", age=40 * DAY)
    edition_id = reviewed.compose("drafts")
    old = uid_of(reviewed, "Old and never sent")
    assert "Old and never sent" not in reviewed.titles(edition_id)
    edit_edition(reviewed.app, edition_id, [Change(K.ADD, old)])
    send(reviewed, edition_id)

    assert "Old and never sent" in titles_in(reviewed.mails()["ann"][0])
    assert "Old and never sent" not in titles_in(reviewed.mails()["vic"][0]), "never one that they did not choose"
    finish_editions(reviewed.app)
    reviewed.publish("Fourth")
    reviewed.move(WEEK)
    following = reviewed.compose("drafts")
    with pytest.raises(ConflictError, match="an earlier edition had"):
        edit_edition(reviewed.app, following, [Change(K.ADD, old)])


def uid_of(newsroom: Newsroom, title: str) -> str:
    with newsroom.app.reading() as tx:
        return load_record(tx.session, newsroom.article_id(title)).uid


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (Change(K.DROP, "1"), InvalidError, "say why"),
        (Change(K.LEAD, "9"), NotFoundError, "no item 9"),
        (Change(K.INTRO, language="fr", words="Bonjour"), InvalidError, "not written in 'fr'"),
        (Change(K.SUMMARY, "1", "ru", "Кратко"), InvalidError, "not there in 'ru'"),
        (Change(K.SUMMARY, "1", words="x" * 1300), InvalidError, "at most 1200"),
        (Change(K.INTRO, words="a\x07b"), InvalidError, "control character"),
        (Change(K.ADD, "nothing"), NotFoundError, "there is no article"),
    ],
)
def test_a_change_that_cannot_be_made_changes_nothing(reviewed, change, error, words):
    edition_id = reviewed.compose("drafts")
    with pytest.raises(error, match=words):
        edit_edition(reviewed.app, edition_id, [Change(K.PIN, "2"), change])

    assert () == diff_edition(reviewed.app, edition_id).changes
    assert [] == list_acts(reviewed.app, about=f"edition {edition_id}", actor="aida")


@pytest.mark.slow
def test_nothing_cannot_be_left_and_an_edition_on_its_way_cannot_be_edited(reviewed):
    edition_id = reviewed.compose("drafts")
    everything = [Change(K.DROP, str(number), words="all wrong") for number in (1, 2, 3, 4)]
    with pytest.raises(ConflictError, match="nothing would be left"):
        edit_edition(reviewed.app, edition_id, everything)
    approve_edition(reviewed.app, edition_id, actor="a test")

    with pytest.raises(ConflictError, match="past editing"):
        edit_edition(reviewed.app, edition_id, [Change(K.PIN, "1")])
    assert 4 == len(reviewed.titles(edition_id))


def test_changes_made_before_composing_count_when_it_is_composed(reviewed):
    edition_id = reviewed.open("drafts")
    edit_edition(reviewed.app, edition_id, [Change(K.DROP, uid_of(reviewed, "First"), words="wrong")])
    compile_edition(reviewed.app, edition_id)

    assert {"Second", "Third", "A video"} == {each.title for each in diff_edition(reviewed.app, edition_id).edited}


@pytest.mark.slow
def test_a_reader_who_comes_after_the_edit_gets_the_edition_as_edited(reviewed):
    edition_id = reviewed.compose("drafts")
    edit_edition(
        reviewed.app,
        edition_id,
        [Change(K.INTRO, words="As edited."), Change(K.DROP, uid_of(reviewed, "First"), words="wrong")],
    )
    reviewed.move(DAY / 48)
    reviewed.subscribe("late", slug="drafts", language="ru")
    send(reviewed, edition_id)

    assert SubscriptionState.CONFIRMED is reviewed.subscription("late").state
    assert {"Second", "Third", "A video"} == titles_in(reviewed.mails()["late"][0])


def test_a_list_that_holds_its_editions_sends_none_by_itself(newsroom):
    newsroom.add_list("held", weekday=1, review_minutes=60, review_hold=True)
    newsroom.publish("A story")
    newsroom.subscribe("ann", slug="held")
    newsroom.move(DAY)
    edition_id = newsroom.compose("held")
    newsroom.move(DAY)

    assert [] == approve_overdue_reviews(newsroom.app)
    assert EditionState.REVIEW is newsroom.state(edition_id)


class TestMending:
    def correct(self, newsroom: Newsroom, title: str, new: str) -> None:
        uid = uid_of(newsroom, title)
        publish_article(newsroom.app, uid, edit=staff_edit(newsroom.app, title=new))

    def test_an_edition_in_review_takes_the_new_words(self, reviewed):
        edition_id = reviewed.compose("drafts")
        self.correct(reviewed, "First", "Firstly")

        assert "Firstly" in preview_edition(reviewed.app, edition_id, "en").text

    @pytest.mark.slow
    def test_mail_that_waits_is_sent_with_the_new_words_and_mail_that_left_stays(self, reviewed):
        reviewed.subscribe("eva", slug="drafts", language="ru")
        edition_id = reviewed.compose("drafts")
        approve_edition(reviewed.app, edition_id, actor="a test")
        fan_out_edition(reviewed.app, edition_id)
        before = reviewed.deliveries(edition_id)
        vic = before["vic"]
        self.correct(reviewed, "First", "Mended")
        self.correct(reviewed, "A video", "A better video")
        reviewed.send()

        found = {name: text_of(mail) for name, [mail] in reviewed.mails().items()}
        assert "Mended" in found["ann"]
        assert "\nFirst" not in found["ann"].replace("* First", "\nFirst")
        assert "A better video" in found["vic"]
        assert "A better video" in found["eva"]
        after = reviewed.deliveries(edition_id)
        assert vic.mail_token == after["vic"].mail_token
        assert [each.subscriber_id for each in before.values()] == [each.subscriber_id for each in after.values()]

    @pytest.mark.slow
    def test_a_reader_who_comes_after_the_mend_gets_the_new_words(self, reviewed):
        edition_id = reviewed.compose("drafts")
        approve_edition(reviewed.app, edition_id, actor="a test")
        self.correct(reviewed, "First", "Mended")
        reviewed.subscribe("new", slug="drafts", kinds=("story",))
        fan_out_edition(reviewed.app, edition_id)
        reviewed.send()

        assert "Mended" in text_of(reviewed.mails()["new"][0])

    @pytest.mark.slow
    def test_what_has_ended_is_corrected_not_mended(self, reviewed):
        edition_id = reviewed.compose("drafts")
        send(reviewed, edition_id)
        finish_editions(reviewed.app)

        with pytest.raises(ConflictError, match="editions correct"):
            mend_edition(reviewed.app, edition_id, uid_of(reviewed, "First"))
        with pytest.raises(NotFoundError, match="does not hold"):
            mend_edition(reviewed.app, edition_id, reviewed.publish("Another"))
