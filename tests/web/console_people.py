"""People of the staff at real browsers, who find nothing wrong with any page they come to; and a server for them.

NEWSLETTER_TEST_PICTURES names a folder for pictures of every page.
"""

import os
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from newsletter.domain.staff import Role
from newsletter.rendering.languages import Language, load_language
from newsletter.services import staff
from newsletter.services.context import App
from newsletter.web.application import build_web

NAMES = (os.environ.get("CHROMIUM_BIN", ""), "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, filter(None, NAMES))), None)
PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 900}
PATIENCE_MS = 20_000
PICTURES = os.environ.get("NEWSLETTER_TEST_PICTURES", "")


@contextmanager
def started_chromium() -> Iterator[Browser]:
    """Start a browser, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def served(app: App) -> Iterator[App]:
    """Serve the pages on a port of this machine and give the app that names it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        app = replace(app, settings=app.settings.model_copy(update={"base_url": url}))
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

    def submit(self, form: str) -> None:
        """Press the button of the form that a selector finds."""
        with self.page.expect_navigation():
            self.page.locator(form).get_by_role("button").first.click()
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
