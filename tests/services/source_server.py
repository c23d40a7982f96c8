"""A web server on loopback that serves what tests put there, and misbehaves in each way that they ask for."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    """What is served at a path; *drips*: seconds between two bytes, *cuts*: bytes announced and never sent."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drips: float = 0.0
    is_endless: bool = False
    cuts: int = 0
    then: Callable[["Asked"], None] | None = None


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class SourceServer:
    """What it serves, by path, and what it was asked; answers 304 to a right If-None-Match by itself."""

    def __init__(self) -> None:
        self.pages: dict[str, Answer] = {}
        self.asked: list[Asked] = []
        self.url = ""

    def put(self, path: str, body: str | bytes = b"", **values: Any) -> str:
        """Serve *body* at *path* and return its address."""
        content = body.encode() if isinstance(body, str) else body
        self.pages[path] = Answer(content, **values)
        return self.url + path

    def requests(self, path: str) -> list[Asked]:
        return [each for each in self.asked if each.path == path]


@contextmanager
def running_source() -> Iterator[SourceServer]:  # noqa: C901  the handler stands where what it serves is known
    """Serve on a free port of 127.0.0.1."""
    source = SourceServer()
    stop = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        do_POST = do_GET  # noqa: N815  the names that http.server calls

        def _answer(self) -> None:
            self.close_connection = True
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            source.asked.append(asked)
            answer = source.pages.get(self.path, Answer(b"not here", 404))
            if answer.then:
                answer.then(asked)
            etag = answer.headers.get("ETag")
            is_known = bool(etag) and asked.headers.get("if-none-match") == etag
            self.send_response(304 if is_known else answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            content = b"" if is_known else answer.body
            if not answer.is_endless and not is_known:
                self.send_header("Content-Length", str(len(content) + answer.cuts))
            self.end_headers()
            self._send(answer, content)

        def _send(self, answer: Answer, content: bytes) -> None:
            try:
                if answer.drips:
                    for byte in content:
                        if stop.wait(answer.drips):
                            return
                        self.wfile.write(bytes([byte]))
                        self.wfile.flush()
                    return
                self.wfile.write(content)
                while answer.is_endless and not stop.is_set():
                    self.wfile.write(b"<!-- more -->" * 1000)
            except OSError:
                pass  # who asked has gone

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        source.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield source
        finally:
            stop.set()
            server.shutdown()
            thread.join()


def item(number: int, **values: str) -> str:
    """Return an RSS item; each has a body and a date of its own, unless *values* say otherwise (empty: none)."""
    own = "".join("abcdefghij"[int(digit)] for digit in str(number))
    words = " ".join(f"{own}word{'abcdefghij'[place % 10]}{'klmnopqrst'[place // 10]}" for place in range(60))
    parts = {
        "guid": f"item-{number}",
        "title": f"Story number {number}",
        "link": f"https://press.example.org/news/{number}",
        "pubDate": f"Fri, 13 Mar 2026 {number % 24:02}:00:00 +0000",
        "description": f"<p>The words of it are {words}.</p><p>A sentence that every one of them has.</p>",
    } | values
    return (
        "<item>"
        + "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in parts.items() if value and name != "more")
        + parts.get("more", "")
        + "</item>"
    )


def rss(*items: str, channel: str = "") -> str:
    """Return an RSS document."""
    return (
        '<?xml version="1.0" encoding="utf-8"?><rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom" '
        'xmlns:dcterms="http://purl.org/dc/terms/" xmlns:media="http://search.yahoo.com/mrss/">'
        f"<channel><title>Press</title><link>https://press.example.org/</link>{channel}{''.join(items)}</channel></rss>"
    )
