"""The same replay by real processes: the command line, a Celery worker and beat, PostgreSQL, Valkey, SMTP."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from replaying import LIST, TOPICS, ZONE, MovingClock, Story, check_mailboxes, invent_wishes, make_app, received
from test_replay import SAMPLE, STORIES

from newsletter.demo.mailserver import MailServer
from newsletter.services.context import App
from newsletter.storage.articles import visible_articles

pytestmark = pytest.mark.slow

STOP_SECONDS = 40
READERS = 120


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MailServer]:
    with MailServer(tmp_path / "mails") as running:
        yield running


@pytest.fixture
def environment(postgres_url, broker_url, server, home, programs) -> dict[str, str]:
    return os.environ | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "NEWSLETTER_DATABASE_URL": postgres_url,
        "NEWSLETTER_BROKER_URL": broker_url,
        "NEWSLETTER_SMTP_URL": server.url,
        "NEWSLETTER_SECRET_KEY": "a-secret-key-that-only-this-journey-knows",
        "NEWSLETTER_BASE_URL": "https://news.example.org",
        "NEWSLETTER_POSTAL_ADDRESS": "12 Abdrakhmanov Street, Bishkek",
        "NEWSLETTER_ZONE": ZONE.key,
        "NEWSLETTER_HOME": str(home),
    }


def run(environment: Mapping[str, str], *arguments: str, now: datetime | None = None) -> str:
    """Run the command line to its end and return what it printed; a failure shows what it said."""
    at = ["--now", now.isoformat()] if now else []
    done = subprocess.run(
        ["newsletter", *at, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


@contextmanager
def running(environment: Mapping[str, str], *arguments: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a part of the service beside the test; it is asked to stop when the block ends, and must."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "newsletter", *arguments], env=environment, stdout=output, stderr=output
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def csv_of(wishes: Sequence[object], path: Path) -> Path:
    """Write the readers as staff would get them, in one file."""
    lines = ["address;language;topics;kinds;languages"]
    lines += [
        f"{w.address};{w.language};{'|'.join(w.topics)};{'|'.join(w.kinds)};{'|'.join(w.languages)}" for w in wishes
    ]
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize("story", STORIES)
def test_weeks_replayed_by_commands_and_workers_reach_every_mailbox_once(
    environment, server, settings, tmp_path, story
):
    wishes = invent_wishes(READERS, cadences=["weekly"], seed=3)
    start = story.since - timedelta(hours=1)
    run(environment, "db", "upgrade")
    run(environment, "topics", "load", str(TOPICS))
    run(
        environment, "lists", "add", LIST, "--title", "News", "--title", "ru=Новости", "--title", "ky=Жаңылыктар",
        "--from", "The newsroom <news@newsroom.example>", "--cadence", "weekly", "--since", story.since.isoformat(),
        now=start,
    )  # fmt: skip
    for path in story.files:
        run(environment, "articles", "import", str(path), "--source", path.stem, now=start)
    run(
        environment, "subscribers", "import", str(csv_of(wishes, tmp_path / "readers.csv")),
        "--list", LIST, "--basis", "signed up at the front desk",
    )  # fmt: skip
    app = make_app(
        settings.model_copy(
            update={
                "database_url": environment["NEWSLETTER_DATABASE_URL"],
                "secret_key": environment["NEWSLETTER_SECRET_KEY"],
                "base_url": environment["NEWSLETTER_BASE_URL"],
            }
        ),
        server,
        MovingClock(story.until),
    )
    log = tmp_path / "workers.log"
    try:
        with running(environment, "tick", log=log), running(environment, "worker", log=log) as worker:
            for slot in mondays_with_news(app, story):
                sent = json.loads(run(environment, "send", LIST, "--yes", "--wait", "--json", now=slot))
                assert ("done", True) == (sent["state"], sent["adds_up"])
            mails_before = len(server.mails)
            worker.send_signal(signal.SIGTERM)
            assert 0 == worker.wait(STOP_SECONDS)

        check_mailboxes(app, received(app, server), wishes, story)
        assert mails_before == len(server.mails)
    finally:
        app.database.dispose()


def mondays_with_news(app: App, story: Story) -> list[datetime]:
    """Return the slots before which something became visible; a command for each other week would only take time."""
    with app.reading() as tx:
        seen = [article.visible_at for article in visible_articles(tx.session, now=story.until)]
    slots = []
    slot = story.since
    while slot <= story.until:
        if any(slot - timedelta(days=7) < at <= slot for at in seen):
            slots.append(slot)
        slot += timedelta(days=7)
    return slots


def test_a_worker_stopped_in_the_middle_of_a_send_is_followed_by_another(environment, server, tmp_path):
    """TERM ends a slice between two mails; what it had leased goes back, and nobody is lost or mailed twice."""
    story = SAMPLE
    wishes = invent_wishes(READERS * 5, cadences=["weekly"], seed=4)
    run(environment, "topics", "load", str(TOPICS))
    run(
        environment, "lists", "add", LIST, "--title", "News", "--from", "news@newsroom.example",
        "--since", story.since.isoformat(), now=story.since,
    )  # fmt: skip
    for path in story.files:
        run(environment, "articles", "import", str(path), "--source", path.stem, now=story.since)
    run(
        environment, "subscribers", "import", str(csv_of(wishes, tmp_path / "readers.csv")),
        "--list", LIST, "--basis", "signed up at the front desk",
    )  # fmt: skip
    run(environment, "send", LIST, "--yes", "--json", now=story.since + timedelta(days=7))
    log = tmp_path / "workers.log"
    with running(environment, "worker", "--concurrency", "1", log=log) as first:
        assert server.mails.wait_for(25, timeout_seconds=60)
        assert all(_niceness(child) > _niceness(first.pid) for child in _children(first.pid))  # relays come first
        first.send_signal(signal.SIGTERM)
        assert 0 == first.wait(STOP_SECONDS)
    sent_by_first = len(server.mails)
    with running(environment, "worker", log=log), running(environment, "tick", log=log):
        status = _wait_until_done(environment)

    assert sent_by_first < status["deliveries"]["accepted"]
    assert {"accepted"} == set(status["deliveries"])
    assert status["deliveries"]["accepted"] == len(server.mails)
    assert len(server.mails) == len({mail.envelope.recipients for mail in server.mails})


def _children(pid: int) -> list[int]:
    found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    assert found
    return found


def _niceness(pid: int) -> int:
    return os.getpriority(os.PRIO_PROCESS, pid)


def _wait_until_done(environment: Mapping[str, str]) -> dict[str, object]:
    ends_at = time.monotonic() + 90
    while time.monotonic() < ends_at:
        (edition,) = [
            each for each in json.loads(run(environment, "editions", "list", "--json")) if each["state"] != "skipped"
        ]
        if edition["state"] == "done":
            return edition
        time.sleep(0.5)
    raise AssertionError(f"the edition was not done in time: {edition}")
