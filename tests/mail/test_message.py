"""Messages: spliced bytes that an independent parser reads without a complaint."""

import email
import html
import re
from datetime import UTC, datetime
from email import policy
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from newsletter.domain.variants import Hole, cut, fill, hole_mark
from newsletter.errors import InvalidError
from newsletter.mail.headers import DigestHeaders, Feedback, NoticeHeaders, Reader, Recipient
from newsletter.mail.inspection import problems
from newsletter.mail.message import build_notice, prepare

NONCE = "5f0c2d3e4a5b6c7d"
HEADERS = DigestHeaders(
    subject="Эженелик: таза суу",
    from_name="Шаардык жаңылыктар",
    from_address="news@example.org",
    language="ky",
    mail_domain="news.example.org",
    list_title="Жума сайын",
    list_id="weekly.lists.example.org",
    archive_url="https://news.example.org/archive/",
    help_url="https://news.example.org/subscribe",
    subscribe_url="https://news.example.org/subscribe",
    owner="editors@example.org",
    feedback=Feedback(edition="2024-W50", list="weekly", kind="digest", sender="cityroom"),
)
NOTICE = NoticeHeaders(
    subject="Confirm your subscription",
    from_name="City Newsroom",
    from_address="news@example.org",
    language="en",
    mail_domain="news.example.org",
)
READER = Reader(
    address="ann@example.net",
    token="0b8e5f5e6d7c4a3fb1c2d3e4f5a6b7c8",
    sent_at=datetime(2024, 12, 9, 2, 0, tzinfo=UTC),
    unsubscribe_url="https://news.example.org/unsubscribe/AbC-_09",
)
VALUES = {"why": "You chose climate & water", "unsubscribe_url": READER.unsubscribe_url}
TEXT = [
    "Weekly digest\n\n  indented\n> quoted\nFrom the field\n\n",
    Hole("why"),
    "\nLeave: ",
    Hole("unsubscribe_url"),
    "\n",
]
HTML = [
    "<!DOCTYPE html><html><body><p>",
    Hole("why"),
    '</p><a href="',
    Hole("unsubscribe_url"),
    '">Leave</a></body></html>',
]

texts = st.text(st.one_of(st.characters(exclude_categories=["Cs", "Cc"]), st.sampled_from(". =\n>F-Ж漢")), max_size=300)
values = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=150)
segment_lists = st.lists(st.one_of(texts, st.just(Hole("why")), st.just(Hole("a"))), max_size=8)


def message_of(pieces):
    return email.message_from_bytes(b"".join(pieces), policy=policy.default)


def unstuffed(text):
    """Undo format=flowed as RFC 3676 §4.2 says, but for flowing lines together."""
    return "\n".join(line.removeprefix(" ") for line in text.split("\n"))


def parts_of(pieces):
    text, page = message_of(pieces).iter_parts()
    return tuple(part.get_payload(decode=True).decode().replace("\r\n", "\n") for part in (text, page))


def test_a_digest_is_read_without_a_complaint():
    pieces = prepare(HEADERS, text=TEXT, html=HTML, nonce=NONCE).fill(READER, VALUES)
    text, page = parts_of(pieces)

    assert [] == problems(b"".join(pieces))
    assert (
        "Weekly digest\n\n   indented\n > quoted\n From the field\n\nYou chose climate & water\n"
        "Leave: https://news.example.org/unsubscribe/AbC-_09\n"
    ) == text
    assert '<p>You chose climate &amp; water</p><a href="https://news.example.org/unsubscribe/AbC-_09">' in page
    assert "flowed" == message_of(pieces).get_body(["plain"]).get_param("format")
    assert "no" == message_of(pieces).get_body(["plain"]).get_param("delsp")


@settings(max_examples=200, deadline=None)
@given(segment_lists, segment_lists, values, values)
@example([".\n..\nFrom ", Hole("why"), ".\n"], ["--=_\n", Hole("a")], ".", "=")
@example([Hole("why"), "\n", Hole("why"), Hole("why")], [Hole("why")], " > leading", ">")
@example(["\n\n", "\n"], ["  \n"], "", "")
def test_any_segments_and_values_come_back_as_they_were(text, page, why, other):
    text, page = [*text, "the end"], [*page, "the end"]
    told = {"why": why, "a": other}
    prepared = prepare(HEADERS, text=text, html=page, nonce=NONCE)
    pieces = prepared.fill(READER, told)
    read_text, read_page = parts_of(pieces)

    assert "".join(fill(text, told)) == unstuffed(read_text)
    assert "".join(fill(page, {name: html.escape(value) for name, value in told.items()})) == read_page
    assert [] == problems(b"".join(pieces))
    assert pieces == prepare(HEADERS, text=text, html=page, nonce=NONCE).fill(READER, told)


@given(values)
@example('"><script>alert(1)</script>')
@example("' onmouseover='x")
@example("&lt;b&gt; <!-- ]]>")
def test_a_value_cannot_break_out_of_its_place_in_the_page(value):
    page = ['<p title="', Hole("why"), "\" class='", Hole("why"), "'>", Hole("why"), "</p>"]
    _, read = parts_of(prepare(HEADERS, text=["x"], html=page, nonce=NONCE).fill(READER, {"why": value}))
    seen = []

    class Reading(HTMLParser):
        def handle_starttag(self, tag, attrs):
            seen.append((tag, attrs))

        def handle_data(self, data):
            seen.append(data)

    reading = Reading(convert_charrefs=True)
    reading.feed(read)
    reading.close()

    assert [("p", [("title", value), ("class", value)])] == seen[:1]
    assert value == "".join(seen[1:])


@pytest.mark.parametrize("control", ["\0", "\r\n", "\n", "\x1b", "\x85", "\u2028", "\ud800"])
def test_a_value_is_one_line(control):
    prepared = prepare(HEADERS, text=TEXT, html=HTML, nonce=NONCE)
    text, _ = parts_of(prepared.fill(READER, VALUES | {"why": f"a{control}Leave: https://eve.example/"}))

    assert "a Leave: https://eve.example/\nLeave: https://news" in text


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "https://example.org/ x", "https://example.org/\n", "", 'https://e/"']
)
def test_a_hole_for_an_address_takes_only_one(url):
    prepared = prepare(HEADERS, text=TEXT, html=HTML, nonce=NONCE)

    with pytest.raises(InvalidError, match="unsubscribe_url"):
        prepared.fill(READER, VALUES | {"unsubscribe_url": url})


def test_missing_values_are_named():
    with pytest.raises(InvalidError, match=r"unsubscribe_url, why$"):
        prepare(HEADERS, text=TEXT, html=HTML, nonce=NONCE).fill(READER, {})


def test_control_characters_in_content_become_spaces_and_line_ends_one_kind():
    pieces = prepare(HEADERS, text=["a\0b\r\nc\rd\x85e\n"], html=["<p>\x0b\ud800</p>"], nonce=NONCE).fill(READER, {})

    assert ("a b\nc d e\n", "<p>  </p>") == parts_of(pieces)


@pytest.mark.parametrize(("text", "page"), [([], ["x"]), (["x"], []), ([""], ["x"]), (["x"], ["", ""])])
def test_a_mail_without_one_of_its_parts_is_refused(text, page):
    with pytest.raises(InvalidError, match="part is empty"):
        prepare(HEADERS, text=text, html=page, nonce=NONCE)


def test_readers_of_a_variant_differ_in_nothing_but_their_own_values():
    prepared = prepare(HEADERS, text=TEXT, html=HTML, nonce=NONCE)
    other = Reader(
        address="bob@example.com",
        token="f" * 32,
        sent_at=READER.sent_at,
        unsubscribe_url="https://news.example.org/unsubscribe/ZzZ-_11",
    )
    ann = b"".join(prepared.fill(READER, VALUES))
    bob = b"".join(prepared.fill(other, VALUES | {"unsubscribe_url": other.unsubscribe_url}))

    assert bob == (
        ann.replace(b"ann@example.net", b"bob@example.com")
        .replace(READER.token.encode(), b"f" * 32)
        .replace(b"AbC-_09", b"ZzZ-_11")
    )


def test_an_editions_cut_blocks_go_straight_in():
    marked = f'<p>{hole_mark("why", NONCE)}</p><a href="{hole_mark("unsubscribe_url", NONCE)}">Leave</a>'
    prepared = prepare(HEADERS, text=TEXT, html=cut(marked, NONCE), nonce=NONCE)

    assert {"why", "unsubscribe_url"} == prepared.holes
    assert '<p>You chose climate &amp; water</p><a href="https://news' in parts_of(prepared.fill(READER, VALUES))[1]


def test_the_boundary_depends_on_the_nonce_and_does_not_tell_it():
    boundaries = [
        message_of(prepare(HEADERS, text=["x"], html=["x"], nonce=nonce).fill(READER, {})).get_boundary()
        for nonce in (NONCE, NONCE, "another")
    ]

    assert boundaries[0] == boundaries[1] != boundaries[2]
    assert NONCE not in boundaries[0]
    assert re.fullmatch(r"=_[0-9a-f]{32}", boundaries[0])


def test_a_reader_beyond_ascii_gets_a_mail_that_is_ascii_but_for_the_address():
    reader = Reader(
        address="айгүл@сайт.рф", token=READER.token, sent_at=READER.sent_at, unsubscribe_url=READER.unsubscribe_url
    )
    message = b"".join(prepare(HEADERS, text=TEXT, html=HTML, nonce=NONCE).fill(reader, VALUES))

    assert [] == problems(message, may_be_utf8=True)
    assert "it is not 7-bit" in problems(message)


def test_a_notice_is_one_complete_mail_without_list_headers():
    recipient = Recipient(address="ann@example.net", token="c" * 32, sent_at=READER.sent_at)
    pieces = build_notice(NOTICE, recipient, text="Confirm:\nhttps://x.example/confirm/abc\n", html="<p>Confirm</p>")
    message = message_of(pieces)

    assert [] == problems(b"".join(pieces))
    assert "auto-generated" == message["Auto-Submitted"]
    assert not [name for name in message if name.startswith("List-")]
    assert ("Confirm:\nhttps://x.example/confirm/abc\n", "<p>Confirm</p>") == parts_of(pieces)
    assert pieces == build_notice(
        NOTICE, recipient, text="Confirm:\nhttps://x.example/confirm/abc\n", html="<p>Confirm</p>"
    )
