"""Articles are kept whole and found in a named order, on both databases."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from newsletter.domain.articles import (
    ArticleRecord,
    ArticleState,
    Event,
    Kind,
    TopicMark,
    TopicOrigin,
    Translation,
)
from newsletter.domain.stories import STORY_DAYS
from newsletter.domain.topics import Topic
from newsletter.storage import articles as storage
from newsletter.storage.topics import load_topics, save_topics

NOW = datetime(2025, 10, 12, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def record(number: int, *, source="press", published_at: datetime | None = NOW, **fields) -> ArticleRecord:
    return ArticleRecord(
        **{
            "id": 0,
            "uid": f"uid-{number:03}",
            "kind": Kind.STORY,
            "state": ArticleState.PUBLISHED,
            "source": source,
            "default_language": "en",
            "translations": {"en": Translation("en", f"Title {number}", "Summary", "<p>Body</p>")},
            "received_at": NOW,
            "updated_at": NOW,
            "modified_at": NOW,
            "published_at": published_at,
        }
        | fields
    )


def save(session, *records: ArticleRecord, marks=()) -> list[int]:
    for source in {each.source for each in records}:
        storage.lock_source(session, source, source.title(), now=NOW)
    return [storage.save_record(session, each, marks) for each in records]


def topic(slug: str, **fields) -> Topic:
    return replace(Topic(0, slug, "", None, 0, {"en": slug.title()}), **fields)


def test_a_record_comes_back_as_it_was(database):
    with database.transaction() as session:
        save_topics(session, [topic("water"), topic("roads")], {})
        water, roads = load_topics(session)
        full = record(
            1,
            embargo_until=NOW + DAY,
            lacks=("a title",),
            revision=3,
            translations={
                "en": Translation("en", "A", "s", "<p>b</p>", "https://e.org/a", "alt", "credit"),
                "ru": Translation("ru", "Б", "с", "<p>т</p>"),
            },
            topics=(TopicMark(roads.id, TopicOrigin.STATED), TopicMark(water.id, TopicOrigin.SUGGESTED)),
            image_url="https://e.org/i.png",
            image_width=10,
            image_height=20,
            event=Event(NOW, None, "Asia/Bishkek", "Hall", "1 Street", "0700"),
            withdrawn_at=NOW,
            withdrawal_reason="an error",
            state=ArticleState.WITHDRAWN,
        )
        (article_id,) = save(session, full)

    with database.reading() as session:
        assert replace(full, id=article_id) == storage.load_record(session, article_id)


def test_a_saved_change_replaces_what_was_there(database):
    with database.transaction() as session:
        save_topics(session, [topic("water"), topic("roads")], {})
        water, roads = load_topics(session)
        marks = (TopicMark(water.id, TopicOrigin.RULE), TopicMark(roads.id, TopicOrigin.RULE))
        event = Event(NOW, None, "UTC")
        (article_id,) = save(session, record(1, topics=marks, event=event))
    with database.transaction() as session:
        old = storage.load_record(session, article_id)
        new = replace(
            old,
            topics=(TopicMark(roads.id, TopicOrigin.STAFF),),
            event=None,
            translations={"en": replace(old.own_translation, title="New"), "ky": Translation("ky", "К", "", "")},
        )
        storage.save_record(session, new, ())

    with database.reading() as session:
        assert new == storage.load_record(session, article_id)


def test_readers_see_what_is_published_and_due_the_newest_first_then_by_id(database):
    with database.transaction() as session:
        ids = save(
            session,
            record(1, published_at=NOW - DAY),
            record(2, published_at=NOW - 2 * DAY),
            record(3, published_at=NOW - DAY),
            record(4, published_at=NOW + DAY),
            record(5, published_at=NOW - 3 * DAY, embargo_until=NOW),
            record(6, published_at=NOW - 3 * DAY, embargo_until=NOW + DAY),
            record(7, state=ArticleState.DRAFT),
            record(8, state=ArticleState.WITHDRAWN),
            record(9, state=ArticleState.DRAFT, published_at=None),
        )

    with database.reading() as session:
        visible = storage.visible_articles(session, now=NOW)
        recent = storage.visible_articles(session, now=NOW, since=NOW - DAY)
        first = storage.visible_articles(session, now=NOW, limit=2)

    assert [ids[0], ids[2], ids[1], ids[4]] == [article.id for article in visible]
    assert [ids[0], ids[2], ids[4]] == [article.id for article in recent]
    assert [ids[0], ids[2]] == [article.id for article in first]


def test_load_articles_has_withdrawn_ones_and_no_drafts_without_a_date(database):
    with database.transaction() as session:
        ids = save(
            session,
            record(1, published_at=NOW - DAY),
            record(2, state=ArticleState.WITHDRAWN),
            record(3, state=ArticleState.DRAFT, published_at=None),
        )

    with database.reading() as session:
        found = storage.load_articles(session, [*ids, *ids, 999_999])

    assert [ids[1], ids[0]] == [article.id for article in found]


def test_an_articles_topics_are_those_that_count(database):
    with database.transaction() as session:
        save_topics(session, [topic(slug) for slug in ("a", "b", "c", "d")], {})
        a, b, c, d = load_topics(session)
        origins = (TopicOrigin.SUGGESTED, TopicOrigin.STATED, TopicOrigin.REMOVED, TopicOrigin.STAFF)
        marks = tuple(TopicMark(each.id, origin) for each, origin in zip((a, b, c, d), origins, strict=True))
        save(session, record(1, topics=marks))

    with database.reading() as session:
        (article,) = storage.visible_articles(session, now=NOW)

    assert (b.id, d.id) == article.topics


def test_pages_of_records_go_back_from_the_last_received(database):
    with database.transaction() as session:
        ids = save(session, *(record(number, source=("press", "city")[number % 2]) for number in range(6)))

    with database.reading() as session:
        first = storage.records_page(session, limit=4)
        rest = storage.records_page(session, limit=4, before=first[-1].id)
        city = storage.records_page(session, source="city")
        drafts = storage.records_page(session, state=ArticleState.DRAFT)

    assert ids[::-1] == [each.id for each in (*first, *rest)]
    assert ids[5::-2] == [each.id for each in city]
    assert [] == drafts


@pytest.mark.parametrize("beginning", ["uid-00", "%", "_"])
def test_a_uid_is_found_by_its_beginning_and_not_by_a_pattern(database, beginning):
    with database.transaction() as session:
        save(session, record(1), record(2), record(3))

    with database.reading() as session:
        found = storage.find_records(session, beginning)

    assert (["uid-001", "uid-002"] if beginning == "uid-00" else []) == [each.uid for each in found]


def test_find_article_knows_no_drafts(database):
    with database.transaction() as session:
        save(session, record(1), record(2, state=ArticleState.DRAFT), record(3, state=ArticleState.WITHDRAWN))

    with database.reading() as session:
        found = [storage.find_article(session, uid) for uid in ("uid-001", "uid-002", "uid-003", "uid-004")]

    assert ["uid-001", None, "uid-003", None] == [article and article.uid for article in found]


class TestCandidates:
    def find(self, database, marks, published_at, *, source="press") -> list[str]:
        with database.transaction() as session:
            source_id = storage.lock_source(session, source, source, now=NOW).id
            return [each.uid for each in storage.story_candidates(session, source_id, marks, published_at)]

    def test_those_that_share_most_marks_come_first(self, database):
        with database.transaction() as session:
            save(session, record(1), marks={1, -2})
            save(session, record(2), marks={1, -2, 3})
            save(session, record(3), marks={4})

        assert ["uid-002", "uid-001"] == self.find(database, {1, -2, 3}, NOW)

    def test_only_of_the_source_and_of_some_days(self, database):
        with database.transaction() as session:
            save(session, record(1, source="city"), marks={1})
            save(session, record(2, published_at=NOW - STORY_DAYS), marks={1})
            save(session, record(3, published_at=NOW - STORY_DAYS - DAY), marks={1})
            save(session, record(4, published_at=None, state=ArticleState.DRAFT), marks={1})

        assert ["uid-002", "uid-004"] == self.find(database, {1}, NOW)
        assert ["uid-002", "uid-003", "uid-004"] == self.find(database, {1}, None)

    def test_never_many(self, database):
        with database.transaction() as session:
            save(session, *(record(number) for number in range(30)), marks={1})

        assert storage.MOST_CANDIDATES == len(self.find(database, {1}, NOW))

    def test_changed_marks_replace_the_old(self, database):
        with database.transaction() as session:
            (article_id,) = save(session, record(1), marks={1, 2})
            storage.save_record(session, replace(record(1), id=article_id), {2, 3})

        assert [] == self.find(database, {1}, NOW)
        assert ["uid-001"] == self.find(database, {3}, NOW)


def test_an_item_is_remembered_and_remembered_anew(database):
    with database.transaction() as session:
        first, second = save(session, record(1), record(2))
        source = storage.lock_source(session, "press", "Press", now=NOW)
        before = storage.known_item(session, source.id, "id:1")
        storage.remember_item(session, source.id, "id:1", first, "a" * 64)
        storage.remember_item(session, source.id, "id:1", second, "b" * 64)

        assert before is None
        assert storage.KnownItem(second, "b" * 64) == storage.known_item(session, source.id, "id:1")


def test_a_source_keeps_its_first_title(database):
    with database.transaction() as session:
        first = storage.lock_source(session, "press", "Press", now=NOW)

        assert first == storage.lock_source(session, "press", "PRESS", now=NOW)


def test_articles_are_counted_by_state(database):
    with database.transaction() as session:
        save(session, record(1), record(2), record(3, state=ArticleState.DRAFT))

        assert {ArticleState.DRAFT: 1, ArticleState.PUBLISHED: 2} == storage.count_by_state(session)


class TestTopics:
    def test_come_in_the_order_of_their_first_file_with_parents_and_rules(self, database):
        rules = {"en": ("clean water", "rain"), "ru": ("вода",)}
        with database.transaction() as session:
            save_topics(
                session, [topic("water", rules=rules, applies_rules=True), topic("rivers")], {"rivers": "water"}
            )
            save_topics(session, [topic("air"), topic("water", rules=rules, applies_rules=True)], {})
        with database.reading() as session:
            water, rivers, air = load_topics(session)

        assert ("water", "rivers", "air") == (water.slug, rivers.slug, air.slug)
        assert (rules, True) == (water.rules, water.applies_rules)
        assert (None, water.id) == (water.parent_id, rivers.parent_id)

    def test_a_second_time_changes_nothing_and_a_change_is_counted(self, database):
        topics = [topic("water", rules={"en": ("rain", "snow")}), topic("air")]
        with database.transaction() as session:
            counts = [save_topics(session, topics, {}), save_topics(session, topics, {})]
            counts.append(save_topics(session, [topic("water", rules={"en": ("snow", "hail")})], {}))

            assert [2, 0, 1] == counts
            assert {"en": ("hail", "snow")} == load_topics(session)[0].rules
