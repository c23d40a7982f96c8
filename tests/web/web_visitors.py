"""What tests of pages share: a browser, a later moment, and what a visit left behind."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
from starlette.applications import Starlette

from newsletter.clock import fixed_clock
from newsletter.domain.subscriptions import Subscription
from newsletter.mail.tokens import TokenPurpose, TokenSigner
from newsletter.services.context import App
from newsletter.storage import mailings, subscribers, subscriptions
from newsletter.storage.mailings import Mailing
from newsletter.web.application import build_web

OF_A_SUBSCRIPTION = (TokenPurpose.CONFIRM, TokenPurpose.PREFERENCES, TokenPurpose.UNSUBSCRIBE)
"""Purposes of the tokens that name a subscription; the others name a request, or a moment."""


def stamp_of(app: App, *, age: timedelta = timedelta(minutes=1)) -> str:
    """Return what a form that was shown that long ago carries."""
    shown_at = int((app.clock() - age).timestamp())
    return TokenSigner(app.settings.secret).sign(TokenPurpose.FORM, str(shown_at))


class Browser:
    """A browser without scripts and cookies that follows no redirect; *raises*: what breaks inside is raised here.

    Each has a server of its own but those that share one as *web*.
    """

    def __init__(self, app: App, *, host: str = "192.0.2.1", raises: bool = True, web: Starlette | None = None) -> None:
        self._transport = httpx.ASGITransport(web or build_web(app), raise_app_exceptions=raises, client=(host, 4711))
        self._app, self._base_url = app, app.settings.base_url

    def request(self, method: str, path: str, **what: Any) -> httpx.Response:
        return asyncio.run(self._send(method, path, what))

    def get(self, path: str, **what: Any) -> httpx.Response:
        return self.request("GET", path, **what)

    def post(self, path: str, **what: Any) -> httpx.Response:
        return self.request("POST", path, **what)

    def subscribe(self, path: str = "/subscribe", **fields: Any) -> httpx.Response:
        """Send the sign-up form as somebody does who has read it."""
        return self.post(path, data={"stamp": stamp_of(self._app), **fields})

    async def _send(self, method: str, path: str, what: dict[str, Any]) -> httpx.Response:
        async with httpx.AsyncClient(transport=self._transport, base_url=self._base_url) as client:
            return await client.request(method, path, **what)


def find(app: App, address: str) -> list[Subscription]:
    with app.reading() as tx:
        person = subscribers.load_subscriber(tx.session, address)
        return subscriptions.load_subscriptions(tx.session, [person.id]) if person else []


def later(app: App, span: timedelta) -> App:
    return replace(app, clock=fixed_clock(app.clock() + span))


def mails_to(app: App, address: str) -> list[Mailing]:
    with app.reading() as tx:
        person = subscribers.load_subscriber(tx.session, address)
        return mailings.load_mailings(tx.session, [person.id]) if person else []
