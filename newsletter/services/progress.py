"""Progress: how far an edition is, how fast it goes, what holds it up; nothing here writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from newsletter.domain.breakers import BreakerState
from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.editions import Edition, EditionState
from newsletter.errors import NotFoundError
from newsletter.services.context import App, Transaction
from newsletter.storage import canaries, editions, fanout, lists, progress, relays, stops
from newsletter.storage.engine import database_now
from newsletter.storage.stops import StopKind

SPAN = timedelta(minutes=1)
MOST_TROUBLES = 8
UNSENT = (DeliveryState.QUEUED, DeliveryState.LEASED, DeliveryState.SENDING)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Answers that were no yes, of one class and code."""

    answer: str
    code: int | None
    enhanced: str | None
    mails: int


@dataclass(frozen=True, slots=True)
class EditionStatus:
    """How far an edition is.

    *per_second*: accepted mails, of the last minute. *seconds_left*: at that pace, for what may go now; None: nobody
    knows. *held_by*: in words, what keeps mail from going out, each with what to do. *next_due_at*: when the first of
    the mails that wait is due, if none is now; the database's clock.
    """

    edition_id: int
    list_slug: str
    slot_key: str
    state: EditionState
    total: int
    unsent: int
    deliveries: Mapping[DeliveryState, int]
    by_provider: Mapping[str, Mapping[DeliveryState, int]]
    troubles: Sequence[Trouble]
    accepted_last_minute: int
    per_second: float
    seconds_left: float | None
    held_by: Sequence[str]
    next_due_at: datetime | None
    readers: int
    adds_up: bool

    @property
    def ended(self) -> int:
        """How many mails need nothing more of the senders."""
        return self.total - self.unsent


def follow_edition(app: App, edition_id: int) -> EditionStatus:
    """Return how far an edition is.

    Raises:
        NotFoundError: there is no such edition.
    """
    with app.reading() as tx:
        edition = editions.load_edition(tx.session, edition_id)
        if edition is None:
            raise NotFoundError(f"there is no edition {edition_id}; see `newsletter editions list`")
        counted = progress.count_mails(tx.session, edition_id, span=SPAN)
        states: dict[DeliveryState, int] = {}
        for by_state in counted.by_provider.values():
            for state, count in by_state.items():
                states[state] = states.get(state, 0) + count
        total = sum(states.values())
        unsent = sum(states.get(state, 0) for state in UNSENT)
        per_second = counted.recent / SPAN.total_seconds()
        held_by = _held_by(app, tx, edition) if unsent or edition.state is EditionState.PAUSED else []
        due_at = progress.next_due(tx.session, edition_id)
        excluded = sum(fanout.exclusion_counts(tx.session, edition_id).values())
        return EditionStatus(
            edition_id=edition_id,
            list_slug=lists.load_list_by_id(tx.session, edition.list_id).slug,
            slot_key=edition.slot_key,
            state=edition.state,
            total=total,
            unsent=unsent,
            deliveries=states,
            by_provider=counted.by_provider,
            troubles=[Trouble(*each) for each in progress.count_troubles(tx.session, edition_id, limit=MOST_TROUBLES)],
            accepted_last_minute=counted.recent,
            per_second=per_second,
            seconds_left=unsent / per_second if unsent and per_second and not held_by else None,
            held_by=held_by,
            next_due_at=due_at if due_at and due_at > database_now(tx.session) else None,
            readers=edition.candidate_count,
            adds_up=edition.candidate_count == total + excluded,
        )


def _held_by(app: App, tx: Transaction, edition: Edition) -> list[str]:
    """Say what keeps an edition's mail from going out, the widest first, each with what to do."""
    told = [
        f"all sending was stopped by {stop.by}: {stop.reason}. Next: newsletter "
        + ("sending resume" if stop.kind is StopKind.PAUSE else "db acknowledge-restore")
        for stop in stops.load_stops(tx.session)
    ]
    if not app.relays:
        told.append("no relay is known. Next: set NEWSLETTER_SMTP_URL")
    elif _are_all_open(app, tx):
        told.append("every relay fails and is left alone for a while. Next: newsletter relays list")
    mailing_list = lists.load_list_by_id(tx.session, edition.list_id)
    if pause := mailing_list.pause:
        told.append(f"{pause.by} paused the list: {pause.reason}. Next: newsletter lists resume {mailing_list.slug}")
    if edition.state is EditionState.PAUSED:
        by = edition.paused_by or "the service"
        told.append(
            f"{by} paused it: {edition.pause_reason or 'no reason given'}. "
            f"Next: newsletter editions resume {edition.id}"
        )
    canary = canaries.load_canary(tx.session, edition.id)
    if canary and canary.left == 0 and canary.size and canary.begun_at and edition.state is EditionState.SENDING:
        answers = canaries.count_answers(tx.session, edition.id, canary.begun_at)
        told.append(
            f"the first {canary.size:,} mails are out as a canary ({answers}); the rest follows when they are answered"
        )
    return told


def _are_all_open(app: App, tx: Transaction) -> bool:
    known = relays.load_relays(tx.session, [each.name for each in app.relays])
    now = database_now(tx.session)
    return all(each.name in known and known[each.name].breaker.state(now) is BreakerState.OPEN for each in app.relays)
