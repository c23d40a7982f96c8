"""A visit: one request with what every page needs to answer it: the language to speak, the form, the look."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from ipaddress import IPv6Address, ip_address, ip_network
from urllib.parse import urlencode, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from newsletter.config import Settings
from newsletter.domain.subscriptions import Seen
from newsletter.mail.addresses import network_hmac
from newsletter.rendering.languages import Language, load_language
from newsletter.rendering.pages import Site, render_page, source_of, style_source
from newsletter.services.context import App
from newsletter.web.discovery import link_header, links_to_feed

UNREADABLE = 400

MOST_FIELDS = 500
"""Fields in a form; the largest of ours has a few for each list and one for each topic."""

NETWORK_PREFIX = {4: 24, 6: 48}
"""Bits of a visitor's address that the record of consent keeps: the network, not the person."""

HOUSEHOLD_PREFIX = {4: 24, 6: 64}
"""Bits by which sign-ups are counted: providers give a household a /64 of IPv6."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request; *form* is empty unless the request is a POST."""

    app: App
    request: Request
    language: Language
    form: FormData

    @property
    def is_post(self) -> bool:
        """Whether the visitor pressed a button, as against following a link."""
        return self.request.method == "POST"

    @property
    def site(self) -> Site:
        """Whose pages these are and how they look."""
        return site_of(self.app.settings)

    @property
    def evidence(self) -> Seen:
        """Where this happened, for the record of consent: page, language, and as much of the network as is kept."""
        page = self.request.url.path.split("/")[1]  # without the token behind it
        settings = self.app.settings
        network = network_of(self.request.client, NETWORK_PREFIX) if settings.consent_network != "none" else ""
        if settings.consent_network == "hashed":
            network = network_hmac(settings.secret, network)
        return Seen(f"{settings.base_url}/{page}", self.language.code, network)

    @property
    def is_foreign(self) -> bool:
        """Whether a browser says that the form it sends stood on a page of another site.

        Our own pages send no referrer, and so name their origin `null`; Fetch Metadata, where it is, tells more.
        """
        headers = self.request.headers
        own = urlsplit(self.app.settings.base_url)
        is_ours = headers.get("origin", "null") in ("null", f"{own.scheme}://{own.netloc}")
        return not is_ours or headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")

    @property
    def household(self) -> str:
        """The network by which sign-ups are counted; it is not kept."""
        return network_of(self.request.client)

    def values(self, name: str) -> tuple[str, ...]:
        """Return all that the form says under *name*, uploads left out, each value once."""
        found = (value for value in self.form.getlist(name) if isinstance(value, str))
        return tuple(dict.fromkeys(found))

    def value(self, name: str) -> str:
        """Return what the form says under *name*, nothing when it says nothing or uploads something."""
        found = self.form.get(name)
        return found if isinstance(found, str) else ""

    def link(self, path: str) -> str:
        """Return the address of one of our pages, in the language that was asked for by link."""
        return _link(self.app.settings, self.request, path)

    def speaking(self, code: str) -> "Visit":
        """Return the visit as answered in the language of the reader's mails, unless the link asks for another."""
        if self.request.query_params.get("lang") or code not in self.app.settings.languages:
            return self
        return replace(self, language=load_language(code, self.app.settings.home))

    def page(self, name: str, *, status: int = 200, **context: object) -> HTMLResponse:
        """Render a page in the visitor's language; beside *context* its template is given `link` and `tongues`."""
        return page_response(self.app, self.request, self.language, name, status=status, **context)


ANSWER_SECONDS = 0.4
"""When a form is answered whose work would tell by its length whether an address is known; ten times what it takes."""


@dataclass(frozen=True, slots=True)
class Card:
    """What other sites show of a link to a page: its kind (website, article), address, summary and picture."""

    url: str
    kind: str = "website"
    summary: str = ""
    image_url: str = ""


View = Callable[[Visit], Response]
"""Answers a visit; runs in a thread, so that it may wait for the database."""


def endpoint(
    app: App, view: View, *, takes_any_body: bool = False, hides_time: bool = False
) -> Callable[[Request], Awaitable[Response]]:
    """
    Return *view* as Starlette calls it; a posted form is read before, in either of its two encodings.

    A form that cannot be read is refused, unless *takes_any_body*: then the visit counts as one with an empty form.
    *hides_time*: a posted form is answered `ANSWER_SECONDS` after it came, so that the time tells nothing.
    """

    async def answer(request: Request) -> Response:
        form = FormData()
        began = time.monotonic()
        if request.method == "POST":
            try:
                form = await request.form(max_files=0, max_fields=MOST_FIELDS)
            except HTTPException as error:
                if not takes_any_body or error.status_code != UNREADABLE:
                    raise
        visit = Visit(app, request, choose_language(app.settings, request), form)
        response = await run_in_threadpool(view, visit)
        if visit.is_post:
            response.headers.setdefault("cache-control", "no-store")  # it may hold what somebody typed
        if hides_time and visit.is_post:
            await asyncio.sleep(max(0, ANSWER_SECONDS - (time.monotonic() - began)))
        return response

    return answer


def choose_language(settings: Settings, request: Request) -> Language:
    """Return the language to answer in: the one in the link, else the best of Accept-Language, else the default."""
    wanted = [request.query_params.get("lang", ""), *_accepted(request.headers.get("accept-language", ""))]
    for code in wanted:
        for offered in settings.languages:
            if code.lower() == offered.lower() or code.lower().split("-")[0] == offered.lower():
                return load_language(offered, settings.home)
    return load_language(settings.default_language, settings.home)


@lru_cache(maxsize=8)
def site_of(settings: Settings) -> Site:
    """Return what every page of this installation shows."""
    return Site(
        name=settings.name,
        base_url=settings.base_url,
        accent_colour=settings.accent_colour,
        logo_url=settings.logo_url,
        postal_address=settings.postal_address,
        languages=tuple(load_language(code, settings.home) for code in settings.languages),
    )


def page_response(
    app: App, request: Request, language: Language, name: str, *, status: int = 200, **context: object
) -> HTMLResponse:
    """
    Render a page with its style sheet allowed, and links to itself in the other languages.

    Beside *context* its template is given `link`, which keeps the language that was asked for by link, and `tongues`.
    """
    settings = app.settings
    site = site_of(settings)
    site_feeds = links_to_feed(settings, language.code)
    context = {
        "site_feeds": site_feeds,
        "link": partial(_link, settings, request),
        "tongues": _tongues(settings, request, site.languages),
        **context,
    }
    body = render_page(name, language, site, home=settings.home, **context)
    policy = (
        f"default-src 'none'; style-src {style_source(site, language, home=settings.home)}; "
        "img-src 'self' https: http:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    if script := str(context.get("script", "")):
        policy += f"; script-src {source_of(script)}; connect-src 'self'"
    headers = {
        "content-security-policy": policy,
        "content-language": language.code,
        "vary": "accept-language",
        "link": link_header(site_feeds),
    }
    return HTMLResponse(body, status, headers)


def _tongues(settings: Settings, request: Request, languages: Sequence[Language]) -> list[tuple[Language, str]]:
    if len(languages) == 1:
        return []
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "lang"]
    address = f"{settings.base_url}{request.url.path}"
    return [(each, f"{address}?{urlencode([*kept, ('lang', each.code)])}") for each in languages]


def _link(settings: Settings, request: Request, path: str) -> str:
    code = request.query_params.get("lang")
    address = f"{settings.base_url}{path}"
    return f"{address}{'&' if '?' in path else '?'}lang={code}" if code in settings.languages else address


def _accepted(header: str) -> list[str]:
    """Return the languages of an Accept-Language header, the most wanted first (RFC 9110 §12.5.4)."""
    weighed = []
    for position, part in enumerate(header.split(",")[:20]):
        code, _, weight = part.partition(";")
        try:
            quality = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if code.strip() and 0 < quality <= 1:
            weighed.append((-quality, position, code.strip()))
    return [code for _, _, code in sorted(weighed)]


def network_of(client: Sequence[object] | None, prefixes: Mapping[int, int] = HOUSEHOLD_PREFIX) -> str:
    """Return a visitor's network, without the bits that tell one visitor from another; *client*: host and port."""
    try:
        address = ip_address(str(client[0]) if client else "")
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(ip_network(f"{address}/{prefixes[address.version]}", strict=False))
