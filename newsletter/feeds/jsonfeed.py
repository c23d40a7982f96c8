"""JSON Feed 1.1 (jsonfeed.org)."""

import json
from collections.abc import Mapping

from newsletter.domain.feeds import FeedFormat
from newsletter.feeds.document import Entry, Head

VERSION = "https://jsonfeed.org/version/1.1"
END = b"]}"


def write_head(head: Head) -> bytes:
    """Return what stands before the items."""
    facts: dict[str, object] = {"version": VERSION, "title": head.title, "home_page_url": head.home_url}
    if head.slug:
        facts["feed_url"] = head.url(FeedFormat.JSON)
    facts |= {
        "description": head.description,
        "language": head.language,
        "authors": [{"name": head.author}],
    }
    if head.older:
        facts["next_url"] = head.url(FeedFormat.JSON, head.older)
    if head.logo_url:
        facts["icon"] = head.logo_url
    if head.hubs:
        facts["hubs"] = [{"type": "WebSub", "url": hub} for hub in head.hubs]
    return _bytes(facts)[:-1] + b',"items":['


def write_entry(entry: Entry) -> bytes:
    """Return the item's object alone."""
    facts: dict[str, object] = {
        "id": entry.id,
        "url": entry.url,
        "title": entry.title,
        "content_html": entry.content_html,
        "date_published": entry.published.isoformat(),
        "date_modified": entry.updated.isoformat(),
        "language": entry.language,
        "authors": [{"name": entry.author}],
    }
    if entry.summary:
        facts["summary"] = entry.summary
    if entry.image:
        facts["image"] = entry.image.url
    if entry.categories:
        facts["tags"] = [category.label for category in entry.categories]
    return _bytes(facts)


def _bytes(facts: Mapping[str, object]) -> bytes:
    return json.dumps(facts, ensure_ascii=False, separators=(",", ":")).encode()
