"""Looks at what is served for anything that could act: markup that came from outside, and lines that nobody wrote."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import feedparser
import httpx
from lxml import html as lxml_html

EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>&amp;"
"""Markup that closes what stands around it, for every text that comes from outside."""
EVIL_LINES = "The hall\r\nATTENDEE:mailto:v@example.org\nX-EVIL:1"
EVIL_URL = "javascript:alert(1)"
SCHEMES = ("", "http", "https", "mailto", "tel")
LEADING = ("href", "src", "action", "formaction", "data", "poster", "background", "cite", "srcdoc")
ACTING = (
    "object",
    "embed",
    "applet",
    "math",
    "foreignobject",
    "animate",
    "set",
    "base",
    "meta[@http-equiv]",
    "img[@src='x']",
)


def harm_in(answer: httpx.Response) -> list[str]:
    """Return what in an answer could act though nobody of ours wrote it."""
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if not answer.content:
        return []
    if kind == "text/html":
        return list(harm_in_markup(answer.text, answer.headers["content-security-policy"]))
    if kind in ("application/atom+xml", "application/rss+xml", "application/xml") and "/feeds" in str(answer.url):
        return list(_harm_in_feed(answer.content))
    if kind == "application/feed+json":
        items = json.loads(answer.text)["items"]
        return [harm for item in items for harm in harm_in_markup(item.get("content_html", ""))]
    if kind == "text/calendar":
        return re.findall(r"^(?:ATTENDEE|X-EVIL).*", answer.text, re.MULTILINE)
    return []


def harm_in_markup(markup: str, policy: str = "") -> Iterator[str]:
    """Yield scripts that *policy* does not name, what acts by itself, and addresses that are no addresses."""
    tree = lxml_html.document_fromstring(markup)
    for script in tree.iter("script"):
        text = (script.text or "").encode()
        if f"'sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}'" not in policy:
            yield f"a script: {text[:80]!r}"
    for name in ACTING:
        yield from (f"<{name}>" for _ in tree.xpath(f"//{name}"))
    for element in tree.iter():
        for name, value in element.attrib.items():
            if name.lower().startswith("on") or (name.lower() in LEADING and _scheme(value) not in SCHEMES):
                yield f"{name}={value[:80]}"


def _scheme(address: str) -> str:
    """Return what a browser would take for the scheme: it skips blanks and control characters."""
    return urlsplit(re.sub(r"[\x00-\x20]", "", address)).scheme.lower()


def _harm_in_feed(content: bytes) -> Iterator[str]:
    found = feedparser.parse(content, sanitize_html=False, resolve_relative_uris=False)
    for entry in found.entries:
        for each in [*entry.get("content", []), entry.get("summary_detail", {}), entry.get("title_detail", {})]:
            if each.get("type") in ("text/html", "application/xhtml+xml"):
                yield from harm_in_markup(each["value"])
        for link in entry.get("links", []):
            if urlsplit(link["href"]).scheme not in SCHEMES:
                yield f"a link to {link['href']}"
