"""Sends by hand: what is told before is what then happens, and a slot is sent once."""

from dataclasses import replace

import pytest
from newsroom import DAY, HOUR, WEEK, Newsroom
from sqlalchemy import func, select, update

from newsletter.dispatch import Doorbell, Ring
from newsletter.domain.editions import EditionState, SkipReason
from newsletter.domain.lists import Cadence
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.services.audit import list_acts
from newsletter.services.editions import approve_overdue_reviews, fan_out_edition, open_due_editions
from newsletter.services.sends import plan_send, send_pending_articles, start_send
from newsletter.storage.deliveries import DeliveryRow
from newsletter.storage.editions import EditionRow
from newsletter.storage.lists import ListRow
from newsletter.storage.variants import BlockRow, VariantRow


def rows(newsroom: Newsroom, table: type) -> int:
    with newsroom.app.reading() as tx:
        return tx.session.execute(select(func.count()).select_from(table)).scalar_one()


@pytest.fixture
def ready(newsroom: Newsroom) -> Newsroom:
    """A newsroom with two articles, four readers in two languages, one of whom chose nothing there is."""
    newsroom.publish("A story", ru="Рассказ", age=HOUR)
    newsroom.publish("A video", kind="video")
    newsroom.subscribe("ann", "bek")
    newsroom.subscribe("eva", language="ru")
    newsroom.subscribe("nobody", kinds=("speech",))
    return newsroom


def test_a_plan_says_who_gets_how_much(ready):
    plan = plan_send(ready.app, "weekly", None)

    assert ("weekly", Cadence.WEEKLY, "2026-W12", ready.clock.now) == (
        plan.list_slug,
        plan.cadence,
        plan.slot_key,
        plan.slot_at,
    )
    assert (2, ("A story", "A video"), 2, {"en": 2, "ru": 1}) == (
        plan.items,
        plan.titles,
        plan.variants,
        plan.languages,
    )
    assert (3, 4, None) == (plan.readers, plan.reader_count, plan.skip_reason)
    assert 1000 < plan.largest_html_bytes < 90_000


def test_planning_writes_nothing_and_rings_nothing(ready, dispatcher):
    dispatcher.rings.clear()
    plan_send(ready.app, "weekly", None)

    assert [0, 0, 0] == [rows(ready, table) for table in (EditionRow, VariantRow, BlockRow)]
    assert [] == dispatcher.rings


@pytest.mark.slow
@pytest.mark.parametrize("is_opened", [False, True], ids=["not opened", "opened by the tick"])
def test_a_send_does_what_its_plan_says(ready, dispatcher, is_opened):
    if is_opened:
        open_due_editions(ready.app)
    plan = plan_send(ready.app, "weekly", None)
    edition_id = start_send(ready.app, "weekly", None, actor="the editor")
    fan_out_edition(ready.app, edition_id)
    edition = ready.edition(edition_id)

    assert Ring(Doorbell.FAN_OUT_EDITION, edition_id) in dispatcher.rings
    assert (plan.slot_key, plan.slot_at) == (edition.slot_key, edition.slot_at)
    assert set(plan.titles) == ready.titles(edition_id)
    assert plan.readers == len(ready.deliveries(edition_id))
    assert plan.reader_count == edition.candidate_count
    assert plan.variants == rows(ready, VariantRow)
    with ready.app.reading() as tx:
        largest = tx.session.execute(select(func.max(VariantRow.html_bytes))).scalar_one()
    assert plan.largest_html_bytes == largest


@pytest.mark.slow
def test_a_send_includes_what_came_in_since_its_slot(ready):
    ready.move(DAY)
    ready.publish("This morning", age=HOUR)
    edition_id = start_send(ready.app, "weekly", None, actor="the editor")

    assert {"A story", "A video", "This morning"} == ready.titles(edition_id)
    assert ready.clock.now + 3 * DAY == ready.edition(edition_id).deadline_at


@pytest.mark.slow
def test_a_second_send_of_a_slot_is_refused_with_the_next_one(ready):
    first = start_send(ready.app, "weekly", None, actor="the editor")
    told = rf"2026-W12 \(edition {first}\) is approved already; the next weekly slot is 2026-03-23 08:00"
    for act in (plan_send, lambda *args: start_send(*args, actor="somebody else")):
        with pytest.raises(ConflictError, match=told):
            act(ready.app, "weekly", None)

    assert 1 == rows(ready, EditionRow)
    ready.move(WEEK)
    ready.publish("Next week", age=HOUR)
    assert first != start_send(ready.app, "weekly", None, actor="the editor")


@pytest.mark.slow
@pytest.mark.parametrize("reason", SkipReason)
def test_a_slot_that_was_skipped_can_be_sent_by_hand_once_there_is_something_to_send(newsroom, reason):
    """Readers came after the slot, or nobody was there to send it in time; it is one edition still."""
    skipped = newsroom.compose()
    with newsroom.app.transaction() as tx:
        tx.session.execute(update(EditionRow).values(skip_reason=reason))
    newsroom.subscribe("ann")
    newsroom.publish("A story", age=HOUR)
    plan = plan_send(newsroom.app, "weekly", None)
    sent = start_send(newsroom.app, "weekly", None, actor="the editor")

    assert (None, 1, 1) == (plan.skip_reason, plan.items, plan.readers)
    assert (skipped, EditionState.APPROVED, None) == (
        sent,
        newsroom.state(sent),
        newsroom.edition(sent).skip_reason,
    )
    assert {"A story"} == newsroom.titles(sent)
    assert [("reopened", {"skipped": reason.value})] == [
        (act.act, dict(act.details)) for act in list_acts(newsroom.app) if act.act == "reopened"
    ]


def test_a_draft_of_a_slot_that_was_missed_waits_for_a_person(newsroom):
    """Whatever time was set for its review before it was skipped."""
    skipped = newsroom.compose()
    with newsroom.app.transaction() as tx:
        tx.session.execute(
            update(EditionRow).values(
                skip_reason=SkipReason.MISSED,
                review_until=newsroom.clock.now - HOUR,
                review_told_at=newsroom.clock.now - HOUR,
            )
        )
    newsroom.subscribe("ann")
    newsroom.publish("A story", age=HOUR)
    start_send(newsroom.app, "weekly", None, actor="the editor", is_draft=True)
    approve_overdue_reviews(newsroom.app)

    assert EditionState.REVIEW == newsroom.state(skipped)
    with newsroom.app.reading() as tx:
        assert (None, None) == tx.session.execute(select(EditionRow.review_until, EditionRow.review_told_at)).one()


def test_slots_from_before_a_list_was_added_are_nobodys(newsroom):
    """Whatever its archive reaches back to: none is recorded as missed or without readers, the next one is opened."""
    with newsroom.app.transaction() as tx:
        tx.session.execute(
            update(ListRow).values(created_at=newsroom.clock.now + HOUR, since=newsroom.clock.now - 8 * WEEK)
        )
    newsroom.move(HOUR)
    assert [] == open_due_editions(newsroom.app)
    newsroom.move(WEEK)

    assert 1 == len(open_due_editions(newsroom.app))
    assert 1 == rows(newsroom, EditionRow)


@pytest.mark.slow
def test_who_reviews_a_lists_drafts_is_told_of_one_made_by_hand_if_wanted(newsroom):
    """`send --draft` tells them; a draft that its sender is about to decide on does not, nor a list without review."""
    newsroom.app = replace(
        newsroom.app, settings=newsroom.app.settings.model_copy(update={"review_addresses": ("desk@example.org",)})
    )
    newsroom.add_list("reviewed", review_minutes=60)
    newsroom.publish("A story")
    told = []
    for slug, tells_staff in (("weekly", True), ("reviewed", False), ("reviewed", True)):
        newsroom.subscribe("ann", slug=slug)
        start_send(newsroom.app, slug, None, actor="the editor", is_draft=True, tells_staff=tells_staff)
        told.append(rows(newsroom, DeliveryRow))
        newsroom.move(WEEK)
        newsroom.publish(f"After {slug} {tells_staff}", age=HOUR)

    assert [0, 0, 1] == told


def test_a_send_with_nothing_to_send_says_why(newsroom):
    newsroom.subscribe("ann")
    plan = plan_send(newsroom.app, "weekly", None)
    edition_id = start_send(newsroom.app, "weekly", None, actor="the editor")

    assert (SkipReason.EMPTY, 0, 0, 1) == (plan.skip_reason, plan.items, plan.readers, plan.reader_count)
    assert SkipReason.EMPTY == newsroom.edition(edition_id).skip_reason


def test_a_send_of_a_reviewed_list_is_its_own_approval(newsroom):
    newsroom.add_list("reviewed", review_minutes=60)
    newsroom.publish("A story")
    newsroom.subscribe("ann", slug="reviewed")
    edition_id = start_send(newsroom.app, "reviewed", None, actor="the editor")

    assert EditionState.APPROVED == newsroom.state(edition_id)


def test_what_waits_for_review_is_approved_and_not_sent_anew(newsroom):
    newsroom.add_list("reviewed", review_minutes=60)
    newsroom.publish("A story")
    newsroom.subscribe("ann", slug="reviewed")
    edition_id = newsroom.compose("reviewed")

    with pytest.raises(ConflictError, match=f"editions approve {edition_id}"):
        start_send(newsroom.app, "reviewed", None, actor="the editor")


@pytest.mark.slow
def test_a_send_that_was_broken_off_goes_on_with_the_same_edition(ready):
    edition_id = ready.open()

    assert edition_id == start_send(ready.app, "weekly", None, actor="the editor")
    assert EditionState.APPROVED == ready.state(edition_id)


@pytest.mark.parametrize("act", [plan_send, lambda *args: start_send(*args, actor="the editor")])
@pytest.mark.parametrize(
    ("asked", "error", "told"),
    [
        (("nosuch", None), NotFoundError, "no list 'nosuch'"),
        (("both", None), InvalidError, "--cadence daily, weekly"),
        (("weekly", Cadence.DAILY), InvalidError, "no daily cadence, only weekly"),
        (("now", None), InvalidError, "sends by itself"),
    ],
)
def test_a_send_says_which_list_and_cadence_it_cannot_send(newsroom, act, asked, error, told):
    newsroom.add_list("both", cadences=(Cadence.DAILY, Cadence.WEEKLY))
    newsroom.add_list("now", cadences=(Cadence.IMMEDIATE,))

    with pytest.raises(error, match=told):
        act(newsroom.app, *asked)


@pytest.mark.slow
def test_history_is_sent_as_it_was_due_then(newsroom):
    """The list was made today; what is replayed is the week before a day two years ago."""
    newsroom.add_list("new", since=newsroom.clock.now)
    newsroom.subscribe("ann", slug="new")
    newsroom.move(-104 * WEEK)
    newsroom.publish("That week", age=3 * DAY)
    newsroom.publish("The week before", age=9 * DAY)
    newsroom.publish("The week after", age=-DAY)
    plan = plan_send(newsroom.app, "new", None)
    edition_id = start_send(newsroom.app, "new", None, actor="the editor")
    fan_out_edition(newsroom.app, edition_id)

    assert ("2024-W12", ("That week",)) == (plan.slot_key, plan.titles)
    assert {"ann": ["That week"]} == newsroom.contents(edition_id)


@pytest.mark.slow
def test_articles_of_a_list_that_sends_at_once_are_sent_each_once(newsroom):
    newsroom.add_list("now", cadences=(Cadence.IMMEDIATE,))
    newsroom.publish("One")
    newsroom.publish("Two")
    newsroom.subscribe("ann", slug="now")
    opened = send_pending_articles(newsroom.app, "now")

    assert [EditionState.APPROVED] * 2 == [newsroom.state(each) for each in opened]
    assert [] == send_pending_articles(newsroom.app, "now")
    with pytest.raises(InvalidError, match="no immediate cadence"):
        send_pending_articles(newsroom.app, "weekly")
