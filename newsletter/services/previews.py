"""Previews: what a digest with some choices would have held last week."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from newsletter.domain.articles import Article
from newsletter.domain.filters import matches
from newsletter.domain.topics import ancestors
from newsletter.errors import InvalidError
from newsletter.services.context import App
from newsletter.services.filters import NamedFilter, load_names
from newsletter.storage import lists as list_store
from newsletter.storage.articles import visible_articles
from newsletter.storage.topics import load_topics

LAST_WEEK = timedelta(days=7)
LONG_AGO = timedelta(days=92)
SHOWN = 8
"""Articles that a preview names; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Preview:
    """The latest articles that some choices bring and how many there were in the last week, or before it if none."""

    articles: tuple[Article, ...]
    count: int
    is_last_week: bool


def preview_digest(app: App, slugs: Sequence[str], wanted: NamedFilter) -> Preview:
    """
    Return what digests of the public lists *slugs* with the choice *wanted* would have held, the latest first.

    Where the last week had nothing, it is the latest of the quarter before.

    Raises:
        InvalidError: a topic, kind or language is unknown.
    """
    with app.reading() as tx:
        lists = [each for each in list_store.load_lists(tx.session, is_public=True) if each.slug in slugs]
        if not lists:
            raise InvalidError("no list is chosen; choose at least one")
        choice = load_names(tx).find(wanted)
        parents = ancestors(load_topics(tx.session))
        carried = [list_store.load_filter(tx.session, each.filter_id) for each in lists]
        for span in (LAST_WEEK, LONG_AGO):
            found = [
                article
                for article in visible_articles(tx.session, now=tx.now, since=tx.now - span)
                if matches(choice, article, parents) and any(matches(each, article, parents) for each in carried)
            ]
            if found:
                found.sort(key=lambda article: (article.visible_at, article.id), reverse=True)
                return Preview(tuple(found[:SHOWN]), len(found), span is LAST_WEEK)
    return Preview((), 0, is_last_week=False)
