"""The ledger held against what the relay accepted in truth."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import psycopg
from chaos_orders import number_of
from chaos_relay import Taken
from psycopg.rows import class_row

from newsletter.domain.lists import InDoubtPolicy
from newsletter.storage.recovery import EVIDENCE_WAIT

POLL_SECONDS = 0.1
RESTART_SECONDS = 60
SETTLED = frozenset({"accepted", "in_doubt", "failed", "suppressed", "cancelled", "expired"})
UNSENT = frozenset({"in_doubt", "failed", "suppressed", "cancelled", "expired"})
"""States of which the ledger does not say that the reader was mailed."""

SNAPSHOT = """
create table chaos_delivery as table delivery;
"""
RESET = """
delete from delivery_attempt;
delete from delivery;
update chaos_delivery set id = id + (select max(id) - min(id) + 1 from chaos_delivery);
insert into delivery
    select * from chaos_delivery order by id limit %(deliveries)s;
update delivery set available_at = clock_timestamp(), state_at = clock_timestamp(), mail_at = clock_timestamp();
update edition set state = 'sending', done_at = null, counts = null, candidate_count =
    (select count(*) from delivery) + (select count(*) from edition_exclusion)
    where id in (select edition_id from chaos_delivery);
update list set in_doubt_policy = %(policy)s, paused_at = null, paused_by = null, pause_reason = null;
delete from stop;
"""
"""Each time under new ids: what a sender of the scenario before may still tell is of no delivery of this one."""
HASTEN = """
update delivery set available_at = clock_timestamp() where state = 'queued' and available_at > clock_timestamp()
    and not exists (select from delivery where state in ('leased', 'sending'));
update delivery set state_at = state_at - %(evidence_wait)s
    where state = 'in_doubt' and state_at <= clock_timestamp() - %(late_answers)s
    and not exists (select from delivery where state in ('queued', 'leased', 'sending'));
"""
"""What time would bring, once nobody has anything in hand: mail that was put off is due, doubts have waited."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a scenario needs to know of one delivery."""

    address: str
    state: str
    mail_token: str
    attempts: int
    tries: int
    resends: int

    @property
    def recipient_number(self) -> int:
        """The number in the recipient's address."""
        return number_of(self.address)


@dataclass(frozen=True, slots=True)
class Account:
    """What became of a scenario's deliveries.

    *repeats*: mails beyond a recipient's first; *lost*: recipients never mailed of whom the ledger does not say so;
    *denied*: recipients mailed though the ledger says that they were not; *doubts*: doubts that were ever on record.
    """

    states: Counter[str]
    attempts: int
    tries: int
    resends: int
    accepted_in_truth: int
    repeats: int
    lost: int
    denied: int

    @property
    def deliveries(self) -> int:
        return self.states.total()

    @property
    def doubts(self) -> int:
        return self.states["in_doubt"] + self.resends


class Ledger:
    """The deliveries of the one edition there is."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._execute(SNAPSHOT)

    def reset(self, deliveries: int, policy: InDoubtPolicy) -> None:
        """Queue so many deliveries as if nothing had ever been sent, under *policy* for doubts."""
        self._execute(RESET, {"deliveries": deliveries, "policy": policy.value})

    def _execute(self, statements: str, parameters: dict[str, object] | None = None) -> None:
        with psycopg.connect(self.url, cursor_factory=psycopg.ClientCursor) as connection:
            connection.execute(statements, parameters)

    def wait_for(self, accepted: int, *, seconds: float) -> None:
        """Wait until so many deliveries are accepted."""
        self._wait(lambda rows: sum(row.state == "accepted" for row in rows) >= accepted, seconds)

    def wait_until_settled(self, policy: InDoubtPolicy, *, seconds: float, late_answers: timedelta) -> None:
        """Wait until no delivery will move any more; what waits for nothing but time waits no longer.

        *late_answers*: for so long a sender that lives may still have an answer that it could not record.
        """
        resends = policy is InDoubtPolicy.RESEND_ONCE

        def is_settled(rows: Sequence[Delivery]) -> bool:
            with suppress(psycopg.OperationalError):  # it is being restarted
                self._execute(HASTEN, {"evidence_wait": EVIDENCE_WAIT, "late_answers": late_answers})
            return all(
                row.state in SETTLED and not (resends and row.state == "in_doubt" and not row.resends) for row in rows
            )

        self._wait(is_settled, seconds)

    def _wait(self, condition: Callable[[Sequence[Delivery]], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition(rows := self.deliveries()):
            states = Counter(row.state for row in rows)
            assert time.monotonic() < deadline, f"not there after {seconds} s: {dict(states)}"
            time.sleep(POLL_SECONDS)

    def deliveries(self) -> list[Delivery]:
        """Return all deliveries, waiting for the database if it is being restarted."""
        query = "select address, state, mail_token, attempts, tries, resends from delivery order by id"
        deadline = time.monotonic() + RESTART_SECONDS
        while time.monotonic() < deadline:
            try:
                with psycopg.connect(self.url) as connection:
                    return connection.cursor(row_factory=class_row(Delivery)).execute(query).fetchall()
            except psycopg.OperationalError:
                time.sleep(POLL_SECONDS)
        raise AssertionError("the database did not come back")

    def reconcile(self, taken: Sequence[Taken]) -> Account:
        """Hold every delivery against every mail that was taken."""
        rows = {row.address: row for row in self.deliveries()}
        times = Counter(mail.recipient for mail in taken)
        for mail in taken:
            assert rows[mail.recipient].mail_token in mail.message_id
        assert len({(mail.recipient, mail.digest) for mail in taken}) == len(times), "a repeat is not the same mail"
        return Account(
            states=Counter(row.state for row in rows.values()),
            attempts=sum(row.attempts for row in rows.values()),
            tries=sum(row.tries for row in rows.values()),
            resends=sum(row.resends for row in rows.values()),
            accepted_in_truth=len(times),
            repeats=len(taken) - len(times),
            lost=sum(row.state not in UNSENT for row in rows.values() if row.address not in times),
            denied=sum(row.state not in ("accepted", "in_doubt") for row in rows.values() if row.address in times),
        )
