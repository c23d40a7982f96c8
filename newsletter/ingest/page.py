"""Pages: one article in a saved HTML page, found by what the page says about itself."""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from lxml import etree
from lxml import html as lxml_html

from newsletter.domain.drafts import Draft
from newsletter.domain.prose import normalise, shorten
from newsletter.ingest.decoding import decode
from newsletter.ingest.document import Document, collect
from newsletter.ingest.fields import LARGEST_DIGITS, LONGEST_SUMMARY, LONGEST_TITLE, Defaults, FieldReader
from newsletter.ingest.markdown import render
from newsletter.ingest.markup import parse_page, safe_url

_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([a-zA-Z0-9_-]{2,40})""", re.IGNORECASE)
_AROUND = ("nav", "header", "footer", "aside", "form", "dialog")


def read_page(content: bytes, defaults: Defaults) -> Document:
    """Read one article: what stands in `article` or `main`, else in the body without menus and footers.

    Title, date, language, address, summary and image come from the page's meta elements, the title also from its
    first heading.

    Raises:
        InvalidError: it is no text.
    """
    decoded = decode(content, declared_charset(content))
    return collect([("", lambda: _read(decoded.text, defaults))], [decoded.warning] if decoded.warning else [])


def declared_charset(content: bytes) -> str | None:
    """Return the encoding that a page says it is in."""
    declared = _CHARSET.search(content[:4096])
    return declared[1].decode("ascii") if declared else None


def _read(text: str, defaults: Defaults) -> Draft:
    page = parse_page(text)
    facts = meta_of(page)
    url = next((found for link in page.iter("link") if (found := _canonical(link))), None) or safe_url(
        facts.get("og:url")
    )
    main = _main(page)
    heading = next(main.iter("h1"), None)
    title = facts.get("og:title") or (normalise(heading.text_content()) if heading is not None else "")
    title = title or next((normalise(each.text_content()) for each in page.iter("title")), "")
    if heading is not None and heading.getparent() is not None:
        heading.drop_tree()
    time = next((each.get("datetime") for each in main.iter("time") if each.get("datetime")), None)
    fields = {
        "title": title,
        "published": facts.get("article:published_time") or facts.get("date") or time,
        "language": (page.get("lang") or "").partition("-")[0] or None,
        "source": facts.get("og:site_name"),
        "url": url,
        "summary": shorten(facts.get("og:description") or facts.get("description") or "", LONGEST_SUMMARY),
        "html": lxml_html.tostring(main, encoding="unicode", with_tail=False),
        "image": asdict(image) if (image := image_of(facts, url)) else None,
    }
    return FieldReader(defaults, render).read({name: value for name, value in fields.items() if value})


def meta_of(page: etree._Element) -> dict[str, str]:
    """Return the page's meta elements by name, the first of each."""
    facts: dict[str, str] = {}
    for meta in page.iter("meta"):
        name, value = (meta.get("property") or meta.get("name") or "").lower(), normalise(meta.get("content") or "")
        if name and value:
            facts.setdefault(name, value)
    return facts


def _canonical(link: etree._Element) -> str | None:
    return safe_url(link.get("href")) if "canonical" in (link.get("rel") or "").split() else None


def _main(page: etree._Element) -> etree._Element:
    """Return the element that holds the article; menus and the like are taken out of it."""
    found = ([*page.iter("article")], [*page.iter("main")], [*_with_role(page, "main")], [*page.iter("body")], [page])
    main = max(next(each for each in found if each), key=lambda each: len(each.text_content()))
    for name in _AROUND:
        for around in list(main.iter(name)):
            if around is not main and not (name == "header" and next(around.iter("h1"), None) is not None):
                around.drop_tree()
    return main


def _with_role(page: etree._Element, role: str) -> Iterator[etree._Element]:
    return (each for each in page.iter() if isinstance(each.tag, str) and each.get("role") == role)


@dataclass(frozen=True, slots=True)
class PageImage:
    """The image that a page shows when it is shared."""

    url: str
    alt: str = ""
    width: int | None = None
    height: int | None = None


def image_of(facts: dict[str, str], base: str | None) -> PageImage | None:
    """Return the image of a page, from its meta elements."""
    url = safe_url(facts.get("og:image"), base)
    if url is None:
        return None
    return PageImage(
        url,
        shorten(facts.get("og:image:alt", ""), LONGEST_TITLE),
        _pixels(facts.get("og:image:width", "")),
        _pixels(facts.get("og:image:height", "")),
    )


def _pixels(text: str) -> int | None:
    return int(text) or None if text.isascii() and text.isdecimal() and len(text) <= LARGEST_DIGITS else None
