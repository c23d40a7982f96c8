"""One scenario: an edition, processes that send it, a relay; and the reconciliation that every scenario ends in."""

import itertools
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import psycopg
from chaos_ledger import POLL_SECONDS, Account, Ledger
from chaos_orders import Act, Orders, Stage, behave
from chaos_processes import Processes
from chaos_relay import ChaosRelay
from chaos_servers import Postgres, Valkey

from newsletter.dispatch import CeleryDispatcher, Doorbell, Ring, make_celery
from newsletter.domain.deliveries import HOLD_AFTER
from newsletter.domain.editions import EditionState
from newsletter.domain.lists import InDoubtPolicy
from newsletter.services.context import App
from newsletter.services.editions import edition_progress, finish_editions
from newsletter.storage.editions import list_editions

HOLD = InDoubtPolicy.HOLD
RESEND_ONCE = InDoubtPolicy.RESEND_ONCE
SETTLE_SECONDS = 300
"""What a machine that is ten times slower than most needs at scale 1, with some to spare."""
CONNECTIONS = 4
"""Of each sender to the relay, as the relay's address asks."""
KILLS_END_AT = 0.85
"""The last worker is killed when this share of the mail is out, so that what was in doubt is resent in peace."""


@dataclass
class Chaos:
    """What a scenario works with; *scale* makes it longer than in the ordinary test run."""

    app: App
    ledger: Ledger
    relay: ChaosRelay
    processes: Processes
    postgres: Postgres
    valkey: Valkey
    chance: random.Random
    scale: float
    row: list[str] = field(default_factory=list)
    """Its line of the table that the run prints; empty until it has ended."""
    is_under_way: bool = False

    def begin(
        self, deliveries: int, orders: Orders = behave, *, policy: InDoubtPolicy = HOLD, delay_seconds: float = 0.0
    ) -> None:
        """Queue so many deliveries, times the scale; from now on the relay obeys *orders*."""
        self.policy = policy
        self.is_under_way = True
        self.relay.begin(orders, delay_seconds=delay_seconds)
        self.deliveries = round(deliveries * self.scale)
        self.ledger.reset(self.deliveries, policy)
        self.started_at = time.monotonic()
        self.kills_before = self.processes.kills

    def ring(self) -> None:
        """Ring for what is queued, once."""
        CeleryDispatcher(make_celery(self.app.settings.broker_url)).ring(Ring(Doorbell.SEND_BULK))

    def kill_all_through(self, kills: int) -> None:
        """Kill a worker each time a share of the deliveries has been accepted, times the scale."""
        count = round(kills * self.scale)
        for number in range(1, count + 1):
            self.wait_for(KILLS_END_AT * number / count)
            self.processes.kill_one(self.chance)

    def wait_for(self, share: float) -> None:
        """Wait until this share of the deliveries is accepted."""
        self.ledger.wait_for(round(self.deliveries * share), seconds=SETTLE_SECONDS)

    def wait_until_the_relay_is_left_alone(self) -> None:
        """Wait until its breaker has opened."""
        self._wait_for_row("select 1 from relay where open_until > clock_timestamp()")

    def wait_for_a_step(self) -> None:
        """Wait until a sender or a tick has gone one step further in the database than it is now."""
        with psycopg.connect(self.ledger.url) as connection:
            [(steps,)] = connection.execute("select steps from lineage").fetchall()
        self._wait_for_row(f"select 1 from lineage where steps > {steps}")

    def wait_until_a_restore_is_noticed(self) -> None:
        """Wait until the guard has stopped all sending."""
        self._wait_for_row("select 1 from stop where kind = 'restore'")

    def wait_until_leases_have_lapsed(self) -> None:
        """Wait until a sweep has taken everything from those who had it in hand."""
        self._wait_for_row("select 1 where not exists (select from delivery where state in ('leased', 'sending'))")

    def _wait_for_row(self, query: str) -> None:
        deadline = time.monotonic() + SETTLE_SECONDS
        with psycopg.connect(self.ledger.url, autocommit=True) as connection:
            while not connection.execute(query).fetchone():
                assert time.monotonic() < deadline
                time.sleep(POLL_SECONDS)

    def end(
        self,
        scenario: str,
        *,
        doubts_a_kill: int = CONNECTIONS,
        other_doubts: int = 0,
        late_answers: timedelta = timedelta(),
    ) -> Account:
        """Wait until all is settled, reconcile, and hold the outcome against what is promised of every scenario.

        *doubts_a_kill*: the most that a killed sender may leave in doubt; with its journal one mail a connection.
        *other_doubts*: what else may be in doubt. *late_answers*: see `Ledger.wait_until_settled`.
        """
        seconds = SETTLE_SECONDS * max(1, self.scale)
        self.ledger.wait_until_settled(self.policy, seconds=seconds, late_answers=late_answers)
        seconds = time.monotonic() - self.started_at
        account = self.ledger.reconcile(self.relay.taken)
        kills = self.processes.kills - self.kills_before
        self.row += _row(scenario, self.policy, kills, account, seconds)
        silent = itertools.product((Stage.BODY, Stage.DOT), (Act.DROP, Act.RESET, Act.HANG))
        unanswered = sum(self.relay.acts[moment] for moment in silent)  # in a body too: its dot may have left before

        assert 0 == account.lost
        assert 0 == account.denied
        assert account.doubts <= kills * doubts_a_kill + unanswered + other_doubts
        if self.policy is HOLD:
            assert 0 == account.repeats
            assert 0 == account.resends
        assert account.repeats <= account.resends
        self._check_that_the_edition_ends(account)
        self.is_under_way = False
        return account

    def _check_that_the_edition_ends(self, account: Account) -> None:
        """A day later, when no more evidence is waited for, the edition is done and its accounts balance.

        In the hour before a slot a worker whose clock is ahead opens the next one, which is not ours.
        """
        with psycopg.connect(self.ledger.url) as connection:
            connection.execute("update delivery set state_at = state_at - %s", [HOLD_AFTER])
            [(ours,)] = connection.execute("select distinct edition_id from chaos_delivery").fetchall()
        finish_editions(self.app)
        with self.app.reading() as tx:
            [progress] = [edition_progress(tx, each) for each in list_editions(tx.session) if each.id == ours]
        assert EditionState.DONE is progress.state
        assert progress.adds_up
        assert account.states == {state.value: count for state, count in progress.deliveries.items()}


HEAD = (
    *("scenario", "in doubt", "deliveries", "kills", "accepted", "failed", "left in doubt", "sent again"),
    *("accepted in truth", "twice", "lost", "seconds"),
)


def _row(scenario: str, policy: InDoubtPolicy, kills: int, account: Account, seconds: float) -> list[str]:
    states = account.states
    told = (account.deliveries, kills, states["accepted"], states["failed"], states["in_doubt"], account.resends)
    in_truth = (account.accepted_in_truth, account.repeats, account.lost)
    return [scenario, policy.value, *map(str, told), *map(str, in_truth), f"{seconds:.1f}"]


def table(rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    rule = ("---",) * 2 + ("--:",) * (len(HEAD) - 2)
    return [f"| {' | '.join(cells)} |" for cells in (HEAD, rule, *rows)]
