"""The Celery application of `newsletter worker` and `newsletter tick`: connects to the database after each fork."""

import gc
import logging
import os
from functools import cache

from celery.signals import (
    celeryd_init,
    setup_logging,
    worker_process_init,
    worker_process_shutdown,
    worker_shutting_down,
)

from newsletter.bootstrap import build_app
from newsletter.config import load_settings
from newsletter.dispatch import TICK_SECONDS, make_celery
from newsletter.errors import InvalidError
from newsletter.logs import configure_logs, hear_libraries
from newsletter.services.context import App
from newsletter.services.polling import stop_reading
from workers.stopping import StopFlag

_settings = load_settings()
if not _settings.broker_url:
    raise InvalidError("NEWSLETTER_BROKER_URL is not set: without a broker, run `newsletter up` instead of workers")

tick_seconds = TICK_SECONDS * _settings.wait_factor
celery = make_celery(_settings.broker_url, tick_seconds=tick_seconds)
celery.conf.imports = ("workers.tasks",)

GC_THRESHOLDS = (20_000, 20, 20)
"""Objects made before a look at the youngest, and such looks before one at older ones; Python has 700, 10, 10."""

NICENESS = 5
"""Workers give way to the relay, the database and the web server on the same machine: their work can wait."""

stopping = StopFlag()
"""Set when the worker was asked to stop; made before the fork, so that its children see it."""


@cache
def parts() -> App:
    """Return this process's parts; made on first use, so that no connection outlives a fork."""
    return build_app(_settings)


@celeryd_init.connect  # before it warns of a worker that runs as root
@setup_logging.connect
def _configure_logs(**_: object) -> None:
    configure_logs(as_json=True)
    hear_libraries()  # Celery itself says what becomes of a task that fails, and why a worker gives up
    logging.captureWarnings(capture=True)


@worker_process_init.connect
def _give_way(**_: object) -> None:
    os.nice(NICENESS)


@worker_process_init.connect
def _spare_the_collector(**_: object) -> None:
    """Keep the garbage collector from what was imported, and let it look less often: a tenth of a sender's time."""
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


@worker_shutting_down.connect
def _stop(**_: object) -> None:
    stopping.set()


@worker_process_shutdown.connect
def _close(**_: object) -> None:
    stop_reading()  # since Celery ends its processes without what Python does at the end
    if parts.cache_info().currsize:
        parts().database.dispose()
