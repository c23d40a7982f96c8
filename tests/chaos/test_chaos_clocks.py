"""Clocks that are wrong, and ticks that are too many or missing."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from chaos_processes import QUEUES
from chaos_scenario import CONNECTIONS, RESEND_ONCE, Chaos

from newsletter.dispatch import Queue
from newsletter.services.sending import LONGEST_RETRY_SECONDS

pytestmark = pytest.mark.slow

HOUR = timedelta(hours=1)
FOLDER = Path(__file__).parent / "wrong_clock"


def wrong_by(span: timedelta) -> dict[str, str]:
    """Return the environment of a process whose clock is wrong."""
    return {"PYTHONPATH": str(FOLDER), "CHAOS_CLOCK_SECONDS": str(span.total_seconds())}


@pytest.mark.usefixtures("own_workers")
def test_no_worker_s_clock_decides_anything(chaos: Chaos):
    """One that sweeps is an hour ahead, one that sends an hour behind; leases, retries and ticks go on as ever."""
    chaos.begin(400, policy=RESEND_ONCE, delay_seconds=0.004)
    chaos.processes.start_worker(Queue.TICK, **wrong_by(HOUR))
    chaos.processes.start_worker(Queue.BULK, **wrong_by(-HOUR))
    chaos.processes.start_beat()
    chaos.kill_all_through(4)
    account = chaos.end("workers' clocks wrong by an hour")

    assert account.deliveries == account.accepted_in_truth
    assert {1, -1} <= hours_told(chaos.processes.log)


def hours_told(log: Path) -> set[int]:
    """Return by how many hours the lines of a log are off."""
    found = re.findall(r'"timestamp": "([^"]+)"', log.read_text())
    return {round((datetime.fromisoformat(told) - datetime.now(UTC)) / HOUR) for told in found}


@pytest.mark.usefixtures("longer_run", "own_workers")
def test_a_sender_that_stood_still_for_longer_than_its_lease_tells_what_it_knows(chaos: Chaos):
    """Its mails were given up meanwhile; awake again it hears their answers, and begins none that it had not begun."""
    chaos.begin(250, delay_seconds=0.02)
    chaos.processes.start_worker(Queue.TICK)
    sender = chaos.processes.start_worker(Queue.BULK)
    chaos.processes.start_beat()
    chaos.wait_for(0.3)
    most_in_doubt = CONNECTIONS * len(sender.children())  # who is stopped while it looks may find an answer too late
    with chaos.processes.frozen(sender):
        chaos.wait_until_leases_have_lapsed()
        given_up = [row for row in chaos.ledger.deliveries() if row.state == "in_doubt"]
    late = timedelta(seconds=LONGEST_RETRY_SECONDS)
    account = chaos.end("senders frozen for longer than a lease", other_doubts=most_in_doubt, late_answers=late)

    assert len(given_up) > most_in_doubt
    assert account.deliveries == account.states["accepted"] + account.states["in_doubt"]


def test_two_beats_are_no_worse_than_one(chaos: Chaos):
    second = chaos.processes.start_beat()
    chaos.begin(400, delay_seconds=0.004)
    chaos.kill_all_through(2)
    chaos.end("two beats")
    chaos.processes.stop(second)


@pytest.mark.usefixtures("own_workers")
def test_without_a_beat_a_send_goes_on_until_its_doorbell_is_lost(chaos: Chaos):
    """One doorbell is enough for all that is due; a killed sender takes it along, and the next tick finds the rest."""
    chaos.valkey.flush()
    chaos.begin(400, delay_seconds=0.05)
    for _ in range(2):
        chaos.processes.start_worker(*QUEUES)
    chaos.ring()
    chaos.wait_for(0.3)
    chaos.processes.kill_children()
    chaos.valkey.flush()
    unsent = [row for row in chaos.ledger.deliveries() if row.state == "queued"]
    chaos.processes.start_beat()
    account = chaos.end("no beat, then one again")

    assert unsent
    assert account.deliveries == account.states["accepted"] + account.states["in_doubt"]
