"""A connected socket: writes pieces without joining them, knows how much has left, reads replies whole and in time."""

import os
import re
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, fields
from itertools import islice

from newsletter.domain.replies import Reply, Silence, Stage, read_reply

IOV_MAX = os.sysconf("SC_IOV_MAX")
SEND_BUFFER_BYTES = 256 * 1024
TLS_RECORD_BYTES = 16 * 1024
"""What OpenSSL writes at a time."""
LONGEST_REPLY_BYTES = 16 * 1024
"""Thirty lines of 512 octets (RFC 5321 §4.5.3.1.5); whoever says more is no relay."""
RECEIVE_BYTES = 64 * 1024

_REPLY_LINE = re.compile(r"[2-5][0-9]{2}(?:[ -]|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds to wait at each stage: RFC 5321 §4.5.3.2, and for *connect* and *tls*, which it leaves open, our own."""

    connect: float = 30
    tls: float = 60
    greeting: float = 300
    command: float = 300  # EHLO, AUTH, MAIL, RCPT
    data: float = 120
    block: float = 180
    dot: float = 600
    farewell: float = 2

    def of(self, stage: Stage) -> float:
        """Return how long the reply at *stage* may take."""
        limit: float = getattr(self, _OWN_TIMEOUT.get(stage, "command"))
        return limit

    def capped(self, seconds: float) -> "Timeouts":
        """Return the same, none of them longer than *seconds*."""
        return Timeouts(**{each.name: min(getattr(self, each.name), seconds) for each in fields(self)})


_OWN_TIMEOUT = {
    Stage.CONNECT: "connect",
    Stage.TLS: "tls",
    Stage.GREETING: "greeting",
    Stage.DATA: "data",
    Stage.BODY: "block",
    Stage.DOT: "dot",
}


class WireError(Exception):
    """The other side fell silent. *written* bytes of the failed write may have reached it, never more."""

    def __init__(self, silence: Silence, written: int = 0) -> None:
        super().__init__(silence, written)
        self.silence = silence
        self.written = written


class Wire:
    """One connection's bytes, plain or in TLS; waits are in seconds, and every one has an end."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connected.setblocking(False)  # so that a write is one system call while the kernel has room
        self._socket = connected
        self._unread = b""

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come that nobody asked for, an end of the connection included."""
        return not self._unread and not self._is_ready(select.POLLIN, 0)

    @property
    def local_host(self) -> str:
        """This side's IP address."""
        return str(self._socket.getsockname()[0])

    def secure(self, context: ssl.SSLContext, host: str, timeout: float) -> None:
        """Go on in TLS with a verified *host*.

        Raises:
            WireError: the other side said more in the clear than that it agrees to TLS; it might be an attacker's.
            OSError: the handshake failed; of those, ssl.SSLCertVerificationError says why not to trust it.
        """
        if self._unread:
            raise WireError(Silence.LOST)
        self._socket.settimeout(timeout)
        self._socket = context.wrap_socket(self._socket, server_hostname=host)
        self._socket.setblocking(False)

    def write(self, pieces: Iterable[bytes], timeout: float) -> None:
        """Write all *pieces*; *timeout* is for each block that leaves, not for all of them (RFC 5321 §4.5.3.2.5).

        Raises:
            WireError: some or all of it could not be written.
        """
        if isinstance(self._socket, ssl.SSLSocket):
            self._write_joined(self._socket, b"".join(pieces), timeout)
        else:
            self._write_gathered(deque(pieces), timeout)

    def _write_gathered(self, pending: deque[bytes | memoryview], timeout: float) -> None:
        written = 0
        while pending:
            try:
                sent = self._socket.sendmsg(islice(pending, IOV_MAX))
            except BlockingIOError as error:
                if not self._is_ready(select.POLLOUT, timeout):
                    raise WireError(Silence.TIMEOUT, written) from error
                continue
            except OSError as error:
                raise WireError(_silence(error), written) from error
            written += sent
            while pending and sent >= len(pending[0]):
                sent -= len(pending.popleft())
            if sent:
                pending[0] = memoryview(pending[0])[sent:]

    def _write_joined(self, secured: ssl.SSLSocket, content: bytes, timeout: float) -> None:
        """Write *content* in records; one that failed half-way counts as written, since it may have arrived."""
        written = 0
        view = memoryview(content)
        while written < len(content):
            record = view[written : written + TLS_RECORD_BYTES]
            try:
                written += secured.send(record)
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError) as error:
                if not self._is_ready(_wanted_by(error), timeout):
                    raise WireError(Silence.TIMEOUT, written + len(record)) from error
            except OSError as error:
                raise WireError(_silence(error), written + len(record)) from error

    def read(self, timeout: float) -> Reply:
        """Return the next reply; *timeout* is for the whole of it, however slowly it trickles in.

        Raises:
            WireError: it did not come, or is no SMTP.
        """
        return self.read_with_lines(timeout)[0]

    def read_with_lines(self, timeout: float) -> tuple[Reply, list[str]]:
        """Return the next reply and the lines it came in, without their line ends.

        Raises:
            WireError: as `read`.
        """
        deadline = time.monotonic() + timeout
        lines: list[str] = []
        length = 0
        while not lines or lines[-1][3:4] == "-":
            line = self._read_line(deadline)
            lines.append(line)
            length += len(line)
            if length > LONGEST_REPLY_BYTES or not _REPLY_LINE.match(line):
                raise WireError(Silence.LOST)
        try:
            return read_reply(lines), lines
        except ValueError as error:
            raise WireError(Silence.LOST) from error

    def _read_line(self, deadline: float) -> str:
        while (end := self._unread.find(b"\n")) < 0:
            if len(self._unread) > LONGEST_REPLY_BYTES:
                raise WireError(Silence.LOST)
            self._unread += self._receive(deadline)
        line, self._unread = self._unread[:end], self._unread[end + 1 :]
        return line.removesuffix(b"\r").decode("utf-8", "replace")

    def _receive(self, deadline: float) -> bytes:
        while True:
            try:
                received = self._socket.recv(RECEIVE_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
                if not self._is_ready(_wanted_by(error), deadline - time.monotonic()):
                    raise WireError(Silence.TIMEOUT) from error
                continue
            except OSError as error:
                raise WireError(_silence(error)) from error
            if not received:
                raise WireError(Silence.LOST)
            return received

    def _is_ready(self, events: int, timeout: float) -> bool:
        """Wait until the socket is ready or broken; say whether that happened in time."""
        waiting = select.poll()
        waiting.register(self._socket, events)
        return bool(waiting.poll(max(0.0, timeout) * 1000))

    def close(self) -> None:
        """Close at once; safe to repeat."""
        self._socket.close()


def _wanted_by(error: OSError) -> int:
    """Return what a read waits for: in TLS it may have to write first, and a write to read."""
    return select.POLLOUT if isinstance(error, ssl.SSLWantWriteError) else select.POLLIN


def _silence(error: OSError) -> Silence:
    return Silence.TIMEOUT if isinstance(error, TimeoutError) else Silence.LOST
