"""Pauses: a reader wants no mail until a day, and afterwards what they missed, or not."""

from datetime import date, datetime, time, timedelta

from newsletter.domain.subscriptions import (
    LONGEST_PAUSE,
    PAUSED,
    Consent,
    ConsentAct,
    Evidence,
    Pause,
    Subscription,
    is_paused,
)
from newsletter.errors import ConflictError, InvalidError
from newsletter.services.context import App, Transaction
from newsletter.services.subscriptions import Standing, find_standing, lock_standing
from newsletter.storage import mailings
from newsletter.storage import subscriptions as storage

RESUMED_AT_ONCE = 1000
"""Pauses ended in one transaction."""


def pause_until(app: App, uid: str, day: date, *, catches_up: bool, evidence: Evidence) -> Standing:
    """
    Let a reader's list be silent until the morning of *day* in the list's zone, mail in the queue included.

    *catches_up*: what the list sent meanwhile comes with its first edition after the pause, as far as news keeps.
    A pause that lasts already gets the new end. Safe to repeat.

    Raises:
        NotFoundError: no subscription has that uid.
        ConflictError: the subscription has ended.
        InvalidError: the day is not in the future, or too far in it.
    """
    with app.transaction() as tx:
        standing = lock_standing(tx, uid)
        live = _live(standing)
        until = datetime.combine(day, time(), standing.mailing_list.schedule.zone_info)
        if not tx.now < until <= tx.now + LONGEST_PAUSE:
            raise InvalidError("a pause ends on a day to come, within a year")
        since = live.pause.since if live.pause and is_paused(live) else tx.now
        storage.pause_subscription(tx.session, live.id, Pause(since, until, catches_up))
        mailings.cancel_open_deliveries(tx.session, live.subscriber_id, live.list_id, PAUSED)
        basis = f"until {day.isoformat()}, {'with' if catches_up else 'without'} what is missed"
        storage.add_consent(tx.session, live.id, Consent(tx.now, ConsentAct.PAUSED, basis, evidence))
        return find_standing(tx, uid)


def resume(app: App, uid: str, *, evidence: Evidence) -> Standing:
    """
    End a reader's pause before its time. Safe to repeat.

    Raises:
        NotFoundError: no subscription has that uid.
        ConflictError: the subscription has ended.
    """
    with app.transaction() as tx:
        standing = lock_standing(tx, uid)
        _resume(tx, _live(standing), basis="the button on the page", evidence=evidence)
        return find_standing(tx, uid)


def end_pauses(app: App) -> int:
    """End the pauses whose day has come; return how many."""
    with app.transaction() as tx:
        over = storage.load_overslept(tx.session, now=tx.now, limit=RESUMED_AT_ONCE)
        for each in over:
            _resume(tx, each, basis="its day came", evidence="")
    return len(over)


def longest_pause(now: datetime) -> tuple[date, date]:
    """Return the first and the last day that a pause may last until."""
    return (now + timedelta(days=1)).date(), (now + LONGEST_PAUSE - timedelta(days=1)).date()


def _resume(tx: Transaction, paused: Subscription, *, basis: str, evidence: Evidence) -> None:
    if paused.pause is None or not is_paused(paused):
        return
    over = Pause(paused.pause.since, paused.pause.until, paused.pause.catches_up, tx.now)
    storage.pause_subscription(tx.session, paused.id, over)
    storage.add_consent(tx.session, paused.id, Consent(tx.now, ConsentAct.RESUMED, basis, evidence))


def _live(standing: Standing) -> Subscription:
    if standing.live is None:
        raise ConflictError("this subscription has ended; sign up again to get mails")
    return standing.live
