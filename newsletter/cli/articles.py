"""`newsletter articles` and `newsletter topics`: what comes in, what goes out, what it is about."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from newsletter.cli.explaining import story_table
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
from newsletter.domain.article_edits import LACKS_BODY, LACKS_DATE, LACKS_TITLE
from newsletter.domain.articles import ArticleState, Event, Kind
from newsletter.domain.prose import shorten
from newsletter.domain.topics import Topic
from newsletter.embedded import answer_doorbells
from newsletter.services import articles as service
from newsletter.services import topics as topic_service
from newsletter.services.article_imports import ImportOutcome, ImportResult, import_files
from newsletter.services.articles import ArticleFacts
from newsletter.services.context import App
from newsletter.services.explaining import trace_article
from newsletter.services.folder_watch import watch_folder

app = typer.Typer(no_args_is_help=True, help="Articles: import, look at, publish, withdraw, tag.")
topics_app = typer.Typer(no_args_is_help=True, help="Topics: what an article can be about, and the words that say so.")

UID_SHOWN = 8
"""Letters of a uid in tables; a command takes as many as make it unambiguous."""
TITLE_SHOWN = 60
MOST_LISTED = 1000
SPARE = ("in", "kind", "topics; what it lacks")
"""Columns that a list on a narrow terminal goes without."""

Uid = Annotated[str, typer.Argument(help="The article's uid, or its first letters, as `articles list` shows them.")]
_COMPLETED_BY = {LACKS_TITLE: "--title", LACKS_DATE: "--date", LACKS_BODY: "--summary"}
_STYLES = {ImportResult.REFUSED: "red", ImportResult.HELD: "yellow", ImportResult.NEW: "green"}


@app.command("import")
def import_(
    context: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]...",
            help=".json, .md, .xml (a saved feed) or .html",
            show_default=False,
            exists=True,
            dir_okay=False,
            readable=True,
        ),
    ] = None,
    watch: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Import what is put there, until Ctrl-C.", exists=True, file_okay=False),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Where they come from; else what the file says."),
    ] = None,
    language: Annotated[
        str | None, typer.Option(metavar="CODE", help="Language of items that state none; else the newsroom's.")
    ] = None,
    kind: Annotated[Kind | None, typer.Option(help="Kind of items that state none; else story.")] = None,
    as_json: AsJSON = False,
) -> None:
    """Import articles, item by item: each is new, updated, same, merged, held as a draft, or refused.

    Repeating it changes nothing. A bad item never stops the rest; a file that cannot be read stops before anything is
    stored. Exit 1 where every item was refused. The formats are described in docs/articles.md.

    Example:  newsletter articles import week-41.json --source "City Press Office"

    Example:  newsletter articles import speeches/*.md --kind speech --language ky

    Example:  newsletter articles import --watch /srv/cms/export --source "City Press Office"
    """
    parts = get_app(context)
    if not files and watch is None:
        raise typer.BadParameter("name files, or a folder with --watch", param_hint="FILE")
    if files:
        _import_files(parts, files, source=source, language=language, kind=kind, as_json=as_json)
    if watch is not None:
        _watch(parts, watch, source=source, language=language, kind=kind, as_json=as_json)


def _import_files(
    parts: App, files: list[Path], *, source: str | None, language: str | None, kind: Kind | None, as_json: bool
) -> None:
    with Progress(
        TextColumn("Importing"),
        BarColumn(),
        MofNCompleteColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    ) as progress:
        task = progress.add_task("", total=None)
        outcomes = import_files(
            parts,
            files,
            source=source,
            language=language,
            kind=kind,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    counts = Counter(outcome.result for outcome in outcomes)
    summary = {result.value: counts[result] for result in ImportResult}
    if as_json:
        print_facts({"items": outcomes, "counts": summary}, as_json=True)
    else:
        _print_outcomes(outcomes, summary, is_one_file=len(files) == 1)
    if outcomes and counts[ImportResult.REFUSED] == len(outcomes):
        raise typer.Exit(1)


def _print_outcomes(outcomes: Sequence[ImportOutcome], summary: dict[str, int], *, is_one_file: bool) -> None:
    rows = [_outcome_row(outcome, is_one_file=is_one_file) for outcome in outcomes]
    console.print(table_of(["item", "result", "uid", "title, and remarks"], rows))
    told = ", ".join(f"{count} {result}" for result, count in summary.items() if count)
    console.print(f"{len(outcomes)} item{'s'[: len(outcomes) != 1]}: {told or 'nothing in it'}.")
    if held := [outcome for outcome in outcomes if outcome.lacks and outcome.article_uid]:
        point_to("Complete a draft:", f"newsletter articles publish {_completion(held[0])}")


def _watch(
    parts: App, folder: Path, *, source: str | None, language: str | None, kind: Kind | None, as_json: bool
) -> None:
    """Import what is put into a folder, until Ctrl-C: a line a file."""
    if not as_json:
        console.print(f"Watching {folder} · Ctrl-C stops", style="dim")
    files = watch_folder(
        parts, folder, clock=time.monotonic, wait=time.sleep, source=source, language=language, kind=kind
    )
    try:
        for file in files:
            if file is None:
                answer_doorbells(parts)
            elif as_json:
                sys.stdout.write(json.dumps(plain(file), ensure_ascii=False) + "\n")
                sys.stdout.flush()
            elif file.problem:
                console.print(f"{file.path.name}: {file.problem}", style="red")
            else:
                counts = Counter(outcome.result for outcome in file.outcomes)
                told = ", ".join(f"{counts[result]} {result}" for result in ImportResult if counts[result])
                console.print(f"{file.path.name}: {told or 'nothing in it'}")
    except KeyboardInterrupt:
        if not as_json:
            console.print("Stopped. What was not finished is imported the next time.")


@app.command("list")
def list_(
    context: typer.Context,
    state: Annotated[ArticleState | None, typer.Option(help="Only those in this state.")] = None,
    kind: Annotated[Kind | None, typer.Option(help="Only this kind.")] = None,
    source: Annotated[str | None, typer.Option(help="Only from the source with this slug.")] = None,
    topic: Annotated[str | None, typer.Option(help="Only about this topic.")] = None,
    before: Annotated[str | None, typer.Option(metavar="UID", help="Begin after this one: the next page.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=MOST_LISTED)] = 50,
    as_json: AsJSON = False,
) -> None:
    """List articles, the last received first.

    Example:  newsletter articles list --state draft
    """
    parts = get_app(context)
    with parts.reading() as tx:
        page = service.list_articles(tx, state=state, kind=kind, source=source, topic=topic, before=before, limit=limit)
        found = service.describe_articles(tx, page.articles)
    if as_json:
        print_facts({"articles": found, "next_before": page.next_before}, as_json=True)
        return
    zone = parts.settings.zone_info
    rows = [
        [_short(each.uid), each.state, each.kind, _when(each.published_at, zone), " ".join(each.translations),
         _title(each.title or f"({each.translations[each.language].summary})"), _in_line(each)]
        for each in found
    ]  # fmt: skip
    console.print(table_of(["uid", "state", "kind", "date", "in", "title", "topics; what it lacks"], rows, spare=SPARE))
    if page.next_before:
        point_to("More:", next_page(context, before=_short(page.next_before)), style="dim")


@app.command()
def show(context: typer.Context, uid: Uid, as_json: AsJSON = False) -> None:
    """Show an article with its translations, topics, what it lacks, and the editions and mails it went into.

    Example:  newsletter articles show 4447b22f
    """
    parts = get_app(context)
    with parts.reading() as tx:
        (found,) = service.describe_articles(tx, [service.show_article(tx, uid)])
    story = trace_article(parts, found.uid)
    if as_json:
        print_facts({**plain(found), "editions": story.editions}, as_json=True)
        return
    _print_article(found, parts.settings.zone_info)
    if story.editions:
        console.print(story_table(story))


@app.command()
def publish(
    context: typer.Context,
    uid: Uid,
    title: Annotated[str | None, typer.Option(help="Give it this title.")] = None,
    date: Annotated[
        str | None, typer.Option(metavar="DATE", help="Give it this date: 2024-11-29, or 2024-11-29T10:00.")
    ] = None,
    summary: Annotated[str | None, typer.Option(help="Give it this summary.")] = None,
    url: Annotated[str | None, typer.Option(help="Give it this page on the newsroom's site.")] = None,
    major: Annotated[bool, typer.Option("--major", help="Tell readers again: a change that matters.")] = False,
    as_json: AsJSON = False,
) -> None:
    """Publish a draft, bring back a withdrawn article, or announce a major change of one that is out.

    Example:  newsletter articles publish 4447b22f --title "The bridge is open" --date 2024-11-29

    Example:  newsletter articles publish 4447b22f --major
    """
    parts = get_app(context)
    edit = service.staff_edit(parts, title=title, published=date, summary=summary, url=url)
    record = service.publish_article(parts, uid, edit=edit, is_major=major)
    _report(context, record.uid, as_json=as_json, done="Published")


@app.command()
def withdraw(
    context: typer.Context,
    uid: Uid,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for those who ask later.")],
    as_json: AsJSON = False,
) -> None:
    """Take an article out of feeds, pages and everything not sent yet. No import brings it back.

    Example:  newsletter articles withdraw 4447b22f --reason "the figures were wrong"
    """
    record = service.withdraw_article(get_app(context), uid, reason=reason)
    _report(context, record.uid, as_json=as_json, done="Withdrawn")


@app.command()
def retag(
    context: typer.Context,
    uid: Uid,
    add: Annotated[list[str] | None, typer.Option(metavar="TOPIC", help="Add this topic. Repeatable.")] = None,
    remove: Annotated[list[str] | None, typer.Option(metavar="TOPIC", help="Remove this one. Repeatable.")] = None,
    as_json: AsJSON = False,
) -> None:
    """Say what an article is about; no import and no rule undoes it.

    Example:  newsletter articles retag 4447b22f --add clean-water --remove quality-education
    """
    record = service.retag_article(get_app(context), uid, add=add or (), remove=remove or ())
    _report(context, record.uid, as_json=as_json, done="Tagged")


@topics_app.command("load")
def load(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="YAML or JSON, as docs/articles.md describes it; or sdg, the 17 Sustainable Development Goals.",
        ),
    ],
    as_json: AsJSON = False,
) -> None:
    """Load topics with their labels and rules, all or none; topics that the file does not name stay.

    Example:  newsletter topics load sdg

    Example:  newsletter topics load topics.yaml
    """
    if not file.exists() and str(file) not in topic_service.shipped_schemes():
        known = ", ".join(topic_service.shipped_schemes())
        raise typer.BadParameter(f"there is no file {str(file)!r}; schemes that come along: {known}", param_hint="FILE")
    loaded = topic_service.load_topic_file(get_app(context), file)
    if as_json:
        print_facts(loaded, as_json=True)
    else:
        console.print(f"{loaded.topic_count} topics in the file, {loaded.changed_count} new or changed.")


@topics_app.command("list")
def list_topics(context: typer.Context, as_json: AsJSON = False) -> None:
    """List topics, each under its parent, with what its rules do.

    Example:  newsletter topics list
    """
    parts = get_app(context)
    with parts.reading() as tx:
        topics = topic_service.list_topics(tx)
    slugs = {topic.id: topic.slug for topic in topics}
    if as_json:
        print_facts([_topic_facts(topic, slugs) for topic in topics], as_json=True)
        return
    language = parts.settings.default_language
    rows = [
        [("  " * depth) + topic.slug, topic.label(language), sum(map(len, topic.rules.values())),
         "applied" if topic.applies_rules else "suggested"]
        for depth, topic in _as_tree(topics)
    ]  # fmt: skip
    console.print(table_of(["topic", "label", "rules", "what they find is"], rows, whole=["topic"]))


def _topic_facts(topic: Topic, slugs: dict[int, str]) -> dict[str, object]:
    return {
        "slug": topic.slug,
        "parent": slugs.get(topic.parent_id or 0),
        "scheme": topic.scheme,
        "labels": topic.labels,
        "rules": topic.rules,
        "apply": topic.applies_rules,
    }


def _as_tree(topics: Sequence[Topic], parent: int | None = None, depth: int = 0) -> Iterable[tuple[int, Topic]]:
    for topic in topics:
        if topic.parent_id == parent:
            yield depth, topic
            yield from _as_tree(topics, topic.id, depth + 1)


def _outcome_row(outcome: ImportOutcome, *, is_one_file: bool) -> list[object]:
    place = str(outcome.position) if is_one_file else f"{outcome.file}:{outcome.position}"
    style = _STYLES.get(outcome.result)
    result = Text(outcome.result, style=style or "")
    remarks = [
        *([outcome.reason] if outcome.reason else []),
        *([f"lacks {'; '.join(outcome.lacks)}"] if outcome.lacks else []),
        *outcome.warnings,
    ]
    return [place, result, _short(outcome.article_uid), "\n".join([_title(outcome.title), *remarks])]


def _completion(held: ImportOutcome) -> str:
    """Say which article, and the options that give it what it lacks."""
    options = [option for lack, option in _COMPLETED_BY.items() if any(each.startswith(lack) for each in held.lacks)]
    return " ".join([_short(held.article_uid), *(f"{option} ..." for option in options)])


def _report(context: typer.Context, uid: str, *, as_json: bool, done: str) -> None:
    parts = get_app(context)
    with parts.reading() as tx:
        (found,) = service.describe_articles(tx, [service.show_article(tx, uid)])
    if as_json:
        print_facts(found, as_json=True)
        return
    console.print(f"{done}: {found.title} ({_short(found.uid)}); topics: {', '.join(found.topics) or 'none'}.")
    if found.visible_at and found.visible_at > parts.clock():
        console.print(f"It appears on {_when(found.visible_at, parts.settings.zone_info)}.")


def _print_article(found: ArticleFacts, zone: ZoneInfo) -> None:
    suggested = [f"{slug} (“{phrase}”)" if phrase else slug for slug, phrase in found.suggested.items()]
    facts: dict[str, object] = {
        "uid": found.uid,
        "state": found.state,
        "lacks": list(found.lacks) or None,
        "withdrawn": f"{_when(found.withdrawn_at, zone)}: {found.withdrawal_reason}" if found.withdrawn_at else None,
        "kind": found.kind,
        "source": found.source,
        "published": _when(found.published_at, zone),
        "appears": _when(found.visible_at, zone) if found.visible_at != found.published_at else None,
        "updated": _when(found.updated_at, zone) if found.revision > 1 else None,
        "topics": list(found.topics),
        "suggested": suggested or None,
        "image": found.image_url,
        "event": _event(found.event) if found.event else None,
    }
    shown = {name: value for name, value in facts.items() if value}
    console.print(facts_table(shown))
    for language, text in found.translations.items():
        console.print(Text.assemble("\n", (text.title or "without a title", "bold"), (f" ({language})", "dim")))
        if text.url:
            console.print(text.url, style="dim")
        for words in (text.summary, shorten(text.text, 600)):
            if words:
                console.print(words)


def _event(event: Event) -> str:
    zone = ZoneInfo(event.zone)
    ends = f" to {event.ends_at.astimezone(zone):%Y-%m-%d %H:%M}" if event.ends_at else ""
    place = ", ".join(part for part in (event.venue, event.address) if part)
    return f"{event.starts_at.astimezone(zone):%Y-%m-%d %H:%M}{ends} ({event.zone}) {place}".strip()


def _in_line(found: ArticleFacts) -> str:
    parts = [", ".join(found.topics)] if found.topics else []
    if found.lacks:
        parts.append(f"lacks {'; '.join(found.lacks)}")
    return "; ".join(parts)


def _title(title: str) -> str:
    return shorten(title, TITLE_SHOWN) or "–"


def _short(uid: str | None) -> str:
    return uid[:UID_SHOWN] if uid else "–"


def _when(at: datetime | None, zone: ZoneInfo) -> str:
    return "–" if at is None else f"{at.astimezone(zone):%Y-%m-%d %H:%M}"
