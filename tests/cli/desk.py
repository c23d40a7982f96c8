"""A desk: commands as aida types them, in a home of her own, with the files that they name."""

import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner, Result

from newsletter.cli.main import cli

NOW = "2024-12-09T09:00:00+06:00"
BASIS = ("--basis", "signed up on paper at the fair")
LOG = """mx postfix/cleanup[1]: QUEUE1: message-id={message_id}
mx postfix/qmgr[1]: QUEUE1: from=<x@localhost>, size=9, nrcpt=1 (queue active)
"""


def commands() -> dict[str, Any]:
    """Return every command by the words that call it."""
    return dict(_commands(typer.main.get_command(cli)))


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if isinstance(command, TyperGroup):
        context = typer.Context(command)
        for name in command.list_commands(context):
            yield from _commands(command.resolve_command(context, [name])[1], (*path, name))
    else:
        yield " ".join(path), command


class Desk:
    """Runs commands as aida in a home of her own."""

    def __init__(self, home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self.folder = home, folder
        for name, value in (
            ("HOME", str(home)),
            ("BY", "aida"),
            ("POSTAL_ADDRESS", "1 Example Street"),
            ("REACHABLE_NETWORKS", "127.0.0.0/8"),
        ):
            monkeypatch.setenv(f"NEWSLETTER_{name}", value)

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(cli, ["--now", NOW, *words])

    def facts(self, *words: str) -> list[dict[str, object]]:
        result = self.run(*words, "--json")
        assert 0 == result.exit_code, (words, result.output, result.exception)
        return json.loads(result.stdout)

    def file(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def doubt(self) -> None:
        """Let a mail be in doubt, as after a sender that was killed."""
        self._end_as("in_doubt")

    def fail(self) -> None:
        """Let a mail have failed, as after a relay that refused it."""
        self._end_as("failed")

    def _end_as(self, state: str) -> None:
        with sqlite3.connect(self.home / "newsletter.db") as database:
            database.execute(f"UPDATE delivery SET state = '{state}', state_at = CURRENT_TIMESTAMP WHERE id = 1")
        database.close()


def words_for(desk: Desk, typed: str) -> list[str]:
    """Return what is typed, with the files and names that it stands for."""
    article = {
        "id": "a",
        "title": "A school",
        "paragraphs": ["It opens. " * 30],
        "published": "2024-12-08T10:00+06:00",
        "language": "en",
    }
    other = article | {"id": "b", "title": "A road", "paragraphs": ["It is mended. " * 30]}
    makers = {
        "basis": str,
        "topics": lambda: desk.file("t.json", '{"topics": [{"slug": "water", "labels": {"en": "Water"}}]}'),
        "articles": lambda: desk.file(
            "articles.json",
            json.dumps([article, other]),
        ),
        "readers": lambda: desk.file("readers.csv", "address\nann@readers.example\nbek@readers.example\n"),
        "letter": lambda: desk.file("letter.md", "We move to another street."),
        "foreign": lambda: desk.file("members.txt", "Dina <dina@readers.example>\n"),
        "key": lambda: str(desk.folder / "key.pem"),
        "log": lambda: desk.file("mail.log", LOG.format(**desk.facts("deliveries", "show", "1")[0])),
        "mails": lambda: desk.file("mail.eml", "Subject: hello\n\nNot a report.\n"),
        "out": lambda: str(desk.folder / "out"),
        "uid": lambda: str(desk.facts("articles", "list")["articles"][0]["uid"]),
        "other": lambda: str(desk.facts("articles", "list")["articles"][1]["uid"]),
        "feed": lambda: "topic-water-en",
    }
    found: list[str] = []
    for word in typed.split():
        made = re.sub(r"{(\w+)}", lambda name: makers[name[1]](), word)
        found += list(BASIS) if word == "{basis}" else [made]
    return found
