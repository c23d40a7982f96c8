"""`newsletter feeds`: what is served to feed readers, and building it anew."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from newsletter.cli.output import AsJSON, console, errors, get_app, print_facts, table_of
from newsletter.errors import PermanentError
from newsletter.services import feeds as service
from newsletter.services.feeds import FeedBuilt, FeedFacts

app = typer.Typer(no_args_is_help=True, help="Feeds: RSS, Atom and JSON for each topic, kind, list and language.")

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
        console.print("There are no feeds yet. Make them with:  newsletter feeds rebuild")
        return
    rows = [
        [
            each.feed.slug,
            each.feed.title,
            each.feed.entry_count,
            f"{each.changed_at:%Y-%m-%d %H:%M} UTC" if each.changed_at else None,
            f"{each.size / KIB:,.0f} KB",
            _state(each),
        ]
        for each in found
    ]
    table = table_of(["feed", "title", "entries", "changed", "size", "state"], rows)
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
        built = service.rebuild_feeds(get_app(context), slugs or (), is_forced=not slugs, on_built=watch)
    rows = [
        [each.slug, each.entry_count, len(each.changed), "failed" if each.has_failed else each.problem or "built"]
        for each in built
    ]
    print_facts(built, as_json=as_json, table=table_of(["feed", "entries", "changed documents", "outcome"], rows))
    if failed := [each for each in built if each.has_failed]:
        reasons = "; ".join(f"{each.slug}: {each.problem}" for each in failed)
        raise PermanentError(f"{len(failed)} of {len(built)} feeds keep their last documents: {reasons}")


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
