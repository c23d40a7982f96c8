"""The state of sending as a whole: what goes out, what is held back, and what a person has to look at."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from newsletter.domain.breakers import BreakerState
from newsletter.domain.deliveries import Pool
from newsletter.domain.editions import EditionState
from newsletter.services.context import App, Transaction
from newsletter.services.relays import list_relays
from newsletter.storage import canaries, editions, lists, measures, stops
from newsletter.storage.stops import StopKind


@dataclass(frozen=True, slots=True)
class SendingStatus:
    """Whether mail goes out; *holds*: in words, what holds any back, the widest first, each with what to do."""

    is_stopped: bool
    holds: Sequence[str]
    oldest_due: Mapping[Pool, timedelta]


def find_sending_status(app: App) -> SendingStatus:
    """Return the state of sending as a whole."""
    relays = [
        f"relay {each.name} is left alone after {each.failures} failures ({each.failed_stage}: {each.failed_words})"
        for each in list_relays(app)
        if each.state is not BreakerState.CLOSED
    ]
    with app.reading() as tx:
        standing = stops.load_stops(tx.session)
        holds = [*_of_stops(tx), *relays, *_of_lists(tx), *_of_editions(tx)]
        if not app.relays:
            holds.append("no relay is known, so mail waits. Next: set NEWSLETTER_SMTP_URL")
        return SendingStatus(bool(standing), holds, measures.oldest_due_ages(tx.session))


def _of_stops(tx: Transaction) -> Iterator[str]:
    for stop in stops.load_stops(tx.session):
        following = "sending resume" if stop.kind is StopKind.PAUSE else "db acknowledge-restore"
        when = f"{stop.at.astimezone(tx.settings.zone_info):%Y-%m-%d %H:%M %Z}"
        yield f"{stop.by} stopped everything at {when}: {stop.reason}. Next: newsletter {following}"


def _of_lists(tx: Transaction) -> Iterator[str]:
    for pause in lists.load_list_pauses(tx.session):
        yield f"{pause.by} paused the list {pause.slug}: {pause.reason}. Next: newsletter lists resume {pause.slug}"


def _of_editions(tx: Transaction) -> Iterator[str]:
    for edition in editions.list_editions(tx.session, states=[EditionState.PAUSED]):
        by = edition.paused_by or "the service"
        reason = edition.pause_reason or "no reason given"
        yield f"{by} paused edition {edition.id}: {reason}. Next: newsletter editions resume {edition.id}"
    for edition_id in canaries.editions_with_canary(tx.session):
        yield f"edition {edition_id} waits for its canary. Look: newsletter editions status {edition_id}"
