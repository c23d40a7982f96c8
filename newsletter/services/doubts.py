"""Doubts: mails of which nobody knows whether they were taken are settled by evidence, or by a person's decision."""

import gzip
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TextIO

from newsletter.dispatch import Doorbell
from newsletter.errors import ConflictError, InvalidError
from newsletter.mail.relay_log import Taken, read_postfix_log
from newsletter.services.audit import name_deliveries, record_act
from newsletter.services.context import App, Transaction
from newsletter.storage import doubts, inquiries, ledger

CHUNK = 1000
"""Deliveries settled in one transaction, so that senders do not wait for a large log."""


class Settlement(StrEnum):
    """How a doubt is settled."""

    ACCEPTED = "accepted"  # it was taken
    RESEND = "resend"  # it was not, or a second one is the lesser evil: the same bytes go again
    FAILED = "failed"  # nobody knows, and it is not sent again


@dataclass(frozen=True, slots=True)
class Settled:
    """How many doubts were settled, and how many could not be: of those a deadline passed or an edition ended."""

    settled: int
    left: int


@dataclass(frozen=True, slots=True)
class LogFindings:
    """What a relay's log says of the mails in doubt. *absent*: those it does not know."""

    in_doubt: int
    taken: Sequence[int]
    absent: Sequence[int]
    mails_in_log: int


def settle(app: App, how: Settlement, *, why: str, ids: Collection[int] = (), edition_id: int | None = None) -> Settled:
    """Settle mails in doubt by a person's decision, which is put on record: those named, or all of an edition.

    Raises:
        InvalidError: no reason is given, or neither mails nor an edition.
        ConflictError: a mail that is named is not in doubt.
    """
    if not why.strip():
        raise InvalidError("say why: --why '…'; it is put on record beside your name")
    if not ids and edition_id is None:
        raise InvalidError("name deliveries by their numbers, or all of an edition with --edition")
    if ids:
        _check_in_doubt(app, ids)
    chosen = list(ids) or _all_doubted(app, edition_id)
    settled = _settle(app, chosen, how, why)
    return Settled(settled, len(chosen) - settled)


def _check_in_doubt(app: App, ids: Collection[int]) -> None:
    with app.reading() as tx:
        for delivery_id in ids:
            mail = inquiries.load_mail(tx.session, delivery_id)
            if mail is None or mail.state != "in_doubt":
                told = f"is {mail.state}" if mail else "does not exist"
                raise ConflictError(f"delivery {delivery_id} {told}; only one that is in doubt can be settled")


def _all_doubted(app: App, edition_id: int | None) -> list[int]:
    return [delivery_id for chunk in _doubted(app, edition_id) for delivery_id, _ in chunk]


def _doubted(app: App, edition_id: int | None) -> Iterator[list[tuple[int, str]]]:
    after = 0
    while True:
        with app.reading() as tx:
            found = doubts.doubted(tx.session, edition_id=edition_id, after=after, limit=CHUNK)
        if not found:
            return
        yield found
        after = found[-1][0]


def _settle(app: App, ids: Sequence[int], how: Settlement, why: str) -> int:
    settled = 0
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        with app.transaction() as tx:
            moved = _move(tx, chunk, how, why)
            settled += moved
            if moved:
                named = name_deliveries(chunk)
                record_act(tx, f"settled as {how.value}", "deliveries", count=moved, why=why[:500], **named)
            _count_anew(tx, chunk)
            if how is Settlement.RESEND and moved:
                tx.ring(Doorbell.SEND_BULK)
                tx.ring(Doorbell.SEND_TRANSACTIONAL)
    return settled


def _count_anew(tx: Transaction, ids: Sequence[int]) -> None:
    """Fix the final counts of ended editions whose mails were settled."""
    for edition_id in doubts.ended_editions_of(tx.session, ids):
        ledger.save_final_counts(tx.session, edition_id, ledger.counts_by_state(tx.session, edition_id))


def settle_by_report(tx: Transaction, delivery_id: int) -> None:
    """Take a bounce, a complaint or a receipt for evidence that the relay took the mail, should that be in doubt."""
    if doubts.accept_reported(tx.session, delivery_id):
        _count_anew(tx, [delivery_id])


def _move(tx: Transaction, ids: Collection[int], how: Settlement, why: str) -> int:
    if how is Settlement.ACCEPTED:
        return doubts.accept_doubted(tx.session, ids)
    if how is Settlement.RESEND:
        doubts.lock_editions_of(tx.session, ids)
        return doubts.requeue_doubted(tx.session, ids)
    return doubts.fail_doubted(tx.session, ids, by=tx.actor, why=why[:400])


def read_relay_log(app: App, path: Path) -> dict[str, Taken]:
    """Return what Postfix says in its log *path*, packed or not, that it took from this installation.

    Raises:
        InvalidError: the file cannot be read, or holds nothing of Postfix about our mails.
    """
    try:
        with _open(path) as lines:
            found = dict(read_postfix_log(lines, mail_domain=app.settings.domain))
    except (OSError, EOFError) as error:
        raise InvalidError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not found:
        raise InvalidError(
            f"{path} names no mail at {app.settings.domain} that Postfix took; is it the log of the relay itself, "
            "with its cleanup and qmgr lines?"
        )
    return found


@contextmanager
def _open(path: Path) -> Iterator[TextIO]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", errors="replace") as file:
        yield file


def compare_with_log(app: App, taken: dict[str, Taken], *, edition_id: int | None = None) -> LogFindings:
    """Say what a relay's log tells of the mails in doubt, all of them or an edition's; writes nothing."""
    known: list[int] = []
    absent: list[int] = []
    for chunk in _doubted(app, edition_id):
        for delivery_id, token in chunk:
            (known if token in taken else absent).append(delivery_id)
    return LogFindings(len(known) + len(absent), known, absent, len(taken))


def settle_by_log(app: App, found: LogFindings, *, source: str, is_complete: bool) -> tuple[Settled, Settled]:
    """Settle by a relay's log: what it took is accepted; return that, and what was queued again.

    *is_complete*: the log has all that the relay took since before the first doubt, so what it does not know was
    never taken and goes again.
    """
    why = f"the relay's log {source}"
    accepted = _settle(app, found.taken, Settlement.ACCEPTED, why)
    absent = list(found.absent) if is_complete else []
    requeued = _settle(app, absent, Settlement.RESEND, f"not in {why}")
    return Settled(accepted, len(found.taken) - accepted), Settled(requeued, len(absent) - requeued)
