"""`newsletter api-clients`: programs that may bring articles in."""

from typing import Annotated

import typer

from newsletter.cli.output import AsJSON, console, get_app, local, print_facts, table_of
from newsletter.services import api as service

app = typer.Typer(no_args_is_help=True, help="API clients: programs that may bring articles in, each with a token.")

Name = Annotated[str, typer.Argument(help="The program's name.")]


@app.command()
def add(
    context: typer.Context,
    name: Name,
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where its articles come from \\[default: its name].")
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Let a program bring articles in; its token is shown this once.

    Example:  newsletter api-clients add "City CMS" --source "City Press Office"
    """
    parts = get_app(context)
    added = service.add_api_client(parts, name, source=source)
    if as_json:
        print_facts(added, as_json=True)
        return
    console.print(f"{added.name} may bring articles in, as from {added.source}. Its token, shown this once:\n")
    console.print(added.token, soft_wrap=True)
    console.print(f"\nIts manual:  {parts.settings.base_url}/api/openapi.json, docs/articles.md", style="dim")


@app.command("list")
def list_all(context: typer.Context, as_json: AsJSON = False) -> None:
    """List all clients, revoked ones too."""
    found = service.list_api_clients(get_app(context))
    rows = [
        [each.name, each.source, *(local(context, at) for at in (each.created_at, each.used_at, each.revoked_at))]
        for each in found
    ]
    columns = ["client", "source", "added", "used", "revoked"]
    print_facts(found, as_json=as_json, table=table_of(columns, rows, spare=["added"]))


@app.command()
def revoke(context: typer.Context, name: Name) -> None:
    """Let a program's token count no more, from now on; its articles stay.

    Example:  newsletter api-clients revoke "City CMS"
    """
    service.revoke_api_client(get_app(context), name)
    console.print(f"{name} is not let in any more.")
