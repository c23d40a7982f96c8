"""Headers: every value through one guard, words for people decoded unchanged, fields for machines never encoded."""

import email
from datetime import UTC, datetime, timedelta, timezone
from email import policy
from email.header import decode_header, make_header
from email.utils import parseaddr

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from newsletter.errors import InvalidError
from newsletter.mail.headers import (
    FOLD_AT,
    LONGEST_LINE,
    DigestHeaders,
    Feedback,
    NoticeHeaders,
    Reader,
    Recipient,
    digest_fields,
    encoded_text,
    notice_fields,
    reader_fields,
    recipient_fields,
)

TOKEN = "0b8e5f5e6d7c4a3fb1c2d3e4f5a6b7c8"
CONTROLS = [chr(code) for code in (*range(0x20), 0x7F, *range(0x80, 0xA0), 0x2028, 0x2029, 0xD800, 0xDFFF)]
words = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]),
        st.sampled_from(" =?_\"\\,<>@()[].:;'ЖүөыÄéß漢🌍"),
    ),
    min_size=1,
    max_size=300,
)


def digest_headers(**changes):
    values = {
        "subject": "This week: clean water",
        "from_name": "City Newsroom",
        "from_address": "news@example.org",
        "reply_to": "press@example.org",
        "language": "en",
        "mail_domain": "news.example.org",
        "list_title": "Weekly digest",
        "list_id": "weekly.lists.example.org",
        "archive_url": "https://news.example.org/archive/",
        "help_url": "https://news.example.org/subscribe",
        "subscribe_url": "https://news.example.org/subscribe",
        "owner": "editors@example.org",
        "feedback": Feedback(edition="2024-W50", list="weekly", kind="digest", sender="cityroom"),
    }
    return DigestHeaders(**values | changes)


def a_reader(**changes):
    values = {
        "address": "ann@example.net",
        "token": TOKEN,
        "sent_at": datetime(2024, 12, 9, 8, 0, tzinfo=timezone(timedelta(hours=6))),
        "unsubscribe_url": "https://news.example.org/unsubscribe/AbC-_09",
    }
    return Reader(**values | changes)


def parsed(fields):
    return email.message_from_bytes(fields + b"\r\n", policy=policy.default)


def lines_of(fields):
    return fields.decode().split("\r\n")


@settings(max_examples=300)
@given(words)
@example("=?utf-8?q?x?=")
@example(" leading and trailing ")
@example("a" * 300)
@example("two  blanks and more   blanks")
@example("Климат  өзгөрүүсү:   14 жаңылык " * 8)
def test_a_subject_comes_back_as_it_was(text):
    field = encoded_text("Subject", text)

    assert text == parsed(field.encode("ascii"))["Subject"]
    assert all(len(line) <= (76 if "=?" in line else FOLD_AT) for line in field.split("\r\n"))


@settings(max_examples=300)
@given(words)
@example('"')
@example("\\")
@example("a, b <eve@example.org>")
@example("Пресс-служба Организации Объединённых Наций в Кыргызской Республике")
def test_a_display_name_comes_back_as_it_was_beside_its_address(name):
    """Read by the older parser: the newer one keeps the spaces between encoded words in phrases (CPython 3.11)."""
    fields = digest_fields(digest_headers(from_name=name, list_title=name))
    raw_name, address = parseaddr(email.message_from_bytes(fields + b"\r\n")["From"])

    assert "news@example.org" == address
    assert name == str(make_header(decode_header(raw_name)))
    assert not parsed(fields)["From"].defects
    assert ["news@example.org"] == [each.addr_spec for each in parsed(fields)["From"].addresses]
    assert parsed(fields)["List-Id"].endswith("<weekly.lists.example.org>")
    assert all(len(line) <= FOLD_AT for line in lines_of(fields))
    assert all(len(word) <= 75 for word in fields.decode().split() if word.startswith("=?"))


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: f"U+{ord(control):04X}")
def test_no_control_character_enters_any_header(control):
    """Each text goes through the same guard; the error names the header."""
    smuggled = f"a{control}Bcc: eve@example.org"
    changes = {
        "Subject": {"subject": smuggled},
        "From": {"from_name": smuggled},
        "Reply-To": {"reply_to": f"ann{control}@example.org"},
        "Content-Language": {"language": f"en{control}"},
        "List-Id": {"list_title": smuggled},
        "List-Archive": {"archive_url": f"https://example.org/{control}"},
        "List-Help": {"help_url": f"https://example.org/{control}x"},
        "List-Subscribe": {"subscribe_url": f"{control}https://example.org/"},
        "List-Owner": {"owner": f"ann@example.org{control}"},
        "Feedback-ID": {"feedback": Feedback(edition=f"1{control}", list="w", kind="d", sender="cityroom")},
        "CFBL-Address": {"complaints_to": f"fbl@exam{control}ple.org"},
    }
    for header, change in changes.items():
        with pytest.raises(InvalidError, match=header):
            digest_fields(digest_headers(**change))
    for header, change in {
        "To": {"address": f"ann{control}@example.org"},
        "Message-ID": {"token": f"0b8e{control}"},
        "List-Unsubscribe": {"unsubscribe_url": f"https://example.org/{control}"},
    }.items():
        with pytest.raises(InvalidError, match=header):
            reader_fields(a_reader(**change), digest_headers())


@pytest.mark.parametrize(
    ("header", "change"),
    [
        ("Subject", {"subject": ""}),
        ("From", {"from_address": "news"}),
        ("From", {"from_address": "news@example.org, eve@example.org"}),
        ("From", {"from_address": "новости@example.org"}),
        ("From", {"from_address": "a" * 65 + "@example.org"}),
        ("List-Id", {"list_id": "weekly digest"}),
        ("List-Id", {"list_id": "weekly>.lists"}),
        ("List-Archive", {"archive_url": "https://новости.example/"}),
        ("List-Archive", {"archive_url": "javascript:alert(1)"}),
        ("List-Archive", {"archive_url": "https://example.org/>,<https://eve.example/"}),
        ("List-Archive", {"archive_url": "https://example.org/" + "x" * 1000}),
        ("List-Owner", {"owner": "news room@example.org"}),
        ("Content-Language", {"language": "english please"}),
        ("Feedback-ID", {"feedback": Feedback(edition="1:2", list="w", kind="d", sender="cityroom")}),
        ("Feedback-ID", {"feedback": Feedback(edition="1" * 1000, list="w", kind="d", sender="cityroom")}),
        ("Feedback-ID", {"feedback": Feedback(edition="1", list="w", kind="d", sender="abc")}),
    ],
)
def test_a_value_its_field_does_not_allow_is_refused_by_name(header, change):
    with pytest.raises(InvalidError, match=header):
        digest_fields(digest_headers(**change))


def test_a_digest_says_all_that_a_list_should():
    message = parsed(digest_fields(digest_headers()) + reader_fields(a_reader(), digest_headers()))

    assert {
        "From": "City Newsroom <news@example.org>",
        "Reply-To": "press@example.org",
        "Subject": "This week: clean water",
        "Content-Language": "en",
        "List-Id": "Weekly digest <weekly.lists.example.org>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "List-Archive": "<https://news.example.org/archive/>",
        "List-Help": "<https://news.example.org/subscribe>",
        "List-Owner": "<mailto:editors@example.org>",
        "List-Subscribe": "<https://news.example.org/subscribe>",
        "List-Post": "NO",
        "Feedback-ID": "2024-W50:weekly:digest:cityroom",
        "Precedence": "bulk",
        "X-Auto-Response-Suppress": "OOF, AutoReply",
        "To": "ann@example.net",
        "Date": "Mon, 09 Dec 2024 08:00:00 +0600",
        "Message-ID": f"<{TOKEN}@news.example.org>",
        "List-Unsubscribe": "<https://news.example.org/unsubscribe/AbC-_09>",
    } == dict(message.items())


def test_one_time_in_two_zones_is_written_in_each():
    noon = datetime(2024, 12, 9, 12, tzinfo=UTC)
    times = [noon, noon.astimezone(timezone(timedelta(hours=6))), noon]
    recipients = [Recipient(address="ann@example.net", token=TOKEN, sent_at=each) for each in times]

    assert [
        "Mon, 09 Dec 2024 12:00:00 +0000",
        "Mon, 09 Dec 2024 18:00:00 +0600",
        "Mon, 09 Dec 2024 12:00:00 +0000",
    ] == [parsed(recipient_fields(each, "example.org"))["Date"] for each in recipients]


def test_a_notice_is_transactional():
    headers = NoticeHeaders(
        subject="Confirm", from_name="", from_address="news@example.org", language="ky", mail_domain="example.org"
    )
    recipient = Recipient(address="ann@example.net", token=TOKEN, sent_at=datetime(2024, 12, 9, tzinfo=UTC))
    message = parsed(notice_fields(headers) + recipient_fields(recipient, "example.org"))

    assert {
        "From": "news@example.org",
        "Subject": "Confirm",
        "Content-Language": "ky",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "OOF, AutoReply",
        "To": "ann@example.net",
        "Date": "Mon, 09 Dec 2024 00:00:00 +0000",
        "Message-ID": f"<{TOKEN}@example.org>",
    } == dict(message.items())


@given(st.integers(min_value=1, max_value=900))
def test_a_long_unsubscribe_link_is_never_encoded_nor_broken(length):
    reader = a_reader(
        unsubscribe_url=f"https://news.example.org/{'u' * length}",
        unsubscribe_mailto=f"mailto:leave@example.org?subject={'t' * length}",
    )
    fields = reader_fields(reader, digest_headers())

    assert f"<{reader.unsubscribe_url}>, <{reader.unsubscribe_mailto}>" == parsed(fields)["List-Unsubscribe"]
    assert b"=?" not in fields
    assert f"<{reader.unsubscribe_url}>" in fields.decode()
    assert max(map(len, lines_of(fields))) <= LONGEST_LINE


def test_the_complaint_address_brings_its_twin_along():
    headers = digest_headers(complaints_to="fbl@example.org")

    assert "fbl@example.org; report=arf" == parsed(digest_fields(headers))["CFBL-Address"]
    assert parsed(reader_fields(a_reader(), headers))["CFBL-Feedback-ID"] == TOKEN


def test_feedback_says_no_id_twice():
    feedback = Feedback(edition="daily", list="daily", kind="daily", sender="cityroom")

    assert "daily:cityroom" == parsed(digest_fields(digest_headers(feedback=feedback)))["Feedback-ID"]


def test_feedback_never_says_the_senders_id_for_something_else():
    feedback = Feedback(edition="7", list="cityroom", kind="daily", sender="cityroom")

    assert "7:daily:cityroom" == parsed(digest_fields(digest_headers(feedback=feedback)))["Feedback-ID"]


def test_an_address_beyond_ascii_goes_out_as_utf8_with_its_domain_in_ascii():
    fields = reader_fields(a_reader(address="айгүл@сайт.рф"), digest_headers())

    assert "To: айгүл@xn--80aswg.xn--p1ai".encode() in fields.split(b"\r\n")


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(InvalidError, match="Date"):
        reader_fields(a_reader(sent_at=datetime(2024, 12, 9)), digest_headers())  # noqa: DTZ001  # on purpose
