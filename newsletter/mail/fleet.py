"""Several connections to one relay at once, in one thread: what one of them waits for keeps no other waiting.

Mails go to whichever connection is free first. A connection that is used up, or that broke after it had carried mail,
is replaced while the others go on; one that cannot be opened, or broke before it carried any, is not.
"""

import ssl
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import structlog

from newsletter.domain.replies import Stage, Verdict
from newsletter.mail.envelopes import Envelope
from newsletter.mail.relay import Relay
from newsletter.mail.session import Place, RelayUnavailableError, find_relay, open_connection
from newsletter.mail.smtp import SendResult, SMTPConnection
from newsletter.mail.steps import Loop, Steps, Task
from newsletter.mail.timeouts import Timeouts

log = structlog.get_logger()

LOOK_SECONDS = 0.1
"""How often a fleet that waits looks whether it is to stop, and whether a mail has come too late."""
ANY_NUMBER = 1 << 31
BREAKS_OFF = (Verdict.RELAY_DEFERRED, Verdict.IN_DOUBT)


class Watcher(Protocol):
    """Hears of each mail twice, as it happens; nothing else is done before it returns."""

    def before_dot(self, envelope: Envelope) -> None:
        """Hear that a mail's dot may leave from now on."""

    def after(self, result: SendResult) -> None:
        """Hear what became of a mail."""


class _Nobody:
    def before_dot(self, envelope: Envelope) -> None:
        pass

    def after(self, result: SendResult) -> None:
        pass


class Fleet:
    """Connections to *relay*, opened as there is mail for them, up to the number that it says; close it in the end.

    *caps*: how many mails for a provider one connection may carry. *should_stop* is asked before each mail and each
    dot: after a yes none is begun, and whoever hangs before a dot is given up. *hello_name*, *timeouts* and
    *tls_context* as `newsletter.mail.session.open_connection`.
    """

    def __init__(
        self,
        relay: Relay,
        *,
        hello_name: str = "",
        timeouts: Timeouts | None = None,
        tls_context: ssl.SSLContext | None = None,
        caps: Mapping[str, int] | None = None,
        watcher: Watcher | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.relay = relay
        self.has_delivered = False
        self.failure: tuple[Stage, str] | None = None
        """Where and why the last connection ended that had carried no mail."""
        self._hello_name, self._timeouts, self._tls_context = hello_name, timeouts, tls_context
        self._caps = caps or {}
        self.watcher: Watcher = watcher or _Nobody()
        self.should_stop = should_stop
        self._loop = Loop()
        self._places: Sequence[Place] = ()
        self._berths: list[_Berth] = []
        self._most = relay.connections
        self._waiting: deque[Envelope] = deque()
        self._results: list[SendResult] = []
        self.is_over = False
        self._next_look = 0.0

    @property
    def waiting_count(self) -> int:
        """How many mails are not begun."""
        return len(self._waiting)

    @property
    def begun_count(self) -> int:
        """How many mails are begun and their end not known."""
        return sum(len(berth.begun) for berth in self._berths)

    @property
    def is_afloat(self) -> bool:
        """Whether there is a connection, or one may still be opened."""
        return bool(self._berths) or self._most > 0

    @property
    def awaits_dots(self) -> bool:
        """Whether any mail's dot has left and its reply has not come."""
        return any(berth.awaits_dot for berth in self._berths)

    def open(self) -> bool:
        """Open the first connection; say whether there is one: False after a stop.

        Raises:
            RelayUnavailableError: there is none to be had; says at which stage.
        """
        self._places = find_relay(self.relay)
        first = self._launch()
        while first in self._berths and not first.connection:
            if self.should_stop():
                self.close()
                return False
            self._loop.run(LOOK_SECONDS)
        if first.error:
            raise first.error
        return True

    def send(self, envelopes: Iterable[Envelope]) -> None:
        """Have *envelopes* sent, in this order as far as connections allow; `run` returns what becomes of them."""
        self._waiting.extend(envelopes)
        self._man()
        self._wake_all()

    def run(self, seconds: float) -> list[SendResult]:
        """Go on for up to *seconds*, or until something is known; return that: each mail's result once."""
        if not self._results:
            self._loop.run(min(seconds, LOOK_SECONDS))
        if time.monotonic() >= self._next_look:
            self._look()
        return self._harvest()

    def withdraw(self) -> list[SendResult]:
        """Take back what was not begun; return its results, unsent, with all that is known."""
        self._drop_waiting()
        return self._harvest()

    def close(self) -> list[SendResult]:
        """End all connections, politely where they are free; return what is then known of mails not told of yet."""
        self.is_over = True
        for berth in list(self._berths):
            if berth.begun or not berth.connection:
                self._cancel(berth)
        self._wake_all()
        while self._berths:  # as long as a farewell may take
            self._loop.run(LOOK_SECONDS)
        return self.withdraw()

    def _drop_waiting(self) -> None:
        while self._waiting:
            self.hear(SendResult(self._waiting.popleft().ref, Verdict.UNSENT))

    def _harvest(self) -> list[SendResult]:
        results, self._results = self._results, []
        return results

    def _look(self) -> None:
        """Give up what hangs: all that is before its dot after a stop, else what may not be begun any more."""
        now = time.monotonic()
        self._next_look = now + LOOK_SECONDS
        is_stopping = self.should_stop()
        if is_stopping or (self._waiting and self._waiting[0].start_before < now):
            self._drop_waiting()
        for berth in list(self._berths):
            if berth.is_late(now) or (is_stopping and not berth.awaits_dot and (berth.begun or not berth.connection)):
                self._cancel(berth)

    def _man(self) -> None:
        """Open as many connections as there is mail for."""
        if not self._waiting or self.is_over or self.should_stop():
            return
        for _ in range(min(self._most, len(self._waiting) + self.begun_count) - len(self._berths)):
            self._launch()

    def _wake_all(self) -> None:
        for berth in self._berths:
            if berth.task and berth.connection:
                self._loop.wake(berth.task)

    def _launch(self) -> "_Berth":
        berth = _Berth(self)
        self._berths.append(berth)
        berth.task = self._loop.start(self._serve(berth))
        return berth

    def _serve(self, berth: "_Berth") -> Steps[None]:
        """Open a connection, and have it carry mail for the rest of its life."""
        try:
            berth.connection = yield from open_connection(
                self.relay,
                self._places,
                timeouts=self._timeouts,
                hello_name=self._hello_name,
                tls_context=self._tls_context,
            )
            yield from berth.connection.carry(berth)
        except RelayUnavailableError as error:
            berth.error = error
            self._lose(error.stage, str(error))
        finally:
            self._berths.remove(berth)
            if berth.broke_off and not berth.has_delivered:
                self._lose(*berth.broke_off)
            self._man()

    def _cancel(self, berth: "_Berth") -> None:
        if berth.task:
            self._loop.cancel(berth.task)

    def _lose(self, stage: Stage, words: str) -> None:
        """Make do with one connection less: this relay does not take as many, or none at all."""
        self._most -= 1
        self.failure = stage, words
        log.warning("connection_lost", relay=self.relay.name, stage=stage.value, error=words)

    def hand_out(self, berth: "_Berth") -> Envelope | None:
        """Hand out the first mail that may go over the connection of *berth*."""
        if not self._waiting or self.is_over or self.should_stop():
            return None
        for place, envelope in enumerate(self._waiting):
            if berth.carried[envelope.provider] < self._caps.get(envelope.provider, ANY_NUMBER):
                del self._waiting[place]
                return envelope
        berth.is_used_up = True
        return None

    def hear(self, result: SendResult) -> None:
        """Hear what became of a mail."""
        self.has_delivered |= result.verdict is Verdict.ACCEPTED
        self.watcher.after(result)
        self._results.append(result)


class _Berth:
    """A place for one connection: what is begun in it, and what it has carried for each provider."""

    def __init__(self, fleet: Fleet) -> None:
        self.task: Task | None = None
        self.connection: SMTPConnection | None = None
        self.error: RelayUnavailableError | None = None
        self.begun: dict[int, Envelope] = {}
        self.carried: Counter[str] = Counter()
        self.has_delivered = False
        self.broke_off: tuple[Stage, str] | None = None
        self.is_used_up = False
        self._fleet = fleet

    @property
    def is_over(self) -> bool:
        """Whether no more mails will come here."""
        return self._fleet.is_over or self.is_used_up

    @property
    def awaits_dot(self) -> bool:
        return self.connection is not None and self.connection.awaits_dot

    def is_late(self, now: float) -> bool:
        """Say whether what is begun here may not be sent any more, and hangs."""
        return bool(self.begun) and not self.awaits_dot and min(e.start_before for e in self.begun.values()) < now

    def take(self) -> Envelope | None:
        envelope = self._fleet.hand_out(self)
        if envelope:
            self.carried[envelope.provider] += 1
            self.begun[envelope.ref] = envelope
        return envelope

    def may_send(self, envelope: Envelope) -> bool:
        return time.monotonic() <= envelope.start_before and not self._fleet.should_stop()

    def announce(self, envelope: Envelope) -> None:
        self._fleet.watcher.before_dot(envelope)

    def tell(self, result: SendResult) -> None:
        del self.begun[result.ref]
        self.has_delivered |= result.verdict is Verdict.ACCEPTED
        if result.verdict in BREAKS_OFF and result.stage:
            self.broke_off = result.stage, str(result.answer)
        self._fleet.hear(result)
