"""`newsletter deliveries`: what became of each mail, and what to do about those of which nobody knows."""

from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from newsletter.cli.output import AsJSON, console, facts_table, get_app, next_page, point_to, print_facts, table_of
from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.providers import PROVIDERS
from newsletter.domain.replies import Verdict
from newsletter.errors import InvalidError
from newsletter.services import doubts
from newsletter.services.context import App
from newsletter.services.doubts import Settlement
from newsletter.services.inquiries import MailRecord, Story, list_mails, tell_story

app = typer.Typer(no_args_is_help=True, help="Deliveries: what became of each mail.")

UNKNOWN = "unknown"
ANSWERS = (*(verdict.value for verdict in Verdict), UNKNOWN)


def _one_of(known: tuple[str, ...], told: str | None, what: str) -> str | None:
    if told is not None and told not in known:
        raise typer.BadParameter(f"{told!r} is no {what}; there are {', '.join(known)}")
    return told


@app.command("list")
def list_all(
    context: typer.Context,
    edition: Annotated[int | None, typer.Option(help="Only this edition's.")] = None,
    state: Annotated[list[DeliveryState] | None, typer.Option(help="Only those in this state. Repeatable.")] = None,
    reply_class: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help=f"Only those whose last attempt came to this: {', '.join(ANSWERS)}."),
    ] = None,
    provider: Annotated[str | None, typer.Option(help="Only those to this receiving provider, such as gmail.")] = None,
    after: Annotated[int, typer.Option(metavar="ID", help="Go on behind this delivery.")] = 0,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=10_000)] = 50,
    as_json: AsJSON = False,
) -> None:
    """List mails by what became of them, in the order in which they were made.

    Example:  newsletter deliveries list --edition 12 --state in_doubt

    Example:  newsletter deliveries list --reply-class policy_refused
    """
    parts = get_app(context)
    found = list_mails(
        parts,
        edition_id=edition,
        states=state or (),
        answer=_one_of(ANSWERS, reply_class, "class of reply"),
        provider=_one_of(PROVIDERS, provider, "provider"),
        after=after,
        limit=limit,
    )
    rows = [
        [
            str(each.id),
            each.list_slug,
            each.edition_id and str(each.edition_id),
            each.address,
            each.state.value,
            _answer(each),
        ]
        for each in found
    ]
    columns = ["delivery", "list", "edition", "address", "state", "last answer"]
    print_facts(found, as_json=as_json, table=table_of(columns, rows, spare=["list"]))
    if len(found) == limit and not as_json:
        point_to("There may be more:", next_page(context, after=found[-1].id), style="dim")


def _answer(mail: MailRecord) -> str:
    words = (mail.answer, mail.code, mail.enhanced, mail.reply or mail.reason)
    return " ".join(str(word) for word in words if word)


@app.command()
def show(
    context: typer.Context,
    subject: Annotated[str, typer.Argument(metavar="ADDRESS|ID", help="A reader's address, or a delivery's number.")],
    as_json: AsJSON = False,
) -> None:
    """Tell one reader's story: every mail to them, every attempt at it, every reply and report, the newest mail first.

    Example:  newsletter deliveries show reader@example.org

    Example:  newsletter deliveries show 4711
    """
    parts = get_app(context)
    stories = tell_story(parts, subject)
    if as_json:
        print_facts(stories, as_json=True)
        return
    if not stories:
        console.print("No mail was ever made for this reader.")
    for story in stories:
        _print_story(parts, story)


def _print_story(parts: App, story: Story) -> None:
    mail, zone = story.mail, parts.settings.zone_info
    what = f"{mail.list_slug} {mail.slot_key} (edition {mail.edition_id})" if mail.edition_id else mail.purpose
    console.print(f"delivery {mail.id} · {what} · {mail.state.value}", style="bold")
    told = {
        "to": mail.address or "erased",
        "provider": mail.provider,
        "Message-ID": story.message_id,
        "since": _time(mail.state_at, zone),
        "why": mail.reason,
        "outcome": f"{mail.outcome} at {_time(mail.outcome_at, zone)}" if mail.outcome else None,
        "next try": _time(mail.available_at, zone) if mail.state is DeliveryState.QUEUED else None,
        "never after": _time(mail.deadline_at, zone) if mail.state is DeliveryState.QUEUED else None,
        "sender": mail.lease_owner,
        "sent again": f"{again} times" if (again := mail.resends + len(story.resent)) else None,
        "its sender died": f"{mail.lapses} times in a row" if mail.lapses else None,
    }
    console.print(facts_table({name: value for name, value in told.items() if value is not None}))
    _print_resends(story, 0, zone)
    for attempt in story.attempts:
        said = " ".join(str(word) for word in (attempt.code, attempt.enhanced, attempt.reply) if word)
        where = f" at {attempt.stage.upper()}" if attempt.stage else ""
        took = (attempt.finished_at - attempt.started_at).total_seconds()
        console.print(
            f"  {attempt.n}. {_time(attempt.started_at, zone)}  {attempt.outcome}{where}"
            f"{f': {said}' if said else ''} ({took:.1f} s, {_by(attempt.worker)})"
        )
        _print_resends(story, attempt.n, zone)
    for report in story.reports:
        console.print(f"  {_time(report.reported_at, zone)}  reported {report.outcome} by {report.source}")
    if mail.state is DeliveryState.IN_DOUBT:
        point_to(
            "Nobody knows whether it arrived. Look for the Message-ID in the relay's log, then:",
            f"newsletter deliveries settle {mail.id} --accepted|--resend|--failed --why '…'",
            style="yellow",
        )
    if mail.state is DeliveryState.FAILED and mail.edition_id:
        point_to("Whether it can go again:", f"newsletter editions resend {mail.edition_id} --dry-run", style="yellow")
    console.print()


def _print_resends(story: Story, after: int, zone: ZoneInfo) -> None:
    for each in story.resent:
        if each.after == after:
            console.print(f"     {_time(each.at, zone)}  sent again by {each.by}: {each.why}")


def _by(worker: str) -> str:
    """Say which relay a sender spoke to, and which sender it was."""
    sender, _, relay = worker.rpartition("@")
    return f"to {relay}, by {sender}" if sender else f"by {worker}"


def _time(at: datetime | None, zone: ZoneInfo) -> str | None:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}" if at else None


@app.command()
def settle(
    context: typer.Context,
    deliveries: Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="The deliveries' numbers.")] = None,
    edition: Annotated[int | None, typer.Option(help="All in doubt of this edition.")] = None,
    accepted: Annotated[bool, typer.Option("--accepted", help="The relay took them.")] = False,
    resend: Annotated[bool, typer.Option("--resend", help="Send them again, the same bytes.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Give them up.")] = False,
    why: Annotated[str, typer.Option(help="How you know; it is put on record beside your name.")] = "",
    from_log: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Settle by the relay's log (Postfix; .gz too): what it took is accepted."),
    ] = None,
    complete: Annotated[
        bool,
        typer.Option(
            "--complete", help="With --from-log: the log has all since before the first doubt; send the rest again."
        ),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do it; without it, --from-log only says what it would do.")
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Settle mails in doubt: those of which nobody knows whether the relay took them.

    Example:  newsletter deliveries settle 4711 --accepted --why "the reader has it"

    Example:  newsletter deliveries settle --from-log /var/log/mail.log

    Example:  newsletter deliveries settle --edition 12 --from-log /var/log/mail.log --complete --yes
    """
    parts = get_app(context)
    if from_log:
        if deliveries or accepted or resend or failed:
            raise typer.BadParameter(
                "--from-log decides by itself; leave out numbers, --accepted, --resend and --failed"
            )
        _settle_by_log(parts, from_log, edition, complete=complete, yes=yes, as_json=as_json)
        return
    if complete or yes:
        raise typer.BadParameter("--complete and --yes belong to --from-log")
    chosen = [how for how, is_chosen in zip(Settlement, (accepted, resend, failed), strict=True) if is_chosen]
    if len(chosen) != 1:
        raise typer.BadParameter("say one of --accepted, --resend and --failed, or --from-log FILE")
    settled = doubts.settle(parts, chosen[0], why=why, ids=deliveries or (), edition_id=edition)
    if as_json:
        print_facts(settled, as_json=True)
    else:
        console.print(f"Settled as {chosen[0].value}: {settled.settled:,}.")
        _say_left(settled.left)
    if settled.left and not settled.settled:
        raise InvalidError("nothing was settled")


def _settle_by_log(parts: App, path: Path, edition: int | None, *, complete: bool, yes: bool, as_json: bool) -> None:
    taken = doubts.read_relay_log(parts, path)
    found = doubts.compare_with_log(parts, taken, edition_id=edition)
    if not yes:
        told = {
            "in_doubt": found.in_doubt,
            "taken": len(found.taken),
            "absent": len(found.absent),
            "mails_in_log": found.mails_in_log,
        }
        print_facts(told, as_json=as_json)
        if not as_json and found.in_doubt:
            rest = "would be sent again" if complete else "would stay in doubt"
            console.print(
                f"Nothing is changed yet. With --yes {len(found.taken):,} would be accepted, "
                f"and {len(found.absent):,} {rest}.",
                style="yellow",
            )
        return
    accepted, requeued = doubts.settle_by_log(parts, found, source=path.name, is_complete=complete)
    told = {"accepted": accepted.settled, "sent_again": requeued.settled, "left": accepted.left + requeued.left}
    print_facts(told, as_json=as_json)
    if not as_json:
        _say_left(requeued.left)


def _say_left(left: int) -> None:
    if left:
        console.print(
            f"{left:,} could not be: their deadline has passed, their edition has ended, or their reader was erased.",
            style="yellow",
        )
