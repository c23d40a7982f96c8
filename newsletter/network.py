"""Asking other servers at addresses that strangers named: public ones only, within bounds of size and time.

An address that a feed, a form or a redirect names may lead back into our own network. So names are resolved here,
what they resolve to is judged, and the connection goes to the very address that was judged: a name that resolves to
another one a moment later (DNS rebinding) wins nothing. Each hop of a redirect comes this way again.
"""

import re
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, cast

import httpcore
import httpx

from newsletter.errors import NewsletterError, PermanentError, TransientError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Sequence[str]]
"""Gives the addresses of a host and a port; raises OSError where there are none."""

PORTS = frozenset({80, 443})
"""Where the web is; other ports are other services."""
LAST_PORT = 65535
CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0
TOTAL_SECONDS = 30.0
"""From the first connection to the last byte, redirects included: a server that drips must not hold us."""
MOST_REDIRECTS = 5
MOST_BYTES = 5 * 1024 * 1024
LONGEST_URL = 2048

_TRANSLATED = ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address behind a translator
_DEADLINE = "newsletter_deadline"
_LETTERS = re.compile(r"[!-~]+")


class RefusedAddressError(PermanentError):
    """This server does not ask there: name a public http or https address, on its usual port."""


class TooLargeError(PermanentError):
    """The answer is larger than is read here; nothing of it is kept."""


class TooSlowError(TransientError):
    """The other server took too long."""


def parse_networks(names: Iterable[str]) -> tuple[Network, ...]:
    """Return networks from their names, such as 127.0.0.0/8.

    Raises:
        ValueError: one is no network.
    """
    return tuple(ip_network(name) for name in names)


def is_reachable(address: Address, allowed: Sequence[Network] = ()) -> bool:
    """Say whether *address* is public or in one of the networks *allowed*; what is wrapped in it is what counts."""
    address = _unwrapped(address)
    if any(address in network for network in allowed):
        return True
    is_odd = address.is_multicast or address.is_reserved
    is_odd = is_odd or (isinstance(address, IPv6Address) and address.is_site_local)
    return address.is_global and not is_odd


def check_url(url: str) -> httpx.URL:
    """Return *url* parsed; says nothing yet of where its host leads.

    Raises:
        RefusedAddressError: it is no address on the web, holds credentials, or is too long.
    """
    if len(url) > LONGEST_URL or not _LETTERS.fullmatch(url):
        raise RefusedAddressError(f"an address has 1 to {LONGEST_URL} characters, all of them ASCII, without spaces")
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise RefusedAddressError(f"{url!r} is no address: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise RefusedAddressError(f"{url!r} is no http or https address")
    if parsed.port is not None and not 0 < parsed.port <= LAST_PORT:
        raise RefusedAddressError(f"there is no port {parsed.port}")
    if parsed.userinfo:
        raise RefusedAddressError("an address must not hold a user name or password")
    return parsed


def resolve_host(host: str, port: int) -> list[str]:
    """Return the addresses of *host* as the system knows them.

    Raises:
        OSError: there are none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def guarded_client(
    *,
    user_agent: str,
    allowed: Sequence[Network] = (),
    follow_redirects: bool = False,
    connect_seconds: float = CONNECT_SECONDS,
    read_seconds: float = READ_SECONDS,
    total_seconds: float = TOTAL_SECONDS,
    resolve: Resolve = resolve_host,
) -> httpx.Client:
    """Return a client that reaches public addresses, and those in *allowed* on any port; no cookies, no proxies.

    Its requests raise, beside httpx's own errors:
        RefusedAddressError: the address, or one that it leads to, must not be asked.
        TooSlowError: it took longer than *total_seconds* in all.
    """
    guard = _Guard(tuple(allowed), connect_seconds, resolve)
    return httpx.Client(
        transport=_GuardedTransport(guard, total_seconds),
        timeout=httpx.Timeout(read_seconds, connect=connect_seconds),
        headers={"user-agent": user_agent, "accept-encoding": "gzip"},
        follow_redirects=follow_redirects,
        max_redirects=MOST_REDIRECTS,
        trust_env=False,
    )


def read_body(response: httpx.Response, *, most: int = MOST_BYTES) -> bytes:
    """Return the body of an answer that is being streamed, unpacked; *most* bounds it before and after unpacking.

    Raises:
        TooLargeError: it is larger.
        PermanentError: it is packed in a way that nobody asked for, or is broken.
    """
    announced = response.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most:
        raise TooLargeError(f"the answer has {announced} bytes; at most {most} are read")
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise PermanentError(f"the answer is packed as {coding!r}, which was not asked for")
    raw = _bounded(response.iter_raw(), most)
    return b"".join(raw if coding in ("", "identity") else _bounded(_unpacked(raw), most))


def _unwrapped(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one stands for, else *address* itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _bounded(pieces: Iterable[bytes], most: int) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > most:
            raise TooLargeError(f"the answer has more than {most} bytes")
        yield piece


def _unpacked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Unpack gzip or zlib in small steps, so that a few bytes never become many at once."""
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        for piece in pieces:
            rest = piece
            while rest:
                yield unpacker.decompress(rest, 64 * 1024)
                rest = unpacker.unconsumed_tail
        yield unpacker.flush()
    except zlib.error as error:
        raise PermanentError(f"the answer cannot be unpacked: {error}") from error
    if not unpacker.eof:
        raise TransientError("the answer ends before it is whole")


class _Guard:
    """Resolves a host and judges what came of it."""

    def __init__(self, allowed: Sequence[Network], seconds: float, resolve: Resolve) -> None:
        self._allowed = allowed
        self._seconds = seconds
        self._resolve = resolve

    def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses to connect to, in order.

        One that must not be asked spoils all: who mixes it among others wants it to be taken.

        Raises:
            RefusedAddressError: one of them must not be asked, or not on this port.
            httpcore.ConnectError: there are none.
        """
        found = [host] if _is_address(host) else self._look_up(host, port)
        for name in found:
            address = _unwrapped(ip_address(name))
            is_allowed = any(address in network for network in self._allowed)
            if not is_reachable(address, self._allowed):
                raise RefusedAddressError(f"{host} leads to {address}, which is not public")
            if port not in PORTS and not is_allowed:
                raise RefusedAddressError(f"{host} is asked on port {port}; use 80 or 443")
        return found

    def _look_up(self, host: str, port: int) -> list[str]:
        """Resolve within a bound of time, which the system's resolver has none of that we could set."""
        answer: list[Sequence[str] | Exception] = []

        def ask() -> None:
            try:
                answer.append(self._resolve(host, port))
            except Exception as error:  # noqa: BLE001  handed on to the thread that waits
                answer.append(error)

        thread = threading.Thread(target=ask, name="newsletter-resolve", daemon=True)
        thread.start()
        thread.join(self._seconds)
        if not answer:
            raise httpcore.ConnectTimeout(f"the name {host} was not resolved within {self._seconds:g} s")
        if isinstance(answer[0], (OSError, UnicodeError)):
            raise httpcore.ConnectError(f"the name {host} is not known: {answer[0]}") from answer[0]
        if isinstance(answer[0], Exception):
            raise answer[0]
        return list(answer[0])


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class _GuardedTransport(httpx.BaseTransport):
    """Sends each request over a connection of its own, made to an address that was judged."""

    def __init__(self, guard: _Guard, total_seconds: float) -> None:
        self._guard = guard
        self._total_seconds = total_seconds

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; its extensions travel along with redirects, and with them the time by which all must end."""
        check_url(str(request.url))
        deadline = request.extensions.setdefault(_DEADLINE, time.monotonic() + self._total_seconds)
        pool = httpcore.ConnectionPool(
            ssl_context=_tls(),
            max_keepalive_connections=0,
            network_backend=_GuardedBackend(self._guard, deadline),
        )
        sent = httpcore.Request(
            method=request.method,
            url=httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions={"timeout": request.extensions.get("timeout", {})},
        )
        try:
            got = pool.handle_request(sent)
        except BaseException as error:
            pool.close()
            raise _translated(error, request) from error
        body = _Body(cast("Iterable[bytes]", got.stream), got, pool, request)
        # Without its cookies: whoever reads feeds is nobody's returning visitor.
        headers = [(name, value) for name, value in got.headers if name.lower() != b"set-cookie"]
        return httpx.Response(got.status, headers=headers, stream=body, extensions=got.extensions)


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)  # reads all certificates, 20 ms


class _Body(httpx.SyncByteStream):
    """An answer's body; closing it closes its connection."""

    def __init__(
        self, pieces: Iterable[bytes], got: httpcore.Response, pool: httpcore.ConnectionPool, request: httpx.Request
    ) -> None:
        self._pieces = pieces
        self._got = got
        self._pool = pool
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._pieces
        except Exception as error:
            raise _translated(error, self._request) from error

    def close(self) -> None:
        """Close the connection."""
        self._got.close()
        self._pool.close()


def _translated(error: BaseException, request: httpx.Request) -> BaseException:
    """Return *error* as httpx's callers know it."""
    if isinstance(error, NewsletterError) or not isinstance(error, Exception):
        return error
    for kind, ours in _ERRORS:
        if isinstance(error, kind):
            return ours(str(error), request=request)
    return error


_ERRORS: Sequence[tuple[type[Exception], type[httpx.TransportError]]] = (
    (httpcore.ConnectTimeout, httpx.ConnectTimeout),
    (httpcore.TimeoutException, httpx.ReadTimeout),
    (httpcore.ConnectError, httpx.ConnectError),
    (httpcore.NetworkError, httpx.ReadError),
    (httpcore.RemoteProtocolError, httpx.RemoteProtocolError),
    (httpcore.ProtocolError, httpx.LocalProtocolError),
    (httpcore.UnsupportedProtocol, httpx.UnsupportedProtocol),
)


class _GuardedBackend(httpcore.NetworkBackend):
    """Connects to judged addresses only, and never waits beyond *deadline*."""

    def __init__(self, guard: _Guard, deadline: float) -> None:
        self._guard = guard
        self._deadline = deadline
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first of the host's addresses that answers."""
        failure: Exception = httpcore.ConnectError(f"the name {host} has no address")
        for address in self._guard.addresses(host, port):
            try:
                limit = _remaining(self._deadline, timeout)
                stream = self._backend.connect_tcp(address, port, limit, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _TimedStream(stream, self._deadline)
        raise failure

    def sleep(self, seconds: float) -> None:
        """Wait, as the pool asks between attempts."""
        self._backend.sleep(min(seconds, _remaining(self._deadline, None)))


class _TimedStream(httpcore.NetworkStream):
    """A connection whose every wait ends by *deadline*, however often a byte comes in time."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what has come."""
        try:
            return self._stream.read(max_bytes, _remaining(self._deadline, timeout))
        except httpcore.ReadTimeout:
            _remaining(self._deadline, timeout)  # says so if it is the whole that took too long
            raise

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of *buffer*."""
        self._stream.write(buffer, _remaining(self._deadline, timeout))

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Go on encrypted; the certificate is checked for the host's name, whatever address it has."""
        limit = _remaining(self._deadline, timeout)
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, limit), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        """Return what the connection knows of itself."""
        return self._stream.get_extra_info(info)


def _remaining(deadline: float, timeout: float | None) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TooSlowError("the other server took longer than it is given")
    return left if timeout is None else min(left, timeout)
