"""Canaries: a few mails of an edition go first; the rest follows by itself, or waits for a person with the reason."""

import structlog

from newsletter.dispatch import Doorbell
from newsletter.domain.canaries import DEFAULT_LIMIT_PERCENT, Answers, Judgement, judge, parse_canary
from newsletter.domain.deliveries import DeliveryState
from newsletter.errors import InvalidError
from newsletter.services.context import App, Transaction
from newsletter.services.stops import pause_edition_in
from newsletter.storage import canaries, ledger
from newsletter.storage.canaries import CanaryRecord

log = structlog.get_logger()


def begin_canary(tx: Transaction, edition_id: int, *, mails: int | None = None) -> None:
    """Hold back all but the first of an edition that is about to be sent, if it or its list asks for that.

    A small edition goes at once: holding back half of it would spare little. *mails*: how many are to be sent; None:
    those that are queued.
    """
    found = canaries.load_canary(tx.session, edition_id)
    canary = parse_canary(found.told) if found and found.told else None
    if canary is None:
        canaries.end_canary(tx.session, edition_id)
        return
    if mails is None:
        mails = ledger.counts_by_state(tx.session, edition_id).get(DeliveryState.QUEUED, 0)
    size = canary.size(mails)
    if size is None:
        canaries.end_canary(tx.session, edition_id)
    else:
        canaries.begin_canary(tx.session, edition_id, size)


def check_canary(told: str) -> None:
    """Refuse what is no canary; empty is none said.

    Raises:
        InvalidError: says what to write.
    """
    try:
        if told:
            parse_canary(told)
    except ValueError as error:
        raise InvalidError(str(error)) from error


def is_held_by_canary(tx: Transaction, edition_id: int) -> bool:
    """Say whether a canary holds the rest of an edition back."""
    found = canaries.load_canary(tx.session, edition_id)
    return found is not None and found.left is not None


def judge_canaries(app: App) -> list[int]:
    """Let editions go on whose canary came through, pause those where too much failed; return the ids of both.

    Asks as little as it can, since it is done with each sweep and each slice: editions with a canary are few, and
    their answers are counted only then.
    """
    judged = []
    with app.reading() as tx:
        editions = canaries.editions_with_canary(tx.session)
    for edition_id in editions:
        with app.transaction() as tx:
            if _judge(tx, edition_id):
                judged.append(edition_id)
    return judged


def _judge(tx: Transaction, edition_id: int) -> bool:
    found = canaries.load_canary(tx.session, edition_id, lock=True)
    if found is None or found.left is None or found.size is None or found.begun_at is None:
        return False  # another worker judged it while we waited
    answers = canaries.count_answers(tx.session, edition_id, found.begun_at)
    has_more = canaries.has_queued(tx.session, edition_id)
    limit_percent = limit_of(found)
    said = judge(found.size, found.left, answers, limit_percent=limit_percent, has_more=has_more)
    if said is Judgement.PAUSE:
        pause_edition_in(tx, edition_id, _why_paused(found.size, answers, limit_percent))
        canaries.top_up_canary(tx.session, edition_id, 0)
        log.error("canary_failed", edition_id=edition_id, size=found.size, failures=answers.failures)
    elif said is Judgement.GO_ON:
        canaries.end_canary(tx.session, edition_id)
        tx.ring(Doorbell.SEND_BULK)
        log.info("canary_passed", edition_id=edition_id, size=found.size, accepted=answers.accepted)
    elif said is Judgement.TOP_UP:
        canaries.top_up_canary(tx.session, edition_id, found.size - answers.answered)
        tx.ring(Doorbell.SEND_BULK)
    return said in (Judgement.PAUSE, Judgement.GO_ON)


def limit_of(found: CanaryRecord) -> float:
    """Return what share of a canary may fail, in percent."""
    return DEFAULT_LIMIT_PERCENT if found.limit_percent is None else found.limit_percent


def _why_paused(size: int, answers: Answers, limit_percent: float) -> str:
    if answers.failures <= size * limit_percent / 100:
        return (
            f"the canary says nothing: of the first {size:,} mails {answers.deferred:,} were put off ({answers}); "
            "the rest has not been sent"
        )
    return (
        f"the canary failed: of the first {size:,} mails {answers.failures:,} came to no good ({answers}), and at most "
        f"{limit_percent:g} % may; the rest has not been sent"
    )
