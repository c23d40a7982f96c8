"""Sending: one process of the service against the loop that a newsroom would write, into the same cheap sink."""

from collections.abc import Iterator
from functools import partial

from benchmarks.baselines import average_bytes, plain_mails, send_with_the_plain_loop
from benchmarks.edition import LARGE, fan_out
from benchmarks.measures import Goal, Row, interleave
from benchmarks.run import Run
from benchmarks.service import Edition, sink, stage, worker

READERS = 10_000
PLAIN_READERS = 200


def run(run: Run) -> Iterator[Row]:
    """Send the same articles from one process each."""
    with stage() as here, sink() as port:
        here.make_database("large")
        settings = here.settings("large", smtp_url=f"smtp://127.0.0.1:{port}?tls=off")
        fan_out(settings, LARGE, run.scaled(READERS), folder=here.folder)
        edition = Edition(settings.database_url)

        def service() -> float:
            edition.queue()
            return edition.send(settings)

        with worker(settings, processes=1):
            service()
            plain = partial(send_with_the_plain_loop, port, max(10, run.scaled(PLAIN_READERS)))
            found = interleave({"service": service, "plain": plain}, run.rounds)
    [mail] = plain_mails(1)
    yield Row(
        run.bench,
        "60 KB, against Jinja2 + premailer + EmailMessage + smtplib per reader, one process each",
        found.ratios("service", "plain"),
        Goal(40, 60),
        figures=f"{found.median('service'):,.0f} mails/s against {found.median('plain'):,.0f}, "
        f"of {average_bytes([mail.as_bytes()]):,.0f} bytes; cheap sink",
    )
