"""The console in a browser: an editor's and an operator's journey, in three languages, with and without scripts.

axe-core looks at every page on the way. An editor's whole day in English has a file of its own.
"""

import re
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher
from console_people import CHROMIUM, DESKTOP, PHONE, Person, served, sign_in, started_chromium
from console_visitors import with_a_draft
from playwright.sync_api import Browser
from sqlalchemy import update

from newsletter.domain.staff import Role
from newsletter.services import staff
from newsletter.services.audit import list_acts
from newsletter.services.editions import fan_out_edition
from newsletter.services.feed_readers import PollNotes
from newsletter.services.reports import find_progress
from newsletter.storage.deliveries import DeliveryRow

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install chromium, or name one by CHROMIUM_BIN"),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with started_chromium() as browser:
        yield browser


HOW = [
    ("en", True, "phone", "dark"),
    ("ru", False, "desktop", "light"),
    ("ky", True, "phone", "light"),
]


@pytest.fixture
def console(request, app, preparations, chromium, monkeypatch) -> Iterator[tuple[Person, int]]:
    """Somebody in front of a console with a draft, and the draft's id."""
    monkeypatch.setattr(staff, "hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    code, scripts, size, look = request.param
    app, edition_id = with_a_draft(app, preparations, readers=8)
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


@pytest.mark.parametrize("console", HOW[1:], indirect=True, ids=lambda how: "-".join(map(str, how)))
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
    with person.app.transaction() as tx:
        tx.session.execute(update(DeliveryRow).where(DeliveryRow.edition_id == edition_id).values(state="failed"))
    person.go(f"/console/editions/{edition_id}")
    person.follow("Send failed mails again")
    person.fill("What has changed; it is put on record", "the relay was mended")
    person.press("Send them again")
    person.reads("They are in the queue again.")
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
