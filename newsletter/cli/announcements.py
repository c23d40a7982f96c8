"""`newsletter compose` and `newsletter editions correct`: what staff write themselves, in Markdown."""

import re
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from newsletter.cli.edition_checks import print_findings
from newsletter.cli.output import AsJSON, console, facts_table, get_app, parse_instant, point_to, print_facts
from newsletter.embedded import answer_doorbells
from newsletter.errors import ConflictError, InvalidError
from newsletter.services import editions as editions_service
from newsletter.services.announcement_editions import (
    Announced,
    LetterDraft,
    compose_announcement,
    compose_correction,
)
from newsletter.services.context import App
from newsletter.services.edition_checks import CheckLevel, check_edition
from newsletter.services.filters import NamedFilter
from newsletter.services.lists import show_list
from newsletter.services.reports import find_progress, preview_edition

_IN_LANGUAGE = re.compile(r"(?P<language>[A-Za-z]{2,3}(?:-[A-Za-z0-9]+)*)=(?P<rest>.+)", re.DOTALL)

Files = Annotated[list[str], typer.Argument(metavar="FILE.md…", help="Markdown; `ru=FILE` in another language.")]
Subjects = Annotated[list[str] | None, typer.Option("--subject", help="Subject; `ru=…` in another language.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask, whatever the checks warn of.")]
Draft = Annotated[bool, typer.Option("--draft", help="Only compose it; it waits until you approve it.")]
At = Annotated[
    datetime | None, typer.Option(parser=parse_instant, metavar="TIME", help="Let it go out by itself then.")
]


def compose(
    context: typer.Context,
    files: Files,
    slug: Annotated[str, typer.Option("--list", help="The list whose readers get it, of every cadence.")],
    subject: Subjects = None,
    topic: Annotated[list[str] | None, typer.Option(help="Only readers whom this topic concerns. Repeatable.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only readers of this kind of article. Repeatable.")] = None,
    yes: Yes = False,
    draft: Draft = False,
    at: At = None,
    as_json: AsJSON = False,
) -> None:
    """Write to the readers of a list: an announcement, with the looks, the checks and the ledger of any edition.

    Example:  newsletter compose --list weekly --subject "We move" --subject "ru=Мы переезжаем" move.md ru=move.ru.md

    Example:  newsletter compose --list weekly --topic water --subject "A survey" survey.md --draft
    """
    parts = get_app(context)
    wanted = NamedFilter(topics=tuple(topic or ()), kinds=tuple(kind or ()))
    letters = _letters(parts, slug, files, subject or ())
    found = compose_announcement(parts, slug, letters, wanted=wanted)
    _let_go(parts, found, yes=yes, draft=draft, at=at, as_json=as_json)


def correct(
    context: typer.Context,
    edition_id: Annotated[int, typer.Argument(help="The edition in which it was wrong.")],
    article: Annotated[str, typer.Argument(help="The article's uid, or the beginning of it.")],
    files: Files,
    subject: Subjects = None,
    yes: Yes = False,
    draft: Draft = False,
    at: At = None,
    as_json: AsJSON = False,
) -> None:
    """Tell exactly those who were sent a wrong article what is right; nobody else hears of it.

    They are those who have it, or may have it, as it was before it was mended. Without --subject it is the article's
    title behind the word for a correction.

    Example:  newsletter editions correct 12 4f0c correction.md ru=correction.ru.md
    """
    parts = get_app(context)
    slug = find_progress(parts, edition_id).list_slug
    letters = _letters(parts, slug, files, subject or ())
    found = compose_correction(parts, edition_id, article, letters)
    _let_go(parts, found, yes=yes, draft=draft, at=at, as_json=as_json)


def _letters(parts: App, slug: str, files: Sequence[str], subjects: Sequence[str]) -> dict[str, LetterDraft]:
    default = show_list(parts, slug).mailing_list.default_language
    titled = dict(_by_language(each, default) for each in subjects)
    read: dict[str, LetterDraft] = {}
    for each in files:
        language, name = _by_language(each, default)
        if language in read:
            raise typer.BadParameter(f"there are two files in {language!r}")
        read[language] = LetterDraft(titled.pop(language, ""), _read(Path(name)))
    if titled:
        raise typer.BadParameter(f"there is a subject in {next(iter(titled))!r}, but no file in it")
    return read


def _by_language(text: str, default: str) -> tuple[str, str]:
    match = None if Path(text).exists() else _IN_LANGUAGE.fullmatch(text)
    return (match["language"].lower(), match["rest"]) if match else (default, text)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise InvalidError(f"{file} cannot be read: {why}; name a file of Markdown in UTF-8") from error


def _let_go(parts: App, found: Announced, *, yes: bool, draft: bool, at: datetime | None, as_json: bool) -> None:
    """Show what was composed and what the checks say, ask, and let it go; else it waits as a draft."""
    findings = check_edition(parts, found.edition_id)
    if as_json:
        print_facts({"edition_id": found.edition_id, "readers": found.readers, "findings": findings}, as_json=True)
    else:
        view = preview_edition(parts, found.edition_id, found.languages[0])
        languages = ", ".join(found.languages)
        told = {"edition": found.edition_id, "readers": found.readers, "languages": languages, "subject": view.subject}
        console.print(facts_table(told))
        typer.echo("\n" + view.text)
        print_findings(findings)
    if any(each.level is CheckLevel.ERROR for each in findings):
        raise ConflictError(f"edition {found.edition_id} has errors and waits as a draft")
    wants = yes or (not draft and not as_json and sys.stdin.isatty() and _agrees(found, at))
    if draft or not wants:
        if not as_json:
            point_to("It waits:", f"newsletter editions approve {found.edition_id}", style="yellow")
        return
    if at:
        editions_service.schedule_edition(parts, found.edition_id, at)
    else:
        editions_service.approve_edition(parts, found.edition_id, actor=parts.actor)
        answer_doorbells(parts)
    if not as_json:
        console.print(f"Edition {found.edition_id} is {find_progress(parts, found.edition_id).state.value}.")


def _agrees(found: Announced, at: datetime | None) -> bool:
    when = f"at {at:%Y-%m-%d %H:%M %Z}" if at else "now"
    return typer.confirm(f"Send it {when}? Readers: {found.readers:,}", err=True)
