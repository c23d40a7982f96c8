"""With --json each command prints what its schema in the repository says, and nothing else."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import Desk, commands, words_for
from jsonschema import Draft202012Validator, FormatChecker

from newsletter.cli.json_schemas import Shape, schema_of, schema_of_one
from newsletter.cli.printed import PRINTED
from newsletter.demo.mailserver import MailServer
from newsletter.domain.articles import Article
from newsletter.domain.topics import Topic

SCHEMA = Path(__file__).parents[2] / "docs" / "commands.schema.json"

LONG = {"demo"}
"""Commands whose whole run is a test elsewhere: `tests/demo` holds what `demo` prints against the schema too."""

MAY_BE_EMPTY = {"feeds readers"}
"""Nobody has polled a feed in this newsroom."""

DAY: tuple[tuple[str, str], ...] = (
    ("db upgrade", ""),
    ("doctor", ""),
    ("topics load", "{topics}"),
    ("topics list", ""),
    ("lists add", "weekly --title Week --from news@example.org --since 2024-01-01T00:00:00+06:00"),
    ("lists set", "weekly --canary none"),
    ("lists show", "weekly"),
    ("lists list", ""),
    ("articles import", "{articles} --source press"),
    ("articles retag", "{uid} --add water"),
    ("articles withdraw", "{uid} --reason wrong"),
    ("articles publish", "{uid}"),
    ("articles list", "--limit 1"),
    ("subscribers import", "{readers} --list weekly {basis}"),
    ("subscribers import", "{foreign} --list weekly {basis} --dry-run"),
    ("subscribers import", "{foreign} --list weekly {basis} --yes"),
    ("subscribers add", "kim@readers.example --list weekly {basis}"),
    ("subscribers list", ""),
    ("subscribers suppress", "kim@readers.example"),
    ("subscribers show", "kim@readers.example"),
    ("subscribers release", "kim@readers.example"),
    ("subscribers erase", "kim@readers.example --yes"),
    ("lists growth", ""),
    ("sources add", "http://127.0.0.1:9/feed --kind story --name wire"),
    ("sources pause", "wire --reason drill"),
    ("sources resume", "wire"),
    ("sources poll", "wire"),
    ("sources show", "wire"),
    ("sources list", ""),
    ("api-clients add", "cms"),
    ("api-clients list", ""),
    ("staff add", "aida@example.org"),
    ("staff reset", "aida@example.org"),
    ("staff list", ""),
    ("limits set", "gmail --rate 5"),
    ("limits list", ""),
    ("relays list", ""),
    ("dkim keygen", "--selector s1 --domain example.org --out {key}"),
    ("dkim record", "{key} --selector s1 --domain example.org"),
    ("feeds rebuild", ""),
    ("feeds list", ""),
    ("feeds followers", ""),
    ("feeds readers", ""),
    ("send", "weekly --dry-run"),
    ("send", "weekly --draft --yes"),
    ("editions list", ""),
    ("editions edit", "1 --pin 1"),
    ("editions diff", "1"),
    ("editions check", "1"),
    ("editions test-send", "1 --to desk@example.org"),
    ("lists pause", "weekly --reason drill"),
    ("editions approve", "1 --yes"),
    ("explain", "ann@readers.example 1"),
    ("sending status", ""),
    ("editions status", "1"),
    ("lists show", "weekly"),
    ("editions mend", "1 {uid}"),
    ("send", "weekly --yes"),
    ("lists resume", "weekly"),
    ("editions status", "1 --watch"),
    ("editions timeline", "1"),
    ("editions show", "1"),
    ("lists add", "now --title Now --from news@example.org --since 2024-01-01T00:00:00+06:00 --cadence immediate"),
    ("subscribers import", "{readers} --list now {basis}"),
    ("send", "now --cadence immediate --dry-run"),
    ("send", "now --cadence immediate --yes"),
    ("send", "now --cadence immediate --yes"),
    ("articles show", "{uid}"),
    ("deliveries list", ""),
    ("deliveries show", "ann@readers.example"),
    ("deliveries settle", "--from-log {log}"),
    ("deliveries settle", "--from-log {log} --yes"),
    ("deliveries settle", "1 --accepted --why seen"),
    ("editions resend", "1 --dry-run"),
    ("editions resend", "1 --why mended --yes"),
    ("editions correct", "1 {other} {letter} --draft"),
    ("compose", "{letter} --list weekly --subject Hello --draft"),
    ("reports read", "{mails}"),
    ("subscribers export", "ann@readers.example"),
    ("subscribers export", "ann@readers.example --file {key}.json"),
    ("editions approve", "4 --yes"),
    ("export", "{out}"),
    ("audit", ""),
    ("db acknowledge-restore", "--dry-run"),
    ("db acknowledge-restore", "--nothing-lost --yes"),
)  # fmt: skip
"""A day on which everything that prints facts does so at least once, about something."""


def test_every_command_with_json_has_a_schema_and_a_place_in_the_day():
    """A new command finds itself here: what it prints has to be written down, and tried."""
    printing = {words for words, each in commands().items() if any("--json" in option.opts for option in each.params)}

    assert set(PRINTED) == printing
    assert printing - {words for words, _ in DAY} == LONG


def test_the_schema_in_the_documents_is_what_the_commands_print():
    """Where it is not:  newsletter json-schema > docs/commands.schema.json, and say so to those who use it."""
    assert schema_of(PRINTED) == json.loads(SCHEMA.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_schemas_are_schemas_and_leave_nothing_open():
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)

    assert all(each["additionalProperties"] is False for each in schema["$defs"].values())
    assert all(set(each["required"]) == set(each["properties"]) for each in schema["$defs"].values())


def test_a_kind_of_value_that_nobody_knows_how_to_write_has_no_schema():
    for kind in (bytes, list[complex], dict[str, bytes], Article | bytes, Shape("Odd", {"of": bytes})):
        with pytest.raises(TypeError, match="has no schema"):
            schema_of_one(kind)


def test_two_kinds_of_facts_do_not_share_a_name():
    with pytest.raises(TypeError, match="two kinds of facts are called Topic"):
        schema_of({"a": Topic, "b": Shape("Topic", {"slug": str})})


def test_one_commands_schema_can_be_asked_for(desk):
    facts = json.loads(desk.run("json-schema", "editions", "list").stdout)

    assert set(facts["$defs"]) == {"Progress"}
    assert "no command 'editions lost'" in str(desk.run("json-schema", "editions", "lost").exception)


@pytest.mark.slow
def test_each_command_prints_what_its_schema_says(desk, monkeypatch):
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    printed: dict[str, bool] = {}
    with MailServer() as server:
        monkeypatch.setenv("NEWSLETTER_SMTP_URL", server.url)
        for command, typed in DAY:
            prepare(desk, command, typed)
            words = [*command.split(), *words_for(desk, typed)]
            done = desk.run(*words, "--json") if command in PRINTED else desk.run(*words)
            explained = command in {"sources poll", "doctor"} or done.exit_code == 0

            assert explained, (command, done.output, done.exception)
            assert done.stdout.strip() or command not in PRINTED, (command, typed, done.output, done.exception)
            for facts in documents(done.stdout) if command in PRINTED else ():
                check(facts, schema, command)
                printed[command] = printed.get(command, False) or bool(facts)

    assert {command for command, is_told in printed.items() if not is_told} <= MAY_BE_EMPTY


def documents(text: str) -> Iterator[object]:
    """Yield the documents of *text*: one, or when something is watched one a line."""
    decoder, rest = json.JSONDecoder(), text.strip()
    while rest:
        found, end = decoder.raw_decode(rest)
        yield found
        rest = rest[end:].lstrip()


def check(facts: object, schema: dict[str, object], command: str) -> None:
    validator = Draft202012Validator(
        {"$defs": schema["$defs"], **schema["properties"][command]},  # type: ignore[index]
        format_checker=FormatChecker(),
    )
    wrong = [f"{command}: {'/'.join(map(str, each.path))}: {each.message}" for each in validator.iter_errors(facts)]

    assert wrong == []


def prepare(desk: Desk, command: str, typed: str) -> None:
    """Let there be what a command is about, where no other command makes it."""
    if command == "editions correct":
        shutil.copy(desk.home / "newsletter.db", desk.folder / "newsletter.db")
    if command == "feeds followers":
        follow(desk)
    if command == "deliveries settle":
        desk.doubt()
    if command == "editions resend":
        desk.fail()
    if (command, typed) == ("db acknowledge-restore", "--dry-run"):
        restore(desk)


def follow(desk: Desk) -> None:
    with sqlite3.connect(desk.home / "newsletter.db") as database:
        database.execute(
            "INSERT INTO feed_follower (key, document, topic, callback, since, lease_until, change_count, attempts) "
            "VALUES ('k', 'all-en.atom', 'https://news.example/feeds/all-en.atom', 'https://reader.example/hook', "
            "CURRENT_TIMESTAMP, CURRENT_TIMESTAMP, 0, 0)"
        )
    database.close()


def restore(desk: Desk) -> None:
    """Set the database back to the copy, as a restored backup, and let the guard notice."""
    with (
        sqlite3.connect(desk.home / "newsletter.db") as database,
        sqlite3.connect(desk.folder / "newsletter.db") as old,
    ):
        old.backup(database)
    database.close()
    old.close()
    desk.run("compose", str(desk.folder / "letter.md"), "--list", "weekly", "--subject", "Hello", "--yes")
