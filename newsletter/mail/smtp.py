"""The SMTP client: one blocking connection that sends micro-batches, pipelined where the relay offers it.

It knows at every moment where the final dot is, so that each mail ends in exactly one verdict: until the kernel took
the dot the mail is certainly not accepted, after it only a reply can tell. It neither retries nor renders nor signs.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from types import TracebackType
from typing import Self

from newsletter.domain.replies import Reply, Silence, Stage, Verdict, judge, redact
from newsletter.mail.envelopes import Capabilities, Commands, Envelope, Refusal, commands
from newsletter.mail.wire import Timeouts, Wire, WireError

SERVICE_CLOSES = 421
GO_AHEAD = 354
DOT = b".\r\n"
LAST_WORDS_SECONDS = 0.1
"""How long to listen for why a relay broke off; what it said came before."""


@dataclass(frozen=True, slots=True)
class SendResult:
    """What became of one envelope. *stage* and *answer* say where and how it ended, both None if it was not begun;
    the answer's words hold no addresses.
    """

    ref: int
    verdict: Verdict
    stage: Stage | None = None
    answer: Reply | Silence | None = None

    @property
    def reply(self) -> Reply | None:
        """The relay's words; None where it said none."""
        return self.answer if isinstance(self.answer, Reply) else None


class _EndedError(Exception):
    """The conversation is over, and this is what ended it."""

    def __init__(self, stage: Stage, answer: Reply | Silence) -> None:
        super().__init__(stage, answer)
        self.stage = stage
        self.answer = answer


class _StoppedError(Exception):
    """The caller wants no further dot."""


def _never() -> bool:
    return False


def _unwatched(ref: int) -> None:
    del ref


@dataclass(slots=True)
class _Mail:
    """An envelope in the words of this relay; *follower* goes out behind its body if it may."""

    envelope: Envelope
    commands: Commands | Refusal
    follower: "_Mail | None" = None


class SMTPConnection:
    """A session with a relay, ready for mail; made by `newsletter.mail.session.open_connection`.

    *most_mails*: after so many it takes no more.
    """

    def __init__(self, wire: Wire, capabilities: Capabilities, timeouts: Timeouts, most_mails: int) -> None:
        self.capabilities = capabilities
        self._wire = wire
        self._timeouts = timeouts
        self._mails_left = most_mails
        self._is_open = True
        self._begun: _Mail | None = None  # its commands are out and its end is not yet known

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.quit()

    @property
    def is_usable(self) -> bool:
        """Whether another batch may be sent here: it is open, below its cap, and the relay has not hung up."""
        return self._is_open and self._mails_left > 0 and self._wire.is_quiet

    def send(
        self,
        batch: Sequence[Envelope],
        *,
        should_stop: Callable[[], bool] = _never,
        before_dot: Callable[[int], None] = _unwatched,
    ) -> Iterator[SendResult]:
        """Send *batch*; yield exactly one result for each envelope, in order, as soon as it is known.

        *should_stop* is asked before each mail and before each body: after a yes no dot is written, and the rest is
        `unsent`. *before_dot* is told an envelope's ref before its dot can leave. Once the connection is gone, by
        421, silence or its cap, what was not begun is `unsent`; a mail whose dot got no reply is `in_doubt`.
        Whoever stops iterating in the middle of a mail loses the connection.
        """
        mails = [_Mail(envelope, commands(envelope, self.capabilities)) for envelope in batch]
        for mail, follower in pairwise(mails):
            mail.follower = follower
        try:
            for mail in mails:
                yield self._result_of(mail, should_stop, before_dot)
        finally:
            if self._begun:
                self.close()

    def quit(self) -> None:
        """Take leave and close; safe to repeat."""
        if self._is_open and not self._begun:
            with suppress(WireError):
                self._wire.write([b"QUIT\r\n"], self._timeouts.farewell)
                self._wire.read(self._timeouts.farewell)
        self.close()

    def close(self) -> None:
        """Close at once; safe to repeat."""
        self._is_open = False
        self._begun = None
        self._wire.close()

    def _result_of(self, mail: _Mail, should_stop: Callable[[], bool], before_dot: Callable[[int], None]) -> SendResult:
        ref = mail.envelope.ref
        if not self._is_open or (self._mails_left <= 0 and self._begun is not mail):
            return SendResult(ref, Verdict.UNSENT)
        if isinstance(mail.commands, Refusal):
            return _result(mail, mail.commands.stage, mail.commands.reply)
        answer: Reply | Silence
        try:
            stage, answer = self._converse(mail, mail.commands, should_stop, before_dot)
        except _StoppedError:
            if self._begun:
                self.close()
            return SendResult(ref, Verdict.UNSENT)
        except _EndedError as ended:
            self.close()
            stage, answer = ended.stage, ended.answer
        return _result(mail, stage, answer)

    def _converse(
        self, mail: _Mail, said: Commands, should_stop: Callable[[], bool], before_dot: Callable[[int], None]
    ) -> tuple[Stage, Reply]:
        """Hand *mail* over, and return the reply that decided and where it came."""
        if should_stop():
            raise _StoppedError
        if self._begun is not mail:
            self._begin(mail, said)
        refusal, may_go_ahead = self._hear(said)
        if refusal:
            self._give_up(*refusal, may_go_ahead=may_go_ahead)
            return refusal
        if should_stop():  # after 354 the only way back is to drop the connection
            raise _StoppedError
        before_dot(mail.envelope.ref)
        return Stage.DOT, self._send_body(mail, should_stop)

    def _begin(self, mail: _Mail, said: Commands) -> None:
        """Say all that the relay lets us say at once."""
        self._begun = mail
        self._mails_left -= 1
        if self.capabilities.pipelining:
            self._write([said.mail, said.rcpt, said.data], Stage.MAIL)

    def _hear(self, said: Commands) -> tuple[tuple[Stage, Reply] | None, bool]:
        """Return the first refusal of an envelope, if any, and whether the relay now waits for a body."""
        refusal: tuple[Stage, Reply] | None = None
        for stage, command in ((Stage.MAIL, said.mail), (Stage.RCPT, said.rcpt), (Stage.DATA, said.data)):
            if not self.capabilities.pipelining:
                self._write([command], stage)
            reply = self._read(stage)
            if stage is Stage.DATA and reply.code == GO_AHEAD:
                return refusal, True
            if reply.is_negative:
                refusal = refusal or (stage, reply)
                if not self.capabilities.pipelining:
                    break
            elif stage is Stage.DATA or not reply.is_positive:
                raise _EndedError(stage, Silence.LOST)  # an answer to something else: we are out of step
        return refusal, False

    def _give_up(self, stage: Stage, reply: Reply, *, may_go_ahead: bool) -> None:
        """Bring the session back to where the next mail can begin, or close it."""
        self._begun = None
        if stage is Stage.MAIL and (may_go_ahead or reply.is_temporary):
            # It refuses us, not this mail; or it grants a body for an envelope without a sender.
            self.close()
            return
        with suppress(_EndedError):
            # Without a recipient a bare dot ends the transaction and mails nothing (RFC 2920 §3.1).
            self._write([DOT if may_go_ahead else b"RSET\r\n"], stage)
            ended = self._read(stage)
            if may_go_ahead or ended.is_positive:
                return
        self.close()

    def _send_body(self, mail: _Mail, should_stop: Callable[[], bool]) -> Reply:
        """Write the body, its dot and, where it may, the next envelope; return the reply to the dot."""
        follower = mail.follower if self.capabilities.pipelining and self._mails_left > 0 else None
        chained: list[bytes] = []
        if follower and isinstance(follower.commands, Commands) and not should_stop():
            chained = [follower.commands.mail, follower.commands.rcpt, follower.commands.data]
        is_broken = False
        try:
            self._wire.write([*mail.envelope.pieces, DOT, *chained], self._timeouts.block)
        except WireError as error:
            if error.written < mail.envelope.size + len(DOT):
                raise _EndedError(Stage.BODY, self._last_words() or error.silence) from error
            is_broken = True  # but the dot has left, and its reply may be here already
        reply = self._read(Stage.DOT)
        self._begun = None
        if is_broken:
            self.close()
        elif chained:
            self._begun = follower
            self._mails_left -= 1
        return reply

    def _last_words(self) -> Reply | None:
        """Return why the relay broke off in the middle of a body, if it said so."""
        with suppress(WireError):
            reply = self._wire.read(LAST_WORDS_SECONDS)
            return reply if reply.is_negative else None
        return None

    def _write(self, lines: Sequence[bytes], stage: Stage) -> None:
        try:
            self._wire.write(lines, self._timeouts.of(stage))
        except WireError as error:
            raise _EndedError(stage, error.silence) from error

    def _read(self, stage: Stage) -> Reply:
        try:
            reply = self._wire.read(self._timeouts.of(stage))
        except WireError as error:
            raise _EndedError(stage, error.silence) from error
        if reply.code == SERVICE_CLOSES:
            raise _EndedError(stage, reply)
        return reply


def _result(mail: _Mail, stage: Stage, answer: Reply | Silence) -> SendResult:
    verdict = judge(stage, answer)
    if isinstance(answer, Reply):
        answer = replace(answer, text=redact(answer.text, mail.envelope.rcpt_to))
    return SendResult(mail.envelope.ref, verdict, stage, answer)
