"""The composition root: makes one process's parts and says which service answers which doorbell."""

from collections.abc import Callable, Mapping
from functools import partial

from newsletter.clock import Clock, system_clock
from newsletter.config import Settings
from newsletter.dispatch import CeleryDispatcher, Dispatcher, Doorbell, InProcessDispatcher, make_celery
from newsletter.domain.deliveries import Pool
from newsletter.mail.relay import Relay
from newsletter.services.changes import article_changed
from newsletter.services.composing import compile_edition
from newsletter.services.context import App
from newsletter.services.editions import fan_out_edition
from newsletter.services.feeds import rebuild_feeds
from newsletter.services.polling import poll_source
from newsletter.services.sending import send_slice
from newsletter.services.tick import tick
from newsletter.services.websub import push_feeds
from newsletter.storage.engine import connect
from newsletter.storage.migrate import upgrade

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
"""Which service answers which doorbell; the Celery tasks are the same, a test holds them equal."""


def _stop_of(app: App) -> Callable[[], bool]:
    """Return what says whether this process is about to end."""
    return app.dispatcher.stopping.is_set if isinstance(app.dispatcher, InProcessDispatcher) else lambda: False


def build_app(settings: Settings, *, clock: Clock = system_clock, dispatcher: Dispatcher | None = None) -> App:
    """Make this process's parts: in one process without a broker, else with Celery as the dispatcher.

    The embedded database is made and brought up to date here; one named by NEWSLETTER_DATABASE_URL is not: that is
    `newsletter db upgrade`, once per release.

    Raises:
        InvalidError: a setting cannot be used.
    """
    relays = Relay.parse_all(settings.smtp_url)
    database = connect(settings.database)
    if database.is_sqlite:
        upgrade(database)
    if dispatcher is None:
        dispatcher = (
            InProcessDispatcher() if settings.is_embedded else CeleryDispatcher(make_celery(settings.broker_url))
        )
    app = App(settings=settings, database=database, clock=clock, dispatcher=dispatcher, relays=relays)
    if isinstance(dispatcher, InProcessDispatcher):
        dispatcher.handlers = {doorbell: partial(handler, app) for doorbell, handler in HANDLERS.items()}
    return app
