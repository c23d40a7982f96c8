"""Workers killed while they send, children and main processes alike, again and again."""

import pytest
from chaos_scenario import HOLD, RESEND_ONCE, Chaos

from newsletter.domain.lists import InDoubtPolicy

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("policy", [HOLD, RESEND_ONCE])
def test_workers_killed_all_through_a_send(chaos: Chaos, policy: InDoubtPolicy):
    deliveries, kills = 2000, 12
    chaos.begin(deliveries, policy=policy, delay_seconds=0.004)
    chaos.kill_all_through(kills)
    chaos.end("kill -9")
