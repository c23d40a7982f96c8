"""Which articles SQL finds for a feed, its documents, and who gives ids."""

import random
from dataclasses import replace
from datetime import date, timedelta

import pytest
from feed_newsroom import Newsroom

from newsletter.domain.articles import ArticleState, Kind
from newsletter.domain.feeds import Authority, widen
from newsletter.domain.filters import choose, matches
from newsletter.domain.topics import ancestors
from newsletter.storage.articles import load_articles
from newsletter.storage.feed_articles import Wanted, find_candidates, find_removals, next_appearance
from newsletter.storage.feed_documents import NewDocument, load_document, load_etag, store_documents
from newsletter.storage.feeds import load_authority, mint_authority
from newsletter.storage.topics import load_topics


@pytest.mark.slow
def test_sql_and_the_domain_choose_the_same(app):
    """One rule, said twice for speed: held equal over random articles and filters."""
    newsroom, chance = Newsroom(app), random.Random(7)
    now = app.clock()
    topics = list(newsroom.topics)
    for number in range(60):
        newsroom.publish(
            number,
            topics=tuple(chance.sample(topics, chance.randint(0, 2))),
            languages=" ".join(chance.sample(["en", "ru", "ky"], chance.randint(1, 3))),
            kind=chance.choice(list(Kind)),
            published_at=now - timedelta(hours=chance.randint(-5, 40)),
            state=chance.choice([ArticleState.PUBLISHED] * 4 + [ArticleState.WITHDRAWN]),
            withdrawn_at=now,
        )
    with app.reading() as tx:
        articles = load_articles(tx.session, range(1, 100))
        parents = ancestors(load_topics(tx.session))
        for _ in range(60):
            choice = choose(
                topics=(newsroom.topics[slug] for slug in chance.sample(topics, chance.randint(0, 2))),
                kinds=chance.sample(list(Kind), chance.choice([0, 0, 1, 3])),
                sources=chance.choice([(), (), ("import",), ("elsewhere",)]),
                languages=chance.choice([(), (), ("en",), ("ru", "ky")]),
            )
            language = chance.choice(["en", "ru", "ky"])
            chosen = [each for each in articles if matches(choice, each, parents) and language in each.translations]
            published = [each for each in chosen if each.state is ArticleState.PUBLISHED]
            arguments = (tx.session, Wanted((widen(choice, parents),), language))

            assert sorted(
                ((each.id, each.visible_at) for each in published if each.visible_at <= now),
                key=lambda found: (found[1], found[0]),
                reverse=True,
            ) == find_candidates(*arguments, now=now, limit=100)
            assert min((each.visible_at for each in published if each.visible_at > now), default=None) == (
                next_appearance(*arguments, now=now)
            )
            assert {each.uid for each in chosen if each.state is ArticleState.WITHDRAWN and each.visible_at <= now} == {
                uid for uid, _ in find_removals(*arguments, limit=100)
            }


def test_the_newest_candidates_are_found_first(app):
    newsroom = Newsroom(app)
    for number in range(1, 6):
        newsroom.publish(number, published_at=app.clock() - timedelta(hours=number))
    with app.reading() as tx:
        assert [1, 2] == [article for article, _ in find_candidates(tx.session, Wanted((), "en"), now=tx.now, limit=2)]


def test_ids_are_given_by_who_was_first_for_ever(app):
    with app.reading() as tx:
        assert load_authority(tx.session) is None
    with app.transaction() as tx:
        first = mint_authority(tx.session, "news.example.org", date(2026, 3, 16))
    with app.transaction() as tx:
        second = mint_authority(tx.session, "moved.example.net", date(2027, 1, 1))

    assert Authority("news.example.org", date(2026, 3, 16)) == first == second


def test_new_bytes_get_new_validators_and_old_bytes_keep_theirs(app):
    document = NewDocument("a.atom", "e1", 3, 0, b"h1", (b"1" * 16, b"2" * 16))
    now = app.clock()
    with app.transaction() as tx:
        both = [(None, document), (None, replace(document, name="b.atom"))]
        assert {"a.atom", "b.atom"} == store_documents(tx.session, both, now=now)
    with app.transaction() as tx:
        assert {"b.atom"} == store_documents(
            tx.session,
            [
                (None, replace(document, head=b"never looked at, since its tag is the same")),
                (None, replace(document, name="b.atom", etag="e2", head=b"h2")),
                (None, replace(document, name="c.atom", head=None)),
            ],
            now=now,
        )
    with app.reading() as tx:
        kept, swapped = load_document(tx.session, "a.atom"), load_document(tx.session, "b.atom")

        assert (b"h1", document.digests, "e1", now) == (kept.head, kept.digests, kept.etag, kept.last_modified)
        assert (b"h2", "e2") == (swapped.head, swapped.etag)
        assert now + timedelta(seconds=1) == swapped.last_modified
        assert "e2" == load_etag(tx.session, "b.atom")
        assert load_etag(tx.session, "c.atom") is None is load_document(tx.session, "c.atom")
