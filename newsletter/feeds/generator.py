"""feedgen 1.0.0 with its defects mended: whole entry links, hubs, siblings, removals, images, dates.

The last release is of 2023 and is pinned; each mend says what it mends, and the golden files would show a change.
"""

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from xml.sax.saxutils import quoteattr  # writes only

import feedgen.entry
import feedgen.feed
from feedgen.entry import FeedEntry
from feedgen.ext.base import BaseEntryExtension, BaseExtension
from feedgen.feed import FeedGenerator
from lxml import etree

from newsletter.domain.feeds import FeedFormat
from newsletter.feeds.document import Entry, Guide, Head

ATOM = "http://www.w3.org/2005/Atom"
CONTENT = "http://purl.org/rss/1.0/modules/content/"
DC = "http://purl.org/dc/elements/1.1/"
MEDIA = "http://search.yahoo.com/mrss/"
HISTORY = "http://purl.org/syndication/history/1.0"
XHTML = "http://www.w3.org/1999/xhtml"
TOMBSTONES = "http://purl.org/atompub/tombstones/1.0"
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"

GENERATOR = "Newsletter"
"""How documents name what made them: without a version, so that an upgrade alone changes no byte."""

PREFIXES = {
    FeedFormat.ATOM: {"media": MEDIA},
    FeedFormat.RSS: {"dc": DC, "media": MEDIA, "atom": ATOM, "content": CONTENT},
}
"""The namespaces that documents declare at their root."""

# Elements are made before they have a place in a document; without these lxml would call them ns0, ns1, ...
for prefix, namespace in (
    ("atom", ATOM),
    ("content", CONTENT),
    ("dc", DC),
    ("media", MEDIA),
    ("at", TOMBSTONES),
    ("fh", HISTORY),
):
    etree.register_namespace(prefix, namespace)


def rfc822(moment: datetime) -> str:
    """Return *moment* as RSS has it."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


# feedgen writes RSS dates under setlocale(), which changes the whole process while other threads run.
feedgen.entry.formatRFC2822 = feedgen.feed.formatRFC2822 = rfc822


class MendedEntry(FeedEntry):  # type: ignore[misc]  # feedgen ships no types
    """An entry whose Atom links keep rel, type and hreflang (feedgen #135), and which says its language."""

    def __init__(self, entry: Entry) -> None:
        super().__init__()
        self._language = entry.language
        self.register_extension("extras", EntryExtras)
        self.extras.entry = entry

    def atom_entry(self, extensions: bool = True) -> Any:
        """Return the entry element; feedgen overwrites each link with itself and keeps its href only."""
        element = super().atom_entry(extensions)
        written = (child for child in element if child.tag == "link")
        for child, link in zip(written, self.link() or [], strict=True):
            for name in ("rel", "type", "hreflang"):
                if link.get(name):
                    child.set(name, link[name])
        element.set(XML_LANG, self._language)
        return element


class EntryExtras(BaseEntryExtension):  # type: ignore[misc]  # feedgen ships no types
    """What feedgen cannot say of an entry: its image with a credit; in RSS its update, author and two texts apart.

    feedgen puts a summary into RSS unescaped, where readers take it for HTML, and drops an author without address.
    """

    entry: Entry

    def extend_atom(self, element: Any) -> Any:
        """Add the image, and the day for people."""
        _add_image(element, self.entry)
        _add_day(element, self.entry)
        return element

    def extend_rss(self, element: Any) -> Any:
        """Add texts, author, update and image; the description is HTML, so plain text in it is escaped twice."""
        if self.entry.summary:
            etree.SubElement(element, "description").text = _as_html(self.entry.summary)
        etree.SubElement(element, f"{{{CONTENT}}}encoded").text = self.entry.content_html
        etree.SubElement(element, f"{{{DC}}}creator").text = self.entry.author
        etree.SubElement(element, f"{{{ATOM}}}updated").text = self.entry.updated.isoformat()
        _add_image(element, self.entry)
        _add_day(element, self.entry)
        return element


class HeadExtras(BaseExtension):  # type: ignore[misc]  # feedgen ships no types
    """What feedgen cannot say of a feed: hubs, archives, other languages, removed entries, a word to people."""

    head: Head
    form: FeedFormat

    def extend_ns(self) -> dict[str, str]:
        """Return the prefixes that entries use, declared once for the document."""
        return PREFIXES[self.form]

    def extend_rss(self, element: Any) -> Any:
        """Add links to hubs, archives and siblings to the channel."""
        self._add_links(element[0], f"{{{ATOM}}}link")
        return element

    def extend_atom(self, element: Any) -> Any:
        """Add links to hubs, archives and siblings, and tombstones (RFC 6721)."""
        self._add_links(element, "link")
        for ref, when in self.head.gone:
            etree.SubElement(element, f"{{{TOMBSTONES}}}deleted-entry", ref=ref, when=when.isoformat())
        return element

    def _add_links(self, parent: Any, tag: str) -> None:
        if self.head.current:
            etree.SubElement(parent, f"{{{HISTORY}}}archive")
        for hub in self.head.hubs:
            etree.SubElement(parent, tag, rel="hub", href=hub)
        archives = (
            ("current", self.head.current),
            ("prev-archive", self.head.older),
            ("next-archive", self.head.newer),
        )
        for rel, slug in archives:
            if slug:
                etree.SubElement(parent, tag, rel=rel, type=self.form.media_type, href=self.head.url(self.form, slug))
        for sibling in self.head.siblings:
            etree.SubElement(
                parent,
                tag,
                rel="alternate",
                type=self.form.media_type,
                hreflang=sibling.language,
                title=sibling.title,
                href=self.head.sibling_url(self.form, sibling),
            )
        if self.head.guide:
            _add_guide(parent, self.head.guide, self.head)


def make_generator(head: Head, form: FeedFormat) -> FeedGenerator:
    """Return a generator for *head* without entries; one per format, since feedgen shares links between them."""
    made = FeedGenerator()
    made.register_extension("extras", HeadExtras, BaseEntryExtension)
    made.extras.head, made.extras.form = head, form
    made.id(head.id)
    made.title(head.title)
    made.description(head.description)
    made.updated(head.updated)
    made.lastBuildDate(head.updated)
    made.language(head.language)
    made.generator(GENERATOR)
    made.author(name=head.author)
    if head.slug:
        made.link(rel="self", type=form.media_type, href=head.url(form))
    # The last link becomes the RSS channel's.
    made.link(rel="alternate", type="text/html", hreflang=head.language, href=head.home_url)
    return made


def styled(document: bytes, head: Head) -> bytes:
    """Return *document* with the style sheet that makes it readable in a browser, if there is one.

    Browsers are about to lose XSLT; CSS they keep.
    """
    if head.guide is None:
        return document
    declaration, end, rest = document.partition(b"?>\n")
    address = quoteattr(head.guide.style_url).encode()
    return declaration + end + b'<?xml-stylesheet type="text/css" href=' + address + b"?>\n" + rest


def _add_guide(parent: Any, guide: Guide, head: Head) -> None:
    """Add a word to people in XHTML, whose links a browser follows and which readers of feeds pass over."""
    box = etree.SubElement(parent, f"{{{XHTML}}}aside", nsmap={None: XHTML})
    etree.SubElement(box, f"{{{XHTML}}}p").text = guide.text
    line = etree.SubElement(box, f"{{{XHTML}}}p")
    etree.SubElement(line, f"{{{XHTML}}}a", href=head.home_url).text = guide.link


def _add_day(element: Any, entry: Entry) -> None:
    """Add the day of publication in XHTML, as `_add_guide`: the formats' own times are UTC, and for programs."""
    if entry.day:
        etree.SubElement(element, f"{{{XHTML}}}time", nsmap={None: XHTML}).text = entry.day


def write_fragment(element: Any, form: FeedFormat) -> bytes:
    """Return *element* as it stands in a document, byte for byte: without the namespaces that the root declares."""
    root = etree.Element("root", nsmap=PREFIXES[form])
    root.append(element)
    written: bytes = etree.tostring(root, encoding="UTF-8")
    return written.partition(b">")[2].removesuffix(b"</root>")


def _add_image(element: Any, entry: Entry) -> None:
    image = entry.image
    if image is None:
        return
    content = etree.SubElement(element, f"{{{MEDIA}}}content", url=image.url, medium="image")
    for name, value in (("type", image.media_type), ("width", image.width), ("height", image.height)):
        if value:
            content.set(name, str(value))
    if image.alt:
        etree.SubElement(content, f"{{{MEDIA}}}description", type="plain").text = image.alt
    if image.credit:
        etree.SubElement(content, f"{{{MEDIA}}}credit").text = image.credit


def _as_html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
