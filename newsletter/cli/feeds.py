"""`newsletter feeds`: what is served to feed readers, and building it anew."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from newsletter.cli.output import AsJSON, console, errors, get_app, local, point_to, print_facts, table_of
from newsletter.errors import PermanentError
from newsletter.services import feeds as service
from newsletter.services.feed_rebuilding import FeedBuilt, rebuild_feeds
from newsletter.services.feeds import FeedFacts
from newsletter.services.websub import list_followers

app = typer.Typer(
    no_args_is_help=True,
    help="Feeds: RSS, Atom, JSON and calendars for each topic, kind, list and language, and who follows them.",
)

KIB = 1024


@app.command("list")
def list_all(context: typer.Context, as_json: AsJSON = False) -> None:
    """List all feeds: entries, when their bytes changed last, size, and what is the matter with them.

    Each is served as SLUG.atom, SLUG.rss and SLUG.json under /feeds/.

    Example:  newsletter feeds list --json
    """
    with get_app(context).reading() as tx:
        found = service.list_feeds(tx)
    if not as_json and not found:
        point_to("There are no feeds yet. Make them with:", "newsletter feeds rebuild")
        return
    rows = [
        [
            each.feed.slug,
            each.feed.title,
            each.feed.entry_count,
            local(context, each.changed_at),
            f"{each.size / KIB:,.0f} KB",
            _state(each),
        ]
        for each in found
    ]
    table = table_of(["feed", "title", "entries", "changed", "size", "state"], rows, spare=["title", "size", "changed"])
    print_facts([_facts(each) for each in found], as_json=as_json, table=table)


@app.command()
def rebuild(
    context: typer.Context,
    slugs: Annotated[
        list[str] | None, typer.Argument(metavar="[SLUG]...", help="Feeds to build, such as all-en \\[default: all].")
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Build feeds anew. Bytes that come out the same keep their validators, so readers load nothing twice.

    Needed by nobody in daily work: feeds follow their articles by themselves.

    Example:  newsletter feeds rebuild topic-climate-action-en all-ru
    """
    with _progress() as watch:
        built = rebuild_feeds(get_app(context), slugs or (), is_forced=not slugs, on_built=watch)
    rows = [
        [each.slug, each.entry_count, len(each.changed), "failed" if each.has_failed else each.problem or "built"]
        for each in built
    ]
    columns = ["feed", "entries", "changed documents", "outcome"]
    print_facts(built, as_json=as_json, table=table_of(columns, rows, spare=["changed documents"]))
    if failed := [each for each in built if each.has_failed]:
        reasons = "; ".join(f"{each.slug}: {each.problem}" for each in failed)
        raise PermanentError(f"{len(failed)} of {len(built)} feeds keep their last documents: {reasons}")


@app.command()
def close(
    context: typer.Context,
    slug: Annotated[str, typer.Argument(help="Feed to close, such as topic-water-en.")],
    moved_to: Annotated[str, typer.Option(help="Feed that goes on instead; readers are sent there.")] = "",
) -> None:
    """Close a feed for good: readers are told that it is gone, or where it is now, and stop asking.

    Example:  newsletter feeds close topic-water-en --moved-to topic-climate-en
    """
    service.close_feed(get_app(context), slug, moved_to=moved_to)
    console.print(f"{slug} is closed. Readers are sent to {moved_to}." if moved_to else f"{slug} is closed.")


@app.command("open")
def open_again(
    context: typer.Context, slug: Annotated[str, typer.Argument(help="Feed that was closed, such as topic-water-en.")]
) -> None:
    """Open a feed again that was closed; it is there with the next rebuild.

    Example:  newsletter feeds open topic-water-en
    """
    service.open_feed(get_app(context), slug)
    point_to(f"{slug} will be built with the next tick, or by:", "newsletter feeds rebuild")


@app.command()
def followers(context: typer.Context, as_json: AsJSON = False) -> None:
    """List who follows feeds by WebSub: callbacks, until when, and what is the matter with them.

    Example:  newsletter feeds followers --json
    """
    found = list_followers(get_app(context))
    if not as_json and not found:
        console.print("Nobody follows a feed by WebSub.")
        return
    rows = [[each.topic, each.callback, f"{each.lease_until:%Y-%m-%d}", each.problem or "fine"] for each in found]
    facts = [
        {
            "topic": each.topic,
            "callback": each.callback,
            "lease_until": each.lease_until,
            "pushed_at": each.pushed_at,
            "failing_since": each.failing_since,
            "problem": each.problem,
        }
        for each in found
    ]
    print_facts(facts, as_json=as_json, table=table_of(["feed", "callback", "until", "state"], rows))


def _state(facts: FeedFacts) -> str:
    if facts.feed.failed_at:
        return f"failed: {facts.feed.problem}"
    if facts.wants_rebuild:
        return "to be built"
    return facts.feed.problem or "current"


def _facts(facts: FeedFacts) -> dict[str, object]:
    feed = facts.feed
    return {
        "slug": feed.slug,
        "title": feed.title,
        "facet": feed.facet,
        "subject": feed.subject,
        "language": feed.language,
        "addresses": facts.addresses,
        "entries": feed.entry_count,
        "size": facts.size,
        "changed_at": facts.changed_at,
        "rebuilt_at": feed.rebuilt_at,
        "state": _state(facts),
    }


@contextmanager
def _progress() -> Iterator[Callable[[FeedBuilt, int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task("Feeds", total=None)

        def watch(built: FeedBuilt, total: int) -> None:
            progress.update(task, description=built.slug, advance=1, total=total)

        yield watch
