"""`newsletter reports`: takes mails that come back to the service, from a file, a folder of mails or a pipe."""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from newsletter.cli.output import AsJSON, console, get_app, print_facts
from newsletter.errors import InvalidError
from newsletter.mail.reports import ReportKind
from newsletter.services.audit import note_act
from newsletter.services.report_mailbox import take_report

app = typer.Typer(no_args_is_help=True, help="Reports: mails that come back, from readers and from mail servers.")


@app.callback()
def _group() -> None:
    pass


@app.command()
def read(
    context: typer.Context,
    places: Annotated[
        list[Path], typer.Argument(help="Raw mails, or folders of them such as a Maildir; - reads one from a pipe.")
    ],
    as_json: AsJSON = False,
) -> None:
    """Do what mails that come back say: who left by mail, what bounced, who complained. Repeating it changes nothing.

    The mailbox is the one that NEWSLETTER_REPORTS_ADDRESS names. Mails for a person are counted and left alone.

    Example:  newsletter reports read ~/Maildir/new
    Example:  in a mail server's aliases,  reports: "|newsletter reports read -"
    """
    parts = get_app(context)
    counts = Counter(take_report(parts, content).kind for content in _mails(places))
    facts = {str(kind): counts[kind] for kind in ReportKind if counts[kind]}
    note_act(parts, "read", "reports", counts=facts)
    if as_json:
        print_facts(facts, as_json=True)
    else:
        told = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in facts.items())
        console.print(told or "no mails")


def _mails(places: list[Path]) -> Iterator[bytes]:
    for place in places:
        if str(place) == "-":
            yield sys.stdin.buffer.read()
        elif place.is_dir():
            yield from (each.read_bytes() for each in sorted(place.rglob("*")) if each.is_file())
        elif place.is_file():
            yield place.read_bytes()
        else:
            raise InvalidError(f"there is no mail at {place}; name a file, a folder of mails, or - for a pipe")
