"""Sending when the database, the relay or the code fails in the middle: no answer is lost, no lease is outlived."""

import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from sqlite3 import connect as open_file
from threading import Event

import pytest
from newsroom import Newsroom
from smtp_server import Act, Answer, ScriptedRelay, Turn
from sqlalchemy import text, update
from structlog.testing import capture_logs

from newsletter.domain.deliveries import LEASE, MICRO_BATCH, DeliveryState, Pool, sending_lease
from newsletter.domain.editions import EditionState
from newsletter.domain.lists import InDoubtPolicy
from newsletter.domain.replies import Stage
from newsletter.errors import TransientError
from newsletter.mail.relay import Relay
from newsletter.services import guard, sending
from newsletter.services.admission import report_failure
from newsletter.services.context import App
from newsletter.services.restores import acknowledge_restore
from newsletter.services.sending import Slice, send_slice
from newsletter.services.settling import settle_journals
from newsletter.services.stops import find_halts
from newsletter.services.sweeping import sweep
from newsletter.storage import ledger, stops
from newsletter.storage.lineage import LineageRow, load_lineage
from newsletter.storage.lists import ListRow
from newsletter.storage.relays import RelayRow

S = DeliveryState
NAMES = ("ann", "bek", "eva", "ilya")


@pytest.fixture
def edition_id(newsroom: Newsroom) -> int:
    """An edition of one story to four readers."""
    newsroom.publish("A story")
    newsroom.subscribe(*NAMES)
    return newsroom.fan_out()


def hurry(newsroom: Newsroom, wait_factor: float) -> None:
    newsroom.app = replace(newsroom.app, settings=newsroom.app.settings.model_copy(update={"wait_factor": wait_factor}))


def states(newsroom: Newsroom, edition_id: int) -> Counter[DeliveryState]:
    return Counter(newsroom.states(edition_id).values())


@pytest.mark.slow
def test_answers_are_recorded_though_nothing_more_can_be_claimed(newsroom, edition_id, monkeypatch):
    """The database goes away between a micro-batch's answers and the next claim, and comes back at once."""
    monkeypatch.setitem(MICRO_BATCH, Pool.BULK, 2)
    real, claims = ledger.claim, []

    def claim(*arguments: object, **options: object) -> object:
        claims.append(options)
        if len(claims) == 2:
            raise TransientError("the database is away")
        return real(*arguments, **options)

    monkeypatch.setattr(ledger, "claim", claim)
    with newsroom.relay() as server, pytest.raises(TransientError):
        newsroom.send()

    assert 2 == len(server.mails)
    assert {S.ACCEPTED: 2, S.QUEUED: 2} == states(newsroom, edition_id)


@pytest.mark.slow
def test_answers_are_recorded_though_the_edition_cannot_be_paused(newsroom, edition_id, monkeypatch):
    """The database goes away while the relay refuses a mail for what it says: the others of its micro-batch count."""

    def fail(*_: object, **__: object) -> None:
        raise TransientError("the database is away")

    monkeypatch.setattr(sending, "pause_edition_in", fail)
    relay = ScriptedRelay(lambda turn: "554 5.6.0 refused" if (turn.verb, turn.mail) == ("DOT", 2) else None)
    with relay.running():
        newsroom.use_relay(relay.url())
        with pytest.raises(TransientError):
            newsroom.send()

    assert 3 == len(relay.accepted)
    assert {S.ACCEPTED: 3, S.QUEUED: 1} == states(newsroom, edition_id)


@pytest.mark.slow
def test_a_slow_relay_gets_no_mail_that_its_sender_s_lease_may_not_cover(newsroom, edition_id):
    """After the window the rest of a micro-batch goes back, and is sent by a fresh one: each once, none in doubt."""
    hurry(newsroom, 0.05 / 20)

    def slow(turn: Turn) -> None:
        if turn.verb == "DOT":
            time.sleep(0.1)

    relay = ScriptedRelay(slow)
    with relay.running():
        newsroom.use_relay(f"{relay.url()}&connections=1")

        done = newsroom.send()
    assert Slice(accepted=4, deferred=done.deferred) == done
    assert 3 + 2 + 1 <= done.deferred
    assert 4 == len(relay.accepted)
    assert {S.ACCEPTED: 4} == states(newsroom, edition_id)


@pytest.mark.parametrize("ending", ["421 4.7.0 enough for one connection", Act.DROP])
def test_a_connection_that_carried_mail_before_it_broke_is_replaced_at_once(newsroom, edition_id, monkeypatch, ending):
    """Such is a relay that takes two mails in one connection: what it broke off waits, the others go on."""
    monkeypatch.setitem(MICRO_BATCH, Pool.BULK, 3)
    counts = Counter[int]()

    def cap(turn: Turn) -> Answer:
        counts[turn.connection] += turn.verb == "MAIL"
        return ending if turn.verb == "MAIL" and counts[turn.connection] > 2 else None

    relay = ScriptedRelay(cap)
    with relay.running():
        newsroom.use_relay(f"{relay.url()}&connections=1")
        newsroom.send()

    assert 2 == relay.connections
    assert {S.ACCEPTED: 3, S.QUEUED: 1} == states(newsroom, edition_id)


def test_a_relay_that_breaks_off_at_once_is_left_alone_for_a_slice(newsroom, edition_id, monkeypatch):
    monkeypatch.setitem(MICRO_BATCH, Pool.BULK, 1)
    relay = ScriptedRelay(lambda turn: "421 4.3.2 too busy" if turn.verb == "MAIL" else None)
    with relay.running():
        newsroom.use_relay(relay.url())
        newsroom.send()

    assert 1 == relay.mails
    assert {S.QUEUED: 4} == states(newsroom, edition_id)


@pytest.mark.slow
def test_a_relay_that_refuses_its_probe_s_recipient_works_again(newsroom, edition_id):
    """What it says of one address says that it is there for the others."""
    relay = ScriptedRelay(lambda turn: "550 5.1.1 user unknown" if (turn.verb, turn.mail) == ("RCPT", 1) else None)
    with relay.running():
        newsroom.use_relay(f"{relay.url()}&connections=1")
        [refused] = newsroom.app.relays
        for _ in range(5):
            report_failure(newsroom.app, refused, Stage.CONNECT, "Connection refused")
        with newsroom.app.transaction() as tx:
            tx.session.execute(update(RelayRow).values(open_until=RelayRow.opened_at))

        assert Slice(failed=1) == newsroom.send()
        assert Slice(accepted=3) == newsroom.send()

    assert {S.FAILED: 1, S.ACCEPTED: 3} == states(newsroom, edition_id)


class Stopping:
    """A relay that refuses a mail for what it says while its sender is asked to stop."""

    def __init__(self) -> None:
        self.is_asked = Event()
        self.relay = ScriptedRelay(self._refuse)

    def _refuse(self, turn: Turn) -> Answer:
        if turn.verb != "DOT":
            return None
        self.is_asked.set()
        time.sleep(0.3)
        return "554 5.6.0 refused"

    def send(self, newsroom: Newsroom) -> None:
        with self.relay.running():
            newsroom.use_relay(f"{self.relay.url()}&connections=1")
            send_slice(newsroom.app, Pool.BULK, should_stop=self.is_asked.is_set)


@pytest.mark.slow
def test_a_refusal_heard_while_a_sender_stops_pauses_its_edition(newsroom, edition_id, monkeypatch):
    monkeypatch.setitem(MICRO_BATCH, Pool.BULK, 1)
    Stopping().send(newsroom)

    assert EditionState.PAUSED == newsroom.state(edition_id)
    assert {S.QUEUED: 4} == states(newsroom, edition_id)


@pytest.mark.slow
def test_a_refusal_is_told_though_it_cannot_be_recorded(newsroom, edition_id, monkeypatch):
    """The database goes away as the sender stops, whose journal keeps the answer."""
    monkeypatch.setitem(MICRO_BATCH, Pool.BULK, 1)
    real = ledger.take_turn

    def take_turn(*arguments: object, **options: object) -> object:
        if options["told"]:
            raise TransientError("the database is away")
        return real(*arguments, **options)

    monkeypatch.setattr(ledger, "take_turn", take_turn)
    with capture_logs() as logs, pytest.raises(TransientError):
        Stopping().send(newsroom)
    assert ("content_refused", "error") in [(line["event"], line["log_level"]) for line in logs]
    assert EditionState.PAUSED == newsroom.state(edition_id)

    monkeypatch.setattr(ledger, "take_turn", real)
    settle_journals(newsroom.app)
    assert {S.QUEUED: 4} == states(newsroom, edition_id)


@pytest.mark.slow
def test_another_server_in_the_middle_of_a_slice_gets_nothing_more(postgresql_newsroom, monkeypatch):
    """A standby took over, maybe without what was recorded last: a slice looks again while it claims."""
    newsroom = postgresql_newsroom
    monkeypatch.setitem(MICRO_BATCH, Pool.BULK, 1)
    monkeypatch.setattr(guard, "WATCH_SECONDS", 0.0)
    newsroom.publish("A story")
    newsroom.subscribe(*NAMES)
    newsroom.fan_out()

    def fail_over(turn: Turn) -> None:
        if (turn.verb, turn.mail) == ("DOT", 2):
            with newsroom.app.transaction() as tx:
                tx.session.execute(update(LineageRow).values(timeline="0000000A"))

    relay = ScriptedRelay(fail_over)
    with relay.running():
        newsroom.use_relay(f"{relay.url()}&connections=1")
        newsroom.send()

    assert 2 <= len(relay.accepted) <= 3, "one more may have been written ahead"
    assert "timeline 0000000A" in find_halts(newsroom.app).stops[0].reason


@pytest.mark.slow
def test_an_older_state_put_back_within_a_step_sends_nothing_more(newsroom, edition_id, monkeypatch):
    """Its lineage tells nothing; the sender knows of a mail that the database does not, and its yes counts."""
    monkeypatch.setitem(MICRO_BATCH, Pool.BULK, 1)
    monkeypatch.setattr(guard, "WATCH_SECONDS", float("inf"))
    copy = Copy(newsroom.app)

    def set_back(turn: Turn) -> None:
        if (turn.verb, turn.mail) == ("DOT", 1):
            copy.take()
        elif (turn.verb, turn.mail) == ("DOT", 2):
            copy.put_back()

    relay = ScriptedRelay(set_back)
    with relay.running():
        newsroom.use_relay(f"{relay.url()}&connections=1")
        newsroom.send()
        newsroom.send()

    assert 2 == len(relay.accepted)
    assert [stops.StopKind.RESTORE] == [each.kind for each in find_halts(newsroom.app).stops]
    assert "a sender" in find_halts(newsroom.app).stops[0].reason
    assert {S.SENDING: 1, S.ACCEPTED: 1, S.QUEUED: 2} == states(newsroom, edition_id)
    acknowledge_restore(newsroom.app, nothing_lost=False)
    assert {S.IN_DOUBT: 3, S.ACCEPTED: 1} == states(newsroom, edition_id)


class Copy:
    """A copy of an installation's database to be put back while it is used: of the file, on PostgreSQL of its rows."""

    TABLES = ("lineage", "delivery", "delivery_attempt")

    def __init__(self, app: App) -> None:
        self._app = app
        self._file, self._live = app.settings.home / "copy.db", app.settings.home / "newsletter.db"

    def take(self) -> None:
        if self._app.database.is_sqlite:
            self._copy(self._live, self._file)
        else:
            self._run(*(f"CREATE TABLE kept_{table} AS TABLE {table}" for table in self.TABLES))

    def put_back(self) -> None:
        if self._app.database.is_sqlite:
            self._copy(self._file, self._live)
        else:
            self._run(*(f"DELETE FROM {table}" for table in self.TABLES))
            self._run(*(f"INSERT INTO {table} SELECT * FROM kept_{table}" for table in self.TABLES))
            self._run(*(f"DROP TABLE kept_{table}" for table in self.TABLES))

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        with closing(open_file(source)) as old, closing(open_file(target)) as new:
            old.backup(new)

    def _run(self, *statements: str) -> None:
        with self._app.transaction() as tx:
            for each in statements:
                tx.session.execute(text(each))


@pytest.mark.slow
@pytest.mark.usefixtures("edition_id")
def test_a_long_slice_goes_step_by_step(newsroom, monkeypatch):
    """So that a state from its middle is known for an older one."""
    monkeypatch.setitem(MICRO_BATCH, Pool.BULK, 1)
    monkeypatch.setattr(guard, "WATCH_SECONDS", 0.0)
    steps = []

    def look(turn: Turn) -> None:
        if turn.verb == "DOT":
            with newsroom.app.reading() as tx:
                steps.append(load_lineage(tx.session).steps)

    relay = ScriptedRelay(look)
    with relay.running():
        newsroom.use_relay(f"{relay.url()}&connections=1")
        newsroom.send()

    assert 4 == len(set(steps))


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [600, 30])
def test_a_micro_batch_is_leased_for_as_long_as_the_relay_may_take(newsroom, edition_id, seconds):
    leases = {}

    def look(turn: Turn) -> None:
        if (turn.verb, turn.mail) == ("RCPT", 1):
            leases.update({each.lease_until - each.state_at: each.state for each in rows()})

    def rows() -> list:
        return list(newsroom.deliveries(edition_id).values())

    relay = ScriptedRelay(look)
    with relay.running():
        newsroom.app = replace(newsroom.app, relays=Relay.parse_all(f"{relay.url()}&timeout={seconds}"))
        newsroom.send()

    assert {sending_lease(timedelta(seconds=seconds)): S.SENDING} == leases


def test_a_rehearsal_leases_and_waits_for_less(newsroom, edition_id, monkeypatch):
    hurry(newsroom, 1 / 60)
    leases = []
    real = ledger.claim

    def claim(*arguments: object, **options: object) -> object:
        leases.append(options["lease"])
        return real(*arguments, **options)

    monkeypatch.setattr(ledger, "claim", claim)
    relay = ScriptedRelay(lambda turn: "450 4.2.0 busy" if (turn.verb, turn.mail) == ("RCPT", 1) else None)
    with relay.running():
        newsroom.use_relay(relay.url())
        newsroom.send()
    [deferred] = [row for row in newsroom.deliveries(edition_id).values() if row.tries]

    assert LEASE / 60 == leases[0]
    assert timedelta(seconds=4) <= deferred.available_at - deferred.state_at <= timedelta(seconds=6)


@pytest.mark.parametrize(("wait_factor", "resent"), [(1, 0), (1 / 1000, 1)])
def test_a_rehearsal_waits_for_evidence_for_less(newsroom, edition_id, wait_factor, resent):
    hurry(newsroom, wait_factor)
    row = newsroom.deliveries(edition_id)["ann"]
    newsroom.change(row, state=S.IN_DOUBT, state_at=row.state_at - timedelta(seconds=1))
    with newsroom.app.transaction() as tx:
        tx.session.execute(update(ListRow).values(in_doubt_policy=InDoubtPolicy.RESEND_ONCE))

    assert resent == sweep(newsroom.app).resent
