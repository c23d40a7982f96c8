"""Restores: after one is acknowledged nobody is mailed twice, and what certainly was not sent goes out."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from answering import answer, begin, states
from newsroom import Newsroom
from sqlalchemy import delete, insert, select, update

from newsletter.domain.replies import Reply, Stage, Verdict
from newsletter.errors import ConflictError
from newsletter.mail.journal import Journal, sender_name
from newsletter.mail.smtp import SendResult
from newsletter.services.audit import list_acts
from newsletter.services.doubts import Settlement, settle
from newsletter.services.guard import watch
from newsletter.services.restores import acknowledge_restore, examine_restore
from newsletter.services.settling import JOURNALS, settle_journals
from newsletter.services.stops import find_halts
from newsletter.storage.deliveries import AttemptRow, DeliveryRow
from newsletter.storage.engine import database_now
from newsletter.storage.lineage import LineageRow


def an_edition(newsroom: Newsroom, readers: int = 4) -> int:
    """Return an edition that is being sent to so many readers."""
    newsroom.subscribe(*(f"reader{number}" for number in range(readers)))
    newsroom.publish("A story")
    edition_id = newsroom.fan_out()
    for _ in range(5):
        watch(newsroom.app)
    return edition_id


@contextmanager
def set_back(newsroom: Newsroom) -> Iterator[None]:
    """Undo in the database what the block does to mail, as restoring a backup from before it would."""
    tables = (DeliveryRow.__table__, AttemptRow.__table__, LineageRow.__table__)
    with newsroom.app.reading() as tx:
        kept = [[dict(row) for row in tx.session.execute(select(table)).mappings()] for table in tables]
    yield
    watch(newsroom.app)
    with newsroom.app.transaction() as tx:
        for table, rows in zip(tables, kept, strict=True):
            tx.session.execute(delete(table))  # type: ignore[arg-type]  # declarative tables are typed too loosely
            if rows:
                tx.session.execute(insert(table), rows)  # type: ignore[arg-type]  # the same
    assert not watch(newsroom.app)


@pytest.mark.slow
def test_nobody_is_mailed_twice_after_a_restore(newsroom: Newsroom) -> None:
    """All four were sent; the restored database does not know, and holds them."""
    edition_id = an_edition(newsroom)
    with set_back(newsroom):
        assert answer(newsroom) == 4

    assert begin(newsroom) == []
    assert states(newsroom, edition_id) == {"queued": 4}
    assert acknowledge_restore(newsroom.app, nothing_lost=False).unsure == 4
    assert states(newsroom, edition_id) == {"in_doubt": 4}
    assert begin(newsroom) == []


@pytest.mark.slow
def test_what_comes_after_goes_on(newsroom: Newsroom) -> None:
    """The stop is gone, the guard trusts the database again, and new mail is sent."""
    edition_id = an_edition(newsroom)
    with set_back(newsroom):
        answer(newsroom)
    acknowledge_restore(newsroom.app, nothing_lost=False)

    assert all(watch(newsroom.app) for _ in range(3))
    assert find_halts(newsroom.app).stops == []
    settle(newsroom.app, Settlement.RESEND, why="they were not sent", edition_id=edition_id)
    assert answer(newsroom) == 4


def test_where_nothing_was_lost_mail_just_goes_on(newsroom: Newsroom) -> None:
    """A planned change of servers."""
    edition_id = an_edition(newsroom)
    with set_back(newsroom):
        pass
    acknowledge_restore(newsroom.app, nothing_lost=True)

    assert answer(newsroom) == 4
    assert states(newsroom, edition_id) == {"accepted": 4}


@pytest.mark.slow
def test_mail_that_was_not_due_was_not_sent(newsroom: Newsroom) -> None:
    """It stays in the queue."""
    edition_id = an_edition(newsroom)
    later = newsroom.deliveries(edition_id)["reader0"]
    with newsroom.app.transaction() as tx:
        tomorrow = database_now(tx.session) + timedelta(days=1)
        tx.session.execute(update(DeliveryRow).where(DeliveryRow.id == later.id).values(available_at=tomorrow))
    with set_back(newsroom):
        answer(newsroom)
    acknowledge_restore(newsroom.app, nothing_lost=False)

    assert states(newsroom, edition_id) == {"in_doubt": 3, "queued": 1}


@pytest.mark.slow
def test_a_list_whose_edition_is_unknown_now_waits_for_a_person(newsroom: Newsroom) -> None:
    """Its slot came after the restored state; the calendar will make it again, and its mails wait."""
    an_edition(newsroom)
    with newsroom.app.transaction() as tx:  # the newsroom's time and the database's are one here
        tx.session.execute(update(LineageRow).values(at=newsroom.clock.now))
    with set_back(newsroom):
        newsroom.move(timedelta(days=7))
    found = acknowledge_restore(newsroom.app, nothing_lost=False)

    assert found.slots == ["weekly 2026-W13"]
    assert [pause.slug for pause in find_halts(newsroom.app).lists] == ["weekly"]
    newsroom.publish("Another story")
    newsroom.fan_out()
    assert begin(newsroom) == []


def test_examining_changes_nothing(newsroom: Newsroom) -> None:
    """One may look before one decides."""
    edition_id = an_edition(newsroom)
    with set_back(newsroom):
        answer(newsroom)

    assert examine_restore(newsroom.app).unsure == 4
    assert states(newsroom, edition_id) == {"queued": 4}
    assert len(find_halts(newsroom.app).stops) == 1


def test_without_a_restore_there_is_nothing_to_acknowledge(newsroom: Newsroom) -> None:
    """And no mail is doubted by mistake."""
    an_edition(newsroom)

    with pytest.raises(ConflictError, match="no restore was noticed"):
        acknowledge_restore(newsroom.app, nothing_lost=False)


@pytest.mark.slow
def test_a_dead_senders_journal_is_believed(newsroom: Newsroom) -> None:
    """It is kept until somebody has looked, and what it says was accepted is."""
    edition_id = an_edition(newsroom)
    first = newsroom.deliveries(edition_id)["reader0"].id
    with set_back(newsroom):
        answer(newsroom)
        journal = Journal.open(newsroom.app.settings.home / JOURNALS, sender_name())
        journal.dot(first, 1)
        journal.answer(1, SendResult(first, Verdict.ACCEPTED, Stage.DOT, Reply(250, "", "OK")))
        journal.close(is_settled=False)

    assert settle_journals(newsroom.app) == 0
    acknowledge_restore(newsroom.app, nothing_lost=False)
    assert states(newsroom, edition_id) == {"accepted": 1, "in_doubt": 3}
    assert [] == list((newsroom.app.settings.home / JOURNALS).iterdir())


@pytest.mark.slow
def test_who_acknowledged_it_is_on_record(newsroom: Newsroom) -> None:
    """With what it came to."""
    an_edition(newsroom)
    with set_back(newsroom):
        answer(newsroom)
    acknowledge_restore(newsroom.app, nothing_lost=False)

    [act] = list_acts(newsroom.app, about="restore")
    assert act.details["in_doubt"] == 4
