"""The second look finds each fault that it is there to find."""

import pytest

from newsletter.mail.inspection import problems

SOUND = (
    b"From: news@example.org\r\nTo: ann@example.net\r\nSubject: News\r\nDate: Mon, 09 Dec 2024 08:00:00 +0600\r\n"
    b"Message-ID: <1@example.org>\r\nMIME-Version: 1.0\r\n"
    b"List-Unsubscribe: <https://example.org/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    b'Content-Type: multipart/alternative; boundary="=_b"\r\n\r\n'
    b"--=_b\r\nContent-Type: text/plain\r\n\r\nwords\r\n--=_b\r\nContent-Type: text/html\r\n\r\n<p>words\r\n--=_b--\r\n"
)


def test_a_sound_message_has_no_problems():
    assert [] == problems(SOUND)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b"words\r\n", b"words\n", "a bare CR or LF"),
        (b"words\r\n", b"wo\rrds\r\n", "a bare CR or LF"),
        (b"--=_b--\r\n", b"--=_b--", "line end"),
        (b"--=_b--\r\n", b"--=_b--\r\n\r\n", "line end"),
        (b"words\r\n", b"wo\0rds\r\n", "a NUL"),
        (b"words\r\n", "слова\r\n".encode(), "7-bit"),
        (b"Subject: News", "Subject: Новости".encode(), "7-bit"),
        (b"\r\nwords", b"\r\n.words", "a dot"),
        (b"\r\nwords", b"\r\nFrom me", "From and a space"),
        (b"words", b"w" * 999, "a line of 999 octets"),
        (b"Subject: News", b"Subject: " + b"New news " * 9, "could be folded"),
        (b"Subject: News\r\n", b"", "0 Subject headers"),
        (b"Subject: News\r\n", b"Subject: News\r\nSubject: Other\r\n", "2 Subject headers"),
        (b"Mon, 09 Dec 2024 08:00:00 +0600", b"yesterday", "Date: "),
        (b"ann@example.net", b"ann@", "To: "),
        (b"<https://example.org/u>", b"=?utf-8?q?=3Chttps=3A//example.org/u=3E?=", "encoded word"),
        (b"<https://example.org/u>", b"<mailto:u@example.org>", "not exactly one web address"),
        (b"<https://example.org/u>", b"<https://example.org/u>,\r\n <https://example.org/v>", "not exactly one web"),
        (b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n", b"", "belong together"),
        (b"Subject: News", b"Subject: News\r\n ", "blanks alone"),
        (b"--=_b--\r\n", b"", "multipart/alternative: "),
        (b"Subject: News", b"Subject: ", "an empty header"),
        (b"text/html", b"text/enriched", "its parts are"),
        (b"<p>words", b"", "text/html is empty"),
    ],
)
def test_a_fault_is_named(old, new, problem):
    assert old in SOUND

    assert [each for each in problems(SOUND.replace(old, new, 1)) if problem in each]
