"""One conversation with a relay, driven by hand: what it carries, and what becomes of each mail, in order."""

import ssl
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from newsletter.domain.replies import Verdict
from newsletter.mail.envelopes import Envelope
from newsletter.mail.relay import Relay
from newsletter.mail.session import find_relay, open_connection
from newsletter.mail.smtp import SendResult, SMTPConnection
from newsletter.mail.steps import Loop, Task, finish
from newsletter.mail.timeouts import Timeouts


class Talk:
    """Hands mails to one connection, as a fleet would."""

    def __init__(self, connection: SMTPConnection) -> None:
        self.connection = connection
        self.is_over = False
        self._loop = Loop()
        self._task: Task | None = None
        self._queue: deque[Envelope] = deque()
        self._begun: set[int] = set()
        self._results: dict[int, SendResult] = {}
        self._should_stop: Callable[[], bool] = lambda: False
        self._before_dot: Callable[[int], object] = id

    @property
    def is_usable(self) -> bool:
        self._loop.run(0)
        connection = self.connection
        return connection.is_open and connection._has_room and connection._wire.is_quiet

    def send(
        self,
        batch: Sequence[Envelope],
        *,
        should_stop: Callable[[], bool] = lambda: False,
        before_dot: Callable[[int], object] = id,
    ) -> Iterator[SendResult]:
        """Send *batch*; yield a result for each, in order; what the connection takes no more is unsent."""
        self._should_stop, self._before_dot = should_stop, before_dot
        self._queue = deque(batch)
        if self._task is None:
            self._task = self._loop.start(self.connection.carry(self))
        self._loop.wake(self._task)
        try:
            for envelope in batch:
                while envelope.ref not in self._results and (self._begun or self._goes_on()):
                    self._loop.run(0.01)
                yield self._results.pop(envelope.ref, SendResult(envelope.ref, Verdict.UNSENT))
        finally:
            if self._begun:
                self._loop.cancel(self._task)

    def _goes_on(self) -> bool:
        return self.connection.is_open and bool(self._queue) and self.connection._has_room and not self._should_stop()

    def take(self) -> Envelope | None:
        if not self._queue or self._should_stop():
            return None
        self._begun.add(self._queue[0].ref)
        return self._queue.popleft()

    def may_send(self, envelope: Envelope) -> bool:
        del envelope
        return not self._should_stop()

    def announce(self, envelope: Envelope) -> None:
        self._before_dot(envelope.ref)

    def tell(self, result: SendResult) -> None:
        self._begun.remove(result.ref)
        self._results[result.ref] = result

    def leave(self) -> None:
        self.is_over = True
        if self._task is None:
            finish(self.connection.quit())
        self._loop.wake(self._task or Task(self.connection.quit()))
        while self.connection.is_open:
            self._loop.run(0.01)


@contextmanager
def talking(
    url: str,
    *,
    timeouts: Timeouts | None = None,
    hello_name: str = "",
    most_mails: int = 1000,
    tls_context: ssl.SSLContext | None = None,
) -> Iterator[Talk]:
    """Open a session with the relay at *url*, and leave it in the end."""
    relay = replace(Relay.parse(url), messages=most_mails)
    steps = open_connection(relay, find_relay(relay), timeouts=timeouts, hello_name=hello_name, tls_context=tls_context)
    talk = Talk(finish(steps))
    try:
        yield talk
    finally:
        talk.leave()
