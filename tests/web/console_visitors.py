"""What tests of the console share: a browser that keeps cookies, and a newsroom with a draft and mails."""

import asyncio
import json
import re
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import httpx
from prepared import Preparations

from newsletter.domain.staff import Role
from newsletter.services import staff
from newsletter.services.article_imports import import_document
from newsletter.services.composing import compile_edition
from newsletter.services.context import App
from newsletter.services.editions import open_due_editions
from newsletter.services.filters import NamedFilter
from newsletter.services.lists import ListDraft, add_list
from newsletter.services.subscriber_imports import add_subscriber
from newsletter.web.application import build_web


class Clock:
    """A clock that stands where it is put."""

    def __init__(self, now: Any) -> None:
        self.now = now

    def __call__(self) -> Any:
        return self.now


class StaffBrowser:
    """A browser that keeps cookies, follows no redirect and runs no script."""

    def __init__(self, app: App, *, host: str = "192.0.2.1") -> None:
        self._transport = httpx.ASGITransport(build_web(app), client=(host, 4711))
        self.app, self.cookies = app, httpx.Cookies()

    def request(self, method: str, path: str, **what: Any) -> httpx.Response:
        return asyncio.run(self._send(method, path, what))

    def get(self, path: str, **what: Any) -> httpx.Response:
        return self.request("GET", path, **what)

    def post(self, path: str, *, page: str = "/console/account", **fields: Any) -> httpx.Response:
        """Send a form with the mark that *page* carries."""
        found = re.search(r'name="form_token" value="([0-9a-f]{64})"', self.get(page).text)
        return self.request("POST", path, data={"form_token": found[1] if found else "", **fields})

    def sign_in(self, email: str, password: str, **fields: Any) -> httpx.Response:
        shown = self.get("/console/sign-in").text
        knock = re.search(r'name="knock" value="([0-9a-f]{64})"', shown)
        assert knock is not None
        return self.request(
            "POST", "/console/sign-in", data={"knock": knock[1], "email": email, "password": password, **fields}
        )

    async def _send(self, method: str, path: str, what: dict[str, Any]) -> httpx.Response:
        base = self.app.settings.base_url
        async with httpx.AsyncClient(transport=self._transport, base_url=base, cookies=self.cookies) as client:
            answer = await client.request(method, path, **what)
            self.cookies = client.cookies
            await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))  # what a server does beside answers
            return answer


def signed_in(app: App, role: Role, *, host: str = "192.0.2.1") -> StaffBrowser:
    """Return a browser of somebody with an account of *role*, made for it."""
    email = f"{role.value}@staff.example"
    made = staff.add_account(app, email, role)
    browser = StaffBrowser(app, host=host)
    assert 303 == browser.sign_in(email, made.password).status_code
    return browser


def with_a_draft(app: App, preparations: Preparations, **how: Any) -> tuple[App, int]:
    """Return *app* with a clock that can be put, and the id of the edition that `compile_draft` makes."""
    edition_id = preparations.once(app, compile_draft, **how)
    return replace(app, clock=Clock(app.clock())), edition_id


def compile_draft(app: App, *, readers: int = 3, title: str = "Story") -> int:
    """Store a list with readers; return the id of its edition in review."""
    now = app.clock()
    since = now - timedelta(days=60)
    add_list(app, ListDraft(slug="reviewed", titles={"en": "The review"}, since=since, review_minutes=600))
    for number in range(readers):
        reader = {"basis": "signed up on paper", "language": "en", "wanted": NamedFilter()}
        add_subscriber(app, "reviewed", f"reader{number}@gmail.com", **reader)
    items = [
        {
            "id": str(number),
            "title": f"{title} {number} of the week",
            "summary": f"What became of it, {number}.",
            "paragraphs": [sha256(f"{number}{part}".encode()).hexdigest() for part in range(3)],
            "url": f"https://example.org/{number}",
            "published": (now - timedelta(hours=12 + number)).isoformat(),
        }
        for number in range(3)
    ]
    import_document(app, "articles.json", json.dumps(items).encode(), source="Press")
    [edition_id] = [each for each in open_due_editions(app) if each]
    compile_edition(app, edition_id)
    return edition_id
