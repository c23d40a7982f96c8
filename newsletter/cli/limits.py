"""`newsletter limits` and `newsletter relays`: how much goes where, and how the relays do."""

from typing import Annotated

import typer

from newsletter.cli.output import AsJSON, console, get_app, point_to, print_facts, table_of
from newsletter.domain.limits import Limit
from newsletter.services.limits import clear_limit, list_limits, set_limit
from newsletter.services.relays import list_relays

app = typer.Typer(no_args_is_help=True, help="Limits: how much is sent to a relay or a receiving provider.")
relays_app = typer.Typer(no_args_is_help=True, help="Relays: the servers that mail is handed to.")


@relays_app.callback()
def _relays() -> None:
    pass


Name = Annotated[str, typer.Argument(help="A provider such as gmail, or a relay as `newsletter relays list` names it.")]


@app.command("set")
def set_one(
    context: typer.Context,
    name: Name,
    rate: Annotated[float | None, typer.Option(help="Mails per second, over all workers.")] = None,
    concurrency: Annotated[int | None, typer.Option(help="Mails under way to a provider, over all workers.")] = None,
    per_connection: Annotated[int | None, typer.Option(help="Mails to a provider that one connection carries.")] = None,
) -> None:
    """Limit a relay or a provider; what is not said stays as it was. Holds from the next few mails on, everywhere.

    Example:  newsletter limits set gmail --rate 20 --concurrency 5 --per-connection 50

    Example:  newsletter limits set smtp.example.org:587 --rate 14
    """
    set_limit(get_app(context), Limit(name, rate, concurrency, per_connection))
    point_to(f"{name} is limited. Take it away with:", f"newsletter limits clear {name}")


@app.command("list")
def list_all(context: typer.Context, as_json: AsJSON = False) -> None:
    """List all limits, and how much of them is taken."""
    found = list_limits(get_app(context))
    rows = [
        [
            each.name,
            None if each.rate is None else f"{each.rate:g}/s",
            each.concurrency,
            each.per_connection,
            each.allowed_now,
            each.under_way,
            each.set_by,
        ]
        for each in found
    ]
    columns = ["name", "rate", "concurrency", "per connection", "allowed now", "under way", "set by"]
    table = table_of(columns, rows, spare=["set by", "per connection"])
    print_facts(found, as_json=as_json, table=table)


@app.command()
def clear(context: typer.Context, name: Name) -> None:
    """Take a limit away; a rate in a relay's URL holds again.

    Example:  newsletter limits clear gmail
    """
    clear_limit(get_app(context), name)
    console.print(f"{name} has no limit any more.")


@relays_app.command("list")
def list_relays_(context: typer.Context, as_json: AsJSON = False) -> None:
    """List the relays: whether they work, and what went wrong with them last.

    open: it failed five times in a row and is left alone until the time shown; others get its mail, or it waits.
    half_open: one mail is let through to see.
    """
    parts = get_app(context)
    found = list_relays(parts)
    zone = parts.settings.zone_info
    rows = [
        [
            each.name,
            each.weight,
            f"open until {each.open_until.astimezone(zone):%H:%M:%S}"
            if each.state == "open" and each.open_until
            else each.state.value,
            each.failures,
            f"{each.failed_at.astimezone(zone):%Y-%m-%d %H:%M:%S} {each.failed_stage}: {each.failed_words}"
            if each.failed_at
            else None,
        ]
        for each in found
    ]
    columns = ["relay", "weight", "state", "failures", "last failure"]
    print_facts(found, as_json=as_json, table=table_of(columns, rows, spare=["weight"]))
    if not found and not as_json:
        console.print("Set NEWSLETTER_SMTP_URL; until then mail waits in the queue.", style="yellow")
