"""Pages of items: a feed that has the beginnings of texts alone is completed from the pages that it leads to."""

import time
from collections.abc import Sequence
from dataclasses import replace

import structlog

from newsletter.config import Settings
from newsletter.domain.drafts import Draft, UnusableError, tidy
from newsletter.domain.item_keys import digest
from newsletter.domain.prose import normalise, shorten
from newsletter.errors import NewsletterError
from newsletter.ingest.aside import SECONDS, aside
from newsletter.ingest.full_text import LARGEST_PAGE, is_excerpt, with_full_text
from newsletter.services.context import App
from newsletter.services.fetching import FOUND, PAGES, Fetched, fetch, tell_status
from newsletter.services.sourced_items import SourcedItem
from newsletter.storage.articles import known_items
from newsletter.storage.sources import Poll

log = structlog.get_logger()

PAGES_SECONDS = 60.0
"""Time for fetching pages in one poll; those left over come in the next."""
LONGEST_PROBLEM = 150


def complete_texts(app: App, poll: Poll, items: Sequence[SourcedItem]) -> tuple[list[SourcedItem], bool]:
    """Give items of which a feed has the beginning only the text of their page; say whether some were left over.

    What is known and came again as it was is not fetched again. Dates do not count there: a site that calls each item
    new each time would have us fetch all its pages. A first poll leaves nothing over: there are few items in it.
    """
    with app.reading() as tx:
        known = known_items(tx.session, poll.source_id, [each.key for each in items])
    deadline, made, is_left_over = time.monotonic() + PAGES_SECONDS, [], False
    for each in items:
        draft = each.item.draft
        if draft is None:
            made.append(each)
            continue
        came, there = digest(replace(draft, published=None, updated=None)), known.get(each.key)
        if poll.takes_full_text and is_excerpt(draft) and (there is None or there.digest != came):
            if time.monotonic() <= deadline:
                draft = _with_page(app.settings, draft, source=poll.slug)
            elif not poll.is_first:
                is_left_over = True
                continue
        made.append(replace(each.with_draft(draft), digest=came))
    return made, is_left_over


def _with_page(settings: Settings, draft: Draft, *, source: str) -> Draft:
    """Return *draft* with the text of its page, or as it was with a word why not."""
    try:
        page = fetch(settings, draft.own.url or "", accept=PAGES, most=LARGEST_PAGE)
        problem = _page_problem(page)
        if not problem:
            return tidy(aside(with_full_text, SECONDS, draft, page.body, charset=page.charset))
    except (NewsletterError, UnusableError) as error:
        problem = shorten(normalise(str(error)), LONGEST_PROBLEM)
    except Exception as error:  # a page that breaks us must not cost the source its other items
        log.exception("page_broke", source=source)
        problem = f"its page could not be read ({type(error).__name__})"
    return replace(draft, warnings=(*draft.warnings, f"the feed's excerpt was taken: {problem}"))


def _page_problem(page: Fetched) -> str:
    if page.status != FOUND:
        return tell_status(page.status)
    is_page = page.media_type in ("", "text/html", "application/xhtml+xml")
    return "" if is_page else f"its page is {shorten(normalise(page.media_type), 60)}"
