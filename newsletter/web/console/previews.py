"""Previews in the console: an edition as any reader or choice sees it, in a frame that can do nothing."""

import re
from urllib.parse import urlencode

from starlette.responses import HTMLResponse, Response

from newsletter.domain.articles import Kind
from newsletter.domain.staff import Role
from newsletter.errors import InvalidError
from newsletter.services.archive import View
from newsletter.services.edition_desk import find_particulars
from newsletter.services.edition_previews import (
    contact_sheet,
    preview_as_filter,
    preview_as_reader,
    preview_variants,
    send_test,
)
from newsletter.services.filters import NamedFilter
from newsletter.services.reading import read_topics
from newsletter.services.reports import find_progress, preview_edition
from newsletter.web.choices import kind_options, language_options, topic_options
from newsletter.web.console.desk import CONSOLE, Desk, Place
from newsletter.web.console.editions import row_of

MOST_TESTS = 5
LOOKS = ("light", "dark")
"""Colour schemes that a mail can be looked at in; else it has that of the browser."""
BY_NIGHT = re.compile(r"\(prefers-color-scheme:\s*dark\)")


def _policy(desk: Desk) -> str:
    """Return what a mail in a frame may do: show its styles, and pictures only where they were asked for."""
    pictures = "https: http:" if desk.asked("pictures") else "data:"
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src {pictures}; base-uri 'none'; form-action 'none'; "
        "frame-src 'self'; frame-ancestors 'self'; sandbox allow-same-origin"
    )


def _preview(desk: Desk) -> Response:
    edition_id = desk.number("edition")
    view = _view(desk, edition_id)
    asked = desk.visit.request.query_params
    kept = [(name, value) for name, value in asked.multi_items() if name in _ASKED and value]
    source = f"{desk.app.settings.base_url}{CONSOLE}/editions/{edition_id}/mail?{urlencode(kept)}"
    return desk.page(
        "preview",
        frames=True,
        row=row_of(desk, find_progress(desk.app, edition_id)),
        view=view,
        source=source,
        languages=language_options(_languages(desk, edition_id, view), desk.visit),
        topics=topic_options(read_topics(desk.app), desk.visit.language),
        kinds=kind_options(Kind, desk.visit.language),
        chosen_topics=asked.getlist("topic"),
        chosen_kinds=asked.getlist("kind"),
        as_reader=desk.asked("as"),
        shown_language=desk.asked("language") or view.language,
        is_phone=desk.asked("width") == "phone",
        look=desk.asked("look") if desk.asked("look") in LOOKS else "",
        has_pictures=bool(desk.asked("pictures")),
    )


_ASKED = ("language", "topic", "kind", "as", "pictures", "look")


def _languages(desk: Desk, edition_id: int, view: View) -> tuple[str, ...]:
    """Return the languages that an edition is composed in, with that of what is shown."""
    particulars = find_particulars(desk.app, edition_id)
    return tuple(dict.fromkeys((*particulars.languages, view.language)))


def _mail(desk: Desk) -> Response:
    view = _view(desk, desk.number("edition"))
    return HTMLResponse(
        _in_look(view.html, desk.asked("look")),
        headers={"content-security-policy": _policy(desk), "content-language": view.language},
    )


def _in_look(page: str, look: str) -> str:
    """Return a mail as mail programs show it by day or by night, whatever this browser's own colours are."""
    return BY_NIGHT.sub({"dark": "all", "light": "not all"}[look], page) if look in LOOKS else page


def _variants(desk: Desk) -> Response:
    edition_id = desk.number("edition")
    shown, count = preview_variants(desk.app, edition_id)
    title = desk.visit.language.gettext(
        "Edition %(number)s: %(shown)s of %(count)s variants", number=edition_id, shown=len(shown), count=count
    )
    return HTMLResponse(contact_sheet(title, shown), headers={"content-security-policy": _policy(desk)})


def _view(desk: Desk, edition_id: int) -> View:
    asked = desk.visit.request.query_params
    language = desk.asked("language") or None
    wanted = NamedFilter(topics=tuple(asked.getlist("topic")), kinds=tuple(asked.getlist("kind")))
    if address := desk.asked("as"):
        return preview_as_reader(desk.app, edition_id, address)
    if wanted.topics or wanted.kinds:
        return preview_as_filter(desk.app, edition_id, wanted, language)
    return preview_edition(desk.app, edition_id, language)


def _test(desk: Desk) -> Response:
    """Send an edition to addresses of the staff, as it would be, with links that change nothing."""
    edition_id = desk.number("edition")
    addresses = desk.value("to").replace(",", " ").split()
    if not 0 < len(addresses) <= MOST_TESTS:
        raise InvalidError(desk.visit.language.gettext("Give one address, or a few."))
    send_test(desk.app, edition_id, addresses, language=desk.value("language") or None)
    return desk.to(f"/editions/{edition_id}/preview", done="test-sent")


PLACES = (
    Place("GET", "/editions/{edition}/preview", Role.EDITOR, _preview, "preview"),
    Place("GET", "/editions/{edition}/mail", Role.EDITOR, _mail, "mail"),
    Place("GET", "/editions/{edition}/variants", Role.EDITOR, _variants, "variants"),
    Place("POST", "/editions/{edition}/test", Role.EDITOR, _test, "test"),
)
