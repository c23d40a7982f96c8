"""One bad day at the terminal: a wrong article seen in the preview, another when a third was out, and what it takes.

By the installed command in a real terminal, against a real SMTP server; what readers got is read from their mails.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pexpect
import pytest

from newsletter.demo.mailserver import MailServer

pytestmark = pytest.mark.slow

NEWSLETTER = str(Path(sys.executable).with_name("newsletter"))
NOW = "2024-12-09T09:00:00+06:00"
READERS = [f"reader{number:03}@readers.example" for number in range(120)]
WAIT = 30


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    """What the command is started with: an empty newsroom in Bishkek."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("NEWSLETTER_")},
        "NEWSLETTER_HOME": str(home),
        "NEWSLETTER_BASE_URL": "https://news.example.org",
        "NEWSLETTER_POSTAL_ADDRESS": "1 Example Street, Bishkek",
        "NEWSLETTER_NAME": "Example Newsroom",
        "NEWSLETTER_ZONE": "Asia/Bishkek",
        "NEWSLETTER_BY": "aida",
        "TERM": "xterm-256color",
    }


class Desk:
    """An editor's desk: commands run as a script would, or in a terminal as a person does."""

    def __init__(self, environment: dict[str, str], folder: Path, command: str) -> None:
        self.environment, self.folder, self.command = environment, folder, command

    def run(self, *words: str, expected: int = 0) -> str:
        """Run a command without a terminal and return what it prints."""
        done = subprocess.run(
            [self.command, "--now", NOW, *words], env=self.environment, capture_output=True, text=True, check=False
        )
        assert expected == done.returncode, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def facts(self, *words: str) -> dict:
        return json.loads(self.run(*words, "--json"))

    def terminal(self, *words: str, width: int = 80) -> pexpect.spawn:
        """Run a command in a terminal of a width."""
        return pexpect.spawn(
            NEWSLETTER,
            ["--now", NOW, *words],
            env=self.environment,
            dimensions=(40, width),
            encoding="utf-8",
            timeout=WAIT,
        )

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)


@pytest.fixture
def desk(environment: dict[str, str], tmp_path: Path, programs: Path) -> Desk:
    """A desk with a list that asks for review, three articles and 120 readers."""
    desk = Desk(environment, tmp_path, str(programs / "newsletter"))
    furnish(desk, READERS)
    return desk


def furnish(desk: Desk, readers: Sequence[str]) -> None:
    """Let there be a list, three articles, one of them wrong and one with a wrong figure, and readers."""
    desk.run(
        *("lists", "add", "weekly", "--title", "The week", "--from", "News <news@example.org>"),
        *("--since", "2024-01-01T00:00:00+06:00", "--language", "en"),
    )
    articles = [
        {
            "id": title,
            "title": title,
            "summary": f"What there is to say of it: {title.lower()}.",
            "paragraphs": [title * 3],
            "url": f"https://example.org/{title.replace(' ', '-')}",
            "published": f"2024-12-0{day}T10:00:00+06:00",
        }
        for day, title in ((5, "A school opens"), (6, "Wrong from the start"), (7, "The figure is 21"))
    ]
    desk.run("articles", "import", desk.write("articles.json", json.dumps(articles)), "--source", "press")
    rows = "\n".join(["address", *readers])
    desk.run(
        *("subscribers", "import", desk.write("readers.csv", rows), "--list", "weekly"),
        *("--basis", "signed up on paper at the fair"),
    )


def uid_of(desk: Desk, title: str) -> str:
    return next(each["uid"] for each in desk.facts("editions", "diff", "1")["edited"] if each["title"] == title)


def mails_of(server: MailServer) -> dict[str, list[str]]:
    """Return subjects and texts of the mails each reader got, in order."""
    found: dict[str, list[str]] = {}
    for mail in server.mails:
        message = message_from_bytes(mail.content, policy=default)
        text = message.get_body(("plain",)).get_content()
        found.setdefault(mail.envelope.recipients[0], []).append(f"{message['Subject']}\n{text}")
    return found


def test_a_bad_day_ends_with_everybody_told_what_concerns_them(desk):
    desk.run("send", "weekly", "--draft")
    assert "Wrong from the start" in desk.run("editions", "preview", "1", "--as", READERS[0])
    wrong = uid_of(desk, "Wrong from the start")
    desk.run("editions", "edit", "1", "--drop", wrong, "--reason", "withdrawn by the ministry")
    assert "Wrong from the start" not in desk.run("editions", "preview", "1")
    figure = uid_of(desk, "The figure is 21")

    with MailServer() as server:
        desk.environment["NEWSLETTER_SMTP_URL"] = f"{server.url}&rate=6&connections=1"  # time enough to pause
        approving = desk.terminal("editions", "approve", "1", "--yes")  # which sends, since nothing else runs here
        watching = desk.terminal("editions", "status", "1", "--watch")
        wait_for(lambda: len(server.mails) >= 36)
        desk.run("editions", "pause", "1")
        watching.expect(pexpect.EOF)
        approving.expect(pexpect.EOF)
        had = set(mails_of(server))
        time.sleep(0.5)
        assert had == set(mails_of(server)), "nothing is sent while it is paused"
        assert 36 <= len(had) < len(READERS)

        desk.run("articles", "publish", figure, "--title", "The figure is 12")
        del desk.environment["NEWSLETTER_SMTP_URL"]
        desk.environment["NEWSLETTER_SMTP_URL"] = server.url
        desk.run("editions", "resume", "1")
        desk.run("editions", "status", "1", "--watch")
        correction = desk.write("correction.md", "The figure is **12**, not 21. We are sorry.")
        desk.run("editions", "correct", "1", figure, correction, "--yes")
        desk.run("editions", "status", "2", "--watch")

        mails = mails_of(server)
    numbers = [desk.facts("editions", "show", str(each)) for each in (1, 2)]
    assert [True, True] == [each["adds_up"] for each in numbers]
    assert [{"accepted": 120}, {"accepted": len(had)}] == [each["deliveries"] for each in numbers]
    check_mails(mails, READERS, had)
    told = desk.facts("explain", READERS[0], "1")["articles"]
    assert {"shown": 2, "dropped": 1} == Counter(each["why"] for each in told)
    acts = json.loads(desk.run("audit", "--actor", "aida", "--json"))
    did = [each["act"] for each in reversed(acts) if each["about"] in ("edition 1", "edition 2")]
    assert ["opened", "edited", "approved", "paused", "mended", "resumed", "composed", "approved"] == did


def check_mails(mails: dict[str, list[str]], readers: Sequence[str], had: set[str]) -> None:
    """Look whether everybody was told what concerns them: those who *had* it got a correction, the others need none."""
    assert set(readers) == set(mails)
    for reader, (first, *rest) in mails.items():
        assert "Wrong from the start" not in first
        assert ("The figure is 21" if reader in had else "The figure is 12") in first
        told = [each.partition("\n")[0] for each in rest]
        assert told == (["Correction: The figure is 12"] if reader in had else [])


def wait_for(is_so) -> None:
    end = time.monotonic() + WAIT
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


class TestTerminal:
    """The command as a person meets it."""

    def test_help_fits_a_narrow_terminal(self, desk):
        for words in (["--help"], ["editions", "edit", "--help"], ["compose", "--help"]):
            shown = desk.terminal(*words, width=60)
            shown.expect(pexpect.EOF)
            lines = re.sub(r"\x1b\[[0-9;]*m", "", shown.before).splitlines()
            assert all(len(line) <= 60 for line in lines), max(lines, key=len)

    def test_colours_are_for_terminals_alone(self, desk):
        desk.run("send", "weekly", "--draft")
        shown = desk.terminal("editions", "list")
        shown.expect(pexpect.EOF)

        assert "\x1b[" in shown.before
        assert "\x1b[" not in desk.run("editions", "list")

    def test_a_send_asks_and_no_means_no(self, desk):
        asked = desk.terminal("send", "weekly")
        asked.expect("Send now")
        asked.sendline("n")
        asked.expect("Aborted")
        asked.expect(pexpect.EOF)
        asked.close()

        assert 1 == asked.exitstatus
        assert [] == json.loads(desk.run("editions", "list", "--json"))

    @pytest.mark.parametrize(
        ("words", "names"),
        [
            (["editions", "diff", "1"], {"edition_id", "automatic", "edited", "changes"}),
            (["editions", "show", "1"], {"edition_id", "state", "deliveries", "exclusions", "adds_up"}),
            (["explain", READERS[0], "1"], {"edition_id", "address", "choice", "told", "articles"}),
        ],
        ids=["diff", "show", "explain"],
    )
    def test_facts_for_scripts_have_their_names(self, desk, words, names):
        desk.run("send", "weekly", "--draft")

        assert names <= set(desk.facts(*words))

    def test_wrong_use_is_two_and_a_failure_is_one_with_words(self, desk):
        assert "" == desk.run("editions", "check", "99", expected=1)
        assert "" == desk.run("editions", "edit", "1", "--nonsense", expected=2)
