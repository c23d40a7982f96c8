"""Limits: how much may be sent at once and in a second, to a relay or to a receiving provider."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType

from newsletter.domain.providers import PROVIDERS

MOST_PER_SECOND = 100_000
LEAST_PER_SECOND = 1 / 3600
"""One mail in an hour; whoever wants less wants a pause."""

_NO_PROVIDERS: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Allowance:
    """At most *total* mails; of a provider in *by_provider* at most so many (0: none), of others up to *total*."""

    total: int
    by_provider: Mapping[str, int] = field(default_factory=lambda: _NO_PROVIDERS)


@dataclass(frozen=True, slots=True)
class Limit:
    """What staff allow a relay, named by host and port, or a receiving provider; None: no limit of that sort.

    *rate*: mails per second, over all workers. *concurrency*: mails under way to a provider, over all workers.
    *per_connection*: mails of a provider that one connection carries.
    """

    name: str
    rate: float | None = None
    concurrency: int | None = None
    per_connection: int | None = None

    @property
    def is_provider(self) -> bool:
        """Whether it is a receiving provider's."""
        return self.name in PROVIDERS


def check_limit(limit: Limit) -> None:
    """Refuse a limit that limits nothing, or what it cannot limit.

    Raises:
        ValueError: says why, and what to write instead.
    """
    if limit.rate is limit.concurrency is limit.per_connection is None:
        raise ValueError("say at least one of --rate, --concurrency and --per-connection")
    if limit.rate is not None and not LEAST_PER_SECOND <= limit.rate <= MOST_PER_SECOND:
        raise ValueError(f"a rate of {limit.rate:g} mails per second cannot be kept; {MOST_PER_SECOND:,} at most")
    for told in (limit.concurrency, limit.per_connection):
        if told is not None and told < 1:
            raise ValueError(f"{told} lets nothing through; to stop mail use `newsletter sending pause`")
    if not limit.is_provider and (limit.concurrency or limit.per_connection):
        raise ValueError(
            "a relay has a rate here; how many connections and mails in each is in its URL: "
            "NEWSLETTER_SMTP_URL=smtp://…?connections=4&messages=1000"
        )


def burst_of(rate: float) -> float:
    """Return how many mails may go at once after a pause: a second's worth, and one at least."""
    return max(1.0, rate)


def mails_allowed(rate: float, full_at: datetime | None, now: datetime) -> int:
    """Return how many mails a rate allows now.

    *full_at*: when the allowance is whole again if nothing more is taken (the theoretical arrival time of the generic
    cell rate algorithm, ITU-T I.371); None: nothing was ever taken. In any span of t seconds no more than
    rate x t + burst are allowed, whoever asks and however often.
    """
    debt = (full_at - now).total_seconds() * rate if full_at and full_at > now else 0.0
    return max(0, int(burst_of(rate) - debt + rate * _ROUNDING_SECONDS + _ROUNDING))


_ROUNDING, _ROUNDING_SECONDS = 1e-6, 2e-6
"""Times are kept in whole microseconds; a mail is not denied for the part that was rounded off."""


def full_after(rate: float, full_at: datetime | None, now: datetime, mails: int) -> datetime:
    """Return the new *full_at* after *mails* were taken; more than was allowed is paid back by waiting."""
    start = full_at if full_at and full_at > now else now
    return start + timedelta(seconds=mails / rate)


def seconds_until_allowed(rate: float, full_at: datetime | None, now: datetime) -> float:
    """Return how long until a rate allows one mail; 0: now."""
    if full_at is None or full_at <= now:
        return 0.0
    debt = (full_at - now).total_seconds() * rate
    return max(0.0, (debt + 1 - burst_of(rate)) / rate)
