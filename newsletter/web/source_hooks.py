"""Callbacks for the hubs of sources (WebSub): a hub asks whether we meant it, and tells that a source has news."""

from datetime import timedelta
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from newsletter.services.context import App
from newsletter.services.source_hubs import PushSignature, confirm_hub, deny_hub, hear_hub, knows_hub

LONGEST_CHALLENGE = 1000
LONGEST_SECONDS = 9
"""Digits; a longer number is no lease."""


def routes(app: App) -> list[BaseRoute]:
    """Return the route of callbacks."""

    async def answer(request: Request) -> Response:
        name = request.path_params["name"]
        if request.method == "POST":
            return await _hear(app, name, request)
        return await run_in_threadpool(_confirm, app, name, request)

    return [Route("/hooks/websub/{name}", answer, methods=["GET", "POST"], name="source-hook")]


def _confirm(app: App, name: str, request: Request) -> Response:
    """Say yes to what we asked for by giving the challenge back, no to everything else (WebSub §5.3)."""
    asked = request.query_params
    mode, topic, challenge = (asked.get(f"hub.{each}", "") for each in ("mode", "topic", "challenge"))
    if mode == "denied":
        deny_hub(app, name, topic=topic)
        return PlainTextResponse("noted\n")
    seconds = asked.get("hub.lease_seconds", "")
    is_number = seconds.isascii() and seconds.isdecimal() and len(seconds) <= LONGEST_SECONDS
    lease = timedelta(seconds=int(seconds) if is_number else 0)
    if not 0 < len(challenge) <= LONGEST_CHALLENGE or not confirm_hub(app, name, mode=mode, topic=topic, lease=lease):
        return PlainTextResponse("nobody here asked for that\n", 404)
    return PlainTextResponse(challenge)


async def _hear(app: App, name: str, request: Request) -> Response:
    """Look at the source whose hub signed what it sends; what is not signed is answered and ignored (WebSub §8)."""
    if not await run_in_threadpool(knows_hub, app, name):
        return PlainTextResponse("nobody here wants that any more\n", 410)
    signature = PushSignature(app.settings, name, request.headers.get("x-hub-signature", ""))
    async for piece in request.stream():
        signature.update(piece)
    if signature.is_right:
        await run_in_threadpool(partial(hear_hub, app, name))
    return PlainTextResponse("heard\n", 202)
