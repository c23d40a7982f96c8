"""`newsletter up` and `newsletter serve`: what is said where they cannot begin, and whom their server believes."""

import asyncio
import logging
import os
import subprocess
import sys
import threading
from socket import create_server

import httpx
import pytest
import typer
import uvicorn
from typer.testing import CliRunner

from newsletter.cli import run
from newsletter.cli.main import cli
from newsletter.errors import InvalidError
from newsletter.services.context import App
from newsletter.web.application import build_web
from newsletter.web.visits import network_of


@pytest.fixture(params=["sqlite"])
def database(request):
    """Faces are the same on both databases, services are tested on both."""
    return request.getfixturevalue(f"{request.param}_database")


@pytest.mark.parametrize("command", [run.up, run.serve])
def test_a_taken_port_is_refused_with_the_remedy(app: App, command):
    face = typer.Typer()
    face.command()(command)
    with create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = CliRunner().invoke(face, ["--port", str(port)], obj=lambda: app)

    assert isinstance(told.exception, InvalidError)
    assert f"port {port} of 127.0.0.1 cannot be used: Address already in use; choose another" in str(told.exception)
    assert "Serving" not in told.stdout


@pytest.fixture
def server(app: App) -> uvicorn.Config:
    """The web as both commands serve it; what uvicorn does to the logs of this process is undone."""
    levels = {name: logging.getLogger(name).level for name in ("uvicorn", "uvicorn.access", "uvicorn.error")}
    config = uvicorn.Config(build_web(app), log_config=None, **run.SERVER)
    config.load()
    yield config
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.parametrize(
    ("peer", "forwarded", "counted_as"),
    [
        pytest.param("8.8.8.8", "192.0.2.7", "8.8.8.0/24", id="a visitor who makes a network up"),
        pytest.param("127.0.0.1", "1.1.1.1", "1.1.1.0/24", id="a proxy of ours"),
        pytest.param("127.0.0.1", "192.0.2.7, 1.1.1.1", "1.1.1.0/24", id="a visitor who makes one up before our proxy"),
        pytest.param("127.0.0.1", "192.0.2.7, 1.1.1.1, 127.0.0.1", "1.1.1.0/24", id="two proxies of ours"),
        pytest.param("127.0.0.1", "unknown", "unknown", id="a proxy that hides whom it speaks for"),
    ],
)
def test_nobody_makes_up_the_network_that_limits_count(server: uvicorn.Config, peer, forwarded, counted_as):
    seen = []

    async def note(scope, _receive, send):
        seen.append(network_of(scope["client"]))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    server.loaded_app.app = note
    transport = httpx.ASGITransport(server.loaded_app, client=(peer, 4711))

    async def ask():
        async with httpx.AsyncClient(transport=transport, base_url="http://news.example.org") as client:
            await client.get("/", headers={"x-forwarded-for": forwarded})

    asyncio.run(ask())

    assert [counted_as] == seen


def test_no_address_is_logged(server: uvicorn.Config, caplog: pytest.LogCaptureFixture):
    """A token in an address is a key to what it leads to; so no log of accesses is written."""
    caplog.set_level(logging.INFO)
    running = uvicorn.Server(server)
    with create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=running.run, args=([listener],))
        thread.start()
        answer = httpx.get(f"http://127.0.0.1:{listener.getsockname()[1]}/unsubscribe/a-token", timeout=30)
        running.should_exit = True
        thread.join()

    assert 404 == answer.status_code
    assert "server" not in answer.headers
    assert not [each for each in caplog.records if each.name.startswith("uvicorn") and "a-token" in each.getMessage()]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        pytest.param([], f"newsletter-{os.getpid()}", id="of its own"),
        pytest.param(["--name", "bulk"], "bulk", id="the one it was given"),
    ],
)
def test_two_workers_that_nobody_named_have_names_of_their_own(monkeypatch, arguments, name):
    """Celery warns of two that have the same, and tells them apart by nothing else."""
    became: list[str] = []
    monkeypatch.setattr(run, "_become_celery", lambda *words: became.extend(words))
    face = typer.Typer()
    face.command()(run.worker)
    CliRunner().invoke(face, arguments, catch_exceptions=False)

    assert f"--hostname={name}@%h" in became


def test_a_mistyped_command_is_guessed():
    done = CliRunner().invoke(cli, ["edtions"])

    assert (2, True) == (done.exit_code, "Did you mean 'editions'?" in done.stderr)


def test_help_starts_without_what_only_commands_need():
    """It is the first that anybody sees of it; imports are most of what a short command takes."""
    looks = (
        "import sys; from typer.testing import CliRunner; from newsletter.cli.main import cli;"
        "shown = CliRunner().invoke(cli, ['--help']).stdout;"
        "print('editions' in shown, [name for name in ('sqlalchemy', 'pydantic', 'jinja2') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", looks], capture_output=True, text=True, check=True).stdout

    assert "True []" == told.strip()
