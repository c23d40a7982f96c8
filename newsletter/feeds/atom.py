"""Atom 1.0 (RFC 4287)."""

from datetime import datetime
from typing import Any

from feedgen.feed import FeedGenerator

from newsletter.domain.feeds import FeedFormat
from newsletter.feeds.document import Entry, Head
from newsletter.feeds.generator import MendedEntry, make_generator, styled, write_fragment

END = b"</feed>"


def write_head(head: Head) -> bytes:
    """Return what stands before the entries."""
    return styled(atom_generator(head).atom_str(), head).removesuffix(END)


def write_updated(moment: datetime) -> bytes:
    """Return the head's own element for when it was updated: the one thing in it that each article changes."""
    return f"<updated>{moment.isoformat()}</updated>".encode()


def write_entry(entry: Entry) -> bytes:
    """Return the entry element alone."""
    return write_fragment(atom_entry(entry).atom_entry(), FeedFormat.ATOM)


def atom_generator(head: Head) -> FeedGenerator:
    """Return feedgen's generator for *head*; entries from `atom_entry` may be added to it."""
    made = make_generator(head, FeedFormat.ATOM)
    made.subtitle(head.description)
    if head.logo_url:
        made.logo(head.logo_url)
    return made


def atom_entry(entry: Entry) -> Any:
    """Return feedgen's entry."""
    made = MendedEntry(entry)
    made.id(entry.id)
    made.title(entry.title)
    made.published(entry.published)
    made.updated(entry.updated)
    made.author(name=entry.author)
    made.link(rel="alternate", type="text/html", hreflang=entry.language, href=entry.url)
    for category in entry.categories:
        made.category(term=category.term, scheme=category.scheme, label=category.label)
    if entry.summary:
        made.summary(entry.summary, type="text")
    made.content(entry.content_html, type="html")
    return made
