"""`newsletter editions preview` and `test-send`: look at an edition as anybody would see it, before it is sent."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from newsletter.cli.output import AsJSON, console, get_app, print_facts
from newsletter.errors import InvalidError
from newsletter.services.archive import View
from newsletter.services.context import App
from newsletter.services.edition_previews import (
    contact_sheet,
    preview_as_filter,
    preview_as_reader,
    preview_variants,
    send_test,
)
from newsletter.services.filters import NamedFilter
from newsletter.services.pictures import DESKTOP, PHONE, take_picture
from newsletter.services.reports import preview_edition

EditionId = Annotated[int, typer.Argument(help="The edition's number, as `newsletter editions list` shows it.")]


class Width(StrEnum):
    """How wide a picture is."""

    PHONE = "phone"
    DESKTOP = "desktop"


_PIXELS = {Width.PHONE: PHONE, Width.DESKTOP: DESKTOP}


def preview(
    context: typer.Context,
    edition_id: EditionId,
    language: Annotated[str | None, typer.Option(help="As readers of this language see it.")] = None,
    address: Annotated[str | None, typer.Option("--as", metavar="ADDRESS", help="As this reader sees it.")] = None,
    topic: Annotated[list[str] | None, typer.Option(help="As who chose this topic sees it. Repeatable.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="As who chose this kind sees it. Repeatable.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the HTML to this file.")] = None,
    png: Annotated[Path | None, typer.Option(help="Write a picture to this file, by Chromium.")] = None,
    width: Annotated[Width, typer.Option(help="Of the picture.")] = Width.DESKTOP,
    dark: Annotated[bool, typer.Option("--dark", help="The picture as in dark mode.")] = False,
    all_variants: Annotated[
        Path | None, typer.Option(help="Write every variant on one page, HTML or PNG by the file's name.")
    ] = None,
) -> None:
    """Show an edition's text, or write its HTML or a picture, before or after it is sent.

    Without --as, --topic or --kind it is what most readers of the language see. Nothing in it leads to anybody's page.

    Example:  newsletter editions preview 12 --language ru --html digest.html

    Example:  newsletter editions preview 12 --as aida@example.org --png phone.png --width phone --dark
    """
    parts = get_app(context)
    if all_variants:
        _write_sheet(parts, edition_id, all_variants, dark=dark)
        return
    wanted = NamedFilter(topics=tuple(topic or ()), kinds=tuple(kind or ()))
    if address and (topic or kind):
        raise InvalidError("a reader has a choice of their own: give --as, or --topic and --kind")
    view = _view(parts, edition_id, language, address, wanted)
    if html:
        _write(html, view.html)
        console.print(f"{view.subject} → {html}", soft_wrap=True)
    if png:
        take_picture(view.html, png, width=_PIXELS[width], is_dark=dark)
        console.print(f"{view.subject} → {png}", soft_wrap=True)
    if not html and not png:
        console.print(view.subject, style="bold")
        typer.echo(view.text)


def send_a_test(
    context: typer.Context,
    edition_id: EditionId,
    to: Annotated[list[str], typer.Option(metavar="ADDRESS", help="Where to. Repeatable.")],
    language: Annotated[str | None, typer.Option(help="As readers of this language get it.")] = None,
    as_json: AsJSON = False,
) -> None:
    """Send an edition to yourself: the real headers and signature, and links that change nothing.

    No reader, delivery or number knows of it.

    Example:  newsletter editions test-send 12 --to me@example.org
    """
    sent = send_test(get_app(context), edition_id, to, language=language)
    if as_json:
        print_facts({"edition_id": edition_id, "sent_to": sent}, as_json=True)
    else:
        console.print(f"Sent to {', '.join(sent)}.")


def _view(parts: App, edition_id: int, language: str | None, address: str | None, wanted: NamedFilter) -> View:
    if address:
        return preview_as_reader(parts, edition_id, address)
    if wanted.topics or wanted.kinds:
        return preview_as_filter(parts, edition_id, wanted, language)
    return preview_edition(parts, edition_id, language)


def _write_sheet(parts: App, edition_id: int, file: Path, *, dark: bool) -> None:
    shown, count = preview_variants(parts, edition_id)
    sheet = contact_sheet(f"Edition {edition_id}: {len(shown)} of {count} variants", shown)
    if file.suffix.lower() == ".png":
        take_picture(sheet, file, width=1700, is_dark=dark)
    else:
        _write(file, sheet)
    console.print(f"{len(shown)} of {count} variants → {file}", soft_wrap=True)


def _write(file: Path, page: str) -> None:
    try:
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InvalidError(f"{file} cannot be written: {error.strerror}; choose another place") from error
