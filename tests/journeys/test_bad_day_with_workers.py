"""The same bad day where workers send: PostgreSQL, a broker, a worker, a tick, and pages of a process of their own."""

import json
import os
import re
import urllib.request
from pathlib import Path
from socket import create_server
from urllib.error import URLError

import pytest
from test_bad_day import Desk, check_mails, furnish, mails_of, uid_of, wait_for
from test_processes import running

from newsletter.demo.mailserver import MailServer

pytestmark = pytest.mark.slow

READERS = [f"reader{number:03}@readers.example" for number in range(360)]
HAD_BY_THEN = 108
"""Three in ten, when it is seen that something is wrong."""


@pytest.fixture
def environment(home: Path, postgres_url: str, broker_url: str) -> dict[str, str]:
    """What every process is started with, but for the relay."""
    return {name: value for name, value in os.environ.items() if not name.startswith("NEWSLETTER_")} | {
        "NEWSLETTER_HOME": str(home),
        "NEWSLETTER_DATABASE_URL": postgres_url,
        "NEWSLETTER_BROKER_URL": broker_url,
        "NEWSLETTER_SECRET_KEY": "a-secret-key-that-only-this-journey-knows",
        "NEWSLETTER_BASE_URL": "https://news.example.org",
        "NEWSLETTER_POSTAL_ADDRESS": "1 Example Street, Bishkek",
        "NEWSLETTER_NAME": "Example Newsroom",
        "NEWSLETTER_ZONE": "Asia/Bishkek",
        "NEWSLETTER_BY": "aida",
    }


def test_a_bad_day_where_workers_send_ends_with_everybody_told_what_concerns_them(environment, tmp_path, programs):
    log = tmp_path / "processes.log"
    with MailServer() as server:
        port = free_port()
        environment["NEWSLETTER_SMTP_URL"] = server.url
        desk = Desk(environment, tmp_path, str(programs / "newsletter"))
        furnish(desk, READERS)
        desk.run("send", "weekly", "--draft")
        assert "Wrong from the start" in desk.run("editions", "preview", "1", "--as", READERS[0])
        wrong, figure = uid_of(desk, "Wrong from the start"), uid_of(desk, "The figure is 21")
        desk.run("editions", "edit", "1", "--drop", wrong, "--reason", "withdrawn by the ministry")
        relay = server.url.removeprefix("smtp://").partition("?")[0]
        desk.run("limits", "set", relay, "--rate", "12")  # the rest takes twenty seconds: time enough to pause
        with (
            running(environment, "worker", "--concurrency", "2", log=log),
            running(environment, "tick", log=log),
            running(environment, "serve", "--port", str(port), log=log),
        ):
            desk.run("editions", "approve", "1", "--yes")
            assert server.mails.wait_for(HAD_BY_THEN, timeout_seconds=120)
            desk.run("editions", "pause", "1", "--reason", "the figure is wrong")
            wait_for(lambda: under_way(desk) == 0)
            had = set(mails_of(server))
            desk.run("articles", "publish", figure, "--title", "The figure is 12", "--summary", "It is lower.")
            assert had == set(mails_of(server)), "nothing is sent while it is paused"
            assert HAD_BY_THEN <= len(had) < len(READERS)

            desk.run("limits", "clear", relay)
            desk.run("editions", "resume", "1")
            correction = desk.write("correction.md", "The figure is **12**, not 21. We are sorry.")
            composed = desk.run("editions", "correct", "1", figure, correction, "--yes")
            second = re.search(r"edition +(\d+)", composed)[1]
            for edition in ("1", second):
                desk.run("editions", "status", edition, "--watch")
            page, feed = pages(port, "/archive/weekly/2024-W50/en"), pages(port, "/feeds/all-en.atom")

        mails = mails_of(server)
        numbers = [desk.facts("editions", "show", each) for each in ("1", second)]
        assert [True, True] == [each["adds_up"] for each in numbers]
        assert [{"accepted": len(READERS)}, {"accepted": len(had)}] == [each["deliveries"] for each in numbers]
        check_mails(mails, READERS, had)
        assert (True, False, False) == tuple(words in page for words in ("figure is 12", "figure is 21", "Wrong from"))
        assert (True, False) == tuple(words in feed for words in ("The figure is 12", "<title>The figure is 21"))
        acts = json.loads(desk.run("audit", "--about", "edition 1", "--json"))
        did = [each["act"] for each in reversed(acts)]
        assert ["opened", "edited", "approved", "paused", "mended", "resumed"] == did
        assert {"aida"} == {each["actor"] for each in acts}


def free_port() -> int:
    with create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def under_way(desk: Desk) -> int:
    """Return how many mails a worker holds this moment."""
    states = desk.facts("editions", "show", "1")["deliveries"]
    return sum(states.get(state, 0) for state in ("leased", "sending"))


def pages(port: int, path: str) -> str:
    """Return what is served at *path*, as soon as it is."""
    found: list[str] = []

    def is_served() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                found.append(answer.read().decode())
        except URLError:
            return False
        return True

    wait_for(is_served)
    return found[0]
