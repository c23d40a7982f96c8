"""Fan-out: one delivery for each reader, or a reason why not; in chunks, and the same however often it is repeated."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest
from ledger_rows import (
    NOON,
    attempts_at,
    change,
    claim_some,
    count,
    load_edition,
    look,
    make_articles,
    make_edition,
    make_list,
    make_readers,
    make_variant,
    queue,
    set_edition,
    states,
    turn,
)
from sqlalchemy import event, select, text

from newsletter.domain.deliveries import DeliveryState, Pool, Purpose
from newsletter.domain.editions import Edition, EditionState
from newsletter.domain.filters import choose
from newsletter.domain.lists import Cadence, MailingList
from newsletter.domain.subscriptions import EndReason
from newsletter.domain.suppressions import SuppressionReason
from newsletter.storage import fanout
from newsletter.storage.audiences import save_audience, save_exceptions
from newsletter.storage.deliveries import DeliveryRow
from newsletter.storage.engine import Database, Session, database_now
from newsletter.storage.lists import intern_filter
from newsletter.storage.subscribers import SubscriberRow, erase_subscriber
from newsletter.storage.subscriptions import SubscriptionRow, end_subscription
from newsletter.storage.suppressions import add_suppression
from newsletter.storage.variants import replace_variants

S = DeliveryState


def fan_out_next(session: Session, edition: Edition | None) -> int:
    """Fan out the next chunk; return how many readers it saw."""
    assert edition is not None
    readers = fanout.next_readers(session, edition)
    if readers:
        fanout.fan_out_chunk(session, edition, readers, now=NOON)
    return len(readers)


class Issue:
    """An approved edition of a weekly list, with one variant for those who chose everything in English."""

    def __init__(self, database: Database) -> None:
        self.database = database
        with database.transaction() as session:
            self.mailing_list: MailingList = make_list(session)
            self.id = make_edition(session, self.mailing_list, EditionState.APPROVED).id
            set_edition(session, self.id, EditionState.APPROVED, cut_at=NOON + timedelta(minutes=1))  # all came before
            [self.article_id] = make_articles(session, "one")
            self.variant = make_variant(session, self.id, (self.article_id, 1))
            save_audience(session, self.id, [(self.mailing_list.filter_id, "en", self.variant, "you asked")])

    def readers(self, *names: str, **choice) -> list[SubscriptionRow]:
        with self.database.transaction() as session:
            return make_readers(session, self.mailing_list, *names, **choice)

    def chunk(self) -> int:
        with self.database.transaction() as session:
            return fan_out_next(session, load_edition(session, self.id))

    def fan_out(self) -> list[int]:
        """Fan out all of it; return how many readers each chunk saw."""
        seen = [self.chunk()]
        while seen[-1]:
            seen.append(self.chunk())
        return seen

    def deliveries(self) -> dict[str, DeliveryRow]:
        """By the reader's name, in order of id."""
        query = select(DeliveryRow).where(DeliveryRow.edition_id == self.id).order_by(DeliveryRow.id)
        with self.database.reading() as session:
            return {row.address_hmac: row for row in session.scalars(query)}

    def exclusions(self) -> dict[str, int]:
        with self.database.reading() as session:
            return fanout.exclusion_counts(session, self.id)

    def edition(self) -> Edition:
        with self.database.reading() as session:
            return load_edition(session, self.id)

    def assert_balanced(self) -> None:
        """Each reader seen is accounted for."""
        assert self.edition().candidate_count == len(self.deliveries()) + sum(self.exclusions().values())


@pytest.fixture
def issue(database: Database) -> Issue:
    return Issue(database)


def test_each_reader_gets_a_delivery_that_is_due_now(issue):
    [reader] = issue.readers("ann")
    with issue.database.transaction() as session:
        before = database_now(session)

    assert [1, 0] == issue.fan_out()
    row = issue.deliveries()["ann"]
    assert (S.QUEUED, Pool.BULK, Purpose.EDITION, issue.variant) == (row.state, row.pool, row.purpose, row.variant_id)
    assert (reader.subscriber_id, reader.id, reader.filter_id, "en") == (
        row.subscriber_id,
        row.subscription_id,
        row.filter_id,
        row.language,
    )
    assert ("ann@example.org", NOON) == (row.address, row.mail_at)
    assert (0, 0, 0, 0) == (row.attempts, row.tries, row.lapses, row.resends)
    assert before <= row.available_at <= before + timedelta(minutes=1)
    assert row.content is None


def test_mail_may_be_sent_as_long_as_its_edition_may(issue):
    """The edition's deadline is newsroom time; what was left of it at the approval runs by the database's clock."""
    issue.readers("ann")
    with issue.database.transaction() as session:
        until = database_now(session) + timedelta(hours=7)
        set_edition(session, issue.id, EditionState.APPROVED, send_until=until)
    issue.fan_out()

    assert until == issue.deliveries()["ann"].deadline_at


def test_repeating_a_fan_out_changes_nothing(issue):
    issue.readers("ann", "bek")
    issue.fan_out()
    before = issue.deliveries()
    with issue.database.transaction() as session:
        set_edition(session, issue.id, EditionState.APPROVED, fan_out_cursor=0)
    issue.fan_out()

    after = issue.deliveries()
    assert [row.id for row in before.values()] == [row.id for row in after.values()]
    assert [row.mail_token for row in before.values()] == [row.mail_token for row in after.values()]


def test_readers_come_in_chunks_and_all_of_them(issue, monkeypatch):
    monkeypatch.setattr(fanout, "CHUNK_SIZE", 3)
    names = [f"reader{number}" for number in range(7)]
    issue.readers(*names)

    assert [3, 3, 1, 0] == issue.fan_out()
    assert set(names) == issue.deliveries().keys()
    assert 7 == issue.edition().candidate_count


@pytest.mark.slow
@pytest.mark.parametrize(
    "believed",
    [
        pytest.param("reltuples = -1, relpages = 0", id="never looked at"),
        pytest.param("reltuples = 0, relpages = 1", id="vacuumed when all rows had been deleted"),
    ],
)
def test_after_many_readers_the_planner_knows_how_many_there_are(postgresql_database, monkeypatch, believed):
    """Else the turn before sending reads all of a list's subscriptions for each mail, until somebody vacuums."""
    monkeypatch.setattr(fanout, "MANY", 5)
    issue = Issue(postgresql_database)
    issue.readers(*(f"reader{number}" for number in range(7)))
    issue.fan_out()
    with postgresql_database.transaction() as session:
        session.execute(text(f"update pg_class set {believed} where relname in ('subscription', 'delivery')"))
    with postgresql_database.transaction() as session:
        fanout.finish_fan_out(session, issue.id, now=NOON)
        tables = session.execute(
            text("select relname, reltuples from pg_class where relname in ('subscription', 'delivery')")
        )
        tables = dict(tables.all())

    assert {"subscription": 7, "delivery": 7} == tables


def test_a_crash_within_a_chunk_leaves_nothing_of_it(issue, monkeypatch):
    monkeypatch.setattr(fanout, "CHUNK_SIZE", 2)
    issue.readers("ann", "bek", "eva", "ilya")
    issue.chunk()
    with suppress(RuntimeError), issue.database.transaction() as session:
        fan_out_next(session, load_edition(session, issue.id))
        raise RuntimeError("power")

    assert {"ann", "bek"} == issue.deliveries().keys()
    assert [2, 0] == issue.fan_out()
    assert ["ann", "bek", "eva", "ilya"] == list(issue.deliveries())
    issue.assert_balanced()


@pytest.mark.parametrize("is_forgotten", [False, True])
def test_what_a_second_connection_made_of_a_broken_off_chunk_counts_once(
    postgresql_database, monkeypatch, is_forgotten
):
    """Made again it is the same; as a fan-out begins it is forgotten, since readers may have left meanwhile."""
    monkeypatch.setattr(fanout, "MANY", 4)
    issue = Issue(postgresql_database)
    ann, *_ = issue.readers("ann", "bek", "eva", "ilya")
    with issue.database.transaction() as session:
        add_suppression(session, "bek", SuppressionReason.COMPLAINT, now=NOON)

    def work_alone(work: Callable[[Session], list[int]]) -> list[int]:
        with issue.database.transaction() as session:
            return work(session)

    def fan_out() -> None:
        with ThreadPoolExecutor(1) as thread, issue.database.transaction() as session:
            edition = load_edition(session, issue.id)
            readers = fanout.next_readers(session, edition)
            fanout.fan_out_chunk(
                session, edition, readers, now=NOON, beside=lambda work: thread.submit(work_alone, work)
            )
            if not made:
                raise RuntimeError("power")

    made: dict[str, DeliveryRow] = {}
    with suppress(RuntimeError):
        fan_out()
    made = issue.deliveries()
    assert ["ann"] == list(made)
    if is_forgotten:
        with issue.database.transaction() as session:
            end_subscription(session, ann.id, EndReason.UNSUBSCRIBED, now=NOON)
            fanout.forget_half_a_chunk(session, load_edition(session, issue.id))
    fan_out()
    after = issue.deliveries()

    if not is_forgotten:
        assert made["ann"].mail_token == after.pop("ann").mail_token
    assert {"eva", "ilya"} == after.keys()
    assert {"suppressed": 1} == issue.exclusions()
    issue.assert_balanced()


def test_every_delivery_has_a_token_of_its_own(issue):
    issue.readers(*(f"reader{number}" for number in range(20)))
    issue.fan_out()
    tokens = {row.mail_token for row in issue.deliveries().values()}

    assert 20 == len(tokens)
    assert all(len(each) == 32 and int(each, 16) for each in tokens)


def test_latecomers_are_told_of_before_their_mail_is_made(issue):
    """Those who came since the edition was composed, or whose choice it did not foresee; nobody else is asked about."""
    issue.readers("ann")
    [russian] = issue.readers("bek", language="ru")
    [late] = issue.readers("eva")
    asked = []

    def decide(readers: Sequence[int]) -> None:
        asked.extend(readers)
        save_audience(session, issue.id, [(issue.mailing_list.filter_id, "ru", issue.variant, "you asked")])

    with issue.database.transaction() as session:
        session.get_one(SubscriptionRow, late.id).confirmed_at = NOON + timedelta(hours=1)
    with issue.database.transaction() as session:
        edition = load_edition(session, issue.id)
        fanout.fan_out_chunk(session, edition, fanout.next_readers(session, edition), now=NOON, decide=decide)

    assert [russian.id, late.id] == asked
    assert {"ann", "bek", "eva"} == issue.deliveries().keys()
    issue.assert_balanced()


def test_who_gets_nothing_is_on_record_with_the_reason(issue):
    with issue.database.transaction() as session:
        stories = intern_filter(session, choose(kinds=["story"]))
        save_audience(session, issue.id, [(stories, "en", None, "you asked")])
        add_suppression(session, "eva", SuppressionReason.COMPLAINT, now=NOON)
        add_suppression(session, "pavel", SuppressionReason.COMPLAINT, now=NOON)
    issue.readers("ann")
    issue.readers("bek", filter_id=stories)
    issue.readers("ilya", language="ru")
    issue.readers("eva")
    issue.readers("pavel", language="ru")
    issue.fan_out()

    assert {"ann"} == issue.deliveries().keys()
    assert {"nothing_chosen": 3, "suppressed": 1} == issue.exclusions()
    issue.assert_balanced()


def test_only_confirmed_readers_of_the_list_and_cadence_are_seen(issue):
    issue.readers("ann")
    issue.readers("daily", cadence=Cadence.DAILY)
    [left] = issue.readers("left")
    with issue.database.transaction() as session:
        end_subscription(session, left.id, EndReason.UNSUBSCRIBED, now=NOON)
        make_readers(session, make_list(session, "other"), "elsewhere")

    assert [1, 0] == issue.fan_out()
    assert {"ann"} == issue.deliveries().keys()


def test_readers_with_a_past_of_their_own_get_their_own_variant_or_none(issue):
    ann, bek, _ = issue.readers("ann", "bek", "eva")
    with issue.database.transaction() as session:
        [other] = make_articles(session, "two")
        own = make_variant(session, issue.id, (other, 1))
        save_exceptions(session, issue.id, [(ann.id, own), (bek.id, None)])
    issue.fan_out()

    assert {"ann": own, "eva": issue.variant} == {name: row.variant_id for name, row in issue.deliveries().items()}
    assert {"nothing_chosen": 1} == issue.exclusions()
    issue.assert_balanced()


def test_readers_of_one_variant_are_queued_beside_each_other(issue):
    ann, _, eva, _ = issue.readers("ann", "bek", "eva", "ilya")
    with issue.database.transaction() as session:
        own = make_variant(session, issue.id, (issue.article_id, 2))
        save_exceptions(session, issue.id, [(ann.id, own), (eva.id, own)])
    issue.fan_out()

    assert ["bek", "ilya", "ann", "eva"] == list(issue.deliveries())


def test_a_reader_who_chooses_anew_between_two_chunks_gets_one_mail_and_is_accounted_for(issue, monkeypatch):
    """Their new subscription comes up in a later chunk of the same edition."""
    monkeypatch.setattr(fanout, "CHUNK_SIZE", 1)
    [ann] = issue.readers("ann")
    issue.chunk()
    with issue.database.transaction() as session:
        end_subscription(session, ann.id, EndReason.CHANGED, now=NOON)
    issue.readers("ann")
    issue.fan_out()

    assert [ann.id] == [row.subscription_id for row in issue.deliveries().values()]
    assert {"has_one_already": 1} == issue.exclusions()
    issue.assert_balanced()


def test_an_address_that_was_erased_and_came_back_between_two_chunks_gets_one_mail(issue, monkeypatch):
    monkeypatch.setattr(fanout, "CHUNK_SIZE", 1)
    [ann] = issue.readers("ann")
    issue.chunk()
    with issue.database.transaction() as session:
        end_subscription(session, ann.id, EndReason.ERASED, now=NOON)
        erase_subscriber(session, ann.subscriber_id, now=NOON)
    issue.readers("ann")
    issue.fan_out()

    assert 2 == count(issue.database, SubscriberRow)
    assert [ann.subscriber_id] == [row.subscriber_id for row in issue.deliveries().values()]
    issue.assert_balanced()


def test_accounts_balance_whoever_leaves_or_comes_while_a_chunk_is_written(postgresql_database):
    """Each statement of a chunk sees what others have committed since the one before it."""
    issue = Issue(postgresql_database)
    ann, bek, waiting, _ = issue.readers("ann", "bek", "waiting", "eva")
    with issue.database.transaction() as session:
        session.get_one(SubscriptionRow, waiting.id).state = "unconfirmed"
    moments = iter([lambda: (leave(bek), confirm(waiting)), lambda: leave(ann)])

    def leave(reader: SubscriptionRow) -> None:
        with issue.database.transaction() as session:
            end_subscription(session, reader.id, EndReason.UNSUBSCRIBED, now=NOON)

    def confirm(reader: SubscriptionRow) -> None:
        with issue.database.transaction() as session:
            session.get_one(SubscriptionRow, reader.id).state = "confirmed"

    def meanwhile(_connection, _cursor, statement: str, *_: object) -> None:
        if "FROM subscription" in statement:
            next(moments)()

    with issue.database.transaction() as session:
        edition = load_edition(session, issue.id)
        connection = session.connection()
        event.listen(connection, "after_cursor_execute", meanwhile)
        fan_out_next(session, edition)
        event.remove(connection, "after_cursor_execute", meanwhile)

    assert [] == list(moments)
    issue.assert_balanced()
    assert {"ann", "bek", "eva"} == issue.deliveries().keys()
    with issue.database.transaction() as session:
        set_edition(session, issue.id, EditionState.SENDING)
    ids = claim_some(issue.database)
    assert [issue.deliveries()["eva"].id] == list(turn(issue.database, *ids))


def test_a_cancelled_edition_stops_what_is_not_on_its_way(issue):
    issue.readers("ann", "bek", "eva")
    issue.fan_out()
    ids = [row.id for row in issue.deliveries().values()]
    with issue.database.transaction() as session:
        set_edition(session, issue.id, EditionState.SENDING)
    claim_some(issue.database, limit=2)
    turn(issue.database, ids[0])
    with issue.database.transaction() as session:
        assert 2 == fanout.cancel_edition_deliveries(session, issue.id, "a mistake")

    assert [S.SENDING, S.CANCELLED, S.CANCELLED] == states(issue.database, *ids)
    assert ("a mistake", None) == (look(issue.database, ids[1]).reason, look(issue.database, ids[1]).lease_token)
    assert {} == turn(issue.database, ids[1])


def test_mail_that_waits_follows_a_changed_variant(issue):
    issue.readers("ann", "bek", "eva", "ilya")
    issue.fan_out()
    ids = [row.id for row in issue.deliveries().values()]
    with issue.database.transaction() as session:
        set_edition(session, issue.id, EditionState.SENDING)
        new = make_variant(session, issue.id, (issue.article_id, 2))
    claim_some(issue.database, limit=2)
    turn(issue.database, ids[0])
    change(issue.database, ids[3], state=S.FAILED)
    with issue.database.transaction() as session:
        replace_variants(session, {issue.variant: new}, now=NOON)
        assert 2 == fanout.move_open_deliveries(session, issue.id, {issue.variant: new})

    assert [S.SENDING, S.QUEUED, S.QUEUED, S.FAILED] == states(issue.database, *ids)
    assert [issue.variant, new, new, issue.variant] == [look(issue.database, each).variant_id for each in ids]
    assert {} == turn(issue.database, ids[1])
    assert [] == attempts_at(issue.database, ids[1])


def test_mail_that_nothing_is_left_of_is_cancelled(issue):
    issue.readers("ann")
    issue.fan_out()
    with issue.database.transaction() as session:
        replace_variants(session, {issue.variant: None}, now=NOON)
        assert 1 == fanout.move_open_deliveries(session, issue.id, {issue.variant: None})

    row = issue.deliveries()["ann"]
    assert (S.CANCELLED, issue.variant) == (row.state, row.variant_id)
    assert "withdrawn" in row.reason


def test_a_mail_without_an_edition_is_queued_once_per_key(issue):
    [ann] = issue.readers("ann")
    values = {
        "purpose": Purpose.CONFIRMATION,
        "idempotency_key": "confirm:1",
        "subscriber_id": ann.subscriber_id,
        "language": "en",
        "address": "ann@example.org",
        "address_hmac": "ann",
        "content": {"subject": "Confirm", "text": "Yes?", "html": "<p>Yes?</p>"},
        "mail_at": NOON,
    }
    with issue.database.transaction() as session:
        first = fanout.insert_transactional(session, values)
        assert fanout.insert_transactional(session, values) is None
        second = fanout.insert_transactional(session, values | {"idempotency_key": "confirm:2"})
        queue(session, None, ann, idempotency_key="confirm:3")

    row = look(issue.database, first)
    assert (S.QUEUED, Pool.TRANSACTIONAL) == (row.state, row.pool)
    assert row.mail_token != look(issue.database, second).mail_token
    assert {S.QUEUED: 3} == Counter(states(issue.database, first, second, second + 1))


def test_a_cancelled_edition_and_a_turn_that_want_the_same_mail_both_get_on(postgresql_database):
    """They lock rows in orders of their own; the one that PostgreSQL stops begins anew."""
    issue = Issue(postgresql_database)
    issue.readers("ann", "bek")
    issue.fan_out()
    first, second = [row.id for row in issue.deliveries().values()]
    cancelled = []

    def cancel() -> None:
        with issue.database.transaction() as session:
            session.execute(text("set local deadlock_timeout = '200ms'"))
            cancelled.append(fanout.cancel_edition_deliveries(session, issue.id, "no more"))

    canceller = threading.Thread(target=cancel)
    with issue.database.transaction() as session:
        session.execute(text("set local deadlock_timeout = '1min'"))
        hold = select(DeliveryRow.id).with_for_update()
        session.execute(hold.where(DeliveryRow.id == second))
        canceller.start()
        while not session.scalar(text("select count(*) from pg_stat_activity where wait_event_type = 'Lock'")):
            time.sleep(0.01)
            session.execute(text("select pg_stat_clear_snapshot()"))  # a transaction sees who waits as it first saw it
        session.execute(hold.where(DeliveryRow.id == first))
    canceller.join()

    assert [2] == cancelled
    assert [S.CANCELLED] * 2 == states(issue.database, first, second)
