"""RSS 2.0, by its specification and the Best Practices Profile (rssboard.org)."""

from datetime import datetime
from typing import Any

from feedgen.feed import FeedGenerator

from newsletter.domain.feeds import FeedFormat
from newsletter.feeds.document import Entry, Head
from newsletter.feeds.generator import MendedEntry, make_generator, rfc822, styled, write_fragment

END = b"</channel></rss>"
MINUTES_TO_LIVE = 15
"""How long a reader may keep the document without asking again."""


def write_head(head: Head) -> bytes:
    """Return what stands before the items."""
    return styled(rss_generator(head).rss_str(), head).removesuffix(END)


def write_updated(moment: datetime) -> bytes:
    """Return the channel's own element for when it was updated: the one thing in it that each article changes."""
    return f"<lastBuildDate>{rfc822(moment)}</lastBuildDate>".encode()


def write_entry(entry: Entry) -> bytes:
    """Return the item element alone."""
    return write_fragment(rss_entry(entry).rss_entry(), FeedFormat.RSS)


def rss_generator(head: Head) -> FeedGenerator:
    """Return feedgen's generator for *head*; entries from `rss_entry` may be added to it."""
    made = make_generator(head, FeedFormat.RSS)
    made.ttl(MINUTES_TO_LIVE)
    if head.logo_url:
        made.image(url=head.logo_url, title=head.title, link=head.home_url)
    return made


def rss_entry(entry: Entry) -> Any:
    """Return feedgen's entry; the texts are added by its extension."""
    made = MendedEntry(entry)
    made.guid(entry.id, permalink=False)
    made.title(entry.title)
    made.published(entry.published)
    made.link(rel="alternate", href=entry.url)
    for category in entry.categories:
        made.category(term=category.term, scheme=category.scheme, label=category.label)
    return made
