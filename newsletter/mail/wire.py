"""A socket's bytes as steps: writes pieces without joining them, knows how much has left, reads replies whole, in time.

Nothing here blocks: whoever has to wait yields, see `newsletter.mail.steps`.
"""

import os
import re
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from newsletter.domain.replies import Reply, Silence, read_reply
from newsletter.mail.steps import READABLE, WRITABLE, Steps

IOV_MAX = os.sysconf("SC_IOV_MAX")
SEND_BUFFER_BYTES = 256 * 1024
TLS_RECORD_BYTES = 16 * 1024
"""What OpenSSL writes at a time."""
LONGEST_REPLY_BYTES = 16 * 1024
"""Thirty lines of 512 octets (RFC 5321 §4.5.3.1.5); whoever says more is no relay."""
RECEIVE_BYTES = 64 * 1024

_REPLY_LINE = re.compile(rb"[2-5][0-9]{2}(?:[ -]|\r?$)")
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class WireError(Exception):
    """The other side fell silent. All but the last *unwritten* bytes may have reached it."""

    def __init__(self, silence: Silence, unwritten: int = 0) -> None:
        super().__init__(silence, unwritten)
        self.silence = silence
        self.unwritten = unwritten


class Heard(NamedTuple):
    """A whole reply as it came: its code, and its lines without their ends."""

    code: int
    lines: tuple[bytes, ...]

    @property
    def reply(self) -> Reply:
        """What it says.

        Raises:
            WireError: its lines contradict each other: it is no SMTP.
        """
        try:
            return _read(self.lines)
        except ValueError as error:
            raise WireError(Silence.LOST) from error

    @property
    def texts(self) -> list[str]:
        """Its lines in letters."""
        return _texts(self.lines)


def _texts(lines: Sequence[bytes]) -> list[str]:
    return [line.decode("utf-8", "replace") for line in lines]


@lru_cache(maxsize=64)
def _read(lines: tuple[bytes, ...]) -> Reply:
    return read_reply(_texts(lines))


@lru_cache(maxsize=64)
def _whole_reply(line: bytes) -> Heard | None:
    """Read a line that is a reply by itself; None: it is not. A relay says the same to nearly every command."""
    line = line.removesuffix(b"\r")
    if line[3:4] == b"-" or not _is_reply_line(line):
        return None
    return Heard(int(line[:3]), (line,))


def _is_reply_line(line: bytes) -> bool:
    return bool(_REPLY_LINE.match(line)) and len(line) <= LONGEST_REPLY_BYTES


class Wire:
    """One connection's bytes, plain or in TLS; waits are in seconds, and every one has an end."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._socket = connected
        self._descriptor = connected.fileno()
        self._secured: ssl.SSLSocket | None = None
        self._unread = b""  # the beginning of a line
        self._whole: deque[bytes] = deque()  # lines that came and nobody has asked for
        self._lines: list[bytes] = []  # of a reply whose end has not come
        self._pending: deque[bytes | memoryview] = deque()
        self._wanted_to_write = WRITABLE  # what the last write waited for

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come that nobody asked for, an end of the connection included."""
        if self._unread or self._whole or self._lines:
            return False
        waiting = select.poll()
        waiting.register(self._descriptor, READABLE)
        return not waiting.poll(0)

    @property
    def local_host(self) -> str:
        """This side's IP address."""
        return str(self._socket.getsockname()[0])

    def secure(self, context: ssl.SSLContext, host: str, timeout: float) -> Steps[None]:
        """Go on in TLS with a verified *host*.

        Raises:
            WireError: the other side said more in the clear than that it agrees to TLS; it might be an attacker's.
            OSError: the handshake failed; of those, ssl.SSLCertVerificationError says why not to trust it.
        """
        if self._unread or self._whole:
            raise WireError(Silence.LOST)
        secured = context.wrap_socket(self._socket, server_hostname=host, do_handshake_on_connect=False)
        self._socket = self._secured = secured
        deadline = time.monotonic() + timeout
        while True:
            try:
                secured.do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
                if not (yield self._descriptor, _wanted_by(error), deadline):
                    raise TimeoutError("the handshake took too long") from error
            else:
                return

    def write(self, pieces: Sequence[bytes], timeout: float) -> Steps[None]:
        """Write all *pieces*; *timeout* is for all of them.

        Raises:
            WireError: some or all of it could not be written.
        """
        if not self.post(pieces):
            yield from self.flush(timeout)

    def post(self, pieces: Sequence[bytes], size: int = -1) -> bool:
        """Write as much of *pieces* as the kernel takes at once; say whether that was all, and keep the rest.

        *size*: of all of them together, if it is known.

        Raises:
            WireError: the connection is broken.
        """
        if self._secured:
            self._pending.append(b"".join(pieces))
            return self._push()
        if self._pending or len(pieces) > IOV_MAX:
            self._pending.extend(pieces)
            return self._push()
        try:
            sent = self._socket.sendmsg(pieces)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._pending.extend(pieces)
            raise self._broken(error) from error
        if sent == size:  # as a rule
            return True
        self._pending.extend(pieces)
        self._drop(sent)
        return self._push()

    def flush(self, timeout: float) -> Steps[None]:
        """Wait until the rest of what was posted has left; *timeout* is for all of it.

        Raises:
            WireError: as `write`.
        """
        deadline = time.monotonic() + timeout
        while not self._push():
            if not (yield self._descriptor, self._wanted_to_write, deadline):
                raise WireError(Silence.TIMEOUT, self._unwritten)

    def _push(self) -> bool:
        pending = self._pending
        while pending:
            try:
                sent = self._send()
            except _WOULD_BLOCK as error:
                self._wanted_to_write = READABLE if isinstance(error, ssl.SSLWantReadError) else WRITABLE
                return False
            except OSError as error:
                raise self._broken(error) from error
            self._drop(sent)
        return True

    def _drop(self, sent: int) -> None:
        pending = self._pending
        while pending and sent >= len(pending[0]):
            sent -= len(pending.popleft())
        if sent:
            pending[0] = memoryview(pending[0])[sent:]

    def _send(self) -> int:
        if self._secured:
            return self._secured.send(memoryview(self._pending[0])[:TLS_RECORD_BYTES])
        return self._socket.sendmsg(islice(self._pending, IOV_MAX))

    @property
    def _unwritten(self) -> int:
        """How many bytes certainly did not leave; a record of TLS that failed half-way may have arrived."""
        unwritten = sum(map(len, self._pending))
        in_doubt = min(TLS_RECORD_BYTES, len(self._pending[0])) if self._secured and self._pending else 0
        return unwritten - in_doubt

    def _broken(self, error: OSError) -> WireError:
        unwritten = self._unwritten
        self._pending.clear()  # nothing more leaves here, though something may still come in
        return WireError(_silence(error), unwritten)

    def read(self, timeout: float) -> Steps[Heard]:
        """Return the next reply; *timeout* is for the whole of it, however slowly it trickles in.

        Raises:
            WireError: it did not come, or is no SMTP.
        """
        deadline = time.monotonic() + timeout
        while (heard := self.next_reply()) is None:
            yield from self.receive(deadline)
        return heard

    def next_reply(self) -> Heard | None:
        """Return the next reply if all of it is here already.

        Raises:
            WireError: what is here is no SMTP.
        """
        while self._whole:
            line = self._whole.popleft()
            if not self._lines and (heard := _whole_reply(line)):
                return heard
            line = line.removesuffix(b"\r")
            if not _is_reply_line(line):
                raise WireError(Silence.LOST)
            if line[3:4] != b"-":
                lines, self._lines = (*self._lines, line), []
                return Heard(int(line[:3]), lines)
            self._lines.append(line)
            if sum(map(len, self._lines)) > LONGEST_REPLY_BYTES:
                raise WireError(Silence.LOST)
        if len(self._unread) > LONGEST_REPLY_BYTES:
            raise WireError(Silence.LOST)
        return None

    def receive(self, deadline: float) -> Steps[None]:
        """Wait once for something to come, until the monotonic time *deadline*, and let leave what can meanwhile.

        Whoever is woken in between returns with nothing new.

        Raises:
            WireError: nothing came in time, or the connection has ended.
        """
        if not self._secured:  # else something may be here that no poll sees
            wanted = READABLE | (WRITABLE if self._pending else 0)
            if not (yield self._descriptor, wanted, deadline):
                raise WireError(Silence.TIMEOUT)
        if self._pending:
            self._push()
        try:
            received = self._socket.recv(RECEIVE_BYTES)
        except _WOULD_BLOCK as error:
            if self._secured:
                wanted = _wanted_by(error) | (self._wanted_to_write if self._pending else 0)
                if not (yield self._descriptor, wanted, deadline):
                    raise WireError(Silence.TIMEOUT) from error
            return
        except OSError as error:
            raise WireError(_silence(error)) from error
        if not received:
            raise WireError(Silence.LOST)
        *whole, self._unread = (self._unread + received).split(b"\n")
        self._whole.extend(whole)

    def idle(self, deadline: float) -> Steps[bool]:
        """Wait to be woken, until *deadline*; say whether the connection is still open and that time has not come.

        Whatever comes unasked, an end or a 421, ends it.
        """
        return (yield self._descriptor, READABLE, deadline) and self.is_quiet

    def close(self) -> None:
        """Close at once; safe to repeat."""
        self._socket.close()


def _wanted_by(error: OSError) -> int:
    """Return what to wait for: in TLS a read may have to write first, and a write to read."""
    return WRITABLE if isinstance(error, ssl.SSLWantWriteError) else READABLE


def _silence(error: OSError) -> Silence:
    return Silence.TIMEOUT if isinstance(error, TimeoutError) else Silence.LOST
