"""Mails that come back, as servers and people write them."""

import pytest

from newsletter.mail.reports import Report, ReportKind, read_report

TOKEN = "abc_DEF-1" * 8
MAIL_TOKEN = "0123456789abcdef0123456789abcdef"


def bounce(status: str = "5.1.1", action: str = "failed", returned: str = "text/rfc822-headers") -> bytes:
    inside = f"Message-ID: <{MAIL_TOKEN}@news.example.org>\r\nSubject: The week\r\n"
    if returned == "message/rfc822":
        inside += "\r\nHello.\r\n"
    return (
        "From: MAILER-DAEMON@mx.example.net\r\nTo: news@example.org\r\nMessage-ID: <1@mx.example.net>\r\n"
        "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.net\r\n\r\n"
        f"Final-Recipient: rfc822; a@example.org\r\nAction: {action}\r\nStatus: {status}\r\n\r\n"
        f"--b\r\nContent-Type: {returned}\r\n\r\n{inside}\r\n--b--\r\n"
    ).encode()


def complaint() -> bytes:
    return bounce().replace(b"report-type=delivery-status", b"report-type=feedback-report")


def mail(subject: str, *headers: str) -> bytes:
    lines = ["From: a@example.org", f"Subject: {subject}", "Message-ID: <7@example.org>", *headers, "", "Hello"]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize(
    ("content", "kind", "mail_token"),
    [
        (bounce(), ReportKind.HARD_BOUNCE, MAIL_TOKEN),
        (bounce(returned="message/rfc822"), ReportKind.HARD_BOUNCE, MAIL_TOKEN),
        (bounce("5.2.2"), ReportKind.SOFT_BOUNCE, MAIL_TOKEN),
        (bounce("5.7.1"), ReportKind.SOFT_BOUNCE, MAIL_TOKEN),
        (bounce("4.4.1", "delayed"), ReportKind.DELAYED, MAIL_TOKEN),
        (bounce("2.0.0", "delivered"), ReportKind.DELIVERED, MAIL_TOKEN),
        (bounce(returned="text/plain"), ReportKind.HARD_BOUNCE, ""),
        (complaint(), ReportKind.COMPLAINT, MAIL_TOKEN),
        (mail(f"unsubscribe {TOKEN}", "Auto-Submitted: auto-replied"), ReportKind.AUTOMATIC, ""),
        (mail("Away until Monday", "Precedence: auto_reply"), ReportKind.AUTOMATIC, ""),
        (mail("A question"), ReportKind.OTHER, ""),
        (mail("unsubscribe"), ReportKind.OTHER, ""),
        (mail("unsubscribe me please now"), ReportKind.OTHER, ""),
        (b"", ReportKind.OTHER, ""),
        (b"\x00\xff" * 500, ReportKind.OTHER, ""),
        (b"Content-Type: multipart/report; report-type=delivery-status\r\n\r\nbroken", ReportKind.SOFT_BOUNCE, ""),
        (b"Subject: =?utf-8?b?////?=\r\nFrom: <<<\r\n\r\n", ReportKind.OTHER, ""),
    ],
)
def test_a_mail_is_what_it_says(content: bytes, kind: ReportKind, mail_token: str):
    report = read_report(content)

    assert (kind, mail_token) == (report.kind, report.mail_token)


@pytest.mark.parametrize("subject", [f"unsubscribe {TOKEN}", f"Re: Unsubscribe  {TOKEN} ", f"unsubscribe\r\n {TOKEN}"])
def test_who_leaves_is_named_by_the_token_alone(subject: str):
    assert Report(ReportKind.LEAVING, token=TOKEN, message_id="<7@example.org>") == read_report(mail(subject))
