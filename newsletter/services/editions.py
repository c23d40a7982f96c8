"""Editions: opened from the calendar, approved, fanned out, paused, ended."""

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog

from newsletter.dispatch import Doorbell
from newsletter.domain.articles import Article
from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.editions import Edition, EditionPurpose, EditionState, SkipReason, immediate_slot_key
from newsletter.domain.filters import matches
from newsletter.domain.lists import Cadence, MailingList
from newsletter.domain.schedule import DEADLINE_AFTER, LOOK_BACK, Slot, due_slots
from newsletter.domain.topics import ancestors
from newsletter.errors import ConflictError, NotFoundError
from newsletter.services.announcement_readers import name_readers
from newsletter.services.audit import record_act
from newsletter.services.canaries import begin_canary, check_canary, is_held_by_canary, judge_canaries
from newsletter.services.context import App, Transaction
from newsletter.services.edition_checks import require_sendable
from newsletter.services.latecomers import admit_latecomers
from newsletter.services.stops import LONGEST_REASON, NO_REASON, pause_edition_in
from newsletter.storage import articles as article_store
from newsletter.storage import canaries as canary_store
from newsletter.storage import editions as edition_store
from newsletter.storage import fanout, ledger, recovery, resends
from newsletter.storage import lists as list_store
from newsletter.storage import topics as topic_store
from newsletter.storage import variants as variant_store
from newsletter.storage.engine import Session, database_now

log = structlog.get_logger()

CANCELLED = "the edition was cancelled"
RESEND_CANCELLED = "it was to be sent again, and that was cancelled"


def new_nonce() -> str:
    """Return what marks the holes of one edition; nobody who writes an article can know it."""
    return secrets.token_hex(8)


def open_due_editions(app: App) -> list[int]:
    """Open an edition for each list and cadence whose slot has come; return the ids opened, for compiling.

    Of several missed slots only the newest is made, if it is still in time; the others are recorded as missed, and
    their items roll on. Slots from before the list was added are nobody's. Safe to repeat, and to run in any number of
    processes: slots are unique. A list that fails is logged and keeps no other from opening; the first failure is
    raised when all have had their turn.
    """
    opened: list[int] = []
    failures = []
    with app.reading() as tx:
        lists = list_store.load_lists(tx.session)
    for mailing_list in lists:
        try:
            opened += _open_list(app, mailing_list)
        except Exception as error:  # whatever it is, the other lists must open
            log.exception("list_not_opened", list=mailing_list.slug)
            failures.append(error)
    if failures:
        raise failures[0]
    return opened


def _open_list(app: App, mailing_list: MailingList) -> list[int]:
    opened: list[int] = []
    with app.transaction() as tx:
        for cadence in mailing_list.cadences:
            if cadence is not Cadence.IMMEDIATE:
                opened += _open_slots(tx, mailing_list, cadence)
        for edition_id in opened:
            tx.ring(Doorbell.COMPILE_EDITION, edition_id)
    return opened


def _open_slots(tx: Transaction, mailing_list: MailingList, cadence: Cadence) -> list[int]:
    since = max(mailing_list.since, mailing_list.created_at or mailing_list.since)
    slots = due_slots(cadence, mailing_list.schedule, now=tx.now, since=since)
    taken = edition_store.slots_taken(tx.session, mailing_list.id, cadence, [slot.key for slot in slots])
    opened = []
    for slot in slots:
        if slot.key in taken:
            continue
        is_newest = slot is slots[-1]
        in_time = tx.now < slot.at + DEADLINE_AFTER[cadence]
        edition_id = open_slot(
            tx, mailing_list, cadence, slot, skip_reason=None if is_newest and in_time else SkipReason.MISSED
        )
        if edition_id is not None and is_newest and in_time:
            opened.append(edition_id)
    return opened


def open_slot(
    tx: Transaction,
    mailing_list: MailingList,
    cadence: Cadence,
    slot: Slot,
    *,
    cut_at: datetime | None = None,
    deadline_at: datetime | None = None,
    skip_reason: SkipReason | None = None,
) -> int | None:
    """Open the edition of one slot and return its id, None if there is one already.

    *cut_at*: items visible by then are in; None: by the slot. *deadline_at*: None: what the cadence allows.
    """
    return edition_store.open_edition(
        tx.session,
        list_id=mailing_list.id,
        cadence=cadence,
        slot_key=slot.key,
        slot_at=slot.at,
        cut_at=cut_at or slot.at,
        deadline_at=deadline_at or slot.at + DEADLINE_AFTER[cadence],
        nonce=new_nonce(),
        now=tx.now,
        skip_reason=skip_reason,
    )


def open_immediate_editions(app: App, slug: str | None = None) -> list[int]:
    """Open an edition for each article that lists with the immediate cadence have not sent yet; return their ids.

    Finds the articles by looking, so an embargo that has passed and a doorbell that was lost come to the same.
    *slug*: of this list alone.
    """
    opened: list[int] = []
    with app.transaction() as tx:
        lists = [
            each
            for each in list_store.load_lists(tx.session)
            if Cadence.IMMEDIATE in each.cadences and slug in (None, each.slug)
        ]
        if not lists:
            return []
        for mailing_list in lists:
            for article in pending_articles(tx, mailing_list):
                slot = Slot(article.news_at, immediate_slot_key(article))
                deadline_at = tx.now + DEADLINE_AFTER[Cadence.IMMEDIATE]
                edition_id = open_slot(
                    tx, mailing_list, Cadence.IMMEDIATE, slot, cut_at=tx.now, deadline_at=deadline_at
                )
                if edition_id is not None:
                    opened.append(edition_id)
                    tx.ring(Doorbell.COMPILE_EDITION, edition_id)
    return opened


def pending_articles(tx: Transaction, mailing_list: MailingList) -> list[Article]:
    """Return the articles that a list with the immediate cadence has no edition for, as they were published."""
    recent = article_store.visible_articles(tx.session, now=tx.now, since=tx.now - LOOK_BACK[Cadence.IMMEDIATE])
    parents = ancestors(topic_store.load_topics(tx.session))
    choice = list_store.load_filter(tx.session, mailing_list.filter_id)
    wanted = [each for each in recent if each.news_at >= mailing_list.news_since and matches(choice, each, parents)]
    keys = [immediate_slot_key(each) for each in wanted]
    taken = edition_store.slots_taken(tx.session, mailing_list.id, Cadence.IMMEDIATE, keys)
    return [each for each in wanted if immediate_slot_key(each) not in taken]


def approve_edition(app: App, edition_id: int, *, actor: str) -> None:
    """Let a reviewed edition go out; *actor* is put on record. Approving it again changes nothing.

    Raises:
        NotFoundError: there is no such edition.
        ConflictError: it is not waiting for review, its deadline has passed, or a check found an error.
    """
    with app.transaction() as tx:
        edition = _load(tx, edition_id)
        if edition.state in (EditionState.APPROVED, EditionState.SENDING):
            return
        if edition.state is not EditionState.REVIEW:
            raise ConflictError(f"edition {edition_id} is {edition.state}; only one in review can be approved")
        if tx.now >= edition.deadline_at:
            deadline = edition.deadline_at.astimezone(tx.settings.zone_info)
            raise ConflictError(
                f"the deadline of edition {edition_id} was {deadline:%Y-%m-%d %H:%M %Z}; it is never sent "
                "late, and its articles go into the next edition"
            )
        require_sendable(tx, edition)
        approve_in(tx, edition_id, actor=actor)


def schedule_edition(app: App, edition_id: int, at: datetime) -> None:
    """Let a reviewed edition go out by itself at a time; a later call sets another one.

    Raises:
        NotFoundError: there is no such edition.
        ConflictError: it is not waiting for review, a check found an error, or the time is past or after its deadline.
    """
    with app.transaction() as tx:
        edition = _load(tx, edition_id)
        if edition.state is not EditionState.REVIEW:
            raise ConflictError(f"edition {edition_id} is {edition.state}; only one in review can be scheduled")
        if not tx.now <= at < edition.deadline_at:
            deadline = edition.deadline_at.astimezone(tx.settings.zone_info)
            raise ConflictError(
                f"edition {edition_id} can go out from now until its deadline, {deadline:%Y-%m-%d %H:%M %Z}"
            )
        require_sendable(tx, edition)
        edition_store.hold_review(tx.session, edition_id, until=at)
        record_act(tx, "scheduled", f"edition {edition_id}", at=at.isoformat())


def approve_in(tx: Transaction, edition_id: int, *, actor: str) -> None:
    """Approve within the caller's transaction and ring for its fan-out.

    What is left of its deadline begins to run by the database's clock: a replay of history is not too late, and a
    fan-out that nobody was there for does not make an edition live longer.
    """
    left = _load(tx, edition_id).deadline_at - tx.now
    edition_store.set_state(
        tx.session,
        edition_id,
        EditionState.APPROVED,
        now=tx.now,
        approved_at=tx.now,
        approved_by=actor,
        send_until=database_now(tx.session) + left,
    )
    record_act(tx, "approved", f"edition {edition_id}", actor=actor)
    tx.ring(Doorbell.FAN_OUT_EDITION, edition_id)


def pause_edition(app: App, edition_id: int, *, reason: str = "") -> None:
    """Stop an edition within one micro-batch, on every worker; pausing again changes nothing. *reason* is shown."""
    with app.transaction() as tx:
        edition = _load(tx, edition_id)
        if edition.state is EditionState.PAUSED:
            return
        if not pause_edition_in(tx, edition_id, reason or NO_REASON, by=tx.actor):
            raise ConflictError(f"edition {edition_id} is {edition.state}; only one that is being sent can be paused")


def resume_edition(app: App, edition_id: int, *, canary: str = "") -> None:
    """Let a paused edition go on where it stopped; resuming one that runs changes nothing.

    One whose canary failed sends another canary first, whose answers alone count. *canary*: the mails that go first
    from now on, `none` for all at once.

    Raises:
        NotFoundError: there is no such edition.
        ConflictError: it is not paused.
        InvalidError: *canary* is none.
    """
    check_canary(canary)
    with app.transaction() as tx:
        edition = _load(tx, edition_id)
        if edition.state in (EditionState.SENDING, EditionState.APPROVED):
            return
        state = EditionState.SENDING if edition.fanned_out_at else EditionState.APPROVED
        if edition.state is not EditionState.PAUSED:
            raise ConflictError(f"edition {edition_id} is {edition.state}; only a paused one can be resumed")
        edition_store.set_state(tx.session, edition_id, state, now=tx.now)
        record_act(tx, "resumed", f"edition {edition_id}", **({"canary": canary} if canary else {}))
        if canary:
            canary_store.ask_canary(tx.session, edition_id, canary)
        if edition.fanned_out_at and (canary or is_held_by_canary(tx, edition_id)):
            begin_canary(tx, edition_id)
        if edition.fanned_out_at:
            tx.ring(Doorbell.SEND_BULK)
        else:
            tx.ring(Doorbell.FAN_OUT_EDITION, edition_id)


def cancel_edition(app: App, edition_id: int, *, reason: str = "") -> int:
    """End an edition: what is not sent yet never will be. Return how many deliveries that cancelled.

    *reason* is kept and shown. The items are free again for later editions only for readers who did not get them. One
    that was done, and is open for mails that are sent again, ends as done: only these are cancelled.
    """
    with app.transaction() as tx:
        edition = _load(tx, edition_id)
        why = reason[:LONGEST_REASON] or NO_REASON
        if resends.was_done_before(tx.session, edition_id):
            resends.end_with_this_attempt(tx.session, edition_id)
            record_act(tx, "cancelled", f"edition {edition_id}", reason=why)
            return fanout.cancel_edition_deliveries(tx.session, edition_id, RESEND_CANCELLED)
        if edition.state is not EditionState.CANCELLED:
            if not edition_store.set_state(
                tx.session, edition_id, EditionState.CANCELLED, now=tx.now, pause_reason=why, paused_by=tx.actor
            ):
                raise ConflictError(f"edition {edition_id} is {edition.state}; there is nothing to cancel")
            record_act(tx, "cancelled", f"edition {edition_id}", reason=why)
            if edition.fanned_out_at is None:
                fanout.forget_half_a_chunk(tx.session, edition)
        cancelled = fanout.cancel_edition_deliveries(tx.session, edition_id, CANCELLED)
        ledger.save_final_counts(tx.session, edition_id, ledger.counts_by_state(tx.session, edition_id))
        return cancelled


def _load(tx: Transaction, edition_id: int) -> Edition:
    edition = edition_store.load_edition(tx.session, edition_id, for_update=True)
    if edition is None:
        raise NotFoundError(f"there is no edition {edition_id}; see `newsletter editions list`")
    return edition


def approve_overdue_reviews(app: App) -> list[int]:
    """Approve the editions whose time for review has passed; return their ids. One past its deadline is missed."""
    approved = []
    with app.transaction() as tx:
        for found in edition_store.list_editions(tx.session, states=[EditionState.REVIEW]):
            edition = _load(tx, found.id)
            if edition.state is not EditionState.REVIEW:  # somebody decided while we waited for the lock
                continue
            if edition.deadline_at <= tx.now:
                skipped = {"skip_reason": SkipReason.MISSED}
                edition_store.set_state(tx.session, edition.id, EditionState.SKIPPED, now=tx.now, **skipped)
            elif edition.review_until is not None and edition.review_until <= tx.now:
                try:
                    require_sendable(tx, edition)
                except ConflictError as error:  # it is held until somebody has looked
                    edition_store.hold_review(tx.session, edition.id)
                    record_act(tx, "held", f"edition {edition.id}", errors=str(error))
                    log.warning("edition_held", edition_id=edition.id, errors=str(error))
                    continue
                approve_in(tx, edition.id, actor="review time passed")
                approved.append(edition.id)
    return approved


def fan_out_edition(app: App, edition_id: int) -> int:
    """Make a delivery for each reader of an approved edition, then let it be sent; return the readers seen.

    Each chunk is a transaction of its own; stopping between two and repeating all of it changes nothing.
    """
    seen = 0
    with app.transaction() as tx:
        edition = edition_store.load_edition(tx.session, edition_id, for_update=True)
        if edition is not None and edition.state is EditionState.APPROVED:
            fanout.forget_half_a_chunk(tx.session, edition)
    with ThreadPoolExecutor(1, "fan-out") as thread:
        while readers := _fan_out_chunk(app, edition_id, lambda work: thread.submit(_work_alone, app, work)):
            seen += readers
    return seen


def _fan_out_chunk(app: App, edition_id: int, beside: fanout.Beside) -> int:
    """Fan out the next readers and return how many; 0: there are no more, or the edition is not approved."""
    with app.transaction() as tx:
        edition = edition_store.load_edition(tx.session, edition_id, for_update=True)
        if edition is None or edition.state is not EditionState.APPROVED:
            return 0
        name_readers(tx, edition)
        readers = fanout.next_readers(tx.session, edition)
        if not readers:
            fanout.finish_fan_out(tx.session, edition_id, now=tx.now)
            begin_canary(tx, edition_id)
            edition_store.set_state(tx.session, edition_id, EditionState.SENDING, now=tx.now)
            tx.ring(Doorbell.SEND_BULK)
            return 0
        fanout.fan_out_chunk(
            tx.session,
            edition,
            readers,
            now=edition.approved_at or tx.now,
            decide=partial(admit_latecomers, tx, edition),
            beside=beside if edition.purpose is EditionPurpose.DIGEST else None,  # else it misses whom we just named
        )
        return len(readers)


def _work_alone(app: App, work: Callable[[Session], list[int]]) -> list[int]:
    with app.database.transaction() as session:
        return work(session)


@dataclass(frozen=True, slots=True)
class Progress:
    """An edition's accounts: candidates = deliveries + exclusions, or it is not done."""

    edition_id: int
    list_slug: str
    cadence: Cadence
    slot_key: str
    state: EditionState
    skip_reason: SkipReason | None
    slot_at: datetime
    items: int
    variants: int
    candidates: int
    deliveries: dict[DeliveryState, int]
    exclusions: dict[str, int]
    done_at: datetime | None
    pause_reason: str | None = None
    paused_by: str | None = None

    @property
    def adds_up(self) -> bool:
        """Whether every reader that fan-out saw is accounted for."""
        return self.candidates == sum(self.deliveries.values()) + sum(self.exclusions.values())


def edition_progress(tx: Transaction, edition: Edition) -> Progress:
    """Return an edition's accounts as they stand."""
    mailing_list = list_store.load_list_by_id(tx.session, edition.list_id)
    return Progress(
        edition_id=edition.id,
        list_slug=mailing_list.slug,
        cadence=edition.cadence,
        slot_key=edition.slot_key,
        state=edition.state,
        skip_reason=edition.skip_reason,
        slot_at=edition.slot_at,
        items=sum(not taken_out for _, taken_out in edition_store.edition_items(tx.session, edition.id)),
        variants=variant_store.variant_count(tx.session, edition.id),
        candidates=edition.candidate_count,
        deliveries=ledger.counts_by_state(tx.session, edition.id),
        exclusions=fanout.exclusion_counts(tx.session, edition.id),
        done_at=edition.done_at,
        pause_reason=edition.pause_reason,
        paused_by=edition.paused_by,
    )


def close_cancelled_editions(app: App) -> None:
    """End what came back into the queue of editions that were cancelled while it was sent, and fix their counts anew.

    It comes back where the relay put it off, or its sender had to give it back.
    """
    with app.transaction() as tx:
        for edition_id in fanout.cancelled_with_open_mail(tx.session):
            _load(tx, edition_id)
            fanout.cancel_edition_deliveries(tx.session, edition_id, CANCELLED)
            ledger.save_final_counts(tx.session, edition_id, ledger.counts_by_state(tx.session, edition_id))


def finish_editions(app: App) -> list[int]:
    """Mark as done the editions whose every delivery has come to an end and whose accounts balance; return their ids.

    A paused one too: when nothing is left to resume, all its mail sent or past its deadline, it has ended. An edition
    whose accounts do not balance stays open and is logged as an error: somebody must look.
    """
    judge_canaries(app)
    close_cancelled_editions(app)
    done = []
    with app.transaction() as tx:
        for edition_id in edition_store.editions_in(tx.session, EditionState.SENDING, EditionState.PAUSED):
            if recovery.has_open(tx.session, edition_id):
                continue
            edition = _load(tx, edition_id)
            if edition.fanned_out_at is None or recovery.has_open(tx.session, edition_id):
                continue  # the latter: somebody sent failed mails again while we waited for the lock
            progress = edition_progress(tx, edition)
            if not progress.adds_up:
                log.error("edition_does_not_add_up", edition_id=edition_id, candidates=progress.candidates)
                continue
            edition_store.set_state(tx.session, edition_id, EditionState.DONE, now=tx.now, done_at=tx.now)
            ledger.save_final_counts(tx.session, edition_id, progress.deliveries)
            done.append(edition_id)
    return done
