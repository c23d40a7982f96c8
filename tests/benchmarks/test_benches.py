"""Benches: each still runs, and what they find is told as it is; nothing here looks at a clock."""

import json
import re
import smtplib
import subprocess
import sys
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest

from benchmarks.__main__ import BENCHES
from benchmarks.chart import chart
from benchmarks.measures import Goal, Row, interleave
from benchmarks.report import Report
from benchmarks.service import far_away, sink

ROOT = Path(__file__).parents[2]
FAST = Goal(2, 4)
SLOW = Goal(2, 1, less_is_better=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", BENCHES)
def test_a_bench_runs_from_beginning_to_end(name, tmp_path):
    command = [sys.executable, "-m", "benchmarks", "--only", name, "--scale", "0.002", "--rounds", "1"]
    done = subprocess.run([*command, "--out", tmp_path], cwd=ROOT, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr[-2000:]
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]

    assert {name} == {row["bench"] for row in rows}
    assert all(row["value"] > 0 for row in rows)


@pytest.mark.parametrize(
    ("goal", "value", "verdict"),
    [
        (FAST, 4, "aim reached"),
        (FAST, 2, "reached"),
        (FAST, 1.9, "missed"),
        (SLOW, 1, "aim reached"),
        (SLOW, 2, "reached"),
        (SLOW, 2.1, "missed"),
        (None, 7, ""),
    ],
)
def test_a_row_says_whether_its_goal_is_reached(goal, value, verdict):
    assert verdict == Row("one", "a row", [value], goal).verdict


def test_candidates_take_turns_and_are_compared_within_rounds():
    order = []
    rates = {"ours": iter([10.0, 30.0, 8.0]), "theirs": iter([5.0, 10.0, 8.0])}

    def measure(name):
        order.append(name)
        return next(rates[name])

    found = interleave({name: lambda name=name: measure(name) for name in rates}, 3)

    assert ["ours", "theirs", "theirs", "ours", "ours", "theirs"] == order
    assert [2, 3, 1] == found.ratios("ours", "theirs")
    assert 2 == Row("one", "a row", found.ratios("ours", "theirs")).value


def test_a_report_tells_every_row_and_keeps_what_people_wrote(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.report.DOCS", tmp_path)
    page = tmp_path / "performance.md"
    page.write_text("before\n<!-- table: begin -->\nold\n<!-- table: end -->\nafter\n")
    report = Report.begin(scales={"": 0.5, "feeds": 1}, rounds=3)
    report.add(Row("one", "mails <fast>", [3, 2, 4], FAST, figures="3 against 1"))
    report.add(Row("two", "a share", [0.5], SLOW, unit="share"))
    report.publish()

    assert "| mails <fast> | 2.00x | 4.00x | **3.00x** reached | 3.00x 2.00x 4.00x | 3 against 1 |" in page.read_text()
    assert re.match(r"(?s)before\n.*scale 0.5, feeds 1, load.*\nafter\n$", page.read_text())
    assert "old" not in page.read_text()
    assert ["one", "two"] == [row["bench"] for row in json.loads((tmp_path / "performance.json").read_text())["rows"]]
    assert (tmp_path / "performance.svg").read_text().startswith("<svg")


def test_the_picture_has_a_bar_for_each_row_with_a_goal():
    rows = [Row("one", "a & b", [100], FAST), Row("two", "c", [0.001], FAST), Row("three", "d", [1], None)]
    picture = fromstring(chart(rows))
    texts = "".join(picture.itertext())
    bars = [each for each in picture.iter("{http://www.w3.org/2000/svg}rect") if each.get("fill") != "#fff"]

    assert 2 == len(bars)
    assert all(0 <= float(bar.get("x")) < float(bar.get("x")) + float(bar.get("width")) <= 900 for bar in bars)
    assert "a & b: 100.00 (aim reached)" in texts
    assert "c: 0.00 (missed)" in texts


@pytest.mark.parametrize("body", [b"Subject: x\r\n\r\nwords\r\n", b"", b"..\r\n" * 5, b"x" * 200_000 + b"\r\n"])
def test_the_cheap_sink_takes_whatever_mail_and_goes_on(body):
    with sink() as port, smtplib.SMTP("127.0.0.1", port) as smtp:
        for _ in range(3):
            assert {} == smtp.sendmail("a@example.org", ["b@example.org"], body)

        assert smtp.has_extn("PIPELINING")


@pytest.mark.slow
def test_a_far_relay_answers_like_a_near_one():
    with sink() as near, far_away(near, 2) as port, smtplib.SMTP("127.0.0.1", port) as smtp:
        assert {} == smtp.sendmail("a@example.org", ["b@example.org"], b"Subject: x\r\n\r\n" + b"y" * 300_000)
