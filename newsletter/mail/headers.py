"""Header fields: the one place that makes them, behind one guard against injection.

Two sorts of values: words for people (a subject, a name), which become encoded words where they need to, and fields
that machines read, which are ASCII or refused. Every function returns whole lines ending in CRLF.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.header import Header
from email.utils import format_datetime
from functools import lru_cache

from newsletter.domain.addresses import split_address
from newsletter.errors import InvalidError
from newsletter.mail.addresses import wire_address

FOLD_AT = 78
"""Preferred length of a line, without its CRLF; RFC 5322 §2.1.1."""
LONGEST_LINE = 998
"""No line is ever longer, without its CRLF; RFC 5322 §2.1.1."""
ENCODED_LINE = 76
"""A line that holds an encoded word; RFC 2047 §2."""

LONGEST_LOCAL_PART = 64
"""Octets; RFC 5321 §4.5.3.1.1."""
LONGEST_DOMAIN = 255
"""RFC 5321 §4.5.3.1.2."""
SHORT_ADDRESS = 64
"""Characters of an address that cannot have a part that is too long; RFC 5321 §4.5.3.1."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_MACHINE_READ = re.compile(r"[\x20-\x7e]*")
_URL = re.compile(r"https?://[!#-;=?-~]+")  # visible ASCII without " < >
_MAILTO = re.compile(r"mailto:[!#-+\--;=?-~]+")  # ... and without a comma
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]"
_MAILBOX = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_HOST = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")
_FEEDBACK_PART = re.compile(r"[A-Za-z0-9._-]*")
_FEEDBACK_SENDER = re.compile(r"[A-Za-z0-9._-]{5,15}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What Gmail's Feedback-ID groups complaints by; nothing about a reader. *sender*: 5 to 15 characters, for ever."""

    edition: str
    list: str
    kind: str
    sender: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeHeaders:
    """Header values of transactional mail: a confirmation, a notice."""

    subject: str
    from_name: str
    from_address: str
    reply_to: str | None = None
    language: str
    mail_domain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestHeaders(NoticeHeaders):
    """Header values of an edition, the same for each of its readers.

    *list_id* is `slug.lists.example.org`, stable for the list's life (RFC 2919). *owner* and *complaints_to* are
    addresses; the latter announces a CFBL address (RFC 9477) and only helps in a signed mail.
    """

    list_title: str
    list_id: str
    archive_url: str
    help_url: str
    subscribe_url: str
    owner: str
    feedback: Feedback
    complaints_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Header values of one delivery. *token* makes its Message-ID and, like *sent_at*, never changes, so that a
    resend is the same message; *sent_at* is aware.
    """

    address: str
    token: str
    sent_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader(Recipient):
    """A digest's recipient, with the one-click address (RFC 8058) and, where replies are read, a mailto: URL."""

    unsubscribe_url: str
    unsubscribe_mailto: str | None = None


def digest_fields(values: DigestHeaders) -> bytes:
    """Return the fields that are the same for every reader of an edition.

    Raises:
        InvalidError: a value would break a header, or is not what its field allows; names the field.
    """
    lines = [
        *_common_fields(values),
        _list_id("List-Id", values.list_title, values.list_id),
        _machine_read("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        _urls("List-Archive", values.archive_url),
        _urls("List-Help", values.help_url),
        _urls("List-Owner", f"mailto:{_own_mailbox('List-Owner', values.owner)}"),
        _urls("List-Subscribe", values.subscribe_url),
        _machine_read("List-Post", "NO"),
        _feedback_id("Feedback-ID", values.feedback),
        *([_cfbl_address("CFBL-Address", values.complaints_to)] if values.complaints_to else []),
        _machine_read("Precedence", "bulk"),
        _machine_read("X-Auto-Response-Suppress", "OOF, AutoReply"),
    ]
    return "".join(lines).encode()


def notice_fields(values: NoticeHeaders) -> bytes:
    """Return the fields of transactional mail: no List-* fields, and marked as made by a machine (RFC 3834).

    Raises:
        InvalidError: as `digest_fields`.
    """
    lines = [
        *_common_fields(values),
        _machine_read("Auto-Submitted", "auto-generated"),
        _machine_read("X-Auto-Response-Suppress", "OOF, AutoReply"),
    ]
    return "".join(lines).encode()


def recipient_fields(recipient: Recipient, mail_domain: str) -> bytes:
    """Return To, Date and Message-ID of one delivery; UTF-8 where its address needs SMTPUTF8, else ASCII.

    Raises:
        InvalidError: as `digest_fields`.
    """
    lines = (
        f"To: {check_mailbox('To', recipient.address)}\r\n",
        _date("Date", recipient.sent_at),
        _message_id("Message-ID", recipient.token, mail_domain),
    )
    return "".join(lines).encode()


def reader_fields(reader: Reader, values: DigestHeaders) -> bytes:
    """Return all fields that differ from reader to reader of an edition.

    Raises:
        InvalidError: as `digest_fields`.
    """
    ways = [reader.unsubscribe_url, *([reader.unsubscribe_mailto] if reader.unsubscribe_mailto else [])]
    lines = _urls("List-Unsubscribe", *ways)
    if values.complaints_to:
        lines += _machine_read("CFBL-Feedback-ID", reader.token)
    return recipient_fields(reader, values.mail_domain) + lines.encode()


def check_header_text(name: str, text: str) -> str:
    """Return *text* if it may stand in a header: no C0 or C1 control, no DEL, no U+2028/9, no lone surrogate.

    Raises:
        InvalidError: it may not; names the header.
    """
    if control := _CONTROL.search(text):
        raise InvalidError(f"{name}: U+{ord(control[0]):04X} cannot stand in a header; remove it from the text")
    return text


def encoded_text(name: str, text: str) -> str:
    """Return the field *name* with words for people: plain where they are plain, else as encoded words (RFC 2047).

    Decoding gives back exactly *text*.

    Raises:
        InvalidError: *text* is empty or must not stand in a header.
    """
    if not check_header_text(name, text):
        raise InvalidError(f"{name}: it is empty")
    if _is_plain(text):
        folded = _folded(f"{name}: {text}")
        if all(len(line) <= FOLD_AT for line in folded.split("\r\n")):
            return folded + "\r\n"
    return f"{name}: {_encoded_words(text, len(name) + 2)}\r\n"


def _common_fields(values: NoticeHeaders) -> Iterator[str]:
    yield _mailbox("From", values.from_name, values.from_address)
    if values.reply_to:
        yield _mailbox("Reply-To", "", values.reply_to)
    yield encoded_text("Subject", values.subject)
    yield _language("Content-Language", values.language)


def _mailbox(name: str, display_name: str, address: str) -> str:
    """Return a field with an address of ours; its display name is atoms, a quoted string or encoded words."""
    phrase = _phrase(name, display_name)
    own = _own_mailbox(name, address)
    return _joined(name, [*phrase, f"<{own}>"]) if phrase else f"{name}: {own}\r\n"


def _own_mailbox(name: str, address: str) -> str:
    """Return an address of ours; in ASCII, or every mail would need SMTPUTF8."""
    mailbox = check_mailbox(name, address)
    if not mailbox.isascii():
        raise InvalidError(f"{name}: {address!r} must be ASCII before the @, or few could be sent mail from it")
    return mailbox


def check_mailbox(name: str, address: str) -> str:
    """Return *address* as a header carries it: dot-atom, @, and a domain in A-labels.

    Raises:
        InvalidError: it is no such address; names the header.
    """
    if address.isascii() and len(address) <= SHORT_ADDRESS and _MAILBOX.fullmatch(address):
        return address  # as a rule; what follows would say the same
    wired = wire_address(check_header_text(name, address))
    local, domain = split_address(wired)
    if not _MAILBOX.fullmatch(wired) or len(local.encode()) > LONGEST_LOCAL_PART or len(domain) > LONGEST_DOMAIN:
        raise InvalidError(f"{name}: {address!r} is not an address that a header can carry")
    return wired


def _list_id(name: str, title: str, list_id: str) -> str:
    if not _HOST.fullmatch(list_id):
        raise InvalidError(f"{name}: {list_id!r} must be like weekly.lists.example.org")
    return _joined(name, [*_phrase(name, title), f"<{list_id}>"])


def _phrase(name: str, text: str) -> list[str]:
    """Return *text* as the words of a phrase (RFC 5322 §3.2.5), one to a line where they do not fit beside others."""
    check_header_text(name, text)
    if not text:
        return []
    if _is_plain(text) and len(text) <= ENCODED_LINE - 8:
        if _ATOMS.fullmatch(text):
            return text.split(" ")
        return ['"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"']
    return _encoded_words(text, len(name) + 2).split("\r\n ")


def _is_plain(text: str) -> bool:
    """Say whether *text* survives a header as it is: ASCII, not like an encoded word, no blanks that folding eats."""
    return text.isascii() and "=?" not in text and "  " not in text and text == text.strip(" ")


@lru_cache(maxsize=1024)
def _encoded_words(text: str, taken: int) -> str:
    """Return *text* as encoded words, folded; *taken* columns of the first line are in use."""
    header = Header(text, "utf-8", header_name="x" * (taken - 2), maxlinelen=ENCODED_LINE)
    return header.encode(linesep="\r\n")


def _joined(name: str, words: Sequence[str]) -> str:
    """Lay out *words* behind the field's name, on as many lines as they need."""
    lines = [f"{name}:"]
    for word in words:
        limit = ENCODED_LINE if "=?" in lines[-1] + word else FOLD_AT
        if len(lines[-1]) + 1 + len(word) <= limit or lines == [f"{name}:"]:
            lines[-1] += " " + word
        else:
            lines.append(" " + word)
    return "\r\n".join(lines) + "\r\n"


def _folded(line: str) -> str:
    """Fold *line* at its spaces, after the field's name; a longer word stands alone and stays whole."""
    head, _, rest = line.partition(" ")
    return _joined(head.removesuffix(":"), rest.split(" ")).removesuffix("\r\n")


def _machine_read(name: str, value: str) -> str:
    """Return a field that no program may find encoded: ASCII on one line, or refused."""
    check_header_text(name, value)
    if not _MACHINE_READ.fullmatch(value) or len(name) + 2 + len(value) > LONGEST_LINE:
        raise InvalidError(f"{name}: {value!r} must be ASCII and fit on a line of {LONGEST_LINE} characters")
    return f"{name}: {value}\r\n"


def _urls(name: str, *urls: str) -> str:
    """Return a List-* field (RFC 2369): each URL in angle brackets, one to a line where they do not fit beside."""
    for url in urls:
        if not (_URL.fullmatch(url) or _MAILTO.fullmatch(url)):
            check_header_text(name, url)
            raise InvalidError(f"{name}: {url!r} must be an http, https or mailto URL in ASCII, without spaces or <>")
        if len(url) > LONGEST_LINE - len(name) - 5:
            raise InvalidError(f"{name}: a URL of {len(url)} characters is too long")
    return _joined(name, [f"<{url}>" + ("," if place < len(urls) else "") for place, url in enumerate(urls, start=1)])


def _feedback_id(name: str, feedback: Feedback) -> str:
    parts = list(dict.fromkeys((feedback.edition, feedback.list, feedback.kind)))  # Gmail ignores an id said twice
    if feedback.sender in parts:
        parts.remove(feedback.sender)
    if not all(_FEEDBACK_PART.fullmatch(part) for part in parts) or not _FEEDBACK_SENDER.fullmatch(feedback.sender):
        raise InvalidError(f"{name}: use letters, digits, dots and hyphens; the sender's id has 5 to 15 of them")
    return _machine_read(name, ":".join((*parts, feedback.sender)))


def _cfbl_address(name: str, address: str) -> str:
    return _machine_read(name, f"{_own_mailbox(name, address)}; report=arf")


def _language(name: str, language: str) -> str:
    if not _LANGUAGE.fullmatch(language):
        raise InvalidError(f"{name}: {language!r} is no language tag such as en or pt-BR")
    return _machine_read(name, language)


def _date(name: str, at: datetime) -> str:
    offset = at.utcoffset()
    if offset is None:
        raise InvalidError(f"{name}: a time needs its zone")
    return _date_of(name, at.replace(tzinfo=None, microsecond=0), offset)


@lru_cache(maxsize=64)
def _date_of(name: str, wall: datetime, offset: timedelta) -> str:
    """Write a date by its wall time and its zone's offset, since times of two zones may be equal and read otherwise."""
    return _machine_read(name, format_datetime(wall.replace(tzinfo=timezone(offset))))


def _message_id(name: str, token: str, mail_domain: str) -> str:
    if not _TOKEN.fullmatch(token) or not _is_host(mail_domain):
        raise InvalidError(f"{name}: {token!r} at {mail_domain!r} makes no Message-ID")
    return f"{name}: <{token}@{mail_domain}>\r\n"


@lru_cache(maxsize=64)
def _is_host(domain: str) -> bool:
    return bool(_HOST.fullmatch(domain)) and len(domain) <= LONGEST_DOMAIN
