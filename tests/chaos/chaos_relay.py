"""A relay that misbehaves by a scenario's orders, and remembers durably what it truly accepted."""

import asyncio
import ssl
import threading
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from chaos_orders import Act, Answer, Moment, Orders, Stage, behave

CERTIFICATES = Path(__file__).parents[1] / "mail/certificates"
LONGEST_MAIL = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Taken:
    """One mail accepted in truth, whether or not its sender learned of it."""

    recipient: str
    message_id: str
    digest: str
    is_secret: bool


@dataclass
class ChaosRelay:
    """Runs on a thread of its own. Change *orders*, *delay_seconds* and *capabilities* at any time.

    *journal*: each mail is written there before the sender can learn that it was taken.
    *acts* counts what it did instead of answering, by stage and act.
    """

    journal: Path
    orders: Orders = behave
    delay_seconds: float = 0.0
    capabilities: tuple[str, ...] = ("PIPELINING", "SIZE 10000000", "8BITMIME", "SMTPUTF8")
    taken: list[Taken] = field(default_factory=list)
    acts: Counter[tuple[Stage, str]] = field(default_factory=Counter)
    connections: int = 0
    most_connections: int = 0
    port: int = 0

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chaos-relay")
        self._thread.start()
        self._open: set[asyncio.Task[None]] = set()
        self._times: Counter[str] = Counter()
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()
        self._do(self._end_conversations())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def begin(self, orders: Orders = behave, *, delay_seconds: float = 0.0) -> None:
        """Begin a scenario: forget what was taken, end all conversations, obey *orders*."""
        self._do(self._end_conversations())
        self.orders, self.delay_seconds = orders, delay_seconds
        self.taken.clear()
        self.acts.clear()
        self._times.clear()
        self.connections = self.most_connections = 0

    def listen(self) -> None:
        """Take connections, always on the same port."""
        self._server = self._do(self._listen())

    def refuse(self) -> None:
        """Take no more connections; those that are open go on."""
        self._do(self._refuse())

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._converse, "127.0.0.1", self.port, limit=LONGEST_MAIL)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _refuse(self) -> None:
        self._server.close()

    async def _end_conversations(self) -> None:
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.connections += 1
        self.most_connections = max(self.most_connections, len(self._open))
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError, _Ended):
            await _Conversation(self, reader, writer, self.connections).run()
        self._open.discard(task)
        writer.close()

    def take(self, recipient: str, content: bytes, *, is_secret: bool) -> None:
        """Accept a mail: from here on nobody can unsend it."""
        message_id = next(line for line in content.split(b"\r\n") if line.lower().startswith(b"message-id:"))
        said = message_id.split(b":", 1)[1].strip().decode()
        mail = Taken(recipient, said, sha256(content).hexdigest(), is_secret)
        with self.journal.open("a") as journal:
            journal.write(f"{mail.recipient} {mail.message_id} {mail.digest}\n")
        self.taken.append(mail)


class _Ended(Exception):  # noqa: N818  # it is no error
    pass


@dataclass
class _Conversation:
    relay: ChaosRelay
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int
    mail: int = 0
    recipient: str = ""
    is_secret: bool = False

    async def run(self) -> None:
        await self.answer(Stage.GREETING, "220 chaos ESMTP")
        while True:
            line = (await self.reader.readuntil(b"\r\n")).decode("utf-8", "replace").strip()
            await self.command(line)

    async def command(self, line: str) -> None:
        verb = line.partition(" ")[0].upper()
        match verb:
            case "EHLO":
                await self.hello()
            case "STARTTLS":
                await self.secure()
            case "MAIL":
                self.recipient = ""
                self.mail += 1
                await self.answer(Stage.MAIL, "250 2.1.0 ok")
            case "RCPT":
                await self.address(line.partition("<")[2].partition(">")[0])
            case "DATA":
                await self.data()
            case "QUIT":
                await self.say("221 2.0.0 bye")
                raise _Ended
            case _:
                await self.say("250 2.0.0 flushed" if verb == "RSET" else "502 5.5.1 unknown command")

    async def hello(self) -> None:
        lines = ["chaos", *(each for each in self.relay.capabilities if each != "STARTTLS" or not self.is_secret)]
        said = "\r\n".join(f"250{' ' if each is lines[-1] else '-'}{each}" for each in lines)
        await self.answer(Stage.EHLO, said)

    async def address(self, recipient: str) -> None:
        self.recipient = recipient
        self.relay._times[recipient] += 1
        if not (await self.answer(Stage.RCPT, "250 2.1.5 ok")).startswith("2"):
            self.recipient = ""

    async def data(self) -> None:
        if not self.recipient:
            await self.say("503 5.5.1 no valid recipient")
        elif (await self.answer(Stage.DATA, "354 go ahead")).startswith("354"):
            await self.body()

    async def body(self) -> None:
        first = await self.reader.readexactly(1)
        await self.answer(Stage.BODY, "")
        content = first + await self.reader.readuntil(b"\r\n.\r\n")
        if self.relay.delay_seconds:
            await asyncio.sleep(self.relay.delay_seconds)
        recipient, self.recipient = self.recipient, ""
        wanted = self.wanted(Stage.DOT, recipient)
        if wanted is None or isinstance(wanted, Act):
            self.relay.take(recipient, content, is_secret=self.is_secret)
        await self.give(wanted, "250 2.0.0 queued")

    async def secure(self) -> None:
        if (await self.answer(Stage.STARTTLS, "220 go ahead")).startswith("220"):
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(CERTIFICATES / "relay.pem")
            await self.writer.start_tls(context)
            self.is_secret = True

    def wanted(self, stage: Stage, recipient: str) -> Answer:
        """Ask the orders, and note what is not honest."""
        times = self.relay._times[recipient]
        answer = self.relay.orders(Moment(stage, self.number, self.mail, recipient, times))
        if answer is not None:
            self.relay.acts[stage, answer] += 1
        return answer

    async def answer(self, stage: Stage, honest: str) -> str:
        """Say or do what the orders want at *stage*, else what is *honest*; return what was said."""
        return await self.give(self.wanted(stage, self.recipient), honest)

    async def give(self, wanted: Answer, honest: str) -> str:
        if wanted is Act.DROP:
            raise _Ended
        if wanted is Act.RESET:
            self.writer.transport.abort()
            raise _Ended
        if wanted is Act.HANG:
            await asyncio.sleep(3600)
        if wanted is Act.TRICKLE and honest:
            for letter in f"{honest}\r\n":
                await self.say(letter, end="")
                await asyncio.sleep(0.01)
            return honest
        said = wanted if wanted and not isinstance(wanted, Act) else honest
        if said:
            await self.say(said)
        if said.startswith("421"):
            raise _Ended
        return said

    async def say(self, text: str, end: str = "\r\n") -> None:
        self.writer.write((text + end).encode())
        await self.writer.drain()
