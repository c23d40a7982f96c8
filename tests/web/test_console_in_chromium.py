"""The console in a browser: an editor's and an operator's journey, in three languages, with and without scripts.

axe-core looks at every page on the way. NEWSLETTER_TEST_PICTURES names a folder for pictures of every page.
"""

import os
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from argon2 import PasswordHasher
from axe_playwright_python.sync_playwright import Axe
from console_visitors import with_a_draft
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from newsletter.domain.staff import Role
from newsletter.rendering.languages import Language, load_language
from newsletter.services import staff
from newsletter.services.audit import list_acts
from newsletter.services.context import App
from newsletter.services.editions import fan_out_edition
from newsletter.services.feed_readers import PollNotes
from newsletter.services.reports import find_progress
from newsletter.web.application import build_web

NAMES = (os.environ.get("CHROMIUM_BIN", ""), "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, filter(None, NAMES))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install chromium, or name one by CHROMIUM_BIN"),
]

PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 900}
PATIENCE_MS = 20_000
PICTURES = os.environ.get("NEWSLETTER_TEST_PICTURES", "")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def served(app: App) -> Iterator[App]:
    """Serve the pages on a port of this machine and give the app that names it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        app = App(
            settings=app.settings.model_copy(update={"base_url": url}),
            database=app.database,
            clock=app.clock,
            dispatcher=app.dispatcher,
        )
        server = uvicorn.Server(uvicorn.Config(build_web(app), log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        yield app
        server.should_exit = True
        thread.join(10)


class Person:
    """Somebody of the staff at a browser, who looks at every page."""

    def __init__(self, app: App, context: BrowserContext, code: str, *, scripts: bool, name: str) -> None:
        self.app, self.code, self.scripts, self.name = app, code, scripts, name
        self.speech: Language = load_language(code, app.settings.home)
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.wrong: list[str] = []
        self.seen = 0
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: self._note(request.url))

    def _note(self, url: str) -> None:
        if not url.startswith((self.app.settings.base_url, "data:")):
            self.wrong.append(f"a request to {url}")

    def say(self, message: str, **values: object) -> str:
        return self.speech.gettext(message, **values)

    def go(self, path: str) -> None:
        self.page.goto(f"{self.app.settings.base_url}{path}")
        self.look()

    def press(self, label: str) -> None:
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=self.say(label), exact=True).first.click()
        self.look()

    def follow(self, label: str, **values: object) -> None:
        with self.page.expect_navigation():
            self.page.get_by_role("link", name=self.say(label, **values), exact=True).first.click()
        self.look()

    def reads(self, message: str, **values: object) -> None:
        self.page.get_by_text(self.say(message, **values)).first.wait_for()

    def fill(self, label: str, text: str) -> None:
        self.page.get_by_label(self.say(label), exact=True).first.fill(text)

    def look(self) -> None:
        """Find nothing wrong with the page: its language, its width, and all that axe-core knows."""
        self.page.wait_for_load_state()
        here = self.page.url
        self.seen += 1
        if PICTURES:
            place = re.sub(r"\W+", "-", here.split("/", 3)[-1])[:50]
            picture = Path(PICTURES) / f"{self.name}-{self.seen:02}-{place}.png"
            self.page.screenshot(path=picture, full_page=True)
        assert self.code == self.page.locator("html").get_attribute("lang"), here
        assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{here} is too wide"
        if self.scripts:  # axe-core is one
            assert [] == violations(self.page), here
        assert [] == self.wrong, here


def violations(page: Page) -> list[tuple[str, list[str]]]:
    found = Axe().run(page).response["violations"]
    return [(each["id"], [node["html"][:160] for node in each["nodes"]][:3]) for each in found]


HOW = [
    ("en", True, "phone", "dark"),
    ("ru", False, "desktop", "light"),
    ("ky", True, "phone", "light"),
]


@pytest.fixture
def console(request, app, chromium, monkeypatch) -> Iterator[tuple[Person, int]]:
    """Somebody in front of a console with a draft, and the draft's id."""
    monkeypatch.setattr(staff, "hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    code, scripts, size, look = request.param
    app, edition_id = with_a_draft(app, readers=8)
    notes = PollNotes(app, lambda: 0.0)
    notes.note("all-en", "Feedly/1.0 (+http://www.feedly.com/fetcher.html; 16 subscribers; )", "192.0.2.0/24")
    notes.note("all-en", "NetNewsWire (RSS Reader; https://netnewswire.com/)", "192.0.2.0/24")
    notes.write()
    with served(app) as running:
        context = chromium.new_context(
            java_script_enabled=scripts,
            viewport=PHONE if size == "phone" else DESKTOP,
            locale=code,
            color_scheme=look,
            has_touch=size == "phone",
        )
        name = f"{request.node.name.split('[')[0]}-{'-'.join(map(str, request.param))}"
        yield Person(running, context, code, scripts=scripts, name=name), edition_id
        context.close()


def sign_in(person: Person, role: Role) -> None:
    made = staff.add_account(person.app, f"{role.value}@staff.example", role)
    person.go("/console")
    person.fill("Your e-mail address", made.email)
    person.fill("Password", "not this one")
    with person.page.expect_navigation():
        person.page.get_by_role("button", name=person.say("Sign in"), exact=True).click()
    person.wrong.clear()  # Chromium's console tells of the refusal, and rightly
    person.look()
    person.reads("No account has this address and password.")
    person.fill("Password", made.password)
    person.press("Sign in")


@pytest.mark.parametrize("console", HOW, indirect=True, ids=lambda how: "-".join(map(str, how)))
def test_an_editor_mends_a_draft_looks_at_it_and_lets_it_go(console):
    person, edition_id = console
    sign_in(person, Role.EDITOR)
    person.reads("Waits for review")
    person.follow(str(edition_id))
    person.follow("Edit")
    person.page.locator("#words-en").fill("A week of floods")
    person.page.locator("form:has(#words-en)").get_by_role("button").click()
    person.look()
    person.reads("Changed, and composed anew.")
    person.page.locator("select[name=change]").first.select_option("drop")
    person.page.locator("input[name=reason]").first.fill("The ministry withdrew it")
    person.page.locator("ol form button").first.click()
    person.look()
    person.reads("The ministry withdrew it")
    person.follow("Preview")
    frame = person.page.frame_locator("iframe")
    frame.get_by_text("A week of floods").first.wait_for()
    person.follow("Edition %(number)s", number=edition_id)
    if person.page.locator("input[name=read]").count():
        person.page.locator("input[name=read]").check()
    person.press("Approve")
    person.reads("Approved. It goes out now.")
    fan_out_edition(person.app, edition_id)
    if person.scripts:
        person.page.get_by_text("gmail").first.wait_for()  # the page keeps itself current
    person.go(f"/console/editions/{edition_id}")
    person.follow("Write")
    person.page.locator("#subject-en").fill("We move")
    person.page.locator("#text-en").fill("To the *other* bank of the river.")
    person.press("Compose")
    person.reads("Composed. It waits for approval.")
    for label in ("Readers", "Feeds", "Record"):
        person.follow(label)
    person.page.get_by_text("edition " + str(edition_id)).first.wait_for()
    assert {"editor@staff.example"} == {
        each.actor for each in list_acts(person.app) if each.act in ("edited", "approved", "composed")
    }
    person.press("Sign out")
    person.reads("You are signed out.")


@pytest.mark.parametrize("console", HOW[:2], indirect=True, ids=lambda how: "-".join(map(str, how)))
def test_an_operator_pauses_resumes_and_limits(console):
    person, edition_id = console
    sign_in(person, Role.OPERATOR)
    person.go(f"/console/editions/{edition_id}")
    if person.page.locator("input[name=read]").count():
        person.page.locator("input[name=read]").check()
    person.press("Approve")
    fan_out_edition(person.app, edition_id)
    person.go(f"/console/editions/{edition_id}")
    person.page.get_by_label(person.say("Why"), exact=True).first.fill("a wrong name in the lead")
    person.press("Pause the edition")
    person.reads("Paused. What is at the relay this moment is finished.")
    assert "paused" == find_progress(person.app, edition_id).state
    person.press("Go on")
    person.follow("Mails")
    person.page.get_by_role("link", name=re.compile(r"^\d+$")).last.click()
    person.look()
    person.follow("Sending")
    person.page.locator("#name").select_option("gmail")
    person.fill("Mails a second", "20")
    person.press("Limit")
    person.reads("The limit holds from the next few mails on.")
    person.page.locator("#reason").fill("a fire at the relay")
    person.press("Stop all mail")
    person.follow("Overview")
    person.reads("All sending is stopped.")
    person.follow("Sending")
    person.press("Let it go on")
    person.go("/console/account")
    person.press("Sign out everywhere")
