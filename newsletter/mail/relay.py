"""The relay: the SMTP server that mail is handed to, as one address tells it."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from newsletter.errors import InvalidError


class TLSMode(StrEnum):
    """How a connection is secured; certificates are always verified."""

    OFF = "off"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


LONGEST_TIMEOUT_SECONDS = 600.0
"""What a client should wait for the reply to a mail's dot (RFC 5321 §4.5.3.2.6), longer than for any other."""
DEFAULT_PORTS = {TLSMode.OFF: 25, TLSMode.STARTTLS: 587, TLSMode.IMPLICIT: 465}
HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Relay:
    """Where mail goes; printing one never shows its password. No wait for it is longer than *timeout_seconds*."""

    host: str
    port: int
    tls: TLSMode
    username: str = ""
    password: str = field(default="", repr=False)
    timeout_seconds: float = LONGEST_TIMEOUT_SECONDS

    @classmethod
    def parse(cls, url: str) -> "Relay":
        """Read `smtp://user:pass@host:port?tls=off|starttls|implicit&timeout=60`.

        Without tls=, a relay on this machine is spoken to in the clear and any other by STARTTLS. Without a port:
        25 in the clear, 587 with STARTTLS, 465 with implicit TLS. User and password may be percent-encoded.
        Without timeout=, each answer is waited for as long as RFC 5321 §4.5.3.2 asks; with it, none for more seconds.

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
        return cls(host, port or DEFAULT_PORTS[tls], tls, username, password, _timeout_seconds(options))


def _options(parts: SplitResult) -> dict[str, str]:
    told = parse_qsl(parts.query, keep_blank_values=True)
    options = dict(told)
    if unknown := sorted(options.keys() - {"tls", "timeout"}):
        why = "it knows tls=off|starttls|implicit and timeout=SECONDS"
        raise InvalidError(f"the SMTP URL has unknown options: {', '.join(unknown)}; {why}")
    if len(told) > len(options):
        raise InvalidError("the SMTP URL says tls= or timeout= twice")
    return options


def _tls_mode(options: Mapping[str, str]) -> TLSMode | None:
    """Return what tls= says; None where it says nothing."""
    try:
        return TLSMode(options["tls"]) if "tls" in options else None
    except ValueError as error:
        raise InvalidError(f"the SMTP URL says tls={options['tls']}; use off, starttls or implicit") from error


def _timeout_seconds(options: Mapping[str, str]) -> float:
    told = options.get("timeout", str(LONGEST_TIMEOUT_SECONDS))
    try:
        seconds = float(told)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST_TIMEOUT_SECONDS:
        raise InvalidError(f"the SMTP URL says timeout={told}; use seconds, {LONGEST_TIMEOUT_SECONDS:g} at most")
    return seconds


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
