"""What tests of pages share: a browser, a later moment, and what a visit left behind."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx

from newsletter.clock import fixed_clock
from newsletter.domain.subscriptions import Subscription
from newsletter.services.context import App
from newsletter.storage import mailings, subscribers, subscriptions
from newsletter.storage.mailings import Mailing
from newsletter.web.application import build_web


class Browser:
    """A browser without scripts and cookies that follows no redirect; *raises*: what breaks inside is raised here."""

    def __init__(self, app: App, *, host: str = "192.0.2.1", raises: bool = True) -> None:
        self._transport = httpx.ASGITransport(build_web(app), raise_app_exceptions=raises, client=(host, 4711))
        self._base_url = app.settings.base_url

    def request(self, method: str, path: str, **what: Any) -> httpx.Response:
        return asyncio.run(self._send(method, path, what))

    def get(self, path: str, **what: Any) -> httpx.Response:
        return self.request("GET", path, **what)

    def post(self, path: str, **what: Any) -> httpx.Response:
        return self.request("POST", path, **what)

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
