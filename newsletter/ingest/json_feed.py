"""JSON Feed, versions 1 and 1.1, read leniently: an item that is wrong is refused alone."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from newsletter.domain.drafts import Draft, UnusableError
from newsletter.domain.prose import normalise, shorten
from newsletter.errors import InvalidError
from newsletter.ingest.decoding import decode
from newsletter.ingest.document import Document, FeedFacts, collect
from newsletter.ingest.feed import kind_of, language_of, with_alt_text
from newsletter.ingest.fields import LONGEST_NAME, LONGEST_SUMMARY, MOST_TOPICS, Defaults, FieldReader
from newsletter.ingest.markdown import render
from newsletter.ingest.markup import safe_url, text_of_markup

VERSION = "https://jsonfeed.org/version/"


def is_json_feed(value: object) -> bool:
    """Say whether what JSON gave is a feed."""
    return isinstance(value, Mapping) and str(value.get("version", "")).startswith(VERSION)


def read_json_feed(content: bytes, defaults: Defaults) -> Document:
    """Read the items of a JSON Feed; an item is known by its id, else by its page.

    Raises:
        InvalidError: it is none.
    """
    decoded = decode(content)
    try:
        value = json.loads(decoded.text)
    except (RecursionError, ValueError) as error:
        raise InvalidError(f"no valid JSON: {error}") from error
    if not is_json_feed(value) or not isinstance(value.get("items"), list):
        raise InvalidError("the JSON is no JSON Feed: it needs a version and items")
    return feed_of(value, defaults, [decoded.warning] if decoded.warning else [])


def feed_of(feed: Mapping[str, Any], defaults: Defaults, warnings: list[str]) -> Document:
    """Read the items of a JSON Feed that is parsed already."""
    items = feed.get("items")
    if not isinstance(items, list):
        raise InvalidError("the JSON Feed has no list of items")
    home = safe_url(feed.get("home_page_url"))
    read = ((_title(item), partial(_read_item, item, feed, home, defaults)) for item in items)
    document = collect(read, warnings)
    hubs = [each for each in _list(feed.get("hubs")) if isinstance(each, Mapping)]
    hub = next((safe_url(each.get("url")) for each in hubs if str(each.get("type", "")).lower() == "websub"), None)
    facts = FeedFacts(_text(feed.get("title"))[:LONGEST_NAME], hub, safe_url(feed.get("feed_url")))
    return Document(document.items, document.warnings, facts)


def _read_item(item: object, feed: Mapping[str, Any], home: str | None, defaults: Defaults) -> Draft:
    if not isinstance(item, Mapping):
        raise UnusableError(f"it must be an object, and is {shorten(json.dumps(item), 40)}")
    url = safe_url(item.get("url"), home) or safe_url(item.get("external_url"), home)
    names = [_text(each) for each in _list(item.get("tags"))]
    kinds = [kind for name in names if (kind := kind_of(name))]
    summary = text_of_markup(_text(item.get("summary")))
    html, text = item.get("content_html"), item.get("content_text")
    image = safe_url(item.get("image") or item.get("banner_image"), url or home)
    fields = {
        "id": _text(item.get("id")) or None,
        "kind": kinds[0] if kinds else None,
        "title": text_of_markup(_text(item.get("title"))),
        "published": item.get("date_published") or item.get("date_modified"),
        "updated": item.get("date_modified"),
        "language": language_of(_text(item.get("language"))) or language_of(_text(feed.get("language"))),
        "source": _text(feed.get("title"))[:LONGEST_NAME] or None,
        "url": url,
        "summary": shorten(summary, LONGEST_SUMMARY),
        "html": html if isinstance(html, str) else None,
        "paragraphs": text.split("\n\n") if isinstance(text, str) and not html else None,
        "topics": [name for name in names if name and not kind_of(name)][:MOST_TOPICS],
        "image": {"url": image} if image else None,
    }
    return with_alt_text(FieldReader(defaults, render).read({name: value for name, value in fields.items() if value}))


def _title(item: object) -> str:
    return shorten(_text(item.get("title")), 100) if isinstance(item, Mapping) else ""


def _text(value: object) -> str:
    """Return a text, or a number as one (ids of version 1 may be numbers); anything else is nothing."""
    is_text = isinstance(value, str | int | float) and not isinstance(value, bool)
    return normalise(str(value)) if is_text else ""


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
