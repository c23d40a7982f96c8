"""Opening a session with a relay: connect, secure, introduce ourselves, authenticate; or say why it cannot be had."""

import base64
import socket
import ssl
from dataclasses import replace
from functools import cache

from newsletter.domain.replies import Reply, Silence, Stage, redact
from newsletter.errors import TransientError
from newsletter.mail.envelopes import Capabilities
from newsletter.mail.relay import Relay, TLSMode
from newsletter.mail.smtp import SMTPConnection
from newsletter.mail.wire import Timeouts, Wire, WireError

MOST_MAILS = 1000
"""Mails over one connection where nobody says otherwise; relays of our own take many more, services fewer."""
GO_ON = 334
SYNTAX_ERROR = 500
NOT_IMPLEMENTED = 502


class RelayUnavailableError(TransientError):
    """No session with the relay; nothing was sent, and no reader is to blame. *stage* says how far it came."""

    def __init__(self, relay: Relay, stage: Stage, why: str, reply: Reply | None = None) -> None:
        super().__init__(f"the relay {relay.name} is not available ({stage}): {why}")
        self.stage = stage
        self.reply = reply


def open_connection(
    relay: Relay,
    *,
    timeouts: Timeouts | None = None,
    hello_name: str = "",
    most_mails: int = MOST_MAILS,
    tls_context: ssl.SSLContext | None = None,
) -> SMTPConnection:
    """Return a session with *relay*, ready for mail.

    *hello_name* is this machine's name in the DNS; empty: its address is given, as RFC 5321 §4.1.4 allows.
    *timeouts*: None: RFC 5321's, none longer than the relay's own limit.
    *tls_context* replaces the system's trusted certificates. Certificates are verified, STARTTLS is never skipped.

    Raises:
        RelayUnavailableError: it cannot be reached, trusted or agreed with; says at which stage.
    """
    opening = _Opening(relay, timeouts or Timeouts().capped(relay.timeout_seconds), tls_context, hello_name)
    capabilities = opening.run()
    return SMTPConnection(opening.wire, capabilities, opening.timeouts, most_mails)


class _Opening:
    """The steps to a session, in order; any of them may end it."""

    wire: Wire

    def __init__(self, relay: Relay, timeouts: Timeouts, tls_context: ssl.SSLContext | None, hello_name: str) -> None:
        self.relay = relay
        self.timeouts = timeouts
        self.tls_context = tls_context
        self.hello_name = hello_name

    def run(self) -> Capabilities:
        self.connect()
        try:
            if self.relay.tls is TLSMode.IMPLICIT:
                self.secure()
            self.expect_yes(Stage.GREETING)
            capabilities = self.introduce()
            if self.relay.tls is TLSMode.STARTTLS:
                capabilities = self.start_tls(capabilities)
            if self.relay.username:
                self.authenticate(capabilities)
        except BaseException:
            self.wire.close()
            raise
        return capabilities

    def connect(self) -> None:
        try:
            connected = socket.create_connection((self.relay.host, self.relay.port), self.timeouts.connect)
        except OSError as error:
            raise self.failure(Stage.CONNECT, f"{error.strerror or error}") from error
        self.wire = Wire(connected)

    def secure(self) -> None:
        try:
            self.wire.secure(self.tls_context or _system_trust(), self.relay.host, self.timeouts.tls)
        except ssl.SSLCertVerificationError as error:
            why = f"its certificate is not to be trusted: {error.verify_message}"
            raise self.failure(Stage.TLS, why) from error
        except OSError as error:
            raise self.failure(Stage.TLS, f"no TLS could be agreed: {error}") from error
        except WireError as error:
            raise self.failure(Stage.TLS, "it went on in the clear after agreeing to TLS") from error

    def introduce(self) -> Capabilities:
        """Say EHLO, or HELO to a relay that does not know it and then offers nothing."""
        name = self.hello_name or f"[{_address_literal(self.wire.local_host)}]"
        reply, lines = self.hear(Stage.EHLO, f"EHLO {name}")
        if reply.is_positive:
            return Capabilities.read(lines)
        if reply.code not in (SYNTAX_ERROR, NOT_IMPLEMENTED):
            raise self.refusal(Stage.EHLO, reply)
        self.expect_yes(Stage.EHLO, f"HELO {name}")
        return Capabilities()

    def start_tls(self, capabilities: Capabilities) -> Capabilities:
        if not capabilities.starttls:
            why = "it does not offer STARTTLS; use tls=implicit, or on a trusted network tls=off"
            raise self.failure(Stage.TLS, why)
        self.expect_yes(Stage.TLS, "STARTTLS")
        self.secure()
        return self.introduce()  # what was offered in the clear is forgotten (RFC 3207 §4.2)

    def authenticate(self, capabilities: Capabilities) -> None:
        username, password = self.relay.username, self.relay.password
        if "PLAIN" in capabilities.auth:
            self.expect_yes(Stage.AUTH, f"AUTH PLAIN {_base64(chr(0).join(('', username, password)))}")
        elif "LOGIN" in capabilities.auth:
            for line in ("AUTH LOGIN", _base64(username)):
                reply, _ = self.hear(Stage.AUTH, line)
                if reply.code != GO_ON:
                    raise self.refusal(Stage.AUTH, reply)
            self.expect_yes(Stage.AUTH, _base64(password))
        else:
            why = "it offers neither AUTH PLAIN nor AUTH LOGIN; check tls= and the port, or leave out user and password"
            raise self.failure(Stage.AUTH, why)

    def expect_yes(self, stage: Stage, line: str = "") -> None:
        """Say *line*, if any, and go on only if the answer is a yes."""
        reply, _ = self.hear(stage, line)
        if not reply.is_positive:
            raise self.refusal(stage, reply)

    def hear(self, stage: Stage, line: str = "") -> tuple[Reply, list[str]]:
        """Say *line*, if any, and return the answer."""
        limit = self.timeouts.of(stage)
        try:
            self.wire.write([f"{line}\r\n".encode()] if line else [], limit)
            return self.wire.read_with_lines(limit)
        except WireError as error:
            raise self.failure(stage, _words_of(error.silence)) from error

    def refusal(self, stage: Stage, reply: Reply) -> RelayUnavailableError:
        told = replace(reply, text=redact(reply.text, self.relay.username))
        return RelayUnavailableError(self.relay, stage, f"it said {told}", told)

    def failure(self, stage: Stage, why: str) -> RelayUnavailableError:
        return RelayUnavailableError(self.relay, stage, why)


@cache
def _system_trust() -> ssl.SSLContext:
    """Return a context with the system's trusted certificates; reading them takes tens of milliseconds."""
    return ssl.create_default_context()


def _words_of(silence: Silence) -> str:
    return "it did not answer in time" if silence is Silence.TIMEOUT else "it closed the connection or spoke no SMTP"


def _address_literal(ip_address: str) -> str:
    """Return an IP address as RFC 5321 §4.1.3 writes it between brackets."""
    return f"IPv6:{ip_address}" if ":" in ip_address else ip_address


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
