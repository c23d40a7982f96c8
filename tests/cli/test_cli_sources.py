"""`newsletter sources`, `api-clients` and `articles import --watch`: what staff type, and what they are told."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from newsletter.cli import articles as articles_cli
from newsletter.cli.api import app as clients
from newsletter.cli.articles import app as articles
from newsletter.cli.articles import topics_app as topics
from newsletter.cli.sources import app as sources
from newsletter.errors import ConflictError, NotFoundError, TransientError
from newsletter.services.checks import Level, examine
from newsletter.services.context import App

sys.path.append(str(Path(__file__).parents[1] / "services"))

from source_server import SourceServer, item, rss, running_source


@pytest.fixture(params=["sqlite"])
def database(request):
    """Faces are the same on both databases, services are tested on both."""
    return request.getfixturevalue(f"{request.param}_database")


@pytest.fixture
def source() -> Iterator[SourceServer]:
    with running_source() as running:
        yield running


@pytest.fixture
def desk(app: App) -> App:
    return replace(app, settings=app.settings.model_copy(update={"reachable_networks": ("127.0.0.0/8",)}))


def run(desk: App, *words: str, of=sources) -> Result:
    return CliRunner(env={"COLUMNS": "220"}).invoke(of, words, obj=lambda: desk)


def facts(desk: App, *words: str, of=sources):
    result = run(desk, *words, "--json", of=of)

    assert 0 == result.exit_code, result.output
    return json.loads(result.stdout)


class TestSources:
    @pytest.mark.slow
    def test_the_life_of_a_source(self, desk, source):
        url = source.put("/feed", rss(item(1), item(2)))
        added = run(desk, "add", url, "--kind", "press_release", "--name", "The Press", "--first", "1")
        polled = run(desk, "poll", "the-press")
        again = run(desk, "poll", "the-press")
        shown = run(desk, "show", "the-press").stdout
        listed = run(desk, "list").stdout

        assert "newsletter sources poll the-press" in added.stdout
        assert "Story number 2" in polled.stdout
        assert "nothing new" in again.stdout
        assert all(each in shown for each in (url, "press_release", "active", "new 1"))
        assert "The Press" in listed
        assert "paused" in run(desk, "pause", "the-press", "--reason", "moving").stdout
        assert "active" in run(desk, "resume", "the-press").stdout
        assert 0 == run(desk, "remove", "the-press").exit_code
        assert "not polled" in run(desk, "list").stdout

    def test_a_source_that_is_imported_is_told_from_one_that_is_not_there(self, desk, source, tmp_path):
        (tmp_path / "a.md").write_text("---\ntitle: One\ndate: 2026-03-01\nkind: story\n---\n\nWords.\n")
        run(desk, "import", str(tmp_path / "a.md"), "--source", "Ministry", of=articles)
        unnamed = run(desk, "add", source.put("/feed", rss(item(1))), "--kind", "story")

        assert "'ministry' is not polled: its articles come from files" in str(run(desk, "poll", "ministry").exception)
        assert "there is no source 'nobody'" in str(run(desk, "poll", "nobody").exception)
        assert "called after its host" in unnamed.stdout

    @pytest.mark.slow
    def test_a_sick_source_is_named_everywhere(self, desk, source):
        run(desk, "add", source.put("/feed", status=500), "--kind", "story", "--name", "Ill")
        for _ in range(3):
            result = run(desk, "poll", "ill")

            assert isinstance(result.exception, TransientError)
        found = facts(desk, "show", "ill")
        (named,) = [each for each in examine(desk) if each.check == "source"]

        assert ("sick", True, 3) == (found["state"], found["is_sick"], found["poll"]["failures"])
        assert "sick" in run(desk, "list").stdout
        assert (Level.WARNING, True) == (named.level, "ill: its server answers 500" in named.found)
        assert 1 == run(desk, "poll", "ill", "--json").exit_code

    def test_sources_that_are_well_are_one_line_for_doctor(self, desk, source):
        run(desk, "add", source.put("/feed", rss(item(1))), "--kind", "story", "--name", "Well")

        assert [Level.OK] == [each.level for each in examine(desk) if each.check == "sources"]

    @pytest.mark.parametrize(
        ("words", "error"),
        [
            (["show", "none"], NotFoundError),
            (["poll", "none"], NotFoundError),
            (["pause", "none"], NotFoundError),
            (["remove", "none"], NotFoundError),
        ],
    )
    def test_what_is_not_there_is_said(self, desk, words, error):
        assert isinstance(run(desk, *words).exception, error)

    def test_wrong_words_are_wrong_use(self, desk):
        assert 2 == run(desk, "add", "https://x.example/feed").exit_code
        assert 2 == run(desk, "add", "https://x.example/feed", "--kind", "poem").exit_code


class TestClients:
    @pytest.mark.slow
    def test_a_token_is_shown_once_and_works_until_it_is_revoked(self, desk):
        token = facts(desk, "add", "City CMS", "--source", "City Press Office", of=clients)["token"]
        listed = run(desk, "list", of=clients).stdout

        assert token.startswith("nl_")
        assert "city-press-office" in listed
        assert token not in listed
        assert isinstance(run(desk, "add", "City CMS", of=clients).exception, ConflictError)
        assert 0 == run(desk, "revoke", "City CMS", of=clients).exit_code
        assert isinstance(run(desk, "revoke", "City CMS", of=clients).exception, NotFoundError)

    def test_a_person_is_shown_the_token_whole(self, desk):
        shown = CliRunner(env={"COLUMNS": "20"}).invoke(clients, ["add", "CMS"], obj=lambda: desk).stdout

        assert any(line.startswith("nl_") and len(line) > 40 for line in shown.splitlines())


class TestExitCodes:
    def test_an_import_of_which_everything_is_refused_has_failed(self, desk, tmp_path):
        bad, mixed = tmp_path / "bad.json", tmp_path / "mixed.json"
        bad.write_text('[{"summary": "no title"}, 5]')
        mixed.write_text('[5, {"title": "A title", "paragraphs": ["x"], "published": "2026-03-13"}]')

        assert 1 == run(desk, "import", str(bad), "--source", "x", of=articles).exit_code
        assert 1 == run(desk, "import", str(bad), "--source", "x", "--json", of=articles).exit_code
        assert 0 == run(desk, "import", str(mixed), "--source", "x", of=articles).exit_code

    @pytest.mark.parametrize(
        ("words", "of"),
        [
            (["import", "/no/such/file.json"], articles),
            (["import", "--watch", "/no/such/folder"], articles),
            (["import"], articles),
            (["load", "/no/such/topics.yaml"], topics),
        ],
    )
    def test_a_file_that_is_not_there_is_wrong_use(self, desk, words, of):
        assert 2 == run(desk, *words, of=of).exit_code


def test_a_watched_folder_is_told_of_file_by_file_until_ctrl_c(desk, tmp_path, monkeypatch):
    (tmp_path / "good.json").write_text('[{"title": "A title", "paragraphs": ["x"], "published": "2026-03-13"}]')
    (tmp_path / "half.json").write_text('[{"title": "A ti')
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds
        if now[0] > 10:
            raise KeyboardInterrupt

    monkeypatch.setattr(articles_cli.time, "sleep", sleep)
    monkeypatch.setattr(articles_cli.time, "monotonic", lambda: now[0])
    result = run(desk, "import", "--watch", str(tmp_path), "--source", "CMS", of=articles)

    assert 0 == result.exit_code, result.output
    assert "good.json: 1 new" in result.stdout
    assert 1 == result.stdout.count("half.json: half.json: no valid JSON")
    assert "Stopped." in result.stdout
