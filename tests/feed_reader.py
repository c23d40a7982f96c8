"""A feed reader that sends the headers it is told and no others, and follows no redirect."""

import asyncio
from urllib.parse import quote

import httpx


class Reader:
    """Speaks to an ASGI application; what breaks inside is raised here."""

    def __init__(self, web) -> None:
        self._transport = httpx.ASGITransport(web)

    def request(self, method: str, path: str, headers=None, content: bytes | None = None) -> httpx.Response:
        url = f"https://news.example.org{quote(path, safe='/?&=%+.-_~@:;,')}"
        return asyncio.run(self._send(httpx.Request(method, url, headers=headers or {}, content=content)))

    def get(self, path: str, headers=None) -> httpx.Response:
        return self.request("GET", path, headers)

    async def _send(self, request: httpx.Request) -> httpx.Response:
        response = await self._transport.handle_async_request(request)
        await response.aread()
        return response
