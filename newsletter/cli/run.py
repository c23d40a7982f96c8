"""`newsletter up`, and its parts for production: `serve`, `worker`, `tick`."""

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from socket import AF_INET, AF_INET6, create_server
from typing import Annotated, Any, NoReturn
from urllib.parse import urlsplit

import typer

from newsletter.cli.output import console, get_app
from newsletter.config import load_settings
from newsletter.dispatch import Queue
from newsletter.embedded import EmbeddedWorker
from newsletter.errors import InvalidError

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)]

SERVER: Mapping[str, Any] = {
    "log_level": "warning",
    "access_log": False,  # addresses hold tokens
    "proxy_headers": True,  # of 127.0.0.1, or of whom FORWARDED_ALLOW_IPS names
    "server_header": False,
}
"""How uvicorn serves pages, whichever command begins it."""


def up(context: typer.Context, host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Run web, worker and tick in one process, on the embedded database.

    Example:  NEWSLETTER_SMTP_URL=smtp://localhost:25 newsletter up
    """
    app = get_app(context)
    if not app.settings.is_embedded:
        raise InvalidError("NEWSLETTER_BROKER_URL is set: run `newsletter serve`, `worker` and `tick` instead of `up`")
    check_port(host, port)
    with _ended_by_term(), EmbeddedWorker(app):
        _serve(context, host, port)


def serve(context: typer.Context, host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Serve the web pages, the feeds and the health checks; nothing is sent from here.

    Example:  newsletter serve --host 0.0.0.0 --port 8000
    """
    check_port(host, port)
    with _ended_by_term():
        _serve(context, host, port)


def check_port(host: str, port: int) -> None:
    """Look whether pages can be served there, before anything else is begun.

    Raises:
        InvalidError: they cannot.
    """
    try:
        create_server((host, port), family=AF_INET6 if ":" in host else AF_INET).close()
    except OSError as error:
        why = str(error.strerror).partition(" (")[0]
        raise InvalidError(f"port {port} of {host} cannot be used: {why}; choose another with --port") from error


def leads_elsewhere(base_url: str) -> bool:
    """Say whether the public address is another's than this machine's, so that a proxy there must pass requests on."""
    return urlsplit(base_url).hostname not in ("localhost", "127.0.0.1", "::1")


@contextmanager
def _ended_by_term() -> Iterator[None]:
    """Let TERM end this process by way of every `with`, so that mail under way is recorded; uvicorn hands it back."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _serve(context: typer.Context, host: str, port: int) -> None:
    import uvicorn  # noqa: PLC0415  the web is slow to import, and most commands do not need it

    from newsletter.web.application import build_web  # noqa: PLC0415  the same

    app = get_app(context)
    console.print(f"Serving {app.settings.name} on http://{host}:{port}/ · Ctrl-C stops")
    if leads_elsewhere(app.settings.base_url):
        console.print(f"Links and sign-ins go by {app.settings.base_url}, which has to lead here", style="dim")
    uvicorn.run(build_web(app), host=host, port=port, **SERVER)


def worker(
    queues: Annotated[str, typer.Option(help="Queues to consume, separated by commas.")] = ",".join(Queue),
    concurrency: Annotated[int, typer.Option(help="Processes.", min=1)] = 2,
    name: Annotated[str, typer.Option(help="Name of this worker, unique per host; else made of its process id.")] = "",
) -> None:
    """Run a Celery worker; needs NEWSLETTER_BROKER_URL. TERM stops it once the mails under way are recorded.

    Example:  newsletter worker --queues bulk --concurrency 4 --name bulk
    """
    unknown = [queue for queue in queues.split(",") if queue not in set(Queue)]
    if unknown:
        raise InvalidError(f"there is no queue {', '.join(unknown)}; there are {', '.join(Queue)}")
    hostname = f"{name or f'newsletter-{os.getpid()}'}@%h"
    _become_celery(
        "worker",
        f"--queues={queues}",
        f"--concurrency={concurrency}",
        f"--hostname={hostname}",
        "--loglevel=WARNING",
        "--without-mingle",  # workers share nothing through the broker, and asking the others takes a second
        "--without-gossip",
    )


def tick() -> None:
    """Run Celery beat, which ticks every few seconds; needs NEWSLETTER_BROKER_URL. Two of them do no harm."""
    _become_celery("beat", "--scheduler=celery.beat:Scheduler", "--loglevel=WARNING")


def _become_celery(*arguments: str) -> NoReturn:
    if not load_settings().broker_url:
        raise InvalidError("NEWSLETTER_BROKER_URL is not set: without a broker, `newsletter up` does all the work")
    command = [sys.executable, "-m", "celery", "--app=workers.app", "--quiet", *arguments]
    os.execv(sys.executable, command)  # noqa: S606  Celery takes this process over, so TERM reaches it
