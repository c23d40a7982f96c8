"""What a feed says, whatever the format: a head and its entries, newest first."""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from html import escape
from typing import NamedTuple

from newsletter.domain.feeds import FeedFormat, feed_address

# What XML 1.0 (2.2, Char) does not allow, one of which would lose a reader the whole document; and the controls from
# U+007F to U+009F, which it discourages and which readers take for letters of an old Windows encoding.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def clean(text: str) -> str:
    """Return *text* without characters that have no place in a document, and with one kind of line end."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _FORBIDDEN.sub("", text)


def clean_line(text: str) -> str:
    """Return *text* cleaned, as one line: each run of white space is a space."""
    return " ".join(clean(text).split())


@dataclass(frozen=True, slots=True)
class Category:
    """A topic or a kind: *term* survives renames, *label* is its name in the feed's language."""

    term: str
    scheme: str
    label: str


@dataclass(frozen=True, slots=True)
class Image:
    """An entry's lead image; its size is None where it is not known."""

    url: str
    alt: str = ""
    credit: str = ""
    width: int | None = None
    height: int | None = None

    @property
    def media_type(self) -> str | None:
        """What its suffix says; None where it says nothing."""
        path = self.url.partition("?")[0].partition("#")[0]
        return _MEDIA_TYPES.get(path.rpartition(".")[2].lower())


# Not from the machine's own table, which differs between machines: the same data must give the same bytes.
_MEDIA_TYPES = {
    "avif": "image/avif",
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "png": "image/png",
    "svg": "image/svg+xml",
    "webp": "image/webp",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """An article in a feed, in one language; made by `newsletter.feeds.entries.make_entry`.

    Texts are clean, *content_html* is sanitised and whole (image and event details too) with absolute addresses,
    times are whole seconds in UTC; *day* is the day of publication in words, for people alone. Two entries that would
    be written alike are equal; an entry stands in a dozen feeds and is looked up in each, so that its hash and what it
    is in brief are kept.
    """

    article_id: int
    id: str
    url: str
    title: str
    summary: str
    content_html: str
    language: str
    published: datetime
    updated: datetime
    author: str
    categories: tuple[Category, ...] = ()
    image: Image | None = None
    day: str = ""
    _hash: int = field(init=False, repr=False, compare=False)
    _brief: "Entry | None" = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        said = (self.id, self.language, self.updated, self.title, self.summary, self.content_html, self.categories)
        object.__setattr__(self, "_hash", hash(said))

    def __hash__(self) -> int:
        return self._hash

    def in_brief(self) -> "Entry":
        """Return the entry with its summary for content, for documents that would grow too large."""
        if self._brief is None:
            text = self.summary or self.title
            brief = replace(self, content_html=f"<p>{escape(text, quote=False)}</p>")
            object.__setattr__(self, "_brief", brief)
            return brief
        return self._brief


class Sibling(NamedTuple):
    """The same feed in another language."""

    slug: str
    language: str
    title: str
    query: str = ""


class Guide(NamedTuple):
    """What a document says to a person who opens it in a browser, in the feed's language; *style_url* makes it a page.

    *text* says what a feed is and what to do with its address, *link* is the label of the link to the page for people.
    """

    text: str
    link: str
    style_url: str


class Head(NamedTuple):
    """What a feed says of itself; *home_url* is the page for people.

    A tuple, since it is compared and copied for each document, which a dataclass takes ten times as long for.

    *slug* and *query* make its addresses; without a slug it says none, since it is served to several readers at one
    each of their own. *updated*: the last significant change of an entry, or removal of one. *gone*: ids that were
    taken out, and when. An archive names the feed's *current* document; *older* and *newer* are the archives beside
    (RFC 5005, 4); these three are slugs as well.
    """

    id: str
    slug: str
    title: str
    description: str
    language: str
    base_url: str
    home_url: str
    author: str
    updated: datetime
    logo_url: str = ""
    siblings: tuple[Sibling, ...] = ()
    hubs: tuple[str, ...] = ()
    gone: tuple[tuple[str, datetime], ...] = ()
    query: str = ""
    current: str = ""
    older: str = ""
    newer: str = ""
    guide: Guide | None = None

    def url(self, form: FeedFormat, slug: str | None = None) -> str:
        """Return the address of this feed in a format, or of one that differs from it in its *slug* alone."""
        return feed_address(self.base_url, slug or self.slug, form, self.query)

    def sibling_url(self, form: FeedFormat, sibling: Sibling) -> str:
        """Return the address of the same feed in another language."""
        return feed_address(self.base_url, sibling.slug, form, sibling.query)


@dataclass(frozen=True, slots=True)
class FeedDocument:
    """A feed's whole content."""

    head: Head
    entries: tuple[Entry, ...]
