"""Sending: claims due deliveries in slices, writes them ahead a few at a time, sends them, records what the relay said.

A window of mails is written ahead and not recorded yet at any moment, over as many connections as the relay allows.
It rolls: as soon as about half of it is answered, one turn records that and writes as many ahead, so no connection
waits for the others of a batch. All of it happens in one thread.
"""

import math
import random
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import structlog

from newsletter.dispatch import Doorbell
from newsletter.domain.breakers import COUNTS
from newsletter.domain.deliveries import (
    LEASE,
    MICRO_BATCH,
    START_WINDOW,
    DeliveryState,
    Pool,
    Told,
    sending_lease,
)
from newsletter.domain.replies import Stage, Verdict, redact
from newsletter.errors import NewsletterError, TransientError
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
from newsletter.services.mailing import EditionNotMailableError, MailBuilder
from newsletter.services.settling import JOURNALS, settle_journals, tell
from newsletter.services.stops import pause_edition_in
from newsletter.storage import ledger
from newsletter.storage.heartbeats import beat
from newsletter.storage.ledger import Claimed

log = structlog.get_logger()

SLICE_SECONDS = 20
"""No mail is written ahead later than this after the slice was begun; then it rings again if work remains."""
LONGEST_SLICE_SECONDS = 600
"""Where the answer to a dot is awaited for long, the slice has to live on, and goes on sending: so long at most."""
HANGS_AFTER_SECONDS = 2.0
MOST_CLAIMED = 200
"""Deliveries on lease at once; a lease sends nothing, but whoever dies leaves them to be found."""
TELL_SECONDS = 0.25
"""How long an answer waits for others to be recorded with it."""
LOOK_AGAIN_SECONDS = 1.0
"""How often a slice that has nothing more to claim, and still awaits answers, looks for new work."""
LONGEST_WAIT_SECONDS = 5.0
"""How long a slice waits for a rate to allow more; past that it ends, and the tick rings."""
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
        may_have_more = sender.may_have_more and not sender.failure
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


@dataclass(slots=True)
class _Lease:
    """What one claim brought and is not written ahead yet, with its mails."""

    token: str
    since: float
    mails: deque[tuple[Claimed, list[bytes]]]


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
        self.may_have_more = True
        self._should_stop = should_stop
        self._ends_at = ends_at
        self._counts = counts
        self._builder = MailBuilder(app.settings)
        self._wait_factor = app.settings.wait_factor
        self._start_window = START_WINDOW.total_seconds() * self._wait_factor
        self._sending_lease = sending_lease(timedelta(seconds=relay.timeout_seconds), wait_factor=self._wait_factor)
        self._window = MICRO_BATCH[pool]
        self._name = f"{sender_name()}@{relay.name[:LONGEST_RELAY]}"  # so that each attempt tells by which relay it was
        self._journal = self._open_journal()
        self._fleet = Fleet(
            relay,
            hello_name=app.settings.domain,
            caps=admission.connection_caps(app),
            watcher=self,
            should_stop=should_stop,
        )
        self._leases: deque[_Lease] = deque()
        self._sent: dict[int, _Sent] = {}  # by delivery, in order of their turns
        self._told: list[Told] = []  # answers that are not recorded yet
        self._told_at = 0.0  # when the first of them came
        self._turned_at = 0.0
        self._claim_again_at = 0.0
        self._is_exhausted = False
        self._lost: TransientError | None = None  # the database, at a claim: who knows what it leased
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
            if self._lost:
                raise self._lost
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
            if self._may_begin(now):
                self._claim_more(now)
                if self._is_exhausted and not self._sent and not self._leases:
                    break
            elif not self._sent:
                break
            self._give_back_old(now)
            self._turn_if_due(now)
            self._hear(self._fleet.run(TELL_SECONDS))
            if self.failure:
                break

    def _may_begin(self, now: float) -> bool:
        """Say whether mail may still be written ahead: the slice is not over, or has to wait for somebody who hangs."""
        if now < self._ends_at:
            return True
        hangs = bool(self._sent) and now - next(iter(self._sent.values())).asked_at > HANGS_AFTER_SECONDS
        return hangs and now < self._ends_at + LONGEST_SLICE_SECONDS

    # Claiming.

    def _claim_more(self, now: float) -> None:
        """See to it that there is mail for the next turn."""
        if now < self._claim_again_at or sum(len(lease.mails) for lease in self._leases) >= self._window:
            return
        token = uuid.uuid4().hex
        try:
            batch = self._claim(self._claim_size(now), token)
        except TransientError as error:
            self._lost, self._is_exhausted, self._claim_again_at = error, True, math.inf
            return
        if not batch:
            self._wait_for_more(now)
            return
        self._is_exhausted, self.may_have_more = False, True
        self._touch(batch)  # a crash in here leaves them leased, to be found out one by one
        try:
            with self.app.reading() as tx:
                self._builder.load(tx.session, batch)
        except TransientError:
            if self._journal:
                self._journal.let_go()  # it was not these mails
            raise
        self._leases.append(_Lease(token, now, deque(self._build(batch, token))))
        if self._journal:
            self._journal.let_go()

    def _claim(self, most: int, token: str) -> list[Claimed]:
        with self.app.transaction() as tx:
            batch = ledger.claim(
                tx.session,
                pool=self.pool,
                allowance=admission.admit(tx, self.relay, self.pool, most),
                worker=self._name,
                token=token,
                lease=LEASE * self._wait_factor,
            )
            admission.charge(tx, self.relay, self.pool, Counter(each.provider for each in batch))
        return batch

    def _claim_size(self, now: float) -> int:
        """Return how many to claim: no more than are sent well within their lease, at the speed so far."""
        spent = now - (self._ends_at - SLICE_SECONDS)
        speed = self._answered_count / spent if spent > 0 else 0.0
        well_within = LEASE.total_seconds() * self._wait_factor / 4
        return max(self._window, min(MOST_CLAIMED, int(speed * well_within)))

    def _wait_for_more(self, now: float) -> None:
        """Nothing could be claimed: find out whether that is for lack of mail, and when to look again."""
        wait = admission.seconds_until_admitted(self.app, self.relay, self.pool)
        self.may_have_more = 0 < wait < LONGEST_WAIT_SECONDS
        self._is_exhausted = not self.may_have_more
        self._claim_again_at = now + (wait if self.may_have_more else LOOK_AGAIN_SECONDS)

    def _touch(self, batch: Sequence[Claimed]) -> None:
        if self._journal:
            self._journal.touch(each.id for each in batch)

    def _build(self, batch: Sequence[Claimed], token: str) -> list[tuple[Claimed, list[bytes]]]:
        """Return each delivery with its bytes; one that cannot be built has failed and harms no other.

        Where none of an edition can, the edition is paused and its mail goes back into the queue.
        """
        mails = []
        for delivery in batch:
            try:
                mails.append((delivery, self._builder.build(delivery)))
            except EditionNotMailableError as error:
                self._give_up_edition(error, delivery.id, token)
            except NewsletterError as error:
                log.warning("mail_not_built", delivery_id=delivery.id, error=redact(str(error)))
                with self.app.transaction() as tx:
                    ledger.fail_leased(tx.session, delivery.id, token, redact(str(error)))
        return mails

    def _give_up_edition(self, error: EditionNotMailableError, delivery_id: int, token: str) -> None:
        with self.app.transaction() as tx:
            ledger.release(tx.session, [delivery_id], token)
            if pause_edition_in(tx, error.edition_id, f"no mail can be made of it: {redact(str(error))}"):
                log.error("edition_not_mailable", edition_id=error.edition_id, error=redact(str(error)))

    def _give_back_old(self, now: float) -> None:
        """Give back what would lapse here: another may send it, and that this relay hangs is not the mail's fault."""
        if self._leases and now - self._leases[0].since > LEASE.total_seconds() * self._wait_factor / 2:
            self._give_back(1)

    def _give_back(self, count: int) -> None:
        """Give back the oldest *count* leases."""
        leases = list(self._leases)[:count]
        if not leases:
            return
        with self.app.transaction() as tx:
            for lease in leases:
                ledger.release(tx.session, [delivery.id for delivery, _ in lease.mails], lease.token)
        for lease in leases:
            self._leases.remove(lease)

    # Turns.

    def _turn_if_due(self, now: float) -> None:
        """Record what was answered and write as many ahead, where a connection would else run dry or answers wait."""
        is_late = self._told and now - self._told_at > TELL_SECONDS
        room = self._window - len(self._sent)
        may_begin = bool(self._leases) and not self._fleet.waiting_count and room > 0 and self._may_begin(now)
        if may_begin and (room >= max(1, self._window // 2) or now - self._turned_at > TELL_SECONDS):
            lease = self._leases[0]
            chosen = [lease.mails.popleft() for _ in range(min(room, len(lease.mails)))]
            if not lease.mails:
                self._leases.popleft()
            self._turn(chosen, lease.token)
        elif is_late:
            self._turn([], "")

    def _turn(self, chosen: Sequence[tuple[Claimed, list[bytes]]], token: str) -> None:
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
                    mail_from=self._builder.return_path(delivery),
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
            if told.state is DeliveryState.QUEUED and not told.wait and not self._lost:
                self._is_exhausted, self.may_have_more, self._claim_again_at = False, True, 0.0
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
                self._give_back(len(self._leases))
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
            self._give_back(len(self._leases))

    def _end_what_is_begun(self) -> None:
        self._note(self._fleet.withdraw())
        while self._sent and self._fleet.is_afloat:
            self._note(self._fleet.run(TELL_SECONDS))
            if self._told and time.monotonic() - self._told_at > TELL_SECONDS:
                self._turn([], "")
        self._note(self._fleet.close())
