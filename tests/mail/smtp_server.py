"""A relay for tests that misbehaves on order: it speaks SMTP by a script and keeps what it accepted."""

import base64
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

CERTIFICATES = Path(__file__).parent / "certificates"
"""An authority's certificate, and one it signed for localhost, with its key; made for these tests, trusted nowhere."""
RECEIVE_BUFFER = 64 * 1024
"""Small, so that a body of a megabyte cannot hide in it."""
CAPABILITIES = ("PIPELINING", "SIZE 10000000", "8BITMIME", "SMTPUTF8", "DSN")


class Act(Enum):
    """What the relay does instead of answering."""

    DROP = auto()  # closes the connection
    RESET = auto()  # aborts it
    HANG = auto()  # says nothing and keeps it open
    SIP = auto()  # takes a body a little at a time, and never all of it
    SWALLOW = auto()  # answers, and forgets what else came in the same breath: it lied about pipelining


@dataclass(frozen=True)
class Trickle:
    """Answers a byte at a time."""

    text: str
    pause: float


Answer = str | Act | Trickle | None
"""What is said; None: what an honest relay would say."""


@dataclass(frozen=True)
class Turn:
    """Where a conversation is. *mail* counts the envelopes of all connections from 1; *verb* is the command in capitals
    without its argument, or GREETING, BODY (its first bytes are here) or DOT.
    """

    connection: int
    mail: int
    verb: str
    line: str = ""


@dataclass
class Accepted:
    """A mail that got its 250, or would have."""

    mail_from: str
    rcpt_to: str
    body: bytes


@dataclass
class ScriptedRelay:
    """Listens on a free port of this machine while `running`; *script* answers out of turn."""

    script: Callable[[Turn], Answer] = lambda _: None
    capabilities: tuple[str, ...] = CAPABILITIES
    credentials: tuple[str, str] = ("user", "pass")
    implicit_tls: bool = False
    accepted: list[Accepted] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    connections: int = 0
    mails: int = 0
    port: int = 0

    def url(self, tls: str = "off", login: str = "") -> str:
        return f"smtp://{login}{'localhost' if tls != 'off' else '127.0.0.1'}:{self.port}?tls={tls}"

    @contextmanager
    def running(self) -> Iterator["ScriptedRelay"]:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)  # before listening, so all inherit it
        listener.bind(("127.0.0.1", 0))
        listener.listen(10)
        self.port = listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._ending = threading.Event()
        accepting = threading.Thread(target=self._accept, args=(listener,))
        accepting.start()
        try:
            yield self
        finally:
            self._ending.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()
            for thread in (accepting, *self._threads):
                thread.join(5)

    def say_unasked(self, text: str) -> None:
        """Say *text* on all connections."""
        for each in self._open:
            each.sendall(f"{text}\r\n".encode())

    def reset_connections(self) -> None:
        """Abort all connections."""
        for each in self._open:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            each.shutdown(socket.SHUT_RD)  # wakes the thread that reads it, which then closes it

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until the relay's own thread has come as far as *condition*."""
        deadline = time.monotonic() + 5
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def _accept(self, listener: socket.socket) -> None:
        while not self._ending.is_set():
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self._open.append(accepted)
            thread = threading.Thread(target=_Conversation(self, accepted, self.connections).run)
            self._threads.append(thread)
            thread.start()


class _Ended(Exception):  # noqa: N818  # it is no error
    pass


class _Conversation:
    def __init__(self, relay: ScriptedRelay, connected: socket.socket, number: int) -> None:
        self.relay, self.connected, self.number = relay, connected, number
        self.unread = b""
        self.mail_from = self.rcpt_to = ""
        self.mail = 0
        self.is_secure = False

    def run(self) -> None:
        with suppress(_Ended, OSError):
            if self.relay.implicit_tls:
                self.secure()
            self.answer("GREETING", "220 relay.example ESMTP")
            while True:
                self.command(self.read_line())
        self.connected.close()

    def command(self, line: str) -> None:
        self.relay.lines.append(line)
        verb = line.partition(" ")[0].upper()
        if verb == "MAIL":
            self.relay.mails += 1
            self.mail = self.relay.mails
        usual = {
            "EHLO": self.hello,
            "HELO": lambda: "250 relay.example",
            "MAIL": lambda: self.sender(line),
            "RCPT": lambda: self.recipient(line),
            "DATA": lambda: "354 go ahead" if self.rcpt_to else "503 5.5.1 no valid recipients",
            "RSET": self.reset,
            "QUIT": lambda: "221 bye",
            "STARTTLS": lambda: "220 go ahead",
            "AUTH": lambda: self.authenticate(line),
        }.get(verb, lambda: "502 5.5.1 unknown command")
        said = self.answer(verb, usual, line)
        if verb == "DATA" and said.startswith("354"):
            self.body()
        elif verb == "STARTTLS" and said.startswith("220"):
            self.secure()
        elif verb == "QUIT" or said.startswith("421"):
            raise _Ended

    def answer(self, verb: str, usual: str | Callable[[], str], line: str = "") -> str:
        """Say what the script wants, else the usual; return it."""
        return self.say(self.wanted(verb, line), usual)

    def wanted(self, verb: str, line: str = "") -> Answer:
        return self.relay.script(Turn(self.number, self.mail, verb, line))

    def say(self, wanted: Answer, usual: str | Callable[[], str] = "") -> str:
        if wanted is Act.DROP:
            raise _Ended
        if wanted is Act.RESET:
            self.connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            raise _Ended
        if wanted is Act.HANG:
            self.relay._ending.wait(30)
            raise _Ended
        if wanted is Act.SIP:
            while not self.relay._ending.wait(0.1) and self.connected.recv(RECEIVE_BUFFER):
                pass
            raise _Ended
        if isinstance(wanted, Trickle):
            for character in wanted.text + "\r\n":
                self.connected.sendall(character.encode())
                time.sleep(wanted.pause)
            return wanted.text
        if wanted is Act.SWALLOW:
            self.unread = b""
        said = wanted if isinstance(wanted, str) else usual if isinstance(usual, str) else usual()
        self.connected.sendall(said.replace("\n", "\r\n").encode() + b"\r\n")
        return said

    def hello(self) -> str:
        offered = [each for each in self.relay.capabilities if each != "STARTTLS" or not self.is_secure]
        return "\n".join([f"250-{each}" for each in ("relay.example", *offered)] + ["250 HELP"])

    def sender(self, line: str) -> str:
        if self.mail_from:
            return "503 5.5.1 nested MAIL command"
        self.mail_from, self.rcpt_to = line[len("MAIL FROM:") :], ""
        return "250 2.1.0 sender ok"

    def recipient(self, line: str) -> str:
        if not self.mail_from:
            return "503 5.5.1 need MAIL first"
        self.rcpt_to = line[len("RCPT TO:") :]
        return "250 2.1.5 recipient ok"

    def reset(self) -> str:
        self.mail_from = self.rcpt_to = ""
        return "250 2.0.0 flushed"

    def authenticate(self, line: str) -> str:
        username, password = self.relay.credentials
        method, _, initial = line.removeprefix("AUTH ").partition(" ")
        if method == "LOGIN":
            told = []
            for asked in ("VXNlcm5hbWU6", "UGFzc3dvcmQ6"):
                self.connected.sendall(f"334 {asked}\r\n".encode())
                told.append(base64.b64decode(self.read_line()).decode())
            is_right = told == [username, password]
        else:
            is_right = base64.b64decode(initial).decode() == f"\0{username}\0{password}"
        return "235 2.7.0 welcome" if is_right else f"535 5.7.8 no such login as {username}"

    def body(self) -> None:
        while len(self.unread) < 3:
            self.receive()
        if wanted := self.wanted("BODY"):
            self.say(wanted)
            raise _Ended
        taken = Accepted(self.mail_from, self.rcpt_to, self.read_until_dot())
        self.mail_from = self.rcpt_to = ""
        said = self.answer_dot(taken)
        if said.startswith("421"):
            raise _Ended

    def read_until_dot(self) -> bytes:
        content = bytearray(b"\r\n" + self.unread)
        looked_at = 0
        while (end := content.find(b"\r\n.\r\n", looked_at)) < 0:
            looked_at = max(0, len(content) - 4)
            self.unread = b""
            self.receive()
            content += self.unread
        self.unread = bytes(content[end + 5 :])
        return bytes(content[2 : end + 2])

    def answer_dot(self, taken: Accepted) -> str:
        wanted = self.wanted("DOT")
        if taken.rcpt_to and (not isinstance(wanted, str) or wanted.startswith("2")):
            self.relay.accepted.append(taken)  # also where the reply is then lost
        return self.say(wanted, "250 2.0.0 queued" if taken.rcpt_to else "554 5.5.1 no valid recipients")

    def read_line(self) -> str:
        while b"\n" not in self.unread:
            self.receive()
        line, _, self.unread = self.unread.partition(b"\n")
        return line.decode("utf-8", "replace").removesuffix("\r")

    def receive(self) -> None:
        received = self.connected.recv(65536)
        if not received:
            raise _Ended
        self.unread += received

    def secure(self) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(CERTIFICATES / "relay.pem")
        plain = self.connected
        self.connected = context.wrap_socket(plain, server_side=True)
        self.relay._open.append(self.connected)
        self.is_secure = True


def trusting() -> ssl.SSLContext:
    """Return what a client that trusts the tests' authority uses."""
    return ssl.create_default_context(cafile=CERTIFICATES / "ca.pem")
