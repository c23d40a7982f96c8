"""`newsletter sending`: stops all mail and lets it go on, and says what holds any back."""

from typing import Annotated

import typer

from newsletter.cli.output import AsJSON, console, get_app, point_to, print_facts
from newsletter.domain.deliveries import Pool
from newsletter.embedded import answer_doorbells
from newsletter.services import stops
from newsletter.services.sending_status import SendingStatus, find_sending_status

app = typer.Typer(no_args_is_help=True, help="Sending as a whole: stop it, let it go on, see what holds it up.")


@app.command()
def pause(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="Why; whoever is on duty next will read it.")],
) -> None:
    """Stop all mail, confirmations too, on every worker at once; mails at the relay this moment are finished.

    Example:  newsletter sending pause --reason "the wrong list was imported"
    """
    stops.pause_sending(get_app(context), reason=reason)
    point_to("All sending is stopped. Let it go on with:", "newsletter sending resume")


@app.command()
def resume(context: typer.Context) -> None:
    """Let mail go on where it stopped; what was past its deadline meanwhile is not sent.

    Example:  newsletter sending resume
    """
    parts = get_app(context)
    was_stopped = stops.resume_sending(parts)
    answer_doorbells(parts)
    console.print("Mail goes on." if was_stopped else "Nobody had stopped it; `newsletter sending status` says more.")


@app.command()
def status(context: typer.Context, as_json: AsJSON = False) -> None:
    """Say whether mail goes out, what holds any back and what to do about it. Exit 1 while all of it is stopped.

    Example:  newsletter sending status
    """
    found = find_sending_status(get_app(context))
    if as_json:
        print_facts(found, as_json=True)
    else:
        _print(found)
    if found.is_stopped:
        raise typer.Exit(1)


def _print(found: SendingStatus) -> None:
    console.print("All sending is stopped." if found.is_stopped else "Mail goes out.", style="bold")
    for pool in Pool:
        age = found.oldest_due[pool]
        told = f"its oldest mail has been due for {age.total_seconds():,.0f} s" if age else "nothing is due"
        console.print(f"  {pool.value}: {told}")
    for holds in found.holds:
        console.print(f"! {holds}", style="yellow")
    if not found.holds:
        console.print("Nothing holds any mail back.")
