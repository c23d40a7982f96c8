"""The report mailbox: leaving by mail, bounces and complaints, by mails that were really sent."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from newsroom import Newsroom, read

from newsletter.domain import bounces
from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.subscriptions import EndReason
from newsletter.domain.suppressions import SuppressionReason
from newsletter.mail.reports import ReportKind
from newsletter.services.report_mailbox import take_report
from newsletter.services.subscribers import export_subscriber

ADDRESS = "aida@readers.example"
THE_EDITION = 1


@pytest.fixture
def sent(mailing_newsroom: Newsroom) -> tuple[Newsroom, bytes]:
    """A newsroom with a mailbox for reports, and the digest that its one reader was sent."""
    newsroom = mailing_newsroom
    settings = newsroom.app.settings.model_copy(update={"reports_address": "reports@news.example.org"})
    newsroom.app = replace(newsroom.app, settings=settings)
    newsroom.subscribe("aida")
    newsroom.publish("Water comes back")
    newsroom.fan_out()
    newsroom.send()
    return newsroom, newsroom.mails()["aida"][0]


def last_end(newsroom: Newsroom) -> tuple[EndReason | None, SuppressionReason | None]:
    facts = export_subscriber(newsroom.app, ADDRESS)
    return facts.subscriptions[-1].end_reason, facts.suppression.reason if facts.suppression else None


def bounce_of(digest: bytes, *, status: str = "5.1.1", kind: str = "delivery-status") -> bytes:
    return (
        "Message-ID: <1@mx.example.net>\r\nMIME-Version: 1.0\r\n"
        f'Content-Type: multipart/report; report-type={kind}; boundary="b"\r\n\r\n'
        f"--b\r\nContent-Type: message/delivery-status\r\n\r\nA: b\r\n\r\nAction: failed\r\nStatus: {status}\r\n\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {read(digest)['message-id']}\r\n\r\n--b--\r\n"
    ).encode()


@pytest.mark.slow
def test_the_mail_names_both_ways_to_leave_and_the_one_by_mail_works(sent):
    newsroom, digest = sent
    by_web, by_mail = re.findall(r"<([^>]+)>", read(digest)["list-unsubscribe"])
    subject = by_mail.partition("?subject=")[2].replace("%20", " ")
    report = take_report(newsroom.app, f"From: {ADDRESS}\r\nSubject: {subject}\r\n\r\n".encode())
    again = take_report(newsroom.app, f"From: somebody@example.net\r\nSubject: {subject}\r\n\r\n".encode())

    assert by_web.startswith("https://news.example.org/unsubscribe/")
    assert by_mail.startswith("mailto:reports@news.example.org?subject=unsubscribe%20")
    assert [ReportKind.LEAVING] * 2 == [report.kind, again.kind]
    assert (EndReason.UNSUBSCRIBED, None) == last_end(newsroom)


def test_a_token_that_is_not_ours_ends_nothing(sent):
    newsroom, _ = sent
    report = take_report(newsroom.app, f"Subject: unsubscribe {'A' * 60}\r\n\r\n".encode())

    assert ReportKind.OTHER is report.kind
    assert (None, None) == last_end(newsroom)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "kind", "end"),
    [
        ("5.1.1", "delivery-status", (EndReason.BOUNCED, SuppressionReason.HARD_BOUNCE)),
        ("5.2.2", "delivery-status", (None, None)),
        ("", "feedback-report", (EndReason.COMPLAINED, SuppressionReason.COMPLAINT)),
    ],
)
def test_a_report_counts_once_and_ends_what_it_must(sent, status, kind, end):
    newsroom, digest = sent
    content = bounce_of(digest, status=status, kind=kind)
    reports = [take_report(newsroom.app, content) for _ in range(2)]

    assert reports[0] == reports[1]
    assert ReportKind.OTHER is not reports[0].kind
    assert end == last_end(newsroom)
    assert DeliveryState.ACCEPTED == export_subscriber(newsroom.app, ADDRESS).mails[-1].state


@pytest.mark.slow
@pytest.mark.parametrize(
    "unknown",
    [
        pytest.param({"state": DeliveryState.IN_DOUBT, "accepted_at": None}, id="in doubt"),
        pytest.param({"state": DeliveryState.QUEUED, "accepted_at": None, "resends": 1}, id="about to be sent again"),
    ],
)
def test_a_report_is_evidence_that_the_relay_took_the_mail(sent, unknown):
    """Whatever it says: who was asked for the mail had it."""
    newsroom, digest = sent
    newsroom.change(newsroom.deliveries(THE_EDITION)["aida"], **unknown)
    take_report(newsroom.app, bounce_of(digest, status="5.2.2"))

    assert DeliveryState.ACCEPTED == newsroom.states(THE_EDITION)["aida"]
    newsroom.send()
    assert 1 == len(newsroom.mails()["aida"])


@pytest.mark.slow
def test_a_report_of_a_mail_that_was_not_sent_settles_nothing(sent):
    newsroom, digest = sent
    newsroom.change(newsroom.deliveries(THE_EDITION)["aida"], state=DeliveryState.FAILED, accepted_at=None)
    take_report(newsroom.app, bounce_of(digest, status="5.2.2"))

    assert DeliveryState.FAILED == newsroom.states(THE_EDITION)["aida"]


def test_a_bounce_is_known_by_the_address_that_it_came_back_to(mailing_newsroom):
    """With return tags the envelope sender names the mail, so that nothing of it needs to be in the report."""
    newsroom = mailing_newsroom
    changes = {"reports_address": "reports@news.example.org", "return_tags": True}
    newsroom.app = replace(newsroom.app, settings=newsroom.app.settings.model_copy(update=changes))
    newsroom.subscribe("aida")
    newsroom.publish("Water comes back")
    newsroom.fan_out()
    newsroom.send()
    [arrived] = [each.envelope for each in newsroom.server.mails]
    bounce = bounce_of(newsroom.mails()["aida"][0]).replace(b"Message-ID: <", b"X-Was: <")
    report = take_report(newsroom.app, f"Delivered-To: {arrived.sender.upper()}\r\n".encode() + bounce)

    assert re.fullmatch(r"reports\+[0-9a-f]{32}@news\.example\.org", arrived.sender)
    assert ReportKind.HARD_BOUNCE is report.kind
    assert (EndReason.BOUNCED, SuppressionReason.HARD_BOUNCE) == last_end(newsroom)


@pytest.mark.slow
def test_a_mailbox_that_was_full_for_weeks_is_given_up(sent, monkeypatch):
    """When an address is given up has tests of its own; here one soft bounce is the last of too many."""
    newsroom, digest = sent
    monkeypatch.setattr(bounces, "MOST_SOFT_BOUNCES", 1)
    monkeypatch.setattr(bounces, "LONGEST_TROUBLE", timedelta(0))
    take_report(newsroom.app, bounce_of(digest, status="4.2.2"))

    assert (EndReason.BOUNCED, SuppressionReason.HARD_BOUNCE) == last_end(newsroom)
    [end] = [each for each in export_subscriber(newsroom.app, ADDRESS).subscriptions[-1].consent if each.act == "ended"]
    assert "mails came back for weeks, at last with 4.2.2" in end.basis


@pytest.mark.slow
def test_a_bounce_of_a_mail_that_is_not_ours_ends_nobody(sent):
    newsroom, digest = sent
    forged = bounce_of(digest).replace(read(digest)["message-id"].encode(), b"<guess@news.example.org>")

    assert ReportKind.OTHER is take_report(newsroom.app, forged).kind
    assert (None, None) == last_end(newsroom)
