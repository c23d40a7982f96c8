"""Relays: the SMTP servers that mail is handed to, as their addresses tell it."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from newsletter.errors import InvalidError
from newsletter.mail.timeouts import Timeouts


class TLSMode(StrEnum):
    """How a connection is secured; certificates are always verified."""

    OFF = "off"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


LONGEST_TIMEOUT_SECONDS = 600.0
"""What a client should wait for the reply to a mail's dot (RFC 5321 §4.5.3.2.6), longer than for any other."""
MOST_CONNECTIONS = 50
"""What Postfix takes from one client at once, unless told otherwise (smtpd_client_connection_count_limit)."""
DEFAULT_PORTS = {TLSMode.OFF: 25, TLSMode.STARTTLS: 587, TLSMode.IMPLICIT: 465}
HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Relay:
    """Where mail goes, and how much of it; printing one never shows its password.

    It is waited for as *timeouts* say, and never longer than *timeout_seconds*. Of several relays each gets mail in the
    measure of its *weight*. A sender opens up to *connections* to it at once; each takes up to *messages* and lives up
    to *age_seconds*. All senders together hand it *rate* mails per second; None: as many as it takes.
    """

    host: str
    port: int
    tls: TLSMode
    username: str = ""
    password: str = field(default="", repr=False)
    timeout_seconds: float = LONGEST_TIMEOUT_SECONDS
    weight: int = 1
    connections: int = 4
    messages: int = 1000
    age_seconds: float = 300.0
    rate: float | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)

    @property
    def name(self) -> str:
        """What tables and logs call it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse_all(cls, urls: str) -> tuple["Relay", ...]:
        """Read URLs with whitespace between them; none make none.

        Raises:
            InvalidError: as `parse`; or two of them name the same server, which one weight would serve better.
        """
        relays = tuple(map(cls.parse, urls.split()))
        names = [relay.name for relay in relays]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise InvalidError(f"the SMTP URLs name {', '.join(sorted(repeated))} twice; give one of them a weight=")
        return relays

    @classmethod
    def parse(cls, url: str) -> "Relay":
        """Read `smtp://user:pass@host:port?tls=off|starttls|implicit&timeout=60`, and the options of `_NUMBERS`.

        Without tls=, a relay on this machine is spoken to in the clear and any other by STARTTLS. Without a port:
        25 in the clear, 587 with STARTTLS, 465 with implicit TLS. User and password may be percent-encoded.
        Without timeout=, each answer is waited for as long as RFC 5321 §4.5.3.2 asks; with it, none for more seconds.
        A stage may have its own: `connect_timeout=`, tls_, greeting_, command_, data_, body_ and dot_timeout.

        Raises:
            InvalidError: it is none such; says what is wrong with it, and never the password.
        """
        try:
            parts = urlsplit(url)
            port, host = parts.port, parts.hostname
        except ValueError:
            why = "the SMTP URL has no usable host or port; in a password write % : / ? # @ percent-encoded"
            raise InvalidError(why) from None  # what urlsplit says may hold a piece of the password
        if parts.scheme != "smtp" or not host or parts.path not in ("", "/") or parts.fragment:
            raise InvalidError("the SMTP URL must be like smtp://user:pass@host:port?tls=off|starttls|implicit")
        options = _options(parts)
        tls = _tls_mode(options) or (TLSMode.OFF if _is_loopback(host) else TLSMode.STARTTLS)
        username, password = unquote(parts.username or ""), unquote(parts.password or "")
        if bool(username) != bool(password):
            raise InvalidError("the SMTP URL needs a user and a password, or neither")
        if port == 0:
            raise InvalidError(f"the SMTP URL's port must be from 1 to {HIGHEST_PORT}")
        numbers = _read_numbers(_NUMBERS, options)
        timeouts = Timeouts(**_read_numbers(_TIMEOUTS, options))
        return cls(host, port or DEFAULT_PORTS[tls], tls, username, password, timeouts=timeouts, **numbers)


@dataclass(frozen=True, slots=True)
class _Number:
    """An option that says how much: the field it fills, how it is written, and what is the most."""

    name: str
    field: str
    cast: type[int] | type[float]
    most: int
    unit: str

    def read(self, told: str) -> Any:
        """Return the number that *told* is.

        Raises:
            InvalidError: it is none, or not above 0, or too much.
        """
        try:
            number = self.cast(told)
        except ValueError:
            number = 0
        if not 0 < number <= self.most:
            raise InvalidError(f"the SMTP URL says {self.name}={told}; use {self.unit}, {self.most} at most")
        return number


_NUMBERS = {
    each.name: each
    for each in (
        _Number("timeout", "timeout_seconds", float, int(LONGEST_TIMEOUT_SECONDS), "seconds"),
        _Number("weight", "weight", int, 1000, "a whole number"),
        _Number("connections", "connections", int, MOST_CONNECTIONS, "a whole number"),
        _Number("messages", "messages", int, 1_000_000, "a whole number"),
        _Number("age", "age_seconds", float, 86_400, "seconds"),
        _Number("rate", "rate", float, 100_000, "messages per second"),
    )
}

_TIMEOUTS = {
    f"{stage}_timeout": _Number(f"{stage}_timeout", stage, float, most, "seconds")
    for stage, most in (
        ("connect", 300),
        ("tls", 300),
        ("greeting", 300),
        ("command", 300),
        ("data", 120),
        ("body", 180),
        ("dot", 600),
    )
}
"""Those of single stages; what has been written ahead stays with its sender for as long as the longest may take."""


def _read_numbers(known: Mapping[str, _Number], options: Mapping[str, str]) -> dict[str, Any]:
    return {each.field: each.read(options[name]) for name, each in known.items() if name in options}


def _options(parts: SplitResult) -> dict[str, str]:
    told = parse_qsl(parts.query, keep_blank_values=True)
    options = dict(told)
    if unknown := sorted(options.keys() - {"tls", *_NUMBERS, *_TIMEOUTS}):
        why = f"it knows tls=off|starttls|implicit, {', '.join(f'{name}=' for name in (*_NUMBERS, *_TIMEOUTS))}"
        raise InvalidError(f"the SMTP URL has unknown options: {', '.join(unknown)}; {why}")
    if len(told) > len(options):
        raise InvalidError("the SMTP URL says an option twice")
    return options


def _tls_mode(options: Mapping[str, str]) -> TLSMode | None:
    """Return what tls= says; None where it says nothing."""
    try:
        return TLSMode(options["tls"]) if "tls" in options else None
    except ValueError as error:
        raise InvalidError(f"the SMTP URL says tls={options['tls']}; use off, starttls or implicit") from error


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
