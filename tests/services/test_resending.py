"""Resending: what failed goes again by a person's decision, with the same bytes; who must not get it stays away."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from answering import answer, begin, states, tell
from newsroom import DAY, HOUR, WEEK, Newsroom, titles_in
from smtp_server import Answer, ScriptedRelay, Turn
from sqlalchemy import select, update

from newsletter.dispatch import Doorbell
from newsletter.domain.article_edits import StaffEdit
from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.editions import EditionState
from newsletter.domain.lists import Cadence, InDoubtPolicy
from newsletter.domain.replies import Verdict
from newsletter.domain.resends import Cause, Hindrance
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.services import audit, resending
from newsletter.services.articles import publish_article, withdraw_article
from newsletter.services.audit import list_acts, note_act
from newsletter.services.choices import change_choice
from newsletter.services.doubts import Settled, Settlement, settle
from newsletter.services.editions import (
    cancel_edition,
    fan_out_edition,
    finish_editions,
    pause_edition,
    resume_edition,
)
from newsletter.services.filters import EVERY_ARTICLE
from newsletter.services.inquiries import tell_story
from newsletter.services.pauses import pause_until
from newsletter.services.progress import follow_edition
from newsletter.services.resending import choose, plan_resend, resend_failed
from newsletter.services.stops import pause_sending
from newsletter.services.subscribers import erase_subscriber
from newsletter.services.subscriptions import unsubscribe
from newsletter.services.suppressions import lift_suppression, suppress_address
from newsletter.services.sweeping import sweep
from newsletter.storage import lists, stops
from newsletter.storage.editions import EditionRow
from newsletter.storage.engine import database_now
from newsletter.storage.lists import ListRow
from newsletter.storage.stops import StopKind

READERS = ("ann", "bek", "cai", "dan", "eva")
WHY = "their server was moved, and is back"


def a_done_edition(newsroom: Newsroom, failed: int = 3, *, verdict: Verdict = Verdict.RECIPIENT_FAILED) -> int:
    """Return an edition to five readers that is done: the mails to the first so many failed."""
    newsroom.subscribe(*READERS)
    newsroom.publish("A story")
    edition_id = newsroom.fan_out()
    answer(newsroom, *[verdict] * failed)
    assert finish_editions(newsroom.app) == [edition_id]
    return edition_id


def counts(newsroom: Newsroom, edition_id: int) -> dict[str, int] | None:
    """Return the edition's final counts."""
    with newsroom.app.reading() as tx:
        return tx.session.execute(select(EditionRow.counts).where(EditionRow.id == edition_id)).scalar_one()


def is_right(newsroom: Newsroom, edition_id: int) -> bool:
    """Say whether the edition's accounts balance, and its final counts are those of its mails."""
    balances = follow_edition(newsroom.app, edition_id).adds_up
    return balances and counts(newsroom, edition_id) == states(newsroom, edition_id)


@contextmanager
def a_relay(newsroom: Newsroom, script: Callable[[Turn], Answer]) -> Iterator[ScriptedRelay]:
    """Send to an SMTP server that answers by *script* while the block lasts."""
    with ScriptedRelay(script).running() as relay:
        newsroom.use_relay(relay.url())
        yield relay


def recipients(relay: ScriptedRelay) -> list[str]:
    """Return to whom the relay took mail, by name, in order."""
    return [each.rcpt_to.partition("@")[0].strip("<") for each in relay.accepted]


def refusing(*names: str, words: str = "550 5.1.1 no such mailbox") -> Callable[[Turn], Answer]:
    return lambda turn: words if turn.verb == "RCPT" and any(f"<{name}@" in turn.line for name in names) else None


@pytest.mark.slow
def test_what_failed_is_sent_again_by_a_real_relay_and_nobody_gets_two(newsroom: Newsroom) -> None:
    """The edition was done, is sent again and is done again; who was suppressed since stays away."""
    newsroom.subscribe(*READERS)
    newsroom.publish("A story")
    edition_id = newsroom.fan_out()
    with a_relay(newsroom, refusing("ann", "bek", "cai")) as relay:
        newsroom.send()
        sweep(newsroom.app)
        took = recipients(relay)
    before = newsroom.deliveries(edition_id)
    assert EditionState.DONE is newsroom.state(edition_id)
    assert {"accepted": 2, "failed": 3} == states(newsroom, edition_id) == counts(newsroom, edition_id)

    suppress_address(newsroom.app, "cai@readers.example")
    with a_relay(newsroom, lambda _: None) as relay:
        assert 2 == resend_failed(newsroom.app, edition_id, why=WHY)
        assert EditionState.SENDING is newsroom.state(edition_id)
        assert 2 == newsroom.send().accepted
        sweep(newsroom.app)
        took += recipients(relay)
    after = newsroom.deliveries(edition_id)

    assert EditionState.DONE is newsroom.state(edition_id)
    assert {"accepted": 4, "failed": 1} == states(newsroom, edition_id)
    assert is_right(newsroom, edition_id)
    assert ["ann", "bek", "dan", "eva"] == sorted(took)
    assert [(row.mail_token, row.mail_at) for row in before.values()] == [
        (row.mail_token, row.mail_at) for row in after.values()
    ]
    [story] = tell_story(newsroom.app, str(after["ann"].id))
    assert [("recipient_failed", 550), ("accepted", 250)] == [(each.outcome, each.code) for each in story.attempts]
    assert [("the service", WHY, 1)] == [(each.by, each.why, each.after) for each in story.resent]
    [other] = tell_story(newsroom.app, str(after["cai"].id))
    assert [] == other.resent


@pytest.mark.slow
def test_a_story_tells_each_resend_where_it_was_made(newsroom: Newsroom, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many at once, of which the record names the first and the last, too; not of who stayed away."""
    monkeypatch.setattr(audit, "MOST_NAMED", 1)
    edition_id = a_done_edition(newsroom, 3)
    suppress_address(newsroom.app, "bek@readers.example")
    for why in ("the first time", "the second time"):
        resend_failed(newsroom.app, edition_id, why=why)
        answer(newsroom, Verdict.RECIPIENT_FAILED, Verdict.RECIPIENT_FAILED)
        finish_editions(newsroom.app)
    ann, bek = (tell_story(newsroom.app, f"{name}@readers.example")[0] for name in ("ann", "bek"))

    assert [("the first time", 1), ("the second time", 2)] == [(each.why, each.after) for each in ann.resent]
    assert [] == bek.resent


@pytest.mark.slow
def test_a_second_run_finds_nothing_and_changes_nothing(newsroom: Newsroom) -> None:
    """Neither before the mails have gone nor afterwards."""
    edition_id = a_done_edition(newsroom)
    assert 3 == resend_failed(newsroom.app, edition_id, why=WHY)
    assert 0 == resend_failed(newsroom.app, edition_id, why=WHY)
    answer(newsroom)
    finish_editions(newsroom.app)
    done_at = newsroom.edition(edition_id).done_at
    newsroom.move(timedelta(hours=1))

    assert 0 == resend_failed(newsroom.app, edition_id, why=WHY)
    assert (EditionState.DONE, done_at) == (newsroom.state(edition_id), newsroom.edition(edition_id).done_at)
    assert [3] == [act.details["mails"] for act in list_acts(newsroom.app) if act.act == "resent"]


@pytest.mark.slow
def test_the_bytes_are_the_same(mailing_newsroom: Newsroom) -> None:
    """As a relay takes them, from the first header to the last line."""
    newsroom = mailing_newsroom
    edition_id = a_done_edition(newsroom, 0)
    ann = newsroom.deliveries(edition_id)["ann"]
    newsroom.change(ann, state="queued", accepted_at=None)
    with newsroom.app.transaction() as tx:
        tx.session.get_one(EditionRow, edition_id).state = EditionState.SENDING
    newsroom.send()
    newsroom.change(ann, state="failed", accepted_at=None)
    finish_editions(newsroom.app)
    newsroom.move(DAY)
    resend_failed(newsroom.app, edition_id, why=WHY)
    newsroom.send()

    first, second = newsroom.mails()["ann"]
    assert first == second


@pytest.mark.slow
def test_it_begins_anew_as_if_it_had_never_been_tried(newsroom: Newsroom) -> None:
    """But for its attempts, which are its story; it is due at once, and has as long as a first one."""
    edition_id = a_done_edition(newsroom, 1)
    ann = newsroom.deliveries(edition_id)["ann"]
    with newsroom.app.reading() as tx:
        now = database_now(tx.session)
    newsroom.change(ann, tries=5, lapses=7, deadline_at=now - DAY, reason="poison: its sender died", attempts=4)
    newsroom.approved_ago(edition_id, WEEK)
    newsroom.app.dispatcher.rings.clear()
    resend_failed(newsroom.app, edition_id, why=WHY)
    ann = newsroom.deliveries(edition_id)["ann"]

    assert ("queued", 0, 0, None, 4) == (ann.state, ann.tries, ann.lapses, ann.reason, ann.attempts)
    assert ann.deadline_at >= now + timedelta(days=3)
    assert [Doorbell.SEND_BULK] == [ring.doorbell for ring in newsroom.app.dispatcher.rings]
    sweep(newsroom.app)
    assert 1 == answer(newsroom)


@pytest.mark.slow
def test_who_did_it_and_why_is_on_record(newsroom: Newsroom) -> None:
    """With what was chosen; and nothing happens without a reason."""
    edition_id = a_done_edition(newsroom)
    with pytest.raises(InvalidError, match="--why"):
        resend_failed(newsroom.app, edition_id, why=" ")
    desk = replace(newsroom.app, actor="aida")
    resend_failed(desk, edition_id, choose("550"), why=WHY)

    [act] = [act for act in list_acts(newsroom.app, about=f"edition {edition_id}") if act.act == "resent"]
    ids = sorted(newsroom.deliveries(edition_id)[name].id for name in READERS[:3])
    assert ("aida", {"mails": 3, "why": WHY, "code": 550, "deliveries": ids}) == (act.actor, act.details)


def by_hindrance(newsroom: Newsroom, edition_id: int) -> dict[Hindrance, int]:
    """Return what the plan says of who stays away."""
    return dict(plan_resend(newsroom.app, edition_id).away)


@pytest.mark.slow
def test_who_must_not_get_it_stays_away_and_the_plan_says_why(newsroom: Newsroom) -> None:
    """It is judged again by the mail's own turn, as for any mail."""
    edition_id = a_done_edition(newsroom, 5)
    suppress_address(newsroom.app, "ann@readers.example")
    erase_subscriber(newsroom.app, "bek@readers.example")
    unsubscribe(newsroom.app, newsroom.subscription("cai").uid, basis="her link", evidence="mail")
    pause_until(
        newsroom.app,
        newsroom.subscription("dan").uid,
        (newsroom.clock.now + WEEK).date(),
        catches_up=False,
        evidence="page",
    )
    assert {Hindrance.SUPPRESSED: 1, Hindrance.FORGOTTEN: 1, Hindrance.ENDED: 1, Hindrance.PAUSED: 1} == by_hindrance(
        newsroom, edition_id
    )
    assert 1 == resend_failed(newsroom.app, edition_id, why=WHY)
    answer(newsroom)
    finish_editions(newsroom.app)

    assert {"failed": 4, "accepted": 1} == states(newsroom, edition_id)
    assert "accepted" == newsroom.states(edition_id)["eva"]
    assert is_right(newsroom, edition_id)
    lift_suppression(newsroom.app, "ann@readers.example")
    assert 1 == plan_resend(newsroom.app, edition_id).sendable


@pytest.mark.slow
def test_who_leaves_after_the_plan_gets_none(newsroom: Newsroom) -> None:
    """An unsubscribe counts from the moment it commits, for mail that is sent again, too."""
    edition_id = a_done_edition(newsroom, 2)
    assert 2 == plan_resend(newsroom.app, edition_id).sendable
    resend_failed(newsroom.app, edition_id, why=WHY)
    unsubscribe(newsroom.app, newsroom.subscription("ann").uid, basis="her link", evidence="mail")
    suppress_address(newsroom.app, "bek@readers.example")
    answer(newsroom)
    finish_editions(newsroom.app)

    assert {"accepted": 3, "cancelled": 1, "suppressed": 1} == states(newsroom, edition_id)
    assert is_right(newsroom, edition_id)


def test_who_moved_does_not_get_it_at_the_address_that_failed(newsroom: Newsroom) -> None:
    """Their new address never was in that mail."""
    edition_id = a_done_edition(newsroom, 1)
    newsroom.change(newsroom.deliveries(edition_id)["ann"], address_hmac="0" * 64)

    assert {Hindrance.MOVED: 1} == by_hindrance(newsroom, edition_id)
    assert 0 == resend_failed(newsroom.app, edition_id, why=WHY)


@pytest.mark.slow
def test_what_may_have_arrived_is_not_sent_again(newsroom: Newsroom) -> None:
    """A doubt that somebody gave up, and one that was sent again and refused then; doubts that stand stay doubts."""
    newsroom.subscribe(*READERS)
    newsroom.publish("A story")
    edition_id = newsroom.fan_out()
    answer(newsroom, *[Verdict.IN_DOUBT] * 3)
    ann, bek, cai = (newsroom.deliveries(edition_id)[name].id for name in READERS[:3])
    settle(newsroom.app, Settlement.FAILED, why="the log is gone", ids=[ann])
    settle(newsroom.app, Settlement.RESEND, why="she asked", ids=[bek])
    answer(newsroom, Verdict.RECIPIENT_FAILED)
    plan = plan_resend(newsroom.app, edition_id)

    assert ({Hindrance.MAY_HAVE_COME: 2}, 0, 1) == (dict(plan.away), plan.sendable, plan.in_doubt)
    assert {Cause.GIVEN_UP, Cause.REFUSED} == {each.cause for each in plan.alike}
    assert 0 == resend_failed(newsroom.app, edition_id, why=WHY)
    assert "in_doubt" == tell_story(newsroom.app, str(cai))[0].mail.state


def test_what_a_restore_left_in_doubt_and_was_given_up_is_not_sent_again(newsroom: Newsroom) -> None:
    """It has no attempt that would tell: only who gave it up."""
    edition_id = a_done_edition(newsroom, 1)
    ann = newsroom.deliveries(edition_id)["ann"]
    newsroom.change(ann, state="in_doubt", attempts=0, reason="the database was restored")
    settle(newsroom.app, Settlement.FAILED, why="nobody knows", ids=[ann.id])

    assert {Hindrance.MAY_HAVE_COME: 1} == by_hindrance(newsroom, edition_id)


@pytest.mark.slow
def test_what_had_failed_before_a_restore_may_have_been_sent_again_since(newsroom: Newsroom) -> None:
    """Unless somebody knows that nothing was lost."""
    edition_id = a_done_edition(newsroom, 2)
    note_act(newsroom.app, "acknowledged", "restore", nothing_lost=True)
    assert {} == by_hindrance(newsroom, edition_id)
    note_act(newsroom.app, "acknowledged", "restore", nothing_lost=False)
    assert {Hindrance.MAY_HAVE_COME: 2} == by_hindrance(newsroom, edition_id)
    assert 0 == resend_failed(newsroom.app, edition_id, why=WHY)


@pytest.mark.slow
def test_a_reader_who_had_an_article_otherwise_gets_it_no_second_time(newsroom: Newsroom) -> None:
    """By another mail of the same list; one of another list is another matter, and so is one that never came."""
    newsroom.add_list("other")
    newsroom.subscribe("ann", "bek", slug="other")
    edition_id = a_done_edition(newsroom, 2)
    other = newsroom.fan_out("other")
    answer(newsroom)
    assert {} == by_hindrance(newsroom, edition_id)
    ann, hers = newsroom.deliveries(edition_id)["ann"], newsroom.deliveries(other)["ann"]
    with newsroom.app.reading() as tx:
        list_id = {each.slug: each.id for each in lists.load_lists(tx.session)}["weekly"]
    newsroom.change(hers, list_id=list_id)

    assert {Hindrance.CAME_OTHERWISE: 1} == by_hindrance(newsroom, edition_id)
    newsroom.change(hers, state="expired", accepted_at=None)
    assert {} == by_hindrance(newsroom, edition_id)
    assert ann.state == "failed"


@pytest.mark.slow
def test_who_chose_anew_gets_what_they_chose_and_nothing_twice(newsroom: Newsroom) -> None:
    """Another edition may be composed for what they chose, and hold what failed, before it has any mail."""
    newsroom.add_list("news", cadences=(Cadence.WEEKLY, Cadence.DAILY))
    newsroom.move(-2 * HOUR)
    newsroom.subscribe("ann", "bek", "cai", slug="news", cadence="weekly")
    newsroom.move(2 * HOUR)
    newsroom.publish("A story")
    weekly = newsroom.fan_out("news")
    answer(newsroom, *[Verdict.RECIPIENT_FAILED] * 3)
    finish_editions(newsroom.app)
    newsroom.move(-HOUR)
    choose_anew(newsroom, "ann", cadence=Cadence.DAILY)
    choose_anew(newsroom, "bek", language="ru")
    newsroom.move(HOUR)
    daily = newsroom.compose("news", Cadence.DAILY)

    assert {Hindrance.CHANGED: 2} == by_hindrance(newsroom, weekly)
    assert 1 == resend_failed(newsroom.app, weekly, why=WHY)
    fan_out_edition(newsroom.app, daily)
    answer(newsroom)
    assert {"ann": "failed", "bek": "failed", "cai": "accepted"} == newsroom.states(weekly)
    assert {"ann": "accepted"} == newsroom.states(daily)
    choose_anew(newsroom, "bek", language="en")
    assert {Hindrance.CHANGED: 1} == by_hindrance(newsroom, weekly)


def choose_anew(newsroom: Newsroom, name: str, *, cadence: Cadence = Cadence.WEEKLY, language: str = "en") -> None:
    uid = newsroom.subscription(name).uid
    change_choice(newsroom.app, uid, cadence=cadence, language=language, wanted=EVERY_ARTICLE, evidence="page")


@pytest.mark.slow
def test_what_was_withdrawn_since_is_left_out(mailing_newsroom: Newsroom) -> None:
    """A withdrawal counts from the moment it commits; a mail of nothing else stays away."""
    newsroom = mailing_newsroom
    wrong = newsroom.publish("Wrong", kind="video")
    newsroom.publish("Right")
    newsroom.subscribe("ann", "cai")
    newsroom.subscribe("bek", kinds=("video",))
    edition_id = newsroom.fan_out()
    tell(newsroom, begin(newsroom), Verdict.RECIPIENT_FAILED, Verdict.RECIPIENT_FAILED, Verdict.RECIPIENT_FAILED)
    finish_editions(newsroom.app)
    withdraw_article(newsroom.app, wrong, reason="it was wrong")
    plan = plan_resend(newsroom.app, edition_id)
    assert (["Wrong"], {Hindrance.WITHDRAWN: 1}, 2) == (plan.without, dict(plan.away), plan.sendable)

    assert 2 == resend_failed(newsroom.app, edition_id, why=WHY)
    newsroom.send()
    assert {"ann": [{"Right"}], "cai": [{"Right"}]} == {
        name: [titles_in(mail) for mail in mails] for name, mails in newsroom.mails().items()
    }


@pytest.mark.slow
def test_what_was_corrected_since_goes_with_its_new_words(mailing_newsroom: Newsroom) -> None:
    """Mail that has not left gets them; and nobody who had the old ones is mailed again."""
    newsroom = mailing_newsroom
    edition_id = a_done_edition(newsroom, 1)
    with newsroom.app.reading() as tx:
        [(article_id, _)] = resending.editions.edition_items(tx.session, edition_id)
        [article] = resending.articles.load_articles(tx.session, [article_id])
    newsroom.move(timedelta(hours=1))
    publish_article(newsroom.app, article.uid, edit=StaffEdit(title="A corrected story"))
    assert ["A corrected story"] == plan_resend(newsroom.app, edition_id).mended

    resend_failed(newsroom.app, edition_id, why=WHY)
    newsroom.send()
    [mail] = newsroom.mails()["ann"]
    assert b"A corrected story" in mail
    assert ["ann"] == [*newsroom.mails()]


@pytest.mark.slow
def test_one_reply_or_one_provider_can_be_chosen(newsroom: Newsroom) -> None:
    """By the code, by the enhanced one, by the beginning of that, by the receiving provider."""
    newsroom.subscribe(*READERS)
    newsroom.publish("A story")
    edition_id = newsroom.fan_out()
    replies = {"ann": "550 5.1.1 who", "bek": "550 5.1.10 null MX", "cai": "554 5.4.4 no route", "dan": "551 gone"}

    def script(turn: Turn) -> Answer:
        return next((said for name, said in replies.items() if turn.verb == "RCPT" and f"<{name}@" in turn.line), None)

    with a_relay(newsroom, script):
        newsroom.send()
    newsroom.change(newsroom.deliveries(edition_id)["dan"], provider="gmail")

    def chosen(*choice: str | None) -> int:
        return plan_resend(newsroom.app, edition_id, choose(*choice)).sendable

    assert (4, 2, 1, 1) == (chosen(), chosen("550"), chosen("551"), chosen("554"))
    assert (2, 1, 1, 0) == (chosen("5.1"), chosen("5.1.1"), chosen("5.4"), chosen("5.7"))
    assert (1, 0, 2) == (chosen(None, "gmail"), chosen("550", "gmail"), chosen("550", "other"))
    assert 1 == resend_failed(newsroom.app, edition_id, choose("5.1.1"), why=WHY)
    assert "queued" == newsroom.states(edition_id)["ann"]
    alike = {
        (each.cause, each.code, each.enhanced, each.provider) for each in plan_resend(newsroom.app, edition_id).alike
    }
    assert {
        (Cause.REFUSED, 550, "5.1.10", "other"),
        (Cause.REFUSED, 554, "5.4.4", "other"),
        (Cause.REFUSED, 551, None, "gmail"),
    } == alike


@pytest.mark.parametrize("code", ["5", "250", "5.x.y", "55O", "5.1.1.1", "2.1.0"])
def test_what_is_no_code_is_refused(code: str) -> None:
    """In words that show one."""
    with pytest.raises(InvalidError, match=r"550, 5\.1\.1"):
        choose(code)


def test_what_is_no_provider_is_refused() -> None:
    """With those there are."""
    with pytest.raises(InvalidError, match="gmail"):
        choose(None, "gmial")


def test_what_expired_is_no_matter_of_a_resend(newsroom: Newsroom) -> None:
    """Its readers are owed what was in it by their next edition: with both they would get it twice."""
    edition_id = a_done_edition(newsroom, 0)
    newsroom.deliver(edition_id, but=("ann",), end=DeliveryState.EXPIRED)
    plan = plan_resend(newsroom.app, edition_id)

    assert (0, 1) == (plan.failed, plan.expired)
    assert 0 == resend_failed(newsroom.app, edition_id, why=WHY)


def test_an_edition_that_is_not_sent_or_cancelled_refuses(newsroom: Newsroom) -> None:
    """And says why."""
    newsroom.subscribe(*READERS)
    newsroom.publish("A story")
    edition_id = newsroom.compose()
    with pytest.raises(ConflictError, match="being made ready"):
        plan_resend(newsroom.app, edition_id)
    cancel_edition(newsroom.app, edition_id, reason="all wrong")
    with pytest.raises(ConflictError, match="cancelled for good"):
        resend_failed(newsroom.app, edition_id, why=WHY)
    with pytest.raises(NotFoundError):
        plan_resend(newsroom.app, 4711)


def test_old_news_is_not_sent_again(newsroom: Newsroom) -> None:
    """Not after a month, and not where its address might be forgotten while it waits."""
    edition_id = a_done_edition(newsroom)
    newsroom.app = replace(newsroom.app, settings=newsroom.app.settings.model_copy(update={"keep_addresses_days": 14}))
    newsroom.move(10 * DAY)
    assert {} == by_hindrance(newsroom, edition_id)
    newsroom.move(2 * DAY)
    assert {Hindrance.FORGOTTEN: 3} == by_hindrance(newsroom, edition_id)
    newsroom.move(19 * DAY)
    with pytest.raises(ConflictError, match="archive"):
        plan_resend(newsroom.app, edition_id)


@pytest.mark.slow
def test_a_paused_edition_stays_paused(newsroom: Newsroom) -> None:
    """What is sent again goes when it goes on."""
    newsroom.subscribe(*READERS)
    newsroom.publish("A story")
    edition_id = newsroom.fan_out()
    answer(newsroom, Verdict.RECIPIENT_FAILED, Verdict.RECIPIENT_FAILED, most=3)
    pause_edition(newsroom.app, edition_id, reason="a wrong name")
    assert 2 == resend_failed(newsroom.app, edition_id, why=WHY)

    assert EditionState.PAUSED is newsroom.state(edition_id)
    assert 0 == answer(newsroom)
    resume_edition(newsroom.app, edition_id)
    assert 4 == answer(newsroom)
    assert finish_editions(newsroom.app) == [edition_id]
    assert is_right(newsroom, edition_id)


@pytest.mark.slow
def test_what_is_stopped_waits_and_a_restored_database_refuses(newsroom: Newsroom) -> None:
    """What failed in an older state of the database may have been sent since."""
    edition_id = a_done_edition(newsroom, 2)
    pause_sending(newsroom.app, reason="a drill")
    assert 2 == resend_failed(newsroom.app, edition_id, why=WHY)
    assert 0 == answer(newsroom)
    with newsroom.app.transaction() as tx:
        stops.put_stop(tx.session, StopKind.RESTORE, reason="it is older", by="the restore guard")
    with pytest.raises(ConflictError, match="acknowledge-restore"):
        plan_resend(newsroom.app, edition_id)


@pytest.mark.slow
def test_a_canary_goes_first_where_the_list_sends_one(newsroom: Newsroom) -> None:
    """What failed once may fail again for the same cause: then the rest waits for a person, with the reason."""
    edition_id = a_done_edition(newsroom, 5)
    with newsroom.app.transaction() as tx:
        lists.set_canary(tx.session, newsroom.edition(edition_id).list_id, canary="2", limit_percent=None)
    assert 5 == resend_failed(newsroom.app, edition_id, why=WHY)
    assert 2 == answer(newsroom, Verdict.RECIPIENT_FAILED, Verdict.RECIPIENT_FAILED)
    sweep(newsroom.app)

    assert EditionState.PAUSED is newsroom.state(edition_id)
    assert {"failed": 2, "queued": 3} == states(newsroom, edition_id)
    resume_edition(newsroom.app, edition_id, canary="none")
    answer(newsroom)
    sweep(newsroom.app)
    assert {"failed": 2, "accepted": 3} == states(newsroom, edition_id)
    assert is_right(newsroom, edition_id)


@pytest.mark.slow
def test_a_resend_can_be_cancelled_and_what_was_sent_stays_sent(newsroom: Newsroom) -> None:
    """The edition is done as it was, with the right numbers; what the relay puts off meanwhile is not tried again."""
    edition_id = a_done_edition(newsroom, 4)
    resend_failed(newsroom.app, edition_id, why=WHY)
    [first] = begin(newsroom, 1)
    assert 3 == cancel_edition(newsroom.app, edition_id, reason="enough")
    tell(newsroom, [first], Verdict.RECIPIENT_DEFERRED)
    newsroom.make_due()
    sweep(newsroom.app)

    assert 0 == answer(newsroom)
    assert EditionState.DONE is newsroom.state(edition_id)
    assert {"accepted": 1, "cancelled": 3, "expired": 1} == states(newsroom, edition_id)
    assert is_right(newsroom, edition_id)
    assert "cancelled" in {act.act for act in list_acts(newsroom.app, about=f"edition {edition_id}")}


@pytest.mark.slow
def test_what_is_in_doubt_is_not_sent_once_more_after_a_cancel(newsroom: Newsroom) -> None:
    """Neither by the list's policy nor by a person: an edition that was cancelled sends nothing."""
    edition_id = a_done_edition(newsroom, 2)
    resend_failed(newsroom.app, edition_id, why=WHY)
    answer(newsroom, Verdict.IN_DOUBT)
    cancel_edition(newsroom.app, edition_id, reason="enough")
    row = next(row for row in newsroom.deliveries(edition_id).values() if row.state == "in_doubt")
    newsroom.change(row, state_at=row.state_at - HOUR)
    with newsroom.app.transaction() as tx:
        tx.session.execute(update(ListRow).values(in_doubt_policy=InDoubtPolicy.RESEND_ONCE))
    sweep(newsroom.app)
    settled = settle(newsroom.app, Settlement.RESEND, why="it never came", ids=[row.id])

    assert Settled(0, 1) == settled
    assert {"accepted": 4, "in_doubt": 1} == states(newsroom, edition_id)


@pytest.mark.slow
def test_what_breaks_off_in_the_middle_is_gone_on_with(newsroom: Newsroom, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each chunk leaves all right: what was queued goes, the rest has failed still, and the next call finds it."""
    monkeypatch.setattr(resending, "CHUNK", 2)
    edition_id = a_done_edition(newsroom, 5)
    queue_again, chunks = resending._queue_again, iter([True, False])

    def break_off(*arguments: Any) -> int:
        if next(chunks):
            return queue_again(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(resending, "_queue_again", break_off)
        with pytest.raises(KeyboardInterrupt):
            resend_failed(newsroom.app, edition_id, why=WHY)
    assert {"queued": 2, "failed": 3} == states(newsroom, edition_id)
    answer(newsroom)
    assert finish_editions(newsroom.app) == [edition_id]
    assert is_right(newsroom, edition_id)
    assert 3 == resend_failed(newsroom.app, edition_id, why=WHY)
    answer(newsroom)
    assert finish_editions(newsroom.app) == [edition_id]
    assert {"accepted": 5} == states(newsroom, edition_id) == counts(newsroom, edition_id)


@pytest.mark.slow
def test_an_edition_does_not_end_over_mail_that_was_just_queued_again(postgresql_newsroom: Newsroom) -> None:
    """Whoever ends it looks once more when it has the lock; whoever comes later finds it done, and opens it again."""
    newsroom = postgresql_newsroom
    newsroom.subscribe(*READERS)
    newsroom.publish("A story")
    edition_id = newsroom.fan_out()
    answer(newsroom, Verdict.RECIPIENT_FAILED)
    with newsroom.meanwhile("in_doubt') AND", lambda: resend_failed(newsroom.app, edition_id, why=WHY)):
        finish_editions(newsroom.app)

    assert {"accepted": 4, "queued": 1} == states(newsroom, edition_id)
    assert EditionState.SENDING is newsroom.state(edition_id)
    answer(newsroom)
    assert finish_editions(newsroom.app) == [edition_id]
    assert is_right(newsroom, edition_id)


def test_counts_are_of_what_has_ended_while_it_is_sent_again(newsroom: Newsroom) -> None:
    """What is open is counted where it is open."""
    edition_id = a_done_edition(newsroom, 3)
    newsroom.change(newsroom.deliveries(edition_id)["ann"], state="expired")
    with newsroom.app.transaction() as tx:
        tx.session.get_one(EditionRow, edition_id).counts = {"accepted": 2, "expired": 1, "failed": 2}
    resend_failed(newsroom.app, edition_id, why=WHY)

    assert {"accepted": 2, "expired": 1} == counts(newsroom, edition_id)
    assert newsroom.edition(edition_id).done_at is None
