"""A small SMTP server for the demo and for tests: takes every mail on a loopback port and keeps it as a file.

It is real in what a sender can see: PIPELINING, SIZE, 8BITMIME and SMTPUTF8, and strict as large receivers are
(no bare line ends, no lines over 998 octets). It relays nothing and asks for no password.
"""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from socket import IPPROTO_TCP, TCP_NODELAY, create_server, socket
from tempfile import TemporaryDirectory
from threading import Condition, Thread
from types import TracebackType
from typing import Self

from aiosmtpd.smtp import SMTP, Session
from aiosmtpd.smtp import Envelope as SMTPEnvelope

from newsletter.clock import system_clock

LARGEST_MAIL = 32 * 1024 * 1024
LONGEST_LINE = 998  # RFC 5322 section 2.1.1, without CRLF
ENVELOPES = "envelopes.jsonl"


@dataclass(frozen=True, slots=True)
class Envelope:
    """What was said before a mail's first header, and when its last dot came; *number* counts from 1."""

    number: int
    received_at: datetime
    sender: str
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReceivedMail:
    """A mail that arrived; *path* holds its bytes as they came."""

    envelope: Envelope
    path: Path

    @property
    def content(self) -> bytes:
        """The mail's bytes: dots unstuffed, lines ending in CRLF."""
        return self.path.read_bytes()


class MailStore:
    """The mails in a folder, `000001.eml` and on, with their envelopes in a file beside them.

    One thread adds, any may look. Mails that the folder holds already are kept and counted on.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._arrival = Condition()
        self._mails = list(self._stored_before())
        self._envelopes = (folder / ENVELOPES).open("a", encoding="utf-8", buffering=1)

    def __len__(self) -> int:
        return len(self._mails)

    def __getitem__(self, number: int) -> ReceivedMail:
        """Return the mail with this number, which counts from 1; IndexError if there is none."""
        if number < 1:
            raise IndexError(number)
        return self._mails[number - 1]

    def __iter__(self) -> Iterator[ReceivedMail]:
        return iter(tuple(self._mails))

    def add(self, sender: str, recipients: Sequence[str], content: bytes) -> ReceivedMail:
        """Keep a mail: its bytes first, then its envelope, so that a line in the index means a whole file."""
        envelope = Envelope(len(self._mails) + 1, system_clock(), sender, tuple(recipients))
        mail = ReceivedMail(envelope, self._path(envelope.number))
        mail.path.write_bytes(content)
        self._envelopes.write(json.dumps(asdict(envelope), default=datetime.isoformat) + "\n")
        with self._arrival:
            self._mails.append(mail)
            self._arrival.notify_all()
        return mail

    def wait_for(self, count: int, *, timeout_seconds: float) -> bool:
        """Wait until there are *count* mails in all; False if they did not come in time."""
        with self._arrival:
            return self._arrival.wait_for(lambda: len(self._mails) >= count, timeout_seconds)

    def close(self) -> None:
        """Close the file of envelopes; nothing can be added any more."""
        self._envelopes.close()

    def _stored_before(self) -> Iterator[ReceivedMail]:
        index = self._folder / ENVELOPES
        if not index.exists():
            return
        for line in index.read_text(encoding="utf-8").splitlines():
            known = json.loads(line)
            known["received_at"] = datetime.fromisoformat(known["received_at"])
            envelope = Envelope(**{**known, "recipients": tuple(known["recipients"])})
            yield ReceivedMail(envelope, self._path(envelope.number))

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06}.eml"


class MailServer(AbstractContextManager["MailServer"]):
    """The server: takes mail from when it is entered until it is left, on a free port unless one is given.

    *folder* keeps the mails; None: they are gone when the server has stopped.
    """

    def __init__(self, folder: Path | None = None, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._folder, self._host, self._port = folder, host, port

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; returns when connections are taken.

        Raises:
            OSError: the port is taken.
        """
        with ExitStack() as parts:
            folder = self._folder or Path(parts.enter_context(TemporaryDirectory(prefix="newsletter-mails-")))
            self.mails = parts.enter_context(closing(MailStore(folder)))
            listener = parts.enter_context(closing(create_server((self._host, self._port), backlog=100)))
            listener.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)  # inherited; else each pipelined reply waits 40 ms
            self._port = listener.getsockname()[1]
            self._loop, self._ending = asyncio.new_event_loop(), asyncio.Event()
            self._thread = Thread(target=self._serve, args=(listener,), name="mail-server", daemon=True)
            self._thread.start()
            self._parts = parts.pop_all()

    def stop(self) -> None:
        """Close the port and all connections."""
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()
        self._parts.close()

    @property
    def port(self) -> int:
        """The port it listens on, once started."""
        return self._port

    @property
    def url(self) -> str:
        """What NEWSLETTER_SMTP_URL must say to reach it."""
        return f"smtp://{self._host}:{self._port}?tls=off"

    def _serve(self, listener: socket) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._take_mail(listener))

    async def _take_mail(self, listener: socket) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Conversation(self.mails, loop), sock=listener)
        async with server:
            await self._ending.wait()


class _Capabilities:
    """aiosmtpd's hook for the answer to EHLO; it can pipeline (RFC 2920) and does not say so by itself."""

    async def handle_EHLO(  # noqa: N802 - aiosmtpd finds hooks by these names
        self, _server: SMTP, session: Session, _envelope: object, host_name: str, replies: list[str]
    ) -> list[str]:
        session.host_name = host_name
        return [*replies[:-1], "250-PIPELINING", replies[-1]]


class _Conversation(SMTP):
    """One connection. Reads a mail's body in one piece: aiosmtpd reads it by lines, with a buffer of two lines."""

    line_length_limit = LARGEST_MAIL  # the reader's buffer in aiosmtpd; lines are looked at in _fault_of

    def __init__(self, mails: MailStore, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            _Capabilities(),
            data_size_limit=LARGEST_MAIL,
            enable_SMTPUTF8=True,
            hostname="mailbox.example",
            ident="ESMTP",
            loop=loop,
        )
        self._mails = mails

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd finds commands by these names
        """Take a mail, or say why not."""
        envelope = self.envelope
        if envelope is None or not envelope.rcpt_tos:
            await self.push("503 5.5.1 Error: need RCPT command")
            return
        if arg:
            await self.push("501 5.5.4 Syntax: DATA")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        content = await self._read_body()
        self.envelope = self._create_envelope()
        await self.push(fault_of(content) or self._keep(envelope, content))

    async def _read_body(self) -> bytes:
        body = bytearray(b"\r\n")
        while not body.endswith(b"\r\n.\r\n"):
            body += await self._reader.readuntil(b".\r\n")
        return bytes(body[:-3].replace(b"\r\n.", b"\r\n")[2:])

    def _keep(self, envelope: SMTPEnvelope, content: bytes) -> str:
        mail = self._mails.add(envelope.mail_from or "", envelope.rcpt_tos, content)
        return f"250 2.0.0 OK: kept as {mail.envelope.number}"


def fault_of(content: bytes) -> str | None:
    """Return the reply that refuses a body, or None for a sound one (RFC 5321 section 4.1.1.4, 5322 section 2.1.1)."""
    if len(content) > LARGEST_MAIL:
        return "552 5.3.4 Error: mail larger than 32 MiB"
    lines = content.split(b"\r\n")
    if not content.count(b"\n") == content.count(b"\r") == len(lines) - 1:
        return "554 5.6.0 Error: bare CR or LF"
    if max(map(len, lines)) > LONGEST_LINE:
        return "554 5.6.0 Error: line longer than 998 octets"
    return None
