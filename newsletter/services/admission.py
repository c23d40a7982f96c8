"""Admission: which relay takes mail, and how much may be claimed for it now."""

import random
from collections.abc import Collection, Mapping

from newsletter.domain.deliveries import Pool
from newsletter.domain.limits import Allowance
from newsletter.domain.replies import Stage
from newsletter.mail.relay import Relay
from newsletter.services.context import App, Transaction


def choose_relay(app: App, *, but_not: Collection[str] = ()) -> Relay | None:
    """Return a relay, chosen by weight among those not named in *but_not*; None: there is none."""
    relays = [each for each in app.relays if each.name not in but_not]
    if not relays:
        return None
    return random.choices(relays, [each.weight for each in relays])[0]  # noqa: S311  it guards nothing


def admit(tx: Transaction, relay: Relay, pool: Pool, most: int) -> Allowance:
    """Say how much may be claimed in this transaction for *relay*, *most* at most."""
    del tx, relay, pool
    return Allowance(most)


def charge(tx: Transaction, relay: Relay, pool: Pool, claimed: Mapping[str, int]) -> None:
    """Note in the transaction of `admit` what was claimed, by provider."""
    del tx, relay, pool, claimed


def seconds_until_admitted(app: App, relay: Relay, pool: Pool) -> float:
    """Return how long to wait before `admit` may allow more."""
    del app, relay, pool
    return 0.0


def report_failure(app: App, relay: Relay, stage: Stage, words: str = "") -> None:
    """Tell that a conversation with *relay* failed before any mail, at *stage*; *words*: what it or we said."""
    del app, relay, stage, words


def report_success(app: App, relay: Relay) -> None:
    """Tell that *relay* took a mail."""
    del app, relay


def connection_caps(app: App) -> Mapping[str, int]:
    """Return how many mails of a provider one connection may carry, by provider; those without a cap are left out."""
    del app
    return {}
