"""Audit: puts on record who did what, within the transaction that does it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from newsletter.domain.audit import Act
from newsletter.services.context import App, Transaction
from newsletter.storage import audit as storage

MOST_LISTED = 1000
"""Acts in one page of the record."""


MOST_NAMED = 20
"""Deliveries that an act names one by one; of more it tells the first and the last."""


def name_deliveries(ids: Sequence[int]) -> dict[str, Any]:
    """Return how an act names deliveries, at least one, in order of id."""
    return {"deliveries": list(ids)} if len(ids) <= MOST_NAMED else {"from": ids[0], "to": ids[-1]}


def names_delivery(details: Mapping[str, Any], delivery_id: int) -> bool:
    """Say whether an act may be about a delivery: it names it, or some before and behind it."""
    if "deliveries" in details:
        return delivery_id in details["deliveries"]
    return "from" in details and details["from"] <= delivery_id <= details["to"]


def record_act(tx: Transaction, act: str, about: str, *, actor: str | None = None, **details: Any) -> None:
    """Note that the transaction's actor, or *actor*, did *act* to what *about* names, such as `edition 12`.

    *details* are what JSON knows, and hold no address.
    """
    storage.add_act(tx.session, actor=(actor or tx.actor)[:200], act=act, about=about[:120], details=details)


def note_act(app: App, act: str, about: str, **details: Any) -> None:
    """Note an act in a transaction of its own, after what was done in many or in none; see `record_act`."""
    with app.transaction() as tx:
        record_act(tx, act, about, **details)


def list_acts(
    app: App,
    *,
    since: datetime | None = None,
    actor: str | None = None,
    about: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Act]:
    """Return a page of the record, the last act first.

    *about*: one thing such as `edition 12`, or all of a noun such as `edition`. *before*: the id that the page before
    ended with.
    """
    with app.reading() as tx:
        return storage.load_acts(tx.session, since=since, actor=actor, about=about, before=before, limit=limit)
