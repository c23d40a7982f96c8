"""Feeds on the web: stored documents with their validators, as bytes, to whoever asks and however often.

A raw ASGI endpoint in front of everything else: readers poll feeds all day, and what they get is ready. No cookie, no
HTML, one redirect at most, no look at the article tables. One address is one document, whoever asks: a browser gets
the same bytes as a reader, and a style sheet makes them readable (decision 14).
"""

import asyncio
import re
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from weakref import WeakKeyDictionary

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from newsletter.domain.feeds import (
    CALENDAR,
    CUSTOM_STEM,
    OPML_NAME,
    PERIOD,
    FeedFormat,
    FeedQuery,
    custom_slug,
    document_name,
)
from newsletter.errors import ConflictError, InvalidError, NewsletterError, NotFoundError, TransientError
from newsletter.rendering.languages import load_language
from newsletter.rendering.pages import render_feed_stylesheet
from newsletter.services import feed_requests, private_feeds
from newsletter.services.context import App
from newsletter.services.feed_documents import DocumentCache, ServedDocument
from newsletter.services.feed_readers import PollNotes
from newsletter.services.feed_requests import Answer, Archives, Gone, Moved, ToCome, TooMany, query_address
from newsletter.web import rates
from newsletter.web.bare_answers import OPEN_TO_ALL, RawHeaders, raw, say, send_answer, sentence
from newsletter.web.feed_representations import (
    ARCHIVE_CACHE_CONTROL,
    PRIVATE_CACHE_CONTROL,
    Representation,
    Terms,
    represent,
)
from newsletter.web.hub import HubEndpoint
from newsletter.web.validators import Coding, choose_coding, is_not_modified
from newsletter.web.visits import network_of, site_of

log = structlog.get_logger()

REDIRECT_CACHE_CONTROL = "public, max-age=86400"
MISSING_CACHE_CONTROL = "public, max-age=60"
RETRY_AFTER_SECONDS = "5"
METHODS = "GET, HEAD, OPTIONS"
LONGEST_QUERY = 4000
ASKED_EVERY_SECONDS = 600.0
MOST_NOTED = 5000
MOST_READY = 100
"""Requests for a document, each as it was sent, whose answers are kept ready; readers send the same few all day."""
LONGEST_DECIDING = 300
"""Characters of the headers of such a request that decide about its answer; nearly all have half of it."""

_SUFFIX = f"(atom|rss|json|{CALENDAR})"
_NAMED = re.compile(rf"([a-z0-9-]{{1,150}})\.{_SUFFIX}")
_CUSTOM = re.compile(rf"{CUSTOM_STEM}(?:\.{_SUFFIX})?")
_PRIVATE = re.compile(rf"private/([A-Za-z0-9_-]{{32}})\.{_SUFFIX}")
_ARCHIVE = re.compile(rf"archive/({PERIOD.pattern})/([a-z0-9-]{{1,150}})\.(atom|rss|json)")

Sent = tuple[int, RawHeaders, bytes]
"""An answer: its status, headers and body."""


def routes(app: App) -> list[BaseRoute]:
    """Return the routes of feeds and of the list of all feeds, for an application without `FeedsFirst`."""
    feeds = FeedEndpoint(app)
    return [Route("/feeds/{name:path}", feeds, name="feed"), Route("/feeds.opml", feeds, name="feeds-opml")]


class FeedsFirst:
    """Answers what asks for a feed before anything else looks at it, and passes on the rest."""

    def __init__(self, app: ASGIApp, *, newsroom: App) -> None:
        self._app = app
        self._feeds = FeedEndpoint(newsroom)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a feed, pass on any other."""
        if scope["type"] == "http" and scope["path"].startswith(("/feeds/", "/feeds.opml")):
            await self._feeds(scope, receive, send)
        else:
            await self._app(scope, receive, send)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as far as its answer depends on it."""

    name: str
    query: str
    headers: dict[bytes, str]
    is_head: bool
    client: Sequence[object] | None = None
    key: Hashable = None


class FeedEndpoint:
    """Answers requests for feed documents."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._settings = app.settings
        self._hub = HubEndpoint(app)
        self._cache = DocumentCache(app, time.monotonic)
        self._archives = Archives(app, time.monotonic)
        self._orders = rates.Rate(time.monotonic)
        self._represented: WeakKeyDictionary[ServedDocument, dict[tuple[Coding, bool], Representation]] = (
            WeakKeyDictionary()
        )
        self._ready: WeakKeyDictionary[ServedDocument, dict[Hashable, Sent]] = WeakKeyDictionary()
        self._noted: dict[str, float] = {}
        self._polls = PollNotes(app, time.monotonic)
        self._writing: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever goes wrong is said in a sentence and never cached."""
        key, name = _key(scope), scope["path"].removeprefix("/feeds/")
        document = self._cache.peek(name)
        if document is not None and (ready := self._ready.get(document, {}).get(key)) is not None:
            await send_answer(send, *ready)
            self._note_poll(name, scope)
            return
        try:
            await self._answer(scope, receive, send, key)
        except NotFoundError as error:
            text = f"{sentence(error)} All feeds are listed at {self._settings.base_url}/feeds.opml"
            await say(send, 404, text, (("cache-control", MISSING_CACHE_CONTROL),), is_head=_is_head(scope))
        except InvalidError as error:
            await say(send, 400, sentence(error), is_head=_is_head(scope))
        except (TransientError, ConflictError) as error:
            log.warning("feed_not_served", error=str(error))
            more = (("retry-after", RETRY_AFTER_SECONDS), ("cache-control", "no-store"))
            await say(send, 503, "This cannot be answered right now; ask again soon.", more, is_head=_is_head(scope))

    async def _answer(self, scope: Scope, receive: Receive, send: Send, key: Hashable) -> None:
        method, path = scope["method"], scope["path"]
        if path == "/feeds/hub":
            await self._hub(scope, receive, send)
        elif method == "OPTIONS":
            await send_answer(send, 204, _preflight_headers())
        elif method not in ("GET", "HEAD"):
            await say(send, 405, "Feeds are read with GET or HEAD.", (("allow", METHODS),))
        else:
            name = path.removeprefix("/feeds/") if path != "/feeds.opml" else OPML_NAME
            query = scope.get("query_string", b"").decode("latin-1")
            await self._get(
                Asked(name, query, _request_headers(scope), method == "HEAD", scope.get("client"), key), path, send
            )
            self._note_poll(name, scope)

    def _note_poll(self, name: str, scope: Scope) -> None:
        """Note who polls a feed, once it is answered; what was noted is written down beside, not on the way."""
        known = _NAMED.fullmatch(name)
        if known is None and not name.startswith("private/"):
            return
        feed = CUSTOM_STEM if known is None or known[1] == CUSTOM_STEM else known[1]
        agent = b""
        for header, value in scope["headers"]:
            if header == b"user-agent":
                agent = value
                break
        if self._polls.note(feed, agent.decode("latin-1"), _network(scope.get("client"))):
            task = asyncio.get_running_loop().create_task(run_in_threadpool(self._write_polls))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

    def _write_polls(self) -> None:
        try:
            self._polls.write()
        except NewsletterError as error:
            log.warning("polls_not_written", error=str(error))

    async def _get(self, asked: Asked, path: str, send: Send) -> None:
        name = asked.name
        if path == "/feeds.opml" or (known := _NAMED.fullmatch(name)):
            await self._named(asked, None if path == "/feeds.opml" else known, send)
        elif custom := _CUSTOM.fullmatch(name):
            await self._custom(asked, custom[1], send)
        elif private := _PRIVATE.fullmatch(name):
            await self._private(asked, private[1], private[2], send)
        elif archive := _ARCHIVE.fullmatch(name):
            await self._archive(asked, archive[1], archive[4], FeedFormat(archive[5]), send)
        elif name == "style.css":
            await self._style(send, is_head=asked.is_head)
        elif name == "":
            await self._redirect(f"{self._settings.base_url}/feeds", send, is_head=asked.is_head)
        else:
            raise NotFoundError("there is no feed of this name")

    async def _named(self, asked: Asked, known: "re.Match[str] | None", send: Send) -> None:
        """Serve what is stored under its own name: a named feed, or the list of all."""
        if known and known[1] == CUSTOM_STEM:
            await self._custom(asked, known[2], send)
            return
        document = self._cache.peek(asked.name) or await run_in_threadpool(self._cache.load, asked.name)
        if document is not None:
            terms = partial(self._public_terms, asked.name, is_listed=known is None)
            sent = await self._serve(asked, document, terms, send)
            if known is not None and asked.key is not None:
                self._keep_ready(asked.key, document, sent)
        elif known is None:
            await self._tell(ToCome(), asked, send)
        else:
            answer = await run_in_threadpool(feed_requests.look_for_named, self._app, known[1], known[2])
            await self._tell(answer, asked, send)

    def _keep_ready(self, key: Hashable, document: ServedDocument, sent: Sent) -> None:
        """Answer the same request in the same way as long as the document is the same."""
        ready = self._ready.setdefault(document, {})
        if len(ready) >= MOST_READY:
            ready.clear()
        ready[key] = sent

    async def _custom(self, asked: Asked, suffix: str | None, send: Send) -> None:
        """Serve a combination at its one address; any other way to say it leads there."""
        query = _read_query(asked.query, self._settings.default_language)
        if suffix is None or query.text != asked.query or query.named_slug:
            address = query_address(self._app, query, suffix or FeedFormat.ATOM)
            await self._redirect(address, send, is_head=asked.is_head)
            return
        slug = custom_slug(query.text)
        make = partial(self._make_custom, query, suffix, asked.client)
        answer = await self._find_or_make(slug, suffix, make)
        await self._tell(answer, asked, send, partial(self._public_terms, f"{asked.name}?{query.text}"))

    def _make_custom(self, query: FeedQuery, suffix: str, client: Sequence[object] | None) -> Answer:
        if not self._orders.admit(_network(client), rates.MOST_ORDERS):
            return TooMany()
        return feed_requests.make_custom(self._app, query, suffix)

    async def _private(self, asked: Asked, token: str, suffix: str, send: Send) -> None:
        """Serve what a reader chose, at an address of their own; the document is that of all who chose the same."""
        plan = await run_in_threadpool(private_feeds.find_plan, self._app, token)
        if plan is None:
            await self._tell(Gone(), asked, send)
            return
        make = partial(feed_requests.make_choice, self._app, plan, suffix)
        answer = await self._find_or_make(plan.slug, suffix, make)
        await self._tell(answer, asked, send, partial(Terms, PRIVATE_CACHE_CONTROL, is_private=True))

    async def _archive(self, asked: Asked, period: str, stem: str, form: FeedFormat, send: Send) -> None:
        subject: str | FeedQuery = stem
        if stem == CUSTOM_STEM:
            subject = _read_query(asked.query, self._settings.default_language)
            if subject.text != asked.query:
                raise NotFoundError("an archive has one address only, which its feed names")
        document = await run_in_threadpool(self._archives.find, subject, period, form)
        query = f"?{asked.query}" if stem == CUSTOM_STEM else ""
        links = f'<{self._settings.base_url}/feeds/{asked.name}{query}>; rel="self"'
        await self._serve(asked, document, partial(Terms, ARCHIVE_CACHE_CONTROL, links), send)

    async def _find_or_make(self, slug: str, suffix: str, make: Callable[[], Answer]) -> Answer:
        """Return a feed that is kept as long as somebody asks, from the copies, the database, or made now."""
        name = document_name(slug, suffix)
        document = self._cache.peek(name)
        if document is None:
            document = await run_in_threadpool(self._cache.load, name)
        if document is None:
            return await run_in_threadpool(make)
        now = time.monotonic()
        if now - self._noted.get(slug, -ASKED_EVERY_SECONDS) >= ASKED_EVERY_SECONDS:
            if len(self._noted) >= MOST_NOTED:
                self._noted.clear()
            self._noted[slug] = now
            await run_in_threadpool(feed_requests.note_asked, self._app, slug)
        return document

    async def _tell(self, answer: Answer, asked: Asked, send: Send, terms: Callable[[], Terms] = Terms) -> None:
        """Serve a document, or say where it is, that it is gone, or that it is being made."""
        tell = partial(say, send, is_head=asked.is_head)
        match answer:
            case ServedDocument():
                await self._serve(asked, answer, terms, send)
            case Moved(address):
                await self._redirect(address, send, is_head=asked.is_head)
            case Gone():
                more = (("cache-control", MISSING_CACHE_CONTROL),)
                text = "This feed is closed; nothing will be published here again."
                await tell(410, f"{text} All feeds are listed at {self._settings.base_url}/feeds.opml", more)
            case TooMany():
                later = (("retry-after", f"{rates.MINUTE:.0f}"), ("cache-control", "no-store"))
                await tell(429, "Many feeds were made for you just now; ask again in a minute.", later)
            case ToCome():
                later = (("retry-after", RETRY_AFTER_SECONDS), ("cache-control", "no-store"))
                await tell(503, "This feed is being made; ask again in a few seconds.", later)

    async def _redirect(self, address: str, send: Send, *, is_head: bool) -> None:
        more = (("location", address), ("cache-control", REDIRECT_CACHE_CONTROL))
        await say(send, 301, f"This feed is at {address}", more, is_head=is_head)

    async def _serve(self, asked: Asked, document: ServedDocument, terms: Callable[[], Terms], send: Send) -> Sent:
        """Send a document, or say that the client has it; return what went. *terms* are asked for once a coding."""
        headers = asked.headers
        coding = choose_coding(headers.get(b"accept-encoding"))
        is_opened = headers.get(b"sec-fetch-dest") == "document"
        made = self._represented.setdefault(document, {})
        chosen = made.get((coding, is_opened))
        if chosen is None:
            # Somewhere else: to pack a large document takes a few milliseconds, in which others would wait.
            chosen = await run_in_threadpool(represent, document, coding, terms(), is_opened=is_opened)
            made[coding, is_opened] = chosen
        known = headers.get(b"if-none-match")
        if known == chosen.etag or is_not_modified(
            if_none_match=known,
            if_modified_since=headers.get(b"if-modified-since"),
            etag=document.etag,
            last_modified=document.last_modified,
        ):
            answer: Sent = (304, chosen.not_modified, b"")
        else:
            answer = (200, chosen.found, b"" if asked.is_head else chosen.body)
        await send_answer(send, *answer)
        return answer

    def _public_terms(self, name: str, *, is_listed: bool = False) -> Terms:
        address = f"{self._settings.base_url}/{'' if is_listed else 'feeds/'}{name}"
        hub = "" if is_listed or f".{CALENDAR}" in name or not self._settings.hub_url else self._settings.hub_url
        return Terms(links=(f'<{hub}>; rel="hub", ' if hub else "") + f'<{address}>; rel="self"')

    async def _style(self, send: Send, *, is_head: bool) -> None:
        language = load_language(self._settings.default_language, self._settings.home)
        body = render_feed_stylesheet(site_of(self._settings), language, home=self._settings.home).encode()
        headers = (
            ("content-type", "text/css; charset=utf-8"),
            ("content-length", str(len(body))),
            ("cache-control", REDIRECT_CACHE_CONTROL),
            *OPEN_TO_ALL,
        )
        await send_answer(send, 200, raw(headers), b"" if is_head else body)


def _network(client: Sequence[object] | None) -> str:
    return _network_of_host(client[0] if client else None)


@lru_cache(maxsize=8192)
def _network_of_host(host: object) -> str:
    """Return a reader's network: the same readers come all day, and to look it up takes as long as half an answer."""
    return network_of((host,))


@lru_cache(maxsize=2048)
def _read_query(text: str, default_language: str) -> FeedQuery:
    if len(text) > LONGEST_QUERY:
        raise InvalidError("this address is too long for a feed")
    try:
        return FeedQuery.parse(text, default_language=default_language)
    except ValueError as error:
        raise InvalidError(str(error)) from error


def _preflight_headers() -> RawHeaders:
    """Allow scripts of other sites to poll with validators, which browsers ask about first."""
    return raw(
        (
            ("allow", METHODS),
            ("access-control-allow-origin", "*"),
            ("access-control-allow-methods", METHODS),
            ("access-control-allow-headers", "If-None-Match, If-Modified-Since, Cache-Control"),
            ("access-control-max-age", "86400"),
        )
    )


def _request_headers(scope: Scope) -> dict[bytes, str]:
    """Return the headers that decide about an answer; several lines of one are one list (5.3)."""
    found: dict[bytes, str] = {}
    for name, raw_value in scope["headers"]:
        if name in _DECIDING:
            value = raw_value.decode("latin-1")
            found[name] = f"{found[name]}, {value}" if name in found else value
    return found


_DECIDING = frozenset({b"accept-encoding", b"if-none-match", b"if-modified-since", b"sec-fetch-dest"})


def _key(scope: Scope) -> Hashable:
    """Return what the answer depends on beside the address; None: so much that the answer is not kept."""
    deciding = [header for header in scope["headers"] if header[0] in _DECIDING]
    if sum([len(value) for _, value in deciding]) > LONGEST_DECIDING or scope.get("query_string"):
        return None
    return (scope["method"], *deciding)


def _is_head(scope: Scope) -> bool:
    return bool(scope["method"] == "HEAD")
