"""Which service answers which doorbell; imports them all, so it is imported by what answers one."""

from collections.abc import Callable, Mapping

from newsletter.dispatch import Doorbell, InProcessDispatcher
from newsletter.domain.deliveries import Pool
from newsletter.services.changes import article_changed
from newsletter.services.composing import compile_edition
from newsletter.services.context import App
from newsletter.services.editions import fan_out_edition
from newsletter.services.feed_rebuilding import rebuild_feeds
from newsletter.services.polling import poll_source
from newsletter.services.sending import send_slice
from newsletter.services.tick import tick
from newsletter.services.websub import push_feeds

HANDLERS: Mapping[Doorbell, Callable[[App, int], object]] = {
    Doorbell.TICK: lambda app, _: tick(app),
    Doorbell.ARTICLE_CHANGED: article_changed,
    Doorbell.REBUILD_FEEDS: lambda app, _: rebuild_feeds(app),
    Doorbell.PUSH_FEEDS: lambda app, _: push_feeds(app),
    Doorbell.COMPILE_EDITION: compile_edition,
    Doorbell.FAN_OUT_EDITION: fan_out_edition,
    Doorbell.SEND_BULK: lambda app, _: send_slice(app, Pool.BULK, should_stop=_stop_of(app)),
    Doorbell.SEND_TRANSACTIONAL: lambda app, _: send_slice(app, Pool.TRANSACTIONAL, should_stop=_stop_of(app)),
    Doorbell.POLL_SOURCE: poll_source,
}
"""The Celery tasks are the same; a test holds them equal."""


def _stop_of(app: App) -> Callable[[], bool]:
    """Return what says whether this process is about to end."""
    return app.dispatcher.stopping.is_set if isinstance(app.dispatcher, InProcessDispatcher) else lambda: False
