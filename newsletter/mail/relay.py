"""The relay: the SMTP server that mail is handed to, as one address tells it."""

import ipaddress
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from newsletter.errors import InvalidError


class TLSMode(StrEnum):
    """How a connection is secured; certificates are always verified."""

    OFF = "off"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


DEFAULT_PORTS = {TLSMode.OFF: 25, TLSMode.STARTTLS: 587, TLSMode.IMPLICIT: 465}
HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Relay:
    """Where mail goes; printing one never shows its password."""

    host: str
    port: int
    tls: TLSMode
    username: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> "Relay":
        """Read `smtp://user:pass@host:port?tls=off|starttls|implicit`.

        Without tls=, a relay on this machine is spoken to in the clear and any other by STARTTLS. Without a port:
        25 in the clear, 587 with STARTTLS, 465 with implicit TLS. User and password may be percent-encoded.

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
        tls = _tls_mode(parts) or (TLSMode.OFF if _is_loopback(host) else TLSMode.STARTTLS)
        username, password = unquote(parts.username or ""), unquote(parts.password or "")
        if bool(username) != bool(password):
            raise InvalidError("the SMTP URL needs a user and a password, or neither")
        if port == 0:
            raise InvalidError(f"the SMTP URL's port must be from 1 to {HIGHEST_PORT}")
        return cls(host, port or DEFAULT_PORTS[tls], tls, username, password)


def _tls_mode(parts: SplitResult) -> TLSMode | None:
    """Return what tls= says; None where it says nothing."""
    options = parse_qsl(parts.query, keep_blank_values=True)
    if unknown := sorted({name for name, _ in options} - {"tls"}):
        raise InvalidError(
            f"the SMTP URL has unknown options: {', '.join(unknown)}; it knows tls=off|starttls|implicit"
        )
    if len(options) > 1:
        raise InvalidError("the SMTP URL says tls= twice")
    try:
        return TLSMode(options[0][1]) if options else None
    except ValueError as error:
        raise InvalidError(f"the SMTP URL says tls={options[0][1]}; use off, starttls or implicit") from error


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
