"""What the staff can do at the console beside drafts: sends are begun, doubts settled, articles mended."""

import json
import re
from datetime import timedelta

import pytest
from argon2 import PasswordHasher
from console_visitors import StaffBrowser, signed_in, with_a_draft
from sqlalchemy import update

from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.lists import Cadence
from newsletter.domain.staff import Role
from newsletter.services import staff
from newsletter.services.article_imports import import_document
from newsletter.services.audit import list_acts, note_act
from newsletter.services.context import App
from newsletter.services.edition_desk import find_particulars, measure_spans, offer_articles
from newsletter.services.edition_edits import diff_edition
from newsletter.services.editions import approve_edition, fan_out_edition
from newsletter.services.filters import NamedFilter
from newsletter.services.inquiries import list_mails
from newsletter.services.lists import ListDraft, add_list
from newsletter.services.reports import find_progress, list_progress
from newsletter.services.subscriber_imports import add_subscriber
from newsletter.storage.deliveries import DeliveryRow
from newsletter.web.console.routes import PLACES


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch):
    """Hash at the lowest cost; what a real hash costs is not what is tested."""
    monkeypatch.setattr(staff, "hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def desk(app, preparations):
    """An app with a draft: (app, edition id)."""
    return with_a_draft(app, preparations)


@pytest.fixture
def open_list(desk):
    """The same newsroom with a second list, `open`, whose slot nobody has sent yet."""
    app, _ = desk
    add_a_list(app, "open", Cadence.WEEKLY)
    return app


def add_a_list(app: App, slug: str, cadence: Cadence) -> None:
    since = app.clock() - timedelta(days=60)
    add_list(app, ListDraft(slug=slug, titles={"en": f"The {slug} one"}, cadences=(cadence,), since=since))
    for number in range(2):
        reader = {"basis": "signed up on paper", "language": "en", "wanted": NamedFilter()}
        add_subscriber(app, slug, f"{slug}{number}@example.org", **reader)


def sent_with_a_doubt(app: App, edition_id: int) -> list[int]:
    """Let the draft go, and say of its mails that they are accepted, failed and in doubt; return their numbers."""
    approve_edition(app, edition_id, actor="bek")
    fan_out_edition(app, edition_id)
    mails = [each.id for each in list_mails(app, edition_id=edition_id)]
    with app.transaction() as tx:
        for mail, state in zip(mails, ("accepted", "failed", "in_doubt"), strict=True):
            ended = {"accepted_at": tx.now} if state == "accepted" else {}
            tx.session.execute(
                update(DeliveryRow).where(DeliveryRow.id == mail).values(state=state, state_at=tx.now, **ended)
            )
    return mails


def led_to(answer) -> int:
    """Return the edition that an answer leads to."""
    assert 303 == answer.status_code, answer.text
    return int(re.search(r"/editions/(\d+)", answer.headers["location"])[1])


def notice(answer) -> str:
    found = re.search(r'role="alert">(.*?)</div>', answer.text, re.DOTALL)
    return found[1] if found else ""


def test_a_send_is_shown_before_it_is_begun_and_writes_nothing(open_list):
    browser = signed_in(open_list, Role.EDITOR)
    before = list_acts(open_list)
    choice = browser.get("/console/send").text
    shown = browser.get("/console/send?list=open").text

    assert 'href="https://news.example.org/console/send?list=open&amp;cadence=weekly"' in choice
    assert "2 of 2" in shown
    assert "Story 1 of the week" in shown
    assert "They wait: no relay is configured." in shown
    assert [] == list_progress(open_list, slug="open", state=None, limit=5)
    assert before == list_acts(open_list)


@pytest.mark.slow
def test_a_send_is_let_go_where_the_checks_find_nothing(open_list):
    edition_id = led_to(signed_in(open_list, Role.EDITOR).post("/console/send", list="open", cadence="weekly"))
    acts = {each.act: each.actor for each in list_acts(open_list, about=f"edition {edition_id}")}

    assert "approved" == find_progress(open_list, edition_id).state
    assert {"opened": "editor@staff.example", "approved": "editor@staff.example"} == acts


@pytest.mark.slow
def test_a_send_with_findings_waits_until_they_were_read(app, preparations):
    app, _ = with_a_draft(app, preparations, title="TODO: a story")
    add_a_list(app, "open", Cadence.WEEKLY)
    browser = signed_in(app, Role.EDITOR)
    answer = browser.post("/console/send", list="open", cadence="weekly", at="2030-01-01T08:00")
    edition_id = led_to(answer)
    page = browser.get(answer.headers["location"]).text

    assert "review" == find_progress(app, edition_id).state
    assert "The checks found something" in page
    assert 'value="2030-01-01T08:00"' in page, "the time that was asked for is kept"
    assert 'name="read"' in page


@pytest.mark.slow
def test_a_send_may_be_a_draft_or_for_later(open_list):
    browser = signed_in(open_list, Role.EDITOR)
    later = (open_list.clock() + timedelta(hours=2)).astimezone(open_list.settings.zone_info)
    add_a_list(open_list, "other", Cadence.WEEKLY)
    draft = led_to(browser.post("/console/send", list="open", cadence="weekly", how="draft"))
    planned = led_to(browser.post("/console/send", list="other", cadence="weekly", at=f"{later:%Y-%m-%dT%H:%M}"))

    assert find_particulars(open_list, draft).review_until is None
    assert later.replace(second=0, microsecond=0) == find_particulars(open_list, planned).review_until
    assert ["review", "review"] == [find_progress(open_list, each).state for each in (draft, planned)]


@pytest.mark.slow
def test_what_was_begun_is_not_begun_again(desk):
    app, waiting = desk
    add_a_list(app, "open", Cadence.WEEKLY)
    browser = signed_in(app, Role.EDITOR)
    going = led_to(browser.post("/console/send", list="open", cadence="weekly"))
    of_waiting = browser.get("/console/send?list=reviewed").text
    of_going = browser.get("/console/send?list=open").text

    assert f"/console/editions/{waiting}" in of_waiting
    assert f"/console/editions/{going}" in of_going
    assert "nobody gets it twice" in of_going
    assert 409 == browser.post("/console/send", list="open", cadence="weekly").status_code


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"list": "none"}, 404),
        ({"list": "open", "cadence": "daily"}, 422),
        ({"list": "open", "cadence": "immediate"}, 422),
        ({"list": "open", "at": "tomorrow"}, 422),
        ({"list": "open", "canary": "many"}, 422),
    ],
)
def test_a_send_that_cannot_be_is_refused_with_the_reason(open_list, fields, status):
    answer = signed_in(open_list, Role.EDITOR).post("/console/send", **fields)

    assert status == answer.status_code
    assert notice(answer)
    assert [] == list_progress(open_list, slug="open", state=None, limit=5)


def test_where_nothing_is_new_nothing_can_be_begun(desk):
    app, _ = desk
    since = app.clock()
    add_list(app, ListDraft(slug="empty", titles={"en": "Empty"}, since=since))
    page = signed_in(app, Role.EDITOR).get("/console/send?list=empty").text

    assert "There is nothing to send." in page
    assert '<button type="submit">Send</button>' not in page


@pytest.mark.slow
def test_articles_go_at_once_where_a_list_has_them_so(desk):
    app, _ = desk
    add_a_list(app, "flash", Cadence.IMMEDIATE)
    browser = signed_in(app, Role.EDITOR)
    shown = browser.get("/console/send?list=flash&cadence=immediate").text
    browser.post("/console/send", list="flash", cadence="immediate")
    opened = list_progress(app, slug="flash", state=None, limit=10)
    acts = [each.actor for each in list_acts(app, actor="editor@staff.example") if each.act == "opened"]

    assert "Story 2 of the week" in shown
    assert len(opened) == len(acts) > 0


@pytest.mark.slow
def test_doubts_are_settled_for_a_reason_or_not_at_all(desk):
    app, edition_id = desk
    *_, doubted = sent_with_a_doubt(app, edition_id)
    operator = signed_in(app, Role.OPERATOR)
    wrong = [
        operator.post(f"/console/editions/{edition_id}/settle", how="accepted", why=" "),
        operator.post(f"/console/editions/{edition_id}/settle", how="forget", why="a guess"),
        operator.post("/console/mails/settle", mail="x", how="accepted", why="a guess"),
        operator.post("/console/mails/settle", mail=str(doubted - 1), how="accepted", why="a guess"),
    ]
    still = find_progress(app, edition_id).deliveries
    answer = operator.post(f"/console/editions/{edition_id}/settle", how="accepted", why="the relay's log has it")

    assert [422, 422, 422, 409] == [each.status_code for each in wrong]
    assert 1 == still[DeliveryState.IN_DOUBT]
    assert answer.headers["location"].endswith("done=settled")
    assert 2 == find_progress(app, edition_id).deliveries[DeliveryState.ACCEPTED]


@pytest.mark.slow
def test_one_doubt_is_settled_where_its_story_is_told(desk):
    app, edition_id = desk
    *_, doubted = sent_with_a_doubt(app, edition_id)
    operator = signed_in(app, Role.OPERATOR)
    story = operator.get(f"/console/mails/story?of={doubted}").text
    answer = operator.post("/console/mails/settle", mail=str(doubted), how="resend", why="its log knows nothing of it")
    [act] = list_acts(app, about="deliveries")

    assert "Nobody knows whether it arrived" in story
    assert f"of={doubted}" in answer.headers["location"]
    assert 1 == find_progress(app, edition_id).deliveries[DeliveryState.QUEUED]
    assert ("operator@staff.example", "settled as resend") == (act.actor, act.act)


@pytest.mark.slow
def test_what_failed_is_sent_again_for_a_reason_and_the_page_says_first_who_gets_it(desk):
    app, edition_id = desk
    sent_with_a_doubt(app, edition_id)
    operator, here = signed_in(app, Role.OPERATOR), f"/console/editions/{edition_id}"
    shown = operator.get(f"{here}/resend").text
    others = operator.get(f"{here}/resend?code=5.1.1&provider=gmail").text
    wrong = [operator.post(f"{here}/resend", why=" "), operator.post(f"{here}/resend", why="x", code="high")]
    answer = operator.post(f"{here}/resend", why="the relay was mended")
    again = operator.post(f"{here}/resend", why="the relay was mended")
    [act] = [each for each in list_acts(app, about=f"edition {edition_id}") if each.act == "resent"]

    assert "1 of 1 failed mails can go again." in shown
    assert "could not be made into a mail" in shown
    assert "Send them again" in shown
    assert "Send them again" not in others
    assert [422, 422] == [each.status_code for each in wrong]
    assert ["done=resent", "done=resent-none"] == [
        each.headers["location"].partition("?")[2] for each in (answer, again)
    ]
    assert {"queued": 1, "accepted": 1, "in_doubt": 1} == find_progress(app, edition_id).deliveries
    story = operator.get(f"/console/mails/story?of={act.details['deliveries'][0]}").text
    assert ("operator@staff.example", "the relay was mended", 1) == (
        act.actor,
        act.details["why"],
        act.details["mails"],
    )
    assert "sent again by operator@staff.example: the relay was mended" in story


@pytest.mark.slow
def test_the_page_of_an_edition_leads_operators_to_what_failed(desk):
    app, edition_id = desk
    operator, editor = signed_in(app, Role.OPERATOR), signed_in(app, Role.EDITOR)
    before = operator.get(f"/console/editions/{edition_id}/resend").text
    sent_with_a_doubt(app, edition_id)

    assert "nothing of it has failed" in before
    assert "1 mail failed" in operator.get(f"/console/editions/{edition_id}").text
    assert "1 mail failed" not in editor.get(f"/console/editions/{edition_id}").text


def test_an_editor_sees_what_became_of_mails_and_settles_none(desk):
    app, edition_id = desk
    sent_with_a_doubt(app, edition_id)
    page = signed_in(app, Role.EDITOR).get(f"/console/editions/{edition_id}").text
    [span] = measure_spans(app, edition_id)

    assert (1, 1) == (span.accepted, span.failed)
    assert "Mails over time" in page
    assert "/settle" not in page


@pytest.mark.slow
def test_an_editor_sees_mails_by_provider_and_over_time_and_no_address(desk):
    app, edition_id = desk
    sent_with_a_doubt(app, edition_id)
    asked = f"/console/mails?edition={edition_id}&state=failed"
    editor, operator = signed_in(app, Role.EDITOR).get(asked).text, signed_in(app, Role.OPERATOR).get(asked).text

    assert "Their mails by receiving provider" in editor
    assert "at most 1" in editor
    assert "@gmail.com" not in editor
    assert "@gmail.com" in operator


def test_the_record_is_read_without_a_programming_language(desk):
    app, _ = desk
    note_act(app, "imported", "articles", files=["one.json", "two.json"], file_count=2, counts={"new": 1})
    page = signed_in(app, Role.EDITOR).get("/console/record?about=articles").text

    assert "counts new 1; file count 2; files one.json, two.json" in page


@pytest.mark.slow
def test_other_words_reach_the_draft_and_withdrawal_takes_them_out(desk):
    app, edition_id = desk
    browser = signed_in(app, Role.EDITOR)
    first, second, _ = (each.uid for each in diff_edition(app, edition_id).edited)
    same = browser.post(f"/console/articles/{first}/publish")
    browser.post(f"/console/articles/{first}/publish", title="The figure is 12", summary="And not 21.")
    mail = browser.get(f"/console/editions/{edition_id}/mail").text
    without = browser.post(f"/console/articles/{second}/withdraw", reason=" ")
    browser.post(f"/console/articles/{second}/withdraw", reason="it was never so")
    page = browser.get(f"/console/articles/{second}").text
    browser.post(f"/console/articles/{second}/publish")

    assert (422, 422) == (same.status_code, without.status_code)
    assert "The figure is 12" in mail
    assert "And not 21." in mail
    assert "it was never so" in page
    assert "it was never so" not in browser.get(f"/console/articles/{second}").text
    acts = [each.act for each in reversed(list_acts(app, actor="editor@staff.example")) if "article" in each.about]
    assert ["published", "withdrawn", "published"] == acts


@pytest.mark.slow
def test_a_correction_goes_to_those_who_had_the_article_and_waits(desk):
    app, edition_id = desk
    browser = signed_in(app, Role.EDITOR)
    article = diff_edition(app, edition_id).edited[0].uid
    words = {"article": article, "subject-en": "We were wrong", "text-en": "It is *12*."}
    early = browser.post(f"/console/editions/{edition_id}/correct", **words)
    sent_with_a_doubt(app, edition_id)
    page = browser.get(f"/console/editions/{edition_id}/correct?article={article}").text
    correction = led_to(browser.post(f"/console/editions/{edition_id}/correct", **words))

    assert 422 == early.status_code
    assert 'value="We were wrong"' in early.text, "what was written is not lost"
    assert f'<option value="{article}" selected>' in page
    assert "review" == find_progress(app, correction).state
    assert 2 == find_particulars(app, correction).readers, "one has it, and one may have"


def test_a_reader_who_asks_why_is_told(desk):
    app, edition_id = desk
    browser = signed_in(app, Role.EDITOR)
    page = browser.get(f"/console/editions/{edition_id}/explain?of=reader1@gmail.com").text

    assert 3 == page.count("<td>shown</td>")
    assert 404 == browser.get(f"/console/editions/{edition_id}/explain?of=nobody@gmail.com").status_code


@pytest.mark.slow
def test_events_to_come_are_offered_first_and_brought_in(desk):
    app, edition_id = desk
    browser = signed_in(app, Role.EDITOR)
    assert [] == offer_articles(app, edition_id), "it has all that there is"
    gone = diff_edition(app, edition_id).edited[2].uid
    browser.post(f"/console/editions/{edition_id}/edit", change="drop", article=gone, reason="said last week")
    starts_at = app.clock() + timedelta(days=4)
    event = {"starts_at": f"{starts_at:%Y-%m-%dT%H:%M}", "zone": "UTC", "venue": "The library"}
    told = {"summary": "News.", "published": (app.clock() - timedelta(hours=1)).isoformat()}
    items = [
        {"id": "e", "kind": "event", "title": "An open day", "url": "https://example.org/e", "event": event, **told},
        {"id": "s", "kind": "story", "title": "A late story", "url": "https://example.org/s", **told},
    ]
    import_document(app, "late.json", json.dumps(items).encode(), source="Press")
    offered = offer_articles(app, edition_id)
    page = browser.get(f"/console/editions/{edition_id}/edit").text
    browser.post(f"/console/editions/{edition_id}/edit", change="add", article=offered[0].uid)

    assert ["An open day", "A late story"] == [each.title for each in offered]
    assert f'<option value="{offered[0].uid}">Event, ' in page
    assert offered[0].uid in {each.uid for each in diff_edition(app, edition_id).edited}
    assert "An open day" not in {each.title for each in offer_articles(app, edition_id)}


@pytest.mark.slow
def test_introductions_are_changed_in_the_languages_that_differ(desk):
    app, edition_id = desk
    browser = signed_in(app, Role.EDITOR)
    fields = {"change": "intro", "words-en": "A week  of\nfloods", "words-ru": "", "words-ky": "Жума"}
    browser.post(f"/console/editions/{edition_id}/edit", **fields)
    page = browser.get(f"/console/editions/{edition_id}/edit").text
    again = browser.post(f"/console/editions/{edition_id}/edit", **fields)

    assert [("en", "A week of floods"), ("ky", "Жума")] == [
        (each.language, each.words) for each in diff_edition(app, edition_id).changes
    ]
    assert ">A week of floods</textarea>" in page
    assert 422 == again.status_code


def test_a_mail_can_be_looked_at_by_day_and_by_night(desk):
    app, edition_id = desk
    browser = signed_in(app, Role.EDITOR)
    usual, dark, light, other = (
        browser.get(f"/console/editions/{edition_id}/mail?look={look}").text for look in ("", "dark", "light", "x")
    )

    assert "@media (prefers-color-scheme:dark)" in usual == other
    assert "@media all" in dark
    assert "@media not all" in light
    assert not {"prefers-color-scheme"} & {*re.findall(r"prefers-color-scheme", dark + light)}


def change_everything(app: App, edition_id: int, browser: StaffBrowser) -> dict[str, int]:
    """Make a change by each form of the console; return how many acts each left under the person's name."""
    add_a_list(app, "open", Cadence.WEEKLY)
    article, other, _ = (each.uid for each in diff_edition(app, edition_id).edited)
    here, left = f"/console/editions/{edition_id}", {}

    def post(form: str, path: str, **fields: str) -> None:
        before = len(list_acts(app, actor="operator@staff.example", limit=1000))
        answer = browser.post(path, **fields)
        left[form] = len(list_acts(app, actor="operator@staff.example", limit=1000)) - before
        assert answer.status_code in (200, 303), (form, notice(answer))

    post("edit-post", f"{here}/edit", change="lead", article=article)
    post("publish", f"/console/articles/{article}/publish", title="Another title")
    post("mend", f"{here}/mend", article=article)
    post("withdraw", f"/console/articles/{other}/withdraw", reason="wrong")
    post("compose-post", "/console/compose", list="reviewed", **{"subject-en": "We move", "text-en": "Soon."})
    post("send-post", "/console/send", list="open", cadence="weekly")
    post("approve", f"{here}/approve", read="1")
    fan_out_edition(app, edition_id)
    post("pause", f"{here}/pause", reason="a wrong name")
    post("resume", f"{here}/resume")
    end_as(app, edition_id, DeliveryState.FAILED)
    post("resend-post", f"{here}/resend", why="the key is right now")
    end_as(app, edition_id, DeliveryState.IN_DOUBT)
    mail = list_mails(app, edition_id=edition_id)[0].id
    post("settle-mail", "/console/mails/settle", mail=str(mail), how="accepted", why="its log")
    post("correct-post", f"{here}/correct", article=article, **{"subject-en": "Wrong", "text-en": "It is 12."})
    post("settle", f"{here}/settle", how="failed", why="the log is gone")
    post("cancel", f"{here}/cancel", sure="1")
    post("stop", "/console/sending/stop", reason="a fire")
    post("go-on", "/console/sending/go-on")
    post("stop-list", "/console/sending/stop-list", list="open", reason="a drill")
    post("list-go-on", "/console/sending/list-go-on", list="open")
    post("limit", "/console/sending/limit", name="gmail", rate="2")
    post("free", "/console/sending/free", name="gmail")
    return left


def end_as(app: App, edition_id: int, state: DeliveryState) -> None:
    with app.transaction() as tx:
        tx.session.execute(update(DeliveryRow).where(DeliveryRow.edition_id == edition_id).values(state=state))


CHANGES_NO_NEWSROOM = {"check", "test", "sign-in-post", "sign-out", "sign-out-everywhere", "password"}
"""Forms that only look, or are about the person alone; a test mail wants a relay and has a test of its own."""


@pytest.mark.slow
def test_every_change_is_on_record_under_the_name_of_who_made_it(desk):
    app, edition_id = desk
    left = change_everything(app, edition_id, signed_in(app, Role.OPERATOR))

    assert {each.name for each in PLACES if each.method == "POST"} - CHANGES_NO_NEWSROOM == set(left)
    assert [] == [name for name, count in left.items() if not count]
