"""A relay far away: ten connections of the service against smtplib on ten threads, 20 ms there and back."""

from collections.abc import Iterator
from functools import partial

from benchmarks.baselines import sample_mails, send_with_smtplib
from benchmarks.edition import LARGE, fan_out
from benchmarks.measures import Goal, Row, interleave
from benchmarks.run import Run
from benchmarks.service import Edition, far_away, sink, stage, worker

READERS = 5_000
SMTPLIB_MAILS = 600
CONNECTIONS = 10
ROUND_TRIP_MILLISECONDS = 20


def run(run: Run) -> Iterator[Row]:
    """Send the same mails, which smtplib gets ready made."""
    with stage() as here, sink() as near, far_away(near, ROUND_TRIP_MILLISECONDS) as port:
        here.make_database("large")
        url = f"smtp://127.0.0.1:{port}?tls=off&connections={CONNECTIONS}"
        settings = here.settings("large", smtp_url=url)
        fan_out(settings, LARGE, run.scaled(READERS), folder=here.folder)
        edition = Edition(settings.database_url)
        mails = sample_mails(edition, here.settings("large", broker=1))
        count = max(CONNECTIONS * 2, run.scaled(SMTPLIB_MAILS))

        def service() -> float:
            edition.queue()
            return edition.send(settings)

        with worker(settings, processes=1):
            service()
            threads = partial(send_with_smtplib, port, mails, count, threads=CONNECTIONS)
            found = interleave({"service": service, "smtplib": threads}, run.rounds)
    yield Row(
        run.bench,
        f"60 KB, a relay {ROUND_TRIP_MILLISECONDS} ms away, {CONNECTIONS} connections, against smtplib on threads",
        found.ratios("service", "smtplib"),
        Goal(3, 5),
        figures=f"{found.median('service'):,.0f} mails/s against {found.median('smtplib'):,.0f}",
    )
