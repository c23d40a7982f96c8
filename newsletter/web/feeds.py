"""Feeds on the web: stored documents with their validators, as bytes, to whoever asks and however often.

A raw ASGI endpoint: readers poll feeds all day, and what they get is ready. No cookie, no redirect but from a short
address to the full one, no HTML, no look at the article tables.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from weakref import WeakKeyDictionary

from starlette.concurrency import run_in_threadpool
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from newsletter.domain.feeds import OPML_NAME, FeedFormat, document_name, feed_address
from newsletter.services.context import App
from newsletter.services.feed_documents import DocumentCache, ServedDocument
from newsletter.web.validators import http_date, is_not_modified, prefers_gzip

CACHE_CONTROL = "public, max-age=300, stale-while-revalidate=60, stale-if-error=86400"
"""How often to ask again: the only hint that all readers understand (RFC 9111, RFC 5861)."""
REDIRECT_CACHE_CONTROL = "public, max-age=86400"
MISSING_CACHE_CONTROL = "public, max-age=60"
RETRY_AFTER_SECONDS = "5"
METHODS = "GET, HEAD, OPTIONS"

_NAME = re.compile(r"([a-z0-9-]{1,150})\.(atom|rss|json)")

RawHeaders = list[tuple[bytes, bytes]]


def routes(app: App) -> list[BaseRoute]:
    """Return the routes of feeds and of the list of all feeds."""
    cache = DocumentCache(app, time.monotonic)
    feeds = FeedEndpoint(app, cache)
    return [
        Route("/feeds/{name}", feeds, name="feed"),
        Route("/feeds.opml", FeedEndpoint(app, cache, fixed_name=OPML_NAME), name="feeds-opml"),
    ]


@dataclass(frozen=True, slots=True)
class Representation:
    """A document in one coding: the headers of a 200 and of a 304, and the bytes."""

    found: RawHeaders
    not_modified: RawHeaders
    body: bytes


class FeedEndpoint:
    """Answers requests for feed documents; *fixed_name*: for one document, whatever the path says."""

    def __init__(self, app: App, cache: DocumentCache, *, fixed_name: str = "") -> None:
        self._settings = app.settings
        self._cache = cache
        self._fixed_name = fixed_name
        self._represented: WeakKeyDictionary[ServedDocument, dict[bool, Representation]] = WeakKeyDictionary()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        del receive
        method = scope["method"]
        if method == "OPTIONS":
            await _answer(send, 204, _preflight_headers())
        elif method not in ("GET", "HEAD"):
            await _say(send, 405, "Feeds are read with GET or HEAD.", (("allow", METHODS),))
        else:
            await self._get(scope, send)

    async def _get(self, scope: Scope, send: Send) -> None:
        name = self._fixed_name or scope["path_params"]["name"]
        is_head = scope["method"] == "HEAD"
        document = self._cache.peek(name)
        if document is None and (self._fixed_name or _NAME.fullmatch(name)):
            document = await run_in_threadpool(self._cache.load, name)
        if document is None:
            await self._miss(name, send, is_head=is_head)
            return
        headers = _request_headers(scope)
        chosen = self._represent(document, is_gzip=prefers_gzip(headers.get("accept-encoding")))
        if is_not_modified(
            if_none_match=headers.get("if-none-match"),
            if_modified_since=headers.get("if-modified-since"),
            etag=document.etag,
            last_modified=document.last_modified,
        ):
            await _answer(send, 304, chosen.not_modified)
        else:
            await _answer(send, 200, chosen.found, b"" if is_head else chosen.body)

    async def _miss(self, name: str, send: Send, *, is_head: bool) -> None:
        """Send a short address on to the full one; else say whether the feed is to come or unknown."""
        say = partial(_say, is_head=is_head)
        known = _NAME.fullmatch(name)
        if known:
            slug, form = known[1], FeedFormat(known[2])
            full = f"{slug}-{self._settings.default_language.lower()}"
            if await run_in_threadpool(self._cache.load, document_name(full, form)):
                address = feed_address(self._settings.base_url, full, form)
                more = (("location", address), ("cache-control", REDIRECT_CACHE_CONTROL))
                await say(send, 301, f"This feed is at {address}", more)
                return
        is_to_come = bool(self._fixed_name) or (
            known is not None and await run_in_threadpool(self._cache.is_to_come, known[1])
        )
        if is_to_come:
            more = (("retry-after", RETRY_AFTER_SECONDS), ("cache-control", "no-store"))
            await say(send, 503, "This feed is being made; ask again in a few seconds.", more)
            return
        text = f"There is no feed of this name. All feeds are listed at {self._settings.base_url}/feeds.opml"
        await say(send, 404, text, (("cache-control", MISSING_CACHE_CONTROL),))

    def _represent(self, document: ServedDocument, *, is_gzip: bool) -> Representation:
        made = self._represented.setdefault(document, {})
        if is_gzip not in made:
            made[is_gzip] = self._make(document, is_gzip=is_gzip)
        return made[is_gzip]

    def _make(self, document: ServedDocument, *, is_gzip: bool) -> Representation:
        """Put the headers of one representation together; each coding has an entity tag of its own (8.8.3.3)."""
        address = f"{self._settings.base_url}/{'' if self._fixed_name else 'feeds/'}{document.name}"
        shared = (
            ("etag", f'"{document.etag}{"-gz" if is_gzip else ""}"'),
            ("last-modified", http_date(document.last_modified)),
            ("cache-control", CACHE_CONTROL),
            ("vary", "Accept-Encoding"),
            ("link", f'<{address}>; rel="self"'),
            *_OPEN_TO_ALL,
        )
        body = document.gzipped if is_gzip else document.body
        coding = (("content-encoding", "gzip"),) if is_gzip else ()
        content = (("content-type", _content_type(document.name)), ("content-length", str(len(body))), *coding)
        return Representation(_raw((*content, *shared)), _raw(shared), body)


_OPEN_TO_ALL = (
    ("access-control-allow-origin", "*"),
    ("access-control-expose-headers", "ETag, Link"),
    ("x-content-type-options", "nosniff"),
)


def _content_type(name: str) -> str:
    suffix = name.rpartition(".")[2]
    if suffix == "opml":
        return "text/x-opml; charset=utf-8"
    form = FeedFormat(suffix)
    return form.media_type if form is FeedFormat.JSON else f"{form.media_type}; charset=utf-8"


def _preflight_headers() -> RawHeaders:
    """Allow scripts of other sites to poll with validators, which browsers ask about first."""
    return _raw(
        (
            ("allow", METHODS),
            ("access-control-allow-origin", "*"),
            ("access-control-allow-methods", METHODS),
            ("access-control-allow-headers", "If-None-Match, If-Modified-Since, Cache-Control"),
            ("access-control-max-age", "86400"),
        )
    )


def _request_headers(scope: Scope) -> dict[str, str]:
    """Return the headers that decide about an answer; several lines of one are one list (5.3)."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        if raw_name in _DECIDING:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            found[name] = f"{found[name]}, {value}" if name in found else value
    return found


_DECIDING = frozenset({b"accept-encoding", b"if-none-match", b"if-modified-since"})


def _raw(headers: Sequence[tuple[str, str]]) -> RawHeaders:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


async def _say(
    send: Send, status: int, text: str, more: Sequence[tuple[str, str]] = (), *, is_head: bool = False
) -> None:
    """Answer with a sentence: a reader's log is the only place where somebody may see it."""
    body = f"{text}\n".encode()
    headers = (("content-type", "text/plain; charset=utf-8"), ("content-length", str(len(body))), *_OPEN_TO_ALL, *more)
    await _answer(send, status, _raw(headers), b"" if is_head else body)


async def _answer(send: Send, status: int, headers: RawHeaders, body: bytes = b"") -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
