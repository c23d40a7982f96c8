"""`newsletter audit`: who did what, and when."""

from datetime import datetime
from typing import Annotated

import typer

from newsletter.cli.output import AsJSON, get_app, next_page, parse_instant, plain, point_to, print_facts, table_of
from newsletter.domain.audit import Act
from newsletter.services.audit import MOST_LISTED, list_acts

_FIELDS = ("id", "at", "actor", "act", "about")


def audit(
    context: typer.Context,
    since: Annotated[
        datetime | None, typer.Option(parser=parse_instant, metavar="TIME", help="From this time on.")
    ] = None,
    actor: Annotated[str | None, typer.Option(help="Only what this person did.")] = None,
    about: Annotated[str | None, typer.Option(help="Only about this: 'edition 12', or of a noun all: edition.")] = None,
    before: Annotated[int | None, typer.Option(help="Go on before this number, the last one shown.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=MOST_LISTED)] = 50,
    as_json: AsJSON = False,
) -> None:
    """Show who did what, the last act first. The record is only ever added to.

    A person is who `newsletter --by NAME`, NEWSLETTER_BY or else the computer's account says.

    Example:  newsletter audit --about "edition 12"

    Example:  newsletter audit --actor aida --since 2026-03-01T00:00:00+06:00
    """
    parts = get_app(context)
    found = list_acts(parts, since=since, actor=actor, about=about, before=before, limit=limit)
    zone = parts.settings.zone_info
    rows = [
        [
            each.id,
            f"{each.at.astimezone(zone):%Y-%m-%d %H:%M:%S}",
            each.actor,
            _told(each),
        ]
        for each in found
    ]
    columns = ["number", "when", "who", "what"]
    facts = [{**{name: getattr(each, name) for name in _FIELDS}, "details": dict(each.details)} for each in found]
    print_facts(facts, as_json=as_json, table=table_of(columns, rows))
    if len(found) == limit and not as_json:
        point_to("More:", next_page(context, before=found[-1].id), style="dim")


def _told(act: Act) -> str:
    details = "; ".join(f"{name} {_in_words(plain(value))}" for name, value in act.details.items())
    return f"{act.act} {act.about}" + (f": {details}" if details else "")


def _in_words(value: object) -> str:
    """Write lists and their parts as a person would; what kind a part is of comes first."""
    if isinstance(value, list):
        return ", ".join(map(_in_words, value)) or "none"
    if isinstance(value, dict):
        return " ".join(_in_words(value[name]) for name in sorted(value, key=lambda name: (name != "kind", name)))
    return str(value)
