"""Independent checks of feed documents, written from the specifications; each returns what is wrong, in words."""

import json
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from urllib.parse import urlsplit

from lxml import etree

ATOM = "{http://www.w3.org/2005/Atom}"
MEDIA = "{http://search.yahoo.com/mrss/}"
CONTENT = "{http://purl.org/rss/1.0/modules/content/}"
DC = "{http://purl.org/dc/elements/1.1/}"
LANG = "{http://www.w3.org/XML/1998/namespace}lang"

ONCE_IN_FEED = ("id", "title", "updated", "subtitle", "generator", "icon", "logo", "rights")
ONCE_IN_ENTRY = ("id", "title", "updated", "published", "summary", "content", "rights", "source")


def wrong_in_atom(document: bytes) -> list[str]:
    """Check RFC 4287 and what this project promises beyond it."""
    root = etree.fromstring(document)
    return list(_wrong_in_atom(root))


def _wrong_in_atom(root) -> Iterator[str]:
    if root.tag != f"{ATOM}feed" or not root.get(LANG):
        yield "the root is no feed with a language"
    yield from _wrong_counts(root, required=("id", "title", "updated"), once=ONCE_IN_FEED)
    yield from _wrong_links(root, required={"self", "alternate"})
    entries = root.findall(f"{ATOM}entry")
    has_author = root.find(f"{ATOM}author") is not None
    for entry in entries:
        if not has_author and entry.find(f"{ATOM}author") is None:
            yield "an entry has no author (4.1.1)"
        yield from _wrong_in_entry(entry)
    for author in root.iter(f"{ATOM}author"):
        if not (author.findtext(f"{ATOM}name") or "").strip():
            yield "an author has no name (3.2.1)"
    yield from _wrong_dates(root, entries)
    yield from _repeated([each.findtext(f"{ATOM}id") for each in entries])


def _wrong_in_entry(entry) -> Iterator[str]:
    yield from _wrong_counts(entry, required=("id", "title", "updated", "published"), once=ONCE_IN_ENTRY)
    yield from _wrong_links(entry, required={"alternate"})
    content = entry.find(f"{ATOM}content")
    if content is None or content.get("type") != "html" or len(content):
        yield "content is not escaped HTML (4.1.3)"
    else:
        yield from wrong_in_html(content.text or "")
    for category in entry.findall(f"{ATOM}category"):
        if not all(category.get(name) for name in ("term", "scheme", "label")):
            yield "a category lacks term, scheme or label"


def _wrong_dates(root, entries) -> Iterator[str]:
    for tag in ("updated", "published"):
        for element in root.iter(f"{ATOM}{tag}"):
            if datetime.fromisoformat(element.text).tzinfo is None or "." in element.text:
                yield f"{tag} is {element.text}"
    yield from _wrong_order([datetime.fromisoformat(each.findtext(f"{ATOM}published")) for each in entries])
    updated = [datetime.fromisoformat(each.findtext(f"{ATOM}updated")) for each in (root, *entries)]
    if updated[0] < max(updated):
        yield "the feed is older than an entry"


def _wrong_counts(parent, *, required, once) -> Iterator[str]:
    for name in once:
        count = len(parent.findall(f"{ATOM}{name}"))
        if count > 1 or (name in required and count != 1):
            yield f"{parent.tag} has {count} {name}"
    for name in required:
        if not (parent.findtext(f"{ATOM}{name}") or "").strip():
            yield f"{name} is empty"


def _wrong_links(parent, *, required) -> Iterator[str]:
    links = parent.findall(f"{ATOM}link")
    relations = {link.get("rel", "alternate") for link in links}
    if missing := required - relations:
        yield f"{parent.tag} has no link {missing}"
    alternates = [
        (link.get("type"), link.get("hreflang")) for link in links if link.get("rel", "alternate") == "alternate"
    ]
    if len(alternates) != len(set(alternates)):
        yield "two alternates of one type and language (4.1.2)"
    for link in links:
        yield from _wrong_address(link.get("href"))


def wrong_in_rss(document: bytes) -> list[str]:
    """Check RSS 2.0, the Best Practices Profile and what this project promises beyond them."""
    return list(_wrong_in_rss(etree.fromstring(document)))


def _wrong_in_rss(root) -> Iterator[str]:
    channel = root.find("channel")
    if root.tag != "rss" or root.get("version") != "2.0" or channel is None or len(root) != 1:
        yield "it is not rss 2.0 with one channel"
    for name in ("title", "link", "description", "language", "lastBuildDate", "ttl", "generator"):
        if len(channel.findall(name)) != 1 or not channel.findtext(name).strip():
            yield f"channel has {len(channel.findall(name))} {name}"
    image = channel.find("image")
    if image is not None and (image.findtext("title"), image.findtext("link")) != (
        channel.findtext("title"),
        channel.findtext("link"),
    ):
        yield "the image's title and link are not the channel's"
    if [link.get("rel") for link in channel.findall(f"{ATOM}link")].count("self") != 1:
        yield "channel has no self link"
    items = channel.findall("item")
    for item in items:
        yield from _wrong_in_item(item)
    yield from _repeated([item.findtext("guid") for item in items])
    published = [parsedate_to_datetime(item.findtext("pubDate")) for item in items]
    yield from _wrong_order(published)
    for date in [channel.find("lastBuildDate"), *channel.iter("pubDate")]:
        if not date.text.endswith(" GMT") or parsedate_to_datetime(date.text).tzinfo is None:
            yield f"the date {date.text} has no zone"


def _wrong_in_item(item) -> Iterator[str]:
    for name in ("title", "link", "guid", "pubDate", f"{CONTENT}encoded", f"{DC}creator"):
        if len(item.findall(name)) != 1:
            yield f"an item has {len(item.findall(name))} {name}"
    if item.find("guid").get("isPermaLink") != "false":
        yield "the guid is no permalink and does not say so"
    if item.find("author") is not None:
        yield "author must be an address; names are dc:creator"
    if len(item.findall("enclosure")) > 1:
        yield "more than one enclosure"
    tags = [child.tag for child in item]
    if "description" in tags and tags.index("description") > tags.index(f"{CONTENT}encoded"):
        yield "content:encoded stands before description"
    yield from _wrong_address(item.findtext("link"))
    yield from wrong_in_html(item.findtext(f"{CONTENT}encoded") or "")
    yield from wrong_in_html(item.findtext("description") or "")


def wrong_in_json_feed(document: bytes) -> list[str]:
    """Check JSON Feed 1.1 strictly: members, their types, and unique ids."""
    return list(_wrong_in_json_feed(json.loads(document)))


FEED_MEMBERS = {
    "version": str,
    "title": str,
    "home_page_url": str,
    "feed_url": str,
    "description": str,
    "user_comment": str,
    "next_url": str,
    "icon": str,
    "favicon": str,
    "authors": list,
    "language": str,
    "expired": bool,
    "hubs": list,
    "items": list,
}
ITEM_MEMBERS = {
    "id": str,
    "url": str,
    "external_url": str,
    "title": str,
    "content_html": str,
    "content_text": str,
    "summary": str,
    "image": str,
    "banner_image": str,
    "date_published": str,
    "date_modified": str,
    "authors": list,
    "tags": list,
    "language": str,
    "attachments": list,
}


def _wrong_in_json_feed(feed) -> Iterator[str]:
    yield from _wrong_members(feed, FEED_MEMBERS, required={"version", "title", "items", "feed_url", "home_page_url"})
    if feed["version"] != "https://jsonfeed.org/version/1.1":
        yield f"the version is {feed['version']}"
    if feed.get("next_url") == feed["feed_url"]:
        yield "next_url is feed_url"
    for hub in feed.get("hubs", []):
        if set(hub) != {"type", "url"}:
            yield "a hub has other members than type and url"
    for item in feed["items"]:
        yield from _wrong_in_json_item(item)
    yield from _repeated([item["id"] for item in feed["items"]])
    yield from _wrong_order([datetime.fromisoformat(item["date_published"]) for item in feed["items"]])


def _wrong_in_json_item(item) -> Iterator[str]:
    yield from _wrong_members(item, ITEM_MEMBERS, required={"id", "url", "content_html", "date_published", "authors"})
    for date in ("date_published", "date_modified"):
        if datetime.fromisoformat(item[date]).tzinfo is None:
            yield f"{date} has no zone"
    if not all(isinstance(tag, str) and tag for tag in item.get("tags", [])):
        yield "a tag is no text"
    for author in item["authors"]:
        if not set(author) <= {"name", "url", "avatar"} or not author:
            yield "an author has no name, or other members than name, url and avatar"
    yield from _wrong_address(item["url"])
    yield from wrong_in_html(item["content_html"])


def _wrong_members(thing, known, *, required) -> Iterator[str]:
    for name in required - set(thing):
        yield f"{name} is missing"
    for name, value in thing.items():
        if name not in known:
            yield f"{name} is no member of JSON Feed 1.1"
        elif not isinstance(value, known[name]):
            yield f"{name} is of the wrong type"


class _Checker(HTMLParser):
    """Looks at HTML as a feed reader would that does not clean it."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag in ("script", "style", "form", "iframe", "object", "embed", "base", "meta", "link"):
            self.wrong.append(f"<{tag}> in content")
        for name, value in attrs:
            if name.startswith("on") or name in ("style", "class", "id"):
                self.wrong.append(f"{name}= in content")
            if name in ("href", "src", "cite", "poster"):
                self.wrong += _wrong_address(value, also=("mailto", "tel"))

    handle_startendtag = handle_starttag


def wrong_in_html(html: str) -> list[str]:
    """Check that nothing in *html* runs, and that no address in it is relative."""
    checker = _Checker()
    checker.feed(html)
    checker.close()
    return checker.wrong


def _wrong_address(address, *, also=()) -> list[str]:
    parts = urlsplit(address or "")
    if parts.scheme in also:
        return []
    return [] if parts.scheme in ("http", "https") and parts.netloc else [f"{address!r} is no address on the web"]


def _repeated(ids) -> Iterator[str]:
    if len(ids) != len(set(ids)):
        yield "an id stands twice"


def _wrong_order(published) -> Iterator[str]:
    if published != sorted(published, reverse=True):
        yield "entries are not in order of publication, newest first"
