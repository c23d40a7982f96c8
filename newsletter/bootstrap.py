"""The composition root: makes one process's parts."""

from functools import partial

from newsletter.clock import Clock, system_clock
from newsletter.config import Settings
from newsletter.dispatch import CeleryDispatcher, Dispatcher, Doorbell, InProcessDispatcher, make_celery
from newsletter.mail.relay import Relay
from newsletter.services.context import App
from newsletter.services.guard import begin_lineage
from newsletter.storage.engine import connect
from newsletter.storage.migrate import upgrade


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
        upgrade(database, begin=partial(begin_lineage, home=settings.home))
    if dispatcher is None:
        dispatcher = (
            InProcessDispatcher() if settings.is_embedded else CeleryDispatcher(make_celery(settings.broker_url))
        )
    app = App(settings=settings, database=database, clock=clock, dispatcher=dispatcher, relays=relays)
    if isinstance(dispatcher, InProcessDispatcher):
        dispatcher.handlers = {doorbell: partial(_answer, app, doorbell) for doorbell in Doorbell}
    return app


def _answer(app: App, doorbell: Doorbell, subject: int) -> None:
    from newsletter.doorbells import HANDLERS  # noqa: PLC0415  slow to import, and most commands ring nothing

    HANDLERS[doorbell](app, subject)
