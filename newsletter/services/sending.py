"""Sending: claims due deliveries in slices, writes each micro-batch ahead, sends it, records what the relay said."""

import os
import random
import socket
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from newsletter.dispatch import Doorbell
from newsletter.domain.deliveries import (
    LEASE,
    MICRO_BATCH,
    START_WINDOW,
    DeliveryState,
    Pool,
    Told,
    next_move,
    sending_lease,
)
from newsletter.domain.editions import EditionState
from newsletter.domain.limits import Allowance
from newsletter.domain.replies import Verdict, redact
from newsletter.errors import NewsletterError, TransientError
from newsletter.mail.envelopes import Envelope
from newsletter.mail.relay import Relay
from newsletter.mail.session import open_connection
from newsletter.mail.smtp import SendResult, SMTPConnection
from newsletter.services.context import App
from newsletter.services.editions import finish_editions
from newsletter.services.mailing import EditionNotMailableError, MailBuilder
from newsletter.storage import ledger
from newsletter.storage.editions import set_state
from newsletter.storage.ledger import Claimed

log = structlog.get_logger()

SLICE_SECONDS = 20
"""No micro-batch is begun later than this after the slice was; then it rings again if work remains."""

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

    Connects to the relay before it claims anything, so a relay that is down costs no delivery a try. Stopping,
    crashing or running it twice at once loses nothing: see `newsletter.storage.ledger`. Rings again if work remains.
    """
    if not app.relays:
        return Slice()
    with app.reading() as tx:
        if not ledger.has_due(tx.session, pool):
            return Slice()
    sender = _Sender(app, app.relays[0], pool, should_stop)
    done = sender.run()
    log.info("slice_sent", pool=pool.value, accepted=done.accepted, failed=done.failed, in_doubt=done.in_doubt)
    if pool is Pool.BULK:
        finish_editions(app)
    with app.transaction() as tx:
        if not sender.relay_failed and ledger.has_due(tx.session, pool):
            tx.ring(BELL_OF[pool])
    return done


class _Sender:
    """One slice of one lane; keeps one connection, and opens another where the relay's cap ends it."""

    def __init__(self, app: App, relay: Relay, pool: Pool, should_stop: Callable[[], bool]) -> None:
        self.app, self.relay, self.pool = app, relay, pool
        self.worker = f"{socket.gethostname()}:{os.getpid()}"
        self.builder = MailBuilder(app.settings)
        self.relay_failed = False
        self.counts: Counter[DeliveryState] = Counter()
        self._connection: SMTPConnection | None = None
        self._carried_mail = False  # that connection
        self._told: list[Told] = []  # the last micro-batch's answers, until they are recorded
        self._ends_at = time.monotonic() + SLICE_SECONDS
        self._should_stop = should_stop
        self._wait_factor = app.settings.wait_factor
        self._sending_lease = sending_lease(timedelta(seconds=relay.timeout_seconds), wait_factor=self._wait_factor)

    def run(self) -> Slice:
        """Send micro-batches until nothing is due, time is up, somebody asks to stop, or the relay breaks off.

        Whatever ends it, answers that came are recorded.
        """
        try:
            while self._may_go_on() and self._send_micro_batch():
                pass
        finally:
            if self._told:
                self._turn([], "")
            if self._connection:
                self._connection.quit()
        return Slice(
            accepted=self.counts[DeliveryState.ACCEPTED],
            failed=self.counts[DeliveryState.FAILED],
            deferred=self.counts[DeliveryState.QUEUED],
            in_doubt=self.counts[DeliveryState.IN_DOUBT],
        )

    def _may_go_on(self) -> bool:
        return not self.relay_failed and not self._should_stop() and time.monotonic() < self._ends_at

    def _send_micro_batch(self) -> bool:
        """Claim, build, take a turn and send; say whether there was a relay, and anything due."""
        connection = self._connect()
        if connection is None:
            return False
        token = uuid.uuid4().hex
        batch = self._claim(token)
        if not batch:
            return False
        mails = self._build(batch, token)
        window_ends_at = time.monotonic() + START_WINDOW.total_seconds() * self._wait_factor
        attempts = self._turn(list(mails), token)
        cleared = [(each, mails[each.id]) for each in batch if each.id in attempts]
        self._send(connection, cleared, attempts, token, window_ends_at)
        return True

    def _connect(self) -> SMTPConnection | None:
        """Return a live session with the relay; None, with a warning, if there is none to be had."""
        if self._connection and self._connection.is_usable:
            return self._connection
        if self._connection:
            self._connection.quit()
        try:
            self._connection = open_connection(self.relay, hello_name=self.app.settings.domain)
            self._carried_mail = False
        except TransientError as error:
            log.warning("relay_unavailable", error=str(error))
            self.relay_failed, self._connection = True, None
        return self._connection

    def _claim(self, token: str) -> list[Claimed]:
        with self.app.transaction() as tx:
            batch = ledger.claim(
                tx.session,
                pool=self.pool,
                allowance=Allowance(MICRO_BATCH[self.pool]),
                worker=self.worker,
                token=token,
                lease=LEASE * self._wait_factor,
            )
        with self.app.reading() as tx:  # apart: a crash in here leaves them leased, to be found out one by one
            self.builder.load(tx.session, batch)
        return batch

    def _build(self, batch: Sequence[Claimed], token: str) -> dict[int, list[bytes]]:
        """Return the bytes of each delivery; one that cannot be built has failed and harms no other.

        Where none of an edition can, the edition is paused and its mail goes back into the queue.
        """
        mails: dict[int, list[bytes]] = {}
        for delivery in batch:
            try:
                mails[delivery.id] = self.builder.build(delivery)
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
            if set_state(tx.session, error.edition_id, EditionState.PAUSED, now=tx.now):
                log.error("edition_not_mailable", edition_id=error.edition_id, error=redact(str(error)))

    def _turn(self, next_ids: Sequence[int], token: str) -> dict[int, int]:
        """Record and write ahead; without a database the answers are kept and told until they are written."""
        pause = 0.2
        while True:
            try:
                with self.app.transaction() as tx:
                    attempts = ledger.take_turn(
                        tx.session,
                        told=self._told,
                        next_ids=next_ids,
                        token=token,
                        worker=self.worker,
                        lease=self._sending_lease,
                    )
            except TransientError as error:
                log.warning("turn_not_written", told=len(self._told), error=str(error))
                time.sleep(pause)
                pause = min(pause * 2, 10)
            else:
                self._told = []
                return attempts

    def _send(
        self,
        connection: SMTPConnection,
        mails: Sequence[tuple[Claimed, list[bytes]]],
        attempts: Mapping[int, int],
        token: str,
        window_ends_at: float,
    ) -> None:
        """Hand *mails* to the relay and keep its answers; none is begun after *window_ends_at*, by monotonic time."""
        envelopes = [
            Envelope(
                ref=delivery.id,
                mail_from=self.builder.return_path(delivery),
                rcpt_to=delivery.address,
                pieces=pieces,
                envelope_id=delivery.mail_token,
            )
            for delivery, pieces in mails
        ]
        deliveries = {delivery.id: delivery for delivery, _ in mails}
        refused: list[SendResult] = []
        broke_off = False

        def should_stop() -> bool:
            return self._should_stop() or time.monotonic() > window_ends_at

        for result in connection.send(envelopes, should_stop=should_stop):
            delivery = deliveries[result.ref]
            jitter = random.random()  # noqa: S311  it spreads retries and guards nothing
            attempt = attempts[result.ref]
            told = tell(result, delivery, attempt, token, jitter=jitter, wait_factor=self._wait_factor)
            self._told.append(told)
            self.counts[told.state] += 1
            self._carried_mail |= result.verdict is Verdict.ACCEPTED
            broke_off |= result.verdict in _RELAY_FAILED
            if result.verdict in (Verdict.CONTENT_REFUSED, Verdict.POLICY_REFUSED):
                refused.append(result)
        self.relay_failed = broke_off and not self._carried_mail
        for result in refused:  # only now, since it may fail and the answers to the whole micro-batch count
            self._alarm(result, deliveries[result.ref])

    def _alarm(self, result: SendResult, delivery: Claimed) -> None:
        """Stop what would fail for everybody, and tell staff what is our own fault."""
        code = result.reply.code if result.reply else None
        log.error(result.verdict.value, delivery_id=delivery.id, edition_id=delivery.edition_id, code=code)
        if result.verdict is Verdict.CONTENT_REFUSED and delivery.edition_id is not None:
            with self.app.transaction() as tx:
                set_state(tx.session, delivery.edition_id, EditionState.PAUSED, now=tx.now)


_RELAY_FAILED = (Verdict.RELAY_DEFERRED, Verdict.IN_DOUBT)
"""What ends a conversation. One that had carried mail is begun anew at once: many relays take only so many mails in
one connection and end it with a 421 or without a word. Else what is due waits for another slice."""


def tell(
    result: SendResult, delivery: Claimed, attempt: int, token: str, *, jitter: float, wait_factor: float = 1
) -> Told:
    """Turn what the SMTP client saw of one mail into what the ledger records, without the recipient's address.

    *token*: of the lease under which it was written ahead. *jitter* as in `newsletter.domain.deliveries.back_off`; *wait_factor* shortens what is waited in rehearsals.
    """
    reply = result.reply
    move = next_move(
        result.verdict, tries=delivery.tries, jitter=jitter, may_retry_content=delivery.edition_id is not None
    )
    words = redact(reply.text, delivery.address) if reply else None
    return Told(
        delivery_id=result.ref,
        attempt=attempt,
        token=token,
        state=move.state,
        outcome=result.verdict.value,
        stage=result.stage.value if result.stage else None,
        code=reply.code if reply else None,
        enhanced=reply.enhanced if reply else None,
        reply=words,
        wait=move.wait * wait_factor,
        costs_a_try=move.costs_a_try,
        reason=None if move.state in (DeliveryState.ACCEPTED, DeliveryState.QUEUED) else words or result.verdict.value,
    )
