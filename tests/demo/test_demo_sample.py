"""The sample newsroom has what the demo promises: kinds, languages, weeks, events, pictures, and real input's dirt."""

import json
import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from newsletter.demo.calendar import BEGINNING, END, ZONE
from newsletter.demo.run import open_demo, sample_files
from newsletter.domain.articles import Kind
from newsletter.ingest.fields import Defaults
from newsletter.ingest.readers import read_document
from newsletter.ingest.topic_file import read_topics
from newsletter.services.articles import import_document
from newsletter.services.topics import load_topic_document

PACKAGE = Path(__file__).parents[2] / "newsletter"
IMAGES = PACKAGE / "demo/images"
TOPICS = PACKAGE / "data/sdg-topics.yaml"
LANGUAGES = {"en", "ru", "ky"}
SCRAPED = "scraped-website.json"
LARGEST_IMAGE = 60_000


@pytest.fixture(scope="module")
def drafts():
    """Every item of the files that the newsroom wrote itself, and of its partner's feed."""
    defaults = Defaults(zone=ZONE, language="en")
    return [
        item.draft
        for name, content in sample_files()
        if name != SCRAPED
        for item in read_document(
            name, content.replace(b"/demo/images/", b"http://localhost/demo/images/"), defaults
        ).items
    ]


@pytest.fixture(scope="module")
def topics():
    return [stated.topic for stated in read_topics(TOPICS.name, TOPICS.read_bytes())]


def test_the_sample_has_articles_of_every_kind(drafts):
    kinds = Counter(draft.kind for draft in drafts)

    assert len(drafts) >= 36
    assert set(Kind) == set(kinds)
    assert min(kinds.values()) >= 3


def test_the_sample_speaks_three_languages_and_translates_some(drafts):
    spoken = [{text.language for text in draft.texts} for draft in drafts]

    assert sum(languages == LANGUAGES for languages in spoken) >= 14
    assert sum(len(languages) == 2 for languages in spoken) >= 8
    assert LANGUAGES == set().union(*(languages for languages in spoken if len(languages) == 1))


def test_every_text_has_a_title_a_summary_and_some_paragraphs(drafts):
    texts = [text for draft in drafts for text in draft.texts]

    assert [] == [text.title for text in texts if not (text.title and text.summary)]
    assert [] == [text.title for text in texts if not 80 <= len(text.body_text.split()) <= 420]


def test_translations_have_as_many_headings_and_list_items_as_the_original(drafts):
    shapes = [
        {text.language: Counter(re.findall(r"<(h\d|li|p)>", text.body_html)) for text in draft.texts}
        for draft in drafts
    ]

    assert [] == [shape for shape in shapes if len({tuple(sorted(each.items())) for each in shape.values()}) > 1]


def test_news_appears_in_each_of_five_weeks(drafts):
    weeks = Counter((draft.published_at(ZONE) - BEGINNING) // timedelta(weeks=1) for draft in drafts)

    assert set(range(5)) == set(weeks)
    assert min(weeks.values()) >= 6


def test_events_say_when_where_and_whom_to_ask_and_most_are_still_to_come(drafts):
    events = [draft.event for draft in drafts if draft.kind is Kind.EVENT]

    assert all(
        event.ends_at > event.starts_at and event.zone and event.venue and event.address and event.contact
        for event in events
    )
    assert sum(END < event.starts_at < END + timedelta(weeks=3) for event in events) >= 4


def test_every_picture_is_there_small_and_described_in_each_language(drafts):
    pictured = [draft for draft in drafts if draft.image_url]
    used = {draft.image_url.rpartition("/")[2] for draft in pictured}

    assert len(used) >= 10
    assert used == {path.name for path in IMAGES.iterdir()}
    assert all(path.stat().st_size <= LARGEST_IMAGE for path in IMAGES.iterdir())
    assert all((draft.image_width, draft.image_height) == (1200, 630) for draft in pictured)
    assert [] == [t.title for draft in pictured for t in draft.texts if not (t.image_alt and t.image_credit)]
    assert all(len({text.image_alt for text in draft.texts}) == len(draft.texts) for draft in pictured)


def test_no_file_holds_the_letters_of_another_alphabet_but_the_scraped_one(drafts):
    """Cyrillic inside a Latin word is the scraped file's own dirt."""
    mixed = re.compile(r"[a-z][\u0400-\u04ff]|[\u0400-\u04ff][a-z]", re.IGNORECASE)

    assert [] == [
        found.group()
        for draft in drafts
        for text in draft.texts
        for found in mixed.finditer(f"{text.title} {text.summary} {text.body_text}")
    ]


def test_one_article_is_under_embargo_when_the_demo_ends(drafts):
    assert 1 == sum(draft.embargo_until is not None and draft.embargo_until > END for draft in drafts)


def test_there_are_seventeen_topics_with_labels_and_words_in_each_language(topics):
    assert 17 == len(topics)
    assert all(set(topic.labels) == LANGUAGES == set(topic.rules) for topic in topics)
    assert {True, False} == {topic.applies_rules for topic in topics}


def test_every_stated_topic_exists_and_every_topic_is_stated(drafts, topics):
    stated = {slug for draft in drafts for slug in draft.topics}

    assert {topic.slug for topic in topics} == stated


@pytest.mark.slow
def test_every_item_becomes_what_it_should(tmp_path):
    with open_demo(tmp_path, base_url="http://localhost:8000") as demo:
        load_topic_document(demo.app, TOPICS.name, TOPICS.read_bytes())
        outcomes = {
            name: [
                (outcome.result.value, outcome.lacks, outcome.warnings)
                for outcome in import_document(
                    demo.app, name, content.replace(b"/demo/images/", b"http://localhost/demo/images/")
                )
            ]
            for name, content in sample_files()
        }
    scraped = outcomes.pop(SCRAPED)
    clean = [outcome for each in outcomes.values() for outcome in each]

    assert {"new"} == {result for result, _, _ in clean}
    assert ["merged", "new", "new", "merged", "new", "new", "held", "held", "held", "refused"] == [
        result for result, _, _ in scraped
    ]
    assert [("a title",), ("a date",)] == [lacks for _, lacks, _ in scraped[6:8]]
    assert "dropped 1 repeated paragraph" in scraped[4][2]
    assert any("letters of another alphabet" in warning for warning in scraped[5][2])


def test_the_scraped_items_are_dirty_in_the_ways_of_real_ones():
    items = json.loads(dict(sample_files())[SCRAPED])
    titles = Counter(item["title"] for item in items if item["title"])
    bodies = Counter(item["paragraphs"][-1] for item in items if item["paragraphs"])

    assert 2 in titles.values(), "a teaser and its article"
    assert 2 in bodies.values(), "one story under two titles"
    assert any(len(set(item["paragraphs"])) < len(item["paragraphs"]) for item in items)
    assert {(False, True), (True, False), (False, False)} <= {
        (bool(item["title"]), bool(item["paragraphs"])) for item in items
    }
    assert None in {item["date"] for item in items}


def test_the_calendar_begins_and_ends_on_mondays():
    assert (date(2025, 9, 1), date(2025, 10, 6)) == (BEGINNING.astimezone(ZONE).date(), END.astimezone(ZONE).date())
    assert END > datetime(2025, 10, 6, 2, tzinfo=UTC), "the last weekly digest is due before it"
