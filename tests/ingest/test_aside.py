"""Reading aside: whatever a document does to its reader, the service goes on, and soon."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from newsletter.domain.articles import Kind
from newsletter.domain.drafts import Draft, DraftText, UnusableError
from newsletter.errors import InvalidError
from newsletter.ingest import aside as module
from newsletter.ingest.aside import SECONDS, ReaderBrokeError, aside
from newsletter.ingest.feed import read_feed
from newsletter.ingest.fields import Defaults
from newsletter.ingest.full_text import with_full_text

DEFAULTS = Defaults(ZoneInfo("Asia/Bishkek"), "en")
DRAFT = Draft(Kind.STORY, (DraftText("en", "A title", url="https://a.example/1"),))
FEED = b"""<rss version="2.0"><channel><title>A &amp; B</title>
<item><title>One</title><link>https://a.example/1</link></item></channel></rss>"""


@pytest.mark.slow
def test_a_document_is_read_as_it_is_here():
    assert read_feed(FEED, DEFAULTS) == aside(read_feed, SECONDS, FEED, DEFAULTS, declared=None)


def test_what_reads_keeps_its_process_for_the_next_document():
    assert aside(os.getpid, SECONDS) == aside(os.getpid, SECONDS) != os.getpid()


@pytest.mark.slow
def test_what_a_reader_refuses_is_refused_in_its_words():
    with pytest.raises(InvalidError, match="a web page"):
        aside(read_feed, SECONDS, b"<html><p>Hello</p></html>", DEFAULTS)
    with pytest.raises(UnusableError, match="no article was found"):
        aside(with_full_text, SECONDS, DRAFT, b"<html><p>Hello</p></html>")


@pytest.mark.slow
def test_one_that_takes_too_long_is_ended_and_the_next_is_read():
    with pytest.raises(InvalidError, match="more than 1 seconds"):
        aside(time.sleep, 1, 600)

    assert 3 == aside(len, SECONDS, b"abc")


def test_one_that_takes_too_much_memory_is_refused():
    with pytest.raises(InvalidError, match="1500 MB"):
        aside(bytearray, SECONDS, 2_000_000_000)

    assert 3 == aside(len, SECONDS, b"abc")


def test_one_that_breaks_its_reader_or_ends_it_is_refused():
    with pytest.raises(ReaderBrokeError, match="ZeroDivisionError"):
        aside(divmod, SECONDS, 1, 0)
    with pytest.raises(InvalidError, match="no honest document"):
        aside(os._exit, SECONDS, 3)


def test_secrets_stay_here(monkeypatch):
    monkeypatch.setenv("NEWSLETTER_SECRET_KEY", "secret")
    module.end_readers()

    assert aside(os.getenv, SECONDS, "NEWSLETTER_SECRET_KEY") is None


@pytest.mark.slow
def test_a_process_that_ended_for_want_of_work_is_replaced():
    before = aside(os.getpid, SECONDS)
    child = module._free[-1]
    child.process.stdin.close()
    child.process.wait()

    assert before != aside(os.getpid, SECONDS)


def test_a_process_that_ended_for_want_of_work_leaves_nothing_behind():
    """Not even a zombie, though nothing is read for days."""
    process = Path(f"/proc/{aside(os.getpid, SECONDS)}")
    module._free[-1].process.stdin.close()
    deadline = time.monotonic() + 60
    while process.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_one_that_ends_as_it_is_asked_is_replaced(monkeypatch):
    before = aside(os.getpid, SECONDS)
    child = module._free[-1]
    os.kill(before, signal.SIGKILL)
    child.process.wait()
    monkeypatch.setattr(module._Child, "is_there", lambda _: True)

    assert before != aside(os.getpid, SECONDS)


@pytest.mark.slow
def test_a_reader_whose_master_is_gone_ends_by_itself():
    master = "import sys, time; from newsletter.ingest.aside import aside; aside(time.sleep, 1, 600)"
    with subprocess.Popen([sys.executable, "-c", master], stderr=subprocess.DEVNULL) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not (found := children.read_text().split()):
            time.sleep(0.02)
        process.kill()
    reader = Path(f"/proc/{found[0]}")
    deadline = time.monotonic() + 60
    while reader.exists() and "\nState:\tZ" not in (reader / "status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_a_page_built_to_take_minutes_takes_as_long_as_the_clock_lets_it():
    """A hundred thousand attributes: parsers look each up among all others."""
    page = b"<html><body><p " + b" ".join(b"a%d=1" % number for number in range(150_000)) + b">x</p>"
    begun = time.monotonic()
    with pytest.raises(InvalidError, match="to read"):
        aside(with_full_text, 1.0, DRAFT, page)

    assert time.monotonic() - begun < SECONDS
