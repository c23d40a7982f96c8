"""What staff do with articles reaches readers, is announced once, and repeating it changes nothing."""

import json
import threading
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from newsletter.clock import fixed_clock
from newsletter.dispatch import Doorbell
from newsletter.domain.article_edits import StaffEdit
from newsletter.domain.articles import ArticleState, Kind
from newsletter.errors import ConflictError, InvalidError, NotFoundError
from newsletter.services.article_imports import ImportResult, import_document
from newsletter.services.articles import (
    list_articles,
    publish_article,
    retag_article,
    show_article,
    withdraw_article,
)
from newsletter.services.context import App
from newsletter.services.topics import TopicFinder, labels, list_topics, load_topic_document, load_topic_file
from newsletter.storage.articles import visible_articles

NOW = datetime(2025, 10, 12, 2, tzinfo=UTC)
LATER = datetime(2025, 10, 13, 2, tzinfo=UTC)
TOPICS = "topics: [{slug: water, labels: {en: Clean water, ru: Вода}}, {slug: roads, labels: {en: Roads}}]"


@pytest.fixture
def desk(app: App) -> App:
    """The newsroom's parts in October 2025, with two topics."""
    desk = replace(app, clock=fixed_clock(NOW))
    load_topic_document(desk, "topics.yaml", TOPICS.encode())
    return desk


def take(app: App, *items: dict[str, object]) -> list[str]:
    made = [{"title": "A bridge", "paragraphs": ["It is open."], "date": "2025-10-01"} | each for each in items]
    outcomes = import_document(app, "a.json", json.dumps(made).encode(), source="Press")
    return [outcome.article_uid or "" for outcome in outcomes]


def seen(app: App) -> list[str]:
    with app.reading() as tx:
        return [article.best_translation("en").title for article in visible_articles(tx.session, now=app.clock())]


def changed_count(dispatcher) -> int:
    return sum(ring.doorbell is Doorbell.ARTICLE_CHANGED for ring in dispatcher.rings)


class TestPublishing:
    def test_a_draft_is_published_with_what_it_lacked(self, desk, dispatcher):
        (uid,) = take(desk, {"title": "", "date": None})
        record = publish_article(desk, uid, edit=StaffEdit(title="A bridge", published=date(2025, 10, 2)))

        assert ArticleState.PUBLISHED is record.state
        assert ["A bridge"] == seen(desk)
        assert 1 == changed_count(dispatcher)

    def test_what_it_lacks_still_is_named_and_nothing_is_stored(self, desk, dispatcher):
        (uid,) = take(desk, {"title": ""})
        with pytest.raises(InvalidError, match="it lacks a title"):
            publish_article(desk, uid, edit=StaffEdit(summary="Lost"))

        with desk.reading() as tx:
            assert "It is open." == show_article(tx, uid).own_translation.summary
        assert 0 == changed_count(dispatcher)

    def test_publishing_what_is_public_changes_nothing_unless_it_is_major(self, desk, dispatcher):
        (uid,) = take(desk, {})
        dispatcher.rings.clear()
        later = replace(desk, clock=fixed_clock(LATER))
        again, major = publish_article(later, uid), publish_article(later, uid, is_major=True)

        assert (1, 2) == (again.revision, major.revision)
        assert LATER == major.updated_at
        assert 1 == changed_count(dispatcher)

    def test_a_new_date_for_what_readers_saw_is_a_conflict(self, desk):
        (uid,) = take(desk, {})

        with pytest.raises(ConflictError, match="readers have seen"):
            publish_article(desk, uid, edit=StaffEdit(published=date(2025, 1, 1)))


class TestWithdrawing:
    def test_takes_it_from_readers_and_says_why(self, desk, dispatcher):
        (uid,) = take(desk, {})
        dispatcher.rings.clear()
        first = withdraw_article(desk, uid, reason=" The figures were wrong. ")
        second = withdraw_article(desk, uid, reason="another")

        assert [] == seen(desk)
        assert "The figures were wrong." == first.withdrawal_reason == second.withdrawal_reason
        assert 1 == changed_count(dispatcher)

    def test_needs_a_reason(self, desk):
        (uid,) = take(desk, {})

        with pytest.raises(InvalidError, match="needs a reason"):
            withdraw_article(desk, uid, reason=" ")

    def test_can_be_undone_by_publishing(self, desk):
        (uid,) = take(desk, {})
        withdraw_article(desk, uid, reason="an error")
        publish_article(desk, uid)

        assert ["A bridge"] == seen(desk)


class TestRetagging:
    def test_topics_are_added_and_removed_by_slug_or_label(self, desk, dispatcher):
        (uid,) = take(desk, {"topics": ["roads"]})
        dispatcher.rings.clear()
        first = retag_article(desk, uid, add=["clean water"], remove=["roads"])
        second = retag_article(desk, uid, add=["water"], remove=["roads"])

        assert 1 == len(first.counting_topics)
        assert first == second
        assert 1 == changed_count(dispatcher)

    def test_an_unknown_topic_or_a_contradiction_changes_nothing(self, desk):
        (uid,) = take(desk, {})
        with pytest.raises(NotFoundError, match="no topic 'rivers'; `newsletter topics list`"):
            retag_article(desk, uid, add=["water", "rivers"])
        with pytest.raises(InvalidError, match="added and removed at once"):
            retag_article(desk, uid, add=["water"], remove=["Вода"])

        with desk.reading() as tx:
            assert () == show_article(tx, uid).topics


class TestLooking:
    def test_a_page_says_where_the_next_begins(self, desk):
        uids = take(desk, *({"title": f"Bridge {n}", "paragraphs": [f"Number {n}."]} for n in range(5)))
        with desk.reading() as tx:
            first = list_articles(tx, limit=3)
            rest = list_articles(tx, limit=3, before=first.next_before)

        assert uids[::-1] == [each.uid for each in (*first.articles, *rest.articles)]
        assert rest.next_before is None

    def test_articles_are_chosen_by_state_kind_source_and_topic(self, desk):
        plain, speech, draft = take(
            desk,
            {"topics": ["water"]},
            {"title": "A word", "kind": "speech", "paragraphs": ["Words."]},
            {"title": "Soon", "paragraphs": ["Then."], "date": None},
        )
        with desk.reading() as tx:
            chosen = [
                list_articles(tx, **choice).articles  # type: ignore[arg-type]  # each choice has its own types
                for choice in (
                    {"topic": "water"},
                    {"kind": Kind.SPEECH},
                    {"state": ArticleState.DRAFT},
                    {"source": "press"},
                    {"source": "city"},
                )
            ]

        assert [[plain], [speech], [draft], [draft, speech, plain], []] == [
            [each.uid for each in page] for page in chosen
        ]

    @pytest.mark.slow
    def test_a_uid_may_be_shortened_until_it_is_ambiguous(self, desk):
        uids = take(desk, *({"title": f"Bridge {n}", "paragraphs": [f"Number {n}."]} for n in range(40)))
        with desk.reading() as tx:
            assert uids[0] == show_article(tx, uids[0][:12].upper()).uid
            twice = next(uid[0] for uid in uids if sum(each[0] == uid[0] for each in uids) > 1)
            with pytest.raises(ConflictError, match="give more of it"):
                show_article(tx, twice)

    @pytest.mark.parametrize("uid", ["", " ", "zzz", "%"])
    def test_an_unknown_uid_is_not_found(self, desk, uid):
        take(desk, {})
        with desk.reading() as tx, pytest.raises(NotFoundError, match="`newsletter articles list`"):
            show_article(tx, uid)


class TestTopics:
    def test_a_file_is_loaded_once(self, desk, tmp_path):
        path = tmp_path / "topics.yaml"
        path.write_text(TOPICS + "\n")

        assert (2, 0) == (load_topic_file(desk, path).topic_count, load_topic_file(desk, path).changed_count)

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            ("topics: [{slug: a, labels: {en: A}, parent: b}]", "has the parent 'b', which is no topic"),
            ("topics: [{slug: a, labels: {en: A}, parent: a}]", "stands above itself"),
            (
                "topics: [{slug: a, labels: {en: A}, parent: b}, {slug: b, labels: {en: B}, parent: a}]",
                "stands above itself",
            ),
        ],
    )
    def test_a_tree_that_cannot_be_changes_nothing(self, desk, content, reason):
        with pytest.raises(InvalidError, match=reason):
            load_topic_document(desk, "t.yaml", content.encode())

        with desk.reading() as tx:
            assert ["water", "roads"] == [topic.slug for topic in list_topics(tx)]

    def test_a_missing_file_is_an_error(self, desk, tmp_path):
        with pytest.raises(InvalidError, match=r"there is no file .*missing\.yaml.*; schemes that come along: sdg"):
            load_topic_file(desk, tmp_path / "missing.yaml")

    def test_labels_follow_the_ids_in_the_language_asked_for(self, desk):
        with desk.reading() as tx:
            topics = list_topics(tx)
        ids, unknown = TopicFinder(topics).find(["ВОДА", "roads", "water", "air"])

        assert ["Вода", "Roads"] == labels(topics, ids, "ru", "en")
        assert ["air"] == unknown


def test_two_imports_of_one_source_at_once_make_one_article(postgresql_database, settings, dispatcher):
    """The second waits for the first, and finds what it stored."""
    app = App(settings=settings, database=postgresql_database, clock=fixed_clock(NOW), dispatcher=dispatcher)
    content = json.dumps(
        [{"title": f"Bridge {n}", "paragraphs": [f"Number {n}."], "date": "2025-10-01"} for n in range(20)]
    ).encode()
    found: list[ImportResult] = []
    start = threading.Barrier(2)

    def run() -> None:
        start.wait(timeout=10)
        found.extend(outcome.result for outcome in import_document(app, "a.json", content, source="press"))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert [20, 20] == [found.count(ImportResult.NEW), found.count(ImportResult.SAME)]
    assert 20 == len(seen(app))
