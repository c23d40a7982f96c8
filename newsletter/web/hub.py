"""The WebSub hub on the web: takes what a subscriber asks, and answers before anybody's callback is asked."""

from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from newsletter.errors import InvalidError
from newsletter.services.context import App
from newsletter.services.hub import ask_hub
from newsletter.web.bare_answers import say
from newsletter.web.security import BodyLimit

LARGEST_FORM = 16 * 1024
"""Bytes of a subscriber's request; a callback and a topic have 2 KB each at most."""


class HubEndpoint:
    """Takes a subscriber's request (WebSub, 5.1): 202, whatever its callback will say; errors are the caller's to say.

    A form that is too large, or drips for longer than any takes, is refused like those of pages.
    """

    def __init__(self, app: App) -> None:
        self._newsroom = app
        self._limited = BodyLimit(self._ask)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        method = scope["method"]
        if method != "POST":
            text = "This is a WebSub hub; ask with POST."
            await say(send, 405, text, (("allow", "POST"),), is_head=method == "HEAD")
            return
        try:
            await self._limited(scope, receive, send)
        except HTTPException as refusal:
            more = tuple((refusal.headers or {}).items())
            await say(send, refusal.status_code, "This form is too large, or came too slowly.", more)

    async def _ask(self, _scope: Scope, receive: Receive, send: Send) -> None:
        form = await _read_form(receive)
        await run_in_threadpool(ask_hub, self._newsroom, form)
        await say(send, 202, "Your callback will be asked to confirm.", (("cache-control", "no-store"),))


async def _read_form(receive: Receive) -> dict[str, str]:
    """Return the fields of a form, each once, as the first is; nobody sends a hub anything long."""
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidError("the form ended before its end")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > LARGEST_FORM:
            raise HTTPException(413)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=50)
    except ValueError as error:
        raise InvalidError("this is no form in UTF-8") from error
    return dict(reversed(pairs))
