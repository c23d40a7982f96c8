"""Workers killed while they send, children and main processes alike, again and again."""

import shutil

import pytest
from chaos_processes import QUEUES
from chaos_scenario import HOLD, RESEND_ONCE, Chaos

from newsletter.domain.deliveries import MICRO_BATCH, Pool
from newsletter.domain.lists import InDoubtPolicy

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("policy", [HOLD, RESEND_ONCE])
def test_workers_killed_all_through_a_send(chaos: Chaos, policy: InDoubtPolicy):
    deliveries, kills = 2000, 12
    chaos.begin(deliveries, policy=policy, delay_seconds=0.004)
    chaos.kill_all_through(kills)
    chaos.end("kill -9")


def test_without_journals_a_kill_leaves_a_micro_batch_in_doubt_at_most(chaos: Chaos):
    """As where a whole machine is lost, or its disk is full: leases run out, and what was written ahead is unknown."""
    journals = chaos.app.settings.home / "journals"
    chaos.processes.stop()
    shutil.rmtree(journals, ignore_errors=True)  # not there yet, if this scenario is the first
    journals.touch()  # in whose place no folder can be made
    chaos.begin(1000, delay_seconds=0.004)
    for _ in range(2):
        chaos.processes.start_worker(*QUEUES)
    chaos.processes.start_beat()
    chaos.kill_all_through(6)
    account = chaos.end("kill -9, without journals", doubts_a_kill=MICRO_BATCH[Pool.BULK])
    chaos.processes.stop()
    journals.unlink()

    assert account.doubts
    assert account.deliveries == account.states["accepted"] + account.states["in_doubt"]
