"""What commands list fits a terminal of 60 columns: no word is broken, no id is cut, no line is too long."""

import json
import re
import shlex
import sqlite3
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest
from desk import NOW, Desk, commands
from typer.testing import CliRunner, Result

from newsletter.cli.main import cli
from newsletter.demo.mailserver import MailServer
from newsletter.domain.feed_readers import Sketch

NARROW = 60
LIST = "weekly-digest-for-partners"
READER = "aigerim.abdykalykova@communications.example"
SOURCE = "пресс-служба-министерства"
TOPICS = ("clean-water-and-sanitation", "responsible-consumption")
TITLES = (
    "Государственно-частное партнёрство преобразует продовольственные системы и школьное питание",
    "Водоснабжение высокогорных сёл: как односельчане отремонтировали двухсоткилометровый трубопровод",
    "Statement of the Resident Coordinator on the International Day of Persons with Disabilities in mountain villages",
)
LONG_AGO = "2024-01-01T00:00:00+06:00"
"""Each command's clock begins anew: of a list that begins now, one begins before it and the next behind it."""
A_WEEK_LATER = "2024-12-16T09:00:00+06:00"

FURNISHED_BY = (
    "topics load {topics}",
    f"lists add {LIST} --title Дайджест --from news@example.org --since {LONG_AGO}",
    f"lists add {LIST}-2 --title Дайджест --from news@example.org --since {LONG_AGO} --cadence weekly --cadence daily",
    "articles import {first} --source press",
    f"subscribers import {{readers}} --list {LIST} --basis 'signed up by letter'",
    f"sources add http://127.0.0.1:9/ru/press-releases/feed --kind story --name {SOURCE}",
    "api-clients add city-content-management-system --source press",
    f"staff add {READER}",
    "limits set gmail --rate 20 --concurrency 5 --per-connection 50",
    "feeds rebuild",
    f"send {LIST} --yes",
    "articles import {second} --source press",
    f"--now {A_WEEK_LATER} send {LIST} --draft",
    "editions edit 2 --drop 1 --reason противоречит-сообщению-министерства",
)
LISTINGS = (
    *("api-clients list", "articles list", "articles list --state draft", "articles show {uid}", "audit"),
    *("deliveries list", f"deliveries show {READER}", "doctor", "editions check 2", "editions diff 2"),
    *("editions list", "editions show 2", "editions status 1", f"explain {READER} 1", "feeds followers", "feeds list"),
    *("feeds readers", "limits list", "lists growth", "lists list", f"lists show {LIST}"),
    *(
        "relays list",
        f"send {LIST}-2 --cadence weekly --dry-run",
        "sending status",
        "sources list",
        f"sources show {SOURCE}",
    ),
    *("staff list", "subscribers list", f"subscribers show {READER}", "topics list"),
    *(
        "articles import {first} --source press",
        f"subscribers import {{readers}} --list {LIST} --basis 'signed up by letter'",
    ),
)


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory, sqlite_template) -> Iterator[tuple[Path, str]]:
    """A newsroom in which every name is long, with an edition that was sent and another that waits for review.

    Its folder and its relay; the environment is each test's own, since others run between them.
    """
    folder = tmp_path_factory.mktemp("narrow")
    (folder / "home").mkdir()
    (folder / "home" / "newsletter.db").write_bytes(sqlite_template.read_bytes())
    with MailServer() as server:
        with pytest.MonkeyPatch.context() as patch:
            desk = at_desk(folder, server.url, patch)
            written(desk)
            for typed in FURNISHED_BY:
                done = ran(desk, typed)
                assert 0 == done.exit_code, (typed, done.output)
            ran(desk, f"sources poll {SOURCE}")
            followed(desk)
        yield folder, server.url


@pytest.fixture
def desk(furnished: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk in that newsroom."""
    return at_desk(*furnished, monkeypatch)


def at_desk(folder: Path, relay: str, patch: pytest.MonkeyPatch) -> Desk:
    patch.setenv("NEWSLETTER_SMTP_URL", relay)
    patch.setenv("NEWSLETTER_ZONE", "Asia/Bishkek")
    return Desk(folder / "home", folder, patch)


def written(desk: Desk) -> None:
    """Write the files that commands name."""
    articles = [
        {
            "id": title[:9],
            "title": title,
            "summary": f"{title.split(':')[0]}.",
            "paragraphs": [f"{title}. " * 9],
            "published": f"2024-12-0{day}T10:00:00+06:00",
            "language": "en" if title.isascii() else "ru",
            "topics": TOPICS,
        }
        for day, title in enumerate(TITLES, start=5)
    ]
    topics = [{"slug": slug, "labels": {"en": slug, "ru": "Чистая вода и санитария"}} for slug in TOPICS]
    desk.file("first.json", json.dumps([*articles[:1], {"id": "draft", "title": "Without a text", "language": "en"}]))
    desk.file("second.json", json.dumps(articles[1:]))
    desk.file("topics.json", json.dumps({"topics": topics}))
    desk.file("readers.csv", f"address;language;topics\n{READER};ru;\nbek@readers.example;en;\nnobody;en;nothing\n")


def followed(desk: Desk) -> None:
    """Let a feed be followed and polled, which takes other people's programs otherwise."""
    topic, callback = "https://news.example.org/feeds/all-ru.atom", "https://aggregator.example/callbacks/4fc4704f"
    with sqlite3.connect(desk.home / "newsletter.db") as database:
        database.execute(
            "INSERT INTO feed_follower (key, document, topic, callback, since, lease_until, change_count, attempts)"
            " VALUES ('k', 'all-ru.atom', ?, ?, '2024-12-01 00:00:00.000000', '2024-12-11 00:00:00.000000', 0, 0)",
            (topic, callback),
        )
        database.execute(
            "INSERT INTO feed_reader VALUES ('all-ru', '2024-12-08', ?, ?, '2024-12-08 00:00:00.000000')",
            (json.dumps({"Feedly": 1240, "Inoreader": 310}), bytes(Sketch())),
        )
    database.close()


def ran(desk: Desk, typed: str, *, columns: int | None = None) -> Result:
    """Run a command in a pipe, or in a terminal of so many columns."""
    names = {file.stem: str(file) for file in desk.folder.glob("*.*")}
    if "{uid}" in typed:
        names["uid"] = str(desk.facts("articles", "list")["articles"][0]["uid"])
    environment = {"COLUMNS": str(columns)} if columns else {}
    return CliRunner(env=environment).invoke(cli, ["--now", NOW, *shlex.split(typed.format(**names))])


@pytest.mark.parametrize("typed", LISTINGS)
def test_a_narrow_terminal_breaks_no_word_and_cuts_no_line(desk, typed):
    """Each word stands there as it does in a pipe; only a slug may go on in the next line, behind a hyphen."""
    in_a_pipe, in_a_terminal = ran(desk, typed), ran(desk, typed, columns=NARROW)
    assert (0, 0) == (in_a_pipe.exit_code, in_a_terminal.exit_code) or typed == "doctor", in_a_pipe.exception
    told, known = in_a_terminal.stdout, set(in_a_pipe.stdout.split())
    known |= {part for word in known for part in between_hyphens(word)}

    assert told.strip(), typed
    assert [] == re.findall(r"UTC|\+00:00", told), "moments are told by the newsroom's clock"
    assert [] == [line for line in told.splitlines() if len(line) > NARROW and not line.startswith("  newsletter ")]
    assert set() == {word for word in told.split() if word not in known and not re.fullmatch(r"[\d:.,]+", word)}


def test_the_record_tells_changes_in_words(desk):
    dropped = desk.facts("editions", "diff", "2")["changes"][0]["uid"]

    assert f"edited edition 2: changes drop {dropped} противоречит" in ran(desk, "audit").stdout


def between_hyphens(word: str) -> Iterator[str]:
    """Yield what of a slug may stand in a line; of anything else, nothing."""
    if re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", word):
        ends = [0, *(match.end() for match in re.finditer("-", word)), len(word)]
        yield from (word[start:end] for start, end in combinations(ends, 2))


def test_every_command_that_lists_something_is_looked_at():
    assert {each for each in commands() if each.endswith(" list")} <= set(LISTINGS)


def test_in_a_pipe_each_row_is_one_line(desk):
    rows = ran(desk, "articles list").stdout.splitlines()
    uids = [str(each["uid"]) for each in desk.facts("articles", "list")["articles"]]

    assert ["uid", *(uid[:8] for uid in uids)] == [row.split()[0] for row in rows]


def test_the_next_page_is_of_what_was_asked_for(desk):
    told = ran(desk, f"subscribers list --list {LIST} --limit 1").stdout.splitlines()[-1]
    following = told.partition("subscribers")[2]

    assert f"--list {LIST}" in following
    assert "bek@readers.example" in ran(desk, f"subscribers{following}").stdout
