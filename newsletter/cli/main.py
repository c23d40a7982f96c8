"""The `newsletter` command: parses, calls one service, shapes the answer; every error is explained on stderr."""

import getpass
import os
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from newsletter import __version__
from newsletter.cli.groups import CommandGroup
from newsletter.cli.output import errors
from newsletter.errors import NewsletterError

if TYPE_CHECKING:
    from newsletter.services.context import App

cli = typer.Typer(
    name="newsletter",
    cls=CommandGroup,
    help="Topic-filtered feeds and e-mail digests for a newsroom.",
    epilog="Start with:  newsletter demo",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class _Parts:
    """Makes this process's parts on first use, imports included, so that help and wrong use cost nothing."""

    def __init__(self, now: datetime | None, home: Path | None, by: str) -> None:
        self._now, self._home, self._by = now, home, by
        self._app: App | None = None

    def __call__(self) -> "App":
        if self._app is None:
            from newsletter.bootstrap import build_app  # noqa: PLC0415  half a second, which help does not take
            from newsletter.clock import clock_from, system_clock  # noqa: PLC0415  the same
            from newsletter.config import load_settings  # noqa: PLC0415  the same

            settings = load_settings(**({"home": self._home} if self._home else {}))
            clock = clock_from(self._now) if self._now else system_clock
            self._app = replace(build_app(settings, clock=clock), actor=self._by)
        return self._app

    def close(self) -> None:
        if self._app is not None:
            self._app.database.dispose()


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no time; write it like 2024-12-09T08:00:00+06:00") from error
    if instant.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no zone; write it like 2024-12-09T08:00:00+06:00")
    return instant


def _account() -> str:
    """Return the name of the computer's account; a container may have none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"account {os.getuid()}"


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"newsletter {__version__}")
        raise typer.Exit


@cli.callback()
def _options(
    context: typer.Context,
    now: Annotated[
        datetime | None,
        typer.Option(parser=_instant, metavar="TIME", help="Act as if it were this time: replays history."),
    ] = None,
    home: Annotated[
        Path | None, typer.Option(help="Folder of the embedded database \\[default: NEWSLETTER_HOME].")
    ] = None,
    by: Annotated[
        str, typer.Option(envvar="NEWSLETTER_BY", help="Who you are, for the record \\[default: your account's name].")
    ] = "",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens, on stderr.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    from newsletter.logs import configure_logs  # noqa: PLC0415  help logs nothing

    del version
    configure_logs(as_json=not sys.stderr.isatty(), level="info" if verbose else "warning")
    context.obj = _Parts(now, home, " ".join(by.split()) or _account())
    context.call_on_close(context.obj.close)


def main() -> None:
    """Run the command line; exit 0 on success, 2 on wrong use, 1 on a failure explained on stderr."""
    try:
        cli()
    except NewsletterError as error:
        errors.print(Text.assemble(("error:", "bold red"), f" {error}"))
        sys.exit(1)
