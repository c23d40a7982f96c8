"""`newsletter articles` and `newsletter topics`: what staff type, and what they are told."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from newsletter.cli.articles import app as articles
from newsletter.cli.articles import topics_app as topics
from newsletter.clock import fixed_clock
from newsletter.errors import NewsletterError, NotFoundError
from newsletter.services.context import App

DATA = Path(__file__).parents[1] / "ingest" / "data"
NOW = datetime(2025, 10, 12, 2, tzinfo=UTC)
TOPICS = """
scheme: https://example.org/topics
topics:
  - {slug: water, labels: {en: Water}, rules: {en: [canal, water]}}
  - {slug: rivers, labels: {en: Rivers}, parent: water}
  - {slug: culture, labels: {en: Culture}, rules: {en: [library]}, apply: true}
"""


@pytest.fixture(params=["sqlite"])
def database(request):
    """Faces are the same on both databases, services are tested on both."""
    return request.getfixturevalue(f"{request.param}_database")


@pytest.fixture
def desk(app: App) -> App:
    return replace(app, clock=fixed_clock(NOW))


@pytest.fixture
def topic_file(tmp_path) -> str:
    path = tmp_path / "topics.yaml"
    path.write_text(TOPICS)
    return str(path)


def run(desk: App, *words: str, of=articles) -> Result:
    return CliRunner(env={"COLUMNS": "220"}).invoke(of, words, obj=lambda: desk)


def facts(desk: App, *words: str, of=articles):
    result = run(desk, *words, "--json", of=of)

    assert 0 == result.exit_code, result.output
    return json.loads(result.stdout)


def imported(desk: App, name: str = "scraped.json") -> list[dict[str, object]]:
    return facts(desk, "import", str(DATA / name))["items"]


class TestImport:
    def test_tells_of_each_item_and_counts_them(self, desk):
        result = run(desk, "import", str(DATA / "scraped.json"))

        assert 0 == result.exit_code
        assert "13 items: 5 new, 3 merged, 3 held, 2 refused." in result.stdout
        assert "a teaser and its article: 'Repaired canal brings water to six villages'" in result.stdout
        assert "lacks a date" in result.stdout
        assert "it has neither a title nor a body" in result.stdout
        assert "newsletter articles publish" in result.stdout

    def test_as_json_gives_the_same_facts(self, desk):
        found = facts(desk, "import", str(DATA / "scraped.json"))

        assert {"new": 5, "updated": 0, "same": 0, "merged": 3, "held": 3, "refused": 2} == found["counts"]
        assert ("held", ["a title"]) == (found["items"][7]["result"], found["items"][7]["lacks"])

    @pytest.mark.slow
    def test_a_second_time_all_is_the_same(self, desk):
        imported(desk)

        assert "13 items: 11 same, 2 refused." in run(desk, "import", str(DATA / "scraped.json")).stdout

    def test_several_files_are_told_apart(self, desk):
        result = run(desk, "import", str(DATA / "article.md"), str(DATA / "page.html"))

        assert "article.md:1" in result.stdout
        assert "2 items: 2 new." in result.stdout

    def test_what_holds_for_all_items_is_given_by_options(self, desk, tmp_path):
        path = tmp_path / "word.md"
        path.write_text("# A word\n\nText.")
        words = ("import", str(path), "--source", "The Mayor", "--kind", "speech", "--language", "ky")
        (item,) = facts(desk, *words)["items"]
        found = facts(desk, "show", item["article_uid"])

        assert ("the-mayor", "speech", "ky") == (found["source"], found["kind"], found["language"])

    def test_a_title_is_never_taken_for_markup_of_the_terminal(self, desk, tmp_path):
        path = tmp_path / "a.json"
        path.write_text(json.dumps([{"title": "[red]Danger[/red] [/]", "paragraphs": ["x"], "date": "2025-01-01"}]))

        assert "[red]Danger[/red] [/]" in run(desk, "import", str(path), "--source", "press").stdout
        assert "[red]Danger[/red] [/]" in run(desk, "list").stdout

    @pytest.mark.parametrize(
        ("item", "options"),
        [
            ({"title": "No date", "paragraphs": ["x"]}, "--date ..."),
            ({"paragraphs": ["x"], "date": "2025-01-01"}, "--title ..."),
            ({"title": "Bare", "date": "2025-01-01"}, "--summary ..."),
            ({"title": "Far and bare", "date": "2999-01-01"}, "--date ... --summary ..."),
        ],
    )
    def test_a_draft_is_completed_with_what_it_lacks(self, desk, tmp_path, item, options):
        path = tmp_path / "a.json"
        path.write_text(json.dumps([item]))
        told = run(desk, "import", str(path), "--source", "press")

        assert told.stdout.endswith(f" {options}\n")
        assert not told.stderr, "a bar is for terminals"

    def test_a_file_that_is_not_there_is_wrong_use(self, desk, tmp_path):
        result = run(desk, "import", str(tmp_path / "missing.json"))

        assert 2 == result.exit_code
        assert "missing.json' does not exist" in result.stderr

    def test_without_files_it_is_wrong_use(self, desk):
        assert 2 == run(desk, "import").exit_code


class TestLooking:
    def test_drafts_are_listed_with_what_they_lack(self, desk):
        imported(desk)
        result = run(desk, "list", "--state", "draft")

        assert "Clay in young hands" in result.stdout
        assert "lacks a date" in result.stdout
        assert "(The district council adopted a plan" in result.stdout
        assert "A nurse for four valleys" not in result.stdout

    @pytest.mark.slow
    def test_pages_follow_each_other(self, desk):
        imported(desk)
        first = facts(desk, "list", "--limit", "5")
        told = run(desk, "list", "--limit", "5").stdout.splitlines()[-1]
        words = told.partition(" list ")[2]
        rest = facts(desk, "list", *words.split())

        assert "More:" in told
        assert first["next_before"].startswith(words.split()[words.split().index("--before") + 1])
        assert (5, 3) == (len(first["articles"]), len(rest["articles"]))
        assert rest["next_before"] is None

    @pytest.mark.slow
    def test_an_article_is_shown_with_its_translations_event_and_suggestions(self, desk, topic_file):
        run(desk, "load", topic_file, of=topics)
        canal = imported(desk)[3]["article_uid"]
        hearing = imported(desk, "articles.json")
        tram = run(desk, "show", hearing[0]["article_uid"][:8]).stdout

        assert {"water": "canal"} == facts(desk, "show", canal)["suggested"]
        assert "water (“canal”)" in run(desk, "show", canal).stdout
        assert "В пятницу открывается вторая линия трамвая" in tram
        assert (
            "2025-10-21 17:00 to 2025-10-21 19:00 (Asia/Bishkek) Town hall, 1 Square of Trees"
            in run(desk, "show", hearing[1]["article_uid"]).stdout
        )

    def test_an_unknown_article_is_not_found(self, desk):
        assert isinstance(run(desk, "show", "zzz").exception, NotFoundError)


class TestChanging:
    def test_a_draft_is_published_with_what_it_lacked(self, desk):
        uid = imported(desk)[7]["article_uid"]
        refused = run(desk, "publish", uid)
        result = run(desk, "publish", uid[:8], "--title", "Forty-one crossings get lamps", "--date", "2025-09-19")

        assert "it lacks a title" in str(refused.exception)
        assert "Published: Forty-one crossings get lamps" in result.stdout
        assert "published" == facts(desk, "show", uid)["state"]

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            (("--date", "soon"), "'soon' is no date"),
            (("--url", "javascript:alert(1)"), "no http or https address"),
            (("--title", " "), "cannot be empty"),
        ],
    )
    def test_what_cannot_be_used_is_an_error(self, desk, words, reason):
        result = run(desk, "publish", str(imported(desk)[7]["article_uid"]), *words)

        assert isinstance(result.exception, NewsletterError)
        assert reason in str(result.exception)

    def test_a_major_change_is_a_new_revision(self, desk):
        uid = str(imported(desk)[3]["article_uid"])

        assert 2 == facts(desk, "publish", uid, "--major")["revision"]

    @pytest.mark.slow
    def test_an_article_is_withdrawn_for_a_reason(self, desk):
        uid = str(imported(desk)[3]["article_uid"])
        without = run(desk, "withdraw", uid)
        result = run(desk, "withdraw", uid, "--reason", "the figures were wrong")

        assert 2 == without.exit_code
        assert "Withdrawn: Repaired canal" in result.stdout
        assert "the figures were wrong" in run(desk, "show", uid).stdout

    @pytest.mark.slow
    def test_topics_are_added_and_removed(self, desk, topic_file):
        run(desk, "load", topic_file, of=topics)
        uid = str(imported(desk)[3]["article_uid"])
        found = facts(desk, "retag", uid, "--add", "water", "--add", "culture", "--remove", "rivers")

        assert (["water", "culture"], {}) == (found["topics"], found["suggested"])
        assert "topics: water, culture." in run(desk, "retag", uid).stdout

    def test_what_is_still_to_come_says_when(self, desk):
        uid = str(imported(desk)[8]["article_uid"])

        assert "It appears on 2025-10-20 00:00." in run(desk, "publish", uid).stdout


class TestTopics:
    def test_a_file_is_loaded_and_listed_as_a_tree(self, desk, topic_file):
        first, second = (run(desk, "load", topic_file, of=topics).stdout for _ in range(2))
        table = run(desk, "list", of=topics).stdout

        assert "3 topics in the file, 3 new or changed." in first
        assert "3 topics in the file, 0 new or changed." in second
        assert ["topic", "water", "  rivers", "culture"] == [line[:9].rstrip() for line in table.splitlines()]
        assert "applied" in table

    def test_the_list_as_json_could_be_loaded_again(self, desk, topic_file, tmp_path):
        run(desk, "load", topic_file, of=topics)
        listed = facts(desk, "list", of=topics)
        copy = tmp_path / "copy.json"
        copy.write_text(json.dumps({
            "scheme": listed[0]["scheme"],
            "topics": [{name: value for name, value in each.items() if name != "scheme"} for each in listed],
        }))  # fmt: skip

        assert {"topic_count": 3, "changed_count": 0} == facts(desk, "load", str(copy), of=topics)

    def test_the_shipped_scheme_is_loaded_by_its_name(self, desk):
        assert {"topic_count": 17, "changed_count": 17} == facts(desk, "load", "sdg", of=topics)

    def test_a_file_of_that_name_goes_before_the_shipped_scheme(self, desk, topic_file, tmp_path, monkeypatch):
        Path(topic_file).rename(tmp_path / "sdg")
        monkeypatch.chdir(tmp_path)

        assert 3 == facts(desk, "load", "sdg", of=topics)["topic_count"]

    def test_an_unknown_name_is_told_what_there_is(self, desk):
        result = run(desk, "load", "sgd", of=topics)

        assert 2 == result.exit_code
        assert "there is no file 'sgd'; schemes that come along: sdg" in result.stderr

    def test_a_wrong_file_is_an_error(self, desk, tmp_path):
        path = tmp_path / "t.yaml"
        path.write_text("topics: []")

        assert "a list of topics" in str(run(desk, "load", str(path), of=topics).exception)


@pytest.mark.parametrize("words", [("import",), ("list",), ("show",), ("publish",), ("withdraw",), ("retag",)])
def test_help_teaches_by_example(desk, words):
    assert f"newsletter articles {words[0]}" in run(desk, *words, "--help").stdout
