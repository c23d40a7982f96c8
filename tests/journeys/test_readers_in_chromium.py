"""Every journey of a reader in a browser: three languages, with and without scripts, phone and desktop, keyboard alone.

What axe-core says of every page and mail is in test_every_page_and_mail.py.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from looking import CHROMIUM, DESKTOP, PHONE, PICTURES, needs_chromium
from playwright.sync_api import Browser, BrowserContext, Download, Locator, Page, sync_playwright
from readers_newsroom import TITLES, ReadersNewsroom, link_in, readers_newsroom, text_of

from newsletter.rendering.languages import Language, load_language
from newsletter.services.feed_rebuilding import rebuild_feeds
from newsletter.web import sign_up, visits

pytestmark = [pytest.mark.slow, needs_chromium]

LANGUAGES = ("en", "ru", "ky")
PATIENCE_MS = 20_000
LARGEST_PAGE = 50_000


@pytest.fixture(scope="module")
def newsroom(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadersNewsroom]:
    with opened_newsroom(tmp_path_factory.mktemp("home")) as opened:
        yield opened


@pytest.fixture(scope="module")
def newsroom_on_postgresql(
    tmp_path_factory: pytest.TempPathFactory, postgres_url_of_module: str
) -> Iterator[ReadersNewsroom]:
    with opened_newsroom(tmp_path_factory.mktemp("home"), database_url=postgres_url_of_module) as opened:
        yield opened


@contextmanager
def opened_newsroom(home: Path, **changes: str) -> Iterator[ReadersNewsroom]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sign_up, "QUICKEST", sign_up.QUICKEST * 0)  # nobody waits here; what is quicker has its own test
        patch.setattr(visits, "ANSWER_SECONDS", 0)
        with readers_newsroom(home, sign_ups_per_network=500, **changes) as opened:
            yield opened


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Reader:
    """Somebody at a browser: acts as people do, by what buttons and fields are called, and looks at every page.

    By touch or mouse, or *by_keyboard*: all that is pressed, chosen and written is reached by Tab, and shows so.
    """

    def __init__(
        self, newsroom: ReadersNewsroom, context: BrowserContext, code: str, *, scripts: bool, by_keyboard: bool = False
    ) -> None:
        self.newsroom, self.code, self.scripts, self.by_keyboard = newsroom, code, scripts, by_keyboard
        self.speech: Language = load_language(code, newsroom.app.settings.home)
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.wrong: list[str] = []
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", self._note_request)

    def _note_request(self, request: object) -> None:
        url = str(request.url)  # type: ignore[attr-defined]  # Playwright's request
        if not url.startswith(self.newsroom.url):
            self.wrong.append(f"a request to {url}")

    def say(self, message: str, **values: object) -> str:
        return self.speech.gettext(message, **values)

    def go(self, address: str) -> None:
        answer = self.page.goto(address if address.startswith("http") else f"{self.newsroom.url}{address}")
        assert answer is not None
        assert 200 == answer.status, address
        assert len(answer.body()) < LARGEST_PAGE, address
        self.look()

    def press(self, label: str, **values: object) -> None:
        self._go_by(self.page.get_by_role("button", name=self.say(label, **values), exact=True).first)

    def follow(self, label: str) -> None:
        self._go_by(self.page.get_by_role("link", name=self.say(label), exact=True).first)

    def _go_by(self, control: Locator) -> None:
        if not self.by_keyboard:
            control.click()
        else:
            self.tab_to(control)
            with self.page.expect_navigation():
                self.page.keyboard.press("Enter")
        self.look()

    def choose(self, box: Locator) -> None:
        if not self.by_keyboard:
            box.check()
        else:
            self.tab_to(box)
            self.page.keyboard.press("Space")

    def write(self, field: Locator, text: str) -> None:
        if not self.by_keyboard:
            field.fill(text)
        else:
            self.tab_to(field)
            self.page.keyboard.insert_text(text)

    def tab_to(self, control: Locator) -> None:
        """Press Tab until *control* has the focus, and see that the focus is to be seen."""
        for _ in range(120):
            self.page.keyboard.press("Tab")
            if control.evaluate("each => each === document.activeElement"):
                outline = control.evaluate("each => getComputedStyle(each).outlineStyle")
                assert "none" != outline, f"{control} has the focus and does not show it"
                return
        raise AssertionError(f"no way to {control} by the keyboard")

    def reads(self, message: str, **values: object) -> None:
        self.page.get_by_text(self.say(message, **values)).first.wait_for()

    def look(self) -> None:
        """Find nothing wrong with the page: its language, its width, what it asks for and says to the console."""
        self.page.wait_for_load_state()
        here = self.page.url
        assert self.code == self.page.locator("html").get_attribute("lang"), here
        assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{here} is too wide"
        assert [] == self.wrong, here


@pytest.fixture(params=[(code, *how) for code in LANGUAGES for how in ((True, "phone"), (False, "desktop"))], ids=str)
def reader(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[Reader]:
    """Each reader of one of two kinds: with scripts, of the embedded database, or without, of PostgreSQL."""
    code, scripts, size = request.param
    newsroom = request.getfixturevalue("newsroom" if scripts else "newsroom_on_postgresql")
    viewport = PHONE if size == "phone" else DESKTOP
    context = chromium.new_context(
        java_script_enabled=scripts,
        viewport=viewport,
        locale=code,
        color_scheme="dark" if scripts else "light",
        has_touch=size == "phone",
    )
    yield Reader(newsroom, context, code, scripts=scripts, by_keyboard=not scripts)
    context.close()


def sign_up_as(reader: Reader, address: str) -> None:
    """Choose a list and a topic, look at the preview, sign up and confirm by the mailed link."""
    reader.go("/subscribe")
    reader.choose(reader.page.locator("input[name=list][value=weekly]"))
    if reader.scripts:
        reader.page.get_by_role("heading", name=reader.say("Last week you would have got this")).wait_for()
    else:
        reader.press("Show what I would get")
    reader.reads("Last week you would have got this")
    reader.write(reader.page.get_by_label(reader.say("Your e-mail address")), address)
    reader.press("Subscribe")
    reader.reads("Look into your mailbox")
    reader.go(reader.newsroom.link(address, "confirm"))
    reader.press("Yes, subscribe me")
    reader.reads("You are subscribed")


def test_a_reader_subscribes_chooses_pauses_moves_and_leaves(reader: Reader, tmp_path: Path) -> None:
    name = f"{reader.code}.{'scripts' if reader.scripts else 'plain'}"
    address = f"{name}@readers.example"
    sign_up_as(reader, address)
    reader.follow("Change topics or frequency")
    preferences = reader.page.url
    reader.choose(reader.page.locator("input[name=topic]").first)
    reader.press("Save")
    reader.reads("Your choices are saved. They count from the next edition on.")
    reader.page.get_by_label(reader.say("No mails until")).fill("2026-04-20")
    reader.choose(reader.page.get_by_label(reader.say("Send me afterwards what I missed")))
    reader.press("Pause")
    reader.reads("Paused. Mails that waited to be sent are cancelled.")
    reader.press("End the pause now")
    reader.reads("The pause is over. You get the next edition again.")
    reader.follow("What you were sent, and why")
    reader.go(preferences)
    reader.press("Download my data")
    reader.go(reader.newsroom.link(address, "requests"))
    with reader.page.expect_download() as download:
        reader.page.get_by_role("button", name=reader.say("Download my data")).click()
    assert address in read_download(download.value, tmp_path)
    reader.go(preferences)
    moved = f"new.{address}"
    reader.write(reader.page.get_by_label(reader.say("Your new e-mail address")), moved)
    reader.press("Send me the link")
    reader.go(link_in(text_of(reader.newsroom.mails_to(moved)[-1]), "requests"))
    reader.press("Yes, this is my address")
    reader.reads("Your address is changed")
    reader.go(preferences)
    reader.follow("Unsubscribe")
    reader.press("Unsubscribe")
    reader.press("That was a mistake: subscribe me again")
    reader.reads("Welcome back")
    reader.follow("Change topics or frequency")
    reader.press("Erase me")
    reader.go(reader.newsroom.link(moved, "requests"))
    reader.press("Erase me")
    reader.reads("You are erased")
    mails = reader.newsroom.mails_to(address) + reader.newsroom.mails_to(moved)
    assert 5 == len(mails)


def read_download(download: Download, folder: Path) -> str:
    path = folder / "my-data.json"
    download.save_as(path)
    return path.read_text(encoding="utf-8")


def test_whoever_reads_finds_everything(reader: Reader) -> None:
    reader.go("/")
    reader.follow("Archive")
    reader.follow("Search")
    word = {"en": "waters", "ru": "школы", "ky": "суунун"}[reader.code]
    reader.write(reader.page.get_by_label(reader.say("Words of a title or text")), word)
    reader.press("Search")
    if reader.code != "ky":
        assert 3 == reader.page.locator("main li h3").count()
    reader.go(f"/subscribe/embed?list=weekly&topic=water&lang={reader.code}")
    reader.go("/topics/")
    reader.go("/topics/water")
    reader.page.locator("main li a").first.click()
    reader.look()
    reader.go("/archive/weekly")
    reader.go(f"/feeds?lang={reader.code}")
    reader.choose(reader.page.locator("input[name=topic]").first)
    reader.press("Show the address")
    assert f"-{reader.code}.atom" in reader.page.locator("#address-1").input_value()


def test_a_feed_that_is_opened_is_a_page(reader: Reader) -> None:
    """Without any script: what it is, and its news, each with its day in words, not as programs read it."""
    rebuild_feeds(reader.newsroom.app)
    day = {"en": "15 March 2026", "ru": "15 марта 2026\N{NO-BREAK SPACE}г.", "ky": "2026-ж., 15-март"}[reader.code]
    for suffix, entry, raw in (("atom", "entry", "published"), ("rss", "item", "pubDate")):
        answer = reader.page.goto(f"{reader.newsroom.url}/feeds/all-{reader.code}.{suffix}")
        assert answer is not None
        assert 200 == answer.status
        first = reader.page.locator(entry).first
        title, when = first.locator("title"), first.locator("time")
        assert TITLES[reader.code] in (title.text_content() or "")
        assert day == when.text_content()
        assert title.is_visible()
        assert when.is_visible()
        assert not first.locator(raw).is_visible()
        reader.reads(
            "This is a feed. Copy its address from the address bar into a feed reader, and news will come "
            "to you there as it is published."
        )
        assert reader.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        if PICTURES:
            reader.page.screenshot(path=Path(PICTURES) / f"feed-{suffix}-{reader.code}.png")
    assert [] == reader.wrong


def test_a_digest_is_read_and_left_in_the_browser(newsroom: ReadersNewsroom, chromium: Browser) -> None:
    """The mail itself, its view in the browser, what was sent and why, fewer mails, leaving all."""
    context = chromium.new_context(viewport=PHONE, locale="en")
    reader = Reader(newsroom, context, "en", scripts=True)
    sign_up_as(reader, "digest@readers.example")
    newsroom.send_week()
    text = text_of(newsroom.mails_to("digest@readers.example")[-1])
    reader.go(link_in(text, "archive/weekly/[^/]+/en"))
    reader.follow("Subscribe")
    reader.go(link_in(text, "preferences"))
    reader.follow("What you were sent, and why")
    reader.reads("You chose everything of this newsletter.")
    reader.go(link_in(text, "unsubscribe"))
    reader.follow("Pause for a while")
    reader.page.locator("input[name=list][value=second]").check()
    reader.page.get_by_role("button", name="Save", exact=True).last.click()
    reader.go(link_in(text, "unsubscribe"))
    reader.press("Unsubscribe from all newsletters")
    reader.reads("You have unsubscribed")
    context.close()


def test_right_to_left_pages_are_mirrored(chromium: Browser, tmp_path: Path) -> None:
    """A language is a catalogue: with an Arabic one the pages run from right to left, whatever it lacks in English."""
    locales = tmp_path / "locales"
    locales.mkdir()
    (locales / "ar.po").write_text(
        'msgid ""\nmsgstr ""\n"Language: ar\\n"\n"Content-Type: text/plain; charset=utf-8\\n"\n'
        '\nmsgid "Subscribe"\nmsgstr "اشترك"\n',
        encoding="utf-8",
    )
    with readers_newsroom(tmp_path, languages=("ar", "en")) as arabic:
        context = chromium.new_context(viewport=PHONE, locale="ar")
        reader = Reader(arabic, context, "ar", scripts=True)
        reader.go("/subscribe")
        reader.page.get_by_role("heading", name="اشترك").wait_for()
        brand = reader.page.locator(".brand").bounding_box()
        context.close()

    assert brand is not None
    assert brand["x"] + brand["width"] > PHONE["width"] * 0.9, "the name stands where reading begins"
