"""Restores: the database was set back to an older state, and somebody has looked; sending may go on, with care."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from newsletter.domain.lists import Cadence, MailingList
from newsletter.domain.replies import Verdict
from newsletter.domain.schedule import due_slots
from newsletter.errors import ConflictError
from newsletter.mail.journal import bequests
from newsletter.services.audit import record_act
from newsletter.services.context import App, Transaction
from newsletter.services.guard import Witness
from newsletter.services.settling import JOURNALS
from newsletter.services.stops import ring_for_mail
from newsletter.storage import doubts, editions, lineage, lists, stops
from newsletter.storage.engine import database_now
from newsletter.storage.stops import GUARD, Stop, StopKind

log = structlog.get_logger()

CHUNK = 2000
"""Deliveries moved in one transaction."""

MARGIN = timedelta(minutes=1)
"""How much older than its last step the restored state may be: steps are seconds apart."""


@dataclass(frozen=True, slots=True)
class Restore:
    """What a restore means for mail. *since*: the restored state is of then, by the database's clock.

    *unsure*: mails that may have been sent since. *slots*: editions that the restored state does not know, and that
    may have been sent, by list. *lists*: those whose mail has to wait for a person.
    """

    stop: Stop
    since: datetime
    until: datetime
    unsure: int
    slots: Sequence[str]
    lists: Sequence[str]


def examine_restore(app: App) -> Restore:
    """Say what the restore that stops all sending means; writes nothing.

    Raises:
        ConflictError: no restore was noticed.
    """
    with app.reading() as tx:
        stop = _find_stop(tx)
        found = lineage.load_lineage(tx.session)
        since = (found.at if found else stop.at) - MARGIN
        until = database_now(tx.session)
        slots, waiting = _unknown_editions(tx, since)
        return Restore(stop, since, until, doubts.count_unsure(tx.session, until=until), slots, waiting)


def _find_stop(tx: Transaction) -> Stop:
    for stop in stops.load_stops(tx.session):
        if stop.kind is StopKind.RESTORE:
            return stop
    raise ConflictError("no restore was noticed, and none stops sending; `newsletter sending status` says what does")


def _unknown_editions(tx: Transaction, since: datetime) -> tuple[list[str], list[str]]:
    """Return the slots that came since without an edition here, and the lists that would send such an edition again."""
    slots, waiting = [], []
    for each in lists.load_lists(tx.session):
        unknown = [
            f"{each.slug} {slot.key}"
            for cadence in each.cadences
            if cadence is not Cadence.IMMEDIATE
            for slot in due_slots(cadence, each.schedule, now=tx.now, since=each.since)
            if slot.at > since and not editions.slots_taken(tx.session, each.id, cadence, [slot.key])
        ]
        slots += unknown
        if unknown or Cadence.IMMEDIATE in each.cadences or _is_being_made(tx, each):
            waiting.append(each.slug)
    return slots, waiting


def _is_being_made(tx: Transaction, mailing_list: MailingList) -> bool:
    """Say whether an edition here was not ready to be sent, and may have been afterwards."""
    return bool(editions.list_editions(tx.session, list_id=mailing_list.id, states=editions.BEFORE_SENDING, limit=1))


def acknowledge_restore(app: App, *, nothing_lost: bool) -> Restore:
    """Take the database as it is from now on, and let mail go again that certainly was not sent.

    *nothing_lost*: somebody knows that no commit is missing, as after a planned change of servers; then mail just goes
    on. Else what may have been sent since the restored state becomes in doubt, to be settled by evidence or a person,
    and lists whose editions of since then are unknown here are paused. What the journals on this machine say was
    accepted is accepted. Safe to repeat after a crash: the stop is taken away last.

    Raises:
        ConflictError: no restore was noticed.
    """
    found = examine_restore(app)
    if not nothing_lost:
        _doubt_all(app, found)
        _believe_journals(app)
        _pause_lists(app, found)
    with app.transaction() as tx:
        known = lineage.load_lineage(tx.session)
        if known is not None:
            witness = Witness(app.settings.home, known.uid)
            epoch = max(known.epoch, (witness.read() or (0, 0))[0]) + 1
            lineage.begin_epoch(tx.session, epoch, lineage.ask_server(tx.session))
            witness.write((epoch, 0))  # before anybody can see it: a home without one is taken for another machine
        stops.lift_stop(tx.session, StopKind.RESTORE)
        record_act(
            tx, "acknowledged", "restore", nothing_lost=nothing_lost, in_doubt=found.unsure, lists=list(found.lists)
        )
        ring_for_mail(tx)
    log.warning("restore_acknowledged", nothing_lost=nothing_lost, in_doubt=found.unsure, lists=len(found.lists))
    return found


def _doubt_all(app: App, found: Restore) -> None:
    reason = (
        f"the database was restored to its state of {found.since:%Y-%m-%d %H:%M %Z}; it may have been sent after that"
    )
    while True:
        with app.transaction() as tx:
            ids = doubts.next_unsure(tx.session, until=found.until, limit=CHUNK)
            if not ids:
                return
            doubts.doubt(tx.session, ids, reason)


def _believe_journals(app: App) -> None:
    """Record as accepted what senders that died on this machine had an answer to, and remove their journals."""
    for each in bequests(app.settings.home / JOURNALS):
        accepted = [result.ref for _, result in each.ends if result.verdict is Verdict.ACCEPTED]
        if accepted:
            with app.transaction() as tx:
                doubts.accept_doubted(tx.session, accepted)
        each.remove()


def _pause_lists(app: App, found: Restore) -> None:
    reason = (
        f"the database was restored to its state of {found.since:%Y-%m-%d %H:%M %Z}, and editions of this list may "
        "have been sent after that: cancel those that were, then resume the list"
    )
    with app.transaction() as tx:
        for each in lists.load_lists(tx.session):
            if each.slug in found.lists:
                lists.pause_list(tx.session, each.id, reason=reason, by=GUARD)
