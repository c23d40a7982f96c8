"""`newsletter demo`: the whole path on the sample newsroom, then its pages and its mailbox to look at."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, NoReturn

import typer
from rich.console import Group
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from newsletter.cli.output import AsJSON, console, errors, print_facts, table_of
from newsletter.cli.run import SERVER, check_port
from newsletter.demo.calendar import END, ZONE
from newsletter.demo.desk import open_desk
from newsletter.demo.run import Demo, DemoFacts, Watch, open_demo, run_demo
from newsletter.embedded import EmbeddedWorker
from newsletter.errors import InvalidError, PermanentError

HOST = "127.0.0.1"


def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop after the table; serve nothing.")] = False,
    port: Annotated[int, typer.Option(help="Port of the pages.", min=1, max=65535)] = 8000,
    home: Annotated[
        Path | None, typer.Option(help="Keep the database and the mails in this folder.", file_okay=False)
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Run the whole thing on a sample newsroom: nothing to configure, nothing leaves this machine.

    Imports five weeks of articles in three languages, replays the calendar for 300 readers, sends every digest over
    real SMTP to a mail server of its own, and serves the feeds, the archive, the sign-up page, the mailbox and the
    staff console.

    Example:  newsletter demo --once --json
    """
    if not once:
        check_port(HOST, port)
    signal.signal(signal.SIGTERM, _stop)
    with (
        suppress(KeyboardInterrupt),
        _demo_home(home) as folder,
        open_demo(folder, base_url=f"http://localhost:{port}") as running,
    ):
        with _progress() as watch:
            facts = run_demo(running, watch)
        if as_json:
            print_facts(facts, as_json=True)
        else:
            console.print(_tables(facts))
        if facts.problems:
            raise PermanentError("the demo does not add up: " + "; ".join(facts.problems))
        if not once:
            _serve(running, port)


def _stop(_signal: int, _frame: object) -> NoReturn:
    sys.exit(0)  # by way of every `with`: the folder is removed and the mail server stopped


@contextmanager
def _demo_home(chosen: Path | None) -> Iterator[Path]:
    """Give a folder of its own, gone afterwards unless it was chosen; never one where a real newsroom lives."""
    if chosen is None:
        with TemporaryDirectory(prefix="newsletter-demo-") as folder:
            yield Path(folder)
        return
    mark = chosen / "this-is-a-demo"
    if (chosen / "newsletter.db").exists() and not mark.exists():
        raise InvalidError(f"{chosen} holds a newsroom that is no demo; choose another folder")
    try:
        chosen.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except OSError as error:
        raise InvalidError(f"the folder {chosen} cannot be used: {error.strerror}; choose another one") from error
    yield chosen.resolve()


@contextmanager
def _progress() -> Iterator[Watch]:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}

        def watch(step: str, done: int, total: int) -> None:
            name = step.partition(":")[0]
            if name not in tasks:
                tasks[name] = progress.add_task(step.ljust(26))
            progress.update(tasks[name], description=step.ljust(26), completed=done, total=total)

        yield watch


def _tables(facts: DemoFacts) -> Group:
    items = ", ".join(f"{count} {result.value}" for result, count in facts.items.items())
    languages = ", ".join(f"{language} {count}" for language, count in facts.translations.items())
    deliveries = ", ".join(f"{count:,} {state.value}" for state, count in facts.deliveries.items())
    grid = Table(box=None, show_header=False, pad_edge=False)
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    for name, value in (
        ("items", f"{sum(facts.items.values())}: {items}"),
        ("articles", f"{facts.articles} public ({languages}), {facts.embargoed} under embargo, {facts.topics} topics"),
        ("feeds", f"{facts.feeds} with {facts.entries:,} entries, each as RSS, Atom and JSON"),
        ("subscribers", f"{facts.subscribers} on {len(facts.lists)} lists"),
        ("editions", f"{facts.editions} sent, {facts.skipped} skipped for want of news"),
        ("variants", f"{facts.variants:,}"),
        ("deliveries", deliveries),
        ("mails received", f"{facts.mails_received:,}"),
        ("seconds", f"{facts.seconds}"),
    ):
        grid.add_row(name, value)
    lists = table_of(
        ["list", "readers", "editions", "skipped", "items", "variants", "mails"],
        [
            [each.slug, each.readers, each.editions, each.skipped, each.items, each.variants, each.accepted]
            for each in facts.lists
        ],
    )
    heading = Text(f"Karlygach Press Centre, as of {END.astimezone(ZONE):%A %-d %B %Y}", style="bold")
    return Group(heading, "", grid, "", lists, "")


def _serve(running: Demo, port: int) -> None:
    import uvicorn  # noqa: PLC0415  the web is slow to import, and --once does not need it

    from newsletter.demo.mailbox import mailbox_routes  # noqa: PLC0415  the same
    from newsletter.web.application import build_web  # noqa: PLC0415  the same

    address = running.app.settings.base_url
    places = Table(box=None, show_header=False, pad_edge=False)
    for name, path in (
        ("mailbox", "/mailbox"),
        ("first page", "/"),
        ("sign-up", "/subscribe"),
        ("archive", "/archive/"),
        ("search", "/search"),
        ("feeds", "/feeds"),
        ("all feeds", "/feeds.opml"),
    ):
        places.add_row(Text(name, style="dim"), f"{address}{path}")
    desk = open_desk(running.app)
    places.add_row(Text("console", style="dim"), f"{address}/console")
    places.add_row("", f"sign in as {desk.email} with {desk.password}")
    errors.print(Text.assemble(("Where to look", "bold"), " (Ctrl-C stops)"), places, sep="\n")
    web = build_web(running.app, extra_routes=mailbox_routes(running.app.settings, running.mails, ZONE))
    with EmbeddedWorker(running.app):
        uvicorn.run(web, host=HOST, port=port, **SERVER)
