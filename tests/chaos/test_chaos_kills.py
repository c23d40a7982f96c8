"""Workers killed while they send, children and main processes alike, again and again."""

import shutil
from collections.abc import Iterator

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


@pytest.fixture
def no_journals(chaos: Chaos) -> Iterator[None]:
    """The place of journals is taken by something in which no folder can be made."""
    journals = chaos.app.settings.home / "journals"
    shutil.rmtree(journals, ignore_errors=True)  # not there yet, if this scenario is the first
    journals.touch()
    yield
    chaos.processes.end()  # before others may write theirs
    journals.unlink()


@pytest.mark.usefixtures("own_workers", "no_journals")
def test_without_journals_a_kill_leaves_a_micro_batch_in_doubt_at_most(chaos: Chaos):
    """As where a whole machine is lost, or its disk is full: leases run out, and what was written ahead is unknown."""
    chaos.begin(2000, delay_seconds=0.004)
    for _ in range(2):
        chaos.processes.start_worker(*QUEUES)
    chaos.processes.start_beat()
    chaos.kill_all_through(3)  # with two processes each, so that enough is accepted for the next to come
    account = chaos.end("kill -9, without journals", doubts_a_kill=MICRO_BATCH[Pool.BULK])

    assert account.doubts
    assert account.deliveries == account.states["accepted"] + account.states["in_doubt"]
