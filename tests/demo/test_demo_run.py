"""The demo goes the whole way: a process of its own first, then once more in the same home."""

import json
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from email import message_from_bytes
from email.policy import default
from itertools import takewhile

import httpx
import jsonschema
import pytest

from newsletter.cli import demo as cli
from newsletter.cli.json_schemas import schema_of_one
from newsletter.cli.printed import PRINTED
from newsletter.demo.calendar import BEGINNING, END
from newsletter.demo.run import SetClock, demo_settings
from newsletter.errors import InvalidError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished `newsletter demo --once --json` with its home."""
    home = tmp_path_factory.mktemp("demo") / "home"
    command = [sys.executable, "-m", "newsletter", "demo", "--once", "--json", "--home", str(home)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    return home, done


@pytest.mark.slow
def test_once_prints_facts_that_add_up(run):
    _, done = run

    assert (0, "") == (done.returncode, done.stderr)
    facts = json.loads(done.stdout)
    jsonschema.validate(facts, schema_of_one(PRINTED["demo"]))
    assert [] == facts["problems"]
    assert {"accepted": facts["mails_received"]} == facts["deliveries"]
    assert {"new": 45, "merged": 2, "held": 3, "refused": 1} == facts["items"]
    assert (44, 1, 17, 300, 0) == tuple(
        facts[name] for name in ("articles", "embargoed", "topics", "subscribers", "refused_rows")
    )
    assert {"weekly": 5, "press": 8, "daily": 13} == {each["slug"]: each["editions"] for each in facts["lists"]}
    assert facts["mails_received"] > 1000
    assert facts["skipped"] >= 1, "a morning without news is on record"


@pytest.mark.slow
def test_every_mail_that_arrived_is_sound_and_nobody_got_one_twice(run):
    home, _ = run
    mails = [message_from_bytes(path.read_bytes(), policy=default) for path in sorted((home / "mails").glob("*.eml"))]

    assert [] == [mail["Message-ID"] for mail in mails if any(part.defects for part in mail.walk())]
    assert {1} == set(Counter(mail["Message-ID"] for mail in mails).values())
    assert {1} == set(Counter((mail["To"], mail["List-Id"], mail["Date"]) for mail in mails).values())


@pytest.mark.slow
def test_running_it_again_in_the_same_home_changes_nothing_and_mails_nobody(run):
    home, done = run
    before = json.loads(done.stdout)
    envelopes = (home / "mails/envelopes.jsonl").read_bytes()

    command = [sys.executable, "-m", "newsletter", "demo", "--once", "--json", "--home", str(home)]
    again = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout)

    assert {"same": 50, "refused": 1} == again["items"]
    assert envelopes == (home / "mails/envelopes.jsonl").read_bytes()
    assert [] == again["problems"]
    for name in ("mails_received", "editions", "skipped", "variants"):
        assert before[name] == again[name]


@pytest.mark.slow
def test_it_serves_pages_and_mails_until_it_is_told_to_stop(run, free_port, tmp_path):
    home = shutil.copytree(run[0], tmp_path / "home")  # at another port, articles have other images
    command = [sys.executable, "-m", "newsletter", "demo", "--json", "--home", home, "--port", str(free_port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            said = list(takewhile(lambda line: "/feeds.opml" not in line, process.stderr))
            pages = {path: status_of(f"http://localhost:{free_port}{path}") for path in PAGES}
        finally:
            process.terminate()
        assert 0 == process.wait(timeout=30)

    assert dict.fromkeys(PAGES, 200) == pages
    assert any("/mailbox" in line for line in said)


PAGES = ("/", "/mailbox", "/mailbox/1", "/subscribe", "/archive/", "/feeds.opml", "/demo/images/felt.png")


def status_of(address):
    """Return the status of a page; the server may need a moment to begin."""
    for pause in [0.05] * 200:
        try:
            return httpx.get(address).status_code
        except httpx.ConnectError:
            time.sleep(pause)
    return None


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as holder:
        return holder.getsockname()[1]


def test_nothing_of_the_environment_reaches_the_demo(tmp_path, monkeypatch):
    monkeypatch.setenv("NEWSLETTER_DATABASE_URL", "postgresql://elsewhere.example/real")
    monkeypatch.setenv("NEWSLETTER_BROKER_URL", "redis://elsewhere.example:6379/0")
    monkeypatch.setenv("NEWSLETTER_SMTP_URL", "smtp://elsewhere.example:25")

    settings = demo_settings(tmp_path, base_url="http://localhost:8000", smtp_url="smtp://127.0.0.1:2525?tls=off")

    assert "elsewhere" not in settings.model_dump_json()
    assert set(type(settings).model_fields) == settings.model_fields_set, "a new setting needs its value in the demo"


def test_the_clock_stands_until_it_is_let_go():
    clock = SetClock(BEGINNING)
    assert [BEGINNING, BEGINNING] == [clock(), clock()]

    clock.stand_at(END)

    assert END == clock()
    clock.go_on()
    assert END <= clock()


def test_a_taken_port_is_refused_before_anything_is_done(taken_port):
    with pytest.raises(InvalidError, match=f"port {taken_port}.*--port"):
        cli.demo(port=taken_port)


@pytest.fixture
def taken_port():
    with socket.create_server((cli.HOST, 0)) as holder:
        yield holder.getsockname()[1]


def test_a_home_of_a_real_newsroom_is_refused(tmp_path):
    (tmp_path / "newsletter.db").touch()

    with pytest.raises(InvalidError, match="no demo"), cli._demo_home(tmp_path):
        pass


def test_a_home_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(InvalidError, match="file/home cannot be used: Not a directory"):
        cli._demo_home(tmp_path / "file" / "home").__enter__()


def test_a_home_of_its_own_is_gone_afterwards_and_a_chosen_one_stays(tmp_path):
    with cli._demo_home(None) as temporary, cli._demo_home(tmp_path / "chosen") as chosen:
        assert temporary.is_dir()
    with cli._demo_home(tmp_path / "chosen") as again:
        assert chosen == again

    assert (False, True) == (temporary.exists(), chosen.exists())
