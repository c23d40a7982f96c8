"""Pages: when their first byte comes from `newsletter serve` on the embedded database, and how large they are."""

import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from benchmarks.measures import Goal, Row
from benchmarks.run import Run
from newsletter.bootstrap import build_app
from newsletter.config import Settings
from newsletter.demo.run import sample_files
from newsletter.dispatch import RecordingDispatcher
from newsletter.services.article_imports import import_document
from newsletter.services.lists import ListDraft, add_list
from newsletter.services.schema import upgrade_schema
from newsletter.services.search import index_articles

PAGES = ("/", "/subscribe", "/archive/", "/topics/", "/search?q=water", "/feeds", "/unsubscribe/no-such-token")
REQUESTS = 40
FIRST_BYTE = Goal(50, 25, less_is_better=True)
SIZE = Goal(50, 25, less_is_better=True)
PATIENCE = 30.0
"""Seconds until a server that was started has to answer."""


def run(run: Run) -> Iterator[Row]:
    """Ask each page over one connection, in turns; the slowest page's median is what counts."""
    with tempfile.TemporaryDirectory() as folder, _server(_newsroom(Path(folder))) as port:
        seconds: dict[str, list[float]] = {page: [] for page in PAGES}
        sizes: dict[str, int] = {}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as browser:
            for page in PAGES:
                browser.get(page)  # templates are read once
            for _ in range(max(3, run.scaled(REQUESTS))):
                for page in PAGES:
                    started_at = time.perf_counter()
                    with browser.stream("GET", page) as answer:
                        seconds[page].append(time.perf_counter() - started_at)
                        sizes[page] = len(answer.read())
    medians = {page: statistics.median(each) * 1000 for page, each in seconds.items()}
    slowest, largest = max(medians, key=lambda page: medians[page]), max(sizes, key=lambda page: sizes[page])
    told = ", ".join(f"{page} {each:.1f}" for page, each in medians.items())
    yield Row(run.bench, "first byte of the slowest page", [medians[slowest]], FIRST_BYTE, "ms", told)
    yield Row(run.bench, "the largest page", [sizes[largest] / 1000], SIZE, "KB", f"{largest} of {len(PAGES)} pages")


def _newsroom(home: Path) -> Settings:
    settings = Settings(home=home, postal_address="1 Example Street", name="Example Newsroom")
    app = build_app(settings, dispatcher=RecordingDispatcher())
    upgrade_schema(app)
    for name, content in sample_files():
        import_document(app, name, content)
    index_articles(app)
    add_list(app, ListDraft(slug="weekly", titles={"en": "The week"}))
    app.database.dispose()
    return settings


@contextlib.contextmanager
def _server(settings: Settings) -> Iterator[int]:
    """Run the command as anybody would, on a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {**os.environ, "NEWSLETTER_HOME": str(settings.home), "NEWSLETTER_NAME": settings.name}
    command = [sys.executable, "-m", "newsletter", "serve", "--port", str(port)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            _wait(port)
            yield port
        finally:
            process.terminate()


def _wait(port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port}/health/live")
            return
        time.sleep(0.1)
    raise TimeoutError(f"no server answers on port {port}")
