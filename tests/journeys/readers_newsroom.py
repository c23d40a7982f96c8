"""A newsroom that serves its pages on a port and mails over SMTP, in this process, for a browser to visit."""

import email
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import uvicorn

from newsletter.bootstrap import build_app
from newsletter.clock import clock_from
from newsletter.config import Settings
from newsletter.demo.mailserver import MailServer
from newsletter.dispatch import RecordingDispatcher
from newsletter.domain.deliveries import Pool
from newsletter.domain.lists import Cadence
from newsletter.services.article_imports import import_document
from newsletter.services.composing import compile_edition
from newsletter.services.context import App
from newsletter.services.editions import fan_out_edition, open_due_editions
from newsletter.services.lists import ListDraft, add_list
from newsletter.services.search import index_articles
from newsletter.services.sending import send_slice
from newsletter.services.topics import load_topic_document
from newsletter.storage import editions
from newsletter.web.application import build_web

MONDAY = datetime(2026, 3, 16, 3, 0, tzinfo=UTC)
TOPICS = """
topics:
  - slug: water
    labels: {en: Water, ru: Вода, ky: Суу}
  - slug: schools
    labels: {en: Schools, ru: Школы, ky: Мектептер}
"""
LISTS = {"en": ("The week", "More"), "ru": ("Неделя", "Ещё"), "ky": ("Жума", "Дагы")}
TITLES = {
    "en": "Clean water reaches the school",
    "ru": "Чистая вода дошла до школы",
    "ky": "Таза суу мектепке жетти",
}


class RunningClock:
    """A newsroom clock that goes as any does, and can be put forward."""

    def __init__(self, start: datetime) -> None:
        self._clock = clock_from(start)
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        """Return the time."""
        return self._clock() + self._ahead

    def advance(self, **span: float) -> None:
        """Put it forward, such as weeks=1."""
        self._ahead += timedelta(**span)


@dataclass
class ReadersNewsroom:
    """One installation with two lists, behind *url*; `send` makes the mails that wait arrive."""

    app: App
    server: MailServer
    url: str
    clock: RunningClock

    def a_week_later(self) -> None:
        """Let a week pass."""
        self.clock.advance(weeks=1)

    def publish(self, number: int) -> None:
        """Bring in a story in three languages."""
        texts = {code: [f"{title} {number}. " * 5] for code, title in TITLES.items()}
        item = {
            "id": str(number),
            "title": f"{TITLES['en']} {number}",
            "paragraphs": texts["en"],
            "topics": ["water"],
            "published": (self.app.clock() - timedelta(hours=12 + number)).isoformat(),
            "translations": {
                code: {"title": f"{TITLES[code]} {number}", "paragraphs": texts[code]} for code in ("ru", "ky")
            },
        }
        import_document(self.app, "articles.json", str_of([item]), source="Press")
        index_articles(self.app)

    def send_week(self) -> None:
        """Compile, fan out and send what is due."""
        open_due_editions(self.app)
        with self.app.reading() as tx:
            planned = [each.id for each in editions.list_editions(tx.session) if each.state == "planned"]
        for edition_id in planned:
            compile_edition(self.app, edition_id)
            fan_out_edition(self.app, edition_id)
        send_slice(self.app, Pool.BULK)

    def mails_to(self, address: str) -> list[EmailMessage]:
        """Return what came to an address, transactional mail that waits included, the first one first."""
        send_slice(self.app, Pool.TRANSACTIONAL)
        found = []
        for mail in self.server.mails:
            if address in mail.envelope.recipients:
                message = email.message_from_bytes(mail.content, policy=default)
                assert isinstance(message, EmailMessage)
                found.append(message)
        return found

    def link(self, address: str, purpose: str) -> str:
        """Return where the last mail to an address leads for a purpose, such as confirm."""
        return link_in(text_of(self.mails_to(address)[-1]), purpose)


def str_of(items: list[dict[str, Any]]) -> bytes:
    return json.dumps(items, ensure_ascii=False).encode()


def text_of(message: EmailMessage, kind: str = "plain") -> str:
    """Return a mail's text, or its HTML."""
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def link_in(text: str, purpose: str) -> str:
    found = re.search(rf"http://[^\s\"<>]+/{purpose}/[\w-]+", text)
    assert found, f"no link to {purpose} in {text[:500]}"
    return found[0]


@contextmanager
def readers_newsroom(home: Path, **changes: Any) -> Iterator[ReadersNewsroom]:
    """Open one: two public lists, a hidden one, two topics, three stories of last week."""
    with socket.socket(proto=socket.IPPROTO_TCP) as listener, MailServer() as server:  # so that asyncio does not delay
        listener.bind(("127.0.0.1", 0))
        url = f"http://localhost:{listener.getsockname()[1]}"
        settings = Settings(
            home=home,
            base_url=url,
            secret_key="a-secret-key-that-only-tests-know-about",
            name="Example Newsroom",
            postal_address="1 Example Street, Bishkek",
            zone="Asia/Bishkek",
            smtp_url=f"{server.url}?tls=off" if "?" not in server.url else server.url,
            reports_address="reports@news.example.org",
            mail_domain="news.example.org",
            **changes,
        )
        clock = RunningClock(MONDAY - timedelta(weeks=1))
        app = build_app(settings, clock=clock, dispatcher=RecordingDispatcher())
        newsroom = ReadersNewsroom(app, server, url, clock)
        load_topic_document(app, "topics.yaml", TOPICS.encode())
        since = app.clock() - timedelta(days=60)
        first = settings.default_language
        titles = {code: LISTS.get(code, LISTS["en"])[0] for code in settings.languages}
        others = {code: LISTS.get(code, LISTS["en"])[1] for code in settings.languages}
        common = {"languages": settings.languages, "since": since, "from_address": "news@news.example.org"}
        add_list(app, ListDraft(slug="weekly", titles=titles, cadences=(Cadence.WEEKLY, Cadence.DAILY), **common))
        add_list(app, ListDraft(slug="second", titles=others, **common))
        add_list(app, ListDraft(slug="staff", titles={first: "Staff only"}, is_public=False))
        newsroom.a_week_later()  # a list has no edition for a slot before it was there
        for number in range(3):
            newsroom.publish(number)
        web = uvicorn.Server(uvicorn.Config(build_web(app), log_level="warning", lifespan="off"))
        thread = threading.Thread(target=web.run, args=([listener],))
        thread.start()
        try:
            yield newsroom
        finally:
            web.should_exit = True
            thread.join()
            app.database.dispose()
