"""The sweeper: finds whatever was forgotten, by looking at states and never at messages."""

from dataclasses import dataclass

import structlog

from newsletter.dispatch import Doorbell
from newsletter.domain.deliveries import Pool
from newsletter.domain.editions import EditionState
from newsletter.services.context import App
from newsletter.services.editions import approve_overdue_reviews, finish_editions
from newsletter.services.settling import settle_journals
from newsletter.storage import editions as edition_store
from newsletter.storage import ledger, recovery

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Swept:
    """What one pass moved."""

    requeued: int
    doubted: int
    expired: int
    resent: int
    approved: int
    done: int


def sweep(app: App) -> Swept:
    """Take back leases of senders that died, end what is overdue, settle doubts by policy, ring for work that waits.

    Safe to run at any time, in any number of processes; each step is a short transaction of its own.
    """
    settle_journals(app)  # first: a journal knows more than a lease that ran out
    with app.transaction() as tx:
        requeued = recovery.requeue_lapsed(tx.session)
        doubted = recovery.doubt_lapsed(tx.session)
    with app.transaction() as tx:
        expired = recovery.expire_overdue(tx.session)
        resent = recovery.resend_doubted(tx.session, evidence_wait=recovery.EVIDENCE_WAIT * app.settings.wait_factor)
    approved = approve_overdue_reviews(app)
    done = finish_editions(app)
    with app.transaction() as tx:
        for edition_id in edition_store.editions_in(tx.session, EditionState.PLANNED):
            tx.ring(Doorbell.COMPILE_EDITION, edition_id)
        for edition_id in edition_store.editions_in(tx.session, EditionState.APPROVED):
            tx.ring(Doorbell.FAN_OUT_EDITION, edition_id)
        for pool, doorbell in ((Pool.TRANSACTIONAL, Doorbell.SEND_TRANSACTIONAL), (Pool.BULK, Doorbell.SEND_BULK)):
            if ledger.has_due(tx.session, pool):
                tx.ring(doorbell)
    swept = Swept(requeued, doubted, expired, resent, len(approved), len(done))
    if any((requeued, doubted, expired, resent, approved, done)):
        log.info("swept", requeued=requeued, doubted=doubted, expired=expired, resent=resent, done=len(done))
    return swept
