"""Outcomes: what became of the last editions' mails, by receiving provider; nothing here writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.editions import EditionState
from newsletter.services.context import App
from newsletter.storage import editions, lists, progress

GONE_OUT = (EditionState.SENDING, EditionState.PAUSED, EditionState.DONE)


@dataclass(frozen=True, slots=True)
class EditionOutcome:
    """What became of one edition's mails, by provider."""

    edition_id: int
    list_slug: str
    slot_key: str
    at: datetime
    by_provider: Mapping[str, Mapping[DeliveryState, int]]


def list_outcomes(app: App, *, limit: int = 8) -> list[EditionOutcome]:
    """Return the last editions that went out, the oldest first; reads every mail of theirs."""
    with app.reading() as tx:
        found = editions.list_editions(tx.session, states=GONE_OUT, limit=limit)
        names = {each.id: each.slug for each in lists.load_lists(tx.session)}
        return [
            EditionOutcome(
                each.id,
                names.get(each.list_id, ""),
                each.slot_key,
                each.slot_at,
                progress.count_mails(tx.session, each.id, span=timedelta(0)).by_provider,
            )
            for each in sorted(found, key=lambda edition: (edition.slot_at, edition.id))
        ]
