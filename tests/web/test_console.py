"""The console's door: who is let in where, how long, and what every form must carry."""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import httpx
import pytest
from argon2 import PasswordHasher
from console_visitors import StaffBrowser, signed_in, with_a_draft

from newsletter.domain.staff import SESSION_IDLE, SESSION_LIFETIME, TRIES_AT_ACCOUNT_FROM_NETWORK, TRY_WINDOW, Role
from newsletter.services import feed_readers, staff
from newsletter.services.audit import list_acts
from newsletter.services.edition_edits import diff_edition
from newsletter.services.feed_readers import estimate_readers
from newsletter.services.feed_rebuilding import rebuild_feeds
from newsletter.services.limits import list_limits
from newsletter.services.reports import find_progress
from newsletter.services.sending_status import find_sending_status
from newsletter.services.stops import find_halts
from newsletter.web.application import build_web
from newsletter.web.console.routes import PLACES

EMAIL = "aida@staff.example"


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch):
    """Hash at the lowest cost; what a real hash costs is not what is tested."""
    monkeypatch.setattr(staff, "hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def desk(app, preparations):
    """An app with a draft: (app, edition id)."""
    return with_a_draft(app, preparations)


ROUTES = {
    # method, path: who may, E editors, O operators; whoever is not signed in is led to the login
    ("GET", "/console"): "EO",
    ("GET", "/console/account"): "EO",
    ("POST", "/console/account"): "EO",
    ("POST", "/console/sign-out"): "EO",
    ("POST", "/console/sign-out-everywhere"): "EO",
    ("GET", "/console/editions"): "EO",
    ("GET", "/console/editions/{edition}"): "EO",
    ("GET", "/console/editions/{edition}/preview"): "EO",
    ("GET", "/console/editions/{edition}/mail"): "EO",
    ("GET", "/console/editions/{edition}/variants"): "EO",
    ("POST", "/console/editions/{edition}/test"): "EO",
    ("POST", "/console/editions/{edition}/check"): "EO",
    ("POST", "/console/editions/{edition}/approve"): "EO",
    ("GET", "/console/editions/{edition}/edit"): "EO",
    ("POST", "/console/editions/{edition}/edit"): "EO",
    ("GET", "/console/compose"): "EO",
    ("POST", "/console/compose"): "EO",
    ("GET", "/console/editions/{edition}/correct"): "EO",
    ("POST", "/console/editions/{edition}/correct"): "EO",
    ("GET", "/console/editions/{edition}/explain"): "EO",
    ("POST", "/console/editions/{edition}/mend"): "EO",
    ("GET", "/console/send"): "EO",
    ("POST", "/console/send"): "EO",
    ("GET", "/console/articles"): "EO",
    ("GET", "/console/articles/{article}"): "EO",
    ("POST", "/console/articles/{article}/publish"): "EO",
    ("POST", "/console/articles/{article}/withdraw"): "EO",
    ("GET", "/console/lists"): "EO",
    ("GET", "/console/feeds"): "EO",
    ("GET", "/console/record"): "EO",
    ("GET", "/console/mails"): "EO",
    ("GET", "/console/mails/story"): "O",
    ("POST", "/console/mails/settle"): "O",
    ("GET", "/console/sending"): "O",
    ("POST", "/console/sending/stop"): "O",
    ("POST", "/console/sending/go-on"): "O",
    ("POST", "/console/sending/stop-list"): "O",
    ("POST", "/console/sending/list-go-on"): "O",
    ("POST", "/console/sending/limit"): "O",
    ("POST", "/console/sending/free"): "O",
    ("POST", "/console/editions/{edition}/pause"): "O",
    ("POST", "/console/editions/{edition}/resume"): "O",
    ("POST", "/console/editions/{edition}/cancel"): "O",
    ("POST", "/console/editions/{edition}/settle"): "O",
    ("GET", "/console/editions/{edition}/resend"): "O",
    ("POST", "/console/editions/{edition}/resend"): "O",
}
OPEN = {("GET", "/console/sign-in"), ("POST", "/console/sign-in")}


def test_the_table_names_every_route(app):
    found = {
        (method, route.path)
        for route in build_web(app).routes
        if route.path.startswith("/console")
        for method in route.methods - {"HEAD"}
    }

    assert set(ROUTES) | OPEN == found
    assert len(found) == len(PLACES)


@pytest.mark.slow
def test_every_role_at_every_route(desk):
    """Nobody is led to the login, an editor is refused what is an operator's, and nothing else is refused."""
    app, edition_id = desk
    wrong = []
    for who in ("nobody", "editor", "operator"):
        browser = StaffBrowser(app) if who == "nobody" else signed_in(app, Role(who))
        for (method, path), allowed in ROUTES.items():
            if path.startswith("/console/sign-out"):
                continue  # ends the session; has a test of its own
            answer = browser.request(method, place(app, path, edition_id))
            wanted = expected(who, method, allowed)
            if (answer.status_code, says(answer)) != wanted:
                wrong.append((who, method, path, answer.status_code, says(answer), wanted))

    assert [] == wrong
    assert "review" == find_progress(app, edition_id).state


def place(app, path, edition_id):
    """Return the address of a route for the edition and its first article."""
    uid = diff_edition(app, edition_id).edited[0].uid if "{article}" in path else ""
    return path.replace("{edition}", str(edition_id)).replace("{article}", uid)


def expected(who, method, allowed):
    if who == "nobody":
        return 303, "login"
    if who[0].upper() not in allowed:
        return 403, "role"
    return (200, "") if method == "GET" else (403, "form")  # the form lacks the session's mark


def says(answer: httpx.Response) -> str:
    if answer.status_code == 303:
        return "login" if "/console/sign-in" in answer.headers["location"] else answer.headers["location"]
    return next((word for word in ("role", "form") if f"{word} " in notice(answer)), "")


def notice(answer: httpx.Response) -> str:
    found = re.search(r'role="alert">(.*?)</div>', answer.text, re.DOTALL)
    return found[1] if found else ""


@pytest.mark.parametrize("who", [Role.EDITOR, Role.OPERATOR])
def test_signing_out_ends_the_session_on_the_server(app, who):
    browser = signed_in(app, who)
    kept = httpx.Cookies(browser.cookies)
    left = browser.post("/console/sign-out")
    browser.cookies = kept

    assert left.headers["location"].endswith("/console/sign-in?done=signed-out")
    assert 303 == browser.get("/console").status_code


@pytest.mark.slow
def test_signing_out_everywhere_ends_other_browsers_sessions(app):
    made = staff.add_account(app, EMAIL, Role.EDITOR)
    here, there = StaffBrowser(app), StaffBrowser(app)
    here.sign_in(EMAIL, made.password)
    there.sign_in(EMAIL, made.password)
    here.post("/console/sign-out-everywhere")

    assert 303 == there.get("/console").status_code


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_session_is_a_cookie_that_only_the_console_sees(app, scheme):
    app = replace(app, settings=app.settings.model_copy(update={"base_url": f"{scheme}://news.example.org"}))
    made = staff.add_account(app, EMAIL, Role.EDITOR)
    answer = StaffBrowser(app).sign_in(EMAIL, made.password)
    [cookie] = [each for each in answer.headers.get_list("set-cookie") if each.startswith("newsletter_console=")]
    parts = {part.strip().lower() for part in cookie.split(";")}

    assert {"httponly", "path=/console", "samesite=lax"} <= parts
    assert (scheme == "https") == ("secure" in parts)


def test_a_session_cannot_be_planted(app):
    """Whatever token a browser brings along, signing in gives it another, and the planted one is nobody's."""
    made = staff.add_account(app, EMAIL, Role.EDITOR)
    browser = StaffBrowser(app)
    browser.cookies.set(
        "newsletter_console", "planted", domain=urlsplit(app.settings.base_url).hostname, path="/console"
    )
    browser.sign_in(EMAIL, made.password)

    assert staff.find_session(app, "planted") is None
    assert 200 == browser.get("/console").status_code


@pytest.mark.slow
@pytest.mark.parametrize(
    ("span", "used_every", "status"),
    [
        (SESSION_IDLE - timedelta(minutes=1), None, 200),
        (SESSION_IDLE, None, 303),
        (SESSION_LIFETIME - timedelta(hours=1), timedelta(hours=1), 200),
        (SESSION_LIFETIME, timedelta(hours=1), 303),
    ],
    ids=["almost idle too long", "idle too long", "almost a day", "a day of work"],
)
def test_a_session_ends_by_itself(desk, span, used_every, status):
    app, _ = desk
    browser = signed_in(app, Role.EDITOR)
    passed = timedelta()
    while used_every and passed + used_every < span:
        app.clock.now += used_every
        passed += used_every
        assert 200 == browser.get("/console").status_code
    app.clock.now += span - passed

    assert status == browser.get("/console").status_code


@pytest.mark.parametrize("change", ["disable", "reset"])
def test_what_the_command_line_takes_away_is_gone_at_once(app, change):
    browser = signed_in(app, Role.EDITOR)
    {"disable": staff.disable_account, "reset": staff.reset_password}[change](app, "editor@staff.example")

    assert 303 == browser.get("/console").status_code


def test_another_role_holds_from_the_next_page_on(desk):
    app, edition_id = desk
    browser = signed_in(app, Role.OPERATOR)
    staff.change_role(app, "operator@staff.example", Role.EDITOR)

    assert 403 == browser.post(f"/console/editions/{edition_id}/cancel", sure="1").status_code


def test_a_disabled_account_cannot_sign_in_until_it_is_enabled(app):
    made = staff.add_account(app, EMAIL, Role.EDITOR)
    staff.disable_account(app, EMAIL)
    refused = StaffBrowser(app).sign_in(EMAIL, made.password)
    staff.enable_account(app, EMAIL)

    assert 401 == refused.status_code
    assert 303 == StaffBrowser(app).sign_in(EMAIL, made.password).status_code


def test_nobody_learns_which_of_address_and_password_was_wrong(app):
    staff.add_account(app, EMAIL, Role.EDITOR)
    answers = [StaffBrowser(app).sign_in(email, "wrong password") for email in (EMAIL, "nobody@staff.example")]

    assert [401, 401] == [each.status_code for each in answers]
    assert notice(answers[0]) == notice(answers[1])


@pytest.mark.slow
def test_guessing_ends_for_a_network_and_not_for_the_owner(desk):
    app, _ = desk
    made = staff.add_account(app, EMAIL, Role.EDITOR)
    guesser, owner = StaffBrowser(app, host="198.51.100.7"), StaffBrowser(app, host="192.0.2.1")
    statuses = [guesser.sign_in(EMAIL, "a guess").status_code for _ in range(TRIES_AT_ACCOUNT_FROM_NETWORK + 1)]
    right = guesser.sign_in(EMAIL, made.password)
    there = owner.sign_in(EMAIL, made.password)
    app.clock.now += TRY_WINDOW

    assert [401] * TRIES_AT_ACCOUNT_FROM_NETWORK + [429] == statuses
    assert 429 == right.status_code
    assert int(right.headers["retry-after"]) <= TRY_WINDOW.total_seconds()
    assert 303 == there.status_code
    assert 303 == guesser.sign_in(EMAIL, made.password).status_code


@pytest.mark.slow
def test_guessing_from_many_networks_ends_too(desk, monkeypatch):
    app, _ = desk
    monkeypatch.setattr(staff, "TRIES_AT_ACCOUNT", 4)
    made = staff.add_account(app, EMAIL, Role.EDITOR)
    statuses = [
        StaffBrowser(app, host=f"198.51.{number}.7").sign_in(EMAIL, "a guess").status_code for number in range(5)
    ]
    shut_out = StaffBrowser(app).sign_in(EMAIL, made.password).status_code
    made = staff.reset_password(app, EMAIL)

    assert [401, 401, 401, 401, 429] == statuses
    assert 429 == shut_out
    assert 303 == StaffBrowser(app).sign_in(EMAIL, made.password).status_code, "a reset opens the door again"


@pytest.mark.slow
def test_one_network_cannot_try_many_accounts(desk, monkeypatch):
    app, _ = desk
    monkeypatch.setattr(staff, "TRIES_FROM_NETWORK", 4)
    statuses = [StaffBrowser(app).sign_in(f"person{number}@staff.example", "x").status_code for number in range(5)]

    assert [401, 401, 401, 401, 429] == statuses


@pytest.mark.parametrize("mark", ["", "0" * 64, "ü"], ids=["none", "made up", "not even ascii"])
def test_a_form_of_no_page_of_ours_changes_nothing(desk, mark):
    app, edition_id = desk
    browser = signed_in(app, Role.OPERATOR)
    answer = browser.request("POST", f"/console/editions/{edition_id}/approve", data={"form_token": mark, "read": "1"})

    assert 403 == answer.status_code
    assert "review" == find_progress(app, edition_id).state


def test_a_form_of_another_session_changes_nothing(desk):
    app, edition_id = desk
    editor, operator = signed_in(app, Role.EDITOR), signed_in(app, Role.OPERATOR)
    mark = re.search(r'name="form_token" value="(\w+)"', operator.get("/console/account").text)[1]
    answer = editor.request("POST", f"/console/editions/{edition_id}/approve", data={"form_token": mark, "read": "1"})

    assert 403 == answer.status_code


def test_a_form_that_another_site_sends_changes_nothing(desk):
    app, edition_id = desk
    browser = signed_in(app, Role.EDITOR)
    mark = re.search(r'name="form_token" value="(\w+)"', browser.get("/console/account").text)[1]
    answer = browser.request(
        "POST",
        f"/console/editions/{edition_id}/approve",
        data={"form_token": mark, "read": "1"},
        headers={"sec-fetch-site": "cross-site"},
    )

    assert 403 == answer.status_code


def test_nobody_is_signed_in_by_a_form_that_was_shown_to_somebody_else(app):
    made = staff.add_account(app, EMAIL, Role.EDITOR)
    shown = StaffBrowser(app).get("/console/sign-in").text
    knock = re.search(r'name="knock" value="(\w+)"', shown)[1]
    victim = StaffBrowser(app)
    fields = {"knock": knock, "email": EMAIL, "password": made.password}

    assert 403 == victim.request("POST", "/console/sign-in", data=fields).status_code
    assert 303 == victim.get("/console").status_code


@pytest.mark.parametrize(
    ("wanted", "led"),
    [
        ("/console/editions?state=review", "/console/editions?state=review"),
        ("https://evil.example/console", "/console"),
        ("//evil.example/console/", "/console"),
        ("/console/\\evil", "/console"),
        ("/consoles", "/console"),
        ("/preferences/x", "/console"),
        ("/console/\r\nset-cookie: a=b", "/console"),
    ],
)
def test_signing_in_leads_into_the_console_only(app, wanted, led):
    made = staff.add_account(app, EMAIL, Role.EDITOR)
    answer = StaffBrowser(app).sign_in(EMAIL, made.password, to=wanted)

    assert f"{app.settings.base_url}{led}" == answer.headers["location"]


def test_whoever_must_sign_in_first_is_led_back(app):
    answer = StaffBrowser(app).get("/console/editions?state=review")

    assert answer.headers["location"].endswith("/console/sign-in?to=/console/editions%3Fstate%3Dreview")


@pytest.mark.slow
def test_no_page_is_kept_listed_or_framed_or_loads_anything_else(desk):
    app, edition_id = desk
    browser = signed_in(app, Role.OPERATOR)
    for method, path in ROUTES:
        if method == "GET" and not path.endswith(("/mail", "/variants")):
            answer = browser.get(place(app, path, edition_id))
            policy = answer.headers["content-security-policy"]

            assert "no-store" == answer.headers["cache-control"], path
            assert "noindex" in answer.headers["x-robots-tag"], path
            assert "default-src 'none'" in policy, path
            assert "frame-ancestors 'none'" in policy, path
            assert "unsafe" not in policy, path
            outside = re.findall(r'(?:src|href)="(https?://[^"]+)', answer.text)
            assert all(each.startswith(app.settings.base_url) for each in outside), path


def test_a_mail_in_its_frame_asks_nobody_for_anything(desk):
    app, edition_id = desk
    browser = signed_in(app, Role.EDITOR)
    policy = browser.get(f"/console/editions/{edition_id}/mail").headers["content-security-policy"]

    assert "img-src data:;" in policy
    assert "sandbox" in policy
    assert "script" not in policy


def test_a_new_password_ends_every_session_and_the_old_password(app):
    made = staff.add_account(app, EMAIL, Role.EDITOR)
    browser, other = StaffBrowser(app), StaffBrowser(app)
    browser.sign_in(EMAIL, made.password)
    other.sign_in(EMAIL, made.password)
    new = "four words are long"
    changed = browser.post("/console/account", old=made.password, new=new, again=new)

    assert 303 == changed.status_code
    assert 303 == other.get("/console").status_code
    assert [401, 303] == [StaffBrowser(app).sign_in(EMAIL, each).status_code for each in (made.password, new)]


@pytest.mark.parametrize(
    ("old", "new", "again", "why"),
    [
        ("wrong", "four words are long", "four words are long", "another one"),
        ("", "short", "short", "12 to 200"),
        ("", "aaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaa", "guessed"),
        ("", "four words are long", "four words were long", "twice"),
    ],
)
def test_a_password_that_will_not_do_is_refused_with_the_reason(app, old, new, again, why):
    made = staff.add_account(app, EMAIL, Role.EDITOR)
    browser = StaffBrowser(app)
    browser.sign_in(EMAIL, made.password)
    answer = browser.post("/console/account", old=old or made.password, new=new, again=again)

    assert 422 == answer.status_code
    assert why in notice(answer)


@pytest.mark.slow
def test_an_editor_looks_at_a_draft_and_lets_it_go_under_their_name(desk):
    app, edition_id = desk
    browser = signed_in(app, Role.EDITOR)
    overview = browser.get("/console").text
    preview = browser.get(f"/console/editions/{edition_id}/preview").text
    mail = browser.get(f"/console/editions/{edition_id}/mail").text
    answer = browser.post(f"/console/editions/{edition_id}/approve", read="1")
    shown = browser.get(answer.headers["location"]).text

    assert f"/console/editions/{edition_id}" in overview
    assert "<iframe" in preview
    assert "Story 1 of the week" in mail
    assert "Approved. It goes out now." in shown
    assert "approved" == find_progress(app, edition_id).state
    [act] = [each for each in list_acts(app) if each.act == "approved"]
    assert "editor@staff.example" == act.actor


@pytest.mark.slow
def test_warnings_hold_an_edition_until_somebody_says_they_were_read(app, preparations):
    app, edition_id = with_a_draft(app, preparations, title="TODO: a story")
    browser = signed_in(app, Role.EDITOR)
    answer = browser.post(f"/console/editions/{edition_id}/approve")

    assert 422 == answer.status_code
    assert "review" == find_progress(app, edition_id).state
    assert 303 == browser.post(f"/console/editions/{edition_id}/approve", read="1").status_code


def test_what_is_written_is_not_lost_when_it_is_refused(desk):
    app, _ = desk
    browser = signed_in(app, Role.EDITOR)
    fields = {"list": "reviewed", "subject-en": "We move", "text-en": ""}
    answer = browser.post("/console/compose", **fields)

    assert 422 == answer.status_code
    assert 'value="We move"' in answer.text


def test_what_is_written_waits_for_approval(desk):
    app, _ = desk
    browser = signed_in(app, Role.EDITOR)
    answer = browser.post(
        "/console/compose", list="reviewed", **{"subject-en": "We move", "text-en": "To *the* river."}
    )
    edition_id = int(answer.headers["location"].split("/")[-1].partition("?")[0])

    assert "review" == find_progress(app, edition_id).state
    assert "To <em>the</em> river." in browser.get(f"/console/editions/{edition_id}/mail").text


@pytest.mark.slow
def test_articles_stand_in_the_order_that_an_editor_gives_them(desk):
    app, edition_id = desk
    browser = signed_in(app, Role.EDITOR)
    before = [each.uid for each in diff_edition(app, edition_id).edited]
    places = {f"place-{uid}": str(place) for place, uid in zip((3, 1, 2), before, strict=True)}
    answer = browser.post(f"/console/editions/{edition_id}/edit", change="order", **places)

    assert 303 == answer.status_code
    assert [before[1], before[2], before[0]] == [each.uid for each in diff_edition(app, edition_id).edited]


REFUSED_CHANGES = (
    {},
    {"change": "explode"},
    {"change": "lead"},
    {"change": "drop", "article": "1"},
    {"change": "lead", "article": "99"},
    {"change": "order", "place-x": "first"},
    {"change": "summary", "article": "1", "language": "xx", "words": "?"},
)


@pytest.mark.slow
def test_a_change_that_cannot_be_made_changes_nothing(desk):
    app, edition_id = desk
    browser = signed_in(app, Role.EDITOR)
    for fields in REFUSED_CHANGES:
        answer = browser.post(f"/console/editions/{edition_id}/edit", **fields)

        assert answer.status_code in (404, 409, 422), fields
        assert notice(answer), fields
    assert () == diff_edition(app, edition_id).changes


@pytest.mark.slow
def test_an_operator_stops_all_mail_with_a_reason_and_lets_it_go_on(desk):
    app, _ = desk
    browser = signed_in(app, Role.OPERATOR)
    without = browser.post("/console/sending/stop")
    browser.post("/console/sending/stop", reason="a fire at the relay")
    stopped = find_sending_status(app).is_stopped
    page = browser.get("/console/sending").text
    browser.post("/console/sending/go-on")

    assert 422 == without.status_code
    assert stopped
    assert "a fire at the relay" in page
    assert not find_sending_status(app).is_stopped
    assert {"operator@staff.example"} == {each.actor for each in list_acts(app, about="sending")}


@pytest.mark.slow
def test_an_operator_stops_a_list_with_a_reason_and_lets_it_go_on(desk):
    app, _ = desk
    browser = signed_in(app, Role.OPERATOR)
    without = browser.post("/console/sending/stop-list", list="reviewed")
    unknown = browser.post("/console/sending/stop-list", list="none", reason="a drill")
    browser.post("/console/sending/stop-list", list="reviewed", reason="its domain <lapsed>")
    (waits,) = find_halts(app).lists
    again = browser.post("/console/sending/stop-list", list="reviewed", reason="once more")
    page = browser.get("/console/sending").text
    browser.post("/console/sending/list-go-on", list="reviewed")

    assert (422, 404, 409) == (without.status_code, unknown.status_code, again.status_code)
    assert ("reviewed", "its domain <lapsed>", "operator@staff.example") == (waits.slug, waits.reason, waits.by)
    assert "its domain &lt;lapsed&gt;" in page
    assert [] == find_halts(app).lists
    assert ["resumed", "paused"] == [each.act for each in list_acts(app, about="list reviewed")][:2]


def test_a_limit_that_is_none_is_refused(app):
    browser = signed_in(app, Role.OPERATOR)
    for told in ("-1", "0", "many", "nan", "inf", "1e9", "2.5"):
        assert 422 == browser.post("/console/sending/limit", name="gmail", concurrency=told).status_code, told
    assert [] == list_limits(app)


def test_a_limit_is_set_and_taken_away(desk):
    app, _ = desk
    browser = signed_in(app, Role.OPERATOR)
    browser.post("/console/sending/limit", name="gmail", rate="2,5", concurrency="3")
    [limit] = list_limits(app)
    browser.post("/console/sending/free", name="gmail")

    assert ("gmail", 2.5, 3, "operator@staff.example") == (limit.name, limit.rate, limit.concurrency, limit.set_by)
    assert [] == list_limits(app)


@pytest.mark.slow
def test_an_approval_for_later_is_in_the_newsrooms_time(desk):
    app, edition_id = desk
    browser = signed_in(app, Role.EDITOR)
    local = (app.clock() + timedelta(hours=2)).astimezone(app.settings.zone_info)
    past = browser.post(f"/console/editions/{edition_id}/approve", read="1", at="2020-01-01T08:00")
    broken = browser.post(f"/console/editions/{edition_id}/approve", read="1", at="tomorrow")
    answer = browser.post(f"/console/editions/{edition_id}/approve", read="1", at=f"{local:%Y-%m-%dT%H:%M}")
    [act] = [each for each in list_acts(app) if each.act == "scheduled"]

    assert [409, 422, 303] == [each.status_code for each in (past, broken, answer)]
    assert local.replace(second=0, microsecond=0) == datetime.fromisoformat(act.details["at"])
    assert "review" == find_progress(app, edition_id).state


@pytest.mark.slow
def test_addresses_that_name_nothing_are_no_failure(app):
    operator = signed_in(app, Role.OPERATOR)
    for query in (
        "edition=x",
        "state=explode&provider=x&answer=x",
        "after=99999999999999999999",
        "edition=-1",
        "after=²",
    ):
        assert 200 == operator.get(f"/console/mails?{query}").status_code, query
    for number in ("0", "99999", "9" * 40, "x", "²", "-1"):
        assert 404 == operator.get(f"/console/editions/{number}").status_code, number


@pytest.mark.slow
def test_whoever_polls_a_feed_is_counted_and_waits_for_nothing(desk, monkeypatch):
    app, _ = desk
    monkeypatch.setattr(feed_readers, "WRITTEN_EVERY_SECONDS", 0.0)
    rebuild_feeds(app)
    browser = StaffBrowser(app)
    agent = "Feedly/1.0 (+http://www.feedly.com/fetcher.html; 16 subscribers; )"
    browser.get("/feeds/all-en.atom", headers={"user-agent": agent})
    browser.get("/feeds/none-such.atom", headers={"user-agent": agent})
    browser.get("/feeds/style.css", headers={"user-agent": agent})
    shown = signed_in(app, Role.EDITOR).get("/console/feeds").text

    assert [("all-en", 16)] == [(each.feed, each.total) for each in estimate_readers(app)]
    assert "Feedly 16" in shown
