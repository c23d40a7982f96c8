"""The mailbox shows what arrived and nothing of it runs."""

import asyncio

import httpx
import pytest
from starlette.applications import Starlette

from newsletter.demo.calendar import ZONE
from newsletter.demo.mailbox import MAILS_ON_A_PAGE, find_lines, mailbox_routes, open_mail, read_line
from newsletter.demo.mailserver import MailStore
from newsletter.demo.run import demo_settings


def mail(number=1, list_slug="weekly", subject="The week", to="aigul@mail.example"):
    return (
        f"From: Press <press@news.example>\r\nTo: {to}\r\nSubject: {subject}\r\n"
        "Date: Mon, 06 Oct 2025 02:00:00 +0000\r\n"
        + (f"List-Id: Title <{list_slug}.news.example>\r\n" if list_slug else "")
        + "MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"
        f"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nText number {number} <b>\r\n"
        f"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
        f"<html><head><title>x</title></head><body>HTML number {number}<script>alert(1)</script></body></html>\r\n"
        "--b--\r\n"
    ).encode()


@pytest.fixture
def mails(tmp_path):
    store = MailStore(tmp_path / "mails")
    yield store
    store.close()


@pytest.fixture
def client(tmp_path, mails):
    settings = demo_settings(tmp_path, base_url="http://localhost:8000", smtp_url="")
    return Visitor(Starlette(routes=mailbox_routes(settings, mails, ZONE)))


class Visitor:
    """Asks the application for pages, without a socket."""

    def __init__(self, web):
        self._transport = httpx.ASGITransport(web)

    def get(self, path):
        return asyncio.run(self._get(path))

    async def _get(self, path):
        async with httpx.AsyncClient(transport=self._transport, base_url="http://localhost:8000") as client:
            return await client.get(path)


def keep(store, *arguments, **options):
    content = mail(*arguments, **options)
    return store.add("press@news.example", [options.get("to", "aigul@mail.example")], content)


def test_the_list_shows_the_newest_first_in_local_time(client, mails):
    keep(mails, subject="Older")
    keep(mails, subject="=?utf-8?b?0J3QvtCy0L7QtQ==?=", list_slug="")

    page = client.get("/mailbox").text

    assert page.index("Новое") < page.index("Older")
    assert "Mon 6 Oct 2025, 08:00" in page
    assert "notice" in page, "mail of no list"


@pytest.mark.parametrize(
    ("query", "found"),
    [("", {"One", "Two", "Three"}), ("?list=daily", {"Two"}), ("?to=AIBEK", {"Three"}), ("?to=two", {"Two"})],
    ids=["all", "by list", "by address", "by subject"],
)
def test_mails_are_found_by_address_subject_and_list(client, mails, query, found):
    keep(mails, subject="One")
    keep(mails, subject="Two", list_slug="daily")
    keep(mails, subject="Three", to="aibek@post.example")

    page = client.get(f"/mailbox{query}").text

    assert found == {word for word in ("One", "Two", "Three") if f'"subject">{word}<' in page}


def test_long_lists_are_paged_and_a_page_that_is_not_there_is_the_nearest(client, mails):
    for number in range(MAILS_ON_A_PAGE + 1):
        keep(mails, subject=f"Mail-{number:03}")

    assert "Mail-000" not in client.get("/mailbox").text
    assert "Mail-000" in client.get("/mailbox?page=2").text
    for page in ("99", "x", "-1", "9" * 5000):
        assert 200 == client.get(f"/mailbox?page={page}").status_code


def test_an_empty_mailbox_says_so(client):
    assert "No mail yet" in client.get("/mailbox").text


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ("html", "sandbox="),
        ("phone", 'class="phone"'),
        ("text", "Text number 1 &lt;b&gt;"),
        ("headers", "List-Id"),
        ("source", "--b"),
    ],
)
def test_a_mail_is_shown_in_every_way(client, mails, shown, words):
    keep(mails)

    assert words in client.get(f"/mailbox/1?as={shown}").text


def test_the_frame_runs_nothing_and_opens_links_elsewhere(client, mails):
    keep(mails)

    answer = client.get("/mailbox/1/frame")

    assert '<head><base target="_blank">' in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox")
    assert "allow-scripts" not in policy
    assert "default-src 'none'" in policy


def test_a_mail_can_be_taken_away_byte_for_byte(client, mails):
    keep(mails)

    assert mail() == client.get("/mailbox/1.eml").content


@pytest.mark.parametrize("path", ["/mailbox/2", "/mailbox/0", "/mailbox/2/frame", "/mailbox/2.eml"])
def test_a_mail_that_never_came_is_not_found(client, mails, path):
    keep(mails)

    assert 404 == client.get(path).status_code


def test_the_samples_pictures_are_served(client):
    answer = client.get("/demo/images/felt.png")

    assert (200, "image/png") == (answer.status_code, answer.headers["content-type"])
    assert 404 == client.get("/demo/images/..%2frun.py").status_code


@pytest.mark.parametrize(
    "content",
    [b"", b"\r\n\r\n", b"no header at all", b"Subject: =?utf-9?b?xx?=\r\nDate: yesterday\r\n\r\n\xff\xfe"],
    ids=["empty", "no headers", "no blank line", "unknown charset and date"],
)
def test_a_broken_mail_is_shown_as_far_as_it_can_be_read(client, mails, content):
    kept = mails.add("a@b.example", ["c@d.example"], content)

    assert "c@d.example" == read_line(kept).recipient
    assert content.decode("latin-1") == open_mail(kept).source
    assert [1] == [line.number for line in find_lines(list(mails), words="", list_slug="")]
    assert 200 == client.get("/mailbox/1").status_code
