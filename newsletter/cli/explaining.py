"""`newsletter explain`: why each article is, or is not, in one reader's mail."""

from typing import Annotated

import typer
from rich.table import Table

from newsletter.cli.output import AsJSON, console, facts_table, get_app, plain, print_facts, table_of
from newsletter.services.explaining import ArticleStory, explain_edition


def explain(
    context: typer.Context,
    address: Annotated[str, typer.Argument(help="The reader's e-mail address.")],
    edition_id: Annotated[int, typer.Argument(help="The edition's number, as `newsletter editions list` shows it.")],
    as_json: AsJSON = False,
) -> None:
    """Say why each article of an edition is, or is not, in one reader's mail.

    Example:  newsletter explain aida@example.org 12
    """
    found = explain_edition(get_app(context), address, edition_id)
    if as_json:
        print_facts(found, as_json=True)
        return
    chosen = [f"{name}: {', '.join(values)}" for name, values in plain(found.choice).items() if values]
    told = {
        "reader": found.address,
        "list": f"{found.list_slug}, {found.cadence}, in {found.language}",
        "choice": chosen or "everything",
        "mail": found.told,
    }
    console.print(facts_table(told))
    rows = [[each.why.value.replace("_", " "), each.title, each.told] for each in found.articles]
    console.print(table_of(["", "article", "why"], rows))


def story_table(story: ArticleStory) -> Table:
    """Lay out where an article went."""
    rows = [
        [
            each.edition_id,
            each.list_slug,
            each.slot_key,
            each.state,
            "withdrawn" if each.withdrawn_at else f"mended {each.mends} times" if each.mends else "as it was",
            each.mails or None,
        ]
        for each in story.editions
    ]
    return table_of(["edition", "list", "slot", "state", "article", "mails"], rows)
