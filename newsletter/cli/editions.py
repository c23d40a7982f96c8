"""`newsletter editions` and `newsletter send`: look an edition over, let it go, stop it, follow it."""

import sys
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated

import typer

from newsletter.cli.edition_checks import print_findings
from newsletter.cli.output import (
    AsJSON,
    console,
    errors,
    facts_table,
    get_app,
    parse_instant,
    plain,
    point_to,
    print_facts,
    table_of,
)
from newsletter.cli.progress import lines_of, watch_while
from newsletter.cli.progress import watch as watch_edition
from newsletter.dispatch import InProcessDispatcher
from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.editions import ENDED, EditionState, SkipReason
from newsletter.domain.lists import Cadence
from newsletter.embedded import answer_doorbells, work_off
from newsletter.errors import ConflictError, InvalidError
from newsletter.services import editions as editions_service
from newsletter.services.context import App
from newsletter.services.edition_checks import CheckLevel, check_edition
from newsletter.services.editions import Progress as Accounts
from newsletter.services.health import check_readiness
from newsletter.services.progress import follow_edition
from newsletter.services.reports import expected_readers, find_progress, list_progress
from newsletter.services.sends import (
    ArticlesPlan,
    SendPlan,
    find_under_way,
    plan_articles,
    plan_send,
    send_pending_articles,
    start_send,
)

app = typer.Typer(no_args_is_help=True, help="Editions: what was, is and will be sent.")

EditionId = Annotated[int, typer.Argument(help="The edition's number, as `newsletter editions list` shows it.")]
Reason = Annotated[str, typer.Option(help="Why; it is shown, and kept on record.")]
PREVIEW_LINES = 12
SPARE = ("variants", "items", "cadence", "mails")
WHOLE = ("edition", "slot", "cadence", "state")
"""Columns of which no word is broken, and those that a narrow terminal goes without."""

UID_BEGINNING = 8
"""Characters of an article's uid that tell it apart."""


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
            _slot(each),
            each.cadence.value,
            _state(each),
            each.items,
            each.variants,
            sum(each.deliveries.values()),
            each.deliveries.get(DeliveryState.ACCEPTED, 0),
        ]
        for each in found
    ]
    columns = ["edition", "list", "slot", "cadence", "state", "items", "variants", "mails", "sent"]
    print_facts(found, as_json=as_json, table=table_of(columns, rows, whole=WHOLE, spare=SPARE))


@app.command()
def show(context: typer.Context, edition_id: EditionId, as_json: AsJSON = False) -> None:
    """Show an edition's numbers; every reader is accounted for, or it says so.

    Example:  newsletter editions show 12
    """
    parts = get_app(context)
    _print_accounts(parts, find_progress(parts, edition_id), as_json=as_json)


def _slot(found: Accounts) -> str:
    """Return the slot; of an edition of one article, the beginning of its uid, which any command takes."""
    uid, of_article, _ = found.slot_key.partition(":")
    return f"{uid[:UID_BEGINNING]}…" if of_article else found.slot_key


def _state(found: Accounts) -> str:
    return _SKIPPED[found.skip_reason] if found.skip_reason else found.state.value


_SKIPPED = {
    SkipReason.EMPTY: "skipped: no news",
    SkipReason.NO_READERS: "skipped: no readers",
    SkipReason.MISSED: "skipped: missed",
}


def vars_of(value: object) -> dict[str, object]:
    """Return a frozen value's fields by name."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}  # type: ignore[attr-defined]


@app.command()
def approve(
    context: typer.Context,
    edition_id: EditionId,
    at: Annotated[
        datetime | None, typer.Option(parser=parse_instant, metavar="TIME", help="Let it go out by itself then.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, whatever the checks warn of.")] = False,
) -> None:
    """Let an edition that waits for review go out, now or at a time.

    Example:  newsletter editions approve 12

    Example:  newsletter editions approve 12 --at 2024-12-09T08:00:00+06:00
    """
    parts = get_app(context)
    _ask_about_warnings(parts, edition_id, yes=yes)
    if at:
        editions_service.schedule_edition(parts, edition_id, at)
        console.print(f"Edition {edition_id} goes out at {at:%Y-%m-%d %H:%M %Z}.")
        return
    editions_service.approve_edition(parts, edition_id, actor=parts.actor)
    answer_doorbells(parts)
    _say_state(parts, edition_id)


@app.command()
def pause(context: typer.Context, edition_id: EditionId, reason: Reason = "") -> None:
    """Stop sending an edition, on every worker; what is under way to the relay is finished.

    Example:  newsletter editions pause 12 --reason "a wrong name in the lead"
    """
    editions_service.pause_edition(get_app(context), edition_id, reason=reason)
    _say_state(get_app(context), edition_id)


@app.command()
def resume(
    context: typer.Context,
    edition_id: EditionId,
    canary: Annotated[
        str, typer.Option(metavar="N|SHARE|none", help="The mails that go first now; none: all at once.")
    ] = "",
) -> None:
    """Go on with a paused edition where it stopped; one whose canary failed sends another canary first.

    Example:  newsletter editions resume 12

    Example:  newsletter editions resume 12 --canary none
    """
    parts = get_app(context)
    editions_service.resume_edition(parts, edition_id, canary=canary)
    answer_doorbells(parts)
    _say_state(parts, edition_id)


@app.command()
def cancel(
    context: typer.Context,
    edition_id: EditionId,
    reason: Reason = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """End an edition for good: what is not sent yet never will be.

    One that was done, and of which failed mails are sent again, ends as done.

    Example:  newsletter editions cancel 12
    """
    parts = get_app(context)
    found = find_progress(parts, edition_id)
    if found.state in ENDED:
        raise ConflictError(f"edition {edition_id} is {found.state} already; there is nothing to cancel")
    if not yes:
        waiting = found.deliveries.get(DeliveryState.QUEUED, 0)
        typer.confirm(f"Cancel edition {edition_id}? Mails not sent yet: {waiting:,}", abort=True, err=True)
    cancelled = editions_service.cancel_edition(parts, edition_id, reason=reason)
    console.print(f"Cancelled. Mails of edition {edition_id} that will not be sent: {cancelled:,}.")


@app.command()
def status(
    context: typer.Context,
    edition_id: EditionId,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it until it has ended.")] = False,
    as_json: AsJSON = False,
) -> None:
    """Show how far an edition is: by state, by provider, by reply, how fast, and what holds it up.

    Watching only looks: Ctrl-C ends the view and not the send. In a pipe it writes a line now and then, with --json a
    document a line.

    Example:  newsletter editions status 12 --watch
    """
    parts = get_app(context)
    if watch:
        watch_edition(parts, edition_id, as_json=as_json)
        if as_json:
            return
    found = follow_edition(parts, edition_id)
    if as_json:
        print_facts(found, as_json=True)
        return
    for line in lines_of(found, width=console.width, zone=parts.settings.zone_info):
        console.print(line)
    _point_to_failed(edition_id, found.state, found.deliveries)


def _print_accounts(parts: App, found: Accounts, *, as_json: bool) -> None:
    """Print an edition's numbers; for people with times in the newsroom's zone and what can be done next."""
    if as_json:
        print_facts({**vars_of(found), "adds_up": found.adds_up}, as_json=True)
        return
    zone = parts.settings.zone_info
    told = {
        "edition": found.edition_id,
        "list": found.list_slug,
        "slot": f"{found.slot_key} ({found.cadence.value}), {found.slot_at.astimezone(zone):%Y-%m-%d %H:%M %Z}",
        "state": _state(found),
        "done": f"{found.done_at.astimezone(zone):%Y-%m-%d %H:%M %Z}" if found.done_at else None,
        "items": found.items,
        "variants": found.variants,
        **_readers(parts, found),
        _WHY.get(found.state, "why"): _blame(found),
    }
    console.print(facts_table({name: value for name, value in told.items() if value not in (None, {})}))
    if following := _FOLLOWING.get(found.state):
        point_to(following[0], f"{following[1]} {found.edition_id}", style="yellow")
    _point_to_failed(found.edition_id, found.state, found.deliveries)


def _point_to_failed(edition_id: int, state: EditionState, deliveries: Mapping[DeliveryState, int]) -> None:
    if deliveries.get(DeliveryState.FAILED) and state is not EditionState.CANCELLED:
        point_to("What failed, and whether it can go again:", f"newsletter editions resend {edition_id} --dry-run")


def _readers(parts: App, found: Accounts) -> dict[str, object]:
    """Return who gets it; before the mails are made nobody has been counted, so nothing can add up."""
    if found.state in (EditionState.PLANNED, EditionState.SKIPPED):
        return {}
    if found.state is EditionState.REVIEW:
        return {"readers": f"{expected_readers(parts, found.edition_id):,} by now; counted again when it is let go"}
    return {
        "readers": found.candidates,
        "mails": plain(found.deliveries),
        "no mail for": plain(found.exclusions),
        "adds up": found.adds_up,
    }


def _blame(found: Accounts) -> str | None:
    if found.state not in _WHY:
        return None
    return f"{found.pause_reason or 'no reason given'} ({found.paused_by or 'the service, by itself'})"


_WHY = {EditionState.PAUSED: "paused, since", EditionState.CANCELLED: "cancelled, since"}
_FOLLOWING = {
    EditionState.REVIEW: ("Let it go:", "newsletter editions approve"),
    EditionState.PAUSED: ("Go on:", "newsletter editions resume"),
}


def _ask_about_warnings(parts: App, edition_id: int, *, yes: bool) -> None:
    """Show what the checks found, and ask whether it is to be sent all the same; errors are refused by the service.

    Where nobody is there to answer, warnings are only shown.
    """
    if find_progress(parts, edition_id).state is not EditionState.REVIEW or yes:
        return
    found = check_edition(parts, edition_id)
    if found:
        print_findings(found)
    if any(each.level is CheckLevel.ERROR for each in found) or not found or not sys.stdin.isatty():
        return
    if not typer.confirm(f"Send it all the same? If not, edition {edition_id} waits as a draft", err=True):
        console.print(
            f"It waits:  newsletter editions edit {edition_id}, then  newsletter editions approve {edition_id}"
        )
        raise typer.Abort


def _say_state(parts: App, edition_id: int) -> None:
    console.print(f"Edition {edition_id} is {find_progress(parts, edition_id).state.value}.")


def send(
    context: typer.Context,
    slug: Annotated[str, typer.Argument(help="The list.")],
    cadence: Annotated[Cadence | None, typer.Option(help="Which of the list's cadences.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Return when the edition has ended.")] = False,
    draft: Annotated[bool, typer.Option("--draft", help="Only compose it; it waits until you approve it.")] = False,
    at: Annotated[
        datetime | None, typer.Option(parser=parse_instant, metavar="TIME", help="Compose it now, let it go out then.")
    ] = None,
    canary: Annotated[
        str,
        typer.Option(metavar="N|SHARE|none", help="Mails that go first, 100 or 1%, in place of what the list says."),
    ] = "",
    as_json: AsJSON = False,
) -> None:
    """Compose and send what is due now: the newest slot of a list, once.

    A slot for which there is nothing to send stays open; only with --yes, for scripts, is it recorded as skipped.

    Example:  newsletter send weekly --dry-run

    Example:  newsletter send news --cadence daily --yes --wait

    Example:  newsletter send weekly --canary 100

    Example:  newsletter --now 2024-12-09T08:00:00+06:00 send weekly
    """
    parts = get_app(context)
    if cadence is Cadence.IMMEDIATE:
        _send_articles(parts, slug, dry_run=dry_run, yes=yes, as_json=as_json)
        return
    if not (dry_run or draft or at or canary) and (under_way := find_under_way(parts, slug, cadence)):
        errors.print(f"Edition {under_way} was let go already: going on with it, nobody gets it twice.")
        _see_through(parts, under_way, wait=wait, as_json=as_json)
        return
    plan = plan_send(parts, slug, cadence)
    if as_json and dry_run:
        print_facts(plan, as_json=True)
        return
    if as_json and not yes:
        raise InvalidError("--json sends without asking only with --yes")
    if not as_json:
        _show_plan(parts, plan)
    if dry_run or (plan.skip_reason and not yes):
        return
    edition_id = _start(parts, plan, is_draft=draft, at=at, yes=yes, canary=canary)
    if draft or at:
        _print_accounts(parts, find_progress(parts, edition_id), as_json=as_json)
        return
    _see_through(parts, edition_id, wait=wait, as_json=as_json)


def _see_through(parts: App, edition_id: int, *, wait: bool, as_json: bool) -> None:
    """Follow a send and print what it came to; one that is held up says by what, and one that was paused has failed."""
    if parts.settings.is_embedded or wait:
        follow(parts, edition_id, quiet=as_json)
    found = find_progress(parts, edition_id)
    _print_accounts(parts, found, as_json=as_json)
    if found.state is EditionState.PAUSED:
        raise ConflictError(
            f"edition {found.edition_id} was paused by {found.paused_by or 'the service'}: "
            f"{found.pause_reason or 'no reason given'}; then `newsletter editions resume {found.edition_id}`"
        )
    if found.state is EditionState.SENDING and not as_json:
        for why in follow_edition(parts, found.edition_id).held_by:
            console.print(f"! {why}", style="yellow")


def _start(parts: App, plan: SendPlan, *, is_draft: bool, at: datetime | None, yes: bool, canary: str) -> int:
    """Compose what was planned, ask as long as somebody wants to be asked, and let it go, now or later."""
    if is_draft:
        return start_send(
            parts, plan.list_slug, plan.cadence, actor=parts.actor, is_draft=True, tells_staff=True, canary=canary
        )
    if yes and at is None:
        return start_send(parts, plan.list_slug, plan.cadence, actor=parts.actor, canary=canary)
    if not yes:
        question = f"Send at {at:%Y-%m-%d %H:%M %Z}?" if at else "Send now?"
        typer.confirm(f"{question} Readers: {plan.readers:,}", abort=True, err=True)
    edition_id = start_send(parts, plan.list_slug, plan.cadence, actor=parts.actor, is_draft=True, canary=canary)
    _ask_about_warnings(parts, edition_id, yes=yes)
    if at:
        editions_service.schedule_edition(parts, edition_id, at)
    else:
        editions_service.approve_edition(parts, edition_id, actor=parts.actor)
    return edition_id


def _send_articles(parts: App, slug: str, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    plan = plan_articles(parts, slug)
    if as_json and dry_run:
        print_facts(plan, as_json=True)
        return
    if as_json and not yes:
        raise InvalidError("--json sends without asking only with --yes")
    if not as_json:
        _show_articles(plan)
    if not plan.titles and as_json:
        print_facts([], as_json=True)
    if dry_run or not plan.titles:
        return
    if not yes:
        question = f"Send now? Editions: {len(plan.titles):,}, each to those of {plan.readers:,} readers who chose it"
        typer.confirm(question, abort=True, err=True)
    opened = send_pending_articles(parts, slug)
    work_off(parts, should_stop=lambda: False)
    found = [find_progress(parts, edition_id) for edition_id in opened]
    rows = [[each.edition_id, each.state.value, sum(each.deliveries.values())] for each in found]
    print_facts(found, as_json=as_json, table=table_of(["edition", "state", "deliveries"], rows))


def _show_articles(plan: ArticlesPlan) -> None:
    console.print(f"{plan.list_slug}, at once: {len(plan.titles):,} articles, {plan.readers:,} readers")
    for title in plan.titles[:PREVIEW_LINES]:
        console.print(f"  · {title}", style="dim")
    if len(plan.titles) > PREVIEW_LINES:
        console.print(f"  … and {len(plan.titles) - PREVIEW_LINES} more", style="dim")
    if not plan.titles:
        console.print("Nothing to send: every article of this list has been sent, or is archive.", style="yellow")


def _show_plan(parts: App, plan: SendPlan) -> None:
    told: dict[str, object] = {
        "list": plan.list_slug,
        "slot": f"{plan.slot_key} ({plan.cadence.value})",
        "readers": f"{plan.readers:,} of {plan.reader_count:,}"
        + ("; the others chose nothing of this" if 0 < plan.readers < plan.reader_count else ""),
        "languages": dict(sorted(plan.languages.items())) or None,
        "variants": plan.variants,
        "largest": f"{plan.largest_html_bytes / 1000:.0f} KB of HTML" if plan.variants else None,
        "items": plan.items,
        "mails": _pace(parts, plan.readers) if plan.readers else None,
    }
    console.print(facts_table({name: value for name, value in told.items() if value}))
    for title in plan.titles[:PREVIEW_LINES]:
        console.print(f"  · {title}", style="dim")
    if len(plan.titles) > PREVIEW_LINES:
        console.print(f"  … and {len(plan.titles) - PREVIEW_LINES} more", style="dim")
    if plan.skip_reason:
        console.print(f"Nothing to send: {_why_nothing(plan, plan.skip_reason)}.", style="yellow")


def _pace(parts: App, mails: int) -> str:
    """Say how long so many mails take at the rate that the relays' URLs allow."""
    if not parts.relays:
        return "they wait: no relay is configured"
    if any(relay.rate is None for relay in parts.relays):
        return "the first at once, the others as fast as the relay takes them; no rate is set"
    rate = sum(relay.rate or 0 for relay in parts.relays)
    return f"the first at once, the last after about {timedelta(seconds=round(mails / rate))} at {rate:g} per second"


def _why_nothing(plan: SendPlan, reason: SkipReason) -> str:
    if reason is SkipReason.NO_READERS:
        return f"nobody reads {plan.list_slug} at this cadence; `newsletter subscribers import` adds readers"
    if plan.items:
        return "the new articles are nothing that any reader chose"
    if reason is SkipReason.EMPTY:
        return (
            f"no article is new for {plan.list_slug}. Those from before the list began (`newsletter lists show "
            f"{plan.list_slug}` says when), and those too old for its cadence, 28 days for a weekly list, are archive; "
            "`newsletter --now TIME send` replays history"
        )
    return reason.value


def follow(parts: App, edition_id: int, *, quiet: bool = False) -> None:
    """Show an edition's progress until it has ended, or nothing more can be done now; embedded, do the work too.

    Ctrl-C ends it once the mails under way are recorded, so that none is left in doubt, and says how it goes on; a
    second one breaks off at once.
    """
    stop = threading.Event()
    worker = threading.Thread(target=partial(work_off, parts, should_stop=stop.is_set), daemon=True)
    worker.start()
    try:
        watch_while(parts, edition_id, worker, quiet=quiet)
    except KeyboardInterrupt:
        if parts.settings.is_embedded:
            errors.print("Stopping, once the mails under way are recorded; Ctrl-C again breaks off.")
        _end_work(parts, stop, worker)
        errors.print(_interrupted(parts, edition_id))
        raise typer.Exit(INTERRUPTED) from None
    finally:
        _end_work(parts, stop, worker)


INTERRUPTED = 130
"""What shells take for the end by Ctrl-C."""


def _end_work(parts: App, stop: threading.Event, worker: threading.Thread) -> None:
    """Let this process begin no further mail, and wait for the answers to those under way."""
    stop.set()
    if isinstance(parts.dispatcher, InProcessDispatcher) and worker.is_alive():
        parts.dispatcher.stopping.set()
        worker.join()
        parts.dispatcher.stopping.clear()
    worker.join()


def _interrupted(parts: App, edition_id: int) -> str:
    """Say after Ctrl-C what becomes of the send, and how to look at it again."""
    found = follow_edition(parts, edition_id)
    look = f"newsletter editions status {edition_id} --watch"
    told = f"{found.ended:,} of {found.total:,} mails have come to an end"
    if not parts.settings.is_embedded or not check_readiness(parts).is_tick_late:
        return f"{told}; the send goes on where workers run. Look again:  {look}"
    return (
        f"{told}; nobody gets one twice. Go on:  newsletter send {found.list_slug}, or newsletter up. "
        f"Look at it:  {look}"
    )
