"""Whole newsrooms as feeds: every document of every feed keeps the rules, whatever the articles are like."""

import json
from pathlib import Path

import feedparser
import pytest
from feed_rules import wrong_in_atom, wrong_in_json_feed, wrong_in_rss

from newsletter.demo.run import sample_files
from newsletter.domain.feeds import LARGEST_DOCUMENT, FeedFormat
from newsletter.services.article_imports import import_document
from newsletter.services.feed_documents import read_document
from newsletter.services.feed_rebuilding import rebuild_feeds
from newsletter.services.feeds import list_feeds
from newsletter.services.topics import load_topic_file

ROOT = Path(__file__).resolve().parents[2]
REAL = ROOT.parent / "shared" / "newsroom"


@pytest.fixture
def database(sqlite_database):
    """One database is enough here: these tests look at documents."""
    return sqlite_database


def real_files() -> list[tuple[str, bytes]]:
    return [(path.name, path.read_bytes()) for path in sorted(REAL.glob("*.json"))]


@pytest.mark.slow
@pytest.mark.parametrize(
    "read_files",
    [
        pytest.param(sample_files, id="the sample newsroom"),
        pytest.param(
            real_files,
            id="real pages",
            marks=pytest.mark.skipif(not REAL.is_dir(), reason="the real pages are not part of the repository"),
        ),
    ],
)
def test_every_document_of_a_whole_newsroom_keeps_the_rules(app, read_files):
    load_topic_file(app, ROOT / "newsletter" / "data" / "sdg-topics.yaml")
    for name, content in read_files():
        import_document(app, name, content)
    built = rebuild_feeds(app)
    with app.reading() as tx:
        facts = list_feeds(tx)
        documents = {name: read_document(tx, name) for each in facts for name in _names(each.feed.slug).values()}
    bodies = {name: document.body for name, document in documents.items()}

    assert [] == [each for each in built if each.problem]
    assert 3 * (1 + 17 + 6) == len(facts)
    assert sum(each.feed.entry_count for each in facts) >= 50
    assert max(map(len, bodies.values())) <= LARGEST_DOCUMENT
    for each in facts:
        names = _names(each.feed.slug)
        wrong = [
            *wrong_in_atom(bodies[names[FeedFormat.ATOM]]),
            *wrong_in_rss(bodies[names[FeedFormat.RSS]]),
            *wrong_in_json_feed(bodies[names[FeedFormat.JSON]]),
        ]
        assert [] == wrong, each.feed.slug
        items = [
            (item["id"], item["url"], item["title"]) for item in json.loads(bodies[names[FeedFormat.JSON]])["items"]
        ]
        for form in (FeedFormat.ATOM, FeedFormat.RSS) if items else ():
            feed = feedparser.parse(bodies[names[form]], sanitize_html=False, resolve_relative_uris=False)
            assert not feed.bozo
            assert items == [(entry.id, entry.link, entry.title) for entry in feed.entries], names[form]


def _names(slug: str) -> dict[FeedFormat, str]:
    return {form: f"{slug}.{form}" for form in FeedFormat}
