"""axe-core finds nothing on any page and in any mail there is, in three languages, light and dark, phone and desktop.

Which pages and mails there are is read off the templates, so that a new one cannot be forgotten here.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from looking import A_MAIL_IS_NO_PAGE, CHROMIUM, DESKTOP, PHONE, Looker, needs_chromium
from playwright.sync_api import sync_playwright
from readers_newsroom import ReadersNewsroom, link_in, readers_newsroom, text_of

from newsletter.domain.deliveries import Pool
from newsletter.domain.editions import EditionState
from newsletter.rendering import email
from newsletter.rendering.environment import templates_folder
from newsletter.services.announcement_editions import LetterDraft, compose_announcement
from newsletter.services.articles import withdraw_article
from newsletter.services.editions import approve_edition, fan_out_edition
from newsletter.services.filters import EVERY_ARTICLE
from newsletter.services.lists import ListDraft, add_list
from newsletter.services.reports import list_progress
from newsletter.services.sending import send_slice
from newsletter.services.subscriber_imports import add_subscriber
from newsletter.web import sign_up, visits

pytestmark = [pytest.mark.slow, needs_chromium]

DESK = "desk@news.example.org"
LARGEST_PAGE = 50_000
"""Bytes, uncompressed."""
NO_PAGES = {"base", "macros", "parts", "preview_part", "editions", "mailbox", "mailbox-mail"}
"""Templates that are parts of others, and the demo's mailbox."""


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of pages, and of mails as mail/NAME, that were rendered."""
    names: set[str] = set()

    def noting(module, attribute, name_of):
        real = getattr(module, attribute)

        def note(name, *arguments, **words):
            names.add(name_of(name))
            return real(name, *arguments, **words)

        monkeypatch.setattr(module, attribute, note)

    noting(visits, "render_page", str)
    noting(email, "render", lambda path: f"mail/{path.split('/')[1]}")
    return names


@pytest.fixture
def newsroom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReadersNewsroom]:
    monkeypatch.setattr(sign_up, "QUICKEST", sign_up.QUICKEST * 0)
    monkeypatch.setattr(visits, "ANSWER_SECONDS", 0)
    with readers_newsroom(tmp_path, sign_ups_per_network=500, review_addresses=(DESK,)) as opened:
        yield opened


class Visitor:
    """Somebody who comes to every page in one language; *pages*: what they saw, by a name for its picture."""

    def __init__(self, newsroom: ReadersNewsroom, code: str) -> None:
        self.newsroom, self.code = newsroom, code
        self.web = httpx.Client(base_url=newsroom.url, headers={"accept-language": code}, timeout=60)
        self.pages: dict[str, str] = {}

    def see(self, address: str, /, **form: str | list[str]) -> str:
        answer = self.web.post(address, data=form) if form else self.web.get(address)
        assert answer.status_code < 500, (address, form)
        assert len(answer.content) < LARGEST_PAGE, (address, form)
        if answer.headers["content-type"].startswith("text/html"):
            path = urlsplit(address).path.strip("/").split("/")
            self.pages[f"{len(self.pages):02}-{path[0] or 'home'}-{form.get('action', '') if form else ''}"] = (
                answer.text
            )
        return answer.text

    def last_mail(self, address: str, purpose: str) -> str:
        return link_in(text_of(self.newsroom.mails_to(address)[-1]), purpose)

    def read(self) -> None:
        """See what anybody sees."""
        self.newsroom.publish(7)
        for path in ("/", "/archive/", "/archive/weekly", "/topics/", "/topics/water", "/feeds", "/feeds?topic=water"):
            self.see(path)
        for path in ("/no-such-page", "/subscribe/embed?list=weekly&topic=water", "/search?q=zzz"):
            self.see(path)
        found = re.findall(
            r"/articles/([0-9a-f-]{36})", self.see({"en": "/search?q=water"}.get(self.code, "/search?q=7"))
        )
        self.see(f"/articles/{found[0]}")
        withdraw_article(self.newsroom.app, found[0], reason="it was wrong")
        self.see(f"/articles/{found[0]}")

    def sign_up(self, address: str, **choice: str | list[str]) -> None:
        stamp = re.search(r'name="stamp" value="([^"]+)"', self.see("/subscribe"))
        assert stamp is not None
        self.see("/subscribe", stamp=stamp[1], address=address, language=self.code, **({"list": "weekly"} | choice))

    def live(self, address: str) -> None:
        """Sign up, choose, be sent something, move and go."""
        self.sign_up("nobody", list=[])
        self.sign_up("a@gmial.com")
        self.sign_up(address, preview="1")
        self.sign_up(f"other.{address}")
        self.see(self.last_mail(f"other.{address}", "confirm"), action="not-me")
        self.sign_up(address, list=["weekly", "second"], **{"cadence-weekly": "weekly"})
        confirm = self.last_mail(address, "confirm")
        self.see(confirm)
        self.see(f"{confirm}?not-me=1")
        self.see(confirm, action="confirm")
        self.newsroom.a_week_later()
        self.newsroom.publish(8)
        self.newsroom.send_week()
        digest = text_of(self.newsroom.mails_to(address)[-1])
        self.see(link_in(digest, f"archive/[a-z]+/[^/]+/{self.code}"))
        self.sign_up(address)
        self.choose(link_in(digest, "preferences"), address)
        self.announce(address)
        unsubscribe = link_in(digest, "unsubscribe")
        self.see(unsubscribe)
        for action in ("leave", "undo", "leave-all"):
            self.see(unsubscribe, action=action)
        for gone in (unsubscribe, link_in(digest, "preferences"), confirm):
            self.see(gone)

    def choose(self, preferences: str, address: str) -> None:
        day = (self.newsroom.app.clock() + timedelta(days=20)).date().isoformat()
        self.see(preferences)
        self.see(preferences, action="pause", until="2020-01-01")
        self.see(preferences, action="pause", until=day, **{"catch-up": "1"})
        for action in ("resume", "feed", "choose", "download"):
            self.see(preferences, action=action)
        self.see(f"{preferences}/sent")
        download = self.last_mail(address, "requests")
        self.see(download)
        self.see(download, action="download")
        self.see(download)
        self.see(preferences, action="address", address="nonsense")
        self.see(preferences, action="address", address=f"new.{address}")
        self.see(self.last_mail(f"new.{address}", "requests"))
        refusal = self.last_mail(address, "refusals")
        self.see(refusal)
        self.see(refusal, action="refuse")
        self.see(preferences, action="erase")
        self.erasure = self.last_mail(address, "requests")
        self.see(self.erasure)

    def announce(self, address: str) -> None:
        """Send the readers of the weekly list a letter."""
        letter = LetterDraft("A word", "## A heading\n\nA letter with [a link](https://example.org/).\n\n- one")
        letters = dict.fromkeys(("en", self.code), letter)
        edition_id = compose_announcement(self.newsroom.app, "weekly", letters).edition_id
        approve_edition(self.newsroom.app, edition_id, actor="a test")
        fan_out_edition(self.newsroom.app, edition_id)
        send_slice(self.newsroom.app, Pool.BULK)
        assert "A word" in self.newsroom.mails_to(address)[-1]["subject"]

    def review(self) -> None:
        """Look at an edition that waits for review, as the link in its mail leads, before and after it is approved."""
        app, slug = self.newsroom.app, f"review-{self.code}"
        own = {"languages": (self.code,), "review_minutes": 600, "since": app.clock() - timedelta(days=60)}
        add_list(app, ListDraft(slug=slug, titles={self.code: "Review"}, from_address="news@news.example.org", **own))
        basis = "signed up on paper at the fair, May 2024"
        add_subscriber(app, slug, f"paper.{self.code}@readers.example", basis=basis, wanted=EVERY_ARTICLE)
        self.newsroom.a_week_later()
        self.newsroom.publish(9)
        self.newsroom.send_week()
        link = self.last_mail(DESK, "review")
        self.see(link_in(self.see(link), 'review/[^/"]+'))
        [waiting] = list_progress(app, slug=slug, state=EditionState.REVIEW, limit=9)
        approve_edition(app, waiting.edition_id, actor="a test")
        self.see(link)
        self.newsroom.a_week_later()
        self.see(link)


@pytest.mark.parametrize(
    ("code", "size", "scheme"),
    [("en", PHONE, "dark"), ("ru", DESKTOP, "dark"), ("ky", PHONE, "light")],
    ids=["en-phone-dark", "ru-desktop-dark", "ky-phone-light"],
)
def test_axe_finds_nothing_on_any_page_and_in_any_mail(newsroom, rendered, code, size, scheme):
    visitor = Visitor(newsroom, code)
    address = f"{code}@readers.example"
    visitor.read()
    visitor.live(address)
    visitor.see(visitor.erasure, action="erase")
    visitor.review()
    visitor.web.close()
    mails = [text_of(mail, "html") for to in (address, f"new.{address}", DESK) for mail in newsroom.mails_to(to)]
    wrong = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        looker = Looker(browser, size=size, scheme=scheme)
        for name, markup in visitor.pages.items():
            wrong[name] = looker.look(markup, name=f"{code}-{name}")
        for number, markup in enumerate(mails):
            wrong[f"mail {number}"] = looker.look(markup, name=f"{code}-mail-{number}", but=A_MAIL_IS_NO_PAGE)
        browser.close()

    assert {} == {name: found for name, found in wrong.items() if found}
    assert [] == sorted(pages_and_mails() - rendered), "never seen"


def pages_and_mails() -> set[str]:
    """Return the names of all templates that are pages, and of mails as mail/NAME."""
    folder = templates_folder()
    pages = {path.stem for path in folder.glob("web/*.html")} - NO_PAGES
    return pages | {f"mail/{path.parent.name}" for path in folder.glob("email/*/body.html")}
