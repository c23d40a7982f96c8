"""Requests that nobody of good will sends: the right status, a page that says what to do, nothing changed."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlencode

import pytest
import structlog
from starlette.exceptions import HTTPException
from web_visitors import OF_A_SUBSCRIPTION, Browser, find, stamp_of

from newsletter.mail.tokens import TokenPurpose, TokenSigner
from newsletter.web import home, security
from newsletter.web.security import LARGEST_BODY

ADDRESS = "aida@example.org"
FORM = {"address": ADDRESS, "list": "weekly"}
PAGES = ["/", "/subscribe", "/archive/", "/topics/", "/topics/schools", "/no-such-page"]


def hostile_tokens(newsroom, uid: str) -> Iterator[str]:
    good = TokenSigner(newsroom.settings.secret).sign(TokenPurpose.UNSUBSCRIBE, uid)
    yield from ("x", "AAAA", "%00", "..%2f..%2fetc", "%F0%9F%92%A9", "A" * 5000, good[:-1], good + "A", good.swapcase())
    yield TokenSigner(b"a key of another installation, long enough").sign(TokenPurpose.UNSUBSCRIBE, uid)
    yield TokenSigner(newsroom.settings.secret).sign(TokenPurpose.UNSUBSCRIBE, "no-such-subscription")
    yield TokenSigner(newsroom.settings.secret).sign(TokenPurpose.CONFIRM, uid)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_forged_cut_or_foreign_token_is_answered_by_a_page(browser, newsroom, reader, method):
    for token in hostile_tokens(newsroom, reader.uid):
        answer = browser.request(method, f"/unsubscribe/{token}")

        assert 404 == answer.status_code, token
        assert "Copy it whole" in answer.text
        assert ADDRESS not in answer.text
    assert [reader] == find(newsroom, ADDRESS)


@pytest.mark.parametrize("purpose", OF_A_SUBSCRIPTION)
def test_a_token_is_worth_nothing_for_another_purpose(browser, newsroom, reader, path_to, purpose):
    token = path_to(purpose, reader.uid).rpartition("/")[2]
    others = [other for other in OF_A_SUBSCRIPTION if other is not purpose]

    assert {404} == {browser.post(f"/{other}/{token}").status_code for other in others}
    assert [reader] == find(newsroom, ADDRESS)


@pytest.mark.parametrize("purpose", OF_A_SUBSCRIPTION)
def test_a_body_beyond_all_measure_is_refused(browser, newsroom, reader, path_to, purpose):
    answer = browser.post(path_to(purpose, reader.uid), data={"action": "x" * LARGEST_BODY})

    assert 413 == answer.status_code
    assert "Nothing was changed" in answer.text
    assert [reader] == find(newsroom, ADDRESS)


def test_a_body_that_grows_beyond_what_it_announced_is_refused(browser):
    async def endless():
        for _ in range(LARGEST_BODY // 1024 + 2):
            yield b"a" * 1024

    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = browser.post("/subscribe", content=endless(), headers=headers)

    assert 413 == answer.status_code


def test_a_body_that_drips_is_given_up(monkeypatch):
    async def dripping():
        yield b"address="
        await asyncio.sleep(5)

    monkeypatch.setattr(security, "BODY_SECONDS", 0.05)
    scope = {"type": "http", "path": "/subscribe", "headers": []}
    drops = dripping()

    async def receive():
        return {"type": "http.request", "body": await anext(drops), "more_body": True}

    async def read_all(_scope, receive, _send):
        while True:
            await receive()

    with pytest.raises(HTTPException) as refused:
        asyncio.run(security.BodyLimit(read_all)(scope, receive, None))
    assert 408 == refused.value.status_code


def test_a_visitor_who_stays_after_the_body_is_not_given_up(monkeypatch):
    """What comes after the body is the visitor going away; an answer that takes long is not cut off by it."""
    monkeypatch.setattr(security, "BODY_SECONDS", 0.01)
    messages = iter([{"type": "http.request", "body": b"a"}, {"type": "http.disconnect"}])

    async def receive():
        message = next(messages)
        await asyncio.sleep(0.05 if message["type"] == "http.disconnect" else 0)
        return message

    async def read_twice(_scope, receive, _send):
        assert ["http.request", "http.disconnect"] == [(await receive())["type"], (await receive())["type"]]

    asyncio.run(security.BodyLimit(read_twice)({"type": "http", "path": "/", "headers": []}, receive, None))


@pytest.mark.parametrize("length", ["-1", "abc", "999999999999999999999", ""])
def test_a_length_that_is_no_length_is_refused(browser, length):
    headers = {"content-length": length, "content-type": "application/x-www-form-urlencoded"}
    answer = browser.post("/subscribe", content=b"list=weekly", headers=headers)

    assert answer.status_code in (400, 413, 422)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
        (b"", "multipart/form-data"),
        (b"a=b&" * 5000, "application/x-www-form-urlencoded"),
        (
            b"--x\r\ncontent-disposition: form-data; name=a; filename=b\r\n\r\nc\r\n--x--\r\n",
            "multipart/form-data; boundary=x",
        ),
        (b"address=%FF%FE&list=%00", "application/x-www-form-urlencoded"),
        (b"address=" + "а@пример.рф\x00".encode("utf-16"), "application/x-www-form-urlencoded; charset=utf-16"),
        (b'{"address": "aida@example.org", "list": "weekly"}', "application/json"),
        (b"\x00\x01\x02", "application/octet-stream"),
    ],
)
def test_a_form_that_cannot_be_read_changes_nothing(browser, newsroom, content, kind):
    answer = browser.post("/subscribe", content=content, headers={"content-type": kind})

    assert answer.status_code in (400, 422)
    assert "text/html; charset=utf-8" == answer.headers["content-type"]
    assert [] == find(newsroom, ADDRESS)


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
def test_methods_that_no_page_takes_are_refused(browser, method, path):
    answer = browser.request(method, path)

    assert (404 if path == "/no-such-page" else 405) == answer.status_code


@pytest.mark.parametrize("path", PAGES)
def test_head_answers_as_get_does(browser, path):
    get, head = browser.get(path), browser.request("HEAD", path)

    assert (get.status_code, get.headers["content-length"]) == (head.status_code, head.headers["content-length"])


@pytest.mark.parametrize("path", [*PAGES, "/health/live", "/robots.txt", "/unsubscribe/x"])
def test_every_answer_is_guarded(browser, path):
    headers = browser.get(path).headers

    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert ("script-src 'sha256-" in headers["content-security-policy"]) == (path == "/subscribe")
    assert ("nosniff", "no-referrer") == (headers["x-content-type-options"], headers["referrer-policy"])
    assert "set-cookie" not in headers


@pytest.mark.parametrize(("scheme", "told"), [("https", "max-age=31536000"), ("http", None)])
def test_browsers_keep_to_tls_where_the_newsroom_has_it(newsroom, scheme, told):
    settings = newsroom.settings.model_copy(update={"base_url": f"{scheme}://news.example.org"})

    answer = Browser(replace(newsroom, settings=settings)).get("/no-such-page")
    assert told == answer.headers.get("strict-transport-security")


@pytest.mark.parametrize("purpose", OF_A_SUBSCRIPTION)
def test_pages_of_one_reader_are_kept_by_nobody(browser, reader, path_to, purpose):
    headers = browser.get(path_to(purpose, reader.uid)).headers

    assert ("no-store", "noindex") == (headers["cache-control"], headers["x-robots-tag"])


def test_what_breaks_inside_is_a_page_with_guards_and_without_details(newsroom, monkeypatch):
    def broken(_app):
        raise RuntimeError("the secret is 42")

    monkeypatch.setattr(home, "list_offers", broken)
    with structlog.testing.capture_logs() as logs:
        answer = Browser(newsroom, raises=False).get("/")

    assert 500 == answer.status_code
    assert "on our side" in answer.text
    assert "42" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert [("page_failed", "/")] == [(each["event"], each["path"]) for each in logs]


def test_a_form_from_another_site_is_shown_once_more(browser, newsroom):
    """What it chose stands in the form, and nothing is stored or mailed before a button of ours is pressed."""
    headers = {"origin": "https://elsewhere.example"}
    answer = browser.post("/subscribe", data={"address": ADDRESS, "list": "weekly", "topic": "rivers"}, headers=headers)

    assert 200 == answer.status_code
    assert "press the button once more" in answer.text
    assert f'value="{ADDRESS}"' in answer.text
    assert 'value="rivers" checked' in answer.text
    assert [] == find(newsroom, ADDRESS)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://elsewhere.example"},
        {"origin": "http://news.example.org"},
        {"origin": "https://news.example.org:8443"},
        {"origin": "null", "sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=str,
)
def test_a_form_that_borrowed_our_stamp_is_shown_once_more(browser, newsroom, headers):
    """A site cannot have its visitors sign somebody up unseen, with their network on the record of consent."""
    answer = browser.post("/subscribe", data={**FORM, "stamp": stamp_of(newsroom)}, headers=headers)

    assert "press the button once more" in answer.text
    assert [] == find(newsroom, ADDRESS)


@pytest.mark.parametrize("headers", [{}, {"origin": "null"}, {"origin": "null", "sec-fetch-site": "same-origin"}])
def test_a_form_of_our_own_page_is_taken(browser, newsroom, headers):
    """Our pages send no referrer, so that browsers say `Origin: null` of them."""
    browser.post("/subscribe", data={**FORM, "stamp": stamp_of(newsroom)}, headers=headers)

    assert 1 == len(find(newsroom, ADDRESS))


def test_what_answers_a_form_is_kept_by_nobody(browser):
    for path in ("/subscribe", "/subscribe/preview"):
        assert "no-store" == browser.post(path, data=FORM).headers["cache-control"]


@pytest.mark.parametrize(
    ("path", "header", "language"),
    [
        ("/", "", "en"),
        ("/", "ru", "ru"),
        ("/", "de, ky-KG;q=0.8, en;q=0.5", "ky"),
        ("/", "en;q=0.1, ru;q=0.9", "ru"),
        ("/", "ru;q=0", "en"),
        ("/", "ru;q=many, ky", "ky"),
        ("/", "*", "en"),
        ("/", ",;=,,", "en"),
        ("/", "x" * 10_000, "en"),
        ("/?lang=ky", "ru", "ky"),
        ("/?lang=xx", "ru", "ru"),
        ("/?lang=../../etc/passwd", "", "en"),
    ],
)
def test_pages_speak_the_language_of_the_link_then_of_the_browser(browser, path, header, language):
    page = browser.get(path, headers={"accept-language": header})

    assert f'<html lang="{language}"' in page.text
    assert language == page.headers["content-language"]


def test_a_language_asked_for_by_link_stays(browser):
    page = browser.get("/?lang=ky").text

    assert 'href="https://news.example.org/subscribe?lang=ky"' in page


@pytest.mark.parametrize("path", ["/", "/subscribe", "/search", "/archive/", "/topics/", "/feeds"])
def test_no_query_or_header_leads_elsewhere_or_becomes_markup(browser, path):
    """Links are made of the configured address alone; what was asked stands there as text or not at all."""
    evil = '"><script>alert(1)</script>'
    headers = {"host": "evil.example", "x-forwarded-host": "evil.example", "accept-language": evil}
    answer = browser.get(
        f"{path}?{urlencode({'q': evil, 'lang': evil, 'next': '//evil.example', 'list': evil})}", headers=headers
    )

    assert (422 if path == "/feeds" else 200) == answer.status_code
    assert "<script>alert" not in answer.text
    assert "//evil.example" not in answer.text.replace("%2F%2Fevil.example", "")
    assert "evil.example" not in str(answer.headers)


@pytest.mark.parametrize(
    "path", ["/archive", "/feeds/", "/archive//evil.example", "//evil.example/subscribe", "/%0d%0aset-cookie:a=b"]
)
def test_no_path_leads_to_another_site(browser, path):
    answer = browser.get(path, headers={"host": "evil.example"})

    assert "evil.example" not in answer.headers.get("location", "")
    assert "set-cookie" not in answer.headers
