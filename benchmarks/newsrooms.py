"""Newsrooms of any size, made by bulk SQL in seconds: what a million readers are to the ledger and to an edition.

PostgreSQL only. Readers share their filters as readers do: a few filters have most of them, most have a handful.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from benchmarks.edition import LIST, NOW, bring_in, topic_slugs
from newsletter.domain.articles import Kind
from newsletter.domain.filters import Filter, choose
from newsletter.domain.lists import Cadence
from newsletter.services.context import App
from newsletter.storage.engine import Session
from newsletter.storage.lists import intern_filters, load_list
from newsletter.storage.topics import load_topics

LANGUAGES = ("en", "en", "en", "ru", "ru", "ky")
"""As often as readers speak them; who shares a filter shares its language."""

PROVIDERS = ("gmail", "gmail", "gmail", "mailru", "mailru", "yandex", "microsoft", "yahoo", "apple", "other")

SKEW = 3.0
"""How unequal filters are: the first tenth of them is chosen with the odds of a tenth to the power of one by this."""

ADD_READERS = """
WITH added AS (
    INSERT INTO subscriber (uid, address, address_key, address_hmac, provider, language, created_at)
    SELECT gen_random_uuid()::text, 'reader.' || n || '@readers.example', 'reader.' || n || '@readers.example',
           encode(sha256(('reader.' || n)::bytea), 'hex'),
           (CAST(:providers AS text[]))[1 + n % cardinality(CAST(:providers AS text[]))], 'en', :joined_at
      FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) n
    RETURNING id),
placed AS MATERIALIZED (
    SELECT id, CAST(CASE WHEN number <= :given THEN number - 1 ELSE floor(:count * power(random(), :skew)) END AS int)
               AS place
      FROM (SELECT id, row_number() OVER (ORDER BY id) AS number FROM added) numbered)
INSERT INTO subscription (uid, subscriber_id, list_id, cadence, language, filter_id, state, created_at, confirmed_at,
                          catches_up)
SELECT gen_random_uuid()::text, id, :list_id, :cadence,
       (CAST(:languages AS text[]))[1 + place % cardinality(CAST(:languages AS text[]))],
       (CAST(:filters AS bigint[]))[1 + place], 'confirmed', :joined_at, :joined_at, false
  FROM placed"""
CHUNK = 200_000
SYLLABLES = ("ka", "ra", "ly", "gach", "te", "mir", "su", "dor", "an", "bel", "o", "shi")


@dataclass(frozen=True, slots=True)
class Population:
    """How many readers there are, how many distinct filters they have between them, and from how many articles."""

    readers: int
    filters: int
    articles: int = 60


def fill(app: App, population: Population, *, folder: Path, seed: int = 1) -> int:
    """Put a newsroom into empty tables: topics, articles, a weekly list, and its readers; return the list's id."""
    path = folder / "press-centre.json"
    topics = topic_slugs()
    path.write_text(json.dumps({"source": "Press Centre", "articles": articles(topics, population.articles, seed)}))
    bring_in(app, path)
    with app.transaction() as tx:
        mailing_list = load_list(tx.session, LIST)
        assert mailing_list is not None
        add_readers(tx.session, mailing_list.id, population, seed=seed)
    with app.transaction() as tx:
        tx.session.execute(text("ANALYZE"))
    return mailing_list.id


def add_readers(
    session: Session, list_id: int, population: Population, *, cadence: Cadence = Cadence.WEEKLY, seed: int = 1
) -> None:
    """Subscribe new readers to a list, each with one of the population's filters; every filter has at least one."""
    topics = [topic.id for topic in load_topics(session)]
    ids = sorted(intern_filters(session, filters(topics, population.filters, seed)).values())
    session.execute(text(f"SELECT setseed({1 / (seed + 1)})"))
    known = session.execute(text("SELECT count(*) FROM subscriber")).scalar_one()
    for start in range(0, population.readers, CHUNK):
        session.execute(
            text(ADD_READERS),
            {
                "first": known + start + 1,
                "last": known + min(start + CHUNK, population.readers),
                "providers": list(PROVIDERS),
                "languages": list(LANGUAGES),
                "list_id": list_id,
                "cadence": str(cadence),
                "filters": ids,
                "given": len(ids) if start == 0 else 0,
                "count": len(ids),
                "skew": SKEW,
                "joined_at": NOW - timedelta(days=30),
            },
        )


def filters(topics: list[int], count: int, seed: int) -> list[Filter]:
    """Return *count* distinct filters: some topics, now and then of some kinds only, now and then in some languages."""
    chance = random.Random(seed)
    found: dict[Filter, None] = {}
    while len(found) < count:
        chosen = choose(
            topics=chance.sample(topics, min(chance.choice((1, 1, 1, 2, 2, 3)), len(topics))),
            kinds=chance.sample(list(Kind), chance.choice((0, 0, 0, 1, 2, 3))),
            languages=chance.sample(("en", "ru", "ky"), chance.choice((0, 0, 0, 1, 2))),
        )
        found.setdefault(chosen)
    return list(found)


def articles(topics: Sequence[str], count: int, seed: int) -> list[dict[str, Any]]:
    """Return *count* articles of the last week in three languages, no two alike, each about some of *topics*."""
    chance = random.Random(seed)
    return [
        {
            "id": f"bench-{number}",
            "kind": chance.choice([kind.value for kind in Kind if kind is not Kind.EVENT]),
            "published": (NOW - timedelta(minutes=30 * number + 5)).isoformat(),
            "topics": chance.sample(list(topics), chance.choice((1, 1, 2, 3))),
            "language": "en",
            **_words(chance),
            "translations": {"ru": _words(chance), "ky": _words(chance)},
        }
        for number in range(count)
    ]


def _words(chance: random.Random) -> dict[str, str]:
    def prose(length: int) -> str:
        return " ".join("".join(chance.choices(SYLLABLES, k=chance.randint(1, 4))) for _ in range(length))

    return {"title": prose(9), "summary": prose(40), "markdown": prose(200)}
