"""Sending over several connections and relays: a window that rolls, hangs that delay nobody, fail-over, stops."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from newsroom import Newsroom
from smtp_server import Act, ScriptedRelay, Turn
from sqlalchemy import func, select

from newsletter.dispatch import Doorbell, RecordingDispatcher, Ring
from newsletter.domain.deliveries import MICRO_BATCH, DeliveryState, Pool
from newsletter.services import sending
from newsletter.services.sending import Slice, send_slice
from newsletter.storage import ledger
from newsletter.storage.deliveries import DeliveryRow

S = DeliveryState
NAMES = tuple(f"reader{number}" for number in range(20))


@pytest.fixture
def edition_id(newsroom: Newsroom) -> int:
    """An edition of one story to twenty readers."""
    newsroom.publish("A story")
    newsroom.subscribe(*NAMES)
    return newsroom.fan_out()


def states(newsroom: Newsroom, edition_id: int) -> Counter[DeliveryState]:
    return Counter(newsroom.states(edition_id).values())


def took(*relays: ScriptedRelay) -> Counter[str]:
    return Counter(each.rcpt_to.strip("<").partition("@")[0] for relay in relays for each in relay.accepted)


def wait_until(condition: object) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@contextmanager
def sending_beside(newsroom: Newsroom, stop: threading.Event | None = None) -> Iterator[list[Slice]]:
    """Send on another thread while the block lasts, and see it through."""
    done: list[Slice] = []
    should_stop = (stop or threading.Event()).is_set
    thread = threading.Thread(target=lambda: done.append(send_slice(newsroom.app, Pool.BULK, should_stop=should_stop)))
    thread.start()
    try:
        yield done
    finally:
        thread.join(60)
        assert not thread.is_alive()


@pytest.mark.usefixtures("edition_id")
def test_no_more_than_a_window_is_written_ahead_and_it_rolls(newsroom, monkeypatch):
    monkeypatch.setitem(MICRO_BATCH, Pool.BULK, 6)
    ahead, turns = [], []

    def look(turn: Turn) -> None:
        if turn.verb == "DOT":
            with newsroom.app.reading() as tx:
                query = select(func.count()).where(DeliveryRow.state == S.SENDING)
                ahead.append(tx.session.execute(query).scalar_one())

    real = ledger.take_turn

    def take_turn(session: object, **turn: object) -> dict[int, int]:
        turns.append((len(turn["told"]), len(turn["next_ids"])))
        return real(session, **turn)

    monkeypatch.setattr(ledger, "take_turn", take_turn)
    with ScriptedRelay(look).running() as relay:
        newsroom.use_relay(f"{relay.url()}&connections=3")
        assert Slice(accepted=20) == newsroom.send()

    assert max(ahead) <= 6
    assert dict.fromkeys(NAMES, 1) == took(relay)
    both_at_once = [(told, ahead_count) for told, ahead_count in turns if told and ahead_count]
    assert len(both_at_once) >= 2
    assert len(turns) <= 2 + 20 / 3


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["MAIL", "DOT"])
def test_a_connection_that_hangs_delays_no_other_mail_and_no_record(newsroom, edition_id, monkeypatch, verb):
    monkeypatch.setitem(MICRO_BATCH, Pool.BULK, 4)
    monkeypatch.setattr(sending, "SLICE_SECONDS", 0.2)  # the slice goes on for as long as somebody hangs
    monkeypatch.setattr(sending, "HANGS_AFTER_SECONDS", 0.1)
    released = threading.Event()

    def hang(turn: Turn) -> None:
        if (turn.verb, turn.mail) == (verb, 2):
            released.wait(10)
        elif turn.verb == "DOT":
            time.sleep(0.02)

    with ScriptedRelay(hang).running() as relay:
        newsroom.use_relay(f"{relay.url()}&connections=2")
        with sending_beside(newsroom):
            wait_until(lambda: states(newsroom, edition_id)[S.ACCEPTED] >= 18)
            assert not released.is_set()
            released.set()

    assert {S.ACCEPTED: 20} == states(newsroom, edition_id)
    assert dict.fromkeys(NAMES, 1) == took(relay)


@pytest.mark.parametrize(
    ("verb", "answer"), [("GREETING", "554 5.7.1 no"), ("MAIL", "451 4.3.0 full"), ("EHLO", Act.DROP)]
)
def test_another_relay_is_turned_to_at_once(newsroom, edition_id, verb, answer):
    with ExitStack() as stack:
        broken = stack.enter_context(ScriptedRelay(lambda turn: answer if turn.verb == verb else None).running())
        sound = stack.enter_context(ScriptedRelay().running())
        newsroom.use_relay(f"{broken.url()}&weight=1000 {sound.url()}")
        newsroom.send()

        assert {S.ACCEPTED: 20} == states(newsroom, edition_id)
        assert dict.fromkeys(NAMES, 1) == took(broken, sound)
        assert {0} == {row.tries for row in newsroom.deliveries(edition_id).values()}


@pytest.mark.slow
def test_a_relay_that_dies_under_way_leaves_the_rest_to_another(newsroom, edition_id):
    with ExitStack() as stack:
        dying = stack.enter_context(
            ScriptedRelay(
                lambda turn: "421 4.3.2 shutting down" if turn.mail > 5 or turn.connection > 3 else None
            ).running()
        )
        sound = stack.enter_context(ScriptedRelay().running())
        newsroom.use_relay(f"{dying.url()}&weight=1000&connections=1 {sound.url()}")
        newsroom.send()

        assert {S.ACCEPTED: 20} == states(newsroom, edition_id)
        assert dict.fromkeys(NAMES, 1) == took(dying, sound)


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["GREETING", "MAIL", "DATA"])
def test_a_stop_does_not_wait_for_a_relay_that_hangs_before_a_dot(newsroom, edition_id, dispatcher, verb):
    """And whoever comes next finds all of it in the queue."""
    stop, hanging = threading.Event(), threading.Event()

    def script(turn: Turn) -> Act | None:
        if turn.verb == verb and not stop.is_set():
            hanging.set()
            return Act.HANG
        return None

    with ScriptedRelay(script).running() as relay:
        newsroom.use_relay(relay.url())
        dispatcher.rings.clear()
        with sending_beside(newsroom, stop) as done:
            assert hanging.wait(5)
            begun = time.monotonic()
            stop.set()
        assert time.monotonic() - begun < 2
        assert 0 == done[0].accepted
        assert {S.QUEUED: 20} == states(newsroom, edition_id)
        assert [Ring(Doorbell.SEND_BULK)] == dispatcher.rings
        assert Slice(accepted=20) == newsroom.send()

    assert dict.fromkeys(NAMES, 1) == took(relay)


@pytest.mark.slow
def test_a_stop_waits_for_the_answer_to_a_dot(newsroom, edition_id):
    stop, released = threading.Event(), threading.Event()

    def script(turn: Turn) -> None:
        if turn.verb == "DOT":
            stop.set()
            released.wait(5)

    with ScriptedRelay(script).running() as relay:
        newsroom.use_relay(f"{relay.url()}&connections=1")
        with sending_beside(newsroom, stop) as done:
            assert stop.wait(5)
            time.sleep(0.2)
            released.set()

    assert {S.ACCEPTED: 1, S.QUEUED: 19} == states(newsroom, edition_id)
    assert 1 == done[0].accepted


@pytest.mark.slow
def test_a_rate_is_kept_and_its_wait_ends_with_a_stop(newsroom, edition_id):
    stop = threading.Event()
    with ScriptedRelay().running() as relay:
        newsroom.use_relay(f"{relay.url()}&rate=8")
        with sending_beside(newsroom, stop):
            begun = time.monotonic()
            wait_until(lambda: len(relay.accepted) >= 12)
            spent = time.monotonic() - begun
            stop.set()
            stopped = time.monotonic()
        assert time.monotonic() - stopped < 1

    assert spent > 0.3  # eight at once, then one each eighth of a second
    assert S.LEASED not in newsroom.states(edition_id).values()


@pytest.mark.usefixtures("edition_id")
def test_a_claim_that_finds_nothing_rings_for_nobody(newsroom, dispatcher):
    with ScriptedRelay().running() as relay:
        newsroom.use_relay(relay.url())
        dispatcher.rings.clear()
        newsroom.send()

    assert isinstance(dispatcher, RecordingDispatcher)
    assert [] == dispatcher.rings


@pytest.mark.slow
def test_a_stop_gives_back_at_once_what_is_not_begun_though_a_reply_is_awaited(newsroom, edition_id, monkeypatch):
    """So that another worker goes on with it."""
    monkeypatch.setitem(MICRO_BATCH, Pool.BULK, 4)
    stop, released = threading.Event(), threading.Event()

    def hang(turn: Turn) -> None:
        if turn.verb == "DOT":
            released.wait(20)

    with ScriptedRelay(hang).running() as relay:
        newsroom.use_relay(f"{relay.url()}&connections=1&timeout=30")
        with sending_beside(newsroom, stop) as done:
            wait_until(lambda: states(newsroom, edition_id)[S.LEASED] and relay.lines.count("DATA"))
            stop.set()
            wait_until(lambda: not states(newsroom, edition_id)[S.LEASED])
            assert not done
            released.set()


@pytest.mark.slow
@pytest.mark.usefixtures("edition_id")
def test_another_relay_has_time_of_its_own_where_the_first_used_it_up(newsroom, monkeypatch):
    monkeypatch.setattr(sending, "SLICE_SECONDS", 0.5)
    monkeypatch.setattr("newsletter.services.admission.random.choices", lambda relays, _weights: [relays[0]])
    hanging = ScriptedRelay(lambda turn: Act.HANG if turn.verb == "GREETING" else None)
    with hanging.running(), ScriptedRelay().running() as good:
        newsroom.use_relay(f"{hanging.url()}&timeout=1 {good.url()}")
        assert Slice(accepted=20) == newsroom.send()


@pytest.mark.slow
def test_what_is_leased_while_a_relay_hangs_is_given_back_before_its_lease_runs_out(newsroom, edition_id, monkeypatch):
    """It would lapse here, and count as a death; another sender may have it, or this one claims it anew."""
    monkeypatch.setitem(MICRO_BATCH, Pool.BULK, 2)
    monkeypatch.setattr(sending, "START_WINDOW", timedelta(hours=1))  # nothing that is written ahead makes room
    newsroom.app = replace(newsroom.app, settings=newsroom.app.settings.model_copy(update={"wait_factor": 1 / 60}))
    released = threading.Event()

    def hang(turn: Turn) -> None:
        if turn.verb == "DOT":
            released.wait(20)

    def leases() -> dict[int, str | None]:
        rows = newsroom.deliveries(edition_id).values()
        return {row.id: row.lease_token for row in rows if row.state == S.LEASED}

    with ScriptedRelay(hang).running() as relay:
        newsroom.use_relay(f"{relay.url()}&connections=1&timeout=30")
        with sending_beside(newsroom):
            wait_until(lambda: relay.lines.count("DATA") and len(leases()) == 2)
            before = leases()
            wait_until(lambda: not before.items() & leases().items())
            rows = newsroom.deliveries(edition_id).values()
            released.set()

    assert {0} == {row.lapses for row in rows}
    assert dict.fromkeys(NAMES, 1) == took(relay)
