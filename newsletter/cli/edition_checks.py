"""`newsletter editions check`: what would be wrong with the mails, before they are sent."""

from typing import Annotated

import typer

from newsletter.cli.output import AsJSON, console, get_app, print_facts, table_of
from newsletter.errors import ConflictError
from newsletter.services.edition_checks import CheckFinding, CheckLevel, check_edition

EditionId = Annotated[int, typer.Argument(help="The edition's number, as `newsletter editions list` shows it.")]


def check(
    context: typer.Context,
    edition_id: EditionId,
    links: Annotated[bool, typer.Option("--links", help="Ask the servers of its links, too.")] = False,
    as_json: AsJSON = False,
) -> None:
    """Check what an edition would send. Errors stop a send; warnings are for you to judge.

    Example:  newsletter editions check 12 --links
    """
    found = check_edition(get_app(context), edition_id, asks_links=links)
    if as_json:
        print_facts(found, as_json=True)
    else:
        print_findings(found)
    if any(each.level is CheckLevel.ERROR for each in found):
        raise ConflictError(f"edition {edition_id} has errors and will not be sent")


def print_findings(found: list[CheckFinding]) -> None:
    """Print findings for people; nothing wrong is told in a word."""
    if not found:
        console.print("Nothing is wrong with it.", style="green")
        return
    rows = [[each.level.value, each.rule, each.language or "all", each.found] for each in found]
    console.print(table_of(["", "what", "in", "found"], rows))
