"""What a relay's answer, or its silence, means for one delivery; and what of its words may be kept."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

LONGEST_KEPT = 500
"""Characters of a relay's words that are worth storing."""


class Stage(StrEnum):
    """How far a conversation had come: what was asked when the answer came or failed to come.

    BODY is the time until the final dot has left, DOT the time after: there lies the gap in which nobody can know.
    A relay may refuse in the middle of a body; that is judged as an answer to the dot would be.
    """

    CONNECT = "connect"
    TLS = "tls"
    GREETING = "greeting"
    EHLO = "ehlo"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"
    DOT = "dot"


class Silence(StrEnum):
    """What came in place of a reply."""

    LOST = "lost"  # closed, reset, or answered with something that is no SMTP
    TIMEOUT = "timeout"


class Verdict(StrEnum):
    """What became of one delivery."""

    ACCEPTED = "accepted"
    RECIPIENT_FAILED = "recipient_failed"  # this address will not do; counts against it
    RECIPIENT_DEFERRED = "recipient_deferred"  # this address, but only now; spends a try
    RELAY_DEFERRED = "relay_deferred"  # the relay or how it is set up; nobody's try is spent
    POLICY_REFUSED = "policy_refused"  # our reputation or set-up; never counts against the reader
    CONTENT_REFUSED = "content_refused"  # this message; it would fail for everyone
    IN_DOUBT = "in_doubt"  # the dot was written and no reply was seen
    UNSENT = "unsent"  # not begun, or given back before the dot by our own choice


class Reply(NamedTuple):
    """A relay's answer: its code, its enhanced code (RFC 3463) where it has one, and its words on one line."""

    code: int
    enhanced: str
    text: str

    @property
    def is_positive(self) -> bool:
        """Whether the command was carried out."""
        return 200 <= self.code < 300  # noqa: PLR2004  # RFC 5321 §4.2.1

    @property
    def is_negative(self) -> bool:
        """Whether the command was refused, for now or for good."""
        return self.code >= 400  # noqa: PLR2004  # RFC 5321 §4.2.1

    @property
    def is_temporary(self) -> bool:
        """Whether the command was refused for now."""
        return 400 <= self.code < 500  # noqa: PLR2004  # RFC 5321 §4.2.1

    def __str__(self) -> str:
        return " ".join(filter(None, (str(self.code), self.enhanced, self.text)))


_CODE = re.compile(r"[2-5]\d\d", re.ASCII)
_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?=\s|$)")


def read_reply(lines: Sequence[str]) -> Reply:
    """Return the reply that whole *lines*, such as `250-first` and `250 last`, make up.

    Raises:
        ValueError: a line does not begin with the same three digits as the first.
    """
    code = lines[0][:3] if lines else ""
    if not _CODE.fullmatch(code) or any(line[:3] != code for line in lines):
        raise ValueError("these lines are no SMTP reply")
    if len(lines) == 1:  # as a rule
        text = lines[0][4:].strip()
        match = _ENHANCED.match(text)
        enhanced = match[0] if match and match[1] == code[0] else ""
        return Reply(int(code), enhanced, text.removeprefix(enhanced).strip())
    texts = [line[4:].strip() for line in lines]
    found = next((match for text in texts if (match := _ENHANCED.match(text)) and match[1] == code[0]), None)
    enhanced = found[0] if found else ""
    return Reply(int(code), enhanced, " ".join(text.removeprefix(enhanced).strip() for text in texts).strip())


@dataclass(frozen=True, slots=True)
class _Rule:
    """Matches a negative reply by where it came, its code, its enhanced code and its words; all that are given."""

    stages: str
    codes: str
    enhanced: str
    words: str
    verdict: Verdict

    def matches(self, stage: Stage, reply: Reply) -> bool:
        return bool(
            re.fullmatch(self.stages, stage)
            and re.fullmatch(self.codes, str(reply.code))
            and re.fullmatch(self.enhanced, reply.enhanced)
            and re.search(self.words, reply.text, re.IGNORECASE)
        )


_ANY = ".*"
_ENVELOPE = "rcpt|data|body|dot"  # where an answer may be about the one recipient that each of our mails has
_NO_SUCH_USER = (
    r"user unknown|unknown (user|recipient|mailbox|address)|no such (user|recipient|mailbox|address|person)|"
    r"(user|recipient|mailbox|address|account)\b.{0,40}(not found|does ?n.t exist|does not exist|unknown)|"
    r"(mailbox|account)\b.{0,40}(disabled|inactive)|"
    r"invalid (recipient|mailbox|address|user)|no mailbox|not a valid (recipient|mailbox|address)"
)
_POLICY = (
    r"spam|polic(y|ies)|block(ed|list)|black ?list|reputation|\b(spf|dkim|dmarc|dnsbl|rbl)\b|denied|not permitted|"
    r"not allowed|unsolicited|banned|authenticat"
)
_FULL = (
    r"over ?quota|quota exceeded|mailbox (is )?full|full mailbox|insufficient (disk )?(space|storage)|exceeded storage"
)
_TOO_LARGE = r"too (large|big)|size (limit|exceed)|exceeds? .{0,30}size|maximum .{0,20}size"

_RULES = (
    # The first that matches decides. Sources: RFC 3463, RFC 5321 §4.2, §4.5.3.1.10; replies of large providers.
    _Rule(_ANY, "421", _ANY, "", Verdict.RELAY_DEFERRED),  # it closes the connection, whatever was asked
    _Rule("connect|tls|greeting|ehlo|auth", _ANY, _ANY, "", Verdict.RELAY_DEFERRED),
    # Our message.
    _Rule("mail|rcpt|data|body|dot", r"5\d\d", r"5\.3\.4|5\.2\.3", "", Verdict.CONTENT_REFUSED),
    _Rule("mail|data|body|dot", "552", "", _TOO_LARGE, Verdict.CONTENT_REFUSED),
    _Rule("mail", "552", "", "", Verdict.CONTENT_REFUSED),  # answers SIZE=; no recipient is known yet
    # The sender and the relay.
    _Rule("mail", r"5\d\d", r"5\.6\.7", "", Verdict.RECIPIENT_FAILED),  # no way on for SMTPUTF8
    _Rule("mail", _ANY, _ANY, "", Verdict.RELAY_DEFERRED),
    _Rule(_ENVELOPE, "45[04]|432|454", r"4\.7\.0", "", Verdict.RELAY_DEFERRED),  # throttling of our account
    _Rule(_ENVELOPE, r"4\d\d", r"4\.3\.\d+", "", Verdict.RELAY_DEFERRED),  # its disk, its load, its set-up
    _Rule(_ENVELOPE, r"4\d\d", r"4\.7\.(26|28|29|32)|4\.5\.\d+", "", Verdict.RELAY_DEFERRED),
    _Rule("data", r"4\d\d", "", "", Verdict.RELAY_DEFERRED),
    _Rule(_ENVELOPE, r"5[0-3]\d|50\d", r"5\.5\.\d+", "", Verdict.RELAY_DEFERRED),  # it does not speak as we do
    _Rule(_ENVELOPE, "530|534|535|538", _ANY, "", Verdict.RELAY_DEFERRED),  # it wants TLS or a password
    _Rule("rcpt|data", "500|502|503|504", "", "", Verdict.RELAY_DEFERRED),
    # The recipient, for now.
    _Rule(_ENVELOPE, r"5\d\d", r"5\.2\.2", "", Verdict.RECIPIENT_DEFERRED),
    _Rule(_ENVELOPE, r"5\d\d", r"|5\.0\.0|5\.[12]\.0", _FULL, Verdict.RECIPIENT_DEFERRED),
    _Rule(_ENVELOPE, "552", r"|5\.0\.0|5\.2\.\d+", "", Verdict.RECIPIENT_DEFERRED),
    _Rule(_ENVELOPE, r"4\d\d", _ANY, "", Verdict.RECIPIENT_DEFERRED),
    # Ours: nobody is to blame whose mailbox never saw the mail.
    _Rule(_ENVELOPE, r"5\d\d", r"5\.7\.\d+|5\.1\.[78]", "", Verdict.POLICY_REFUSED),
    # The recipient, for good.
    _Rule(_ENVELOPE, r"5\d\d", r"5\.1\.\d+|5\.2\.[01]|5\.4\.[14]|5\.6\.7", "", Verdict.RECIPIENT_FAILED),
    _Rule(_ENVELOPE, r"5\d\d", r"|5\.0\.0", _NO_SUCH_USER, Verdict.RECIPIENT_FAILED),
    # No enhanced code that says more: the words, then the place.
    _Rule(_ENVELOPE, r"5\d\d", r"|5\.0\.0", _POLICY, Verdict.POLICY_REFUSED),
    _Rule("rcpt", "550|551|553|501", r"|5\.0\.0", "", Verdict.RECIPIENT_FAILED),
    _Rule("rcpt|data", r"5\d\d", r"5\.[34]\.\d+", "", Verdict.RELAY_DEFERRED),
    _Rule("rcpt|data", r"5\d\d", _ANY, "", Verdict.POLICY_REFUSED),
    _Rule("body|dot", r"5\d\d", _ANY, "", Verdict.CONTENT_REFUSED),
)


def judge(stage: Stage, answer: Reply | Silence) -> Verdict:
    """Say what *answer* at *stage* means for the one delivery that was under way.

    Silence before the dot means that the mail was certainly not taken, silence after it that nobody knows.
    A bare 552 is read as a full mailbox, as RFC 5321 §4.5.3.1.10 tells a client to.

    Raises:
        ValueError: a positive reply before the dot, which decides nothing yet.
    """
    if isinstance(answer, Silence):
        return Verdict.IN_DOUBT if stage is Stage.DOT else Verdict.RELAY_DEFERRED
    if answer.is_negative:
        return next(rule.verdict for rule in _RULES if rule.matches(stage, answer))
    if stage is Stage.DOT:  # a 3xx is neither yes nor no: the two sides disagree about where they are
        return Verdict.ACCEPTED if answer.is_positive else Verdict.IN_DOUBT
    raise ValueError(f"{answer.code} at {stage} decides nothing about a delivery")


_ADDRESS = re.compile(r"<[^<>\s]*(?:@|=40|%40)[^<>\s]*>|[^\s<>(),;:\"']+(?:@|=40|%40)[^\s<>(),;:\"']+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def redact(text: str, recipient: str = "") -> str:
    """Return a relay's words without addresses, on one line and at most 500 characters long, fit to be stored.

    *recipient* is also taken out where it stands without its domain, as in `jane.doe: user unknown`.
    """
    told = _CONTROL.sub(" ", text)
    if "@" in told or "40" in told:
        told = _CONTROL.sub(" ", _ADDRESS.sub("[address]", told))
    local_part = recipient.rpartition("@")[0]
    if local_part and local_part.casefold() in told.casefold():  # making a pattern for each reader would cost more
        told = re.sub(rf"(?<![\w.-]){re.escape(local_part)}(?![\w-])", "[address]", told, flags=re.IGNORECASE)
    return told if len(told) <= LONGEST_KEPT else told[: LONGEST_KEPT - 1] + "…"
