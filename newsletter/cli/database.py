"""`newsletter db`: the schema."""

import typer

from newsletter.cli.output import AsJSON, get_app, print_facts
from newsletter.services.schema import upgrade_schema

app = typer.Typer(no_args_is_help=True, help="The database's schema.")


@app.callback()
def _group() -> None:
    pass


@app.command()
def upgrade(context: typer.Context, as_json: AsJSON = False) -> None:
    """Bring the database up to this release; once per release, before the new processes start.

    Safe to repeat, and while the old processes run.
    """
    print_facts({"revision": upgrade_schema(get_app(context))}, as_json=as_json)
