"""The broker emptied, stopped and killed; the database restarted under everybody's hands."""

import time
from datetime import timedelta

import pytest
from chaos_scenario import RESEND_ONCE, Chaos

from newsletter.services.sending import LONGEST_RETRY_SECONDS

pytestmark = pytest.mark.slow


def test_the_broker_loses_every_message_again_and_again(chaos: Chaos):
    chaos.begin(1000, delay_seconds=0.004)
    for share in (0.1, 0.2, 0.3):
        chaos.wait_for(share)
        chaos.valkey.flush()
    for share, seconds in ((0.4, 1), (0.6, 0)):
        chaos.wait_for(share)
        for _ in range(8):
            chaos.ring()  # so that each worker has a doorbell in hand that it has not answered yet
        chaos.valkey.kill()
        time.sleep(seconds)
        chaos.valkey.start()
    account = chaos.end("broker flushed, killed, stopped")

    assert account.deliveries == account.states["accepted"]
    assert 0 == account.doubts
    assert [None, None] == [worker.process.poll() for worker in chaos.processes.workers()]


def test_the_database_restarted_at_once_in_the_middle_of_a_send(chaos: Chaos):
    """Senders keep the answers that they have until they can write them, if need be after their leases have run out."""
    chaos.begin(1000, delay_seconds=0.004)
    for share in (0.1, 0.3, 0.5):
        chaos.wait_for(share)
        chaos.postgres.restart_at_once()
    chaos.wait_for(0.7)
    chaos.postgres.restart_at_once(down_seconds=3)
    chaos.wait_for(1)  # a sweep may come before the senders, which then end the doubt
    account = chaos.end("database restarted at once, once down for longer than a lease")

    assert account.deliveries == account.states["accepted"]
    assert 0 == account.doubts


def test_the_database_restarted_and_workers_killed(chaos: Chaos):
    chaos.begin(1000, policy=RESEND_ONCE, delay_seconds=0.004)
    for share in (0.1, 0.3, 0.5, 0.7):
        chaos.wait_for(share)
        chaos.processes.kill_one(chaos.chance)
        chaos.postgres.restart_at_once()
        chaos.valkey.flush()
    late = timedelta(
        seconds=LONGEST_RETRY_SECONDS
    )  # a real doubt waits five minutes for what a sender could not record
    chaos.end("database restarted, workers killed, broker flushed", late_answers=late)


def test_the_database_restored_from_an_older_state_in_the_middle_of_a_send(chaos: Chaos):
    """It says of those mailed since that they were not: all sending stops; once somebody has looked they are held."""
    chaos.begin(600, delay_seconds=0.02)
    chaos.wait_for(0.3)
    chaos.postgres.keep_a_copy()
    chaos.wait_for_a_step()  # they are two seconds apart at most, and a state is older by a step or not known to be
    chaos.wait_for(0.8)
    chaos.postgres.restore_the_copy()
    chaos.wait_until_a_restore_is_noticed()
    unsent = sum(row.state != "accepted" for row in chaos.ledger.deliveries())
    chaos.processes.run("db", "acknowledge-restore", "--yes")
    account = chaos.end("database restored from an older state", other_doubts=unsent)

    assert account.deliveries == account.states["accepted"] + account.states["in_doubt"]
    assert account.states["accepted"] < 0.8 * account.deliveries <= account.accepted_in_truth
