"""Stops and pauses: all sending, a list or an edition is held, with the reason on record, and let go on."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from newsletter.dispatch import Doorbell
from newsletter.domain.editions import EditionState
from newsletter.domain.lists import ListPause
from newsletter.errors import ConflictError, InvalidError
from newsletter.services.audit import record_act
from newsletter.services.context import THE_SERVICE, App, Transaction
from newsletter.services.lists import find_list
from newsletter.storage import editions, lists, stops
from newsletter.storage.stops import Stop, StopKind

log = structlog.get_logger()

LONGEST_REASON = 500
NO_REASON = "no reason given"


@dataclass(frozen=True, slots=True)
class Halts:
    """What keeps mail from going out, from the widest to the narrowest."""

    stops: Sequence[Stop]
    lists: Sequence[ListPause]


def pause_edition_in(tx: Transaction, edition_id: int, reason: str, *, by: str | None = None) -> bool:
    """Pause an edition within the caller's transaction; say whether it was being sent or made ready until now.

    *by*: the person; None: the service does it by itself, for what it saw.
    """
    why = reason[:LONGEST_REASON]
    moved = editions.set_state(
        tx.session, edition_id, EditionState.PAUSED, now=tx.now, pause_reason=why, paused_by=by and by[:200]
    )
    if moved:
        record_act(tx, "paused", f"edition {edition_id}", actor=by or THE_SERVICE, reason=why)
    return moved


def pause_sending(app: App, *, reason: str) -> None:
    """Stop all mail of all lanes, on every worker, within one micro-batch; what is under way is finished.

    Raises:
        InvalidError: no reason is given.
        ConflictError: it is stopped already; says by whom and why.
    """
    _check_reason(reason)
    with app.transaction() as tx:
        if not stops.put_stop(tx.session, StopKind.PAUSE, reason=reason[:LONGEST_REASON], by=tx.actor):
            standing = next(each for each in stops.load_stops(tx.session) if each.kind is StopKind.PAUSE)
            raise ConflictError(
                f"{standing.by} stopped all sending already ({standing.reason}); "
                "`newsletter sending resume` lets it go on"
            )
        record_act(tx, "stopped", "sending", reason=reason[:LONGEST_REASON])


def resume_sending(app: App) -> bool:
    """Take a person's stop of all sending away; say whether there was one. The restore guard's stays.

    Raises:
        ConflictError: the restore guard stops all sending, and no person does.
    """
    with app.transaction() as tx:
        was_stopped = stops.lift_stop(tx.session, StopKind.PAUSE)
        if was_stopped:
            record_act(tx, "resumed", "sending")
        left = stops.load_stops(tx.session)
        if left and not was_stopped:
            raise ConflictError(f"{left[0].reason}; `newsletter db acknowledge-restore` is what lets it go on")
        if not left:
            ring_for_mail(tx)
        return was_stopped


def ring_for_mail(tx: Transaction) -> None:
    """Tell the workers that mail may go again."""
    tx.ring(Doorbell.SEND_TRANSACTIONAL)
    tx.ring(Doorbell.SEND_BULK)


def pause_list(app: App, slug: str, *, reason: str) -> None:
    """Let a list's editions wait, within one micro-batch, on every worker; they are composed meanwhile.

    Raises:
        NotFoundError: there is no such list.
        InvalidError: no reason is given.
        ConflictError: it is paused already; says by whom and why.
    """
    _check_reason(reason)
    with app.transaction() as tx:
        list_id = find_list(tx, slug).id
        if not lists.pause_list(tx.session, list_id, reason=reason[:LONGEST_REASON], by=tx.actor):
            standing = next(each for each in lists.load_list_pauses(tx.session) if each.slug == slug)
            raise ConflictError(
                f"{standing.by} paused {slug} already ({standing.reason}); "
                f"`newsletter lists resume {slug}` lets it go on"
            )
        record_act(tx, "paused", f"list {slug}", reason=reason[:LONGEST_REASON])


def resume_list(app: App, slug: str) -> bool:
    """Let a paused list's editions go on; say whether it was paused.

    Raises:
        NotFoundError: there is no such list.
    """
    with app.transaction() as tx:
        resumed = lists.resume_list(tx.session, find_list(tx, slug).id)
        if resumed:
            record_act(tx, "resumed", f"list {slug}")
            tx.ring(Doorbell.SEND_BULK)
        return resumed


def find_halts(app: App) -> Halts:
    """Return what keeps all mail, or a list's, from going out."""
    with app.reading() as tx:
        return Halts(stops.load_stops(tx.session), lists.load_list_pauses(tx.session))


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise InvalidError("say why: --reason '…'; whoever is on duty next will read it")
