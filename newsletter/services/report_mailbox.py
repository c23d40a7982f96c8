"""The report mailbox: does what mails that come back say: leaves, bounces, complaints; the rest is for a person."""

import hashlib

import structlog

from newsletter.domain.bounces import is_given_up
from newsletter.domain.deliveries import Outcome
from newsletter.domain.subscriptions import EndReason
from newsletter.domain.suppressions import SuppressionReason
from newsletter.errors import NotFoundError
from newsletter.mail.reports import Report, ReportKind, read_report
from newsletter.mail.tokens import TokenPurpose, TokenSigner
from newsletter.services.context import App, Transaction
from newsletter.services.doubts import settle_by_report
from newsletter.services.subscriptions import end_all, unsubscribe
from newsletter.services.suppressions import suppress_hash
from newsletter.storage import events
from newsletter.storage import subscribers as subscriber_store
from newsletter.storage.engine import database_now

log = structlog.get_logger()

SOURCE = "mailbox"

MAILS_LOOKED_AT = 60
"""Mails to an address among which those that came back in a row are counted: a day's for more than a month."""

OUTCOMES = {
    ReportKind.HARD_BOUNCE: Outcome.HARD_BOUNCE,
    ReportKind.SOFT_BOUNCE: Outcome.SOFT_BOUNCE,
    ReportKind.DELAYED: Outcome.DELAYED,
    ReportKind.DELIVERED: Outcome.DELIVERED,
    ReportKind.COMPLAINT: Outcome.COMPLAINT,
}

ENDINGS = {
    ReportKind.HARD_BOUNCE: (EndReason.BOUNCED, SuppressionReason.HARD_BOUNCE),
    ReportKind.COMPLAINT: (EndReason.COMPLAINED, SuppressionReason.COMPLAINT),
}
"""What ends every subscription of an address, and why it is never mailed again."""


def take_report(app: App, content: bytes) -> Report:
    """
    Do what one raw mail says and return that; a token or Message-ID that is not ours makes it one for a person.

    Safe to repeat: leaving is, and a report counts once.
    """
    report = read_report(content)
    taken = _leave(app, report) if report.kind is ReportKind.LEAVING else _note(app, report, content)
    if not taken:
        report = Report(ReportKind.OTHER, message_id=report.message_id)
    log.info("report_taken", kind=report.kind, status=report.status)
    return report


def _leave(app: App, report: Report) -> bool:
    uid = TokenSigner(app.settings.secret, app.settings.retired_secrets).read(TokenPurpose.UNSUBSCRIBE, report.token)
    if uid is None:
        return False
    try:
        unsubscribe(app, uid, basis="by mail to the address in List-Unsubscribe", evidence="mail")
    except NotFoundError:
        return False
    return True


def _note(app: App, report: Report, content: bytes) -> bool:
    outcome = OUTCOMES.get(report.kind)
    if outcome is None:
        return True
    with app.transaction() as tx:
        delivery = events.find_reported(tx.session, report.mail_token) if report.mail_token else None
        if delivery is None:
            return False
        subscriber_store.lock_subscriber(tx.session, delivery.subscriber_id)
        is_new = events.add_event(
            tx.session,
            delivery.id,
            outcome,
            source=SOURCE,
            external_id=report.message_id or hashlib.sha256(content).hexdigest(),
            details={"status": report.status},
            now=database_now(tx.session),
        )
        settle_by_report(tx, delivery.id)
        if is_new and report.kind in ENDINGS:
            _end(tx, delivery, report.kind, f"reported by mail {report.status}".strip())
        elif is_new and report.kind is ReportKind.SOFT_BOUNCE:
            mails = events.mails_until(tx.session, delivery, limit=MAILS_LOOKED_AT)
            if is_given_up(mails):
                _end(tx, delivery, ReportKind.HARD_BOUNCE, f"mails came back for weeks, at last with {report.status}")
    return True


def _end(tx: Transaction, delivery: events.ReportedDelivery, kind: ReportKind, basis: str) -> None:
    """End a reader whose mailbox is no more or who complained; a mail to an address they had before ends nothing."""
    reason, suppression = ENDINGS[kind]
    suppress_hash(tx, delivery.address_hmac, suppression)
    reader = subscriber_store.load_subscriber_by_id(tx.session, delivery.subscriber_id)
    if reader.address_hmac == delivery.address_hmac:
        end_all(tx, reader.id, reason, basis=basis, evidence="mail")
