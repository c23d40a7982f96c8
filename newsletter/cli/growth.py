"""`newsletter lists growth`: readers gained and lost."""

from typing import Annotated

import typer

from newsletter.cli.output import AsJSON, get_app, print_facts, table_of
from newsletter.services.growth import MOST_WEEKS, WEEKS, measure_growth


def growth(
    context: typer.Context,
    weeks: Annotated[int, typer.Option(help="How many weeks, this one included.", min=1, max=MOST_WEEKS)] = WEEKS,
    as_json: AsJSON = False,
) -> None:
    """Show how many readers each list has, and how many it gained and lost, week by week.

    Example:  newsletter lists growth --weeks 26
    """
    found = measure_growth(get_app(context), weeks=weeks)
    rows = [
        [each.list_slug, week.begins_on.isoformat(), week.gained, week.lost, week.gained - week.lost]
        for each in found
        for week in each.weeks
    ]
    print_facts(found, as_json=as_json, table=table_of(["list", "week of", "gained", "lost", "net"], rows))
