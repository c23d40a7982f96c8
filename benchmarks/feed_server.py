"""The web server over feeds, or over a constant with the same headers and bytes; prints its port."""

import asyncio
import socket
import sys
import time

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from newsletter.bootstrap import build_app
from newsletter.config import load_settings
from newsletter.dispatch import RecordingDispatcher
from newsletter.services.context import App
from newsletter.services.feed_documents import DocumentCache
from newsletter.web.application import build_web


def constant(app: App) -> ASGIApp:
    """Return an application that answers with one feed's bytes, or a 304 if any tag is sent, and looks at nothing."""
    document = DocumentCache(app, time.monotonic).load("all-en.atom")
    assert document is not None
    base = app.settings.base_url
    shared = [
        (b"etag", f'"{document.etag}-gz"'.encode()),
        (b"last-modified", b"Mon, 16 Mar 2026 02:00:00 GMT"),
        (b"cache-control", b"public, max-age=300, stale-while-revalidate=60, stale-if-error=86400"),
        (b"vary", b"Accept-Encoding"),
        (b"content-security-policy", b"default-src 'none'; style-src 'self'; frame-ancestors 'none'"),
        (b"link", f'<{base}/feeds/hub>; rel="hub", <{base}/feeds/all-en.atom>; rel="self"'.encode()),
        (b"access-control-allow-origin", b"*"),
        (b"access-control-expose-headers", b"ETag, Link"),
        (b"x-content-type-options", b"nosniff"),
    ]
    found = [
        (b"content-type", b"application/atom+xml; charset=utf-8"),
        (b"content-length", str(len(document.gzipped)).encode()),
        (b"content-encoding", b"gzip"),
        *shared,
    ]
    body = document.gzipped

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        if scope["type"] != "http":
            return
        if any(name == b"if-none-match" for name, _ in scope["headers"]):
            await send({"type": "http.response.start", "status": 304, "headers": shared})
            await send({"type": "http.response.body", "body": b""})
        else:
            await send({"type": "http.response.start", "status": 200, "headers": found})
            await send({"type": "http.response.body", "body": body})

    return answer


def main() -> None:
    """Serve until terminated."""
    app = build_app(load_settings(), dispatcher=RecordingDispatcher())
    served: ASGIApp = constant(app) if sys.argv[1] == "constant" else build_web(app)
    config = uvicorn.Config(served, log_level="warning", lifespan="off", proxy_headers=True)
    # With its protocol said, so that asyncio turns off Nagle's algorithm, as it does for a port that it opens itself.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        print(listening.getsockname()[1], flush=True)
        asyncio.run(uvicorn.Server(config).serve(sockets=[listening]))


if __name__ == "__main__":
    main()
