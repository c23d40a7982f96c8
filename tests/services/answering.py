"""A relay in tests that have none: claims as a sender does and records the answers that it is told."""

import uuid
from collections import Counter

from newsroom import Newsroom

from newsletter.domain.deliveries import Pool, Told, next_move
from newsletter.domain.limits import Allowance
from newsletter.domain.replies import Stage, Verdict
from newsletter.storage import ledger


def begin(newsroom: Newsroom, most: int = 1000, *, pool: Pool = Pool.BULK) -> list[Told]:
    """Claim and write ahead up to *most* mails; return an acceptance of each, to be told or not."""
    token = uuid.uuid4().hex
    with newsroom.app.transaction() as tx:
        claimed = ledger.claim(tx.session, pool=pool, allowance=Allowance(most), worker="w", token=token)
    if not claimed:
        return []
    with newsroom.app.transaction() as tx:
        begun = ledger.take_turn(tx.session, told=(), next_ids=[each.id for each in claimed], token=token, worker="w")
    return [_told(each.id, begun[each.id], token, Verdict.ACCEPTED) for each in claimed if each.id in begun]


def tell(newsroom: Newsroom, told: list[Told], *verdicts: Verdict) -> None:
    """Record the answers to what was begun: *verdicts* in their order, a yes to the others."""
    answers = [
        _told(each.delivery_id, each.attempt, each.token, verdict)
        for each, verdict in zip(told, [*verdicts, *[Verdict.ACCEPTED] * len(told)], strict=False)
    ]
    with newsroom.app.transaction() as tx:
        ledger.take_turn(tx.session, told=answers, next_ids=[], token="", worker="w")


def answer(newsroom: Newsroom, *verdicts: Verdict, most: int = 1000) -> int:
    """Send up to *most* mails and answer them with *verdicts*, then with yes; return how many were sent."""
    told = begin(newsroom, most)
    tell(newsroom, told, *verdicts)
    return len(told)


def states(newsroom: Newsroom, edition_id: int) -> dict[str, int]:
    """Return how many of an edition's mails are in each state."""
    return dict(Counter(str(state) for state in newsroom.states(edition_id).values()))


_CODES = {Verdict.ACCEPTED: 250, Verdict.RECIPIENT_FAILED: 550, Verdict.RECIPIENT_DEFERRED: 450}


def _told(delivery_id: int, attempt: int, token: str, verdict: Verdict) -> Told:
    move = next_move(verdict, tries=0, jitter=0.5, may_retry_content=True)
    return Told(
        delivery_id=delivery_id,
        attempt=attempt,
        token=token,
        state=move.state,
        outcome=verdict.value,
        stage=Stage.DOT.value if verdict is Verdict.ACCEPTED else Stage.RCPT.value,
        code=_CODES.get(verdict),
        enhanced=None,
        reply="as told",
        wait=move.wait,
        costs_a_try=move.costs_a_try,
        reason=None if verdict is Verdict.ACCEPTED else verdict.value,
    )
