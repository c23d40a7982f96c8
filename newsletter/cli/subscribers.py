"""`newsletter subscribers`: who reads what; imports on a stated basis for consent, exports and erasure of a person."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from newsletter.cli.output import (
    AsJSON,
    console,
    errors,
    facts_table,
    get_app,
    next_page,
    plain,
    point_to,
    print_facts,
    table_of,
)
from newsletter.domain.suppressions import SuppressionReason
from newsletter.errors import InvalidError
from newsletter.ingest.foreign_subscribers import ForeignFile, Standing, read_as, read_foreign_file
from newsletter.ingest.subscriber_csv import SubscriberFile, read_subscriber_file
from newsletter.services import subscriber_imports, subscribers, suppressions
from newsletter.services.context import App
from newsletter.services.filters import NamedFilter
from newsletter.services.subscriber_imports import ImportReport, RowOutcome
from newsletter.services.subscriber_moves import look_over, move_in
from newsletter.services.subscribers import SubscriberFacts, SubscriptionFacts

app = typer.Typer(no_args_is_help=True, help="Subscribers: who reads what.")

Address = Annotated[str, typer.Argument(help="The person's e-mail address.")]
Basis = Annotated[str, typer.Option(help="How these people agreed, in a sentence; it goes on record for each of them.")]
Slug = Annotated[str, typer.Option("--list", help="The list's slug.")]
REFUSALS_SHOWN = 20


class Gone(StrEnum):
    """How people may have stood elsewhere who are not to be mailed."""

    LEFT = Standing.LEFT.value
    BOUNCED = Standing.BOUNCED.value
    COMPLAINED = Standing.COMPLAINED.value
    BLOCKED = Standing.BLOCKED.value


@app.command("import")
def import_file(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="A CSV file, or another tool's export.", exists=True, dir_okay=False, readable=True)
    ],
    slug: Slug,
    basis: Basis,
    gone: Annotated[
        Gone | None,
        typer.Option("--as", help="They all left, bounced, complained or are blocked: none is to be mailed."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Of another tool's export: only say what it holds.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJSON = False,
) -> None:
    """Subscribe the people in a CSV file to a list; nobody who left it or must not be mailed is brought back.

    Exports of listmonk, Mailchimp (its ZIP) and Mailman are known by how they are written: who was active there is
    subscribed with their date, who left stays out, bounced and blocked addresses are suppressed. What it holds is told
    before anything is changed. Where people who left stand in a file of their own, import it first, with --as left.

    Columns, in any order: address (or e-mail, адрес, дарек), and if wanted language, cadence, topics, kinds,
    languages; several values in one cell are separated by spaces. With a column `status`, whoever's does not say that
    they want mail (active, subscribed, yes) is refused, and so is whom a column `unsubscribed_at`, `opt_out` or
    `bounced` names. Each refused row is reported with its line. Repeating it changes nothing.

    Example:  newsletter subscribers import readers.csv --list weekly --basis "signed up on paper at the fair, May 2024"

    Example:  newsletter subscribers import gone.csv --as left --list weekly --basis "left our old list"
    """
    parts = get_app(context)
    content = file.read_bytes()
    if gone:
        foreign: ForeignFile | None = read_as(content, name=file.name, standing=Standing(gone.value))
    else:
        foreign = read_foreign_file(content, name=file.name)
    if foreign:
        _move_in(parts, slug, foreign, name=file.name, basis=basis, dry_run=dry_run, yes=yes, as_json=as_json)
        return
    if dry_run:
        raise InvalidError(
            f"{file.name} is no export of listmonk, Mailchimp or Mailman; --dry-run is for those, or beside --as"
        )
    found = read_subscriber_file(content, name=file.name)
    line_count = found.text.count("\n") + 1
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    ) as progress:
        task = progress.add_task("Importing", total=line_count)
        report = subscriber_imports.import_subscribers(
            parts,
            slug,
            found,
            name=file.name,
            basis=basis,
            on_progress=lambda line: progress.update(task, completed=line),
        )
    if as_json:
        print_facts(_report_facts(found, report), as_json=True)
    else:
        _print_report(found, report)


@app.command()
def add(
    context: typer.Context,
    address: Address,
    slug: Slug,
    basis: Basis,
    language: Annotated[str, typer.Option(help="Language of the mails (the list's first, if none is given).")] = "",
    cadence: Annotated[str, typer.Option(help="How often (the list's first, if none is given).")] = "",
    topic: Annotated[list[str] | None, typer.Option(help="Only this topic. Repeatable.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only this kind of article. Repeatable.")] = None,
    as_json: AsJSON = False,
) -> None:
    """Subscribe one person who agreed in another way than on the web.

    Example:  newsletter subscribers add aida@example.org --list weekly --basis "asked by letter of 3 June 2024"
    """
    parts = get_app(context)
    wanted = NamedFilter(topics=tuple(topic or ()), kinds=tuple(kind or ()))
    outcome = subscriber_imports.add_subscriber(
        parts, slug, address, basis=basis, language=language, cadence=cadence, wanted=wanted
    )
    if as_json:
        print_facts({"address": address, "list": slug, "outcome": outcome}, as_json=True)
    elif outcome is RowOutcome.ADDED:
        console.print(f"{address} is subscribed to {slug}.")
    else:
        console.print(f"{address} was subscribed to {slug} already; nothing was changed.")


@app.command("list")
def list_some(
    context: typer.Context,
    slug: Annotated[str | None, typer.Option("--list", help="Only this list's.")] = None,
    after: Annotated[int, typer.Option(help="Begin after this number, the last one shown before.", min=0)] = 0,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=subscribers.MOST_LISTED)] = 50,
    as_json: AsJSON = False,
) -> None:
    """List subscriptions that have not ended.

    Example:  newsletter subscribers list --list weekly --limit 100
    """
    found = subscribers.list_subscribers(get_app(context), slug=slug, after=after, limit=limit)
    rows = [
        [each.id, each.address, each.list, each.state, each.cadence, each.language, _in_words(each.filter)]
        for each in found
    ]
    columns = ["number", "address", "list", "state", "cadence", "language", "articles"]
    table = table_of(columns, rows, spare=["language", "cadence", "articles"])
    print_facts(found, as_json=as_json, table=table)
    if len(found) == limit and not as_json:
        point_to("More:", next_page(context, after=found[-1].id), style="dim")


@app.command()
def show(context: typer.Context, address: Address, as_json: AsJSON = False) -> None:
    """Show what a person is subscribed to, with the record of consent."""
    found = subscribers.export_subscriber(get_app(context), address)
    if as_json:
        print_facts(found, as_json=True)
    else:
        _print_person(found)


@app.command()
def export(
    context: typer.Context,
    address: Address,
    file: Annotated[Path | None, typer.Option(help="Write to this file instead of the terminal.")] = None,
    as_json: AsJSON = False,
) -> None:
    """Export all that is kept about a person; to the terminal it is JSON in any case.

    Example:  newsletter subscribers export aida@example.org --file aida.json
    """
    found = subscribers.export_subscriber(get_app(context), address)
    if file is None:
        print_facts(found, as_json=True)
        return
    try:
        file.write_text(json.dumps(plain(found), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise InvalidError(f"{file} cannot be written: {error.strerror}; choose another place") from error
    if as_json:
        print_facts({"address": found.address, "file": str(file)}, as_json=True)
    else:
        console.print(f"{found.address} → {file}")


@app.command()
def erase(
    context: typer.Context,
    address: Address,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJSON = False,
) -> None:
    """Erase a person: end their subscriptions and empty their address everywhere. This cannot be undone.

    A keyed hash stays, so that no import brings them back.
    """
    parts = get_app(context)
    found = subscribers.export_subscriber(parts, address)
    if not yes:
        live = sum(each.ended_at is None for each in found.subscriptions)
        typer.confirm(f"Erase {found.address} for good? Subscriptions that end: {live}", abort=True, err=True)
    ended = subscribers.erase_subscriber(parts, address)
    if as_json:
        print_facts({"erased": True, "subscriptions_ended": ended}, as_json=True)
    else:
        console.print(f"Erased; subscriptions ended: {ended}.")


@app.command()
def suppress(context: typer.Context, address: Address, as_json: AsJSON = False) -> None:
    """Never mail an address again, whether it is known or not; mail in the queue is stopped too."""
    found = suppressions.suppress_address(get_app(context), address, SuppressionReason.MANUAL)
    if as_json:
        print_facts({"address": address, "reason": found.reason, "since": found.created_at}, as_json=True)
    else:
        console.print(f"{address} is suppressed ({found.reason}).")


@app.command()
def release(context: typer.Context, address: Address, as_json: AsJSON = False) -> None:
    """Allow mail to a suppressed address again; what had ended stays ended."""
    suppressions.lift_suppression(get_app(context), address)
    if as_json:
        print_facts({"address": address, "released": True}, as_json=True)
    else:
        console.print(f"{address} may be mailed again.")


def _move_in(
    parts: App,
    slug: str,
    foreign: ForeignFile,
    *,
    name: str,
    basis: str,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Tell what an export of another tool holds, ask, and bring its people in."""
    held = look_over(foreign)
    if not as_json:
        span = f"{held.first:%Y-%m-%d} to {held.last:%Y-%m-%d}" if held.first and held.last else "no dates"
        console.print(facts_table({"export of": held.tool.value, "people": held.standings, "agreed": span}))
    if dry_run:
        if as_json:
            print_facts(held, as_json=True)
        return
    if not yes and not as_json and sys.stdin.isatty():
        typer.confirm(f"Bring them into {slug}?", abort=True, err=True)
    report = move_in(parts, slug, foreign, name=name, basis=basis)
    if as_json:
        print_facts(report, as_json=True)
        return
    console.print(
        f"{report.added:,} added, {report.same:,} subscribed already, {report.left:,} had left, "
        f"{report.suppressed:,} suppressed, {len(report.refusals):,} refused"
    )
    if report.kept:
        console.print(f"{report.kept:,} who left or bounced there signed up here, or were released: they stay")
    rows = [[each.line, each.address, each.why] for each in report.refusals[:REFUSALS_SHOWN]]
    if rows:
        console.print(table_of(["line", "address", "why it was refused"], rows))


def _report_facts(file: SubscriberFile, report: ImportReport) -> dict[str, object]:
    return {
        **{outcome.value: report.counts[outcome] for outcome in RowOutcome},
        "refusals": report.refusals,
        "encoding": file.encoding,
        "ignored_columns": file.ignored,
    }


def _print_report(file: SubscriberFile, report: ImportReport) -> None:
    counts = report.counts
    console.print(
        f"{counts[RowOutcome.ADDED]:,} added, {counts[RowOutcome.SAME]:,} subscribed already, "
        f"{counts[RowOutcome.REFUSED]:,} refused"
    )
    if file.encoding != "utf-8":
        console.print(f"The file is no UTF-8 and was read as {file.encoding}; look at a name or two.", style="yellow")
    if file.ignored:
        console.print(f"Columns without a meaning here: {', '.join(file.ignored)}", style="dim")
    if report.refusals:
        shown = report.refusals[:REFUSALS_SHOWN]
        rows = [[each.line, each.address, each.why] for each in shown]
        console.print(table_of(["line", "address", "why it was refused"], rows))
        if len(report.refusals) > len(shown):
            console.print(f"and {len(report.refusals) - len(shown):,} more; --json lists all of them", style="dim")


def _print_person(found: SubscriberFacts) -> None:
    suppressed = f", suppressed since {found.suppression.created_at:%Y-%m-%d}" if found.suppression else ""
    console.print(f"{found.address}, {found.language}{suppressed}")
    rows = [
        [
            each.list,
            f"{each.state} ({each.end_reason})" if each.end_reason else each.state,
            each.cadence,
            each.language,
            _in_words(each.filter),
            f"{each.created_at:%Y-%m-%d}",
            _consent(each),
        ]
        for each in found.subscriptions
    ]
    console.print(table_of(["list", "state", "cadence", "language", "articles", "since", "consent"], rows))
    console.print(f"Mails: {len(found.mails):,}; `newsletter subscribers export` lists them", style="dim")


def _in_words(chosen: NamedFilter) -> str:
    facets = (chosen.topics, chosen.kinds, chosen.sources, chosen.languages)
    return "; ".join(", ".join(values) for values in facets if values) or "all"


def _consent(subscription: SubscriptionFacts) -> str:
    return "; ".join(f"{each.act}: {each.basis}" for each in subscription.consent)
