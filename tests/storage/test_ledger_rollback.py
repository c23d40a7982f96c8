"""What a sender knows and the database does not: a sure sign that it went back, which nothing else gives."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ledger_rows import (
    attempts_at,
    change,
    claim_some,
    give_up,
    lapse,
    look,
    make_edition,
    make_list,
    make_readers,
    queue_all,
    send_first,
    states,
    told,
    turn,
)
from sqlalchemy import delete, insert, select

from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.replies import Verdict
from newsletter.storage import ledger, lineage, recovery
from newsletter.storage.deliveries import AttemptRow, DeliveryRow
from newsletter.storage.engine import Database, database_now
from newsletter.storage.resends import requeue_failed
from newsletter.storage.stops import StopKind, load_stops

S = DeliveryState
EPOCH = 1


@pytest.fixture
def ids(database: Database) -> list[int]:
    """Three deliveries of an edition that is being sent, in a database in its first epoch."""
    with database.transaction() as session:
        lineage.found_lineage(session, lineage.Server())
        mailing_list = make_list(session)
        readers = make_readers(session, mailing_list, "ann", "bek", "eva")
        return queue_all(session, make_edition(session, mailing_list), readers)


@contextmanager
def undone(database: Database) -> Iterator[None]:
    """Undo what the block does to mail, as restoring a state from before it does."""
    tables: tuple[Any, ...] = (DeliveryRow.__table__, AttemptRow.__table__)
    with database.reading() as session:
        kept = [[dict(row) for row in session.execute(select(table)).mappings()] for table in tables]
    yield
    with database.transaction() as session:
        for table, rows in zip(tables, kept, strict=True):
            session.execute(delete(table))
            if rows:
                session.execute(insert(table), rows)


def tell(database: Database, *told_ones: Any, next_ids: tuple[int, ...] = (), token: str = "b") -> dict[int, int]:
    """Take a turn as a sender does that began in the first epoch."""
    with database.at_once() as session:
        return ledger.take_turn(
            session, told=told_ones, next_ids=next_ids, token=token, worker=f"worker-{token}", epoch=EPOCH
        )


def stopped(database: Database) -> list[StopKind]:
    """Return what stops everything."""
    with database.reading() as session:
        return [each.kind for each in load_stops(session)]


def test_an_answer_to_a_forgotten_attempt_stops_everything_and_its_turn_sends_nothing(database, ids):
    with undone(database):
        send_first(database, ids[0])
    claim_some(database, "b")

    assert {} == tell(database, told(ids[0], S.QUEUED), next_ids=tuple(ids[1:]))
    assert [StopKind.RESTORE] == stopped(database)
    assert [S.LEASED, S.QUEUED, S.QUEUED] == states(database, *ids)
    assert ["unsent"] == [each.outcome for each in attempts_at(database, ids[1])]
    assert [] == claim_some(database, "c")


def test_a_turn_that_is_repeated_takes_back_what_it_had_cleared(database, ids):
    """A commit whose answer was lost: what it wrote ahead is sending already."""
    with undone(database):
        send_first(database, ids[0])
    claim_some(database, "b")
    assert {ids[1]: 1} == turn(database, ids[1], token="b")

    assert {} == tell(database, told(ids[0], S.QUEUED), next_ids=(ids[1],))
    assert S.QUEUED == look(database, ids[1]).state


def test_a_yes_to_a_forgotten_attempt_is_evidence(database, ids):
    with undone(database):
        send_first(database, *ids)
    claim_some(database, "b", limit=1)
    tell(database, told(ids[0], S.ACCEPTED), told(ids[1], S.ACCEPTED), told(ids[2], S.IN_DOUBT))

    assert [S.ACCEPTED, S.ACCEPTED, S.QUEUED] == states(database, *ids)
    assert (1, None) == (look(database, ids[0]).attempts, look(database, ids[0]).lease_token)


@pytest.mark.parametrize("has_ended", [False, True])
def test_a_number_that_another_attempt_bears_is_a_sign_too(database, ids, has_ended):
    """The restored database has begun to send the same mail again, under the same number."""
    with undone(database):
        send_first(database, ids[0])
    send_first(database, ids[0], token="b")
    if has_ended:
        turn(database, told=[told(ids[0], S.ACCEPTED, token="b")])
    tell(database, told(ids[0], S.ACCEPTED), token="c")

    assert [StopKind.RESTORE] == stopped(database)


def test_after_the_restore_was_acknowledged_older_senders_have_no_news(database, ids):
    with undone(database):
        send_first(database, *ids)
    with database.transaction() as session:
        lineage.begin_epoch(session, EPOCH + 1, lineage.Server())
    tell(database, told(ids[0], S.ACCEPTED))

    assert [] == stopped(database)
    assert S.ACCEPTED == look(database, ids[0]).state


def resent(database: Database, delivery_id: int) -> None:
    """The mail has failed, and is sent again."""
    turn(database, told=[told(delivery_id, S.FAILED)])
    with database.transaction() as session:
        deadline_at = database_now(session)
        assert requeue_failed(session, look(database, delivery_id).edition_id, [delivery_id], deadline_at=deadline_at)


def doubted_and_sent_again(database: Database, delivery_id: int) -> None:
    """The mail was in doubt, was queued again, and is being sent by another."""
    give_up(database, delivery_id)
    change(database, delivery_id, state=S.QUEUED)
    send_first(database, delivery_id, token="b")


def settled_by_a_journal(database: Database, delivery_id: int) -> None:
    """Whoever found its sender dead says that nothing was sent."""
    with database.transaction() as session:
        recovery.requeue_held(session, {delivery_id}, suspects=set())


def erased(database: Database, delivery_id: int) -> None:
    """Nobody knows the address any more."""
    give_up(database, delivery_id)
    change(database, delivery_id, address=None)


def gone(database: Database, delivery_id: int) -> None:
    """Its edition was thrown away."""
    with database.transaction() as session:
        session.execute(delete(DeliveryRow).where(DeliveryRow.id == delivery_id))


def recorded(database: Database, delivery_id: int) -> None:
    """The answer was recorded, and nobody heard that it was."""
    turn(database, told=[told(delivery_id, S.ACCEPTED)])


@pytest.mark.parametrize(
    "happened", [lapse, give_up, resent, doubted_and_sent_again, settled_by_a_journal, erased, gone, recorded]
)
@pytest.mark.parametrize("state", [S.ACCEPTED, S.QUEUED, S.IN_DOUBT])
def test_nothing_else_is_taken_for_a_sign(database, ids, happened, state):
    send_first(database, ids[0])
    happened(database, ids[0])
    tell(database, told(ids[0], state, outcome=Verdict.UNSENT.value))

    assert [] == stopped(database)
