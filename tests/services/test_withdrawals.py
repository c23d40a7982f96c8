"""Withdrawals: from the moment it commits, a withdrawn article is in no mail that has not left."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from newsroom import DAY, WEEK, Newsroom, text_of, titles_in
from smtp_server import ScriptedRelay, Turn
from sqlalchemy import event

from newsletter.domain.deliveries import DeliveryState, Pool
from newsletter.domain.editions import EditionState
from newsletter.domain.limits import Allowance
from newsletter.errors import NotFoundError
from newsletter.services.archive import view_edition
from newsletter.services.articles import retag_article, withdraw_article
from newsletter.services.composing import compile_edition
from newsletter.services.editions import approve_edition, fan_out_edition, finish_editions
from newsletter.storage import ledger

S = DeliveryState


def withdraw(newsroom: Newsroom, uid: str) -> None:
    withdraw_article(newsroom.app, uid, reason="it was wrong")


@pytest.mark.slow
def test_mail_that_waits_is_sent_without_it(mailing_newsroom):
    newsroom = mailing_newsroom
    wrong = newsroom.publish("Wrong", ru="Неверно")
    newsroom.publish("Right", ru="Верно")
    newsroom.publish("A video", kind="video")
    newsroom.subscribe("ann", "bek")
    newsroom.subscribe("eva", language="ru")
    newsroom.subscribe("ilya", kinds=("video",))
    edition_id = newsroom.fan_out()
    before = newsroom.deliveries(edition_id)
    withdraw(newsroom, wrong)
    newsroom.send()

    found = {name: titles_in(mail) for name, [mail] in newsroom.mails().items()}
    assert {
        "ann": {"Right", "A video"},
        "bek": {"Right", "A video"},
        "eva": {"Right", "A video"},
        "ilya": {"A video"},
    } == found
    assert not any(b"Wrong" in mail for [mail] in newsroom.mails().values())
    assert "Неверно" not in text_of(newsroom.mails()["eva"][0])
    after = newsroom.deliveries(edition_id)
    assert before["ilya"].variant_id == after["ilya"].variant_id
    assert [row.mail_token for row in before.values()] == [row.mail_token for row in after.values()]


@pytest.mark.slow
def test_mail_of_which_nothing_is_left_is_cancelled_and_the_edition_can_end(newsroom):
    wrong = newsroom.publish("Wrong", kind="video")
    newsroom.publish("Right")
    newsroom.subscribe("ann", kinds=("video",))
    newsroom.subscribe("bek")
    edition_id = newsroom.fan_out()
    withdraw(newsroom, wrong)

    assert {"ann": S.CANCELLED, "bek": S.QUEUED} == newsroom.states(edition_id)
    assert "withdrawn" in newsroom.deliveries(edition_id)["ann"].reason
    newsroom.change(newsroom.deliveries(edition_id)["bek"], state=S.ACCEPTED, accepted_at=newsroom.clock.now)
    assert [edition_id] == finish_editions(newsroom.app)


def test_an_edition_in_review_goes_out_without_it(newsroom):
    newsroom.add_list("reviewed", weekday=1, review_minutes=60)
    wrong = newsroom.publish("Wrong", image="https://example.org/a.jpg")
    newsroom.publish("Right")
    newsroom.subscribe("ann", slug="reviewed")
    newsroom.move(DAY)
    edition_id = newsroom.compose("reviewed")
    withdraw(newsroom, wrong)
    approve_edition(newsroom.app, edition_id, actor="a test")
    fan_out_edition(newsroom.app, edition_id)

    assert {"ann": ["Right"]} == newsroom.contents(edition_id)
    with newsroom.app.reading() as tx:
        view = view_edition(tx, "reviewed", newsroom.edition(edition_id).slot_key, "en")
    assert "Right" in view.subject
    assert "Wrong" not in view.subject + view.html + view.text


def test_an_edition_in_review_of_which_nothing_is_left_mails_nobody(newsroom):
    newsroom.add_list("reviewed", weekday=1, review_minutes=60)
    wrong = newsroom.publish("Wrong")
    newsroom.subscribe("ann", slug="reviewed")
    newsroom.move(DAY)
    edition_id = newsroom.compose("reviewed")
    withdraw(newsroom, wrong)
    approve_edition(newsroom.app, edition_id, actor="a test")
    fan_out_edition(newsroom.app, edition_id)

    assert {} == newsroom.deliveries(edition_id)
    assert [edition_id] == finish_editions(newsroom.app)
    with newsroom.app.reading() as tx, pytest.raises(NotFoundError):
        view_edition(tx, "reviewed", newsroom.edition(edition_id).slot_key, "en")


@pytest.mark.slow
def test_withdrawing_one_after_the_other_leaves_neither(newsroom):
    uids = [newsroom.publish(title) for title in ("One", "Two", "Three")]
    newsroom.subscribe("ann")
    edition_id = newsroom.fan_out()
    for uid in uids[:2]:
        withdraw(newsroom, uid)

    assert {"ann": ["Three"]} == newsroom.contents(edition_id)
    with newsroom.app.reading() as tx:
        view = view_edition(tx, "weekly", newsroom.edition(edition_id).slot_key, "en")
    assert ("Three" in view.text, "One" in view.text, "Two" in view.text) == (True, False, False)


@pytest.mark.slow
def test_what_was_sent_stays_as_it_was_and_the_next_edition_does_not_hold_it(newsroom):
    wrong = newsroom.publish("Wrong")
    newsroom.subscribe("ann")
    edition_id = newsroom.fan_out()
    newsroom.deliver(edition_id)
    withdraw(newsroom, wrong)
    newsroom.move(WEEK)
    newsroom.publish("Right")

    assert {"ann": ["Wrong"]} == newsroom.contents(edition_id)
    assert {"ann": ["Right"]} == newsroom.contents(newsroom.fan_out())


def test_a_sender_that_holds_it_in_its_hands_does_not_send_it(newsroom):
    wrong = newsroom.publish("Wrong")
    newsroom.publish("Right")
    newsroom.subscribe("ann")
    edition_id = newsroom.fan_out()
    with newsroom.app.transaction() as tx:
        [claimed] = ledger.claim(tx.session, pool=Pool.BULK, allowance=Allowance(9), worker="w", token="t")
    withdraw(newsroom, wrong)
    with newsroom.app.transaction() as tx:
        cleared = ledger.take_turn(tx.session, told=[], next_ids=[claimed.id], token="t", worker="w")

    assert {} == cleared
    assert {"ann": S.QUEUED} == newsroom.states(edition_id)


@contextmanager
def withdrawing_relay(newsroom: Newsroom, uid: str) -> Iterator[ScriptedRelay]:
    """A relay during whose first conversation the article is withdrawn, and which then asks for patience."""

    def script(turn: Turn) -> str | None:
        if turn.verb == "RCPT" and turn.mail == 1:
            withdraw(newsroom, uid)
            return "451 4.3.0 later"
        return None

    relay = ScriptedRelay(script)
    with relay.running():
        newsroom.use_relay(relay.url())
        yield relay


@pytest.mark.slow
def test_mail_that_was_on_its_way_and_came_back_is_sent_without_it(newsroom):
    """Written ahead when the article was withdrawn, then deferred: its second attempt is of what is left."""
    wrong = newsroom.publish("Wrong")
    newsroom.publish("Right")
    newsroom.subscribe("ann")
    edition_id = newsroom.fan_out()
    with withdrawing_relay(newsroom, wrong) as relay:
        newsroom.send()
        assert [] == relay.accepted
        for _ in range(2):
            newsroom.make_due()
            newsroom.send()

    assert [{"Right"}] == [titles_in(each.body) for each in relay.accepted]
    assert {"ann": S.ACCEPTED} == newsroom.states(edition_id)
    assert {"ann": ["Right"]} == newsroom.contents(edition_id)


@pytest.mark.slow
def test_mail_that_was_on_its_way_and_came_back_is_not_sent_if_nothing_is_left(newsroom):
    wrong = newsroom.publish("Wrong")
    newsroom.subscribe("ann")
    edition_id = newsroom.fan_out()
    with withdrawing_relay(newsroom, wrong) as relay:
        newsroom.send()
        for _ in range(2):
            newsroom.make_due()
            newsroom.send()

    assert [] == relay.accepted
    assert {"ann": S.CANCELLED} == newsroom.states(edition_id)
    assert EditionState.DONE == newsroom.state(edition_id)


@contextmanager
def listening(newsroom: Newsroom, statements: list[str]) -> Iterator[None]:
    """Note every statement while the block lasts."""

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(newsroom.app.database.engine, "before_cursor_execute", note)
    yield
    event.remove(newsroom.app.database.engine, "before_cursor_execute", note)


@pytest.mark.slow
def test_a_withdrawal_takes_as_few_steps_with_many_variants_as_with_one(newsroom):
    newsroom.add_topics("water", "roads", "work")
    choices = [("water",), ("water", "roads"), ("water", "work"), ("water", "roads", "work")]
    counts = []
    for readers, wrong in ((choices[:1], "Wrong"), (choices, "Wrong as well")):
        uid = newsroom.publish(wrong, topics=["water"])
        for title, topic in (("Rain", "water"), ("Bridges", "roads"), ("Wages", "work")):
            newsroom.publish(f"{title} {wrong}", topics=[topic])
        for number, topics in enumerate(readers):
            newsroom.subscribe(f"{wrong.split()[-1]}{number}", topics=topics)
        newsroom.move(7 * DAY)
        edition_id = newsroom.fan_out()
        steps: list[str] = []
        with listening(newsroom, steps):
            withdraw(newsroom, uid)
        counts.append(len(steps))
        assert not any(wrong in titles for titles in newsroom.contents(edition_id).values())

    assert counts[0] == counts[1]


@pytest.mark.slow
def test_articles_changed_since_do_not_stop_a_withdrawal(newsroom):
    """What is left is laid out anew from blocks that were rendered before the change."""
    newsroom.add_topics("water", "roads")
    wrong = newsroom.publish("Wrong", topics=["water"])
    moved = newsroom.publish("Moved", topics=["water"])
    newsroom.publish("Turned", ru="Другой")
    newsroom.subscribe("ann")
    newsroom.subscribe("bek", language="ru")
    edition_id = newsroom.fan_out()
    retag_article(newsroom.app, moved, add=["roads"], remove=["water"])
    starts_at = (newsroom.clock.now + DAY).isoformat()
    newsroom.publish("Turned", kind="event", event={"starts_at": starts_at, "zone": "UTC"})
    withdraw(newsroom, wrong)

    assert {"Moved", "Turned"} == set(newsroom.contents(edition_id)["ann"])
    assert {"Moved", "Turned"} == set(newsroom.contents(edition_id)["bek"])


@pytest.mark.parametrize(
    ("words", "step"),
    [
        pytest.param("FROM article", "compose", id="composing"),
        pytest.param("INSERT INTO delivery ", "fan out", id="fanning out"),
    ],
)
@pytest.mark.parametrize("left", [("Right",), ()], ids=["something left", "nothing left"])
def test_a_withdrawal_at_the_moment_of_another_step_is_not_lost(postgresql_newsroom, words, step, left):
    """On SQLite there is one writer; on PostgreSQL neither would see what the other has not committed."""
    newsroom = postgresql_newsroom
    wrong = newsroom.publish("Wrong")
    for title in left:
        newsroom.publish(title)
    newsroom.subscribe("ann", "bek")
    edition_id = newsroom.open()
    if step == "fan out":
        compile_edition(newsroom.app, edition_id)
    with newsroom.meanwhile(words, lambda: withdraw(newsroom, wrong)):
        compile_edition(newsroom.app, edition_id)
        if step == "fan out":
            fan_out_edition(newsroom.app, edition_id)
    fan_out_edition(newsroom.app, edition_id)

    open_mail = [name for name, state in newsroom.states(edition_id).items() if state is S.QUEUED]
    assert {name: list(left) for name in ("ann", "bek") if left} == {
        name: titles for name, titles in newsroom.contents(edition_id).items() if name in open_mail
    }
