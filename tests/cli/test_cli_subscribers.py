import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from newsletter.cli.subscribers import app as subscribers
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.services.context import App
from newsletter.services.lists import ListDraft, add_list

BASIS = ("--basis", "signed up on paper at the fair, May 2024")


@pytest.fixture(autouse=True)
def weekly(app: App) -> None:
    add_list(app, ListDraft(slug="weekly", titles={"en": "The week"}))


@pytest.fixture
def readers(tmp_path: Path) -> Path:
    path = tmp_path / "readers.csv"
    path.write_text("address,language,name\naida@example.org,ky,Aida\nnobody,en,Nobody\n", encoding="utf-8")
    return path


def run(app: App, *words: object, answer: str = "") -> Result:
    return CliRunner().invoke(subscribers, list(map(str, words)), obj=lambda: app, input=answer)


def facts(app: App, *words: object) -> object:
    result = run(app, *words, "--json")
    assert 0 == result.exit_code, result.output
    return json.loads(result.stdout)


def test_an_import_reports_counts_and_each_refused_row(app, readers):
    report = facts(app, "import", readers, "--list", "weekly", *BASIS)

    assert (1, 0, 1) == (report["added"], report["same"], report["refused"])
    assert [(3, "nobody")] == [(each["line"], each["address"]) for each in report["refusals"]]
    assert ["name"] == report["ignored_columns"]


def test_an_import_is_told_to_people(app, readers):
    readers.write_bytes("адрес;имя\naida@example.org;Аида\nnobody;Н\n".encode("cp1251"))
    shown = " ".join(run(app, "import", readers, "--list", "weekly", *BASIS).stdout.split())

    assert "1 added, 0 subscribed already, 1 refused" in shown
    assert "read as cp1251" in shown
    assert "looks like name@example.org" in shown


@pytest.mark.parametrize("words", [["--list", "weekly"], ["--basis", "because"]], ids=["no basis", "no list"])
def test_an_import_needs_a_list_and_a_basis(app, readers, words):
    assert 2 == run(app, "import", readers, *words).exit_code


def test_a_subscriber_is_added_listed_shown_and_exported(app, tmp_path):
    added = facts(app, "add", "aida@example.org", "--list", "weekly", *BASIS, "--language", "ky", "--kind", "story")
    [listed] = facts(app, "list", "--list", "weekly")
    shown = facts(app, "show", "aida@example.org")
    exported = facts(app, "export", "aida@example.org", "--file", tmp_path / "aida.json")

    assert "added" == added["outcome"]
    assert ("aida@example.org", "weekly", "ky", ["story"]) == (
        listed["address"],
        listed["list"],
        listed["language"],
        listed["filter"]["kinds"],
    )
    assert BASIS[1] == shown["subscriptions"][0]["consent"][0]["basis"]
    assert shown == json.loads(Path(exported["file"]).read_text(encoding="utf-8"))
    assert shown == json.loads(run(app, "export", "aida@example.org").stdout)


def test_the_same_is_shown_to_people(app):
    words = ["aida@example.org", "--list", "weekly", *BASIS]
    first, again = run(app, "add", *words).stdout, run(app, "add", *words).stdout

    assert "is subscribed to weekly" in first
    assert "already" in again
    assert "aida@example.org" in run(app, "list").stdout
    assert "confirmed" in run(app, "show", "aida@example.org").stdout
    assert "More:" in run(app, "list", "--limit", 1).stdout


def test_erasing_asks_first(app):
    run(app, "add", "aida@example.org", "--list", "weekly", *BASIS)
    asked = run(app, "erase", "aida@example.org", answer="n\n")

    assert 1 == asked.exit_code
    assert "Erase aida@example.org for good? Subscriptions that end: 1" in asked.stderr
    assert {"erased": True, "subscriptions_ended": 1} == facts(app, "erase", "aida@example.org", "--yes")
    assert [] == facts(app, "list")


def test_a_suppressed_address_is_not_added_until_released(app):
    words = ["add", "aida@example.org", "--list", "weekly", *BASIS]
    assert "manual" == facts(app, "suppress", "aida@example.org")["reason"]
    assert isinstance(run(app, *words).exception, ConflictError)
    facts(app, "release", "aida@example.org")

    assert "added" == facts(app, *words)["outcome"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["show", "nobody@example.org"], NotFoundError),
        (["export", "nobody@example.org"], NotFoundError),
        (["erase", "nobody@example.org", "--yes"], NotFoundError),
        (["release", "nobody@example.org"], NotFoundError),
        (["suppress", "nobody"], InvalidError),
        (["list", "--list", "daily"], NotFoundError),
        (["add", "a@example.org", "--list", "daily", *BASIS], NotFoundError),
        (["add", "a@example.org", "--list", "weekly", "--basis", "yes"], InvalidError),
    ],
)
def test_what_the_service_refuses_is_passed_on(app, words, error):
    assert isinstance(run(app, *words).exception, error)
