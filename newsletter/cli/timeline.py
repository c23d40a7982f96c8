"""`newsletter editions timeline`: when an edition's mails came to their ends, as figures and as a chart."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import typer
from rich.cells import cell_len
from rich.text import Text

from newsletter.cli.editions import EditionId
from newsletter.cli.output import AsJSON, console, get_app, print_facts
from newsletter.services.edition_desk import Span, measure_spans

WIDEST_BAR = 48
NARROWEST_BAR = 6
GAP = 2


def timeline(context: typer.Context, edition_id: EditionId, as_json: AsJSON = False) -> None:
    """Show when an edition's mails were accepted, and when others came to another end: failed, too late, cancelled.

    A line stands for as many seconds as make a few lines of the whole; spans in which nothing ended are left out.

    Example:  newsletter editions timeline 12
    """
    parts = get_app(context)
    found = measure_spans(parts, edition_id)
    if as_json:
        print_facts(found, as_json=True)
        return
    if not found:
        console.print("No mail of it has come to an end.")
    for line in lines_of(found, parts.settings.zone_info, width=console.width):
        console.print(line)


def lines_of(spans: Sequence[Span], zone: ZoneInfo, *, width: int) -> list[Text]:
    """Return a chart of no more than *width* columns: a line for each span, its time, a bar, and the figures."""
    if not spans:
        return []
    days = {each.begins_at.astimezone(zone).date() for each in spans}
    form = "%H:%M:%S" if len(days) == 1 else "%m-%d %H:%M"
    times = [f"{each.begins_at.astimezone(zone):{form}}" for each in spans]
    told = [_figures(each) for each in spans]
    most = max(each.accepted + each.failed for each in spans)
    room = min(WIDEST_BAR, width - cell_len(times[0]) - max(map(cell_len, told)) - 2 * GAP)
    head = f"{min(days):%Y-%m-%d}, {zone}; a line stands for {_length(spans[0].seconds)}"
    lines = [Text(head, style="dim")]
    for span, time, figures in zip(spans, times, told, strict=True):
        bar = _bar(span, most, room) if room >= NARROWEST_BAR else ()
        lines.append(Text.assemble((time, "dim"), " " * GAP, *bar, figures))
    return lines


def _bar(span: Span, most: int, room: int) -> tuple[tuple[str, str], ...]:
    """Return a span's bar: whole blocks for what was accepted, shaded ones for the rest; the least is seen."""
    whole, shaded = (max(int(mails > 0), room * mails // most) for mails in (span.accepted, span.failed))
    return ("█" * whole, "green"), ("▒" * shaded, "red"), (" " * (room + GAP - whole - shaded), "")


def _figures(span: Span) -> str:
    return f"{span.accepted:,}" + (f"  + {span.failed:,} not accepted" if span.failed else "")


def _length(seconds: int) -> str:
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds % unit == 0:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"
