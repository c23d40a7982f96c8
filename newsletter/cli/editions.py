"""`newsletter editions` and `newsletter send`: look an edition over, let it go, stop it, follow it."""

import getpass
import threading
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from newsletter.cli.output import AsJSON, console, errors, facts_table, get_app, print_facts, table_of
from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.editions import ENDED, EditionState
from newsletter.domain.lists import Cadence
from newsletter.embedded import answer_doorbells, work_off
from newsletter.errors import InvalidError
from newsletter.services import editions as editions_service
from newsletter.services.context import App
from newsletter.services.reports import find_progress, list_progress, preview_edition
from newsletter.services.sends import SendPlan, plan_send, send_pending_articles, start_send

app = typer.Typer(no_args_is_help=True, help="Editions: what was, is and will be sent.")

EditionId = Annotated[int, typer.Argument(help="The edition's number, as `newsletter editions list` shows it.")]
PREVIEW_LINES = 12


@app.command("list")
def list_editions(
    context: typer.Context,
    slug: Annotated[str | None, typer.Option("--list", help="Only this list's.")] = None,
    state: Annotated[EditionState | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 50,
    as_json: AsJSON = False,
) -> None:
    """List editions, the newest first.

    Example:  newsletter editions list --list weekly --state review
    """
    found = list_progress(get_app(context), slug=slug, state=state, limit=limit)
    rows = [
        [
            each.edition_id,
            each.list_slug,
            each.slot_key,
            each.cadence.value,
            f"{each.state.value} ({each.skip_reason.value})" if each.skip_reason else each.state.value,
            each.items,
            each.variants,
            sum(each.deliveries.values()),
            each.deliveries.get(DeliveryState.ACCEPTED, 0),
        ]
        for each in found
    ]
    columns = ["edition", "list", "slot", "cadence", "state", "items", "variants", "deliveries", "sent"]
    print_facts(found, as_json=as_json, table=table_of(columns, rows))


@app.command()
def show(context: typer.Context, edition_id: EditionId, as_json: AsJSON = False) -> None:
    """Show an edition's numbers; every reader is accounted for, or it says so."""
    found = find_progress(get_app(context), edition_id)
    print_facts({**vars_of(found), "adds_up": found.adds_up}, as_json=as_json)


def vars_of(value: object) -> dict[str, object]:
    """Return a frozen value's fields by name."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}  # type: ignore[attr-defined]


@app.command()
def preview(
    context: typer.Context,
    edition_id: EditionId,
    language: Annotated[str | None, typer.Option(help="As readers of this language see it.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the HTML to this file.")] = None,
) -> None:
    """Show an edition's text, or write its HTML to a file, before or after it is sent.

    Example:  newsletter editions preview 12 --language ru --html digest.html
    """
    view = preview_edition(get_app(context), edition_id, language)
    if html:
        html.write_text(view.html, encoding="utf-8")
        console.print(f"{view.subject} → {html}")
    else:
        console.print(view.subject, style="bold")
        typer.echo(view.text)


@app.command()
def approve(context: typer.Context, edition_id: EditionId) -> None:
    """Let an edition that waits for review go out."""
    parts = get_app(context)
    editions_service.approve_edition(parts, edition_id, actor=getpass.getuser())
    answer_doorbells(parts)
    _say_state(parts, edition_id)


@app.command()
def pause(context: typer.Context, edition_id: EditionId) -> None:
    """Stop sending an edition, on every worker; what is under way to the relay is finished."""
    editions_service.pause_edition(get_app(context), edition_id)
    _say_state(get_app(context), edition_id)


@app.command()
def resume(context: typer.Context, edition_id: EditionId) -> None:
    """Go on with a paused edition where it stopped."""
    parts = get_app(context)
    editions_service.resume_edition(parts, edition_id)
    answer_doorbells(parts)
    _say_state(parts, edition_id)


@app.command()
def cancel(
    context: typer.Context,
    edition_id: EditionId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """End an edition for good: what is not sent yet never will be."""
    parts = get_app(context)
    waiting = find_progress(parts, edition_id).deliveries.get(DeliveryState.QUEUED, 0)
    if not yes:
        typer.confirm(f"Cancel edition {edition_id}? {waiting:,} mails are not sent yet", abort=True)
    cancelled = editions_service.cancel_edition(parts, edition_id)
    console.print(f"Edition {edition_id} is cancelled; {cancelled:,} mails will not be sent.")


@app.command()
def status(
    context: typer.Context,
    edition_id: EditionId,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it until it has ended.")] = False,
    as_json: AsJSON = False,
) -> None:
    """Show how far an edition is.

    Example:  newsletter editions status 12 --watch
    """
    parts = get_app(context)
    if watch and not as_json:
        follow(parts, edition_id)
    found = find_progress(parts, edition_id)
    print_facts({**vars_of(found), "adds_up": found.adds_up}, as_json=as_json)


def _say_state(parts: App, edition_id: int) -> None:
    console.print(f"Edition {edition_id} is {find_progress(parts, edition_id).state.value}.")


def send(
    context: typer.Context,
    slug: Annotated[str, typer.Argument(help="The list.")],
    cadence: Annotated[Cadence | None, typer.Option(help="Which of the list's cadences.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Return when the edition has ended.")] = False,
    as_json: AsJSON = False,
) -> None:
    """Compose and send what is due now: the newest slot of a list, once.

    Examples:  newsletter send weekly --dry-run

    newsletter send news --cadence daily --yes --wait

    newsletter --now 2024-12-09T08:00:00+06:00 send weekly
    """
    parts = get_app(context)
    if cadence is Cadence.IMMEDIATE:
        _send_articles(parts, slug, dry_run=dry_run, as_json=as_json)
        return
    plan = plan_send(parts, slug, cadence)
    if dry_run:
        print_facts(plan, as_json=as_json, table=None)
        return
    if not as_json:
        _show_plan(plan)
    if plan.skip_reason is None and not yes:
        if as_json:
            raise InvalidError("--json sends without asking only with --yes")
        typer.confirm(f"Send to {plan.readers:,} readers?", abort=True)
    edition_id = start_send(parts, slug, plan.cadence, actor=getpass.getuser())
    if parts.settings.is_embedded or wait:
        follow(parts, edition_id, quiet=as_json)
    found = find_progress(parts, edition_id)
    print_facts({**vars_of(found), "adds_up": found.adds_up}, as_json=as_json)
    if parts.relay is None and not as_json and found.state is EditionState.SENDING:
        console.print("The mails wait in the queue: NEWSLETTER_SMTP_URL names no relay.", style="yellow")


def _send_articles(parts: App, slug: str, *, dry_run: bool, as_json: bool) -> None:
    if dry_run:
        raise InvalidError("an immediate list sends each article by itself; `newsletter articles list` shows them")
    opened = send_pending_articles(parts, slug)
    work_off(parts, should_stop=lambda: False)
    found = [find_progress(parts, edition_id) for edition_id in opened]
    rows = [[each.edition_id, each.state.value, sum(each.deliveries.values())] for each in found]
    print_facts(found, as_json=as_json, table=table_of(["edition", "state", "deliveries"], rows))


def _show_plan(plan: SendPlan) -> None:
    told = {
        "list": plan.list_slug,
        "slot": f"{plan.slot_key} ({plan.cadence.value})",
        "readers": f"{plan.readers:,} of {plan.reader_count:,}; the others chose nothing of this",
        "languages": ", ".join(f"{code} {count:,}" for code, count in sorted(plan.languages.items())) or "–",
        "variants": plan.variants,
        "largest": f"{plan.largest_html_bytes / 1000:.0f} KB of HTML",
        "items": plan.items,
    }
    console.print(facts_table(told))
    for title in plan.titles[:PREVIEW_LINES]:
        console.print(f"  · {title}", style="dim")
    if len(plan.titles) > PREVIEW_LINES:
        console.print(f"  … and {len(plan.titles) - PREVIEW_LINES} more", style="dim")
    if plan.skip_reason:
        console.print(f"Nothing will be sent: {plan.skip_reason.value}.", style="yellow")


def follow(parts: App, edition_id: int, *, quiet: bool = False) -> None:
    """Show an edition's progress until it has ended, or nothing more can be done now; embedded, do the work too.

    Ctrl-C ends it once the mails under way are recorded, so that none is left in doubt; a second one at once.
    """
    stop = threading.Event()
    worker = threading.Thread(target=partial(work_off, parts, should_stop=stop.is_set), daemon=True)
    worker.start()
    try:
        _show_progress(parts, edition_id, worker, quiet=quiet)
    except KeyboardInterrupt:
        errors.print("Stopping, once the mails under way are recorded; Ctrl-C again breaks off.")
        raise
    finally:
        stop.set()
        worker.join()


def _show_progress(parts: App, edition_id: int, worker: threading.Thread, *, quiet: bool) -> None:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=quiet) as bar:
        shown = bar.add_task(f"edition {edition_id}", total=None)
        while True:
            is_idle = parts.settings.is_embedded and not worker.is_alive()
            found = find_progress(parts, edition_id)
            total = sum(found.deliveries.values())
            unsent = sum(found.deliveries.get(state, 0) for state in _UNSENT)
            bar.update(shown, total=total or None, completed=total - unsent, description=found.state.value)
            if found.state in ENDED or found.state is EditionState.PAUSED or is_idle:
                return
            time.sleep(0.2)


_UNSENT = (DeliveryState.QUEUED, DeliveryState.LEASED, DeliveryState.SENDING)
