"""Where each command is found: its module is imported when it is called, since most of a command's start is imports."""

from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup


class Place(NamedTuple):
    """Where a command or a group of commands is, in a module of `newsletter.cli`, and what it is for."""

    name: str
    told: str


CONTENTS = {
    "Send": {
        "send": Place("editions:send", "Compose and send what is due now."),
        "editions": Place("editions:app", "Look an edition over, change it, let it go, stop it, follow it."),
        "compose": Place("announcements:compose", "Write to the readers of a list, in Markdown."),
    },
    "Articles": {
        "articles": Place("articles:app", "Import, look at, publish, withdraw, tag."),
        "topics": Place("articles:topics_app", "What an article can be about, and the words that say so."),
        "sources": Place("sources:app", "Feeds that are polled, and all else that articles come from."),
        "api-clients": Place("api:app", "Programs that may bring articles in, each with a token."),
    },
    "Readers": {
        "lists": Place("lists:app", "What one can subscribe to."),
        "subscribers": Place("subscribers:app", "Who reads what; import from a file or another tool."),
        "feeds": Place("feeds:app", "What is served to feed readers, and who follows it."),
    },
    "Watch and explain": {
        "doctor": Place("doctor:doctor", "What is wrong here, and what to do about it."),
        "explain": Place("explaining:explain", "Why each article is, or is not, in a reader's mail."),
        "audit": Place("audit:audit", "Who did what, and when."),
        "deliveries": Place("deliveries:app", "What became of each mail, and settling those in doubt."),
        "sending": Place("sending:app", "Stop all mail, let it go on, see what holds it up."),
        "relays": Place("limits:relays_app", "The servers that mail is handed to."),
        "limits": Place("limits:app", "How much is sent to a relay or a receiving provider."),
        "reports": Place("reports:app", "Mails that come back, from readers and from mail servers."),
    },
    "Run": {
        "demo": Place("demo:demo", "The whole thing on a sample newsroom; nothing leaves this machine."),
        "up": Place("run:up", "Web, worker and tick in one process, on the embedded database."),
        "serve": Place("run:serve", "The web pages, the feeds and the health checks."),
        "worker": Place("run:worker", "A Celery worker."),
        "tick": Place("run:tick", "Celery beat, which ticks every few seconds."),
        "staff": Place("staff:app", "Accounts for the console, at /console of the pages."),
        "dkim": Place("dkim:app", "Keys that sign mails, and their records in the DNS."),
        "db": Place("database:app", "The database: its schema, and restores of it."),
        "export": Place("exports:export", "Write everything into a folder, in open formats."),
        "json-schema": Place("printed:json_schema", "What a command prints with --json."),
    },
}
"""All commands and groups, as the help shows them: by what one wants to do."""

MEMBERS = {
    "editions": {
        "edit": "edition_edits:edit",
        "diff": "edition_edits:diff",
        "mend": "edition_edits:mend",
        "check": "edition_checks:check",
        "preview": "previews:preview",
        "correct": "announcements:correct",
        "resend": "resending:resend",
        "test-send": "previews:send_a_test",
        "timeline": "timeline:timeline",
    },
    "lists": {"growth": "growth:growth"},
    "feeds": {"readers": "feed_readers:readers"},
}
"""Commands of a group that stand in modules of their own."""


class CommandGroup(TyperGroup):
    """All that `newsletter` can do; help imports nothing of it, a command what it needs."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = {
            name: TyperCommand(name, help=place.told, rich_help_panel=panel, rich_markup_mode=self.rich_markup_mode)
            for panel, places in CONTENTS.items()
            for name, place in places.items()
        }

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return a command's name, itself in place of the line that stands for it, and the words that follow."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, _command(name) if name else command, rest


@cache
def _command(name: str) -> Any:
    """Return a command or group, imported; any of its members is one of its module or of `MEMBERS`."""
    (place,) = (places[name] for places in CONTENTS.values() if name in places)
    holder = typer.Typer(add_completion=False, rich_markup_mode="rich")
    holder.callback()(lambda: None)  # with a callback it is a group, even of one
    found = _found(place.name)
    if isinstance(found, typer.Typer):
        for member, of_member in MEMBERS.get(name, {}).items():
            found.command(member)(_found(of_member))
        holder.add_typer(found, name=name)
    else:
        holder.command(name)(found)
    return typer.main.get_group(holder).commands[name]


def _found(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(f"newsletter.cli.{module}"), name)
