"""A real Celery worker answers what waits for other people's servers: sources are asked, followers of feeds called."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from newsletter.bootstrap import build_app
from newsletter.config import Settings
from newsletter.services.feed_rebuilding import rebuild_feeds
from newsletter.services.hub import ask_hub
from newsletter.services.sources import add_source
from newsletter.services.websub import list_followers

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 120
STOP_SECONDS = 40
FEED = b"""<?xml version="1.0"?><rss version="2.0"><channel><title>A site</title><link>https://a.example/</link>
<description>Its news</description></channel></rss>"""


class Site(BaseHTTPRequestHandler):
    """Has a feed, and a callback that means what was asked in its name."""

    def do_GET(self) -> None:
        challenge = parse_qs(urlsplit(self.path).query).get("hub.challenge")
        body = challenge[0].encode() if challenge else FEED
        self.send_response(200)
        self.send_header("Content-Type", "text/plain" if challenge else "application/rss+xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.server.asked.append(urlsplit(self.path).path)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_worker_asks_sources_and_calls_followers(postgres_url, broker_url, home, site, tmp_path):
    """Nobody ticks here: what is done was rung for, through the broker, and heard on these two queues."""
    settings = {
        "database_url": postgres_url,
        "broker_url": broker_url,
        "base_url": "https://news.example.org",
        "secret_key": "a-secret-key-that-only-this-journey-knows",
        "postal_address": "12 Abdrakhmanov Street, Bishkek",
        "reachable_networks": "127.0.0.0/8",
        "home": str(home),
    }
    environment = os.environ | {f"NEWSLETTER_{name.upper()}": value for name, value in settings.items()}
    app = build_app(Settings(**settings))
    rebuild_feeds(app)
    address = f"http://127.0.0.1:{site.server_port}"
    command = [sys.executable, "-m", "newsletter", "worker", "--queues", "pushes,ingest", "--concurrency", "1"]
    with (tmp_path / "worker.log").open("wb") as log:
        worker = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            add_source(app, f"{address}/news.rss")
            ask_hub(
                app,
                {
                    "hub.mode": "subscribe",
                    "hub.topic": "https://news.example.org/feeds/all-en.atom",
                    "hub.callback": f"{address}/callback",
                },
            )
            ends_at = time.monotonic() + PATIENCE_SECONDS
            while not (list_followers(app) and "/news.rss" in site.asked):
                assert time.monotonic() < ends_at, (tmp_path / "worker.log").read_text()
                time.sleep(0.1)
        finally:
            worker.terminate()
            worker.wait(STOP_SECONDS)
            app.database.dispose()

    assert {"/news.rss", "/callback"} == set(site.asked)
    assert 0 == worker.returncode
    warned = [line for line in (tmp_path / "worker.log").read_text().splitlines() if "superuser privileges" in line]
    assert ([] if os.geteuid() else ["py.warnings"]) == [json.loads(line)["logger"] for line in warned]
