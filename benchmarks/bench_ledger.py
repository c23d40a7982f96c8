"""The ledger's share: how much of a sender's time goes into SQL, measured around every statement and commit."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.edition import LARGE, fan_out
from benchmarks.measures import Goal, Row
from benchmarks.run import Run
from benchmarks.service import Edition, sink, stage
from newsletter.bootstrap import build_app
from newsletter.dispatch import RecordingDispatcher
from newsletter.domain.deliveries import Pool
from newsletter.services.context import App
from newsletter.services.sending import send_slice

READERS = 10_000
CALLS = ("do_execute", "do_executemany", "do_execute_no_params", "do_begin", "do_commit", "do_rollback")
"""Of SQLAlchemy's dialects: where it waits for the database."""


class Stopwatch:
    """Adds up how long a database was waited for."""

    def __init__(self, app: App) -> None:
        self.seconds = 0.0
        dialect: Any = app.database.engine.dialect
        for name in CALLS:
            setattr(dialect, name, self._timed(getattr(dialect, name)))

    def _timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            started_at = time.perf_counter()
            try:
                return call(*arguments, **options)
            finally:
                self.seconds += time.perf_counter() - started_at

        return timed


def run(run: Run) -> Iterator[Row]:
    """Send unsigned mail, the cheapest there is, from this very process."""
    shares, costs = [], []
    with stage() as here, sink() as port:
        here.make_database("large")
        settings = here.settings("large", smtp_url=f"smtp://127.0.0.1:{port}?tls=off")
        fan_out(settings, LARGE, run.scaled(READERS), folder=here.folder)
        edition = Edition(settings.database_url)
        app = build_app(settings, dispatcher=RecordingDispatcher())
        for _ in range(run.rounds):
            edition.queue()
            stopwatch = Stopwatch(app)
            started_at = time.perf_counter()
            mails = _send_all(app)
            seconds = time.perf_counter() - started_at
            shares.append(stopwatch.seconds / seconds)
            costs.append(stopwatch.seconds / mails)
        app.database.dispose()
    yield Row(
        run.bench,
        "SQL time per mail / all time per mail, one process, 60 KB unsigned",
        shares,
        Goal(1 / 3, 1 / 6, less_is_better=True),
        unit="share",
        figures=f"{sorted(costs)[len(costs) // 2] * 1e6:,.0f} µs of SQL a mail; cheap sink",
    )


def _send_all(app: App) -> int:
    mails = 0
    while sent := send_slice(app, Pool.BULK).accepted:
        mails += sent
    return mails
