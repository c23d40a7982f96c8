"""Doorbells: rung after commit, heard once, and harmless when they are lost."""

import base64
import json
import sys
import threading
import time

import pytest
import redis
import servers
from kombu.asynchronous import Hub
from structlog.testing import capture_logs

from newsletter.dispatch import (
    QUEUE_OF,
    TICK_SECONDS,
    CeleryDispatcher,
    Doorbell,
    InProcessDispatcher,
    RecordingDispatcher,
    Ring,
    make_celery,
)
from newsletter.services.context import App

TICK, COMPILE, SEND = Ring(Doorbell.TICK), Ring(Doorbell.COMPILE_EDITION, 7), Ring(Doorbell.SEND_BULK)


def heard_by(dispatcher: InProcessDispatcher) -> list[Ring]:
    """Let *dispatcher* note what is answered."""
    heard: list[Ring] = []
    dispatcher.handlers = {
        doorbell: lambda subject, doorbell=doorbell: heard.append(Ring(doorbell, subject)) for doorbell in Doorbell
    }
    return heard


def test_doorbells_are_answered_in_order_and_each_once():
    dispatcher = InProcessDispatcher()
    heard = heard_by(dispatcher)
    for ring in (COMPILE, TICK, COMPILE, Ring(Doorbell.COMPILE_EDITION, 8), TICK):
        dispatcher.ring(ring)

    assert [] == heard
    assert 3 == dispatcher.drain()
    assert [COMPILE, TICK, Ring(Doorbell.COMPILE_EDITION, 8)] == heard
    assert 0 == dispatcher.drain()


def test_what_an_answer_rings_is_answered_too():
    dispatcher = InProcessDispatcher()
    heard = heard_by(dispatcher)
    handlers = dict(dispatcher.handlers)
    dispatcher.handlers = handlers | {Doorbell.TICK: lambda _: dispatcher.ring(COMPILE)}
    dispatcher.ring(TICK)

    assert 2 == dispatcher.drain()
    assert [COMPILE] == heard


def test_a_doorbell_rung_while_it_is_answered_is_answered_again():
    """Else what was committed in between would wait for the tick."""
    dispatcher = InProcessDispatcher()
    answers = []

    def answer(_: int | None) -> None:
        answers.append(1)
        if len(answers) < 3:
            dispatcher.ring(SEND)

    dispatcher.handlers = {Doorbell.SEND_BULK: answer}
    dispatcher.ring(SEND)

    assert 3 == dispatcher.drain()


def test_an_answer_that_fails_is_logged_and_stops_no_other():
    dispatcher = InProcessDispatcher()
    heard = heard_by(dispatcher)

    def fail(_: int | None) -> None:
        raise RuntimeError("a template is wrong")

    dispatcher.handlers = {**dispatcher.handlers, Doorbell.COMPILE_EDITION: fail}
    for ring in (COMPILE, TICK):
        dispatcher.ring(ring)
    with capture_logs() as logs:
        dispatcher.drain()

    assert [TICK] == heard
    assert [("task_failed", "nl.compile_edition", 7)] == [
        (each["event"], each["task"], each["subject"]) for each in logs
    ]


@pytest.fixture
def hasty_threads():
    """Let threads take turns many times as often as usual."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(usual / 500)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("hasty_threads")
def test_threads_ring_while_others_answer():
    dispatcher = InProcessDispatcher()
    heard = heard_by(dispatcher)
    expected = {Ring(Doorbell.COMPILE_EDITION, number) for number in range(3000)}
    ringing = threading.Thread(target=lambda: [dispatcher.ring(ring) for ring in expected])
    failures: list[BaseException] = []

    def answer() -> None:
        try:
            while ringing.is_alive() or dispatcher.answer_next():
                dispatcher.drain()
        except BaseException as error:  # noqa: BLE001  told to the test below
            failures.append(error)

    answering = [threading.Thread(target=answer) for _ in range(2)]
    for thread in (ringing, *answering):
        thread.start()
    for thread in (ringing, *answering):
        thread.join()

    assert [] == failures
    assert (3000, expected) == (len(heard), set(heard))


def test_a_transaction_rings_after_its_commit_and_each_doorbell_once(app: App, dispatcher: RecordingDispatcher):
    with app.transaction() as tx:
        for _ in range(2):
            tx.ring(Doorbell.COMPILE_EDITION, 7)
        tx.ring(Doorbell.TICK)
        assert [] == dispatcher.rings

    assert [COMPILE, TICK] == dispatcher.rings


def test_a_transaction_that_is_rolled_back_rings_nothing(app: App, dispatcher: RecordingDispatcher):
    def fail() -> None:
        with app.transaction() as tx:
            tx.ring(Doorbell.TICK)
            raise RuntimeError("power")

    with pytest.raises(RuntimeError, match="power"):
        fail()

    assert [] == dispatcher.rings


@pytest.mark.parametrize("ring", [TICK, COMPILE, SEND])
def test_a_message_names_its_task_and_at_most_an_id(broker_url: str, ring: Ring):
    celery = make_celery(broker_url)
    CeleryDispatcher(celery).ring(ring)
    celery.close()
    with redis.Redis.from_url(broker_url) as client:
        [message] = client.lrange(f"nl:{QUEUE_OF[ring.doorbell].value}", 0, -1)
    told = json.loads(message)

    assert ring.doorbell.value == told["headers"]["task"]
    assert [[ring.subject] if ring.subject else [], {}] == json.loads(base64.b64decode(told["body"]))[:2]
    assert told["headers"]["eta"] is None


def test_a_broker_that_is_gone_costs_a_doorbell_and_no_data():
    """The data has been committed; the tick finds the work."""
    celery = make_celery("redis://127.0.0.1:1/0")
    begun = time.monotonic()
    with capture_logs() as logs:
        CeleryDispatcher(celery).ring(COMPILE)

    assert time.monotonic() - begun < 5
    assert [("doorbell_lost", 7)] == [(each["event"], each["subject"]) for each in logs]
    celery.close()


@pytest.mark.slow
def test_a_worker_with_a_doorbell_in_hand_outlives_its_broker():
    """It closes a connection that is dead, and Celery ends a worker in which that fails."""
    heard: list[object] = []
    with servers.running_valkey() as url:
        celery = make_celery(url)
        CeleryDispatcher(celery).ring(TICK)
        connection = celery.connection_for_read()
        channel = connection.default_channel
        queues = [celery.amqp.queues.select_add("tick")]
        consumer = celery.amqp.TaskConsumer(channel, queues=queues, on_message=heard.append)
        consumer.qos(prefetch_count=2)  # so that it waits for another while it holds the first
        consumer.consume()
        hub = Hub()
        connection.transport.register_with_event_loop(connection.connection, hub)
        loop = hub.create_loop()
        while not heard:
            next(loop)
        for wait_for_another in list(hub.on_tick):
            wait_for_another()
    with pytest.raises(redis.ConnectionError):
        channel.close()  # Celery hears this once, as the loss of its broker
    channel.close()

    assert channel.closed
    connection.close()
    hub.close()
    celery.close()


def test_nothing_depends_on_a_message():
    """No results, no late acknowledgement, no retry: see docs/decisions."""
    conf = make_celery("redis://127.0.0.1:1/0").conf

    assert (True, None, False, 1) == (
        conf.task_ignore_result,
        conf.result_backend,
        conf.task_acks_late,
        conf.worker_prefetch_multiplier,
    )
    assert ("json", ["json"]) == (conf.task_serializer, conf.accept_content)
    [tick] = conf.beat_schedule.values()
    assert (Doorbell.TICK, TICK_SECONDS) == (tick["task"], tick["schedule"])
    assert "expires" not in tick["options"]
