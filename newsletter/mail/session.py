"""Opening a session with a relay: connect, secure, introduce ourselves, authenticate; or say why it cannot be had."""

import base64
import errno
import os
import socket
import ssl
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

from newsletter.domain.replies import Reply, Silence, Stage, redact
from newsletter.errors import TransientError
from newsletter.mail.envelopes import Capabilities
from newsletter.mail.relay import Relay, TLSMode
from newsletter.mail.smtp import SMTPConnection
from newsletter.mail.steps import WRITABLE, Steps, finish
from newsletter.mail.timeouts import Timeouts
from newsletter.mail.wire import Heard, Wire, WireError

GO_ON = 334
SYNTAX_ERROR = 500
NOT_IMPLEMENTED = 502


class RelayUnavailableError(TransientError):
    """No session with the relay; nothing was sent, and no reader is to blame. *stage* says how far it came."""

    def __init__(self, relay: Relay, stage: Stage, why: str, reply: Reply | None = None) -> None:
        super().__init__(f"the relay {relay.name} is not available ({stage}): {why}")
        self.stage = stage
        self.reply = reply


def find_relay(relay: Relay) -> "Sequence[Place]":
    """Ask the resolver where *relay* is, in order of preference; this blocks, so it is asked once for many connections.

    Raises:
        RelayUnavailableError: nobody knows it.
    """
    try:
        return socket.getaddrinfo(relay.host, relay.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise RelayUnavailableError(relay, Stage.CONNECT, f"{error.strerror or error}") from error


Place = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]
"""What the resolver says of a server."""


def open_connection(
    relay: Relay,
    places: Sequence[Place],
    *,
    timeouts: Timeouts | None = None,
    hello_name: str = "",
    tls_context: ssl.SSLContext | None = None,
) -> Steps[SMTPConnection]:
    """Return a session with *relay*, which is at one of *places*, ready for mail.

    *hello_name* is this machine's name in the DNS; empty: its address is given, as RFC 5321 §4.1.4 allows.
    *timeouts*: None: the relay's, none longer than its own limit.
    *tls_context* replaces the system's trusted certificates. Certificates are verified, STARTTLS is never skipped.

    Raises:
        RelayUnavailableError: it cannot be reached, trusted or agreed with; says at which stage.
    """
    opening = _Opening(relay, timeouts or relay.timeouts.capped(relay.timeout_seconds), tls_context, hello_name)
    capabilities = yield from opening.run(places)
    return SMTPConnection(
        opening.wire, capabilities, opening.timeouts, most_mails=relay.messages, age_seconds=relay.age_seconds
    )


def probe_relay(relay: Relay, *, hello_name: str = "") -> str:
    """Open a session with *relay* and leave it again; blocks. Returns the name it has for itself, or none.

    Raises:
        RelayUnavailableError: as `open_connection`.
    """
    connection = finish(open_connection(relay, find_relay(relay), hello_name=hello_name))
    finish(connection.quit())
    return connection.capabilities.own_name


class _Opening:
    """The steps to a session, in order; any of them may end it."""

    wire: Wire

    def __init__(self, relay: Relay, timeouts: Timeouts, tls_context: ssl.SSLContext | None, hello_name: str) -> None:
        self.relay = relay
        self.timeouts = timeouts
        self.tls_context = tls_context
        self.hello_name = hello_name

    def run(self, places: Sequence[Place]) -> Steps[Capabilities]:
        self.wire = Wire((yield from self.connect(places)))
        try:
            if self.relay.tls is TLSMode.IMPLICIT:
                yield from self.secure()
            yield from self.expect_yes(Stage.GREETING)
            capabilities = yield from self.introduce()
            if self.relay.tls is TLSMode.STARTTLS:
                capabilities = yield from self.start_tls(capabilities)
            if self.relay.username:
                yield from self.authenticate(capabilities)
        except BaseException:
            self.wire.close()
            raise
        return capabilities

    def connect(self, places: Sequence[Place]) -> Steps[socket.socket]:
        """Try each of *places* until one answers."""
        why = "it has no address"
        for family, kind, protocol, _, place in places:
            connected = socket.socket(family, kind, protocol)
            try:
                yield from _connect(connected, place, time.monotonic() + self.timeouts.connect)
            except OSError as error:
                connected.close()
                why = f"{error.strerror or error}"
            except BaseException:
                connected.close()
                raise
            else:
                return connected
        raise self.failure(Stage.CONNECT, why)

    def secure(self) -> Steps[None]:
        try:
            yield from self.wire.secure(self.tls_context or _system_trust(), self.relay.host, self.timeouts.tls)
        except ssl.SSLCertVerificationError as error:
            why = f"its certificate is not to be trusted: {error.verify_message}"
            raise self.failure(Stage.TLS, why) from error
        except OSError as error:
            raise self.failure(Stage.TLS, f"no TLS could be agreed: {error}") from error
        except WireError as error:
            raise self.failure(Stage.TLS, "it went on in the clear after agreeing to TLS") from error

    def introduce(self) -> Steps[Capabilities]:
        """Say EHLO, or HELO to a relay that does not know it and then offers nothing."""
        name = self.hello_name or f"[{_address_literal(self.wire.local_host)}]"
        heard = yield from self.hear(Stage.EHLO, f"EHLO {name}")
        reply = heard.reply
        if reply.is_positive:
            return Capabilities.read(heard.texts)
        if reply.code not in (SYNTAX_ERROR, NOT_IMPLEMENTED):
            raise self.refusal(Stage.EHLO, reply)
        yield from self.expect_yes(Stage.EHLO, f"HELO {name}")
        return Capabilities()

    def start_tls(self, capabilities: Capabilities) -> Steps[Capabilities]:
        if not capabilities.starttls:
            why = "it does not offer STARTTLS; use tls=implicit, or on a trusted network tls=off"
            raise self.failure(Stage.TLS, why)
        yield from self.expect_yes(Stage.TLS, "STARTTLS")
        yield from self.secure()
        return (yield from self.introduce())  # what was offered in the clear is forgotten (RFC 3207 §4.2)

    def authenticate(self, capabilities: Capabilities) -> Steps[None]:
        username, password = self.relay.username, self.relay.password
        if "PLAIN" in capabilities.auth:
            yield from self.expect_yes(Stage.AUTH, f"AUTH PLAIN {_base64(chr(0).join(('', username, password)))}")
        elif "LOGIN" in capabilities.auth:
            for line in ("AUTH LOGIN", _base64(username)):
                reply = (yield from self.hear(Stage.AUTH, line)).reply
                if reply.code != GO_ON:
                    raise self.refusal(Stage.AUTH, reply)
            yield from self.expect_yes(Stage.AUTH, _base64(password))
        else:
            why = "it offers neither AUTH PLAIN nor AUTH LOGIN; check tls= and the port, or leave out user and password"
            raise self.failure(Stage.AUTH, why)

    def expect_yes(self, stage: Stage, line: str = "") -> Steps[None]:
        """Say *line*, if any, and go on only if the answer is a yes."""
        heard = yield from self.hear(stage, line)
        if not heard.reply.is_positive:
            raise self.refusal(stage, heard.reply)

    def hear(self, stage: Stage, line: str = "") -> Steps[Heard]:
        """Say *line*, if any, and return the answer."""
        limit = self.timeouts.of(stage)
        try:
            if line:
                yield from self.wire.write([f"{line}\r\n".encode()], limit)
            heard = yield from self.wire.read(limit)
            heard.reply  # noqa: B018  whether it is one
        except WireError as error:
            raise self.failure(stage, _words_of(error.silence)) from error
        return heard

    def refusal(self, stage: Stage, reply: Reply) -> RelayUnavailableError:
        told = reply._replace(text=redact(reply.text, self.relay.username))
        return RelayUnavailableError(self.relay, stage, f"it said {told}", told)

    def failure(self, stage: Stage, why: str) -> RelayUnavailableError:
        return RelayUnavailableError(self.relay, stage, why)


def _connect(
    connected: socket.socket, place: tuple[str, int] | tuple[str, int, int, int], deadline: float
) -> Steps[None]:
    """Connect to *place*.

    Raises:
        OSError: that cannot be done, or not in time.
    """
    connected.setblocking(False)
    refused = connected.connect_ex(place)
    while refused == errno.EINPROGRESS:
        if not (yield connected.fileno(), WRITABLE, deadline):
            raise TimeoutError("it did not answer in time")
        refused = connected.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not refused and not _is_connected(connected):
            refused = errno.EINPROGRESS  # somebody only woke us
    if refused:
        raise OSError(refused, os.strerror(refused))


def _is_connected(connecting: socket.socket) -> bool:
    try:
        connecting.getpeername()
    except OSError:
        return False
    return True


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
