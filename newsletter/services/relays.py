"""Relays: how each one does, as all senders together saw it."""

from dataclasses import dataclass
from datetime import datetime

from newsletter.domain.breakers import BreakerState
from newsletter.services.context import App
from newsletter.storage import relays
from newsletter.storage.engine import database_now
from newsletter.storage.relays import RelayRecord


@dataclass(frozen=True, slots=True)
class RelayFacts:
    """A relay; *failures* in a row, *open_until*: left alone until then, and its last failure, if it ever failed."""

    name: str
    weight: int
    connections: int
    messages: int
    rate: float | None
    state: BreakerState
    failures: int
    open_until: datetime | None
    opened_at: datetime | None
    failed_at: datetime | None
    failed_stage: str | None
    failed_words: str | None


def list_relays(app: App) -> list[RelayFacts]:
    """Return our relays as they stand, in the order of NEWSLETTER_SMTP_URL."""
    with app.reading() as tx:
        known = relays.load_relays(tx.session, [each.name for each in app.relays])
        now = database_now(tx.session)
    facts = []
    for each in app.relays:
        record = known.get(each.name) or RelayRecord(each.name)
        facts.append(
            RelayFacts(
                each.name,
                each.weight,
                each.connections,
                each.messages,
                each.rate,
                record.breaker.state(now),
                record.breaker.failures,
                record.breaker.open_until,
                record.opened_at,
                record.failed_at,
                record.failed_stage,
                record.failed_words,
            )
        )
    return facts
