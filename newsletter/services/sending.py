"""Sending: claims due deliveries in slices, writes them ahead a few at a time, sends them, records what the relay said.

A window of mails is written ahead and not recorded yet at any moment, over as many connections as the relay allows.
It rolls: as soon as about half of it is answered, one turn records that and writes as many ahead, so no connection
waits for the others of a batch. All of it happens in one thread.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import structlog

from newsletter.dispatch import Doorbell
from newsletter.domain.breakers import COUNTS
from newsletter.domain.deliveries import MICRO_BATCH, START_WINDOW, DeliveryState, Pool, Told, sending_lease
from newsletter.domain.replies import Stage, Verdict
from newsletter.errors import TransientError
from newsletter.mail.envelopes import Envelope
from newsletter.mail.fleet import Fleet
from newsletter.mail.journal import Journal, sender_name
from newsletter.mail.relay import Relay
from newsletter.mail.session import RelayUnavailableError
from newsletter.mail.smtp import SendResult
from newsletter.services import admission
from newsletter.services.alarms import accepted_beat
from newsletter.services.context import App
from newsletter.services.editions import finish_editions
from newsletter.services.guard import Lookout
from newsletter.services.settling import JOURNALS, settle_journals, tell
from newsletter.services.stops import pause_edition_in
from newsletter.services.supply import Mail, Supply
from newsletter.storage import ledger
from newsletter.storage.heartbeats import beat
from newsletter.storage.ledger import Claimed

log = structlog.get_logger()

SLICE_SECONDS = 20
"""No mail is written ahead later than this after the slice was begun; then it rings again if work remains."""
LONGEST_SLICE_SECONDS = 600
"""Where the answer to a dot is awaited for long, the slice has to live on, and goes on sending: so long at most."""
HANGS_AFTER_SECONDS = 2.0
TELL_SECONDS = 0.25
"""How long an answer waits for others to be recorded with it."""
LONGEST_RETRY_SECONDS = 10.0
LONGEST_RELAY = 80
"""Characters of a relay's name in a sender's; the whole has to fit where leases and attempts keep it."""

JUDGED = frozenset({Verdict.ACCEPTED, Verdict.RECIPIENT_FAILED, Verdict.RECIPIENT_DEFERRED, Verdict.CONTENT_REFUSED})
"""What a relay that works says of a mail, be it a no."""
BELL_OF = {Pool.BULK: Doorbell.SEND_BULK, Pool.TRANSACTIONAL: Doorbell.SEND_TRANSACTIONAL}


@dataclass(frozen=True, slots=True)
class Slice:
    """What one slice did: mails by the state they went to."""

    accepted: int = 0
    failed: int = 0
    deferred: int = 0
    in_doubt: int = 0


def send_slice(app: App, pool: Pool, *, should_stop: Callable[[], bool] = lambda: False) -> Slice:
    """Send due deliveries of a lane for some seconds; return what became of them.

    Connects to a relay before it claims anything, so one that is down costs no delivery a try; another one is then
    turned to at once. Stopping, crashing or running it twice at once loses nothing: see `newsletter.storage.ledger`.
    Rings again if work remains that may be sent now.
    """
    if not app.relays:
        return Slice()
    settle_journals(app)
    with app.reading() as tx:
        if not ledger.has_due(tx.session, pool):
            return Slice()
    counts: Counter[DeliveryState] = Counter()
    failed: set[str] = set()
    may_have_more = False  # else whatever has to wait is found by the tick
    while relay := admission.choose_relay(app, but_not=failed):
        ends_at = time.monotonic() + SLICE_SECONDS  # for each of its own: one that hangs may have used up the time
        sender = _Sender(app, relay, pool, should_stop=should_stop, ends_at=ends_at, counts=counts)
        sender.run()
        may_have_more = sender.supply.may_have_more and not sender.failure
        if not sender.failure or should_stop():
            break
        failed.add(relay.name)
    done = Slice(
        accepted=counts[DeliveryState.ACCEPTED],
        failed=counts[DeliveryState.FAILED],
        deferred=counts[DeliveryState.QUEUED],
        in_doubt=counts[DeliveryState.IN_DOUBT],
    )
    log.info("slice_sent", pool=pool.value, accepted=done.accepted, failed=done.failed, in_doubt=done.in_doubt)
    if pool is Pool.BULK:
        finish_editions(app)
    with app.transaction() as tx:
        if done.accepted:
            beat(tx.session, accepted_beat(pool))
        if may_have_more and ledger.has_due(tx.session, pool):
            tx.ring(BELL_OF[pool])
    return done


@dataclass(frozen=True, slots=True)
class _Sent:
    """A delivery that was written ahead and is not answered yet; *asked_at*: when its turn was asked for."""

    delivery: Claimed
    attempt: int
    token: str
    asked_at: float


class _Sender:
    """One slice of one lane to one relay; *failure*: where and why the relay cannot be used."""

    def __init__(
        self,
        app: App,
        relay: Relay,
        pool: Pool,
        *,
        should_stop: Callable[[], bool],
        ends_at: float,
        counts: Counter[DeliveryState],
    ) -> None:
        self.app, self.relay, self.pool = app, relay, pool
        self.failure: tuple[Stage, str] | None = None
        self._should_stop = should_stop
        self._ends_at = ends_at
        self._counts = counts
        self._wait_factor = app.settings.wait_factor
        self._start_window = START_WINDOW.total_seconds() * self._wait_factor
        self._sending_lease = sending_lease(timedelta(seconds=relay.timeout_seconds), wait_factor=self._wait_factor)
        self._window = MICRO_BATCH[pool]
        self._name = f"{sender_name()}@{relay.name[:LONGEST_RELAY]}"  # so that each attempt tells by which relay it was
        self._lookout = Lookout(app)
        self._journal = self._open_journal()
        self.supply = Supply(app, relay, pool, worker=self._name, journal=self._journal)
        self._fleet = Fleet(
            relay,
            hello_name=app.settings.domain,
            caps=admission.connection_caps(app),
            watcher=self,
            should_stop=should_stop,
        )
        self._sent: dict[int, _Sent] = {}  # by delivery, in order of their turns
        self._told: list[Told] = []  # answers that are not recorded yet
        self._told_at = 0.0  # when the first of them came
        self._turned_at = 0.0
        self._answered_count = 0
        self._has_worked = False
        self._deferred_in_a_row = 0
        self._refused: list[tuple[SendResult, Claimed]] = []

    def run(self) -> None:
        """Send until nothing is due, time is up, somebody asks to stop, or the relay cannot be used.

        Whatever ends it, answers that came are recorded and nothing stays on lease; an error leaves the journal.
        """
        is_settled = False
        try:
            if self._open():
                self._work()
            if self.supply.lost:
                raise self.supply.lost
            is_settled = True
        finally:
            try:
                self._wind_up(is_settled=is_settled)
            except BaseException:
                is_settled = False
                raise
            finally:
                if self._journal:
                    self._journal.close(is_settled=is_settled)

    def before_dot(self, envelope: Envelope) -> None:
        """Note in the journal that a mail's dot may leave; called by the fleet."""
        if self._journal:
            self._journal.dot(envelope.ref, self._sent[envelope.ref].attempt)

    def after(self, result: SendResult) -> None:
        """Note an answer in the journal; called by the fleet."""
        if self._journal:
            self._journal.answer(self._sent[result.ref].attempt, result)

    def _open_journal(self) -> Journal | None:
        try:
            return Journal.open(self.app.settings.home / JOURNALS, self._name)
        except OSError as error:
            log.warning("no_journal", error=str(error))  # who dies then leaves a window in doubt, not a mail
            return None

    def _open(self) -> bool:
        try:
            return self._fleet.open()
        except RelayUnavailableError as error:
            log.warning("relay_unavailable", error=str(error))
            self._fail(error.stage, str(error))
            return False

    def _fail(self, stage: Stage, words: str) -> None:
        self.failure = stage, words
        admission.report_failure(self.app, self.relay, stage, words)

    def _work(self) -> None:
        while not self._should_stop():
            if not self._fleet.is_afloat:
                break
            now = time.monotonic()
            if self._told and not self._sent:
                self._turn([], "")  # before the next claim, which may find some of these again
            if self._may_begin(now) and self._lookout.is_clear():
                self.supply.claim_more(now, at_least=self._window, speed=self._speed(now))
                if self.supply.is_exhausted and not self._sent and not self.supply:
                    break
            elif not self._sent:
                break
            self.supply.give_back_old(now)
            self._turn_if_due(now)
            has_made = self._may_begin(now) and self.supply.make_some()
            self._hear(self._fleet.run(0 if has_made else TELL_SECONDS))
            if self.failure:
                break

    def _may_begin(self, now: float) -> bool:
        """Say whether mail may still be written ahead: the slice is not over, or has to wait for somebody who hangs."""
        if now < self._ends_at:
            return True
        hangs = bool(self._sent) and now - next(iter(self._sent.values())).asked_at > HANGS_AFTER_SECONDS
        return hangs and now < self._ends_at + LONGEST_SLICE_SECONDS

    def _speed(self, now: float) -> float:
        """Return the mails a second so far."""
        spent = now - (self._ends_at - SLICE_SECONDS)
        return self._answered_count / spent if spent > 0 else 0.0

    # Turns.

    def _turn_if_due(self, now: float) -> None:
        """Record what was answered and write as many ahead, where a connection would else run dry or answers wait."""
        is_late = self._told and now - self._told_at > TELL_SECONDS
        room = self._window - len(self._sent)
        may_begin = bool(self.supply) and not self._fleet.waiting_count and room > 0 and self._may_begin(now)
        if may_begin and (room >= max(1, self._window // 2) or now - self._turned_at > TELL_SECONDS):
            token, chosen = self.supply.take(room)
            self._turn(chosen, token)
        elif is_late:
            self._turn([], "")

    def _turn(self, chosen: Sequence[Mail], token: str) -> None:
        """Take a turn, and hand over what it cleared; without a database the answers are kept until they are written.

        Raises:
            TransientError: there is no database and somebody asked to stop: the journal keeps the answers.
        """
        mails = {delivery.id: (delivery, pieces) for delivery, pieces in chosen}
        asked_at = self._turned_at = time.monotonic()
        pause = 0.2
        while True:
            told, self._told = self._told, []
            try:
                with self.app.at_once() as tx:
                    attempts = ledger.take_turn(
                        tx.session,
                        told=told,
                        next_ids=list(mails),
                        token=token,
                        worker=self._name,
                        lease=self._sending_lease,
                        epoch=self._lookout.epoch,
                    )
                break
            except TransientError as error:
                self._told = told + self._told
                log.warning("turn_not_written", told=len(told), error=str(error))
                if self._journal and self._should_stop():
                    raise
                self._rest(pause)
                pause = min(pause * 2, LONGEST_RETRY_SECONDS)
        start_before = asked_at + self._start_window
        envelopes = []
        for ref, attempt in attempts.items():
            delivery, pieces = mails[ref]
            self._sent[ref] = _Sent(delivery, attempt, token, asked_at)
            envelopes.append(
                Envelope(
                    ref=ref,
                    mail_from=self.supply.builder.return_path(delivery),
                    rcpt_to=delivery.address,
                    pieces=pieces,
                    envelope_id=delivery.mail_token,
                    provider=delivery.provider,
                    start_before=start_before,
                )
            )
        if envelopes:
            self._fleet.send(envelopes)

    def _rest(self, seconds: float) -> None:
        """Let what is begun go on for *seconds*, or until somebody asks to stop."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._should_stop():
            if self._sent:
                self._note(self._fleet.run(left))
            else:
                time.sleep(min(left, TELL_SECONDS))

    # Answers.

    def _hear(self, results: Sequence[SendResult]) -> None:
        """Keep what the relay said; act upon what concerns others too."""
        if self._note(results):
            self._judge_relay(results)
        if self._refused:
            self._turn([], "")  # first, since what follows may fail and answers count
            self._raise_alarms()

    def _note(self, results: Sequence[SendResult]) -> bool:
        if not results:
            return False
        if self._journal:
            self._journal.flush()
        if not self._told:
            self._told_at = time.monotonic()
        for result in results:
            sent = self._sent.pop(result.ref)
            told = tell(
                result,
                attempt=sent.attempt,
                token=sent.token,
                tries=sent.delivery.tries,
                may_retry_content=sent.delivery.edition_id is not None,
                jitter=random.random(),  # noqa: S311  it spreads retries and guards nothing
                wait_factor=self._wait_factor,
            )
            if self._may_go_elsewhere(result):
                told = told._replace(wait=timedelta())
            self._told.append(told)
            self._counts[told.state] += 1
            if told.state is DeliveryState.QUEUED and not told.wait:
                self.supply.expect_more()
            if result.verdict in (Verdict.CONTENT_REFUSED, Verdict.POLICY_REFUSED):
                self._refused.append((result, sent.delivery))
        self._answered_count += len(results)
        return True

    def _may_go_elsewhere(self, result: SendResult) -> bool:
        """Say whether a mail need not wait for this relay to recover, since there is another."""
        return result.verdict is Verdict.RELAY_DEFERRED and result.stage in COUNTS and len(self.app.relays) > 1

    def _judge_relay(self, results: Sequence[SendResult]) -> None:
        """Find out whether the relay works: it judged a mail; or it judged none, and refuses or breaks off all."""
        had_worked = self._has_worked
        for result in results:
            if result.verdict in JUDGED:
                self._has_worked, self._deferred_in_a_row = True, 0
            elif result.verdict in (Verdict.RELAY_DEFERRED, Verdict.IN_DOUBT):
                self._deferred_in_a_row += 1
                if not self._has_worked or self._deferred_in_a_row > self._window:
                    self._fail(result.stage or Stage.MAIL, str(result.answer))
                    return
        if self._has_worked and not had_worked:
            admission.report_success(self.app, self.relay)

    def _raise_alarms(self) -> None:
        """Tell staff what is our own fault, and stop what would fail for everybody."""
        refused, self._refused = self._refused, []
        for result, delivery in refused:
            code = result.reply.code if result.reply else None
            log.error(result.verdict.value, delivery_id=delivery.id, edition_id=delivery.edition_id, code=code)
        for result, delivery in refused:
            if result.verdict is Verdict.CONTENT_REFUSED and delivery.edition_id is not None:
                said = f"{result.reply.code} {result.reply.text}" if result.reply else ""
                with self.app.transaction() as tx:
                    pause_edition_in(tx, delivery.edition_id, f"the relay refused its content: {said}".rstrip(" :"))
                self._hear(self._fleet.withdraw())  # the turn lets through what is not of that edition

    # The end.

    def _wind_up(self, *, is_settled: bool) -> None:
        """Give back at once what is not begun, since a reply may take minutes; end and record what is."""
        if is_settled:
            with suppress(TransientError):  # it is tried again
                self.supply.give_back_all()
        try:
            self._end_what_is_begun()
        finally:
            try:
                if self._told:
                    self._turn([], "")
            finally:
                self._raise_alarms()
        if not self.failure and not self._fleet.is_afloat and self._fleet.failure:
            self._fail(*self._fleet.failure)
        if is_settled:
            self.supply.give_back_all()

    def _end_what_is_begun(self) -> None:
        self._note(self._fleet.withdraw())
        while self._sent and self._fleet.is_afloat:
            self._note(self._fleet.run(TELL_SECONDS))
            if self._told and time.monotonic() - self._told_at > TELL_SECONDS:
                self._turn([], "")
        self._note(self._fleet.close())
