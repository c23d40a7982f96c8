"""What guards every answer and every request: headers that forbid what pages never do, and a limit on bodies."""

import asyncio
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 64 * 1024
"""Bytes of a request's body; our largest form, with every box ticked, has a tenth of it."""
BODY_SECONDS = 60.0
"""How long a body may take to come; a slower one is given up, so that nobody holds connections by dripping bytes."""
LARGER_BODIES: Mapping[str, int] = {"/api/": 4 * 1024 * 1024, "/hooks/websub/": 8 * 1024 * 1024}
"""Under these paths programs speak: articles in all languages, and feeds that hubs push, which are not kept."""

HEADERS: Mapping[str, str] = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",  # pages state what else they need
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",  # an address with a token must not travel on
    "permissions-policy": "browsing-topics=()",
    "cross-origin-opener-policy": "same-origin",
}


HTTPS_ALONE = "max-age=31536000"
"""What a newsroom whose address begins with https says to browsers (RFC 6797); of its subdomains it knows nothing."""


class SecurityHeaders:
    """Sets `HEADERS` on every answer that has not set its own; *is_https*: browsers shall never ask without TLS."""

    def __init__(self, app: ASGIApp, *, is_https: bool) -> None:
        self._app = app
        self._headers = {**HEADERS, **({"strict-transport-security": HTTPS_ALONE} if is_https else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and complete the answer's headers."""

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_secured)


class BodyLimit:
    """Refuses a request's body beyond the limit of its path: by what it announces, and by what comes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a body that ends in a refusal where it grows too large."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        largest = next((most for path, most in LARGER_BODIES.items() if scope["path"].startswith(path)), LARGEST_BODY)
        is_too_large = not announced.isdecimal() or int(announced) > largest
        received = 0
        is_whole = False
        began = asyncio.get_running_loop().time()

        async def receive_limited() -> Message:
            nonlocal received, is_whole
            if is_too_large:
                raise HTTPException(413)
            try:
                # Once the body is there, what comes next is the visitor going away: that may take its time.
                async with asyncio.timeout_at(None if is_whole else began + BODY_SECONDS):
                    message = await receive()
            except TimeoutError as error:
                raise HTTPException(408, headers={"connection": "close"}) from error
            is_whole = not message.get("more_body", False)
            received += len(message.get("body", b""))
            if received > largest:
                raise HTTPException(413)
            return message

        await self._app(scope, receive_limited, send)
