"""Feeds from the database: which there are, who is rebuilt when, and what their readers see of it."""

import concurrent.futures
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from feed_newsroom import Newsroom, an_event
from lxml import etree

from newsletter.dispatch import Doorbell, Ring
from newsletter.domain.articles import Kind, TopicMark, TopicOrigin
from newsletter.domain.feeds import FeedFormat
from newsletter.errors import NotFoundError, TransientError
from newsletter.feeds.fragments import FragmentCache, PartCache
from newsletter.services import feed_building, feed_documents, feed_rebuilding
from newsletter.services.feed_building import build, prepare
from newsletter.services.feed_rebuilding import rebuild_feeds, rebuild_works
from newsletter.services.feeds import ensure_feeds, list_feeds, note_article_changes
from newsletter.services.lists import ListDraft, add_list
from newsletter.services.retention import forget_what_is_old
from newsletter.storage.articles import load_record, save_record
from newsletter.storage.feed_documents import forget_fragments, load_document, load_fragments, store_builds
from newsletter.storage.feeds import load_feeds

TOMBSTONE = "{http://purl.org/atompub/tombstones/1.0}deleted-entry"


both_databases = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
"""For what rests on the database; the other decisions are the same on any, and each test makes dozens of feeds."""


@pytest.fixture(params=["sqlite"])
def database(request):
    return request.getfixturevalue(f"{request.param}_database")


@pytest.fixture
def newsroom(app, preparations) -> Newsroom:
    return Newsroom.prepared(app, preparations)


@pytest.fixture
def bilingual(app, preparations) -> Newsroom:
    return Newsroom.prepared(app, preparations, languages="en ru")


def feed(newsroom: Newsroom, slug: str) -> dict:
    """A feed as its JSON document has it."""
    return json.loads(newsroom.document(f"{slug}.json").body)


def titles(newsroom: Newsroom, slug: str) -> list[str]:
    return [item["title"] for item in feed(newsroom, slug)["items"]]


def atom(newsroom: Newsroom, slug: str):
    return etree.fromstring(newsroom.document(f"{slug}.atom").body)


def etags(newsroom: Newsroom) -> dict[str, str]:
    with newsroom.app.reading() as tx:
        slugs = [each.slug for each in load_feeds(tx.session)]
    return {slug: newsroom.document(f"{slug}.atom").etag for slug in slugs}


@pytest.mark.slow
@both_databases
def test_there_is_a_feed_of_everything_each_topic_kind_and_list_in_each_language(bilingual):
    bilingual.rebuild()
    with bilingual.app.reading() as tx:
        facts = list_feeds(tx)

    assert 2 * (1 + 3 + 6 + 1) == len(facts)
    assert {"all-en", "topic-water-ru", "kind-press-release-ru", "list-weekly-en"} < {each.feed.slug for each in facts}
    assert not any(each.wants_rebuild for each in facts)
    assert all(bilingual.document(f"{each.feed.slug}.{form}") for each in facts for form in FeedFormat)
    assert "https://news.example.org/feeds/all-en.atom" == facts[0].addresses[FeedFormat.ATOM]
    assert all(each.size > 200 for each in facts)


def test_making_feeds_twice_makes_nothing(newsroom, dispatcher):
    with newsroom.app.transaction() as tx:
        assert 11 == ensure_feeds(tx)
    with newsroom.app.transaction() as tx:
        assert 0 == ensure_feeds(tx)

    assert [Ring(Doorbell.REBUILD_FEEDS)] == dispatcher.rings


def test_feeds_speak_their_language(bilingual):
    bilingual.publish(1, topics=("water",), languages="en ru")
    bilingual.rebuild()
    russian = feed(bilingual, "topic-water-ru")

    assert "Example Newsroom: Вода" == russian["title"]
    assert "ru" == russian["language"]
    assert "https://news.example.org/topics/water?lang=ru" == russian["home_page_url"]
    (item,) = russian["items"]
    assert "Story 1 (ru)" == item["title"]
    assert f"https://news.example.org/articles/{item['id'][-36:]}?lang=ru" == item["url"]
    assert ["Вода", "Статья"] == item["tags"]
    assert "https://news.example.org/topics/water" == feed(bilingual, "topic-water-en")["home_page_url"]
    assert "Example Newsroom" == feed(bilingual, "all-en")["title"]
    assert "Example Newsroom (Русский)" == feed(bilingual, "all-ru")["title"]


def test_a_language_without_messages_speaks_english(newsroom):
    """Its articles and the newsroom's own words are there; only labels are not translated."""
    settings = newsroom.app.settings.model_copy(update={"languages": ("en", "de")})
    newsroom.app = replace(newsroom.app, settings=settings)
    newsroom.publish(1, languages="de")
    newsroom.rebuild()

    assert "Example Newsroom (de)" == feed(newsroom, "all-de")["title"]
    assert ["Story 1 (de)"] == titles(newsroom, "all-de")


def test_a_list_has_a_feed_of_its_filter_with_its_words(newsroom):
    newsroom.publish(1, topics=("health",))
    newsroom.publish(2, topics=("water",))
    newsroom.rebuild()

    assert ["Story 1 (en)"] == titles(newsroom, "list-weekly-en")
    assert "Example Newsroom: The week" == feed(newsroom, "list-weekly-en")["title"]
    assert "What mattered & why" == feed(newsroom, "list-weekly-en")["description"]


@pytest.mark.slow
@both_databases
def test_an_article_stands_in_the_feeds_of_what_it_is_and_of_what_its_topics_lie_under(bilingual):
    bilingual.publish(1, topics=("water",), languages="en ru", kind=Kind.SPEECH)
    bilingual.rebuild()
    holding = {slug for slug in etags(bilingual) if titles(bilingual, slug)}

    assert {
        f"{feed}-{code}" for feed in ("all", "topic-water", "topic-climate", "kind-speech") for code in ("en", "ru")
    } == (holding)


@both_databases
def test_entries_stand_newest_first_and_of_one_moment_the_last_stored_first(newsroom):
    now = newsroom.app.clock()
    for number, hours in enumerate((3, 1, 2, 1), start=1):
        newsroom.publish(number, published_at=now - timedelta(hours=hours))
    newsroom.rebuild()

    assert ["Story 4 (en)", "Story 2 (en)", "Story 3 (en)", "Story 1 (en)"] == titles(newsroom, "all-en")


@both_databases
def test_an_unrelated_article_leaves_other_feeds_alone(newsroom):
    newsroom.publish(1, topics=("water",))
    newsroom.rebuild()
    before = etags(newsroom)
    newsroom.later(hours=1).publish(2, topics=("health",))
    rebuilt = newsroom.rebuild()
    after = etags(newsroom)

    assert {"all-en", "topic-health-en", "kind-story-en", "list-weekly-en"} == set(rebuilt)
    assert set(rebuilt) == {slug for slug in before if before[slug] != after[slug]}


def test_nothing_changed_rebuilds_nothing(newsroom):
    newsroom.publish(1)
    newsroom.rebuild()

    assert {} == newsroom.rebuild()


@pytest.mark.slow
@both_databases
def test_a_forced_rebuild_keeps_bytes_and_validators(newsroom, monkeypatch):
    """The same data makes the same bytes, whenever and in whichever process they are made."""
    newsroom.publish(1, topics=("water",), languages="en ru")
    newsroom.rebuild()
    before = [newsroom.document(f"{slug}.{form}") for slug in etags(newsroom) for form in FeedFormat]
    monkeypatch.setattr(feed_building, "FRAGMENTS", FragmentCache())
    outcomes = rebuild_feeds(newsroom.later(days=3).app, is_forced=True)
    after = [newsroom.document(f"{slug}.{form}") for slug in etags(newsroom) for form in FeedFormat]

    assert 11 == len(outcomes)
    assert [()] * 11 == [outcome.changed for outcome in outcomes]
    assert before == after


@both_databases
def test_a_typo_changes_the_validators_and_not_the_times(newsroom):
    article = newsroom.publish(1)
    newsroom.rebuild()
    before, then = newsroom.document("all-en.atom"), atom(newsroom, "all-en")
    newsroom.later(minutes=5).change(article, body_html="<p>Mended.</p>")
    newsroom.rebuild()
    after, now = newsroom.document("all-en.atom"), atom(newsroom, "all-en")

    assert before.etag != after.etag
    assert timedelta(minutes=5) == after.last_modified - before.last_modified
    assert [each.text for each in then.iter("{*}updated")] == [each.text for each in now.iter("{*}updated")]


def test_a_significant_update_is_told(newsroom):
    article = newsroom.publish(1)
    newsroom.later(hours=2).change(article, updated_at=newsroom.app.clock(), revision=2)
    newsroom.rebuild()
    root = atom(newsroom, "all-en")

    assert [newsroom.app.clock().isoformat()] * 2 == [each.text for each in root.iter("{*}updated")]
    assert (newsroom.app.clock() - timedelta(hours=2)).isoformat() == root.find("{*}entry").findtext("{*}published")


@both_databases
def test_a_withdrawn_article_leaves_its_feeds_and_is_named_as_removed(newsroom):
    newsroom.publish(1, topics=("water",))
    article = newsroom.publish(2, topics=("water",))
    newsroom.rebuild()
    newsroom.later(hours=1).withdraw(article)
    newsroom.rebuild()
    root = atom(newsroom, "topic-climate-en")
    (tombstone,) = root.iter(TOMBSTONE)

    assert ["Story 1 (en)"] == titles(newsroom, "all-en") == titles(newsroom, "topic-climate-en")
    assert "0198c0de-0000-7000-8000-000000000002" == tombstone.get("ref")[-36:]
    assert newsroom.app.clock().isoformat() == tombstone.get("when") == root.findtext("{*}updated")
    assert [] == list(atom(newsroom, "topic-health-en").iter(TOMBSTONE))


def test_an_article_withdrawn_before_anybody_saw_it_is_not_named(newsroom):
    article = newsroom.publish(1, embargo_until=newsroom.app.clock() + timedelta(days=1))
    newsroom.withdraw(article)
    newsroom.rebuild()

    assert [] == list(atom(newsroom, "all-en").iter(TOMBSTONE))


@both_databases
def test_a_retagged_article_leaves_one_feed_and_joins_another(newsroom):
    article = newsroom.publish(1, topics=("health",))
    newsroom.rebuild()
    newsroom.retag(article, "water")
    rebuilt = newsroom.rebuild()

    assert {"topic-health-en", "topic-water-en", "topic-climate-en", "list-weekly-en"} < set(rebuilt)
    assert [] == titles(newsroom, "topic-health-en") == titles(newsroom, "list-weekly-en")
    assert ["Story 1 (en)"] == titles(newsroom, "topic-water-en")


@both_databases
def test_an_article_under_embargo_appears_when_its_time_has_come(newsroom):
    """Nobody rings for it: it is found by looking."""
    embargo = newsroom.app.clock() + timedelta(hours=3)
    newsroom.publish(1, topics=("water",), embargo_until=embargo)
    newsroom.rebuild()
    assert [] == titles(newsroom, "all-en")

    assert {} == newsroom.at(embargo - timedelta(seconds=1)).rebuild()
    assert {"all-en", "topic-water-en", "topic-climate-en", "kind-story-en"} == set(newsroom.at(embargo).rebuild())
    assert embargo.isoformat() == feed(newsroom, "all-en")["items"][0]["date_published"]
    assert {} == newsroom.rebuild()


def test_the_clock_set_back_loses_nothing(newsroom):
    article = newsroom.publish(1)
    newsroom.rebuild()
    first = newsroom.document("all-en.atom").last_modified
    newsroom.later(days=-30).change(article, title="Mended")
    newsroom.rebuild()

    assert first + timedelta(seconds=1) == newsroom.document("all-en.atom").last_modified


def test_a_lost_doorbell_delays_and_loses_nothing(newsroom):
    """What was noted in the transaction is found by whoever looks next."""
    newsroom.rebuild()
    newsroom.publish(1)

    assert "all-en" in newsroom.rebuild()
    assert ["Story 1 (en)"] == titles(newsroom, "all-en")


@both_databases
def test_a_change_noted_for_nothing_changes_no_bytes(newsroom):
    article = newsroom.publish(1, topics=("water",))
    newsroom.rebuild()
    with newsroom.app.transaction() as tx:
        note_article_changes(tx, (article,))
    rebuilt = newsroom.rebuild()

    assert {"all-en", "topic-water-en", "topic-climate-en", "kind-story-en"} == set(rebuilt)
    assert {()} == set(rebuilt.values())
    assert {} == newsroom.rebuild()


def test_many_changes_at_once_are_marked_in_portions(newsroom, monkeypatch):
    monkeypatch.setattr(feed_rebuilding, "CHANGES_AT_ONCE", 2)
    for number in range(1, 6):
        newsroom.publish(number, topics=("water",) if number == 5 else ())
    newsroom.rebuild()

    assert 5 == len(titles(newsroom, "all-en"))
    assert 1 == len(titles(newsroom, "topic-water-en"))


@both_databases
def test_a_change_under_way_keeps_its_note(newsroom):
    """Whoever marks feeds before a change is committed leaves the note to whoever comes after."""
    article = newsroom.publish(1, topics=("water",))
    newsroom.rebuild()
    if newsroom.app.database.is_sqlite:  # a second writer waits, so that there is nothing under way to be seen
        newsroom.retag(article, "health")
    else:
        with newsroom.app.transaction() as tx:
            record = load_record(tx.session, article)
            marks = (TopicMark(newsroom.topics["health"], TopicOrigin.STAFF),)
            save_record(tx.session, replace(record, topics=marks), ())
            note_article_changes(tx, (article,))
            newsroom.rebuild()
    newsroom.rebuild()

    assert ["Story 1 (en)"] == titles(newsroom, "topic-health-en")
    assert [] == titles(newsroom, "topic-water-en")


def test_noting_rings_after_commit(newsroom, dispatcher):
    article = newsroom.publish(1)
    dispatcher.rings.clear()
    with newsroom.app.transaction() as tx:
        note_article_changes(tx, (article,))
        note_article_changes(tx, (article,))
        assert [] == dispatcher.rings
    with newsroom.app.transaction() as tx:
        note_article_changes(tx, ())

    assert [Ring(Doorbell.REBUILD_FEEDS)] == dispatcher.rings


@pytest.mark.slow
def test_a_renamed_newsroom_or_moved_address_rebuilds_all_and_keeps_ids(newsroom):
    newsroom.publish(1)
    newsroom.rebuild()
    before = feed(newsroom, "all-en")
    settings = newsroom.app.settings.model_copy(update={"name": "New name", "base_url": "https://new.example.net"})
    newsroom.app = replace(newsroom.app, settings=settings)
    rebuilt = newsroom.rebuild()
    after = feed(newsroom, "all-en")

    assert 11 == len(rebuilt)
    assert "New name" == after["title"]
    assert "https://new.example.net/feeds/all-en.json" == after["feed_url"]
    assert before["items"][0]["id"] == after["items"][0]["id"]
    assert before["items"][0]["id"].startswith("tag:news.example.org,2026-03-16:article/")
    assert {} == newsroom.rebuild()


def test_a_list_that_is_hidden_has_no_feed(newsroom):
    add_list(newsroom.app, ListDraft(slug="staff", titles={"en": "Staff"}, is_public=False))
    newsroom.rebuild()

    assert newsroom.document("list-staff-en.atom") is None


@pytest.mark.slow
@both_databases
def test_a_language_that_is_dropped_takes_its_feeds_along(bilingual):
    bilingual.rebuild()
    settings = bilingual.app.settings.model_copy(update={"languages": ("en",)})
    bilingual.app = replace(bilingual.app, settings=settings)
    bilingual.rebuild()

    assert bilingual.document("all-ru.atom") is None
    assert bilingual.document("all-en.atom") is not None
    assert b"all-ru" not in bilingual.document("feeds.opml").body


@pytest.mark.slow
@both_databases
def test_a_feed_that_cannot_be_built_keeps_its_documents_and_harms_no_other(newsroom, monkeypatch):
    newsroom.publish(1, topics=("water",))
    newsroom.rebuild()
    before = newsroom.document("topic-water-en.atom")
    write = feed_building.write_documents

    def failing(head, fitted):
        if head.slug == "topic-water-en":
            raise ZeroDivisionError("broken")
        return write(head, fitted)

    monkeypatch.setattr(feed_building, "write_documents", failing)
    newsroom.later(hours=1).publish(2, topics=("water",))
    outcomes = {built.slug: built for built in rebuild_feeds(newsroom.app)}

    assert ["topic-water-en"] == [slug for slug, built in outcomes.items() if built.has_failed]
    assert "ZeroDivisionError: broken" == outcomes["topic-water-en"].problem
    assert before == newsroom.document("topic-water-en.atom")
    assert 2 == len(titles(newsroom, "topic-climate-en"))

    assert {} == newsroom.rebuild(), "it waits a little before it is tried again"
    monkeypatch.undo()
    assert {"topic-water-en"} == set(newsroom.later(minutes=1).rebuild())
    assert 2 == len(titles(newsroom, "topic-water-en"))


def test_a_bad_article_is_left_out_and_reported(newsroom):
    start = newsroom.app.clock() + timedelta(days=2)
    newsroom.publish(1, kind=Kind.EVENT, event=replace(an_event(start), zone="Mars/Olympus"))
    newsroom.publish(2)
    outcomes = {built.slug: built for built in rebuild_feeds(newsroom.app)}

    assert ["Story 2 (en)"] == titles(newsroom, "all-en")
    assert not outcomes["all-en"].has_failed
    assert outcomes["all-en"].problem.startswith("article 0198c0de-0000-7000-8000-000000000001 is left out: ")
    assert outcomes["kind-story-en"].problem is None


def test_an_event_is_told_with_time_and_place(newsroom):
    newsroom.publish(1, kind=Kind.EVENT, languages="en ru", event=an_event(newsroom.app.clock() + timedelta(days=2)))
    newsroom.rebuild()
    content = feed(newsroom, "kind-event-en")["items"][0]["content_html"]

    assert "<strong>When:</strong> Wednesday" in content
    assert "<strong>Where:</strong> Hall &lt;2&gt;, 1 Park St<br>" in content
    assert "<strong>Contact:</strong> Press office</p>" in content


def test_a_translation_without_a_title_stands_in_no_feed(newsroom):
    newsroom.publish(1, title="")
    outcomes = rebuild_feeds(newsroom.app)

    assert [] == titles(newsroom, "all-en")
    assert {None} == {built.problem for built in outcomes}


def test_the_day_of_an_article_is_said_in_the_newsrooms_zone(app):
    """Late in the evening in UTC it is the next day in Bishkek; who moves the newsroom has all feeds built anew."""
    newsroom = Newsroom(replace(app, settings=app.settings.model_copy(update={"languages": ("en",), "zone": "UTC"})))
    newsroom.publish(1, published_at=datetime(2026, 3, 1, 21, tzinfo=UTC))
    newsroom.rebuild()
    said = {"UTC": newsroom.document("all-en.atom").body}
    moved = replace(newsroom.app, settings=newsroom.app.settings.model_copy(update={"zone": "Asia/Bishkek"}))
    with moved.transaction() as tx:
        ensure_feeds(tx)
    rebuild_feeds(moved)
    said["Asia/Bishkek"] = newsroom.document("all-en.atom").body

    assert b">1 March 2026</time>" in said["UTC"]
    assert b">2 March 2026</time>" in said["Asia/Bishkek"]


@both_databases
def test_who_was_overtaken_writes_nothing(newsroom):
    """Two workers build one feed; the one that read earlier and finishes later does not undo the other's work."""
    newsroom.rebuild()
    newsroom.publish(1)
    with newsroom.app.reading() as tx:
        early = prepare(tx, [each for each in load_feeds(tx.session) if each.slug == "all-en"])
    newsroom.publish(2)
    newsroom.rebuild()
    (outcome,) = rebuild_works(newsroom.app, early)

    assert () == outcome.changed
    assert ["Story 2 (en)", "Story 1 (en)"] == titles(newsroom, "all-en")


@both_databases
def test_a_change_during_the_build_is_not_forgotten(newsroom):
    newsroom.rebuild()
    newsroom.publish(1)
    with newsroom.app.reading() as tx:
        works = prepare(tx, [each for each in load_feeds(tx.session) if each.slug == "all-en"])
    newsroom.publish(2)
    rebuild_works(newsroom.app, works)

    assert ["Story 1 (en)"] == titles(newsroom, "all-en")
    assert "all-en" in newsroom.rebuild()
    assert ["Story 2 (en)", "Story 1 (en)"] == titles(newsroom, "all-en")


def test_all_feeds_are_listed_in_one_document(newsroom):
    newsroom.rebuild()
    stored = newsroom.document("feeds.opml")
    root = etree.fromstring(stored.body)
    urls = [outline.get("xmlUrl") for outline in root.iter("outline") if outline.get("xmlUrl")]

    assert 11 == len(urls) == stored.entry_count
    assert "https://news.example.org/feeds/all-en.atom" == urls[0]
    assert ["Everything", "Topics", "Kinds", "Newsletters"] == [each.get("text") for each in root.find("body")]
    newsroom.later(days=1).publish(1)
    newsroom.rebuild()
    assert stored == newsroom.document("feeds.opml")


def test_an_unknown_feed_is_named(newsroom):
    with pytest.raises(NotFoundError, match="there is no feed all-xx; see `newsletter feeds list`"):
        rebuild_feeds(newsroom.app, ["all-en", "all-xx"])


def test_progress_is_told_feed_by_feed(newsroom):
    told = []
    rebuild_feeds(newsroom.app, on_built=lambda built, total: told.append((built.slug, total)))

    assert [11] * 11 == [total for _, total in told]
    assert "all-en" == told[0][0]


@pytest.mark.slow
@both_databases
def test_many_who_publish_and_rebuild_at_once_leave_every_feed_right(newsroom):
    """Nobody waits in a circle, and whatever the order was, building all anew finds every byte as it should be."""
    newsroom.rebuild()

    def publish_and_rebuild(worker: int) -> None:
        mine = replace(newsroom)
        for number in range(2):
            topic = ("water", "health", "climate")[(worker + number) % 3]
            article = mine.publish(10 * worker + number, topics=(topic,))
            mine.rebuild()
            mine.retag(article, "water", "health")
            mine.rebuild()

    with ThreadPoolExecutor(3) as workers:
        list(workers.map(publish_and_rebuild, range(3)))
    newsroom.rebuild()

    assert 6 == len(titles(newsroom, "topic-water-en")) == len(titles(newsroom, "all-en"))
    assert {()} == {built.changed for built in rebuild_feeds(newsroom.app, is_forced=True)}


@both_databases
def test_an_article_is_stored_once_however_many_feeds_hold_it(newsroom):
    newsroom.publish(1, topics=("water",))
    newsroom.rebuild()

    with newsroom.app.reading() as tx:
        stored = [load_document(tx.session, f"{slug}.{form}") for slug in HOLDING for form in FeedFormat]
        digests = {digest for each in stored for digest in each.digests}

        assert 1 == len(digests) == len(load_fragments(tx.session, digests))
        assert len(HOLDING) * 3 == len([each for each in stored if each.digests])


HOLDING = ("all-en", "topic-water-en", "topic-climate-en", "kind-story-en")


@both_databases
def test_what_no_document_is_made_of_any_more_is_forgotten_after_an_hour(newsroom):
    article = newsroom.publish(1)
    newsroom.publish(2)
    newsroom.rebuild()
    with newsroom.app.reading() as tx:
        before = load_document(tx.session, "all-en.atom").digests
    newsroom.later(minutes=5).change(article, title="Mended")
    newsroom.rebuild()
    with newsroom.app.transaction() as tx:
        assert 0 == forget_fragments(tx.session, now=tx.now), "documents may be about to name it"
    forget_what_is_old(newsroom.later(hours=2).app)

    with newsroom.app.reading() as tx:
        after = load_document(tx.session, "all-en.atom").digests
        assert set(before) & set(after) == load_fragments(tx.session, before).keys()
        assert 2 == len(load_fragments(tx.session, after))
    assert ["Mended", "Story 2 (en)"] == sorted(titles(newsroom, "all-en"))


def test_a_document_that_is_swapped_during_each_look_is_asked_for_again(newsroom, monkeypatch):
    newsroom.publish(1)
    newsroom.rebuild()
    monkeypatch.setattr(feed_documents, "load_fragments", lambda *_: {})
    monkeypatch.setattr(feed_documents, "PARTS", PartCache())

    with newsroom.app.reading() as tx, pytest.raises(TransientError, match="ask again"):
        feed_documents.read_document(tx, "all-en.atom")


@pytest.mark.slow
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("is_first", [True, False], ids=["who stores is first", "who forgets is first"])
def test_what_is_named_again_while_it_is_forgotten_stands_in_the_feed(newsroom, is_first):
    """An article goes back to words it had: its old fragment is there, named by nothing and hours old."""
    article = newsroom.publish(1)
    newsroom.rebuild()
    newsroom.change(article, title="Mended")
    newsroom.rebuild()
    newsroom.later(hours=2).change(article, title="Story 1 (en)")
    with newsroom.app.reading() as tx:
        works = prepare(tx, load_feeds(tx.session))
    builds = [build(work) for work in works]

    def store() -> None:
        with newsroom.app.transaction() as tx:
            store_builds(tx.session, builds, now=tx.now)
            if is_first:
                other.submit(forget).result(timeout=PATIENCE)

    def forget() -> None:
        with newsroom.app.transaction() as tx:
            forgotten.append(forget_fragments(tx.session, now=tx.now))
            if not is_first:
                storing.append(other.submit(store))
                concurrent.futures.wait(storing, timeout=0.3)

    forgotten: list[int] = []
    storing: list[concurrent.futures.Future[None]] = []
    with ThreadPoolExecutor(1) as other:
        store() if is_first else forget()
        for each in storing:
            each.result(timeout=PATIENCE)

    assert [0 if is_first else 1] == forgotten
    assert ["Story 1 (en)"] == titles(newsroom, "all-en")


PATIENCE = 60
"""Seconds in which a thread that waits for nothing has ended, on any machine."""
