"""Fetching: asks a source's server through the guard, follows its redirects, and tells what came of it in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from importlib.metadata import version

import httpx

from newsletter.config import Settings
from newsletter.errors import PermanentError, TransientError
from newsletter.network import MOST_BYTES, MOST_REDIRECTS, TOTAL_SECONDS, guarded_client, parse_networks, read_body

FEEDS = "application/atom+xml, application/rss+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5"
PAGES = "text/html, application/xhtml+xml;q=0.9"
PERMANENT_REDIRECTS = frozenset({301, 308})
FOUND = 200
_STATUSES = {
    401: "its server wants a password (401)",
    403: "its server refuses us (403)",
    404: "there is nothing at its address (404)",
    429: "its server says that we ask too often (429)",
}


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer, after redirects; *headers* by names in small letters, *body* empty but for a 200.

    *moved_to*: where the address leads for good; None: nowhere else, or not for good.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    moved_to: str | None = None

    @property
    def media_type(self) -> str:
        """What it says it is, such as text/html; empty where it does not say."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def charset(self) -> str | None:
        """The encoding that it says it is in."""
        header = Message()
        header["content-type"] = "".join(each for each in self.headers.get("content-type", "") if each.isprintable())
        found = header.get_param("charset")
        return found if isinstance(found, str) and found.isascii() else None

    @property
    def links(self) -> dict[str, str]:
        """The addresses of its Link headers by relation, the first of each."""
        found: dict[str, str] = {}
        response = httpx.Response(FOUND, headers={"link": self.headers.get("link", "")})
        try:
            links = response.links
        except ValueError:
            return {}
        for rel, link in links.items():
            for each in str(rel).lower().split():
                found.setdefault(each, link.get("url", ""))
        return found


def fetch(
    settings: Settings,
    url: str,
    *,
    accept: str = FEEDS,
    etag: str | None = None,
    last_modified: str | None = None,
    most: int = MOST_BYTES,
    reads_body: bool = True,
) -> Fetched:
    """Return what *url* answers; *etag* and *last_modified* are given back exactly as they came.

    *reads_body* False: only how it answers is wanted.

    Raises:
        PermanentError: the address must not be asked, leads in a circle, or answers too much.
        TransientError: it cannot be reached now, takes too long, or breaks off.
    """
    headers = {"accept": accept}
    if etag:
        headers["if-none-match"] = etag
    if last_modified:
        headers["if-modified-since"] = last_modified
    try:
        with _client(settings) as client:
            return _follow(client, client.build_request("GET", url, headers=headers), most, reads_body=reads_body)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError) as error:
        raise PermanentError(f"the address cannot be asked: {error}") from error
    except httpx.TimeoutException as error:
        raise TransientError("the server took too long to answer") from error
    except httpx.HTTPError as error:
        raise TransientError(f"the server could not be reached: {error or type(error).__name__}") from error


def tell_status(status: int) -> str:
    """Return what is wrong with a page or a feed whose server answers *status*, in words."""
    return _STATUSES.get(status, f"its server answers {status}")


def post_form(settings: Settings, url: str, form: Mapping[str, str]) -> int:
    """Post *form* to *url* and return the status of the answer, whose body is not read; redirects are not followed.

    Raises:
        As `fetch`.
    """
    try:
        with _client(settings) as client, client.stream("POST", url, data=dict(form)) as response:
            return response.status_code
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError) as error:
        raise PermanentError(f"the address cannot be asked: {error}") from error
    except httpx.HTTPError as error:
        raise TransientError(f"the server could not be reached: {error or type(error).__name__}") from error


def _client(settings: Settings) -> httpx.Client:
    agent = f"newsletter/{version('newsletter')} (+{settings.base_url}; reads feeds)"
    allowed = parse_networks(settings.reachable_networks)
    return guarded_client(user_agent=agent, allowed=allowed, total_seconds=TOTAL_SECONDS)


def _follow(client: httpx.Client, request: httpx.Request, most: int, *, reads_body: bool) -> Fetched:
    is_permanent, hops = True, 0
    while True:
        response = client.send(request, stream=True)
        try:
            if response.next_request is None:
                wants_body = reads_body and response.status_code == FOUND
                body = read_body(response, most=most) if wants_body else b""
                moved_to = str(request.url) if hops and is_permanent else None
                return Fetched(response.status_code, _headers(response), body, moved_to)
            is_permanent = is_permanent and response.status_code in PERMANENT_REDIRECTS
            request = response.next_request
        finally:
            response.close()
        hops += 1
        if hops > MOST_REDIRECTS:
            raise PermanentError(f"the address redirects more than {MOST_REDIRECTS} times")


def _headers(response: httpx.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}
