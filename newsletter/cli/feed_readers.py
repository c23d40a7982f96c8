"""`newsletter feeds readers`: about how many read each feed."""

import typer

from newsletter.cli.output import AsJSON, get_app, print_facts, table_of
from newsletter.services.feed_readers import estimate_readers


def readers(context: typer.Context, as_json: AsJSON = False) -> None:
    """Show about how many read each feed, by who polled it in the last week.

    Aggregators such as Feedly say for how many people they poll; the others are counted by the day.

    Example:  newsletter feeds readers
    """
    found = estimate_readers(get_app(context))
    rows = [[each.feed, each.total, dict(each.aggregators), each.direct] for each in found]
    print_facts(found, as_json=as_json, table=table_of(["feed", "readers", "by aggregator", "others a day"], rows))
