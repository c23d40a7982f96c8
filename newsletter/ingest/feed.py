"""Feeds: an RSS, RDF or Atom document, read leniently; nothing is fetched."""

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from html import unescape
from typing import Any

import feedparser
from lxml import etree

from newsletter.domain.articles import Kind
from newsletter.domain.drafts import Draft, UnusableError
from newsletter.domain.prose import fold, normalise, shorten
from newsletter.errors import InvalidError
from newsletter.ingest.document import Document, FeedFacts, collect
from newsletter.ingest.fields import LONGEST_NAME, LONGEST_SUMMARY, LONGEST_TITLE, MOST_TOPICS, Defaults, FieldReader
from newsletter.ingest.markdown import render
from newsletter.ingest.markup import safe_url, take_lead_image, text_of_markup

LONGEST_DESCRIPTION = 500
"""A description of more characters, without content beside it, is the article itself."""
MOST_TAGS = 300_000
"""Begins of tags; ten times what the largest feed we know of has, and hostile ones take seconds, not minutes."""
LAST_CHARACTER = 0x10FFFF
LONGEST_REFERENCE = 12
"""Digits, leading zeros among them; Python refuses to read thousands of them."""
_SURROGATES = range(0xD800, 0xE000)
_REFERENCE = re.compile(rb"&#(x[0-9a-fA-F]+|[0-9]+);?")
LONGEST_TTL = timedelta(days=7)
_ATOM, _TOMBSTONES, _HISTORY, _SYNDICATION = (
    "{http://www.w3.org/2005/Atom}",
    "{http://purl.org/atompub/tombstones/1.0}",
    "{http://purl.org/syndication/history/1.0}",
    "{http://purl.org/rss/1.0/modules/syndication/}",
)
_PERIODS = {"hourly": 1, "daily": 24, "weekly": 7 * 24, "monthly": 30 * 24, "yearly": 365 * 24}
_DAY = re.compile(r"\s*\d{4}-\d{2}-\d{2}\s*")
_KINDS = {fold(kind.replace("_", " ")) + plural: kind for kind in Kind for plural in ("", "s")} | {
    "stories": Kind.STORY
}


def read_feed(content: bytes, defaults: Defaults, *, declared: str | None = None) -> Document:
    """Read the entries of an RSS, RDF or Atom document; *declared*: the encoding that came with it.

    An entry is known by its id, else its link. Its kind is a category that names one, its topics are the other
    categories. A short description beside no content is a summary: the article is at the link.

    Raises:
        InvalidError: it is no feed, or is built to be a burden.
    """
    root = _tree(content)
    headers = (
        {"content-type": f"application/xml; charset={charset}"} if (charset := _charset(content, declared)) else {}
    )
    possible = _REFERENCE.sub(_possible, content)  # feedparser raises on those that name no character
    try:
        parsed = feedparser.parse(
            io.BytesIO(possible), sanitize_html=False, resolve_relative_uris=True, response_headers=headers
        )
    except Exception as error:
        raise InvalidError(f"the feed cannot be read: it breaks the parser ({type(error).__name__})") from error
    if not parsed.get("version") and not parsed.entries:  # of nothing at all feedparser makes no version
        raise InvalidError(_why_no_feed(content, parsed))
    channel = parsed.feed
    language = language_of(channel.get("language")) or defaults.language
    source = _shown(channel)[:LONGEST_NAME]
    site = safe_url(channel.get("link"))
    warnings = []
    if parsed.bozo and not isinstance(parsed.bozo_exception, feedparser.CharacterEncodingOverride):
        warnings.append(f"the feed is damaged ({normalise(str(parsed.bozo_exception))[:100]}); entries may be missing")
    items = ((_shown(entry), partial(_read_entry, entry, language, source, site, defaults)) for entry in parsed.entries)
    return replace(collect(items, warnings), feed=_facts(parsed, root, source))


def _tree(content: bytes) -> Any:
    """Return the document as far as a strict parser reads it, nothing fetched and no entity expanded; None: not at all.

    Raises:
        InvalidError: it has more tags, or is nested deeper, than any feed.
    """
    tags = content.count(b"<")
    if tags > MOST_TAGS:
        raise InvalidError(f"the feed has {tags:,} tags; at most {MOST_TAGS:,} are taken")
    parser = etree.XMLParser(recover=True, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError):
        root = None
    if any("depth" in entry.message for entry in parser.error_log):
        raise InvalidError("the feed is nested more than 250 levels deep; no feed is")
    return root


def _possible(reference: re.Match[bytes]) -> bytes:
    number = reference[1].lower()
    digits, base = (number[1:], 16) if number.startswith(b"x") else (number, 10)
    code = int(digits, base) if len(digits) <= LONGEST_REFERENCE else 0
    is_character = 0 < code <= LAST_CHARACTER and code not in _SURROGATES
    return reference[0] if is_character else b"&#xFFFD;"


def _charset(content: bytes, declared: str | None) -> str | None:
    """Return the encoding to read *content* in, where its own declaration is not to decide.

    Bytes beyond ASCII that make UTF-8 are UTF-8, whatever a server says: text in another encoding hardly ever does.
    """
    if declared is None or content.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return None
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return declared
    return None if content.isascii() else "utf-8"


def _facts(parsed: Any, root: Any, title: str) -> FeedFacts:
    links = [each for each in parsed.feed.get("links", []) if isinstance(each, dict)]
    by_rel = {str(each.get("rel")): safe_url(each.get("href")) for each in reversed(links)}
    removed, is_complete, hours = [], False, None
    wanted = (f"{_TOMBSTONES}deleted-entry", f"{_HISTORY}complete", f"{_SYNDICATION}updatePeriod")
    for element in root.iter(*wanted) if root is not None else ():  # names of others may be no text at all
        if element.tag == f"{_TOMBSTONES}deleted-entry" and element.get("ref"):
            removed.append(element.get("ref"))
        elif element.tag == f"{_HISTORY}complete":
            is_complete = True
        elif element.tag == f"{_SYNDICATION}updatePeriod":
            hours = _PERIODS.get((element.text or "").strip().lower())
    return FeedFacts(title, by_rel.get("hub"), by_rel.get("self"), _ttl(parsed, hours), is_complete, tuple(removed))


def _ttl(parsed: Any, hours: int | None) -> timedelta | None:
    """Return how long the feed asks to be left alone: RSS' minutes, else the period of the syndication module."""
    minutes = str(parsed.feed.get("ttl", "")).strip()
    if minutes.isascii() and minutes.isdecimal() and len(minutes) < 9:  # noqa: PLR2004  a longer number is no time
        return min(timedelta(minutes=int(minutes)), LONGEST_TTL)
    frequency = str(parsed.feed.get("sy_updatefrequency", "")).strip()
    if hours is None:
        return None
    times = int(frequency) if frequency.isascii() and frequency.isdecimal() and len(frequency) < 4 else 1  # noqa: PLR2004  the same
    return min(timedelta(hours=hours) / max(times, 1), LONGEST_TTL)


def _read_entry(entry: Any, language: str, source: str, site: str | None, defaults: Defaults) -> Draft:
    url = safe_url(entry.get("link"), site)
    body, summary = _body_and_summary(entry)
    names = [normalise(tag.get("term") or tag.get("label") or "") for tag in entry.get("tags", [])]
    kinds = [kind for name in names if (kind := kind_of(name))]
    title = _title(entry)
    if len(title) > LONGEST_TITLE:
        raise UnusableError(f"title: has {len(title):,} characters; at most {LONGEST_TITLE} are taken")
    fields = {
        "id": entry.get("id") or None,
        "kind": kinds[0] if kinds else None,
        "title": title,
        "published": _published(entry),
        "language": language_of(entry.get("title_detail", {}).get("language")) or language,
        "source": source or None,
        "url": url,
        "summary": summary,
        "html": body,
        "topics": [name for name in names if name and not kind_of(name)][:MOST_TOPICS],
        "image": _image(entry, url or site),
        "updated": _updated(entry),
    }
    return with_alt_text(FieldReader(defaults, render).read({name: value for name, value in fields.items() if value}))


def with_alt_text(draft: Draft) -> Draft:
    """Return *draft* with its image's alt text and caption where only the body has them, and the image shown once."""
    own = draft.own
    if not draft.image_url:
        return draft
    lead, rest = take_lead_image(own.paragraphs)
    if lead and lead.url == draft.image_url:
        own = replace(own, paragraphs=rest, image_credit=own.image_credit or lead.caption)
        own = replace(own, image_alt=own.image_alt or lead.alt)
    if not own.image_alt:
        own = replace(own, image_alt=next(_alts(own.body_html, draft.image_url), ""))
    return draft if own is draft.own else replace(draft, texts=(own, *draft.texts[1:]))


def _alts(body_html: str, image_url: str) -> Iterator[str]:
    for found in _IMAGE.finditer(body_html):
        attributes = dict(_ATTRIBUTE.findall(found[0]))
        if unescape(attributes.get("src", "")) == image_url and attributes.get("alt"):
            yield unescape(attributes["alt"])


_IMAGE = re.compile(r"<img\b[^>]*>")
_ATTRIBUTE = re.compile(r'([a-z]+)="([^"]*)"')


def _updated(entry: Any) -> str | None:
    """Return when the source last called the entry changed; feedparser would give the publication time for none."""
    when = dict.get(entry, "updated_parsed")
    return "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}+00:00".format(*when[:6]) if when else None


def _body_and_summary(entry: Any) -> tuple[str, str]:
    """Return the entry's body as HTML and its summary as text."""
    contents = [each.value for each in entry.get("content", []) if each.get("value")]
    description = entry.get("summary") or ""
    if contents:
        body = max(contents, key=len)
        summary = text_of_markup(description) if description and description not in contents else ""
        return body, summary if len(summary) <= LONGEST_DESCRIPTION else ""
    if len(text_of_markup(description)) > LONGEST_DESCRIPTION:
        return description, ""
    return "", shorten(text_of_markup(description), LONGEST_SUMMARY)


def _title(entry: Any) -> str:
    return text_of_markup(entry.get("title") or "")


def _shown(titled: Any) -> str:
    """Return the title of a feed or an entry to show; what cannot be used as one is none."""
    try:
        return _title(titled)
    except UnusableError:
        return ""


def _published(entry: Any) -> str | date | None:
    """Return the time as ISO 8601 in UTC, or the day where the feed gives a day only."""
    for name in ("published", "updated"):
        said = dict.get(entry, name)  # feedparser's own `get` gives one date for the other, and warns of it
        if _DAY.fullmatch(said or ""):
            return str(said).strip()
        if when := dict.get(entry, f"{name}_parsed"):
            return "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}+00:00".format(*when[:6])
        if said:
            return str(said)
    return None


def _image(entry: Any, base: str | None) -> dict[str, Any] | None:
    media = [*entry.get("media_content", []), *entry.get("enclosures", []), *entry.get("media_thumbnail", [])]
    for each in media:
        kind = f"{each.get('type', '')} {each.get('medium', '')}"
        url = safe_url(each.get("url") or each.get("href"), base)
        if url and ("image" in kind or each in entry.get("media_thumbnail", [])):
            return {"url": url, "width": each.get("width"), "height": each.get("height"), "alt": _alt(entry)}
    return None


def _alt(entry: Any) -> str:
    """Return what a feed says of its image; Media RSS has no alt text, and a description is what comes nearest."""
    return shorten(text_of_markup(entry.get("media_description", "") or ""), LONGEST_TITLE)


def kind_of(name: str) -> Kind | None:
    """Return the kind that a category called *name* means; None: it means another thing."""
    return _KINDS.get(fold(name))


def language_of(code: str | None) -> str | None:
    """Return the language of a code without its region: en-us is en."""
    match = re.match(r"\s*([A-Za-z]{2,3})(?:[-_]|\s*$)", code or "")
    return match[1].lower() if match else None


def _why_no_feed(content: bytes, parsed: Any) -> str:
    if b"<html" in content[:2000].lower():
        return "this is a web page, not a feed; save the feed itself, or name the file .html"
    reason = normalise(str(parsed.get("bozo_exception", "")))
    return f"no RSS or Atom feed was found{f' ({reason[:100]})' if reason else ''}"
