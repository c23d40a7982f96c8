"""The SMTP client: one connection that carries mail after mail, pipelined where the relay offers it.

It knows at every moment where the final dot is, so that each mail ends in exactly one verdict: until the kernel took
the dot the mail is certainly not accepted, after it only a reply can tell. It neither retries nor renders nor signs.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from newsletter.domain.replies import Reply, Silence, Stage, Verdict, judge, redact
from newsletter.mail.envelopes import Capabilities, Commands, Envelope, commands
from newsletter.mail.steps import Steps
from newsletter.mail.timeouts import Timeouts
from newsletter.mail.wire import Heard, Wire, WireError

SERVICE_CLOSES = 421
GO_AHEAD = 354
NEGATIVE = 400
POSITIVE = range(200, 300)
DOT = b".\r\n"
LAST_WORDS_SECONDS = 0.1
"""How long to listen for why a relay broke off; what it said came before."""


class SendResult(NamedTuple):
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


class Work(Protocol):
    """Where connections get their mails, and where they tell what became of them: once for each."""

    @property
    def is_over(self) -> bool:
        """Whether no more will come."""

    def take(self) -> Envelope | None:
        """Hand out a mail to be begun now; None: there is none, and whoever asked is woken when there may be."""

    def may_send(self, envelope: Envelope) -> bool:
        """Say whether its body may still follow."""

    def announce(self, envelope: Envelope) -> None:
        """Hear that its dot may leave from now on."""

    def tell(self, result: SendResult) -> None:
        """Hear what became of a mail that was handed out."""


class _EndedError(Exception):
    """The conversation is over, and this is what ended it."""

    def __init__(self, stage: Stage, answer: Reply | Silence) -> None:
        super().__init__(stage, answer)
        self.stage = stage
        self.answer = answer


class _StoppedError(Exception):
    """The dot may not be written any more."""


@dataclass(slots=True)
class _Mail:
    """An envelope in the words of this relay; *has_dot*: its dot may have left."""

    envelope: Envelope
    commands: Commands
    has_dot: bool = False


class SMTPConnection:
    """A session with a relay, ready for mail; made by `newsletter.mail.session.open_connection`.

    After *most_mails*, and after *age_seconds*, it takes no more.
    """

    def __init__(
        self, wire: Wire, capabilities: Capabilities, timeouts: Timeouts, *, most_mails: int, age_seconds: float
    ) -> None:
        self.capabilities = capabilities
        self.is_open = True
        self._wire = wire
        self._timeouts = timeouts
        self._mails_left = most_mails
        self._ends_at = time.monotonic() + age_seconds
        self._begun: list[_Mail] = []  # at most two: one whose end is awaited, and one whose commands follow its body

    @property
    def awaits_dot(self) -> bool:
        """Whether a mail's dot may have left and its reply has not come: closing now would leave it in doubt."""
        return any(mail.has_dot for mail in self._begun)

    def carry(self, work: Work) -> Steps[None]:
        """Send what *work* hands out until that is over, or this connection is used up or gone.

        Whoever ends these steps in between loses the connection: what was begun is told as unsent, or as in doubt.
        """
        try:
            while mail := (yield from self._next(work)):
                yield from self._hand_over(mail, work)
            yield from self.quit()
        finally:
            self.close()
            for mail in self._begun:
                silence = Silence.LOST if mail.has_dot else None
                work.tell(
                    _result(mail, Stage.DOT, silence) if silence else SendResult(mail.envelope.ref, Verdict.UNSENT)
                )
            self._begun = []

    def quit(self) -> Steps[None]:
        """Take leave and close; safe to repeat."""
        if self.is_open and not self._begun:
            with suppress(WireError):
                yield from self._wire.write([b"QUIT\r\n"], self._timeouts.farewell)
                yield from self._wire.read(self._timeouts.farewell)
        self.close()

    def close(self) -> None:
        """Close at once; safe to repeat."""
        self.is_open = False
        self._wire.close()

    def _next(self, work: Work) -> Steps[_Mail | None]:
        """Return the mail to go on with, once there is one; None: this connection takes no more."""
        while self.is_open:
            if self._begun:
                return self._begun[0]
            if mail := self._take(work):
                yield from self._begin(mail)
                return mail
            if work.is_over or not self._has_room:
                return None
            if not (yield from self._wire.idle(self._ends_at)):
                return None
        return None

    @property
    def _has_room(self) -> bool:
        return self._mails_left > 0 and time.monotonic() < self._ends_at

    def _take(self, work: Work) -> _Mail | None:
        """Take a mail that may be offered to this relay; those that may not have their answer at once."""
        while self._has_room and (envelope := work.take()):
            said = commands(envelope, self.capabilities)
            if isinstance(said, Commands):
                mail = _Mail(envelope, said)
                self._mails_left -= 1
                self._begun.append(mail)
                return mail
            work.tell(_result_of(envelope, said.stage, said.reply))
        return None

    def _begin(self, mail: _Mail) -> Steps[None]:
        """Say all that the relay lets us say at once."""
        if self.capabilities.pipelining:
            with suppress(WireError):  # the reply that fails to come says so too, and may say more
                yield from self._wire.write(mail.commands, self._timeouts.of(Stage.MAIL))

    def _hand_over(self, mail: _Mail, work: Work) -> Steps[None]:
        try:
            stage, answer = yield from self._converse(mail, work)
        except _StoppedError:
            self.close()
            result = SendResult(mail.envelope.ref, Verdict.UNSENT)
        except _EndedError as ended:
            self.close()
            result = _result(mail, ended.stage, ended.answer)
        else:
            result = _result(mail, stage, answer)
        self._begun.remove(mail)
        work.tell(result)

    def _converse(self, mail: _Mail, work: Work) -> Steps[tuple[Stage, Reply]]:
        """Hand *mail* over, and return the reply that decided and where it came."""
        refusal, may_go_ahead = yield from self._hear(mail.commands)
        if refusal:
            yield from self._give_up(*refusal, may_go_ahead=may_go_ahead)
            return refusal
        if not work.may_send(mail.envelope):  # after 354 the only way back is to drop the connection
            raise _StoppedError
        work.announce(mail.envelope)
        is_broken = yield from self._send_body(mail, work)
        reply = yield from self._await_reply(work)
        if is_broken:
            self.close()
        return Stage.DOT, reply

    def _hear(self, said: Commands) -> Steps[tuple[tuple[Stage, Reply] | None, bool]]:
        """Return the first refusal of an envelope, if any, and whether the relay now waits for a body."""
        refusal: tuple[Stage, Reply] | None = None
        for stage, command in zip(_ENVELOPE_STAGES, said, strict=True):
            if not self.capabilities.pipelining:
                yield from self._write([command], stage)
            heard = self._heard(stage) or (yield from self._read(stage))
            if stage is Stage.DATA and heard.code == GO_AHEAD:
                return refusal, True
            if heard.code >= NEGATIVE:
                refusal = refusal or (stage, _reply_of(heard, stage))
                if not self.capabilities.pipelining:
                    break
            elif stage is Stage.DATA or heard.code not in POSITIVE:
                raise _EndedError(stage, Silence.LOST)  # an answer to something else: we are out of step
        return refusal, False

    def _give_up(self, stage: Stage, reply: Reply, *, may_go_ahead: bool) -> Steps[None]:
        """Bring the session back to where the next mail can begin, or close it."""
        if stage is Stage.MAIL and (may_go_ahead or reply.is_temporary):
            # It refuses us, not this mail; or it grants a body for an envelope without a sender.
            self.close()
            return
        with suppress(_EndedError):
            # Without a recipient a bare dot ends the transaction and mails nothing (RFC 2920 §3.1).
            yield from self._write([DOT if may_go_ahead else b"RSET\r\n"], stage)
            ended = yield from self._read(stage)
            if may_go_ahead or ended.code in POSITIVE:
                return
        self.close()

    def _send_body(self, mail: _Mail, work: Work) -> Steps[bool]:
        """Write the body, its dot and, where it may, the next envelope; say whether the connection broke behind it."""
        mail.has_dot = True
        chained = self._chain(work)
        behind = sum(map(len, chained))
        envelope = mail.envelope
        try:
            if not self._wire.post([*envelope.pieces, DOT, *chained], envelope.size + len(DOT) + behind):
                yield from self._wire.flush(self._timeouts.body)
        except WireError as error:
            if error.unwritten > behind:
                mail.has_dot = False
                raise _EndedError(Stage.BODY, (yield from self._last_words()) or error.silence) from error
            return True  # but the dot has left, and its reply may be here already
        return False

    def _chain(self, work: Work) -> Sequence[bytes]:
        """Return the commands of the next envelope, if there is one that may follow a body at once."""
        if not self.capabilities.pipelining or len(self._begun) > 1:
            return ()
        follower = self._take(work)
        return follower.commands if follower else ()

    def _await_reply(self, work: Work) -> Steps[Reply]:
        """Return the reply to the dot; an envelope that comes up meanwhile goes out behind it at once."""
        deadline = time.monotonic() + self._timeouts.dot
        while (heard := self._heard(Stage.DOT)) is None:
            try:
                yield from self._wire.receive(deadline)
                if chained := self._chain(work):
                    self._wire.post(chained)
            except WireError as error:
                raise _EndedError(Stage.DOT, error.silence) from error
        return _reply_of(heard, Stage.DOT)

    def _last_words(self) -> Steps[Reply | None]:
        """Return why the relay broke off in the middle of a body, if it said so."""
        with suppress(WireError):
            reply = (yield from self._wire.read(LAST_WORDS_SECONDS)).reply
            return reply if reply.is_negative else None
        return None

    def _write(self, lines: Sequence[bytes], stage: Stage) -> Steps[None]:
        try:
            yield from self._wire.write(lines, self._timeouts.of(stage))
        except WireError as error:
            raise _EndedError(stage, error.silence) from error

    def _read(self, stage: Stage) -> Steps[Heard]:
        deadline = time.monotonic() + self._timeouts.of(stage)
        while (heard := self._heard(stage)) is None:
            try:
                yield from self._wire.receive(deadline)
            except WireError as error:
                raise _EndedError(stage, error.silence) from error
        return heard

    def _heard(self, stage: Stage) -> Heard | None:
        """Return the next reply if it is here."""
        try:
            heard = self._wire.next_reply()
        except WireError as error:
            raise _EndedError(stage, error.silence) from error
        if heard and heard.code == SERVICE_CLOSES:
            raise _EndedError(stage, _reply_of(heard, stage))
        return heard


_ENVELOPE_STAGES = (Stage.MAIL, Stage.RCPT, Stage.DATA)


def _reply_of(heard: Heard, stage: Stage) -> Reply:
    try:
        return heard.reply
    except WireError as error:
        raise _EndedError(stage, error.silence) from error


def _result(mail: _Mail, stage: Stage, answer: Reply | Silence) -> SendResult:
    return _result_of(mail.envelope, stage, answer)


def _result_of(envelope: Envelope, stage: Stage, answer: Reply | Silence) -> SendResult:
    verdict = judge(stage, answer)
    if isinstance(answer, Reply) and (words := redact(answer.text, envelope.rcpt_to)) != answer.text:
        answer = answer._replace(text=words)
    return SendResult(envelope.ref, verdict, stage, answer)
