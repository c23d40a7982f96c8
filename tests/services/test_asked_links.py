"""Links are asked at their servers: what is gone stops a send, what fails is told, and no more than some are asked."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from newsletter.services import edition_checks
from newsletter.services.context import App
from newsletter.services.edition_checks import CheckLevel, broken_links


class Site(BaseHTTPRequestHandler):
    """A site whose paths are the statuses it answers with."""

    asked: list[str]

    def do_GET(self) -> None:
        """Answer with the status that the path names."""
        self.asked.append(self.path)
        self.send_response(int(self.path.strip("/")[:3]))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(params=["sqlite"])
def database(request):
    """What links are is the same on both databases."""
    return request.getfixturevalue(f"{request.param}_database")


@pytest.fixture
def site() -> Iterator[str]:
    """The address of a site on this machine."""
    Site.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def reaching(app: App) -> App:
    """An App that may ask servers on this machine."""
    return replace(app, settings=app.settings.model_copy(update={"reachable_networks": ("127.0.0.0/8",)}))


@pytest.mark.slow
def test_what_is_gone_is_an_error_and_what_fails_a_warning(reaching, site):
    found = broken_links(reaching, [f"{site}/{status}" for status in (200, 404, 410, 500)])

    assert [CheckLevel.ERROR, CheckLevel.ERROR, CheckLevel.WARNING] == [each.level for each in found]
    assert ["404 is not there (404)", "410 is gone for good (410)", "500 answers 500"] == [
        each.found.rpartition("/")[2] for each in found
    ]


def test_no_more_than_some_links_are_asked_and_that_is_told(reaching, site, monkeypatch):
    monkeypatch.setattr(edition_checks, "MOST_LINKS", 2)
    [told] = broken_links(reaching, [f"{site}/200?{number}" for number in range(5)])

    assert 2 == len(Site.asked)
    assert "only the first 2 of 5" in told.found


def test_a_server_inside_is_not_asked(app, site):
    """Whoever writes an article must not have our server ask what stands beside it."""
    [told] = broken_links(app, [f"{site}/200"])

    assert CheckLevel.WARNING is told.level
    assert [] == Site.asked
