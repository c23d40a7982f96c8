"""Composing: who gets which article, once, however late it came and however often it is composed."""

import threading
from datetime import timedelta

import pytest
from newsroom import DAY, HOUR, WEEK, Newsroom
from sqlalchemy import func, select

from newsletter.dispatch import Doorbell, Ring
from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.editions import EditionState, SkipReason
from newsletter.domain.lists import Cadence, SectionsBy
from newsletter.domain.schedule import Slot
from newsletter.services.articles import publish_article, withdraw_article
from newsletter.services.choices import change_choice
from newsletter.services.composing import compile_edition, news_since
from newsletter.services.editions import (
    approve_in,
    cancel_edition,
    fan_out_edition,
    open_immediate_editions,
    open_slot,
)
from newsletter.services.filters import NamedFilter
from newsletter.services.lists import find_list
from newsletter.services.subscriptions import unsubscribe
from newsletter.storage.editions import EditionItemRow
from newsletter.storage.fanout import exclusion_counts
from newsletter.storage.variants import BlockRow, VariantItemRow, VariantRow


def rows(newsroom: Newsroom, table: type) -> int:
    with newsroom.app.reading() as tx:
        return tx.session.execute(select(func.count()).select_from(table)).scalar_one()


@pytest.mark.slow
def test_each_reader_gets_exactly_what_they_chose(newsroom):
    newsroom.add_topics("water", "lakes < water", "roads")
    newsroom.publish("A lake", topics=["lakes"])
    newsroom.publish("A road", topics=["roads"], kind="video")
    newsroom.publish("A story")
    newsroom.subscribe("everything")
    newsroom.subscribe("water", topics=("water",))
    newsroom.subscribe("roads", topics=("roads",))
    newsroom.subscribe("videos", kinds=("video",))
    newsroom.subscribe("speeches", kinds=("speech",))
    edition_id = newsroom.fan_out()

    assert {
        "everything": ["A lake", "A road", "A story"],
        "water": ["A lake"],
        "roads": ["A road"],
        "videos": ["A road"],
    } == newsroom.contents(edition_id)
    with newsroom.app.reading() as tx:
        assert {"nothing_chosen": 1} == exclusion_counts(tx.session, edition_id)
    assert 3 == rows(newsroom, VariantRow)


def test_a_composed_edition_is_approved_and_its_fan_out_rung(newsroom, dispatcher):
    newsroom.publish("A story")
    newsroom.subscribe("ann")
    dispatcher.rings.clear()
    edition_id = newsroom.compose()

    assert EditionState.APPROVED == newsroom.state(edition_id)
    assert [Ring(Doorbell.COMPILE_EDITION, edition_id), Ring(Doorbell.FAN_OUT_EDITION, edition_id)] == dispatcher.rings


def test_composing_again_changes_nothing(newsroom, dispatcher):
    newsroom.publish("A story")
    newsroom.subscribe("ann")
    edition_id = newsroom.compose()
    before = [rows(newsroom, table) for table in (EditionItemRow, VariantRow, VariantItemRow, BlockRow)]
    dispatcher.rings.clear()
    compile_edition(newsroom.app, edition_id)

    assert before == [rows(newsroom, table) for table in (EditionItemRow, VariantRow, VariantItemRow, BlockRow)]
    assert [] == dispatcher.rings


@pytest.mark.parametrize(
    ("published", "readers", "wait", "reason"),
    [
        pytest.param(False, {}, timedelta(), SkipReason.NO_READERS, id="nobody and nothing"),
        pytest.param(True, {}, timedelta(), SkipReason.NO_READERS, id="nobody"),
        pytest.param(False, {"ann": ()}, timedelta(), SkipReason.EMPTY, id="nothing"),
        pytest.param(True, {"ann": ("video",)}, timedelta(), SkipReason.EMPTY, id="nothing that anybody chose"),
        pytest.param(True, {"ann": ()}, 3 * DAY, SkipReason.MISSED, id="too late"),
    ],
)
def test_an_edition_with_nothing_to_send_is_skipped_and_says_why(newsroom, published, readers, wait, reason):
    if published:
        newsroom.publish("A story")
    for name, kinds in readers.items():
        newsroom.subscribe(name, kinds=kinds)
    edition_id = newsroom.open()
    newsroom.move(wait)
    compile_edition(newsroom.app, edition_id)
    edition = newsroom.edition(edition_id)

    assert (EditionState.SKIPPED, reason) == (edition.state, edition.skip_reason)
    assert 0 == rows(newsroom, EditionItemRow)


def test_the_items_of_a_skipped_edition_roll_on(newsroom):
    newsroom.publish("A story")
    newsroom.compose()
    newsroom.subscribe("ann")
    newsroom.move(WEEK)

    assert {"ann": ["A story"]} == newsroom.contents(newsroom.fan_out())


@pytest.mark.slow
def test_no_article_is_in_two_editions_of_a_list(newsroom):
    newsroom.publish("First week")
    newsroom.subscribe("ann")
    first = newsroom.fan_out()
    newsroom.move(WEEK)
    newsroom.publish("Second week")
    second = newsroom.fan_out()

    assert {"ann": ["First week"]} == newsroom.contents(first)
    assert {"ann": ["Second week"]} == newsroom.contents(second)


@pytest.mark.slow
def test_what_comes_in_late_is_in_the_next_edition(newsroom):
    """Its date lies before an edition that it missed; membership is no window of time."""
    newsroom.publish("In time")
    newsroom.subscribe("ann")
    newsroom.fan_out()
    newsroom.move(WEEK)
    newsroom.publish("Imported late", age=9 * DAY)

    assert {"ann": ["Imported late"]} == newsroom.contents(newsroom.fan_out())


@pytest.mark.slow
def test_what_is_not_public_yet_waits(newsroom):
    newsroom.publish("Tomorrow", age=-DAY)
    newsroom.publish("Embargoed", embargo_until=(newsroom.clock.now + HOUR).isoformat())
    newsroom.publish("Today")
    newsroom.subscribe("ann")
    first = newsroom.fan_out()
    newsroom.move(WEEK)

    assert {"ann": ["Today"]} == newsroom.contents(first)
    assert {"ann": ["Tomorrow", "Embargoed"]} == newsroom.contents(newsroom.fan_out())


@pytest.mark.slow
def test_a_significant_update_is_news_again_and_any_other_is_not(newsroom):
    major, minor = newsroom.publish("Major"), newsroom.publish("Minor")
    newsroom.subscribe("ann")
    newsroom.fan_out()
    newsroom.move(WEEK)
    publish_article(newsroom.app, major, is_major=True)
    newsroom.publish("Minor", summary="Corrected", age=WEEK + 12 * HOUR)
    publish_article(newsroom.app, minor)

    assert {"ann": ["Major"]} == newsroom.contents(newsroom.fan_out())


def test_a_new_list_does_not_mail_its_past(newsroom):
    newsroom.add_list("young", since=newsroom.clock.now - DAY, weekday=1)
    newsroom.publish("Old", age=2 * DAY)
    newsroom.publish("New", age=HOUR)
    newsroom.subscribe("ann", slug="young")
    newsroom.move(DAY)

    assert {"ann": ["New"]} == newsroom.contents(newsroom.fan_out("young"))


@pytest.mark.parametrize(
    ("cadence", "began", "since"),
    [
        pytest.param(Cadence.WEEKLY, -3 * DAY, -3 * DAY - 8 * HOUR, id="since the day the list began"),
        pytest.param(Cadence.WEEKLY, -90 * DAY, -28 * DAY, id="four weeks back"),
        pytest.param(Cadence.DAILY, -90 * DAY, -14 * DAY, id="two weeks back"),
        pytest.param(Cadence.IMMEDIATE, -90 * DAY, -3 * DAY, id="three days back"),
        pytest.param(Cadence.WEEKLY, 90 * DAY, -WEEK, id="a replay of before it began: since the slot before"),
        pytest.param(Cadence.DAILY, 90 * DAY, -DAY, id="a replay at another cadence"),
        pytest.param(Cadence.IMMEDIATE, 90 * DAY, -3 * DAY, id="a replay at once"),
    ],
)
def test_an_article_is_news_from_a_moment_on(newsroom, cadence, began, since):
    now = newsroom.clock.now
    mailing_list = newsroom.add_list("other", since=now + began, cadences=tuple(Cadence))

    assert now + since == news_since(mailing_list, cadence, Slot(now, "any"), now)


@pytest.mark.slow
def test_readers_get_it_in_their_language_and_else_in_another(newsroom):
    newsroom.publish("A story", ru="Рассказ")
    newsroom.publish("English only")
    newsroom.subscribe("ann")
    newsroom.subscribe("bek", language="ru")
    newsroom.subscribe("eva", language="ru", languages=("ru",))
    edition_id = newsroom.fan_out()

    assert {
        "ann": ["A story", "English only"],
        "bek": ["A story", "English only"],
        "eva": ["A story"],
    } == newsroom.contents(edition_id)
    with newsroom.app.reading() as tx:
        shown = tx.session.execute(
            select(VariantRow.language, VariantItemRow.language).join(
                VariantItemRow, VariantItemRow.variant_id == VariantRow.id
            )
        )
        assert {("en", "en"), ("ru", "ru"), ("ru", "en")} == {tuple(each) for each in shown}


@pytest.fixture
def both(newsroom: Newsroom) -> Newsroom:
    """A newsroom whose list "both" is daily and weekly, the week beginning tomorrow."""
    newsroom.add_list("both", cadences=(Cadence.DAILY, Cadence.WEEKLY), weekday=1)
    return newsroom


def change_to_weekly(newsroom: Newsroom, name: str, **choice: tuple[str, ...]) -> None:
    uid = newsroom.subscription(name).uid
    wanted = NamedFilter(**choice)
    change_choice(newsroom.app, uid, cadence=Cadence.WEEKLY, language="en", wanted=wanted, evidence="a test")


@pytest.mark.slow
def test_a_reader_who_changed_cadence_does_not_get_an_article_twice(both):
    both.subscribe("ann", "bek", slug="both", cadence="daily")
    both.subscribe("eva", slug="both", cadence="weekly")
    both.publish("Monday")
    both.fan_out("both", Cadence.DAILY)
    both.publish("Afternoon", age=timedelta())
    change_to_weekly(both, "ann")
    both.move(DAY)

    assert {"bek": ["Afternoon"]} == both.contents(both.fan_out("both", Cadence.DAILY))
    assert {"ann": ["Afternoon"], "eva": ["Afternoon", "Monday"]} == both.contents(both.fan_out("both"))


@pytest.mark.slow
def test_a_reader_who_is_alone_with_their_choice_gets_what_they_have_not_had(both):
    """Nobody gets what the others with their filter would get, since there are no others."""
    both.subscribe("ann", slug="both", cadence="daily", kinds=("story",))
    both.publish("Monday")
    both.fan_out("both", Cadence.DAILY)
    both.publish("Afternoon", age=timedelta())
    change_to_weekly(both, "ann", kinds=("story",))
    both.move(DAY)

    assert {"ann": ["Afternoon"]} == both.contents(both.fan_out("both"))


@pytest.mark.slow
def test_an_edition_that_would_only_repeat_itself_to_its_one_reader_is_skipped(both):
    both.subscribe("ann", slug="both", cadence="daily")
    both.publish("Monday")
    both.fan_out("both", Cadence.DAILY)
    change_to_weekly(both, "ann")
    both.move(DAY)
    edition_id = both.compose("both")

    assert (EditionState.SKIPPED, SkipReason.EMPTY) == (
        both.edition(edition_id).state,
        both.edition(edition_id).skip_reason,
    )


@pytest.mark.slow
def test_who_missed_an_edition_gets_its_articles_with_the_next(newsroom):
    """The first edition expired before it reached bek; the others have had it."""
    newsroom.publish("First week")
    newsroom.subscribe("ann", "bek")
    newsroom.deliver(newsroom.fan_out(), but=("bek",))
    newsroom.move(WEEK)
    newsroom.publish("Second week")

    assert {"ann": ["Second week"], "bek": ["Second week", "First week"]} == newsroom.contents(newsroom.fan_out())


@pytest.mark.slow
def test_what_nobody_but_one_is_owed_is_sent_to_that_one(newsroom):
    newsroom.publish("First week")
    newsroom.subscribe("ann", "bek")
    newsroom.deliver(newsroom.fan_out(), but=("bek",))
    newsroom.move(WEEK)
    second = newsroom.fan_out()

    assert {"bek": ["First week"]} == newsroom.contents(second)
    newsroom.deliver(second)
    newsroom.move(WEEK)
    assert EditionState.SKIPPED == newsroom.state(newsroom.compose())


@pytest.mark.slow
def test_what_is_owed_is_not_put_into_a_second_edition_while_the_first_is_under_way(newsroom):
    newsroom.add_list("slow", cadences=(Cadence.DAILY,), review_minutes=10_000)
    newsroom.publish("First day")
    newsroom.subscribe("ann", "bek", slug="slow")
    first = newsroom.compose("slow", Cadence.DAILY)
    approve(newsroom, first)
    newsroom.deliver(first, but=("bek",))
    newsroom.move(DAY)
    newsroom.publish("Second day")
    second = newsroom.compose("slow", Cadence.DAILY)
    newsroom.move(DAY)
    newsroom.publish("Third day")
    third = newsroom.compose("slow", Cadence.DAILY)

    assert EditionState.REVIEW == newsroom.state(second)
    for edition_id in (second, third):
        approve(newsroom, edition_id)
    assert {"ann": ["Second day"], "bek": ["Second day", "First day"]} == newsroom.contents(second)
    assert {"ann": ["Third day"], "bek": ["Third day"]} == newsroom.contents(third)


def approve(newsroom: Newsroom, edition_id: int) -> None:
    with newsroom.app.transaction() as tx:
        approve_in(tx, edition_id, actor="a test")
    fan_out_edition(newsroom.app, edition_id)


@pytest.mark.slow
def test_a_withdrawn_article_is_owed_to_nobody(newsroom):
    uid = newsroom.publish("First week")
    newsroom.subscribe("ann", "bek")
    newsroom.deliver(newsroom.fan_out(), but=("bek",))
    withdraw_article(newsroom.app, uid, reason="wrong")
    newsroom.move(WEEK)
    newsroom.publish("Second week")

    assert {"ann": ["Second week"], "bek": ["Second week"]} == newsroom.contents(newsroom.fan_out())


@pytest.mark.slow
def test_a_cancelled_edition_s_articles_go_to_those_who_had_not_got_it(newsroom):
    newsroom.publish("First week")
    newsroom.subscribe("ann", "bek")
    first = newsroom.fan_out()
    newsroom.change(newsroom.deliveries(first)["ann"], state=DeliveryState.ACCEPTED, accepted_at=newsroom.clock.now)
    assert 1 == cancel_edition(newsroom.app, first)
    newsroom.move(WEEK)
    newsroom.publish("Second week")

    assert {"ann": ["Second week"], "bek": ["Second week", "First week"]} == newsroom.contents(newsroom.fan_out())


@pytest.mark.slow
def test_sections_and_order_are_the_list_s(newsroom):
    newsroom.add_list("kinds", sections=SectionsBy.KIND, weekday=1)
    newsroom.publish("A story", age=HOUR)
    newsroom.publish("A release", kind="press_release", age=9 * HOUR)
    starts_at = (newsroom.clock.now + 5 * DAY).isoformat()
    newsroom.publish("A meeting", kind="event", event={"starts_at": starts_at, "zone": "Asia/Bishkek"}, age=HOUR)
    newsroom.subscribe("ann", slug="kinds")
    newsroom.move(DAY)

    assert {"ann": ["A release", "A story", "A meeting"]} == newsroom.contents(newsroom.fan_out("kinds"))


def test_a_list_s_own_filter_narrows_it_for_everybody(newsroom):
    newsroom.add_list("releases", filter=NamedFilter(kinds=("press_release",)), weekday=1)
    newsroom.publish("A story")
    newsroom.publish("A release", kind="press_release")
    newsroom.subscribe("ann", slug="releases")
    newsroom.move(DAY)

    assert {"ann": ["A release"]} == newsroom.contents(newsroom.fan_out("releases"))


@pytest.mark.slow
def test_a_list_that_sends_at_once_sends_each_article_by_itself(newsroom):
    newsroom.add_list("now", cadences=(Cadence.IMMEDIATE,))
    first = newsroom.publish("First")
    newsroom.publish("Second", kind="video")
    newsroom.publish("Long ago", age=4 * DAY)
    newsroom.subscribe("ann", slug="now")
    newsroom.subscribe("bek", slug="now", kinds=("video",))
    opened = open_immediate_editions(newsroom.app)
    assert [] == open_immediate_editions(newsroom.app)
    for edition_id in opened:
        compile_edition(newsroom.app, edition_id)
        fan_out_edition(newsroom.app, edition_id)

    found = [newsroom.contents(edition_id) for edition_id in opened]
    assert [{"ann": ["First"]}, {"ann": ["Second"], "bek": ["Second"]}] == sorted(found, key=len)
    publish_article(newsroom.app, first, is_major=True)
    assert 1 == len(open_immediate_editions(newsroom.app))


def test_an_update_before_an_immediate_edition_was_composed_sends_only_the_update(newsroom):
    newsroom.add_list("now", cadences=(Cadence.IMMEDIATE,))
    uid = newsroom.publish("First")
    newsroom.subscribe("ann", slug="now")
    [stale] = open_immediate_editions(newsroom.app)
    publish_article(newsroom.app, uid, is_major=True)
    [update] = open_immediate_editions(newsroom.app)
    for edition_id in (stale, update):
        compile_edition(newsroom.app, edition_id)

    assert [EditionState.SKIPPED, EditionState.APPROVED] == [newsroom.state(each) for each in (stale, update)]


@pytest.mark.slow
def test_what_a_reader_got_at_once_is_not_in_their_digest_after_a_change(newsroom):
    newsroom.add_list("any", cadences=(Cadence.IMMEDIATE, Cadence.WEEKLY), weekday=1)
    newsroom.publish("First")
    newsroom.subscribe("ann", slug="any", cadence="immediate")
    newsroom.subscribe("bek", slug="any", cadence="weekly")
    [edition_id] = open_immediate_editions(newsroom.app)
    compile_edition(newsroom.app, edition_id)
    fan_out_edition(newsroom.app, edition_id)
    change_to_weekly(newsroom, "ann")
    newsroom.move(DAY)

    assert {"bek": ["First"]} == newsroom.contents(newsroom.fan_out("any"))


@pytest.mark.slow
def test_who_left_before_fan_out_gets_nothing(newsroom):
    newsroom.publish("A story")
    newsroom.subscribe("ann", "bek")
    edition_id = newsroom.compose()
    unsubscribe(newsroom.app, newsroom.subscription("ann").uid, basis="one click", evidence="a test")
    fan_out_edition(newsroom.app, edition_id)

    assert {"bek"} == newsroom.deliveries(edition_id).keys()


def in_threads(*calls) -> None:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_two_processes_composing_one_edition_make_it_once(newsroom):
    newsroom.publish("A story")
    newsroom.subscribe("ann", "bek")
    edition_id = newsroom.open()
    in_threads(*[lambda: compile_edition(newsroom.app, edition_id)] * 3)

    assert EditionState.APPROVED == newsroom.state(edition_id)
    assert (1, 1) == (rows(newsroom, VariantRow), rows(newsroom, EditionItemRow))


@pytest.mark.slow
def test_two_editions_of_one_list_composed_at_once_share_no_article(newsroom):
    newsroom.publish("A story")
    newsroom.publish("A second story")
    newsroom.subscribe("ann", "bek")
    now = newsroom.clock.now
    with newsroom.app.transaction() as tx:
        mailing_list = find_list(tx, "weekly")
        opened = [open_slot(tx, mailing_list, Cadence.WEEKLY, Slot(now, f"slot {number}")) for number in range(3)]
    in_threads(*[lambda each=each: compile_edition(newsroom.app, each) for each in opened])

    states = sorted(newsroom.state(each) for each in opened)
    assert [EditionState.APPROVED, EditionState.SKIPPED, EditionState.SKIPPED] == states
    assert 2 == rows(newsroom, EditionItemRow)


def test_readers_can_sign_up_while_an_edition_of_their_list_is_composed(postgresql_newsroom):
    """Composing locks the list against other editions of it, not against its readers."""
    newsroom = postgresql_newsroom
    newsroom.publish("A story")
    newsroom.subscribe("ann")
    edition_id = newsroom.open()
    signed_up_at: list[EditionState] = []

    def sign_up() -> None:
        newsroom.subscribe("bek")
        signed_up_at.append(newsroom.state(edition_id))

    with newsroom.meanwhile("FROM article", sign_up):
        compile_edition(newsroom.app, edition_id)

    assert [EditionState.PLANNED] == signed_up_at
    assert EditionState.APPROVED == newsroom.state(edition_id)
