"""What is asked of other servers: never anything that is not public, nothing without end."""

import gzip
import socket
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address

import httpx
import pytest

from newsletter.errors import PermanentError, TransientError
from newsletter.network import (
    RefusedAddressError,
    TooLargeError,
    TooSlowError,
    check_url,
    guarded_client,
    is_reachable,
    parse_networks,
    read_body,
)

LOOPBACK = parse_networks(("127.0.0.0/8",))


class Handler(BaseHTTPRequestHandler):
    """Answers as its path says."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        name = self.path.strip("/").partition("?")[0]
        if name.startswith("to/"):
            self._say(302, {"Location": name.removeprefix("to/")})
        elif name == "drip":
            self.send_response(200)
            self.end_headers()
            self._drip()
        elif name == "drip-headers":
            self._drip()
        else:
            bodies = {
                "bomb": gzip.compress(bytes(20_000_000)),
                "packed": gzip.compress(b"whole"),
                "deflated": zlib.compress(b"whole"),
                "cut": gzip.compress(b"whole" * 1000)[:-20],
            }
            coding = {"bomb": "gzip", "packed": "gzip", "cut": "gzip", "deflated": "deflate", "brotli": "br"}.get(name)
            headers = {"Content-Encoding": coding} if coding else {}
            self._say(200, {**headers, "Set-Cookie": "a=b"}, bodies.get(name, self.headers.get("Cookie", "").encode()))

    def _say(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for field, value in headers.items():
            self.send_header(field, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _drip(self) -> None:
        try:
            for _ in range(100):
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.05)
        except OSError:
            pass  # the client has left, as it should

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server():
    """The address of a server on loopback."""
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.daemon_threads = True
    threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    made.server_close()


def client(**options) -> httpx.Client:
    return guarded_client(user_agent="test", **{"allowed": LOOPBACK, **options})


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "240.0.0.1", "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:10.0.0.1",
        "64:ff9b::a00:1", "2002:7f00:1::", "2001:db8::1", "2001::1", "fec0::1", "::127.0.0.1", "64:ff9b:1::7f00:1",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_not_asked(address):
    assert not is_reachable(ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_a_public_address_is_asked(address):
    assert is_reachable(ip_address(address))


def test_a_network_is_asked_where_a_setting_allows_it(server):
    assert is_reachable(ip_address("10.1.2.3"), parse_networks(("10.1.0.0/16",)))
    assert not is_reachable(ip_address("10.2.2.3"), parse_networks(("10.1.0.0/16",)))
    with client() as asking:
        assert 200 == asking.get(server).status_code
    with client(allowed=()) as asking, pytest.raises(RefusedAddressError, match="not public"):
        asking.get(server)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "gopher://example.org/", "http://user:word@example.org/", "http:///path", "example.org",
        "http://example.org/a b", "http://example.org/\r\nX: y", "http://exämple.org/", "http://[::1", "",
        f"http://example.org/{'a' * 3000}", "http://example.org:99999/",
    ],
)  # fmt: skip
def test_what_is_no_address_on_the_web_is_refused(url):
    with pytest.raises(RefusedAddressError):
        check_url(url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://2130706433/", "http://0x7f.1/", "http://[::1]/", "http://[::ffff:7f00:1]/"]
)
def test_a_disguised_address_is_refused(url):
    """The system's resolver takes 0x7f.1 for 127.0.0.1, as this one does."""

    def resolve(host, _port):
        return [socket.inet_ntoa(socket.inet_aton(host))]

    with client(allowed=(), resolve=resolve) as asking, pytest.raises(RefusedAddressError, match="not public"):
        asking.get(url)


def test_a_redirect_inwards_is_refused(server):
    """Only 127.0.0.1 may be asked here; 127.0.0.2 stands for the rest of a private network."""
    with client(allowed=parse_networks(("127.0.0.1/32",)), follow_redirects=True) as asking:
        assert 200 == asking.get(f"{server}/to/{server}/x").status_code
        with pytest.raises(RefusedAddressError):
            asking.get(f"{server}/to/http://127.0.0.2/")
        with pytest.raises((RefusedAddressError, httpx.UnsupportedProtocol)):
            asking.get(f"{server}/to/file:///etc/passwd")


def test_a_redirect_is_not_followed_unless_asked(server):
    with client() as asking:
        assert 302 == asking.get(f"{server}/to/{server}/x").status_code


def test_a_name_is_resolved_once_and_asked_where_it_was_judged(server):
    """A name that leads elsewhere a moment later (DNS rebinding) wins nothing."""
    port = server.rpartition(":")[2]
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])
    with client(resolve=lambda _host, _port: next(answers)) as asking:
        assert 200 == asking.get(f"http://rebinding.example.org:{port}/").status_code
        with pytest.raises(RefusedAddressError):
            asking.get(f"http://rebinding.example.org:{port}/")


def test_one_private_address_among_public_ones_spoils_all():
    with (
        client(allowed=(), resolve=lambda _host, _port: ["1.1.1.1", "10.0.0.1"]) as asking,
        pytest.raises(RefusedAddressError, match=r"10\.0\.0\.1"),
    ):
        asking.get("http://example.org/")


def test_other_ports_of_public_addresses_are_refused():
    with (
        client(resolve=lambda _host, _port: ["1.1.1.1"]) as asking,
        pytest.raises(RefusedAddressError, match="port 25"),
    ):
        asking.get("http://example.org:25/")


def test_a_name_that_is_not_known_and_one_that_takes_long():
    def unknown(*_):
        raise OSError("no such name")

    with client(resolve=unknown) as asking, pytest.raises(httpx.ConnectError, match="not known"):
        asking.get("http://example.org/")
    with (
        client(resolve=lambda *_: time.sleep(0.5), connect_seconds=0.05) as asking,
        pytest.raises(httpx.ConnectTimeout, match="not resolved"),
    ):
        asking.get("http://example.org/")


@pytest.mark.slow
@pytest.mark.parametrize("path", ["drip", "drip-headers"])
def test_a_server_that_drips_is_left(server, path):
    """Each byte comes in time, the whole never does."""
    started = time.monotonic()
    with client(total_seconds=0.3) as asking, pytest.raises(TooSlowError):
        asking.get(f"{server}/{path}")

    assert time.monotonic() - started < 2


@pytest.mark.slow
def test_a_body_is_unpacked_within_its_bound(server):
    with client() as asking:
        for path in ("packed", "deflated"):
            with asking.stream("GET", f"{server}/{path}") as response:
                assert b"whole" == read_body(response, most=100)
        with asking.stream("GET", f"{server}/bomb") as response, pytest.raises(TooLargeError):
            read_body(response, most=100_000)
        with asking.stream("GET", f"{server}/packed") as response, pytest.raises(TooLargeError):
            read_body(response, most=10)
        with asking.stream("GET", f"{server}/drip") as response, pytest.raises(TooLargeError):
            read_body(response, most=5)
        with asking.stream("GET", f"{server}/cut") as response, pytest.raises(TransientError):
            read_body(response)
        with asking.stream("GET", f"{server}/brotli") as response, pytest.raises(PermanentError, match="'br'"):
            read_body(response)


@pytest.mark.slow
def test_no_cookie_is_kept(server):
    with client() as asking:
        asking.get(server)

        assert b"" == asking.get(server).content
