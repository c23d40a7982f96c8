"""What tests of polled sources share: to add one, poll it, and look at what came of it."""

from datetime import timedelta
from typing import Any

from sqlalchemy import update

from newsletter.services.articles import list_articles
from newsletter.services.context import App
from newsletter.services.polling import PollReport, poll_source_now
from newsletter.services.sources import (
    add_source,
)
from newsletter.storage import sources as storage
from newsletter.storage.articles import visible_articles
from newsletter.storage.engine import database_now
from newsletter.storage.sources import Poll, PollRow

LONG = "A sentence of the article that its page has and its feed has not, with words enough. " * 8


def poll_of(desk: App, slug: str = "press") -> Poll:
    with desk.reading() as tx:
        poll = storage.find_poll(tx.session, slug)
    assert poll is not None
    return poll


def poll(desk: App, slug: str = "press") -> PollReport:
    return poll_source_now(desk, slug)


def add(desk: App, url: str, **values: Any) -> Poll:
    return add_source(desk, url, **({"name": "Press"} | values))


def articles(desk: App) -> dict[str, Any]:
    with desk.reading() as tx:
        return {each.title: each for each in list_articles(tx, limit=500).articles}


def news(desk: App) -> list[str]:
    """Return the titles of what lists would mail."""
    with desk.reading() as tx:
        since = tx.now - timedelta(days=30)
        return sorted(
            each.best_translation("en").title for each in visible_articles(tx.session, now=tx.now, since=since)
        )


def counts(desk: App) -> dict[str, int]:
    return poll_of(desk).counts


def make_due(desk: App) -> None:
    with desk.transaction() as tx:
        tx.session.execute(update(PollRow).values(due_at=database_now(tx.session) - timedelta(seconds=1)))
