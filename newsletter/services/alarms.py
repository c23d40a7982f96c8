"""Alarms: what will not mend without a person, found by looking; for `newsletter doctor` and for metrics."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from newsletter.domain.breakers import BreakerState
from newsletter.domain.deliveries import Pool
from newsletter.domain.editions import EditionState
from newsletter.services.context import App, Transaction
from newsletter.services.relays import list_relays
from newsletter.storage import editions, ledger_lanes, lists, measures, stops
from newsletter.storage.engine import database_now
from newsletter.storage.heartbeats import heartbeat_age
from newsletter.storage.recovery import POISON
from newsletter.storage.stops import StopKind

MOST_DOUBT = 0.001
"""Share of an edition's mails in doubt above which a person has to look."""

STALLED_AFTER = timedelta(minutes=30)
POISON_TOLD_FOR = timedelta(hours=24)


class AlarmName(StrEnum):
    """What may be wrong; metrics have each, with 0 where it is not."""

    RESTORE = "restore"
    STOPPED = "stopped"
    RELAY_OPEN = "relay_open"
    STALLED = "stalled"
    POISON = "poison"
    DOUBT = "doubt"
    EDITION_PAUSED = "edition_paused"
    LIST_PAUSED = "list_paused"


URGENT = frozenset({AlarmName.RESTORE, AlarmName.STALLED, AlarmName.POISON, AlarmName.DOUBT})
"""Those that a person should be woken for: work will not finish without one, and nobody decided so."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that is wrong, in words, and what to do."""

    name: AlarmName
    found: str
    remedy: str

    @property
    def is_urgent(self) -> bool:
        """Whether to wake a person."""
        return self.name in URGENT


def find_alarms(app: App) -> list[Alarm]:
    """Return what is wrong now, the worst first; each is found by a few looks at indexes."""
    with app.reading() as tx:
        found = [*_stops(tx), *_stalled(tx), *_poison(tx), *_doubt(tx), *_pauses(tx)]
    found += _relays(app)
    order = list(AlarmName)
    return sorted(found, key=lambda alarm: order.index(alarm.name))


def _stops(tx: Transaction) -> Iterator[Alarm]:
    for stop in stops.load_stops(tx.session):
        when = f"since {stop.at.astimezone(tx.settings.zone_info):%Y-%m-%d %H:%M %Z}"
        if stop.kind is StopKind.RESTORE:
            remedy = "run `newsletter db acknowledge-restore --dry-run`, which says what to do"
            yield Alarm(AlarmName.RESTORE, f"all sending is stopped {when}: {stop.reason}", remedy)
        else:
            told = f"{stop.by} stopped all sending {when}: {stop.reason}"
            yield Alarm(AlarmName.STOPPED, told, "when it is mended: `newsletter sending resume`")


def _stalled(tx: Transaction) -> Iterator[Alarm]:
    now = database_now(tx.session)
    for pool in Pool:
        lanes = ledger_lanes.due_lanes(tx.session, pool)
        waits = max((now - lane.oldest_at for lane in lanes), default=timedelta())
        accepted = heartbeat_age(tx.session, accepted_beat(pool))
        if waits > STALLED_AFTER and (accepted is None or accepted > STALLED_AFTER):
            told = f"{pool.value} mail has been due for {waits.total_seconds() / 60:.0f} min, and none was accepted"
            remedy = "see whether workers of that queue run, then `newsletter relays list` and `newsletter limits list`"
            yield Alarm(AlarmName.STALLED, told, remedy)


def accepted_beat(pool: Pool) -> str:
    """Return the name of the sign of life that a sender leaves when mail of a lane was accepted."""
    return f"accepted {pool.value}"


def _poison(tx: Transaction) -> Iterator[Alarm]:
    age = heartbeat_age(tx.session, POISON)
    if age is not None and age < POISON_TOLD_FOR:
        told = f"a mail killed its senders again and again, and was given up {age.total_seconds() / 60:.0f} min ago"
        yield Alarm(AlarmName.POISON, told, "`newsletter deliveries list --state failed` shows it; report it to us")


def _doubt(tx: Transaction) -> Iterator[Alarm]:
    for edition_id, doubted, total in measures.doubts_by_edition(tx.session):
        if doubted > total * MOST_DOUBT:
            told = f"of {total:,} mails of edition {edition_id} {doubted:,} are in doubt"
            remedy = f"`newsletter deliveries settle --edition {edition_id} --from-log FILE` with the relay's log"
            yield Alarm(AlarmName.DOUBT, told, remedy)


def _pauses(tx: Transaction) -> Iterator[Alarm]:
    for edition in editions.list_editions(tx.session, states=[EditionState.PAUSED]):
        by = edition.paused_by or "the service"
        told = f"{by} paused edition {edition.id}: {edition.pause_reason or 'no reason given'}"
        yield Alarm(AlarmName.EDITION_PAUSED, told, f"`newsletter editions resume {edition.id}`, or cancel it")
    for pause in lists.load_list_pauses(tx.session):
        told = f"{pause.by} paused the list {pause.slug}: {pause.reason}"
        yield Alarm(AlarmName.LIST_PAUSED, told, f"`newsletter lists resume {pause.slug}`")


def _relays(app: App) -> Iterator[Alarm]:
    for relay in list_relays(app):
        if relay.state is not BreakerState.CLOSED:
            told = f"{relay.name} failed {relay.failures} times ({relay.failed_stage}: {relay.failed_words})"
            yield Alarm(AlarmName.RELAY_OPEN, told, "mend it, or NEWSLETTER_SMTP_URL; it is tried again by itself")
