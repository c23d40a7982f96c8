"""`newsletter sources`: where articles come from; which feeds are polled, and how that goes."""

from typing import Annotated

import typer
from rich.text import Text

from newsletter.cli.output import AsJSON, console, facts_table, get_app, local, plain, point_to, print_facts, table_of
from newsletter.domain.articles import Kind
from newsletter.domain.sources import SourceState
from newsletter.errors import TransientError
from newsletter.services import sources as service
from newsletter.services.polling import PollReport, poll_source_now
from newsletter.services.sources import SourceFacts

app = typer.Typer(no_args_is_help=True, help="Sources: feeds that are polled, and all else that articles come from.")

Slug = Annotated[str, typer.Argument(help="The source's slug, as `sources list` shows it.")]


@app.command()
def add(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="Address of its RSS, RDF, Atom or JSON feed.")],
    kind: Annotated[Kind, typer.Option(help="Kind of its articles, unless they name one.")],
    name: Annotated[str | None, typer.Option(help="Its name \\[default: the address's host].")] = None,
    topic: Annotated[list[str] | None, typer.Option(help="Give each of its articles this topic. Repeatable.")] = None,
    language: Annotated[
        str | None, typer.Option(metavar="CODE", help="Language of its articles, whatever the feed says.")
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(metavar="MINUTES", help="Poll so often \\[default: hourly, daily where it has no validators]."),
    ] = None,
    first: Annotated[int, typer.Option(metavar="COUNT", help="Take so many of the items that are there already.")] = 10,
    mail_first: Annotated[
        bool, typer.Option("--mail-first", help="Mail those too; else only what comes later is news.")
    ] = False,
    full_text: Annotated[
        bool, typer.Option("--full-text/--no-full-text", help="Take the text from the page where a feed has excerpts.")
    ] = True,
    as_json: AsJSON = False,
) -> None:
    """Poll a feed from now on; its new articles are published as they come.

    Example:  newsletter sources add https://press.example.org/feed --kind press_release --topic health --name "Press"
    """
    parts = get_app(context)
    poll = service.add_source(
        parts,
        url,
        name=name,
        kind=kind,
        topics=topic or (),
        language=language,
        every_minutes=every,
        takes_full_text=full_text,
        first_items=first,
        mails_first=mail_first,
    )
    _print(context, service.show_source(parts, poll.slug), as_json=as_json)
    if not as_json:
        if name is None:
            console.print("\nIt is called after its host; remove it and add it with --name for another.", style="dim")
        point_to("\nIt is polled with the next tick. At once:", f"newsletter sources poll {poll.slug}", style="dim")


@app.command("list")
def list_all(context: typer.Context, as_json: AsJSON = False) -> None:
    """List all sources, with what is the matter with those that are polled."""
    found = service.list_sources(get_app(context))
    rows = [
        [
            each.count.slug,
            each.count.title,
            each.count.article_count,
            _state(each),
            _polled(context, each),
            _problem(each),
        ]
        for each in found
    ]
    columns = ["source", "title", "articles", "state", "polled", "problem"]
    print_facts([_facts(each) for each in found], as_json=as_json, table=table_of(columns, rows, spare=["title"]))


@app.command()
def show(context: typer.Context, slug: Slug, as_json: AsJSON = False) -> None:
    """Show a source: how it is polled, what the last document brought, what is wrong with it.

    Example:  newsletter sources show press
    """
    _print(context, service.show_source(get_app(context), slug), as_json=as_json)


@app.command()
def poll(context: typer.Context, slug: Slug, as_json: AsJSON = False) -> None:
    """Poll a source at once, due or not. Exit 1 where it failed.

    Example:  newsletter sources poll press
    """
    report = poll_source_now(get_app(context), slug)
    if as_json:
        print_facts(report, as_json=True)
    else:
        _print_report(report)
    if report.problem:
        raise typer.Exit(1)


@app.command()
def pause(
    context: typer.Context,
    slug: Slug,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for those who ask later.")] = "",
    as_json: AsJSON = False,
) -> None:
    """Poll a source no more until it is resumed."""
    parts = get_app(context)
    service.pause_source(parts, slug, reason=reason)
    _print(context, service.show_source(parts, slug), as_json=as_json)


@app.command()
def resume(context: typer.Context, slug: Slug, as_json: AsJSON = False) -> None:
    """Poll a source again, at once; one too that its server had closed."""
    parts = get_app(context)
    service.resume_source(parts, slug)
    _print(context, service.show_source(parts, slug), as_json=as_json)


@app.command()
def remove(context: typer.Context, slug: Slug) -> None:
    """Poll a source no more and forget how; its articles stay."""
    service.remove_source(get_app(context), slug)
    console.print(f"{slug} is not polled any more; its articles stay.")


def _print_report(report: PollReport) -> None:
    if report.problem:
        raise TransientError(f"{report.source}: {report.problem}")
    rows = [[each.position, each.result, each.title, each.reason or ""] for each in report.outcomes]
    if rows:
        console.print(table_of(["item", "result", "title", "remarks"], rows))
    for uid in report.withdrawn:
        console.print(f"Withdrawn at the source: {uid}")
    for warning in report.warnings:
        console.print(warning, style="yellow")
    if not rows:
        console.print(f"{report.source}: nothing new.")


def _print(context: typer.Context, found: SourceFacts, *, as_json: bool) -> None:
    if as_json:
        print_facts(_facts(found), as_json=True)
        return
    facts: dict[str, object] = {
        "source": found.count.slug,
        "title": found.count.title,
        "articles": found.count.article_count,
        "state": _state(found),
    }
    if (poll := found.poll) is not None:
        facts |= {
            "address": poll.url,
            "given as": poll.given_url if poll.given_url != poll.url else None,
            "kind": poll.kind,
            "topics": list(poll.topics),
            "language": poll.language,
            "full text": poll.takes_full_text,
            "polled": local(context, poll.polled_at),
            "fine": local(context, poll.succeeded_at),
            "changed": local(context, poll.changed_at),
            "next": local(context, poll.due_at) if poll.state is SourceState.ACTIVE else None,
            "last document": poll.counts or None,
            "problem": f"{poll.problem} ({poll.failures} in a row)" if poll.problem else None,
            "hub": f"{poll.hub_url} ({poll.hub_state})" if poll.hub_url else None,
            "remarks": list(poll.warnings) or None,
        }
    console.print(facts_table({name: value for name, value in facts.items() if value is not None}))


def _facts(found: SourceFacts) -> dict[str, object]:
    """Return a source's facts for scripts; what only the poller needs is left out."""
    facts: dict[str, object] = {
        "slug": found.count.slug,
        "title": found.count.title,
        "articles": found.count.article_count,
        "last_received_at": found.count.last_received_at,
        "state": _state(found).plain,
        "is_sick": found.is_sick,
        "poll": None,
    }
    if found.poll is not None:
        inner = {"source_id", "slug", "title", "window", "skipped", "missing", "body_digest", "hub_name"}
        facts["poll"] = {name: value for name, value in plain(found.poll).items() if name not in inner}
    return facts


def _state(found: SourceFacts) -> Text:
    if found.poll is None:
        return Text("not polled", style="dim")
    if found.is_sick:
        return Text("closed" if found.poll.state is SourceState.CLOSED else "sick", style="red")
    return Text(found.poll.state, style="" if found.poll.state is SourceState.ACTIVE else "yellow")


def _problem(found: SourceFacts) -> str:
    if found.poll is None:
        return ""
    return found.poll.problem or found.poll.state_reason


def _polled(context: typer.Context, found: SourceFacts) -> str | None:
    return local(context, found.poll.polled_at) if found.poll else None
