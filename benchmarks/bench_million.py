"""A million readers: composing their edition, making their deliveries, and sending with that many in the table."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.edition import LIST, NOW
from benchmarks.measures import Goal, Row, interleave, rate_of
from benchmarks.newsrooms import Population, fill
from benchmarks.run import Run
from benchmarks.service import Edition, children, sink, stage, worker
from newsletter.bootstrap import build_app
from newsletter.clock import fixed_clock
from newsletter.config import Settings
from newsletter.dispatch import RecordingDispatcher
from newsletter.domain.lists import Cadence
from newsletter.services.context import App
from newsletter.services.editions import fan_out_edition
from newsletter.services.sends import start_send

MANY = Population(readers=1_000_000, filters=100_000, articles=60)
FEW = 10_000
"""Deliveries of the same edition, in a copy of the same newsroom: else variants with more readers each are compared."""
FAN_OUT_ROUNDS = 2
"""Of a minute each."""


@dataclass(frozen=True)
class Newsroom:
    """A database of its own, with a worker's settings; its edition has the id 1."""

    population: Population
    settings: Settings
    app: App

    def compile(self) -> float:
        """Bring articles and readers in, open an edition and compose it; return the seconds that the latter took."""
        fill(self.app, self.population, folder=self.settings.home)
        started_at = time.perf_counter()
        start_send(self.app, LIST, Cadence.WEEKLY, actor="bench")
        return time.perf_counter() - started_at

    def fan_out(self) -> None:
        """Make the edition's deliveries."""
        fan_out_edition(self.app, 1)


def run(run: Run) -> Iterator[Row]:
    """Let the services work on a newsroom of a million readers, and on a copy of it that has few deliveries."""
    with stage() as here, sink() as port:
        smtp_url = f"smtp://127.0.0.1:{port}?tls=off"
        here.make_database("many")
        many = _newsroom(run, here.settings("many", smtp_url=smtp_url, broker=1))
        yield _compile(run, many)
        many.fan_out()
        edition = Edition(many.settings.database_url)
        yield _fan_out(run, many, edition)
        many.app.database.dispose()
        here.copy_database("many", "few")
        yield from _send(run, many.settings, here.settings("few", smtp_url=smtp_url, broker=2))


def _newsroom(run: Run, settings: Settings) -> Newsroom:
    app = build_app(settings, clock=fixed_clock(NOW), dispatcher=RecordingDispatcher())
    readers, filters = run.scaled(MANY.readers), run.scaled(MANY.filters)
    return Newsroom(Population(readers, filters, MANY.articles), settings, app)


def _compile(run: Run, many: Newsroom) -> Row:
    of = many.population
    return Row(
        run.bench,
        f"compile for {of.readers:,} subscriptions with {of.filters:,} filters and {of.articles} articles",
        [many.compile()],
        Goal(60, 10, less_is_better=True),
        unit="s",
        figures="once, from opening the edition to its approval",
    )


def _fan_out(run: Run, many: Newsroom, edition: Edition) -> Row:
    """Compare with the rows' plain copy into the same table, so with the same keys, in one durable transaction."""

    def service() -> float:
        edition.empty()
        edition.execute("delete from edition_exclusion")
        edition.execute(
            "update edition set state = 'approved', fan_out_cursor = 0, candidate_count = 0, fanned_out_at = null"
        )
        edition.settle()
        return rate_of(many.fan_out, edition.readers)

    def bare() -> float:
        edition.empty()
        edition.settle()
        return rate_of(edition.copy, edition.readers)

    found = interleave({"bare": bare, "service": service}, min(run.rounds, FAN_OUT_ROUNDS))
    return Row(
        run.bench,
        f"fan-out of {edition.readers:,} deliveries, time against a bare INSERT ... SELECT with the same keys",
        found.ratios("bare", "service"),
        Goal(2, 1.2, less_is_better=True),
        figures=f"{found.median('service'):,.0f} deliveries/s against {found.median('bare'):,.0f}; "
        f"{edition.variants:,} variants",
    )


def _send(run: Run, many: Settings, few: Settings) -> Iterator[Row]:
    """Send the same mails from one process each: all that are in the one table, the first of those in the other."""
    large, small = Edition(many.database_url), Edition(few.database_url)
    count = run.scaled(FEW)

    def send_few() -> float:
        small.queue(count)
        return small.send(few)

    def send_many() -> float:
        large.queue()
        return large.send_some(many, count)

    with worker(many, processes=1) as of_many, worker(few, processes=1) as of_few:
        send_few()
        send_many()
        found = interleave({"few": send_few, "many": send_many}, run.rounds)
        megabytes = [peak_megabytes(pid) for pid in (of_few, of_many)]
    words = f"{large.readers:,} against {count:,} deliveries in the table"
    yield Row(
        run.bench,
        f"time per mail, {words}",
        found.ratios("few", "many"),
        Goal(1.15, 1.0, less_is_better=True),
        figures=f"{found.median('many'):,.0f} mails/s against {found.median('few'):,.0f}",
    )
    yield Row(
        run.bench,
        f"memory of a sending process, {words}",
        [megabytes[1] / megabytes[0]],
        Goal(1.1, 1.0, less_is_better=True),
        figures=f"{megabytes[1]:,.0f} MB against {megabytes[0]:,.0f} at their peaks",
    )


def peak_megabytes(pid: int) -> float:
    """Return the most memory that any child of a worker has held."""
    return max(_peak_kilobytes(child) for child in children(pid)) / 1024


def _peak_kilobytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
