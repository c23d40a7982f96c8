"""The tick: every few seconds, from any number of processes, it opens what is due and finds what was forgotten."""

from newsletter.dispatch import Doorbell
from newsletter.services.context import App
from newsletter.services.editions import open_due_editions, open_immediate_editions
from newsletter.services.subscriptions import end_lapsed
from newsletter.services.sweeping import sweep
from newsletter.storage.heartbeats import beat

HEARTBEAT = "tick"


def tick(app: App) -> None:
    """Open due editions, sweep, forget sign-ups nobody confirmed, ring for feeds, leave a sign of life; repeatable."""
    open_due_editions(app)
    open_immediate_editions(app)
    sweep(app)
    end_lapsed(app)
    with app.transaction() as tx:
        beat(tx.session, HEARTBEAT)
        tx.ring(Doorbell.REBUILD_FEEDS)
