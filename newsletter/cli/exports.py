"""`newsletter export`: everything there is, in open formats, into a folder."""

from pathlib import Path
from typing import Annotated

import typer

from newsletter.cli.output import AsJSON, console, errors, get_app, print_facts, table_of
from newsletter.services.exports import export_everything


def export(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A folder that is not there yet, or is empty.", file_okay=False)],
    as_json: AsJSON = False,
) -> None:
    """Write everything into a folder: articles, topics, lists, sources and accounts as JSON, people as CSV, editions.

    `articles import`, `topics load` and `subscribers import` read it back; lists.json and sources.json hold the command
    that adds each. Passwords, tokens and keys stay here. Suppressed addresses are keyed hashes: they mean something
    beside this installation's secret key. The files hold addresses; only your account may read them.

    Example:  newsletter export ~/newsletter-2026-03
    """

    def tell(name: str, count: int) -> None:
        if errors.is_terminal and not as_json:
            errors.print(f"{name}: {count:,}", style="dim")

    report = export_everything(get_app(context), folder, on_file=tell)
    if as_json:
        print_facts(report, as_json=True)
        return
    console.print(table_of(["what", "how many"], [[what, count] for what, count in report.counts.items()]))
    console.print(f"→ {report.folder}: {len(report.files)} files, for your account's eyes only")
