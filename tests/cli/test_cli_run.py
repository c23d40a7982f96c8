"""`newsletter up` and `newsletter serve`: what is said where they cannot begin."""

from socket import create_server

import pytest
import typer
from typer.testing import CliRunner

from newsletter.cli import run
from newsletter.errors import InvalidError
from newsletter.services.context import App


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
