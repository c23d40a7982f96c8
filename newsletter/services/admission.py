"""Admission: which relay takes mail, and how much may be claimed for it now.

Limits and breakers are rows, so they hold for all workers together and outlive them all. Where none is set nothing is
locked: a claim then asks three rows that are not there.
"""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from newsletter.domain.breakers import COUNTS, PROBE, BreakerState, after_failure, may_probe
from newsletter.domain.deliveries import Pool
from newsletter.domain.limits import Allowance, full_after, mails_allowed, seconds_until_allowed
from newsletter.domain.providers import PROVIDERS
from newsletter.domain.replies import Stage, redact
from newsletter.mail.relay import Relay
from newsletter.services.context import THE_SERVICE, App, Transaction
from newsletter.services.guard import may_claim, watch
from newsletter.storage import limits, relays, stops
from newsletter.storage.engine import database_now
from newsletter.storage.limits import Account
from newsletter.storage.relays import RelayRecord

log = structlog.get_logger()

PROVIDER_WAIT = 1.0
"""Seconds until a provider's mails under way are counted again; whoever sends them is about to end."""


def choose_relay(app: App, *, but_not: Collection[str] = ()) -> Relay | None:
    """Return a relay by weight among those whose breaker lets mail through and that are not named in *but_not*.

    One that is half-open is given to one caller alone, to try with one mail. None: there is none to be had now, or
    nothing may be sent at all, which is looked at here since it precedes every slice: see `newsletter.services.guard`.
    """
    left = {relay.name: relay for relay in app.relays if relay.name not in but_not}
    if not left or not watch(app) or is_stopped(app):
        return None
    with app.reading() as tx:
        now = database_now(tx.session)
        known = relays.load_relays(tx.session, list(left))
    for name, record in known.items():
        if record.breaker.state(now) is BreakerState.OPEN:
            del left[name]
    while left:
        [chosen] = random.choices(list(left.values()), [relay.weight for relay in left.values()])  # noqa: S311  no secret
        if chosen.name not in known or _is_ours(app, chosen.name):
            return chosen
        del left[chosen.name]
    return None


def is_stopped(app: App) -> bool:
    """Say whether nothing may be sent at all."""
    with app.reading() as tx:
        return bool(stops.load_stops(tx.session))


def _is_ours(app: App, name: str) -> bool:
    """Say whether a relay that has failed may be used; a half-open one is ours to try from now on."""
    with app.transaction() as tx:
        breaker = relays.lock_relay(tx.session, name).breaker
        now = database_now(tx.session)
        state = breaker.state(now)
        if state is BreakerState.HALF_OPEN and may_probe(breaker, now):
            probe_until = now + PROBE * app.settings.wait_factor
            relays.save_breaker(tx.session, name, replace(breaker, probe_until=probe_until, probed=False))
            return True
        return state is BreakerState.CLOSED


@dataclass(frozen=True, slots=True)
class Admission:
    """What may be claimed in one transaction, and what `charge` needs to know for it.

    *record*: what is known of the relay; None: it never failed. *accounts*: the limits that hold, locked; None: not
    asked yet.
    """

    allowance: Allowance
    relay: Relay
    record: RelayRecord | None = None
    accounts: Sequence[Account] | None = None

    @property
    def is_held_back(self) -> bool:
        """Whether a limit leaves nothing for now, be it of one provider alone."""
        return bool(self.accounts) and 0 in (self.allowance.total, *self.allowance.by_provider.values())


def admit(tx: Transaction, relay: Relay, pool: Pool, most: int) -> Admission:
    """Say how much may be claimed in this transaction for *relay*, *most* at most.

    Locks what `charge` changes until the transaction ends, and only that: a limit is exact, however many workers
    claim. Transactional mail waits for no limit, but for a relay that is left alone.
    """
    if not may_claim(tx):
        return Admission(Allowance(0), relay)
    record = relays.load_relays(tx.session, [relay.name]).get(relay.name)
    if record and record.breaker.open_until is not None:
        record = relays.lock_relay(tx.session, relay.name)
        most = min(most, _most_by_breaker(record, database_now(tx.session), most))
    if pool is Pool.TRANSACTIONAL or most == 0:
        return Admission(Allowance(most), relay, record)
    accounts = _accounts(tx, relay)
    return Admission(_allowance(tx, accounts, most), relay, record, accounts)


def _most_by_breaker(record: RelayRecord, now: datetime, most: int) -> int:
    state = record.breaker.state(now)
    if state is BreakerState.HALF_OPEN:
        return 0 if record.breaker.probed and not may_probe(record.breaker, now) else 1
    return most if state is BreakerState.CLOSED else 0


def _allowance(tx: Transaction, accounts: Collection[Account], most: int) -> Allowance:
    if not accounts:
        return Allowance(most)
    now = database_now(tx.session)
    by_provider = {}
    under_way = _under_way(tx, accounts)
    for each in accounts:
        allowed = _allowed(each, under_way, now)
        if each.limit.is_provider:
            by_provider[each.limit.name] = min(most, allowed)
        else:
            most = min(most, allowed)
    return Allowance(most, by_provider)


def _accounts(tx: Transaction, relay: Relay) -> list[Account]:
    """Return the limits that hold for mail to *relay*, locked; its URL's rate is one, unless staff set another."""
    names = (relay.name, *PROVIDERS)
    accounts = limits.load_limits(tx.session, names, lock=True)
    if relay.rate is None:
        return [each for each in accounts if each.limit.is_provider or each.limit.rate]
    if all(each.limit.name != relay.name for each in accounts):
        limits.open_account(tx.session, relay.name, by=THE_SERVICE)
        accounts = limits.load_limits(tx.session, names, lock=True)
    return [
        replace(each, limit=replace(each.limit, rate=each.limit.rate or relay.rate))
        if each.limit.name == relay.name
        else each
        for each in accounts
    ]


def _under_way(tx: Transaction, accounts: Collection[Account]) -> Mapping[str, int]:
    counted = [each.limit.name for each in accounts if each.limit.concurrency]
    return limits.count_under_way(tx.session, counted) if counted else {}


def _allowed(account: Account, under_way: Mapping[str, int], now: datetime) -> int:
    limit = account.limit
    allowed = [10**9]
    if limit.rate:
        allowed.append(mails_allowed(limit.rate, account.full_at, now))
    if limit.concurrency:
        allowed.append(max(0, limit.concurrency - under_way[limit.name]))
    return min(allowed)


def charge(tx: Transaction, admission: Admission, claimed: Mapping[str, int]) -> None:
    """Note what was claimed, by provider, in the transaction of `admit`. Transactional mail is charged too."""
    total = sum(claimed.values())
    if total == 0:
        return
    relay, record, accounts = admission.relay, admission.record, admission.accounts
    if record and record.breaker.open_until is not None:
        probe_until = database_now(tx.session) + PROBE * tx.settings.wait_factor
        relays.save_breaker(tx.session, relay.name, replace(record.breaker, probe_until=probe_until, probed=True))
    if accounts is None:
        accounts = _accounts(tx, relay)
    now = database_now(tx.session) if accounts else None
    for each in accounts:
        mails = claimed.get(each.limit.name, 0) if each.limit.is_provider else total
        if now and mails and each.limit.rate:
            full_at = full_after(each.limit.rate, each.full_at, now, mails)
            limits.save_taken(tx.session, each.limit.name, full_at)


def seconds_until_admitted(app: App, relay: Relay, pool: Pool) -> float:
    """Return how long to wait before `admit` may allow more than it does now; 0: it may allow some now.

    Where only some providers have to wait it is the shortest of their waits, for a caller whose claim found no other.
    """
    if pool is Pool.TRANSACTIONAL:
        return 0.0
    with app.reading() as tx:
        accounts = {each.limit.name: each for each in limits.load_limits(tx.session, (relay.name, *PROVIDERS))}
        now = database_now(tx.session)
        under_way = _under_way(tx, accounts.values())
    own = accounts.pop(relay.name, None)
    rate = (own.limit.rate if own else None) or relay.rate
    wait = seconds_until_allowed(rate, own.full_at, now) if rate and own else 0.0
    waits = []
    for each in accounts.values():
        if _allowed(each, under_way, now) == 0:
            by_rate = seconds_until_allowed(each.limit.rate, each.full_at, now) if each.limit.rate else 0.0
            waits.append(by_rate or PROVIDER_WAIT)
    return max(wait, min(waits, default=0.0))


def report_failure(app: App, relay: Relay, stage: Stage, words: str = "") -> None:
    """Tell that a conversation with *relay* failed before any mail, at *stage*; *words*: what was said.

    No delivery's attempt is spent on it. After some failures in a row, of all workers together, the relay is left
    alone for a while; others get the mail, or it waits.
    """
    if stage not in COUNTS:
        return
    with app.transaction() as tx:
        record = relays.lock_relay(tx.session, relay.name)
        now = database_now(tx.session)
        jitter = random.random()  # noqa: S311  it spreads retries and guards nothing
        after = after_failure(record.breaker, now, jitter=jitter, wait_factor=app.settings.wait_factor)
        relays.save_failure(tx.session, record, after, stage=stage.value, words=redact(words))
    if after.open_until and after.open_until != record.breaker.open_until:
        rest = (after.open_until - now).total_seconds()
        log.error("relay_left_alone", relay=relay.name, stage=stage.value, failures=after.failures, seconds=round(rest))


def report_success(app: App, relay: Relay) -> None:
    """Tell that *relay* took a mail: its failures are forgotten. Costs one look where there are none."""
    with app.reading() as tx:
        known = relays.load_relays(tx.session, [relay.name]).get(relay.name)
    if known is None or known.breaker.is_clean:
        return
    with app.transaction() as tx:
        relays.close_breaker(tx.session, relay.name)
    if known.breaker.open_until:
        log.warning("relay_works_again", relay=relay.name)


def connection_caps(app: App) -> Mapping[str, int]:
    """Return how many mails of a provider one connection may carry, by provider; those without a cap are left out."""
    with app.reading() as tx:
        found = limits.load_limits(tx.session, PROVIDERS)
    return {each.limit.name: each.limit.per_connection for each in found if each.limit.per_connection}
