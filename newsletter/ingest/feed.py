"""Feeds: a saved RSS or Atom document, read leniently; nothing is fetched."""

import io
import re
from datetime import date
from functools import partial
from typing import Any

import feedparser

from newsletter.domain.articles import Kind
from newsletter.domain.drafts import Draft, UnusableError
from newsletter.domain.prose import fold, normalise, shorten
from newsletter.errors import InvalidError
from newsletter.ingest.document import Document, collect
from newsletter.ingest.fields import LONGEST_NAME, LONGEST_SUMMARY, LONGEST_TITLE, MOST_TOPICS, Defaults, FieldReader
from newsletter.ingest.markdown import render
from newsletter.ingest.markup import safe_url, text_of_markup

LONGEST_DESCRIPTION = 500
"""A description of more characters, without content beside it, is the article itself."""
_DAY = re.compile(r"\s*\d{4}-\d{2}-\d{2}\s*")
_KINDS = {fold(kind.replace("_", " ")) + plural: kind for kind in Kind for plural in ("", "s")} | {
    "stories": Kind.STORY
}


def read_feed(content: bytes, defaults: Defaults) -> Document:
    """Read the entries of an RSS or Atom document.

    An entry is known by its id, else its link. Its kind is a category that names one, its topics are the other
    categories. A short description beside no content is a summary: the article is at the link.

    Raises:
        InvalidError: it is no feed.
    """
    parsed = feedparser.parse(io.BytesIO(content), sanitize_html=False, resolve_relative_uris=True)
    if not parsed.version and not parsed.entries:
        raise InvalidError(_why_no_feed(content, parsed))
    channel = parsed.feed
    language = _language(channel.get("language")) or defaults.language
    source = text_of_markup(channel.get("title", ""))[:LONGEST_NAME]
    site = safe_url(channel.get("link"))
    warnings = []
    if parsed.bozo and not isinstance(parsed.bozo_exception, feedparser.CharacterEncodingOverride):
        warnings.append(f"the feed is damaged ({normalise(str(parsed.bozo_exception))[:100]}); entries may be missing")
    items = ((_title(entry), partial(_read_entry, entry, language, source, site, defaults)) for entry in parsed.entries)
    return collect(items, warnings)


def _read_entry(entry: Any, language: str, source: str, site: str | None, defaults: Defaults) -> Draft:
    url = safe_url(entry.get("link"), site)
    body, summary = _body_and_summary(entry)
    names = [normalise(tag.get("term") or tag.get("label") or "") for tag in entry.get("tags", [])]
    kinds = [_KINDS[fold(name)] for name in names if fold(name) in _KINDS]
    title = _title(entry)
    if len(title) > LONGEST_TITLE:
        raise UnusableError(f"title: has {len(title):,} characters; at most {LONGEST_TITLE} are taken")
    fields = {
        "id": entry.get("id") or None,
        "kind": kinds[0] if kinds else None,
        "title": title,
        "published": _published(entry),
        "language": _language(entry.get("title_detail", {}).get("language")) or language,
        "source": source or None,
        "url": url,
        "summary": summary,
        "html": body,
        "topics": [name for name in names if name and fold(name) not in _KINDS][:MOST_TOPICS],
        "image": _image(entry, url or site),
    }
    return FieldReader(defaults, render).read({name: value for name, value in fields.items() if value})


def _body_and_summary(entry: Any) -> tuple[str, str]:
    """Return the entry's body as HTML and its summary as text."""
    contents = [each.value for each in entry.get("content", []) if each.get("value")]
    description = entry.get("summary", "")
    if contents:
        body = max(contents, key=len)
        summary = text_of_markup(description) if description and description not in contents else ""
        return body, summary if len(summary) <= LONGEST_DESCRIPTION else ""
    if len(text_of_markup(description)) > LONGEST_DESCRIPTION:
        return description, ""
    return "", shorten(text_of_markup(description), LONGEST_SUMMARY)


def _title(entry: Any) -> str:
    return text_of_markup(entry.get("title", ""))


def _published(entry: Any) -> str | date | None:
    """Return the time as ISO 8601 in UTC, or the day where the feed gives a day only."""
    for name in ("published", "updated"):
        if _DAY.fullmatch(entry.get(name) or ""):
            return str(entry[name]).strip()
        if when := entry.get(f"{name}_parsed"):
            return "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}+00:00".format(*when[:6])
        if entry.get(name):
            return str(entry[name])
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
    return shorten(text_of_markup(entry.get("media_description", "") or ""), LONGEST_TITLE)


def _language(code: str | None) -> str | None:
    """Return the language of a code without its region: en-us is en."""
    match = re.match(r"\s*([A-Za-z]{2,3})(?:[-_]|\s*$)", code or "")
    return match[1].lower() if match else None


def _why_no_feed(content: bytes, parsed: Any) -> str:
    if b"<html" in content[:2000].lower():
        return "this is a web page, not a feed; save the feed itself, or name the file .html"
    reason = normalise(str(parsed.get("bozo_exception", "")))
    return f"no RSS or Atom feed was found{f' ({reason[:100]})' if reason else ''}"
