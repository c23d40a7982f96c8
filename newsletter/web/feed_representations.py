"""Representations of feed documents: the bytes and headers of each coding, put together once and sent to all."""

from dataclasses import dataclass

from newsletter.domain.feeds import CALENDAR, FeedFormat
from newsletter.services.feed_documents import ServedDocument
from newsletter.web.bare_answers import CLOSED, OPEN_TO_ALL, RawHeaders, raw
from newsletter.web.validators import Coding, http_date

CACHE_CONTROL = "public, max-age=300, stale-while-revalidate=60, stale-if-error=86400"
"""How often to ask again: the only hint that all readers understand (RFC 9111, RFC 5861)."""
ARCHIVE_CACHE_CONTROL = "public, max-age=86400, stale-if-error=604800"
"""Archives seldom change; but what was withdrawn must not be shown by caches for a year."""
PRIVATE_CACHE_CONTROL = "private, max-age=300"


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a document is served: *links* it names, and whether it is its reader's alone."""

    cache_control: str = CACHE_CONTROL
    links: str = ""
    is_private: bool = False


@dataclass(frozen=True, slots=True)
class Representation:
    """A document in one coding: its entity tag, the headers of a 200 and of a 304, and the bytes."""

    etag: str
    found: RawHeaders
    not_modified: RawHeaders
    body: bytes


def represent(document: ServedDocument, coding: Coding, terms: Terms, *, is_opened: bool) -> Representation:
    """Put the headers of one representation together; each coding has an entity tag of its own (8.8.3.3).

    *is_opened*: a person opened it in a browser, which says so. Browsers show what is called a feed as bare text, and
    what is called XML by its style sheet; so it is called that, for this browser alone and no cache between.
    """
    content_type, cache_control = _content_type(document.name), terms.cache_control
    if is_opened and "+xml" in content_type:
        content_type, cache_control = "application/xml; charset=utf-8", PRIVATE_CACHE_CONTROL
    etag = f'"{document.etag}{coding.tag_suffix}"'
    shared = [
        ("etag", etag),
        ("last-modified", http_date(document.last_modified)),
        ("cache-control", cache_control),
        ("vary", "Accept-Encoding"),
        ("content-security-policy", "default-src 'none'; style-src 'self'; frame-ancestors 'none'"),
    ]
    if terms.links:
        shared.append(("link", terms.links))
    shared.extend(CLOSED if terms.is_private else OPEN_TO_ALL)
    body = _packed(document, coding)
    packed = [("content-encoding", coding.value)] if coding is not Coding.PLAIN else []
    content = [("content-type", content_type), ("content-length", str(len(body))), *packed]
    return Representation(etag, raw((*content, *shared)), raw(shared), body)


def _packed(document: ServedDocument, coding: Coding) -> bytes:
    if coding is Coding.GZIP:
        return document.gzipped
    return document.brotli if coding is Coding.BROTLI else document.body


def _content_type(name: str) -> str:
    suffix = name.rpartition(".")[2]
    if suffix == "opml":
        return "text/x-opml; charset=utf-8"
    if suffix == CALENDAR:
        return "text/calendar; charset=utf-8"
    form = FeedFormat(suffix)
    return form.media_type if form is FeedFormat.JSON else f"{form.media_type}; charset=utf-8"
