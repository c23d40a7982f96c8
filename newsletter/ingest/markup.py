"""Markup: HTML from outside, made into clean paragraphs; what is not on the allow-list does not come in."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from urllib.parse import urljoin, urlsplit

import nh3
from lxml import etree
from lxml import html as lxml_html

from newsletter.domain.drafts import Paragraph, UnusableError
from newsletter.domain.prose import normalise, text_of, without_controls

LONGEST_MARKUP = 500_000
"""Characters of one body; fifty times the longest story we know of, and hostile ones take seconds, not minutes."""
LONGEST_URL = 2000


def _words(names: str) -> frozenset[str]:
    return frozenset(names.split())


_BLOCKS = _words("p h2 h3 h4 h5 h6 ul ol dl blockquote figure table pre hr")
_INLINE = _words("a abbr b br cite code del em i img ins kbd mark q s small strong sub sup time u")
_INNER = _words("li dt dd figcaption thead tbody tfoot tr th td caption")
_DROPPED = _words(
    "script style noscript template head title meta link base form input button select textarea option "
    "object embed applet frame frameset svg math canvas nav dialog"
)
_OF_WORDS = _words("p h2 h3 h4 h5 h6 pre")
_NEUTRAL = frozenset({"span", "font"})
_PLAYERS = frozenset({"iframe", "video", "audio"})
_ATTRIBUTES: dict[str, set[str]] = {
    "*": {"lang", "dir"},
    "a": {"href", "hreflang", "title"},
    "abbr": {"title"},
    "img": {"src", "alt", "width", "height"},
    "ol": {"start"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
    "time": {"datetime"},
}
_NUMBERS = frozenset({"width", "height", "colspan", "rowspan", "start"})
_SCHEMES = {"http", "https", "mailto", "tel"}
_RENAMED = {"h1": "h2", "strike": "s", "tt": "code"}
_CONTAINERS = _words("html body div section article main header footer aside center span font details summary")
_FINAL = nh3.Cleaner(
    tags=set(_BLOCKS | _INLINE | _INNER),
    attributes=_ATTRIBUTES,
    url_schemes=_SCHEMES,
    url_relative="deny",
    link_rel=None,
)
_FIRST = nh3.Cleaner(
    tags=set(_BLOCKS | _INLINE | _INNER | _CONTAINERS | _PLAYERS | set(_RENAMED) | {"source"}),
    attributes=_ATTRIBUTES | {"iframe": {"src"}, "video": {"src"}, "audio": {"src"}, "source": {"src"}},
    url_schemes=_SCHEMES,
    clean_content_tags=set(_DROPPED),
    link_rel=None,
)
"""A first pass by an HTML5 parser: what it writes, the simpler parser that cuts blocks reads as a browser would."""


@dataclass(frozen=True, slots=True)
class LeadImage:
    """An image that opens a body."""

    url: str
    alt: str = ""
    caption: str = ""
    width: int | None = None
    height: int | None = None


def paragraph_of_text(text: str) -> Paragraph:
    """Make a paragraph of plain text; what looks like markup in it is shown, not obeyed."""
    words = normalise(text)
    return Paragraph(f"<p>{escape(words, quote=False)}</p>", words)


def paragraphs_of_html(markup: str, base: str | None = None) -> tuple[Paragraph, ...]:
    """Cut *markup*, a fragment, into sanitised paragraphs, one for each top-level block; empty ones are left out.

    Kept: text structure, links, images with their alt text and size, captions, tables. Dropped with all they hold:
    scripts, styles, forms; a player becomes a link. Addresses are made absolute with *base*; those that stay
    relative, or are neither http, https, mailto nor tel, are dropped and their text stays.

    Raises:
        UnusableError: it is longer than half a million characters, or nested more than 250 levels deep.
    """
    clean = _checked(markup)
    if not clean:
        return ()
    root = _parsed(f"<html><body>{_FIRST.clean(clean)}</body></html>")
    return tuple(_paragraphs(root, base))


def sanitise(markup: str, base: str | None = None) -> str:
    """Return *markup* as `paragraphs_of_html` keeps it. Repeating it changes nothing."""
    return "\n".join(paragraph.html for paragraph in paragraphs_of_html(markup, base))


def text_of_markup(markup: str) -> str:
    """Return the words of hostile or harmless *markup* on one line, entities decoded once."""
    if "<" not in markup and "&" not in markup:
        return normalise(markup)
    return " ".join(paragraph.text for paragraph in paragraphs_of_html(markup) if paragraph.text)


def safe_url(url: object, base: str | None = None) -> str | None:
    """Return *url* absolute and on the web, without blanks and control characters; None: it is not usable."""
    if not isinstance(url, str):
        return None
    address = without_controls(url).strip()
    try:
        address = urljoin(base, address) if base else address
        parts = urlsplit(address)
        is_usable = parts.scheme in ("http", "https") and parts.hostname and not parts.username
    except ValueError:
        return None
    if not is_usable or len(address) > LONGEST_URL or any(character in ' <>"`{}|\\^' for character in address):
        return None
    return address


def take_lead_image(
    paragraphs: tuple[Paragraph, ...],
) -> tuple[LeadImage | None, tuple[Paragraph, ...]]:
    """Take the image with which a body opens out of it, so that it is not shown twice; None: it opens with words."""
    if not paragraphs or "<img" not in paragraphs[0].html:
        return None, paragraphs
    first = lxml_html.fragment_fromstring(paragraphs[0].html, create_parent="div")
    images = list(first.iter("img"))
    caption = " ".join(normalise(each.text_content()) for each in first.iter("figcaption"))
    if len(images) != 1 or paragraphs[0].text != caption or images[0].getparent().tag == "a":
        return None, paragraphs
    image = images[0]
    lead = LeadImage(
        image.get("src"), normalise(image.get("alt", "")), caption, _number(image, "width"), _number(image, "height")
    )
    return lead, paragraphs[1:]


def _number(element: etree._Element, name: str) -> int | None:
    value = element.get(name, "")
    return int(value) if value.isdigit() else None


def _checked(markup: str) -> str:
    """Return *markup* without characters that are not seen.

    The depth is looked at by the parser that gives up early: an HTML5 parser takes minutes over 100,000 levels.
    """
    if len(markup) > LONGEST_MARKUP:
        raise UnusableError(f"its body has {len(markup):,} characters; at most {LONGEST_MARKUP:,} are taken")
    clean = without_unseen(markup).strip()
    if "<" in clean:
        _parsed(f"<html><body>{clean}</body></html>")
    return clean


def without_unseen(markup: str) -> str:
    """Return *markup* without control characters but line breaks."""
    return "\n".join(without_controls(line) for line in markup.split("\n"))


def parse_page(markup: str) -> etree._Element:
    """Parse a whole page without fetching or expanding anything; what it holds is not sanitised.

    Raises:
        UnusableError: it is nested more than 250 levels deep, or empty.
    """
    if not markup.strip():
        raise UnusableError("the page is empty")
    return _parsed(without_unseen(markup))


def _parsed(markup: str) -> etree._Element:
    parser = lxml_html.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True)
    try:
        root = lxml_html.document_fromstring(markup.encode(), parser=parser)
    except etree.ParserError as error:
        raise UnusableError("there is no element in its markup") from error
    if any("depth" in entry.message for entry in parser.error_log):
        raise UnusableError("its markup is nested more than 250 levels deep; no article is")
    return root


def _paragraphs(root: etree._Element, base: str | None) -> Iterator[Paragraph]:
    _prepare(root, base)
    walk = _Blocks()
    walk.visit(root)
    for block in walk.finished():
        clean = _FINAL.clean(block).strip()
        words = text_of(clean)
        if words or "<img" in clean or clean == "<hr>":
            yield Paragraph(clean, words)


def _prepare(root: etree._Element, base: str | None) -> None:
    """Drop what does not come in, make addresses absolute and normalise words, in place."""
    for element in list(root.iter()):
        _prepare_element(element, base)
    for element in root.iter():
        _normalise_element(element)


def _prepare_element(element: etree._Element, base: str | None) -> None:
    if element.tag in _DROPPED:
        _drop(element)
    elif element.tag in _PLAYERS:
        _replace_player(element, base)
    elif element.tag == "img":
        _prepare_image(element, base)
    elif element.tag == "a" and (href := element.get("href")) is not None:
        _set_link(element, href, base)


def _normalise_element(element: etree._Element) -> None:
    element.tag = _RENAMED.get(element.tag, element.tag)
    for name in _NUMBERS & set(element.keys()):
        if not re.fullmatch(r"[0-9]{1,5}", element.get(name, "")):
            del element.attrib[name]
    if element.tag != "pre":
        element.text = _inline_text(element.text)
    element.tail = _inline_text(element.tail)


def _prepare_image(element: etree._Element, base: str | None) -> None:
    source = safe_url(element.get("src"), base)
    if source is None:
        _drop(element)
        return
    element.set("src", source)
    element.set("alt", normalise(element.get("alt", "")))


def _set_link(element: etree._Element, href: str, base: str | None) -> None:
    address = "".join(without_controls(href).split())
    if urlsplit_scheme(address) in ("mailto", "tel"):
        element.set("href", address)
    elif absolute := safe_url(href, base):
        element.set("href", absolute)
    else:
        del element.attrib["href"]


def urlsplit_scheme(address: str) -> str:
    """Return the scheme of *address* in small letters; empty where there is none or it cannot be read."""
    try:
        return urlsplit(address).scheme
    except ValueError:
        return ""


def _replace_player(element: etree._Element, base: str | None) -> None:
    """Put a link where a video, an audio or an embedded page was; mails and feed readers show none of them."""
    sources = [element.get("src"), *(child.get("src") for child in element.iter("source"))]
    address = next((url for source in sources if (url := safe_url(source, base))), None)
    if address is None:
        _drop(element)
        return
    tail = element.tail
    element.clear()
    element.tag, element.tail = "p", tail
    link = etree.SubElement(element, "a", href=address)
    link.text = address


def _drop(element: etree._Element) -> None:
    """Take *element* and all it holds out of its parent; the text after it stays."""
    if element.getparent() is not None:
        element.drop_tree()


def _inline_text(text: str | None) -> str | None:
    """Normalise a run of text and keep one blank at either end where there was one."""
    if not text:
        return text
    words = normalise(text)
    if not words:
        return " "
    return (" " if text[0].isspace() else "") + words + (" " if text[-1].isspace() else "")


@dataclass(slots=True)
class _Blocks:
    """Cuts a tree into top-level blocks: containers are opened, loose text and inline elements gather in paragraphs."""

    blocks: list[str] = field(default_factory=list)
    loose: list[str] = field(default_factory=list)

    def visit(self, container: etree._Element) -> None:
        self._text(container.text)
        for child in container:
            self._child(child)
            self._text(child.tail)

    def finished(self) -> list[str]:
        self._close()
        return self.blocks

    def _child(self, child: etree._Element) -> None:
        is_inline = child.tag in _INLINE or child.tag in _NEUTRAL
        holds_words_only = all(each.tag in _INLINE or each.tag in _NEUTRAL for each in child.iterdescendants())
        if is_inline and holds_words_only:
            self.loose.append(_serialised(child))
        elif is_inline:
            self.visit(child)
        elif child.tag in _BLOCKS and (holds_words_only or child.tag not in _OF_WORDS):
            self._close()
            self.blocks.append(_serialised(child))
        else:
            self._close()
            self.visit(child)
            self._close()

    def _text(self, text: str | None) -> None:
        if text:
            self.loose.append(escape(text, quote=False))

    def _close(self) -> None:
        gathered = "".join(self.loose).strip()
        self.loose.clear()
        if gathered:
            self.blocks.append(f"<p>{gathered}</p>")


def _serialised(element: etree._Element) -> str:
    written: str = lxml_html.tostring(element, encoding="unicode", with_tail=False)
    return written
