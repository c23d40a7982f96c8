"""`newsletter editions resend`: sends again what failed of an edition, once it is known why it did."""

from typing import Annotated

import typer

from newsletter.cli.editions import EditionId, follow
from newsletter.cli.output import AsJSON, console, get_app, plain, point_to, print_facts, table_of
from newsletter.domain.editions import EditionState
from newsletter.domain.resends import Cause, Hindrance
from newsletter.errors import InvalidError
from newsletter.services.context import App
from newsletter.services.progress import follow_edition
from newsletter.services.resending import FailedMails, ResendPlan, choose, plan_resend, resend_failed

CAUSES = {
    Cause.REFUSED: "refused",
    Cause.POISON: "its senders died of it",
    Cause.UNMADE: "could not be made",
    Cause.GIVEN_UP: "a doubt, given up",
}
HINDRANCES = {
    Hindrance.MAY_HAVE_COME: "may have arrived",
    Hindrance.FORGOTTEN: "address erased",
    Hindrance.SUPPRESSED: "suppressed",
    Hindrance.ENDED: "has left the list",
    Hindrance.CHANGED: "has chosen anew",
    Hindrance.PAUSED: "takes a break",
    Hindrance.MOVED: "has a new address",
    Hindrance.WITHDRAWN: "all withdrawn",
    Hindrance.CAME_OTHERWISE: "had it otherwise",
}
MOST_TITLES = 5


def resend(
    context: typer.Context,
    edition_id: EditionId,
    code: Annotated[
        str | None, typer.Option(metavar="CODE", help="Only those refused so: 550, 5.1.1, or 5.1 for all of its kind.")
    ] = None,
    provider: Annotated[str | None, typer.Option(help="Only those to this receiving provider, such as gmail.")] = None,
    why: Annotated[str, typer.Option(help="What has changed; it is put on record beside your name.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent again.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJSON = False,
) -> None:
    """Send again the mails of an edition that failed, as they were: nobody who has it, or must not get it, gets one.

    Who was suppressed, left or was erased since stays away; what was withdrawn since is left out. It shows first who
    goes again and who does not, and why, and asks.

    Example:  newsletter editions resend 12 --dry-run

    Example:  newsletter editions resend 12 --provider gmail --code 5.1 --why "gmail knew nobody for an hour"
    """
    parts = get_app(context)
    if not dry_run and not why.strip():
        raise typer.BadParameter("say what has changed: --why '…'; it is put on record beside your name")
    if as_json and not (yes or dry_run):
        raise InvalidError("--json sends without asking only with --yes")
    plan = plan_resend(parts, edition_id, choose(code, provider))
    if not as_json:
        _show(parts, plan)
    if dry_run or not plan.sendable:
        _print_json(plan, 0, as_json=as_json)
        return
    if not yes:
        typer.confirm(f"Send them again? Mails: {plan.sendable:,}", abort=True, err=True)
    queued = resend_failed(parts, edition_id, plan.choice, why=why)
    if parts.settings.is_embedded:
        follow(parts, edition_id, quiet=as_json)
    _print_json(plan, queued, as_json=as_json)
    if not as_json:
        _say_how_it_goes(parts, edition_id, queued)


def _print_json(plan: ResendPlan, queued: int, *, as_json: bool) -> None:
    if as_json:
        told = {"failed": plan.failed, "sendable": plan.sendable, "away": plan.away, "queued": queued}
        print_facts({**plain(plan), **told}, as_json=True)


def _show(parts: App, plan: ResendPlan) -> None:
    console.print(f"edition {plan.edition_id} · {plan.list_slug} {plan.slot_key} · {plan.state.value}", style="bold")
    rows = [
        [each.mails, each.provider, _why(each), HINDRANCES[each.hindrance] if each.hindrance else "goes again"]
        for each in plan.alike
    ]
    if rows:
        console.print(table_of(["mails", "provider", "failed", "now"], rows))
    console.print(_summed(plan))
    if plan.sendable:
        until = plan.deadline_at.astimezone(parts.settings.zone_info)
        console.print(f"They have until {until:%Y-%m-%d %H:%M %Z}.", style="dim")
    for words, titles in (("left out, since withdrawn", plan.without), ("with its new words", plan.mended)):
        for title in titles[:MOST_TITLES]:
            console.print(f"  · {title}: {words}", style="dim")
        if len(titles) > MOST_TITLES:
            console.print(f"  … and {len(titles) - MOST_TITLES} more {words}", style="dim")
    _say_what_else_can_be_done(plan)


def _why(mails: FailedMails) -> str:
    words = (CAUSES[mails.cause], mails.code, mails.enhanced)
    return " ".join(str(word) for word in words if word)


def _summed(plan: ResendPlan) -> str:
    if not plan.failed:
        return "Nothing of it failed" + (" so." if plan.choice.code or plan.choice.enhanced else ".")
    return f"{plan.sendable:,} of {plan.failed:,} failed mails can go again."


def _say_what_else_can_be_done(plan: ResendPlan) -> None:
    if Hindrance.SUPPRESSED in plan.away:
        point_to(
            "An address that takes mail again, by its owner's word, is released; left lists stay left:",
            "newsletter subscribers release ADDRESS",
            style="yellow",
        )
    if plan.in_doubt:
        point_to(
            f"{plan.in_doubt:,} more are in doubt:",
            f"newsletter deliveries settle --edition {plan.edition_id} --help",
            style="yellow",
        )
    if plan.expired:
        console.print(
            f"{plan.expired:,} more came too late and are not sent again; what a digest held comes with the next one.",
            style="dim",
        )


def _say_how_it_goes(parts: App, edition_id: int, queued: int) -> None:
    found = follow_edition(parts, edition_id)
    console.print(f"Queued again: {queued:,}. Edition {edition_id} is {found.state.value}.")
    for why in found.held_by if found.unsent else ():
        console.print(f"! {why}", style="yellow")
    if found.state is EditionState.SENDING:
        point_to("Follow it:", f"newsletter editions status {edition_id} --watch", style="yellow")
