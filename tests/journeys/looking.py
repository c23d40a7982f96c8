"""What tests in a browser share: Chromium, sizes of screens, and axe-core's look at a page or at what was saved."""

import os
import shutil
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_FILE_PATH, AXE_SCRIPT
from playwright.sync_api import Browser, Page, Route

NAMES = (os.environ.get("CHROMIUM_BIN", ""), "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, filter(None, NAMES))), None)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium: install chromium, or name one by CHROMIUM_BIN"
)

PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 900}
A_MAIL_IS_NO_PAGE = ("region", "landmark-one-main")
"""Rules of axe-core about a page's landmarks; a mail stands inside its program's."""
LOOK = 'axe.run({resultTypes: ["violations"]}).then(found => found.violations)'
SAVED = "http://saved.example/"
HEADERS = {"content-type": "text/html; charset=utf-8", "content-security-policy": "script-src 'none'"}
PICTURES = os.environ.get("NEWSLETTER_TEST_PICTURES", "")
"""A folder for pictures of all that is looked at; empty: none are taken."""

Violations = list[tuple[str, list[str]]]


def violations(page: Page, *, but: tuple[str, ...] = ()) -> Violations:
    """Return what axe-core finds wrong with a page: the rules, each with some of the elements."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(f"{AXE_SCRIPT};0")
    found = page.evaluate(LOOK)
    return [(each["id"], [node["html"][:120] for node in each["nodes"]][:3]) for each in found if each["id"] not in but]


class Looker:
    """Looks at markup that was saved, in a browser where no script runs but axe-core's own."""

    def __init__(self, browser: Browser, *, size: dict[str, int], scheme: str) -> None:
        self._context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]  # of two words
        self._page = self._context.new_page()
        self._page.add_init_script(path=AXE_FILE_PATH)
        self._page.route("**/*", self._answer)
        self._markup = ""
        self._look = f"{'phone' if size == PHONE else 'desktop'}-{scheme}"

    def look(self, markup: str, *, name: str = "", but: tuple[str, ...] = ()) -> Violations:
        """Return what is wrong with *markup*; it may be no wider than the screen. *name*: of its picture."""
        self._markup = markup
        self._page.goto(SAVED)
        if PICTURES and name:
            self._page.screenshot(path=Path(PICTURES) / f"{name}-{self._look}.png", full_page=True)
        is_too_wide = self._page.evaluate("document.documentElement.scrollWidth > innerWidth")
        return [("too wide", []), *violations(self._page, but=but)] if is_too_wide else violations(self._page, but=but)

    def close(self) -> None:
        """Close what was opened."""
        self._context.close()

    def _answer(self, route: Route) -> None:
        """Answer with what was saved, and with nothing for whatever else it asks for."""
        if route.request.url == SAVED:
            route.fulfill(body=self._markup, headers=HEADERS)
        else:
            route.abort()
