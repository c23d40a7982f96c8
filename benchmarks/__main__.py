"""Run the benches: `python -m benchmarks --only smtp --scale 0.1`; see docs/performance.md."""

import argparse
import importlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.measures import Row
from benchmarks.report import Report
from benchmarks.run import Run

FOLDER = Path(__file__).parent
BENCHES = tuple(sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py")))
"""Every bench is a file here whose `run` takes a Run and yields Rows; there is nothing else to register."""


def main() -> None:
    """Run the benches that were asked for, and write what they found."""
    asked = _arguments().parse_args()
    scales = dict(asked.scale)
    report = Report.begin(scales=scales, rounds=asked.rounds)
    for name in asked.only or BENCHES:
        started_at = time.monotonic()
        for row in bench(name)(Run(name, scales.get(name, scales.get("", 1.0)), asked.rounds)):
            report.add(row)
            print(f"{row.bench}: {row.name}: {row.value:.3g} {row.unit} {row.verdict} ({row.figures})", flush=True)
        print(f"{name}: {time.monotonic() - started_at:.0f} s", flush=True)
        report.write(Path(asked.out))  # what is found stays found, should a later one fail
    if asked.publish:
        report.publish()


def bench(name: str) -> Callable[[Run], Iterator[Row]]:
    """Return the bench of that name."""
    run: Callable[[Run], Iterator[Row]] = importlib.import_module(f"benchmarks.bench_{name}").run
    return run


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=BENCHES, help="these alone; else all")
    parser.add_argument(
        "--scale",
        type=_scale,
        nargs="+",
        default=[],
        help="0.1: a tenth of the mails and readers; feeds=1: this bench is an exception",
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each candidate takes its turn")
    parser.add_argument("--out", default=".cache/bench", help="folder for results.json, table.md and chart.svg")
    parser.add_argument("--publish", action="store_true", help="put table and picture into docs/performance.md")
    return parser


def _scale(words: str) -> tuple[str, float]:
    name, _, number = words.rpartition("=")
    if name and name not in BENCHES:
        raise argparse.ArgumentTypeError(f"there is no bench {name}")
    return name, float(number)


if __name__ == "__main__":
    main()
