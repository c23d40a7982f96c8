"""`newsletter db`: the schema, and what to do after the database was restored."""

from typing import Annotated

import typer

from newsletter.cli.output import AsJSON, console, facts_table, get_app, local, point_to, print_facts
from newsletter.embedded import answer_doorbells
from newsletter.services.restores import Restore, acknowledge_restore, examine_restore
from newsletter.services.schema import upgrade_schema

app = typer.Typer(no_args_is_help=True, help="The database: its schema, and restores of it.")


@app.callback()
def _group() -> None:
    pass


@app.command()
def upgrade(context: typer.Context, as_json: AsJSON = False) -> None:
    """Bring the database up to this release; once per release, before the new processes start.

    Safe to repeat, and while the old processes run.
    """
    print_facts({"revision": upgrade_schema(get_app(context))}, as_json=as_json)


@app.command("acknowledge-restore")
def acknowledge(
    context: typer.Context,
    nothing_lost: Annotated[
        bool,
        typer.Option("--nothing-lost", help="No commit is missing, as after a change of servers: just go on."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would do.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJSON = False,
) -> None:
    """Let mail go on after the database was set back to an older state, which stops all sending by itself.

    What was sent since that state looks unsent now. So mail that was due by now becomes in doubt and is not sent:
    settle it by the relay's log with `newsletter deliveries settle --from-log`, or by hand. Lists whose editions of
    since then are unknown here are paused: look, cancel what was sent, then `newsletter lists resume`. Who unsubscribed
    or was suppressed since then is unknown as well: look into the web server's log and the mailbox for bounces first.

    With --nothing-lost nothing is doubted or paused. On a copy that must never mail anybody, do not acknowledge.

    Example:  newsletter db acknowledge-restore --dry-run
    """
    parts = get_app(context)
    found = examine_restore(parts)
    if as_json and dry_run:
        print_facts(found, as_json=True)
        return
    if not as_json:
        _show_restore(context, found, nothing_lost=nothing_lost)
    if dry_run:
        return
    if not yes:
        typer.confirm("Let mail go on?", abort=True, err=True)
    done = acknowledge_restore(parts, nothing_lost=nothing_lost)
    answer_doorbells(parts)
    if as_json:
        print_facts(done, as_json=True)
    else:
        point_to("Mail goes on. What waits for you:", "newsletter sending status")


def _show_restore(context: typer.Context, found: Restore, *, nothing_lost: bool) -> None:
    told = {
        "stopped": f"{local(context, found.stop.at)}: {found.stop.reason}",
        "the state is of": f"{local(context, found.since)}, or a minute later",
        "mails that may have been sent since": found.unsure,
        "editions that may have been sent since": list(found.slots),
        "lists with such editions": list(found.lists),
    }
    console.print(facts_table(told))
    if nothing_lost:
        console.print("Nothing is doubted or paused: mail goes on as the database has it.", style="yellow")
    else:
        console.print(
            "These mails become in doubt and are not sent; these lists are paused. Unsubscribes and suppressions since "
            "that time are not known here.",
            style="yellow",
        )
