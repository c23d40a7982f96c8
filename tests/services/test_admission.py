"""Admission: limits hold for all workers together, breakers leave a failing relay alone, transactional mail goes on."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, select, update

from newsletter.domain.deliveries import Pool
from newsletter.domain.limits import Allowance, Limit
from newsletter.domain.replies import Stage
from newsletter.mail.relay import Relay
from newsletter.services.admission import (
    admit,
    charge,
    choose_relay,
    connection_caps,
    report_failure,
    report_success,
    seconds_until_admitted,
)
from newsletter.services.context import App
from newsletter.storage.engine import database_now
from newsletter.storage.limits import LimitRow, save_limit
from newsletter.storage.relays import RelayRow
from newsletter.storage.stops import StopKind, put_stop

ONE = Relay.parse("smtp://one.example:25?tls=off")
TWO = Relay.parse("smtp://two.example:25?tls=off&weight=3")


def limit(app: App, name: str, **values: float) -> None:
    """Set a limit as staff would."""
    with app.transaction() as tx:
        save_limit(tx.session, Limit(name, **values), by="a test")  # type: ignore[arg-type]  # whole numbers are given


def claim(app: App, most: int = 100, *, pool: Pool = Pool.BULK, provider: str = "other", relay: Relay = ONE) -> int:
    """Claim as a sender would, as much of one provider as is allowed; return how many."""
    with app.transaction() as tx:
        admitted = admit(tx, relay, pool, most)
        allowance = admitted.allowance
        claimed = min(allowance.total, allowance.by_provider.get(provider, allowance.total))
        charge(tx, admitted, {provider: claimed})
        return claimed


def age(app: App, span: timedelta) -> None:
    """Let so much time have passed for all limits and breakers."""
    with app.transaction() as tx:
        for row in tx.session.scalars(select(LimitRow)):
            row.full_at = row.full_at and row.full_at - span
        for relay in tx.session.scalars(select(RelayRow)):
            relay.open_until = relay.open_until and relay.open_until - span
            relay.probe_until = relay.probe_until and relay.probe_until - span


def fail(app: App, times: int = 5, *, relay: Relay = ONE, stage: Stage = Stage.CONNECT) -> None:
    """Let a relay fail so often."""
    for _ in range(times):
        report_failure(app, relay, stage, "Connection refused")


@pytest.fixture
def sender(app: App) -> App:
    """An app with two relays."""
    return replace(app, relays=(ONE, TWO))


def test_without_a_limit_all_is_allowed_and_nothing_locked(app: App) -> None:
    """What nobody limits costs no lock and no write."""
    statements: list[str] = []

    def listen(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(app.database.engine, "after_cursor_execute", listen)
    with app.transaction() as tx:
        admitted = admit(tx, ONE, Pool.BULK, 500)
        charge(tx, admitted, {"gmail": 400, "other": 100})
    event.remove(app.database.engine, "after_cursor_execute", listen)

    assert admitted.allowance == Allowance(500)
    assert {each.split()[0] for each in statements} <= {"SELECT", "BEGIN"}  # SQLite begins aloud
    with app.reading() as tx:
        assert tx.session.scalars(select(LimitRow)).all() == []


def test_a_relays_rate_is_given_out_once(app: App) -> None:
    """A second's worth at once, then as time passes."""
    limit(app, ONE.name, rate=0.5)

    assert [claim(app), claim(app)] == [1, 0]
    assert 1.5 < seconds_until_admitted(app, ONE, Pool.BULK) <= 2
    age(app, timedelta(seconds=2))
    assert seconds_until_admitted(app, ONE, Pool.BULK) == 0
    assert claim(app) == 1


def test_the_rate_in_a_relays_url_holds_until_staff_set_another(app: App) -> None:
    """The URL says what the service sold us; staff may say otherwise for a while."""
    slow = replace(ONE, rate=0.01)

    assert [claim(app, relay=slow), claim(app, relay=slow)] == [1, 0]
    age(app, timedelta(hours=1))
    limit(app, ONE.name, rate=5)
    assert claim(app, relay=slow) == 5


def test_a_providers_rate_holds_its_own_mail_alone(app: App) -> None:
    """Others do not wait for it."""
    limit(app, "gmail", rate=2)

    assert claim(app, provider="gmail") == 2
    with app.transaction() as tx:
        assert admit(tx, ONE, Pool.BULK, 50).allowance == Allowance(50, {"gmail": 0})
    assert claim(app, provider="microsoft") == 100
    assert 0 < seconds_until_admitted(app, ONE, Pool.BULK) <= 1


def test_transactional_mail_is_charged_and_never_waits(app: App) -> None:
    """A confirmation goes; the digests pay for it."""
    limit(app, ONE.name, rate=0.01)
    limit(app, "gmail", rate=0.01)

    assert [claim(app, 1, pool=Pool.TRANSACTIONAL, provider="gmail") for _ in range(3)] == [1, 1, 1]
    assert claim(app, provider="gmail") == 0
    assert 190 < seconds_until_admitted(app, ONE, Pool.BULK) < 310
    assert seconds_until_admitted(app, ONE, Pool.TRANSACTIONAL) == 0


def test_a_limit_lasts_longer_than_the_process(app: App) -> None:
    """What was taken is a row: starting again begins no new burst."""
    limit(app, ONE.name, rate=10)
    claim(app)
    limit(app, ONE.name, rate=9)  # setting it anew is no way around it either

    assert claim(replace(app)) <= 1


def test_caps_per_connection_are_told_by_provider(app: App) -> None:
    """Whoever opens connections asks."""
    limit(app, "gmail", per_connection=50)
    limit(app, "yahoo", rate=5)

    assert connection_caps(app) == {"gmail": 50}


@pytest.mark.slow
def test_two_workers_together_keep_the_rate(app: App) -> None:
    """Each asks as often as it can; together they get what the rate allows and no mail more, and no less."""
    rate = 200.0
    limit(app, ONE.name, rate=rate)
    taken: list[int] = []
    begun = time.monotonic()

    def work() -> None:
        while time.monotonic() - begun < 1.5:
            taken.append(claim(app, 7))
            time.sleep(0.001)

    _together(work, work, work)
    lasted = time.monotonic() - begun

    assert sum(taken) <= rate * lasted + rate
    assert sum(taken) >= rate * 1.5  # the burst is spent at once, and the rate goes on


def _together(*works: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.slow
def test_mail_goes_to_relays_by_weight(sender: App) -> None:
    """Three in four to the one that says weight=3."""
    chosen = [choose_relay(sender) for _ in range(60)]

    assert {ONE, TWO} == set(chosen)
    assert chosen.count(TWO) > chosen.count(ONE)


def test_one_may_be_left_out_at_once(sender: App) -> None:
    """Fail-over does not wait for a breaker."""
    assert {choose_relay(sender, but_not=[TWO.name]) for _ in range(10)} == {ONE}
    assert choose_relay(sender, but_not=[ONE.name, TWO.name]) is None
    assert choose_relay(replace(sender, relays=())) is None


def test_a_relay_that_fails_five_times_in_a_row_is_left_alone(sender: App) -> None:
    """The other gets all mail; a claim for the broken one gets nothing, of any lane."""
    fail(sender)

    assert {choose_relay(sender) for _ in range(20)} == {TWO}
    assert claim(sender) == 0
    assert claim(sender, pool=Pool.TRANSACTIONAL) == 0
    assert claim(sender, relay=TWO) == 100


def test_a_success_in_between_begins_the_count_anew(sender: App) -> None:
    """Five in a row, not five in a day."""
    fail(sender, 4)
    report_success(sender, ONE)
    fail(sender, 4)

    assert claim(sender) == 100


def test_what_readers_servers_say_opens_nothing(sender: App) -> None:
    """A thousand unknown recipients say nothing of the relay."""
    fail(sender, 10, stage=Stage.RCPT)

    assert claim(sender) == 100


def test_a_rested_relay_is_tried_by_one_worker_with_one_mail(app: App) -> None:
    """Everybody else waits for what becomes of it."""
    alone = replace(app, relays=(ONE,))
    fail(alone)
    age(alone, timedelta(seconds=40))

    assert [choose_relay(alone), choose_relay(alone)] == [ONE, None]
    assert [claim(alone), claim(alone)] == [1, 0]
    report_success(alone, ONE)
    assert choose_relay(alone) == ONE
    assert claim(alone) == 100


def test_a_failed_probe_rests_twice_as_long(app: App) -> None:
    """Thirty seconds, then a minute, each a fifth more or less."""
    alone = replace(app, relays=(ONE,))
    fail(alone)
    age(alone, timedelta(seconds=40))
    choose_relay(alone)
    fail(alone, 1)

    with alone.reading() as tx:
        row = tx.session.get_one(RelayRow, ONE.name)
        assert row.open_until
        rest = row.open_until - database_now(tx.session)
    assert timedelta(seconds=45) < rest < timedelta(seconds=75)
    assert (row.failed_stage, row.failed_words) == ("connect", "Connection refused")


def test_a_probe_that_never_ended_is_tried_by_another_later(app: App) -> None:
    """Its worker was killed; the relay is not lost with it."""
    alone = replace(app, relays=(ONE,))
    fail(alone)
    age(alone, timedelta(seconds=40))
    assert choose_relay(alone) == ONE
    assert claim(alone) == 1
    age(alone, timedelta(minutes=3))

    assert choose_relay(alone) == ONE
    assert claim(alone) == 1


def test_failures_of_all_workers_count_together(app: App) -> None:
    """Two threads fail at the same time; none is lost."""
    _together(lambda: fail(app, 2), lambda: fail(app, 2))

    assert claim(app) == 100
    fail(app, 1)
    assert claim(app) == 0


def test_only_one_of_many_workers_gets_the_probe(app: App) -> None:
    """They ask at the same moment."""
    alone = replace(app, relays=(ONE,))
    fail(alone)
    age(alone, timedelta(seconds=40))
    got: list[Relay | None] = []

    def ask() -> None:
        got.append(choose_relay(alone))

    _together(ask, ask, ask, ask)

    assert sorted(got, key=str) == sorted([ONE, None, None, None], key=str)


def test_a_rehearsal_shortens_the_rest(app: App) -> None:
    """As it shortens every wait."""
    quick = replace(app, settings=app.settings.model_copy(update={"wait_factor": 0.01}))
    fail(quick)

    with quick.reading() as tx:
        open_until = tx.session.scalars(select(RelayRow.open_until)).one()
        assert open_until
        assert open_until - database_now(tx.session) < timedelta(seconds=1)


def test_no_relay_is_had_while_everything_is_stopped(sender: App) -> None:
    """A pause of all sending is looked at before anything is claimed."""
    with sender.transaction() as tx:
        put_stop(tx.session, StopKind.PAUSE, reason="wrong list", by="a test")

    assert choose_relay(sender) is None


def test_words_of_a_failure_are_kept_without_addresses(app: App) -> None:
    """What a relay says may name a reader."""
    report_failure(app, ONE, Stage.MAIL, "421 too much mail from <someone@example.org>")

    with app.transaction() as tx:
        tx.session.execute(update(RelayRow).values(failures=RelayRow.failures))
        assert "example.org" not in str(tx.session.get_one(RelayRow, ONE.name).failed_words)
