"""A fan-out that loses its connection while a second one writes the other half: whoever comes next finds no half."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from newsroom import HOUR, Newsroom
from sqlalchemy import text

from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.editions import EditionState
from newsletter.errors import TransientError
from newsletter.services import editions
from newsletter.services.context import App
from newsletter.services.editions import cancel_edition, fan_out_edition
from newsletter.services.reports import find_progress
from newsletter.storage import fanout
from newsletter.storage.engine import Session

pytestmark = pytest.mark.slow

READERS = [f"reader{number}" for number in range(8)]
PATIENCE_SECONDS = 60
END_THE_OTHERS = """
select pg_terminate_backend(pid, 5000) from pg_stat_activity
 where datname = current_database() and xact_start is not null and pid not in (:spared, pg_backend_pid())"""
SOMEBODY_WAITS = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


@dataclass
class SecondHalf:
    """The work on the second connection, held where it may still be under way when the first connection is lost."""

    is_written: bool
    is_there: threading.Event = field(default_factory=threading.Event)
    may_go_on: threading.Event = field(default_factory=threading.Event)
    pid: int = 0

    def work_alone(self, app: App, work: Callable[[Session], list[int]]) -> list[int]:
        """Do the work in a transaction of its own, and wait just before it or just before the commit."""
        with app.database.transaction() as session:
            self.pid = session.execute(text("select pg_backend_pid()")).scalar_one()
            found = work(session) if self.is_written else None
            self.is_there.set()
            assert self.may_go_on.wait(PATIENCE_SECONDS)
            return work(session) if found is None else found


@pytest.fixture(params=[True, False], ids=["written", "not begun"])
def second_half(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[SecondHalf]:
    half = SecondHalf(is_written=request.param)
    monkeypatch.setattr(fanout, "MANY", 4)
    monkeypatch.setattr(editions, "_work_alone", half.work_alone)
    yield half
    half.may_go_on.set()


def lose_the_first_connection(newsroom: Newsroom, edition_id: int, half: SecondHalf) -> threading.Thread:
    """Fan out until both halves are under way, and end the first one's connection; the second lives on."""

    def fan_out() -> None:
        with suppress(TransientError):
            fan_out_edition(newsroom.app, edition_id)

    fanning_out = threading.Thread(target=fan_out)
    fanning_out.start()
    assert half.is_there.wait(PATIENCE_SECONDS)
    with newsroom.app.database.transaction() as session:
        while not session.execute(text(END_THE_OTHERS), {"spared": half.pid}).all():
            time.sleep(0.05)
    return fanning_out


def begin(newsroom: Newsroom, act: Callable[[], object]) -> threading.Thread:
    """Let *act* run in a thread until it has ended or waits for somebody."""
    acting = threading.Thread(target=act)
    acting.start()
    while acting.is_alive():
        with newsroom.app.database.transaction() as session:
            if session.execute(text(SOMEBODY_WAITS)).all():
                break
        acting.join(0.05)
    return acting


@pytest.fixture
def newsroom(postgresql_newsroom: Newsroom) -> Newsroom:
    postgresql_newsroom.publish("A story")
    postgresql_newsroom.move(-HOUR)
    postgresql_newsroom.subscribe(*READERS)  # well before the edition is composed, so that both halves have work
    postgresql_newsroom.move(HOUR)
    return postgresql_newsroom


def test_an_edition_cancelled_meanwhile_has_no_mail_and_its_accounts_balance(newsroom, second_half):
    edition_id = newsroom.compose()
    fanning_out = lose_the_first_connection(newsroom, edition_id, second_half)
    cancelling = begin(newsroom, lambda: cancel_edition(newsroom.app, edition_id))
    second_half.may_go_on.set()
    cancelling.join()
    fanning_out.join()

    progress = find_progress(newsroom.app, edition_id)
    assert EditionState.CANCELLED is progress.state
    assert {} == progress.deliveries
    assert progress.adds_up


def test_a_fan_out_begun_anew_meanwhile_makes_each_mail_once(newsroom, second_half, monkeypatch):
    edition_id = newsroom.compose()
    fanning_out = lose_the_first_connection(newsroom, edition_id, second_half)
    monkeypatch.undo()
    again = begin(newsroom, lambda: fan_out_edition(newsroom.app, edition_id))
    second_half.may_go_on.set()
    again.join()
    fanning_out.join()

    progress = find_progress(newsroom.app, edition_id)
    assert EditionState.SENDING is progress.state
    assert {DeliveryState.QUEUED: len(READERS)} == progress.deliveries
    assert progress.adds_up
