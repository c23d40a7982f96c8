"""A relay's log: what Postfix took is known by its Message-ID, and what it only began to hear is not."""

from newsletter.mail.relay_log import Taken, read_postfix_log

LOG = """\
Nov 22 16:12:05 mx postfix/smtpd[101]: 4F1A2B3C4D: client=localhost[127.0.0.1]
Nov 22 16:12:05 mx postfix/cleanup[102]: 4F1A2B3C4D: message-id=<tokenone0000@news.example.org>
Nov 22 16:12:05 mx postfix/qmgr[103]: 4F1A2B3C4D: from=<news@example.org>, size=61234, nrcpt=1 (queue active)
Nov 22 16:12:06 mx postfix/smtp[104]: 4F1A2B3C4D: to=<a@example.com>, relay=mx.example.com[192.0.2.1]:25, delay=1, \
dsn=2.0.0, status=sent (250 2.0.0 OK)
Nov 22 16:12:06 mx postfix/qmgr[103]: 4F1A2B3C4D: removed
2026-11-22T16:12:07.123456+00:00 mx postfix-out/cleanup[102]: 3xYzAbCdEfGh: message-id=<tokentwo0000@NEWS.example.org>
2026-11-22T16:12:07.223456+00:00 mx postfix-out/qmgr[103]: 3xYzAbCdEfGh: from=<news@example.org>, size=1, nrcpt=1 \
(queue active)
Nov 22 16:12:08 mx postfix/cleanup[102]: 5A5A5A5A5A: message-id=<tokenthree00@news.example.org>
Nov 22 16:12:08 mx postfix/smtpd[101]: lost connection after DATA (12345 bytes) from localhost[127.0.0.1]
Nov 22 16:12:09 mx postfix/cleanup[102]: 6B6B6B6B6B: message-id=<somebodyelse@other.example>
Nov 22 16:12:09 mx postfix/qmgr[103]: 6B6B6B6B6B: from=<x@other.example>, size=1, nrcpt=1 (queue active)
Nov 22 16:12:10 mx postfix/cleanup[102]: 7C7C7C7C7C: message-id=<tokenfour000@news.example.org>
Nov 22 16:12:10 mx postfix/smtp[104]: 7C7C7C7C7C: to=<b@example.com>, relay=none, dsn=4.4.1, status=deferred (timed out)
Nov 22 16:12:11 mx postfix/smtp[104]: 7C7C7C7C7C: to=<b@example.com>, relay=x, dsn=5.1.1, status=bounced (no such user)
Nov 22 16:12:12 mx dovecot: imap-login: nothing of ours
"""


def test_what_was_queued_or_delivered_was_taken() -> None:
    """The last status is told; a Message-ID alone proves nothing, and other people's mails are not ours."""
    assert read_postfix_log(LOG.splitlines(), mail_domain="news.example.org") == {
        "tokenone0000": Taken("4F1A2B3C4D", "sent"),
        "tokentwo0000": Taken("3xYzAbCdEfGh", ""),
        "tokenfour000": Taken("7C7C7C7C7C", "bounced"),
    }


def test_a_queue_id_that_is_used_again_is_another_mail() -> None:
    """Short queue ids come again; the later mail's fate is not the earlier one's."""
    lines = """\
Nov 22 16:12:05 mx postfix/cleanup[1]: ABCDEF: message-id=<tokenone0000@news.example.org>
Nov 22 16:12:06 mx postfix/cleanup[1]: ABCDEF: message-id=<stranger0000@other.example>
Nov 22 16:12:07 mx postfix/qmgr[1]: ABCDEF: from=<x@other.example>, size=1, nrcpt=1 (queue active)
"""
    assert read_postfix_log(lines.splitlines(), mail_domain="news.example.org") == {}
