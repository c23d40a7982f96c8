"""`newsletter lists`: what one can subscribe to."""

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from email.utils import parseaddr
from typing import Annotated, TypeVar

import typer

from newsletter.cli.output import AsJSON, console, facts_table, get_app, local, plain, point_to, print_facts, table_of
from newsletter.domain.canaries import DEFAULT_LIMIT_PERCENT
from newsletter.domain.lists import (
    WEEKDAYS,
    Cadence,
    InDoubtPolicy,
    ListPause,
    MailingList,
    SectionsBy,
    parse_wall_time,
    parse_weekday,
)
from newsletter.embedded import answer_doorbells
from newsletter.services import lists as service
from newsletter.services import stops
from newsletter.services.filters import NamedFilter
from newsletter.services.lists import ListDraft, ListFacts

app = typer.Typer(no_args_is_help=True, help="Lists: what one can subscribe to.")

Parsed = TypeVar("Parsed")
Canary = Annotated[
    str, typer.Option(metavar="N|SHARE|none", help="Mails of each edition that go first, such as 100 or 1%.")
]
CanaryLimit = Annotated[
    float | None, typer.Option(metavar="PERCENT", help="How many of those may fail (5, if none is given).")
]
_IN_LANGUAGE = re.compile(r"(?P<language>[A-Za-z]{2,3}(?:-[A-Za-z0-9]+)*)=(?P<words>.*)", re.DOTALL)


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no time; write it like 2024-12-09T08:00:00+06:00") from error
    if instant.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no zone; write it like 2024-12-09T08:00:00+06:00")
    return instant


@app.command()
def add(
    context: typer.Context,
    slug: Annotated[str, typer.Argument(help="Its name in addresses and commands: weekly-digest.")],
    title: Annotated[list[str], typer.Option(help="Title; `ru=…` for another language than the first. Repeatable.")],
    description: Annotated[list[str] | None, typer.Option(help="A sentence for the sign-up page, as --title.")] = None,
    intro: Annotated[list[str] | None, typer.Option(help="A standing line above each digest, as --title.")] = None,
    sender: Annotated[str, typer.Option("--from", help="Sender: 'News <news@example.org>'.")] = "",
    reply_to: Annotated[str, typer.Option(help="Where replies go, if not to the sender.")] = "",
    cadence: Annotated[
        list[Cadence] | None, typer.Option(help="How often; repeatable, readers choose (weekly, if none is given).")
    ] = None,
    at: Annotated[str, typer.Option(metavar="HH:MM", help="Time of day of its digests.")] = "08:00",
    weekday: Annotated[str, typer.Option(metavar="DAY", help="Day of its weekly digests.")] = "monday",
    month_day: Annotated[int, typer.Option(help="Day of its monthly digests; 31 means the last one.")] = 1,
    zone: Annotated[str, typer.Option(help="Time zone (the newsroom's, if none is given).")] = "",
    language: Annotated[
        list[str] | None, typer.Option(help="Language of its mails; repeatable, the first is the default.")
    ] = None,
    topic: Annotated[list[str] | None, typer.Option(help="Only articles on this topic. Repeatable.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only this kind of article. Repeatable.")] = None,
    source: Annotated[list[str] | None, typer.Option(help="Only articles from this source. Repeatable.")] = None,
    article_language: Annotated[
        list[str] | None, typer.Option(help="Only articles that there are in this language. Repeatable.")
    ] = None,
    sections: Annotated[SectionsBy, typer.Option(help="What its digests are divided by.")] = SectionsBy.TOPIC,
    review: Annotated[
        str | None, typer.Option(metavar="SPAN", help="Let staff look each edition over for so long: 90m, 4h, 1d.")
    ] = None,
    review_hold: Annotated[
        bool, typer.Option("--review-hold", help="Send none by itself when that time has passed.")
    ] = False,
    in_doubt: Annotated[
        InDoubtPolicy, typer.Option(help="What becomes of a mail of which nobody knows whether it arrived.")
    ] = InDoubtPolicy.HOLD,
    since: Annotated[
        datetime | None,
        typer.Option(
            parser=_instant, metavar="TIME", help="Articles before it are archive, not news (now, if none is given)."
        ),
    ] = None,
    hidden: Annotated[bool, typer.Option("--hidden", help="Take no sign-ups on the web.")] = False,
    canary: Canary = "",
    canary_limit: CanaryLimit = None,
    as_json: AsJSON = False,
) -> None:
    """Add a list.

    Example:  newsletter lists add weekly --title "The week" --title "ru=Неделя" --from "News <news@example.org>"
    --cadence weekly --weekday monday --at 08:00 --zone Asia/Bishkek --kind story --kind event
    """
    parts = get_app(context)
    languages = tuple(dict.fromkeys(language or ())) or parts.settings.languages
    name, address = parseaddr(sender) if sender else ("", "")
    draft = ListDraft(
        slug=slug,
        titles=_by_language(title, languages[0]),
        descriptions=_by_language(description or (), languages[0]),
        intros=_by_language(intro or (), languages[0]),
        from_name=name,
        from_address=address or sender,
        reply_to=reply_to,
        cadences=cadence or [Cadence.WEEKLY],
        zone=zone,
        send_at=_parsed(parse_wall_time, at),
        weekday=_parsed(parse_weekday, weekday),
        month_day=month_day,
        languages=languages,
        filter=NamedFilter(*(tuple(each or ()) for each in (topic, kind, source, article_language))),
        sections=sections,
        review_minutes=_parsed(_minutes, review) if review else None,
        review_hold=review_hold,
        in_doubt_policy=in_doubt,
        since=since,
        is_public=not hidden,
        canary=canary,
        canary_limit=canary_limit,
    )
    added = service.add_list(parts, draft)
    _print(context, service.show_list(parts, added.slug), as_json=as_json)
    if not as_json:
        point_to("\nNext:", f"newsletter subscribers import FILE.csv --list {slug} --basis '…'", style="dim")


@app.command("list")
def list_all(context: typer.Context, as_json: AsJSON = False) -> None:
    """List all lists, with their readers in counts."""
    found = service.list_lists(get_app(context))
    rows = [
        [
            each.mailing_list.slug,
            each.mailing_list.title(each.mailing_list.default_language),
            list(each.mailing_list.cadences),
            when(each.mailing_list),
            list(each.mailing_list.languages),
            each.confirmed,
            each.unconfirmed,
        ]
        for each in found
    ]
    columns = ["list", "title", "cadences", "when", "languages", "readers", "waiting"]
    table = table_of(columns, rows, spare=["languages", "waiting", "cadences", "when"])
    print_facts([_facts(each) for each in found], as_json=as_json, table=table)


@app.command()
def show(
    context: typer.Context,
    slug: Annotated[str, typer.Argument(help="The list's slug.")],
    as_json: AsJSON = False,
) -> None:
    """Show a list: its schedule, its filter, its readers by cadence and language.

    Example:  newsletter lists show weekly
    """
    _print(context, service.show_list(get_app(context), slug), as_json=as_json)


Slug = Annotated[str, typer.Argument(help="The list's slug.")]


@app.command("set")
def set_one(
    context: typer.Context, slug: Slug, canary: Canary = "", canary_limit: CanaryLimit = None, as_json: AsJSON = False
) -> None:
    """Say how many mails of a list's editions go first, from the next edition on; the rest follows by itself.

    The rest waits for the answers. Where too many of the first fail, the edition is paused with the reason. Editions
    of which half would be held back go at once.

    Example:  newsletter lists set weekly --canary 1% --canary-limit 3

    Example:  newsletter lists set weekly --canary none
    """
    if not canary:
        raise typer.BadParameter("say --canary 100, --canary 1% or --canary none")
    parts = get_app(context)
    service.set_canary(parts, slug, canary=canary, limit_percent=canary_limit)
    _print(context, service.show_list(parts, slug), as_json=as_json)


@app.command()
def pause(
    context: typer.Context,
    slug: Slug,
    reason: Annotated[str, typer.Option(help="Why; whoever is on duty next will read it.")],
) -> None:
    """Let a list's mail wait, on every worker at once; its editions are composed meanwhile, and what ages expires.

    Example:  newsletter lists pause weekly --reason "its sender's domain has lapsed"
    """
    stops.pause_list(get_app(context), slug, reason=reason)
    point_to(f"Mail of {slug} waits. Let it go on with:", f"newsletter lists resume {slug}")


@app.command()
def resume(context: typer.Context, slug: Slug) -> None:
    """Let a paused list's mail go on.

    Example:  newsletter lists resume weekly
    """
    parts = get_app(context)
    was_paused = stops.resume_list(parts, slug)
    answer_doorbells(parts)
    console.print(f"Mail of {slug} goes on." if was_paused else f"{slug} was not paused.")


def when(mailing_list: MailingList) -> str:
    """Say when digests of a list are due: at 08:00 in Asia/Bishkek, weekly on monday."""
    schedule = mailing_list.schedule
    days = []
    if Cadence.WEEKLY in mailing_list.cadences:
        days.append(f"weekly on {WEEKDAYS[schedule.weekday]}")
    if Cadence.MONTHLY in mailing_list.cadences:
        days.append(f"monthly on day {schedule.month_day}")
    if mailing_list.cadences == (Cadence.IMMEDIATE,):
        return "at once"
    return ", ".join([f"{schedule.send_at:%H:%M} {schedule.zone}", *days])


def _print(context: typer.Context, found: ListFacts, *, as_json: bool) -> None:
    if as_json:
        print_facts(_facts(found), as_json=True)
        return
    mailing_list = found.mailing_list
    chosen = {name: values for name, values in plain(found.filter).items() if values}
    console.print(
        facts_table(
            {
                "list": mailing_list.slug,
                "title": [f"{code}: {title}" for code, title in mailing_list.titles.items()],
                "from": f"{mailing_list.from_name} <{mailing_list.from_address}>",
                "reply to": mailing_list.reply_to,
                "cadences": list(mailing_list.cadences),
                "when": when(mailing_list),
                "languages": list(mailing_list.languages),
                "articles": [f"{name}: {', '.join(values)}" for name, values in chosen.items()] or "all",
                "since": local(context, mailing_list.since),
                "sections": mailing_list.sections.value,
                "review": _review(mailing_list),
                "in doubt": mailing_list.in_doubt_policy.value,
                "public": mailing_list.is_public,
                "canary": _canary(mailing_list),
                **({"paused": _pause(context, mailing_list.pause)} if mailing_list.pause else {}),
                "readers": found.confirmed,
                "by cadence": [f"{cadence} {count:,}" for cadence, count in found.by_cadence.items()],
                "by language": [f"{code} {count:,}" for code, count in found.by_language.items()],
                "waiting": found.unconfirmed,
            }
        )
    )


def _canary(mailing_list: MailingList) -> str:
    if not mailing_list.canary:
        return "none"
    limit = DEFAULT_LIMIT_PERCENT if mailing_list.canary_limit is None else mailing_list.canary_limit
    return f"{mailing_list.canary} of an edition's mails go first, {limit:g} % of them may fail"


def _pause(context: typer.Context, pause: ListPause) -> str:
    return f"by {pause.by} at {local(context, pause.at)}: {pause.reason}"


def _facts(found: ListFacts) -> dict[str, object]:
    """Return a list's facts for scripts, flat, its filter in words."""
    facts = plain(found.mailing_list)
    facts |= {"filter": plain(found.filter), "readers": found.confirmed, "waiting": found.unconfirmed}
    facts |= {"readers_by_cadence": found.by_cadence, "readers_by_language": found.by_language}
    del facts["filter_id"]
    return dict(facts)


def _parsed(parse: Callable[[str], Parsed], text: str) -> Parsed:
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


_SPAN = re.compile(r"(?P<number>[0-9]{1,4})(?P<unit>[mhd]?)")
_MINUTES = {"": 1, "m": 1, "h": 60, "d": 24 * 60}


def _minutes(text: str) -> int:
    """Return how many minutes *text* means: 90, 90m, 4h or 1d.

    Raises:
        ValueError: it means none.
    """
    match = _SPAN.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(f"{text!r} is no span of time; write it like 90m, 4h or 1d")
    return int(match["number"]) * _MINUTES[match["unit"]]


def _review(mailing_list: MailingList) -> str:
    if not mailing_list.review_minutes:
        return "none"
    if mailing_list.review_hold:
        return "until somebody approves it"
    hours, minutes = divmod(mailing_list.review_minutes, 60)
    return " ".join(part for part in (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "") if part)


def _by_language(words: Iterable[str], default: str) -> dict[str, str]:
    """Sort `ru=…` and plain words by language; *default* is that of plain ones."""
    found: dict[str, str] = {}
    for each in words:
        match = _IN_LANGUAGE.fullmatch(each)
        language, text = (match["language"].lower(), match["words"]) if match else (default, each)
        if language in found:
            raise typer.BadParameter(f"{language!r} is given twice: {found[language]!r} and {text!r}")
        found[language] = text
    return found
