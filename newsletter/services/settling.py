"""Settling: what an answer does to a delivery, told by whoever heard it or by the journal of a sender that died."""

import random
from datetime import timedelta

import structlog

from newsletter.domain.deliveries import DeliveryState, Told, next_move
from newsletter.domain.replies import Verdict
from newsletter.mail.journal import Bequest, bequests
from newsletter.mail.smtp import SendResult
from newsletter.services.context import App
from newsletter.services.guard import watch
from newsletter.storage import ledger, recovery

log = structlog.get_logger()

JOURNALS = "journals"
"""The folder of senders' journals, in the home folder."""


def tell(
    result: SendResult,
    *,
    attempt: int,
    token: str,
    tries: int,
    may_retry_content: bool,
    jitter: float,
    wait_factor: float = 1,
) -> Told:
    """Turn what the SMTP client saw of one mail into what the ledger records; its words hold no address already.

    *token*: of the lease under which it was written ahead. The others as `newsletter.domain.deliveries.next_move`;
    *wait_factor* shortens what is waited in rehearsals.
    """
    reply = result.reply
    move = next_move(result.verdict, tries=tries, jitter=jitter, may_retry_content=may_retry_content)
    words = reply.text if reply else None
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
        wait=move.wait * wait_factor if move.wait else _AT_ONCE,
        costs_a_try=move.costs_a_try,
        reason=None if move.state in (DeliveryState.ACCEPTED, DeliveryState.QUEUED) else words or result.verdict.value,
    )


_AT_ONCE = timedelta()


def settle_journals(app: App) -> int:
    """Settle at once what senders on this machine had on lease when they died; return how many deliveries.

    Nothing was sent: back into the queue. An answer had come: recorded, as its sender would have, though a sweep may
    have doubted it meanwhile. The dot was written and no answer noted: in doubt. What a sender died of making counts a
    lapse, see `recovery.requeue_lapsed`.
    """
    if not watch(app):
        return 0  # journals know more than a restored database does: they are evidence, see `services.restores`
    return sum(_settle(app, each) for each in bequests(app.settings.home / JOURNALS))


def _settle(app: App, left: Bequest) -> int:
    ends = {(result.ref, attempt): result for attempt, result in left.ends if result.verdict is not Verdict.UNSENT}
    with app.transaction() as tx:
        held = recovery.load_held(tx.session, left.name)
        if held and not left.is_complete:
            return 0  # the machine went down since, and lines with it: their leases will lapse
        sending = [each for each in held if each.state is DeliveryState.SENDING]
        given_up = recovery.load_given_up(tx.session, left.name, {ref for ref, _ in ends})
        told = [
            tell(
                ends[each.id, each.attempt],
                attempt=each.attempt,
                token=each.token,
                tries=each.tries,
                may_retry_content=each.edition_id is not None,
                jitter=random.random(),  # noqa: S311  it spreads retries and guards nothing
                wait_factor=app.settings.wait_factor,
            )
            for each in (*sending, *given_up)
            if (each.id, each.attempt) in ends
        ]
        answered = {each.delivery_id for each in told}
        doubted = {each.id for each in sending if (each.id, each.attempt) in left.dots} - answered
        suspects = {each.id for each in held if each.state is DeliveryState.LEASED and each.id in left.touched}
        ledger.take_turn(tx.session, told=told, next_ids=[], token="", worker=left.name)
        recovery.doubt_held(tx.session, doubted)
        recovery.requeue_held(tx.session, {each.id for each in held} - answered - doubted - suspects, suspects=suspects)
    left.remove()
    if held:
        log.warning(
            "dead_sender_settled", sender=left.name, held=len(held), answered=len(answered), in_doubt=len(doubted)
        )
    return len(held)
