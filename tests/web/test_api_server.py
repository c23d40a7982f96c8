"""The API on a real server: whatever is sent, the answer is what the document says; and feeds have it at once."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from newsletter.bootstrap import build_app
from newsletter.clock import system_clock
from newsletter.config import Settings
from newsletter.embedded import EmbeddedWorker
from newsletter.services import api as service
from newsletter.services.api import add_api_client
from newsletter.services.context import App
from newsletter.services.feed_rebuilding import rebuild_feeds
from newsletter.web.application import build_web

EXAMPLES = 25
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.ignored_auth,
    checks.unsupported_method,
]


@contextmanager
def running(app: App) -> Iterator[str]:
    """Serve *app* as `newsletter up` does, on a free port, and return the address."""
    server = uvicorn.Server(uvicorn.Config(build_web(app), host="127.0.0.1", port=0, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=str)
def test_whatever_is_sent_is_answered_as_the_document_says(newsroom: App, monkeypatch: pytest.MonkeyPatch, mode):
    monkeypatch.setattr(service, "REQUESTS_PER_MINUTE", 10**6)
    headers = {"Authorization": f"Bearer {add_api_client(newsroom, 'Anything').token}"}
    with running(newsroom) as url:
        schema = schemathesis.openapi.from_dict(httpx.get(f"{url}/api/openapi.json").json())
        operations = [each.ok() for each in schema.get_all_operations()]
        for operation in operations:

            @settings(
                max_examples=EXAMPLES,
                database=None,
                phases=(Phase.generate,),
                suppress_health_check=list(HealthCheck),
                derandomize=True,
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def attempt(case: schemathesis.Case) -> None:
                case.call_and_validate(base_url=url, headers=headers, checks=CHECKS)

            attempt()

    assert 5 == len(operations)


@pytest.mark.slow
def test_an_article_is_in_its_feed_within_the_second(settings: Settings):
    """From the answer to the program until a reader's program sees it, in the service as `newsletter up` runs it."""
    app = build_app(settings, clock=system_clock)
    token = add_api_client(app, "City CMS").token
    rebuild_feeds(app, is_forced=True)
    with running(app) as url, EmbeddedWorker(app), httpx.Client(base_url=url) as client:
        time.sleep(1)  # until the first tick is over
        article = {"title": "Tram line 2 opens", "paragraphs": ["It opens on Friday."], "published": "2026-03-15"}
        sent = client.post("/api/articles", json=article, headers={"authorization": f"Bearer {token}"})
        begun = time.monotonic()
        while "Tram line 2" not in client.get("/feeds/all-en.atom").text:
            assert time.monotonic() - begun < 5
            time.sleep(0.02)
        seconds = time.monotonic() - begun
    app.database.dispose()

    assert 201 == sent.status_code
    assert seconds < 1
