"""The tick: every few seconds, from any number of processes, it opens what is due and finds what was forgotten."""

from collections.abc import Callable

import structlog

from newsletter.dispatch import Doorbell
from newsletter.services.context import App
from newsletter.services.editions import open_due_editions, open_immediate_editions
from newsletter.services.health import HEARTBEAT
from newsletter.services.pauses import end_pauses
from newsletter.services.retention import forget_what_is_old
from newsletter.services.search import index_articles
from newsletter.services.sign_ups import end_lapsed
from newsletter.services.sources import ring_due_sources
from newsletter.services.sweeping import sweep
from newsletter.storage.heartbeats import beat

log = structlog.get_logger()


def tick(app: App) -> None:
    """End pauses, open due editions, sweep, index articles, forget what is old, ring for sources and feeds; repeatable.

    A step that fails is logged and keeps no other from running; the first failure is raised when all have run. The
    sign of life tells that somebody ticks, not that all went well.
    """
    failures = []
    for step in STEPS:
        try:
            step(app)
        except Exception as error:  # whatever it is, the other steps must run
            log.exception("tick_step_failed", step=getattr(step, "__name__", step))
            failures.append(error)
    if failures:
        raise failures[0]


def _leave_sign_of_life(app: App) -> None:
    with app.transaction() as tx:
        beat(tx.session, HEARTBEAT)
        tx.ring(Doorbell.REBUILD_FEEDS)


STEPS: tuple[Callable[[App], object], ...] = (
    end_pauses,  # before editions that their readers want
    open_due_editions,
    open_immediate_editions,
    sweep,
    end_lapsed,
    index_articles,
    forget_what_is_old,
    ring_due_sources,
    _leave_sign_of_life,
)
"""What a tick does, in this order."""
