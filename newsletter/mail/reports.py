"""Mails that come back: who wants to leave, what could not be delivered (RFC 3464), who complained (RFC 5965).

Only reads; a mail that says nothing we understand is for a person. Identity comes from what nobody else can know: the
token of an unsubscribe address, the Message-ID of a mail of ours.
"""

import email
import email.policy
import re
from dataclasses import dataclass
from email.message import EmailMessage, Message
from enum import StrEnum

LARGEST_REPORT = 2_000_000
"""Bytes of a mail that are read; a report carries headers, not the films attached to somebody's answer."""

_LEAVING = re.compile(r"unsubscribe[\s:]+([A-Za-z0-9_-]{40,200})", re.IGNORECASE)
_MESSAGE_ID = re.compile(r"<([A-Za-z0-9_-]{1,64})@[A-Za-z0-9.-]+>")
_RETURN_TAG = re.compile(r"\+([0-9a-f]{32})@", re.IGNORECASE)  # some hosts fold the case of what is before the @
_ARRIVED_AT = ("delivered-to", "x-original-to", "envelope-to", "to")
"""Headers of who a mail was for, as mailboxes and those who send reports write them."""
_STATUS = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})")
_NO_SUCH_MAILBOX = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"})
"""Statuses that mean that the address itself is wrong (RFC 3463); any other 5.x.x may be our fault, or pass."""


class ReportKind(StrEnum):
    """What a mail that came back is."""

    LEAVING = "leaving"
    HARD_BOUNCE = "hard_bounce"
    SOFT_BOUNCE = "soft_bounce"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    COMPLAINT = "complaint"
    AUTOMATIC = "automatic"  # a vacation reply and its like: neither a bounce nor an answer
    OTHER = "other"  # for a person to read


@dataclass(frozen=True, slots=True)
class Report:
    """What one mail says; *token* names a subscription where somebody leaves, *mail_token* the mail it is about."""

    kind: ReportKind
    token: str = ""
    mail_token: str = ""
    status: str = ""
    message_id: str = ""


def read_report(content: bytes) -> Report:
    """Return what a raw mail says; whatever is in it, this raises nothing."""
    try:
        message = email.message_from_bytes(content[:LARGEST_REPORT], policy=email.policy.default)
        return _read(message)
    except (ValueError, LookupError, AttributeError, TypeError, RecursionError):
        return Report(ReportKind.OTHER)  # the standard library stumbles over some of what is sent as mail


def _read(message: EmailMessage) -> Report:
    own_id = str(message.get("message-id", "")).strip()[:300]
    kind = message.get_content_type()
    report_type = str(message.get_param("report-type", "") or "").lower()
    if kind == "multipart/report" and report_type == "delivery-status":
        return _bounce(message, own_id)
    if kind == "multipart/report" and report_type == "feedback-report":
        return Report(ReportKind.COMPLAINT, mail_token=_mail_token(message), message_id=own_id)
    if str(message.get("auto-submitted", "no")).strip().lower() != "no":
        return Report(ReportKind.AUTOMATIC, message_id=own_id)
    if str(message.get("precedence", "")).strip().lower() in {"auto_reply", "bulk", "junk", "list"}:
        return Report(ReportKind.AUTOMATIC, message_id=own_id)
    if found := _LEAVING.search(" ".join(str(message.get("subject", "")).split())):
        return Report(ReportKind.LEAVING, token=found[1], message_id=own_id)
    return Report(ReportKind.OTHER, message_id=own_id)


def _bounce(message: EmailMessage, own_id: str) -> Report:
    fields = [
        part
        for status in message.walk()
        if status.get_content_type() == "message/delivery-status" and isinstance(status.get_payload(), list)
        for part in status.get_payload()
    ]
    action = next((_field(part, "action") for part in fields if _field(part, "action")), "")
    status = next((found[0] for part in fields if (found := _STATUS.search(_field(part, "status")))), "")
    kinds = {"delayed": ReportKind.DELAYED, "delivered": ReportKind.DELIVERED, "relayed": ReportKind.DELIVERED}
    failed = ReportKind.HARD_BOUNCE if status in _NO_SUCH_MAILBOX else ReportKind.SOFT_BOUNCE
    return Report(kinds.get(action.lower(), failed), mail_token=_mail_token(message), status=status, message_id=own_id)


def _field(part: Message | str, name: str) -> str:
    return str(part.get(name, "")).strip() if isinstance(part, Message) else ""


def _mail_token(message: EmailMessage) -> str:
    """Return the token of the mail that came back; "" when nothing names it.

    By the address that it came back to, whatever the far side wrote; else by the Message-ID of the mail within.
    """
    for name in _ARRIVED_AT:
        for value in message.get_all(name, []):
            if found := _RETURN_TAG.search(str(value)):
                return found[1].lower()
    return _returned_id(message)


def _returned_id(message: EmailMessage) -> str:
    """Return the left side of the Message-ID of the mail that came back, whole or as headers; "" without one."""
    for part in message.walk():
        if part.get_content_type() in ("message/rfc822", "text/rfc822-headers", "message/global-headers"):
            payload = part.get_payload()
            returned = payload[0] if isinstance(payload, list) and payload else None
            text = f"Message-ID: {returned.get('message-id', '')}" if isinstance(returned, Message) else str(payload)
            for line in re.findall(r"(?im)^message-id:\s*(.*)$", text):
                if found := _MESSAGE_ID.search(line):
                    return found[1]
    return ""
