"""`newsletter doctor`: what is wrong here, and what to do about it."""

import typer

from newsletter.cli.output import AsJSON, get_app, print_facts, table_of
from newsletter.services.checks import Level, examine


def doctor(context: typer.Context, as_json: AsJSON = False) -> None:
    """Check settings, database, clock, tick, broker and relay; changes nothing. Exit 1 if anything is wrong."""
    found = list(examine(get_app(context)))
    rows = [[each.level.value, each.check, " → ".join(filter(None, (each.found, each.remedy)))] for each in found]
    print_facts(found, as_json=as_json, table=table_of(["", "check", "found → remedy"], rows))
    if any(each.level is Level.ERROR for each in found):
        raise typer.Exit(1)
