"""The installed command in a real terminal: Ctrl-C in the middle of a send, narrow terminals, no colours in a pipe."""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

from newsletter.demo.mailserver import MailServer

pytestmark = pytest.mark.slow

NEWSLETTER = str(Path(sys.executable).with_name("newsletter"))
NOW = "2024-12-09T09:00:00+06:00"
READERS = 60
WAIT = 60


def furnished(folder: Path, **settings: str) -> dict[str, str]:
    """Return what the command is started with, once there are a list, an article and sixty readers."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("NEWSLETTER_")},
        "NEWSLETTER_BASE_URL": "https://news.example.org",
        "NEWSLETTER_POSTAL_ADDRESS": "1 Example Street, Bishkek",
        "NEWSLETTER_BY": "aida",
        "TERM": "xterm-256color",
        **settings,
    }
    (folder / "article.md").write_text(f"---\ntitle: A school opens\ndate: 2024-12-05\n---\n{'It opens. ' * 30}\n")
    rows = "\n".join(["address", *(f"reader{number}@readers.example" for number in range(READERS))])
    (folder / "readers.csv").write_text(rows)
    for words in (
        (
            *("lists", "add", "weekly", "--title", "The week", "--from", "News <news@example.org>"),
            *("--language", "en", "--since", "2024-01-01T00:00:00+06:00"),
        ),
        ("articles", "import", str(folder / "article.md"), "--source", "press"),
        ("subscribers", "import", str(folder / "readers.csv"), "--list", "weekly", "--basis", "on paper at the fair"),
    ):
        subprocess.run([NEWSLETTER, "--now", NOW, *words], env=environment, check=True, capture_output=True)
    return environment


@pytest.fixture
def environment(home: Path, tmp_path: Path) -> dict[str, str]:
    """Everything in one process, on SQLite."""
    return furnished(tmp_path, NEWSLETTER_HOME=str(home))


@pytest.fixture
def production(home: Path, tmp_path: Path, postgres_url: str, broker_url: str) -> dict[str, str]:
    """A broker and PostgreSQL: the command sends nothing itself."""
    return furnished(
        tmp_path,
        NEWSLETTER_HOME=str(home),
        NEWSLETTER_DATABASE_URL=postgres_url,
        NEWSLETTER_BROKER_URL=broker_url,
        NEWSLETTER_SECRET_KEY="a-secret-key-that-only-this-test-knows",
    )


@contextmanager
def running(environment: dict[str, str], *words: str) -> Iterator[None]:
    """Run a part of the service beside the test."""
    process = subprocess.Popen([NEWSLETTER, *words], env=environment)
    try:
        yield
    finally:
        process.terminate()
        process.wait(WAIT)


def terminal(environment: dict[str, str], *words: str, width: int = 80) -> pexpect.spawn:
    return pexpect.spawn(
        NEWSLETTER,
        ["--now", NOW, *words],
        env=environment,
        dimensions=(40, width),
        encoding="utf-8",
        timeout=WAIT,
    )


def plain(shown: object) -> str:
    return " ".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", str(shown)).split())


def test_ctrl_c_in_the_middle_of_a_send_says_how_it_goes_on_and_nobody_gets_it_twice(environment):
    with MailServer() as server:
        environment["NEWSLETTER_SMTP_URL"] = f"{server.url}&rate=10&connections=1"
        sending = terminal(environment, "send", "weekly")
        sending.expect("Send now")
        sending.sendline("y")
        if sending.expect(["all the same", "Edition 1|edition 1"]) == 0:
            sending.sendline("y")
        sending.expect(r"[1-9][0-9]? of 60")
        sending.sendintr()
        sending.expect(pexpect.EOF)
        sending.close()
        first = Counter(mail.envelope.recipients[0] for mail in server.mails)
        told = plain(sending.before)

        assert 130 == sending.exitstatus, told
        assert "newsletter send weekly, or newsletter up" in told
        assert "newsletter editions status 1 --watch" in told
        assert 0 < len(first) < READERS
        assert "Traceback" not in told

        environment["NEWSLETTER_SMTP_URL"] = server.url
        again = terminal(environment, "send", "weekly", width=44)
        again.expect("was let go already")
        again.expect(pexpect.EOF)
        again.close()

        assert 0 == again.exitstatus, plain(again.before)
        everybody = Counter(mail.envelope.recipients[0] for mail in server.mails)
    assert (READERS, {1}) == (len(everybody), set(everybody.values()))


def test_ctrl_c_ends_the_watching_alone_where_workers_send_and_another_command_picks_it_up(production):
    with MailServer() as server:
        production["NEWSLETTER_SMTP_URL"] = f"{server.url}&rate=3&connections=1"  # twenty seconds at the least
        with running(production, "worker", "--concurrency", "1"), running(production, "tick"):
            sending = terminal(production, "send", "weekly", "--wait")
            sending.expect("Send now")
            sending.sendline("y")
            if sending.expect(["all the same", "Edition 1|edition 1"]) == 0:
                sending.sendline("y")
            sending.expect(r"[1-9][0-9]? of 60")
            sending.sendintr()
            sending.expect(pexpect.EOF)
            sending.close()
            told, sent_by_then = plain(sending.before), len(server.mails)

            assert 130 == sending.exitstatus, told
            assert "the send goes on where workers run" in told
            assert sent_by_then < READERS

            watching = terminal(production, "editions", "status", "1", "--watch", width=60)
            watching.expect("60 of 60")
            watching.expect(pexpect.EOF)
            watching.close()

        assert 0 == watching.exitstatus, plain(watching.before)
        everybody = Counter(mail.envelope.recipients[0] for mail in server.mails)
    assert (READERS, {1}) == (len(everybody), set(everybody.values()))


def test_narrow_terminals_cut_no_line_and_pipes_get_no_colours(environment):
    shown = terminal(environment, "lists", "show", "weekly", width=40)
    shown.expect(pexpect.EOF)
    piped = subprocess.run(
        [NEWSLETTER, "lists", "show", "weekly"], env=environment, check=True, capture_output=True, text=True
    ).stdout

    assert "The week" in plain(shown.before)
    assert "\x1b" in str(shown.before), "a terminal gets its styles"
    assert "\x1b" not in piped
    assert max(len(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line)) for line in str(shown.before).splitlines()) <= 40
