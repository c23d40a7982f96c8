"""The record in the console: who did what, and when."""

from collections.abc import Mapping

from starlette.responses import Response

from newsletter.domain.staff import Role
from newsletter.services.audit import list_acts
from newsletter.web.console.desk import Desk, Place

PAGE = 50


def _record(desk: Desk) -> Response:
    before, about, actor = desk.asked("before"), desk.asked("about"), desk.asked("actor")
    is_number = before.isascii() and before.isdigit() and len(before) < 18  # noqa: PLR2004  fits an id
    found = list_acts(
        desk.app, about=about or None, actor=actor or None, before=int(before) if is_number else None, limit=PAGE + 1
    )
    rows = [
        (
            each,
            desk.time(each.at),
            "; ".join(f"{name.replace('_', ' ')} {_told(value)}" for name, value in each.details.items()),
        )
        for each in found[:PAGE]
    ]
    more = found[PAGE - 1].id if len(found) > PAGE else None
    return desk.page("record", rows=rows, about=about, actor=actor, next_before=more)


def _told(value: object) -> str:
    """Return a detail of an act without the marks of a programming language."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_told(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_told, value))
    return "" if value is None else str(value)


PLACES = (Place("GET", "/record", Role.EDITOR, _record, "record"),)
