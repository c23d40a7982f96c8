"""The tick: every few seconds, from any number of processes, it opens what is due and finds what was forgotten."""

from datetime import timedelta

import structlog

from newsletter.dispatch import Doorbell
from newsletter.services.context import App
from newsletter.services.editions import open_due_editions, open_immediate_editions
from newsletter.services.subscriptions import end_lapsed
from newsletter.services.sweeping import sweep
from newsletter.storage.heartbeats import beat

log = structlog.get_logger()

HEARTBEAT = "tick"

LATE_AFTER = timedelta(minutes=2)
"""Eight ticks without a sign of life; a person should look by then."""


def tick(app: App) -> None:
    """Open due editions, sweep, forget sign-ups nobody confirmed, ring for feeds, leave a sign of life; repeatable.

    A step that fails is logged and keeps no other from running; the first failure is raised when all have run. The
    sign of life tells that somebody ticks, not that all went well.
    """
    failures = []
    for step in (open_due_editions, open_immediate_editions, sweep, end_lapsed, _leave_sign_of_life):
        try:
            step(app)
        except Exception as error:  # whatever it is, the other steps must run
            log.exception("tick_step_failed", step=step.__name__)
            failures.append(error)
    if failures:
        raise failures[0]


def _leave_sign_of_life(app: App) -> None:
    with app.transaction() as tx:
        beat(tx.session, HEARTBEAT)
        tx.ring(Doorbell.REBUILD_FEEDS)
