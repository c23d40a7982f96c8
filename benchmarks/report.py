"""What benches found: as JSON, as a Markdown table, as a picture."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from benchmarks.chart import chart
from benchmarks.measures import Goal, Row

DOCS = Path(__file__).resolve().parents[1] / "docs"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


@dataclass(frozen=True)
class Report:
    """The rows of one run, and what machine it ran on."""

    facts: dict[str, object]
    rows: list[Row] = field(default_factory=list)

    @classmethod
    def begin(cls, *, scales: Mapping[str, float], rounds: int) -> Self:
        """Note when and where the run begins; *scales*: by bench, of all others under the empty name."""
        return cls(
            {
                "began_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "scale": ", ".join(f"{name} {scale:g}".strip() for name, scale in {"": 1.0, **scales}.items()),
                "rounds": rounds,
                "cores": os.cpu_count(),
                "processor": _processor(),
                "python": platform.python_version(),
                "load_before": os.getloadavg()[0],
            }
        )

    def add(self, row: Row) -> None:
        """Note a row."""
        self.rows.append(row)

    def write(self, folder: Path) -> None:
        """Write results.json, table.md and chart.svg."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.json").write_text(self.as_json())
        (folder / "table.md").write_text(self.as_table())
        (folder / "chart.svg").write_text(chart(self.rows))

    def publish(self) -> None:
        """Put the table into docs/performance.md between its marks, picture and JSON beside it."""
        page = DOCS / "performance.md"
        before, _, rest = page.read_text().partition(BEGIN)
        _, _, after = rest.partition(END)
        page.write_text(f"{before}{BEGIN}\n{self.as_table()}{END}{after}")
        (DOCS / "performance.svg").write_text(chart(self.rows))
        (DOCS / "performance.json").write_text(self.as_json())

    def as_json(self) -> str:
        """Return everything, for programs."""
        rows = [{**asdict(row), "value": row.value, "verdict": row.verdict} for row in self.rows]
        return json.dumps({**self.facts, "rows": rows}, indent=1, ensure_ascii=False) + "\n"

    def as_table(self) -> str:
        """Return a Markdown table with what it was measured on under it."""
        lines = ["| bench | at least | aim | measured | rounds | behind it |", "|---|--:|--:|--:|---|---|"]
        for row in self.rows:
            rounds = " ".join(_told(value, row.unit) for value in row.rounds)
            bold = f"**{_told(row.value, row.unit)}** {row.verdict}".strip()
            lines.append(f"| {row.name} | {_goal(row.goal, row.unit)} | {bold} | {rounds} | {row.figures} |")
        return "\n".join([*lines, "", self._circumstances()]) + "\n"

    def _circumstances(self) -> str:
        facts = self.facts
        machine = f"{facts['cores']} cores ({facts['processor']}), Python {facts['python']}"
        run = f"medians of {facts['rounds']} rounds, scale {facts['scale']}, load before {facts['load_before']:.1f}"
        return f"{str(facts['began_at'])[:10]}, {machine}, {run}."


def _goal(goal: Goal | None, unit: str) -> str:
    if goal is None:
        return " | "
    sign = "≤ " if goal.less_is_better else ""
    return f"{sign}{_told(goal.at_least, unit)} | {sign}{_told(goal.aim, unit)}"


def _told(value: float, unit: str) -> str:
    shown = f"{value:.2f}" if value < 10 else f"{value:.0f}"  # noqa: PLR2004  two figures that mean something
    return f"{shown} s" if unit == "s" else f"{shown}x" if unit == "x" else shown


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
