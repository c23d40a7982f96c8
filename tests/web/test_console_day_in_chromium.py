"""A day at the console in a browser: a draft is mended, sent over SMTP, watched to its end, and a doubt is settled.

Then axe-core looks at every page that there is, by day and by night.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from console_people import CHROMIUM, DESKTOP, PHONE, Person, served, sign_in, started_chromium, violations
from console_visitors import Clock, compile_draft
from playwright.sync_api import Browser

from newsletter.dispatch import Doorbell, InProcessDispatcher
from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.staff import Role
from newsletter.doorbells import HANDLERS
from newsletter.embedded import EmbeddedWorker
from newsletter.mail.relay import Relay
from newsletter.services import staff
from newsletter.services.audit import list_acts
from newsletter.services.context import App
from newsletter.services.edition_edits import diff_edition
from newsletter.services.inquiries import list_mails
from newsletter.services.reports import find_progress
from newsletter.web.console.routes import PLACES

sys.path.append(str(Path(__file__).parents[1] / "mail"))

from smtp_server import Act, ScriptedRelay

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install chromium, or name one by CHROMIUM_BIN"),
]

READERS = 8
DOUBTED = READERS + 1
"""Which dot, that of the test mail counted, the relay takes without a word: the last, so that no mail is put off."""
SENDING_MS = 120_000
"""How long a send may take on a slow machine, where a mail may be put off until a later tick."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with started_chromium() as browser:
        yield browser


@pytest.fixture
def relay() -> Iterator[ScriptedRelay]:
    """A relay that hangs up in the middle of an edition, once, when it has a mail and owes the answer."""
    dots = count(1)
    with ScriptedRelay(lambda turn: Act.DROP if turn.verb == "DOT" and next(dots) == DOUBTED else None).running() as it:
        yield it


@pytest.fixture
def office(app: App, relay: ScriptedRelay, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[App, int]]:
    """A newsroom at work, pages and senders: the app, and the id of a draft."""
    monkeypatch.setattr(staff, "hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    dispatcher = InProcessDispatcher()
    settings = app.settings.model_copy(update={"wait_factor": 0.001})
    app = replace(app, dispatcher=dispatcher, relays=Relay.parse_all(relay.url()), settings=settings)
    edition_id = compile_draft(app, readers=READERS)
    app = replace(app, clock=Clock(app.clock()))
    with served(app) as running:
        dispatcher.handlers = {each: partial(HANDLERS[each], running) for each in Doorbell}
        with EmbeddedWorker(running):
            yield running, edition_id


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_a_draft_is_mended_sent_and_watched_and_its_doubt_is_settled(office, relay, chromium):
    app, edition_id = office
    with chromium.new_context(viewport=DESKTOP, locale="en") as context:
        editor = Person(app, context, "en", scripts=True, name="day-editor")
        sign_in(editor, Role.EDITOR)
        mend_and_look(editor, edition_id)
        approve_and_watch(editor, edition_id)
        assert 0 == editor.page.get_by_role("button", name="Settle", exact=True).count()
        editor.press("Sign out")
    with chromium.new_context(viewport=PHONE, locale="en", color_scheme="dark") as context:
        operator = Person(app, context, "en", scripts=True, name="day-operator")
        sign_in(operator, Role.OPERATOR)
        settle(operator, edition_id)
        if app.database.is_sqlite:  # pages are the same over both
            look_at_every_page(operator, edition_id)

    done = find_progress(app, edition_id)
    got = Counter(mail.rcpt_to[1:].partition(">")[0] for mail in relay.accepted)
    who = {act.act: act.actor for act in list_acts(app, about=f"edition {edition_id}")}
    assert ("done", {DeliveryState.ACCEPTED: READERS}, True) == (done.state, done.deliveries, done.adds_up)
    assert {f"reader{number}@gmail.com" for number in range(READERS)} == set(got) - {"editor@staff.example"}
    assert READERS + 1 <= got.total() <= READERS + 2, "whoever was in doubt may have it twice, nobody else"
    assert "editor@staff.example" == who["edited"] == who["tested"] == who["approved"]
    [settled] = list_acts(app, actor="operator@staff.example", about="deliveries")
    assert ("settled as resend", "its log knows nothing of it") == (settled.act, settled.details["why"])


def mend_and_look(editor: Person, edition_id: int) -> None:
    """Change a draft in each way, and look at what came of it, by day and by night."""
    first, second, third = (each.uid for each in diff_edition(editor.app, edition_id).edited)
    editor.follow(str(edition_id))
    editor.follow("Edit")
    editor.page.locator("#words-en").fill("A week of floods")
    editor.submit("form:has(#words-en)")
    editor.page.locator(f"#place-{third}").fill("1")
    editor.page.locator(f"#place-{first}").fill("3")
    editor.submit("form:has(.places)")
    editor.reads("by itself it would be number %(number)s", number=3)
    editor.page.locator("#summary-article").select_option(third)
    editor.page.locator("#summary-words").fill("In two sentences.")
    editor.submit("form:has(#summary-words)")
    changed = editor.page.locator(f"form:has(input[value='{second}']):has(select[name=change])")
    changed.locator("select").select_option("drop")
    changed.locator("input[name=reason]").fill("The ministry withdrew it")
    editor.submit(f"form:has(input[value='{second}']):has(select[name=change])")
    editor.reads("The ministry withdrew it")
    assert [third, first] == [each.uid for each in diff_edition(editor.app, edition_id).edited]
    editor.follow("Preview")
    for look, ground in (("light", "rgb(255, 255, 255)"), ("dark", None)):
        editor.go(f"/console/editions/{edition_id}/preview?look={look}&width=phone")
        frame = editor.page.frame_locator("iframe")
        frame.get_by_text("A week of floods").first.wait_for()
        frame.get_by_text("In two sentences.").first.wait_for()
        paper = frame.locator(".paper").first.evaluate("node => getComputedStyle(node).backgroundColor")
        assert (paper == ground) == (ground is not None), look
    editor.press("Send")
    editor.reads("The test mail is sent.")


def approve_and_watch(editor: Person, edition_id: int) -> None:
    """Let it go, and see without touching anything how it comes to its end, but for one mail."""
    editor.follow("Edition %(number)s", number=edition_id)
    editor.reads("Checks")
    if editor.page.locator("input[name=read]").count():
        editor.page.locator("input[name=read]").check()
    editor.press("Approve")
    editor.reads("Approved. It goes out now.")
    live = editor.page.locator("#live")
    live.get_by_text(f"{READERS} of {READERS} mails").wait_for(timeout=SENDING_MS)
    live.get_by_text("Mails over time", exact=True).first.wait_for()
    assert {DeliveryState.ACCEPTED: READERS - 1, DeliveryState.IN_DOUBT: 1} == find_progress(
        editor.app, edition_id
    ).deliveries


def settle(operator: Person, edition_id: int) -> None:
    """Send what is in doubt again, for a reason, and see the edition end."""
    operator.go(f"/console/editions/{edition_id}")
    operator.follow("Which they are")
    operator.page.get_by_role("link", name=re.compile(r"^\d+$")).last.click()
    operator.reads("Nobody knows whether it arrived")
    operator.go(f"/console/editions/{edition_id}")
    operator.page.locator("#doubts input[value=resend]").check()
    operator.page.locator("#why-edition").fill("its log knows nothing of it")
    operator.press("Settle")
    operator.reads("Settled, and on record.")
    operator.page.locator("#live").get_by_text("sent", exact=True).wait_for(timeout=SENDING_MS)


def look_at_every_page(operator: Person, edition_id: int) -> None:
    """Have axe-core look at each page of the console, in both colour schemes, and hold each to the width of a phone."""
    mail = list_mails(operator.app, edition_id=edition_id)[0].id
    article = diff_edition(operator.app, edition_id).edited[0].uid
    asked = {"/send": "?list=reviewed", "/compose": "?list=reviewed", "/mails/story": f"?of={mail}"}
    asked["/editions/{edition}/explain"] = "?of=reader1@gmail.com"
    for place in PLACES:
        if place.method != "GET" or place.path.endswith(("/mail", "/variants", "/edit", "/sign-in")):
            continue  # mails are no pages of ours; drafts and the login were looked at on the way
        path = place.path.replace("{edition}", str(edition_id)).replace("{article}", article)
        operator.go(f"/console{path}{asked.get(place.path, '')}")
        operator.page.emulate_media(color_scheme="light")
        assert [] == violations(operator.page), path
        operator.page.emulate_media(color_scheme="dark")
