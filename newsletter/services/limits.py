"""Limits: what staff allow a relay or a receiving provider, from the next claim on."""

from dataclasses import dataclass
from datetime import datetime

from newsletter.domain.limits import Limit, check_limit, mails_allowed
from newsletter.domain.providers import PROVIDERS
from newsletter.errors import InvalidError, NotFoundError
from newsletter.services.audit import record_act
from newsletter.services.context import App
from newsletter.storage import limits
from newsletter.storage.engine import database_now


@dataclass(frozen=True, slots=True)
class LimitFacts:
    """A limit as it stands: *allowed_now* mails may be claimed by its rate, *under_way* are with workers."""

    name: str
    rate: float | None
    concurrency: int | None
    per_connection: int | None
    allowed_now: int | None
    under_way: int | None
    set_at: datetime
    set_by: str


def set_limit(app: App, limit: Limit) -> None:
    """Limit a relay or a provider; what is not said stays as it was. Takes effect with the next claim, everywhere.

    Raises:
        InvalidError: it is neither a provider nor one of our relays, or the limit cannot be.
    """
    names = [each.name for each in app.relays]
    if limit.name not in (*PROVIDERS, *names):
        raise InvalidError(
            f"{limit.name!r} is neither a provider ({', '.join(PROVIDERS)}) nor a relay "
            f"({', '.join(names) or 'none is configured'})"
        )
    try:
        check_limit(limit)
    except ValueError as error:
        raise InvalidError(str(error)) from error
    with app.transaction() as tx:
        before = next((each.limit for each in limits.load_limits(tx.session, [limit.name], lock=True)), Limit("-"))
        merged = Limit(
            limit.name,
            limit.rate or before.rate,
            limit.concurrency or before.concurrency,
            limit.per_connection or before.per_connection,
        )
        limits.save_limit(tx.session, merged, by=tx.actor)
        record_act(
            tx,
            "limited",
            f"{'provider' if limit.is_provider else 'relay'} {limit.name}",
            rate=merged.rate,
            concurrency=merged.concurrency,
            per_connection=merged.per_connection,
        )


def clear_limit(app: App, name: str) -> None:
    """Take a limit away.

    Raises:
        NotFoundError: there is none of that name.
    """
    with app.transaction() as tx:
        if not limits.delete_limit(tx.session, name):
            known = ", ".join(each.limit.name for each in limits.load_limits(tx.session) if each.is_set)
            raise NotFoundError(f"there is no limit for {name}; there is {known or 'none at all'}")
        record_act(tx, "freed", f"limit {name}")


def list_limits(app: App) -> list[LimitFacts]:
    """Return all limits as they stand, those in relays' URLs too."""
    rates = {each.name: each.rate for each in app.relays if each.rate}
    with app.reading() as tx:
        accounts = limits.load_limits(tx.session)
        now = database_now(tx.session)
        providers = [each.limit.name for each in accounts if each.limit.is_provider]
        under_way = limits.count_under_way(tx.session, providers)
    facts = []
    for each in accounts:
        rate = each.limit.rate or rates.get(each.limit.name)
        if not each.is_set and rate is None:
            continue  # a relay whose URL had a rate once
        facts.append(
            LimitFacts(
                each.limit.name,
                rate,
                each.limit.concurrency,
                each.limit.per_connection,
                mails_allowed(rate, each.full_at, now) if rate else None,
                under_way.get(each.limit.name),
                each.set_at,
                each.set_by if each.is_set else "NEWSLETTER_SMTP_URL",
            )
        )
    return facts
