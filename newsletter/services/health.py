"""Health: whether this service can work, and its measures for those who watch it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from newsletter.domain.breakers import BreakerState
from newsletter.domain.deliveries import DeliveryState, Pool
from newsletter.domain.editions import EditionState
from newsletter.domain.subscriptions import SubscriptionState
from newsletter.services.alarms import AlarmName, find_alarms
from newsletter.services.context import App
from newsletter.services.relays import list_relays
from newsletter.storage import measures
from newsletter.storage.subscriptions import count_subscriptions

HEARTBEAT = "tick"

LATE_AFTER = timedelta(minutes=2)
"""Eight ticks without a sign of life; a person should look by then."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether requests can be answered; *tick_age* None: it never ran."""

    tick_age: timedelta | None

    @property
    def is_tick_late(self) -> bool:
        """Whether nobody has opened editions or swept for too long."""
        return self.tick_age is None or self.tick_age > LATE_AFTER


@dataclass(frozen=True, slots=True)
class Measures:
    """The service in numbers, by state; each state is there, with zero where there is nothing."""

    open_deliveries: Mapping[str, int]
    ended_deliveries: Mapping[str, int]
    editions: Mapping[str, int]
    subscriptions: Mapping[str, int]
    oldest_due: Mapping[Pool, timedelta]
    heartbeats: Mapping[str, timedelta]
    alarms: Mapping[str, int]
    relays_open: Mapping[str, int]


OPEN_STATES = (DeliveryState.QUEUED, DeliveryState.LEASED, DeliveryState.SENDING, DeliveryState.IN_DOUBT)


def check_readiness(app: App) -> Readiness:
    """Ask the database for the tick's sign of life; whatever the database raises is the caller's to answer."""
    with app.reading() as tx:
        return Readiness(measures.heartbeat_ages(tx.session).get(HEARTBEAT))


def take_measures(app: App) -> Measures:
    """Return the service in numbers, as the database has them now."""
    alarms = Counter(alarm.name.value for alarm in find_alarms(app))
    relays_open = {relay.name: int(relay.state is not BreakerState.CLOSED) for relay in list_relays(app)}
    with app.reading() as tx:
        live = dict.fromkeys((SubscriptionState.UNCONFIRMED.value, SubscriptionState.CONFIRMED.value), 0)
        for each in count_subscriptions(tx.session):
            live[each.state] += each.count
        ended = set(DeliveryState) - set(OPEN_STATES)
        return Measures(
            open_deliveries=dict.fromkeys(map(str, OPEN_STATES), 0) | measures.count_open_deliveries(tx.session),
            ended_deliveries=dict.fromkeys(map(str, sorted(ended)), 0) | measures.count_ended_deliveries(tx.session),
            editions=dict.fromkeys(map(str, EditionState), 0) | measures.count_editions(tx.session),
            subscriptions=live,
            oldest_due=measures.oldest_due_ages(tx.session),
            heartbeats=measures.heartbeat_ages(tx.session),
            alarms=dict.fromkeys(map(str, AlarmName), 0) | alarms,
            relays_open=relays_open,
        )
