"""Departures: articles that are gone at their source are withdrawn, whether it says so or their pages do."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from newsletter.config import Settings
from newsletter.domain import item_keys
from newsletter.domain.articles import ArticleRecord, ArticleState
from newsletter.domain.sources import is_gone, suspects
from newsletter.errors import NewsletterError
from newsletter.ingest.document import FeedFacts
from newsletter.services.articles import withdraw_article
from newsletter.services.context import App
from newsletter.services.fetching import FOUND, PAGES, fetch
from newsletter.storage import articles, sources
from newsletter.storage.sources import Poll

MOST_LOOKS = 5
"""Pages that are asked in one poll whether they are gone."""
NO_ANSWER, NOT_FOUND = 0, 404


def withdraw_gone(
    app: App, poll: Poll, window: Sequence[str], facts: FeedFacts, *, asked_at: datetime
) -> tuple[list[str], dict[str, str]]:
    """Withdraw what is gone at the source; return the uids of what was, and which items are suspected still.

    *window*: keys of the new document; empty: it is the old one. Suspects go by key, with when their page was first
    seen to be missing, as ISO 8601; empty: it was not asked yet.
    """
    missing = {key: since for key, since in poll.missing.items() if key not in set(window)}
    for key in suspects(poll.window, window, is_complete=facts.is_complete) if window else ():
        missing.setdefault(key, "")
    removed = [item_keys.id_key(each) for each in facts.removed]
    published = _load_published(app, poll, [*missing, *removed])
    why_gone = {key: "its feed says that it was removed" for key in removed if key in published}
    asked = {key: since for key, since in missing.items() if key in published and key not in why_gone}
    found_gone, still = _ask_pages(app.settings, asked, published, asked_at)
    return _withdraw(app, published, why_gone | found_gone), still


def _load_published(app: App, poll: Poll, keys: Sequence[str]) -> dict[str, ArticleRecord]:
    with app.reading() as tx:
        ids = sources.articles_of_keys(tx.session, poll.source_id, keys)
        records = {key: articles.load_record(tx.session, article_id) for key, article_id in ids.items()}
    return {key: record for key, record in records.items() if record.state is ArticleState.PUBLISHED}


def _ask_pages(
    settings: Settings, missing: Mapping[str, str], records: Mapping[str, ArticleRecord], asked_at: datetime
) -> tuple[dict[str, str], dict[str, str]]:
    """Ask the pages of some suspects; return why those that are gone are, and which are suspected still."""
    gone: dict[str, str] = {}
    still: dict[str, str] = {}
    for looks, (key, since) in enumerate(missing.items()):
        if looks >= MOST_LOOKS:
            still[key] = since
            continue
        status = _page_status(settings, records[key].own_translation.url)
        if is_gone(status, datetime.fromisoformat(since) if since else None, now=asked_at):
            gone[key] = f"it left its feed, and its page answers {status}"
        elif status in (NO_ANSWER, NOT_FOUND):
            still[key] = since or asked_at.isoformat()
    return gone, still


def _page_status(settings: Settings, url: str | None) -> int:
    """Return what a page answers. An item without a page cannot be asked, and counts as there."""
    if not url:
        return FOUND
    try:
        return fetch(settings, url, accept=PAGES, reads_body=False).status
    except NewsletterError:
        return NO_ANSWER


def _withdraw(app: App, records: Mapping[str, ArticleRecord], why_gone: Mapping[str, str]) -> list[str]:
    reasons: dict[str, str] = {}
    for key, why in why_gone.items():
        reasons.setdefault(records[key].uid, why)
    for uid, why in reasons.items():
        withdraw_article(app, uid, reason=f"withdrawn at the source: {why}")
    return list(reasons)
