"""Envelopes: whom a mail is from and to, and the commands that say so in the terms a relay offers."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from newsletter.domain.replies import Reply, Stage
from newsletter.errors import InvalidError
from newsletter.mail.addresses import wire_address

_UNFIT = re.compile(r"[\x00-\x20\x7f-\x9f<>\u2028\u2029\ud800-\udfff]")
_XTEXT_ESCAPED = re.compile(r"[^!-*,-<>-~]")


class Envelope(NamedTuple):
    """One mail to hand over. *ref* is the caller's name for it.

    *pieces* are the message as `newsletter.mail.message` makes it: CRLF throughout, ending in one, no line
    beginning with a dot. *envelope_id* comes back in delivery reports (RFC 3461 §4.4). *provider* is who receives it;
    a connection may carry only so much for one. Its dot is written before the monotonic time *start_before* or not.
    """

    ref: int
    mail_from: str
    rcpt_to: str
    pieces: Sequence[bytes]
    envelope_id: str = ""
    provider: str = ""
    start_before: float = math.inf

    @property
    def size(self) -> int:
        """Octets of the message."""
        return sum(map(len, self.pieces))


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a relay offered in its answer to EHLO; *size* is the octets it takes, 0 if it does not say.

    *own_name* is what it calls itself, in lower case; empty where that is no domain name.
    """

    own_name: str = ""
    pipelining: bool = False
    starttls: bool = False
    smtputf8: bool = False
    dsn: bool = False
    size: int | None = None  # None: no SIZE
    auth: frozenset[str] = frozenset()

    @classmethod
    def read(cls, lines: Sequence[str]) -> "Capabilities":
        """Read the lines of a reply to EHLO; the first of them is only a greeting, with the relay's name."""
        named = re.match(r"[a-z0-9.-]+(?!\S)", lines[0][4:].lower()) if lines else None
        words = (line[4:].upper().replace("AUTH=", "AUTH ").split() for line in lines[1:])
        offered = {each[0]: each[1:] for each in words if each}
        return cls(
            own_name=named[0] if named else "",
            pipelining="PIPELINING" in offered,
            starttls="STARTTLS" in offered,
            smtputf8="SMTPUTF8" in offered,
            dsn="DSN" in offered,
            size=_limit(offered["SIZE"]) if "SIZE" in offered else None,
            auth=frozenset(offered.get("AUTH", ())),
        )


def _limit(words: Sequence[str]) -> int:
    return int(words[0]) if words and re.fullmatch(r"[0-9]{1,20}", words[0]) else 0


class Commands(NamedTuple):
    """What is said about one envelope, in this order, each line ending in CRLF."""

    mail: bytes
    rcpt: bytes
    data: bytes = b"DATA\r\n"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an envelope is not even offered to the relay, in the words that the relay would have used."""

    stage: Stage
    reply: Reply


def commands(envelope: Envelope, capabilities: Capabilities) -> Commands | Refusal:
    """Return what to say about *envelope*, or why there is no use in saying it."""
    try:
        mail_from = _path_of_sender(envelope.mail_from)
    except InvalidError as error:
        return Refusal(Stage.MAIL, Reply(553, "5.1.7", f"not offered to the relay, the sender is no address: {error}"))
    try:
        rcpt_to = _path(envelope.rcpt_to)
    except InvalidError as error:
        return Refusal(Stage.RCPT, Reply(553, "5.1.3", f"not offered to the relay, it is no address: {error}"))
    is_utf8 = not (mail_from + rcpt_to).isascii()
    if is_utf8 and not capabilities.smtputf8:
        return Refusal(Stage.RCPT, Reply(553, "5.6.7", "not offered to the relay, which has no SMTPUTF8"))
    if capabilities.size and envelope.size > capabilities.size:
        text = f"not offered to the relay: {envelope.size} octets, and it takes {capabilities.size}"
        return Refusal(Stage.MAIL, Reply(552, "5.3.4", text))
    return Commands(
        mail=f"MAIL FROM:<{mail_from}>{_mail_parameters(envelope, capabilities, is_utf8=is_utf8)}\r\n".encode(),
        rcpt=f"RCPT TO:<{rcpt_to}>{_rcpt_parameters(rcpt_to, capabilities)}\r\n".encode(),
    )


def _path(address: str) -> str:
    """Return *address* as an envelope carries it.

    Raises:
        InvalidError: it could be read as something else than an address.
    """
    path = wire_address(address)
    if _UNFIT.search(path) or path.count("@") != 1 or path[0] == "@" or path[-1] == "@":
        raise InvalidError("it must be a name, an @ and a domain")
    return path


_path_of_sender = lru_cache(maxsize=64)(_path)
"""As `_path`; many mails have the same."""


def _mail_parameters(envelope: Envelope, capabilities: Capabilities, *, is_utf8: bool) -> str:
    said = ""
    if capabilities.size is not None:
        said += f" SIZE={envelope.size}"
    if is_utf8:
        said += " BODY=8BITMIME SMTPUTF8"
    if capabilities.dsn:
        said += " RET=HDRS" + (f" ENVID={_xtext(envelope.envelope_id)}" if envelope.envelope_id else "")
    return said


def _rcpt_parameters(rcpt_to: str, capabilities: Capabilities) -> str:
    """Ask for reports of failure and delay only (RFC 3461); an address beyond ASCII names no original recipient."""
    if not capabilities.dsn:
        return ""
    return " NOTIFY=FAILURE,DELAY" + (f" ORCPT=rfc822;{_xtext(rcpt_to)}" if rcpt_to.isascii() else "")


def _xtext(text: str) -> str:
    """Escape *text* as RFC 3461 §4 wants it in parameters."""
    return _XTEXT_ESCAPED.sub(lambda found: "".join(f"+{byte:02X}" for byte in found[0].encode()), text)
