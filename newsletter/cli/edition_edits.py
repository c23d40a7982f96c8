"""`newsletter editions edit`, `diff` and `mend`: change an edition before it goes out, and see what was changed."""

import re
from typing import Annotated

import typer

from newsletter.cli.output import AsJSON, console, get_app, local, plain, print_facts, table_of
from newsletter.domain.edition_edits import EditKind
from newsletter.services.edition_edits import (
    Change,
    EditFacts,
    EditionDiff,
    ItemFacts,
    diff_edition,
    edit_edition,
    mend_edition,
)

EditionId = Annotated[int, typer.Argument(help="The edition's number, as `newsletter editions list` shows it.")]
_IN_LANGUAGE = re.compile(r"(?P<language>[A-Za-z]{2,3}(?:-[A-Za-z0-9]+)*)=(?P<words>.*)", re.DOTALL)
_OF_ARTICLE = re.compile(r"(?P<article>[0-9a-fA-F-]+)(?::(?P<language>[A-Za-z-]+))?=(?P<words>.*)", re.DOTALL)


def edit(
    context: typer.Context,
    edition_id: EditionId,
    intro: Annotated[
        list[str] | None, typer.Option(help="Words above this edition; `ru=…` for another language; `` for none.")
    ] = None,
    lead: Annotated[str | None, typer.Option(metavar="ARTICLE", help="The story that leads.")] = None,
    pin: Annotated[
        list[str] | None, typer.Option(metavar="ARTICLE", help="Put it before all that is not pinned. Repeatable.")
    ] = None,
    unpin: Annotated[list[str] | None, typer.Option(metavar="ARTICLE", help="Undo a pin. Repeatable.")] = None,
    drop: Annotated[
        list[str] | None, typer.Option(metavar="ARTICLE", help="Take it out, for good; with --reason. Repeatable.")
    ] = None,
    postpone: Annotated[
        list[str] | None, typer.Option(metavar="ARTICLE", help="Leave it to the next edition; with --reason.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why; kept for those who ask later.")] = None,
    restore: Annotated[
        list[str] | None, typer.Option(metavar="ARTICLE", help="Undo a drop or a postponement. Repeatable.")
    ] = None,
    order: Annotated[
        str | None, typer.Option(metavar="ARTICLE,ARTICLE…", help="What readers meet first; the rest follows.")
    ] = None,
    summary: Annotated[
        list[str] | None, typer.Option(metavar="ARTICLE=TEXT", help="A summary for this edition alone; `3:ru=…`.")
    ] = None,
    add: Annotated[
        list[str] | None,
        typer.Option(metavar="ARTICLE", help="Bring in an event, or another article of the list, by its uid."),
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="First forget every change made so far.")] = False,
    as_json: AsJSON = False,
) -> None:
    """Change an edition that waits for review; readers get of it what they chose, as before.

    ARTICLE is its number in the edition, as `newsletter editions diff` shows it, or its uid or the beginning of it.

    Example:  newsletter editions edit 12 --lead 3 --intro "A week of floods" --intro "ru=Неделя паводков"

    Example:  newsletter editions edit 12 --drop 2 --reason "withdrawn by the ministry" --summary "1=In two sentences."
    """
    changes = [Change(EditKind.RESET)] if reset else []
    changes += [_intro(each) for each in intro or ()]
    changes += [Change(EditKind.LEAD, lead)] if lead is not None else []
    for kind, articles in (
        (EditKind.PIN, pin),
        (EditKind.UNPIN, unpin),
        (EditKind.RESTORE, restore),
        (EditKind.ADD, add),
    ):
        changes += [Change(kind, each) for each in articles or ()]
    for kind, articles in ((EditKind.DROP, drop), (EditKind.POSTPONE, postpone)):
        changes += [Change(kind, each, words=reason) for each in articles or ()]
    changes += [_summary(each) for each in summary or ()]
    wanted = [each.strip() for each in (order or "").split(",") if each.strip()]
    changes += [Change(EditKind.ORDER, each, words=str(place)) for place, each in enumerate(wanted, start=1)]
    _print(context, edit_edition(get_app(context), edition_id, changes), as_json=as_json)


def diff(context: typer.Context, edition_id: EditionId, as_json: AsJSON = False) -> None:
    """Show an edition beside what it would be by itself, with every change: what, who, when, why.

    Example:  newsletter editions diff 12
    """
    _print(context, diff_edition(get_app(context), edition_id), as_json=as_json)


def mend(
    context: typer.Context,
    edition_id: EditionId,
    article: Annotated[str, typer.Argument(help="The article's uid, or the beginning of it.")],
    as_json: AsJSON = False,
) -> None:
    """Put an article's present words into all mail of an edition that has not left yet.

    `newsletter articles publish` with --title or --summary does so by itself; this is for what an import corrected.

    Example:  newsletter editions mend 12 4f0c
    """
    changed = mend_edition(get_app(context), edition_id, article)
    if as_json:
        print_facts({"edition_id": edition_id, "article": article, "mails_changed": changed}, as_json=True)
    else:
        console.print(f"Mended; mails that were waiting and have the new words: {changed:,}.")


def _intro(text: str) -> Change:
    match = _IN_LANGUAGE.fullmatch(text)
    if match:
        return Change(EditKind.INTRO, language=match["language"].lower(), words=match["words"])
    return Change(EditKind.INTRO, words=text)


def _summary(text: str) -> Change:
    match = _OF_ARTICLE.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r}: write it like 3=In two sentences, or 3:ru=…")
    return Change(EditKind.SUMMARY, match["article"], match["language"], match["words"])


def _print(context: typer.Context, found: EditionDiff, *, as_json: bool) -> None:
    if as_json:
        print_facts(found, as_json=True)
        return
    automatic = {each.uid: each for each in found.automatic}
    rows = [[each.number, _how(each, automatic), each.kind, each.title, each.uid[:8]] for each in found.edited]
    console.print(table_of(["item", "change", "kind", "title", "uid"], rows, spare=["kind"]))
    kept = {each.uid for each in found.edited}
    for each in found.automatic:
        if each.uid not in kept:
            console.print(f"without: {each.title} ({each.uid[:8]})", style="red")
    if not found.changes:
        console.print("Nothing was changed; it is the automatic edition.", style="dim")
    for change in found.changes:
        console.print(f"{local(context, change.at) or 'not recorded'}  {_told(change)}", style="dim")


def _how(item: ItemFacts, automatic: dict[str, ItemFacts]) -> str:
    """Say how an item differs from the automatic edition: new, moved, or the lead."""
    before = automatic.get(item.uid)
    words = []
    if before is None:
        words.append("added")
    elif before.number != item.number:
        words.append(f"was {before.number}")
    if item.is_lead:
        words.append("lead" if before and before.is_lead else "new lead")
    return ", ".join(words)


def _told(change: EditFacts) -> str:
    what = " ".join(str(part) for part in (plain(change.kind), change.language, change.title) if part)
    return f"{change.actor}  {what}" + (f": {change.words}" if change.words else "")
