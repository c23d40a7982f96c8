"""Where each command is found: its module is imported when it is called, since most of a command's start is imports."""

from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

COMMANDS = {
    "send": "editions:send",
    "audit": "audit:audit",
    "compose": "announcements:compose",
    "explain": "explaining:explain",
    "export": "exports:export",
    "demo": "demo:demo",
    "up": "run:up",
    "serve": "run:serve",
    "worker": "run:worker",
    "tick": "run:tick",
    "doctor": "doctor:doctor",
    "json-schema": "printed:json_schema",
}
"""Commands by themselves: the module of `newsletter.cli` and the function in it."""
GROUPS = {
    "articles": "articles:app",
    "topics": "articles:topics_app",
    "sources": "sources:app",
    "api-clients": "api:app",
    "lists": "lists:app",
    "subscribers": "subscribers:app",
    "editions": "editions:app",
    "deliveries": "deliveries:app",
    "sending": "sending:app",
    "limits": "limits:app",
    "relays": "limits:relays_app",
    "feeds": "feeds:app",
    "reports": "reports:app",
    "dkim": "dkim:app",
    "staff": "staff:app",
    "db": "database:app",
}
MEMBERS = {
    "editions": {
        "edit": "edition_edits:edit",
        "diff": "edition_edits:diff",
        "mend": "edition_edits:mend",
        "check": "edition_checks:check",
        "preview": "previews:preview",
        "correct": "announcements:correct",
        "test-send": "previews:send_a_test",
    },
    "lists": {"growth": "growth:growth"},
    "feeds": {"readers": "feed_readers:readers"},
}
"""Commands of a group that stand in modules of their own."""


class CommandGroup(TyperGroup):
    """All that `newsletter` can do; help imports everything, a command what it needs."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        names: dict[str, Any] = dict.fromkeys([*COMMANDS, *GROUPS])
        self.commands = names  # names alone, from which a mistyped one is guessed

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names, in the order of the help."""
        del ctx
        return [*COMMANDS, *GROUPS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command or group, None if there is none of that name."""
        del ctx
        return _command(cmd_name) if cmd_name in COMMANDS or cmd_name in GROUPS else None


@cache
def _command(name: str) -> Any:
    holder = typer.Typer(add_completion=False, rich_markup_mode="rich")
    holder.callback()(lambda: None)  # with a callback it is a group, even of one
    if name in COMMANDS:
        holder.command(name)(_found(COMMANDS[name]))
    else:
        group = _found(GROUPS[name])
        for member, place in MEMBERS.get(name, {}).items():
            group.command(member)(_found(place))
        holder.add_typer(group, name=name)
    return typer.main.get_group(holder).commands[name]


def _found(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(f"newsletter.cli.{module}"), name)
