"""Files of articles come in item by item, on both databases; whatever is repeated changes nothing."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletter.clock import fixed_clock
from newsletter.dispatch import Doorbell, RecordingDispatcher
from newsletter.domain.articles import ArticleRecord, ArticleState, Kind, TopicOrigin
from newsletter.errors import InvalidError
from newsletter.services.article_imports import (
    ImportOutcome,
    ImportResult,
    import_articles,
    import_document,
    import_files,
    source_slug,
)
from newsletter.services.articles import retag_article, show_article, withdraw_article
from newsletter.services.context import App
from newsletter.services.topics import load_topic_document
from newsletter.storage.articles import visible_articles

DATA = Path(__file__).parents[1] / "ingest" / "data"
NEWSROOM = Path(__file__).parents[3] / "shared" / "newsroom"
NEW, UPDATED, SAME, MERGED, HELD, REFUSED = ImportResult
NOW = datetime(2025, 10, 12, 2, tzinfo=UTC)
STORY = "The bridge over the river was opened this morning after two years of work. " * 3
TOPICS = """
topics:
  - {slug: bridges, labels: {en: Bridges}, rules: {en: [bridge, bridges]}, apply: true}
  - {slug: rivers, labels: {en: Rivers}, rules: {en: ["river*"], ru: [река]}}
  - {slug: roads, labels: {en: Roads}}
"""


@pytest.fixture
def desk(app: App) -> App:
    """The newsroom's parts in October 2025."""
    return replace(app, clock=fixed_clock(NOW))


def item(title="A bridge", *, paragraphs=(STORY,), date="2025-10-01", **fields) -> dict[str, object]:
    return {"title": title, "paragraphs": list(paragraphs), "date": date, **fields}


def take(app: App, *items: Mapping[str, object], source="press") -> list[ImportOutcome]:
    return import_document(app, "items.json", json.dumps(items).encode(), source=source)


def results(outcomes: list[ImportOutcome]) -> list[ImportResult]:
    return [outcome.result for outcome in outcomes]


def record_of(app: App, outcome: ImportOutcome) -> ArticleRecord:
    assert outcome.article_uid is not None
    with app.reading() as tx:
        return show_article(tx, outcome.article_uid)


def titles(app: App, now: datetime = NOW) -> list[str]:
    with app.reading() as tx:
        return [article.best_translation("en").title for article in visible_articles(tx.session, now=now)]


class TestDirtyPages:
    """Invented pages with the dirt of real ones."""

    def test_each_item_is_reported_with_what_became_of_it(self, desk):
        outcomes = import_articles(desk, DATA / "scraped.json")

        expected = [MERGED, HELD, MERGED, NEW, NEW, HELD, MERGED, HELD, NEW, NEW, NEW, REFUSED, REFUSED]
        assert expected == results(outcomes)
        assert list(range(1, 14)) == [outcome.position for outcome in outcomes]
        # A teaser merges into its article across some days.
        assert outcomes[2].article_uid == outcomes[3].article_uid
        assert "a teaser and its article: 'Repaired canal" in (outcomes[2].reason or "")
        assert datetime(2025, 10, 5, 18, tzinfo=UTC) == record_of(desk, outcomes[3]).published_at
        # One story under two titles is one article, without a date still.
        assert outcomes[5].article_uid == outcomes[6].article_uid
        assert ("a date",) == outcomes[5].lacks == outcomes[6].lacks
        assert "Clay in young hands" == record_of(desk, outcomes[6]).title
        # What is held says what it lacks, what is refused says why.
        assert ("something to read: a body, a summary or a link",) == outcomes[1].lacks
        assert ("a title",) == outcomes[7].lacks
        assert "neither a title nor a body" in (outcomes[11].reason or "")

    def test_what_an_editor_should_see_is_named_and_not_changed(self, desk):
        outcomes = import_articles(desk, DATA / "scraped.json")
        warnings = [" ".join(outcome.warnings) for outcome in outcomes]

        assert "sentences run together: 'weeks.Engineers'" in warnings[3]
        assert "dropped 1 repeated paragraph" in warnings[4]
        assert "starts in mid-sentence" in warnings[4]
        assert "и (a Cyrillic word on its own)" in warnings[8]
        assert "Gulnаra (а: Cyrillic)" in warnings[9]
        assert "sessionы" in record_of(desk, outcomes[9]).own_translation.body_html

    def test_a_second_run_says_same_of_all_that_came_in(self, desk, dispatcher):
        first = import_articles(desk, DATA / "scraped.json")
        dispatcher.rings.clear()
        second = import_articles(desk, DATA / "scraped.json")

        assert [SAME] * 11 + [REFUSED] * 2 == results(second)
        assert [each.article_uid for each in first] == [each.article_uid for each in second]
        assert [each.lacks for each in first] == [each.lacks for each in second]
        assert [] == dispatcher.rings

    def test_readers_see_what_is_complete_when_its_time_has_come(self, desk):
        import_articles(desk, DATA / "scraped.json")

        assert [
            "The bus that brings books: how nineteen villages got a library",
            "Repaired canal brings water to six villages",
            "A nurse for four valleys",
            "How a glacier is made by hand",
        ] == titles(desk)
        assert "Open day of the mountain rescue service" == titles(desk, NOW + timedelta(days=30))[0]


@pytest.mark.slow
@pytest.mark.skipif(not NEWSROOM.is_dir(), reason="the real pages are not beside this repository")
def test_the_real_pages_come_in_once(desk, dispatcher):
    """The same dirt, as two public newsrooms have it."""
    pages = import_articles(desk, NEWSROOM / "un-kyrgyzstan.json")
    programme = import_articles(desk, NEWSROOM / "usaid-cgp.json")
    dispatcher.rings.clear()
    again = import_files(desk, [NEWSROOM / "un-kyrgyzstan.json", NEWSROOM / "usaid-cgp.json"])

    assert {NEW: 15, MERGED: 2, HELD: 1, REFUSED: 2} == Counter(results(pages))
    assert [NEW, NEW, HELD, MERGED, HELD] == results(programme)
    assert [SAME if each.article_uid else REFUSED for each in [*pages, *programme]] == results(again)
    assert [] == dispatcher.rings
    # The electronic queue: the teaser is of 29 November, the article of 3 December.
    teaser, article = (each for each in pages if each.title.startswith("New electronic queue"))
    assert (MERGED, NEW, article.article_uid) == (teaser.result, article.result, teaser.article_uid)
    assert datetime(2024, 12, 2, 18, tzinfo=UTC) == record_of(desk, article).published_at
    # "Invisible no more" under two titles, without a date; a press release without a title.
    assert programme[2].article_uid == programme[3].article_uid
    assert [(), (), ("a date",), ("a date",), ("a title",)] == [each.lacks for each in programme]
    # Two publications are a date and nothing else.
    assert [REFUSED, REFUSED] == results(pages[-2:])
    assert 2 == sum("dropped 1 repeated paragraph" in each.warnings for each in pages)
    assert 2 == sum("и (a Cyrillic word on its own)" in " ".join(each.warnings) for each in programme)


class TestRepeating:
    def test_a_changed_item_is_updated_and_rung_for(self, desk, dispatcher):
        (first,) = take(desk, item(id="1"))
        dispatcher.rings.clear()
        (second,) = take(desk, item("The bridge", id="1"))

        assert (UPDATED, first.article_uid) == (second.result, second.article_uid)
        assert "The bridge" == record_of(desk, second).title
        assert {Doorbell.ARTICLE_CHANGED} <= {ring.doorbell for ring in dispatcher.rings}

    def test_without_an_id_a_changed_body_is_a_change_of_the_same_article(self, desk):
        (first,) = take(desk, item())
        (second,) = take(desk, item(paragraphs=[STORY, "It was closed again at noon."]))

        assert (UPDATED, first.article_uid) == (second.result, second.article_uid)
        assert ["A bridge"] == titles(desk)

    def test_a_change_that_makes_no_difference_is_the_same(self, desk):
        take(desk, item(id="1", url="https://example.org/a"))
        (second,) = take(desk, item(id="1"))

        assert SAME is second.result

    def test_a_withdrawn_article_does_not_come_back(self, desk):
        (first,) = take(desk, item(id="1"))
        withdraw_article(desk, first.article_uid, reason="an error")
        again, changed = take(desk, item(id="1")), take(desk, item("The bridge", id="1"))

        assert [SAME] == results(again)
        assert "the article is withdrawn and stays so" in changed[0].warnings
        assert ArticleState.WITHDRAWN is record_of(desk, first).state
        assert [] == titles(desk)

    def test_the_story_of_a_withdrawn_article_waits_for_a_person(self, desk):
        (first,) = take(desk, item(id="1"))
        withdraw_article(desk, first.article_uid, reason="an error")
        (second,) = take(desk, item(id="2"))

        assert HELD is second.result
        assert "a decision" in second.lacks[0]
        assert first.article_uid != second.article_uid

    def test_a_held_draft_is_published_by_the_item_that_completes_it(self, desk):
        (first,) = take(desk, item(id="1", date=None))
        (second,) = take(desk, item(id="1"))

        assert [HELD, UPDATED] == results([first, second])
        assert ["A bridge"] == titles(desk)

    def test_a_teaser_imported_first_is_completed_by_its_article(self, desk):
        (first,) = take(desk, item(paragraphs=[], date="2025-09-28"))
        (second,) = take(desk, item())

        assert [HELD, MERGED] == results([first, second])
        assert first.article_uid == second.article_uid
        assert datetime(2025, 9, 30, 18, tzinfo=UTC) == record_of(desk, second).published_at

    def test_the_same_story_from_another_source_is_another_article(self, desk):
        take(desk, item())
        (second,) = take(desk, item(), source="ministry")

        assert NEW is second.result

    def test_the_same_import_gives_the_same_uids_everywhere(self, desk):
        (outcome,) = take(desk, item(id="1"))

        assert "4447b22f-1295-5f61-a479-d5d96fa9067b" == outcome.article_uid


class TestOneFile:
    def test_an_item_that_stands_twice_is_one(self, desk):
        assert [NEW, SAME] == results(take(desk, item(id="1"), item(id="1")))

    def test_an_id_given_to_two_items_is_reported_and_both_come_in(self, desk):
        items = item(id="1"), item("A tunnel", paragraphs=["The tunnel is long and dark."], id="1")
        first, second = take(desk, *items), take(desk, *reversed(items))

        assert [NEW, NEW] == results(first)
        assert all("other items of the file have the id '1'" in outcome.warnings[0] for outcome in first)
        assert [SAME, SAME] == results(second)

    def test_a_failure_of_one_item_undoes_nothing_else(self, desk, monkeypatch):
        from newsletter.services import article_imports  # noqa: PLC0415  only this test breaks it

        def fail_for_a_tunnel(draft, **kwargs):
            if draft.own.title == "A tunnel":
                raise RuntimeError("broken")
            return admit(draft, **kwargs)

        admit = article_imports.admit
        monkeypatch.setattr(article_imports, "admit", fail_for_a_tunnel)
        tunnel = item("A tunnel", paragraphs=["The tunnel is long and dark."])
        outcomes = take(desk, item(), tunnel, item("A road", paragraphs=["The road is straight and wide."]))

        assert [NEW, REFUSED, NEW] == results(outcomes)
        assert "could not be stored (RuntimeError)" in (outcomes[1].reason or "")
        assert {"A bridge", "A road"} == set(titles(desk))

    def test_a_translation_may_stand_before_its_article(self, desk):
        russian = item("Мост", paragraphs=["Мост открыт."], id="1-ru", language="ru", translation_of="1")
        outcomes = take(desk, russian, item(id="1"))
        again = take(desk, russian, item(id="1"))

        assert [MERGED, NEW] == results(outcomes)
        assert "the ru translation of 'A bridge'" == outcomes[0].reason
        assert {"en", "ru"} == set(record_of(desk, outcomes[1]).translations)
        assert [SAME, SAME] == results(again)

    def test_a_changed_translation_updates_its_language_only(self, desk):
        take(desk, item(id="1"), item("Мост", id="2", language="ru", translation_of="1"))
        (changed,) = take(desk, item("Новый мост", id="2", language="ru", translation_of="1"))

        assert UPDATED is changed.result
        record = record_of(desk, changed)
        assert ("A bridge", "Новый мост") == (record.title, record.translations["ru"].title)

    def test_a_translation_of_nothing_is_refused_until_its_article_is_there(self, desk):
        russian = item("Мост", paragraphs=["Мост открыт."], language="ru", translation_of="1")
        (early,) = take(desk, russian)
        take(desk, item(id="1"))
        (later,) = take(desk, russian)

        assert [REFUSED, MERGED] == results([early, later])
        assert "import that article first" in (early.reason or "")

    def test_a_translation_into_the_articles_own_language_is_refused(self, desk):
        take(desk, item(id="1"))
        (outcome,) = take(desk, item("Another", id="2", translation_of="1"))

        assert REFUSED is outcome.result


class TestTime:
    def test_an_embargoed_article_appears_when_its_time_has_come(self, desk):
        (outcome,) = take(desk, item(embargo_until="2025-10-20T08:00"))

        assert (NEW, "appears on 2025-10-20 08:00") == (outcome.result, outcome.reason)
        assert [] == titles(desk)
        assert ["A bridge"] == titles(desk, datetime(2025, 10, 20, 2, tzinfo=UTC))

    def test_a_date_beyond_a_year_is_held_with_that_reason(self, desk):
        (outcome,) = take(desk, item(date="2099-01-01"))

        assert HELD is outcome.result
        assert "2098-12-31 is more than a year ahead" in outcome.lacks[0]


class TestTopics:
    @pytest.fixture(autouse=True)
    def topics(self, desk):
        load_topic_document(desk, "topics.yaml", TOPICS.encode())

    def slugs(self, app: App, outcome: ImportOutcome) -> dict[str, TopicOrigin]:
        from newsletter.storage.topics import load_topics  # noqa: PLC0415  it would shadow the fixture

        with app.reading() as tx:
            by_id = {topic.id: topic.slug for topic in load_topics(tx.session)}
        return {by_id[mark.topic_id]: mark.origin for mark in record_of(app, outcome).topics}

    def test_stated_ones_count_and_rules_are_applied_or_suggested(self, desk):
        (outcome,) = take(desk, item(topics=["Roads"]))

        assert {
            "roads": TopicOrigin.STATED,
            "bridges": TopicOrigin.RULE,
            "rivers": TopicOrigin.SUGGESTED,
        } == self.slugs(desk, outcome)

    def test_an_unknown_topic_is_named_with_the_remedy_and_the_article_comes_in(self, desk):
        (outcome,) = take(desk, item(topics=["roads", "tunnels"]))

        assert NEW is outcome.result
        assert "unknown topic 'tunnels': see `newsletter topics list`" in outcome.warnings[-1]

    def test_what_staff_chose_outlives_an_update(self, desk):
        (outcome,) = take(desk, item(id="1"))
        retag_article(desk, outcome.article_uid, add=["roads"], remove=["bridges"])
        (updated,) = take(desk, item("A new bridge", id="1", topics=["bridges"]))

        assert {"bridges": TopicOrigin.REMOVED, "roads": TopicOrigin.STAFF, "rivers": TopicOrigin.SUGGESTED} == (
            self.slugs(desk, updated)
        )

    def test_a_merged_teaser_adds_its_topics(self, desk):
        take(desk, item(topics=["rivers"]))
        (teaser,) = take(desk, item(paragraphs=[], topics=["roads"]))

        assert (TopicOrigin.STATED, TopicOrigin.STATED) == (
            self.slugs(desk, teaser)["rivers"],
            self.slugs(desk, teaser)["roads"],
        )


class TestSources:
    def test_nothing_comes_in_without_a_source(self, desk):
        with pytest.raises(InvalidError, match="nothing says where it comes from; give --source NAME"):
            import_document(desk, "a.json", json.dumps([item(source="Press"), item()]).encode())

        assert [] == titles(desk)

    def test_a_source_without_letters_is_refused(self, desk):
        with pytest.raises(InvalidError, match="no letters"):
            take(desk, item(), source="***")

    @pytest.mark.parametrize(
        ("name", "slug"),
        [("UN Kyrgyz Republic", "un-kyrgyz-republic"), ("Пресс-центр", "пресс-центр"), ("a_b  c!", "a-b-c")],
    )
    def test_a_name_makes_a_slug(self, name, slug):
        assert slug == source_slug(name)

    def test_two_names_with_one_slug_are_one_source(self, desk):
        take(desk, item(), source="City Press")

        assert [SAME] == results(take(desk, item(), source="city press"))


class TestFormats:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("articles.json", [NEW, NEW]),
            ("article.md", [NEW]),
            ("rss.xml", [NEW, NEW, HELD, REFUSED]),
            ("atom.xml", [NEW]),
            ("page.html", [NEW]),
        ],
    )
    def test_each_comes_in_and_a_second_run_is_the_same(self, desk, name, expected):
        first, second = import_articles(desk, DATA / name), import_articles(desk, DATA / name)

        assert expected == results(first)
        assert [REFUSED if result is REFUSED else SAME for result in expected] == results(second)

    def test_kind_and_language_hold_for_items_that_state_none(self, desk):
        content = b"# Title\n\nText."
        (outcome,) = import_document(desk, "a.md", content, source="press", language="ky", kind=Kind.SPEECH)

        record = record_of(desk, outcome)
        assert (Kind.SPEECH, "ky") == (record.kind, record.default_language)


class TestFiles:
    def test_several_files_are_one_import(self, desk):
        outcomes = import_files(desk, [DATA / "article.md", DATA / "page.html"])

        assert ["article.md", "page.html"] == [outcome.file for outcome in outcomes]

    def test_one_unreadable_file_stores_nothing_of_the_others(self, desk, tmp_path):
        broken = tmp_path / "broken.json"
        broken.write_text("[")

        with pytest.raises(InvalidError, match=r"broken\.json: no valid JSON"):
            import_files(desk, [DATA / "article.md", broken])
        with pytest.raises(InvalidError, match="cannot be read: No such file"):
            import_files(desk, [DATA / "article.md", tmp_path / "missing.json"])
        assert [] == titles(desk)


BODIES = [
    [],
    ["Short."],
    [STORY],
    [STORY, "And some more was said about it in the evening by those who had come."],
    ["Nobody expected the library to stay open so late, and yet the hall was full until midnight on all three days."],
]
ITEMS = st.fixed_dictionaries(
    {"title": st.sampled_from(["", "A bridge", "A BRIDGE", "A night"]), "paragraphs": st.sampled_from(BODIES)},
    optional={
        "date": st.sampled_from(["2025-10-01", "2025-10-03", "2025-08-01", "2099-01-01", "soon"]),
        "id": st.sampled_from(["1", "2"]),
        "url": st.sampled_from(["https://example.org/1", "http://example.org/1/"]),
        "kind": st.sampled_from(["story", "speech"]),
        "language": st.sampled_from(["en", "ru"]),
        "translation_of": st.sampled_from(["1", "9"]),
    },
)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(items=st.lists(ITEMS, max_size=6), number=st.uuids())
def test_whatever_came_in_a_second_time_it_is_the_same(desk, items, number):
    """Each example is a source of its own, so that one database serves them all."""
    desk.dispatcher.rings.clear()
    first, second = (take(desk, *items, source=f"source {number}") for _ in range(2))

    assert [SAME if each.article_uid else REFUSED for each in first] == results(second)
    assert [each.article_uid for each in first] == [each.article_uid for each in second]
    assert all(each.reason for each in first if each.result is REFUSED)


def test_readers_are_told_of_what_they_can_see_and_of_nothing_else(desk, dispatcher: RecordingDispatcher):
    take(desk, item(), item("No date", paragraphs=["Another text altogether."], date=None))

    assert 1 == sum(ring.doorbell is Doorbell.ARTICLE_CHANGED for ring in dispatcher.rings)
