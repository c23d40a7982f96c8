"""Compositions: deciding once per group gives each reader what deciding reader by reader would."""

from collections import Counter

import pytest
from article_samples import ANCESTORS, HOUR, LANGUAGES, NOON, article, articles, event, filters
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.domain.compositions import Assignment, Candidates, Exceptional, Group, arrange, assign, digest_of
from newsletter.domain.editions import Item, shown_language
from newsletter.domain.filters import EVERYTHING, CandidateIndex, choose, matches
from newsletter.domain.lists import SectionsBy

FALLBACKS = ("en", "ru")


@st.composite
def readerships(draw):
    """Candidates in order, who reads, and what some of them had or are owed, as revisions by article id."""
    told = draw(articles())
    fresh = draw(st.integers(0, (1 << len(told)) - 1))
    choices = draw(st.lists(filters(), min_size=1, max_size=3))
    readers = draw(
        st.lists(st.tuples(st.integers(0, len(choices) - 1), st.sampled_from((*LANGUAGES, "de"))), max_size=6)
    )
    known = st.dictionaries(st.integers(1, 9), st.integers(1, 3), max_size=4)
    pasts = {number: (draw(known), draw(known)) for number in range(len(readers)) if draw(st.booleans())}
    return Candidates(tuple(told), fresh), choices, readers, pasts


def for_one_reader(candidates, choice, language, received, owed) -> tuple[Item, ...]:
    """Decide naively, for one reader, article by article."""
    items = []
    for position, each in enumerate(candidates.articles):
        is_new = candidates.fresh >> position & 1 and received.get(each.id, 0) < each.revision
        if matches(choice, each, ANCESTORS) and (is_new or each.id in owed):
            shown = shown_language(each, (language, *FALLBACKS), choice.languages)
            items.append(Item(each.id, shown, each.revision))
    return tuple(items)


def shown_in(language: str) -> str:
    return language if language in LANGUAGES else "en"


def assign_all(candidates, choices, readers, pasts) -> Assignment:
    groups = {
        (place, language): Group(place, language, shown_in(language), choices[place], count)
        for (place, language), count in Counter(readers).items()
    }
    exceptional = [Exceptional(number, groups[readers[number]], *past) for number, past in pasts.items()]
    index = CandidateIndex(candidates.articles, ANCESTORS)
    return assign(candidates, list(groups.values()), exceptional, mask=index.mask, fallbacks=FALLBACKS)


@settings(max_examples=60)
@given(readerships())
def test_each_reader_gets_what_deciding_for_them_alone_would_give(readership):
    candidates, choices, readers, pasts = readership
    assignment = assign_all(*readership)
    by_group = {(group.filter_id, group.language): items for group, items in assignment.groups}
    by_reader = {reader.subscription_id: items for reader, items in assignment.exceptions}
    contents: Counter[tuple[str, tuple[Item, ...]]] = Counter()

    for number, (place, language) in enumerate(readers):
        received, owed = pasts.get(number, ({}, {}))
        expected = for_one_reader(candidates, choices[place], shown_in(language), received, owed)
        assert expected == by_reader.get(number, by_group[place, language])
        contents[shown_in(language), expected] += 1
    assert {content: count for content, count in contents.items() if content[1]} == assignment.readers
    for reader, items in assignment.exceptions:
        assert items != by_group[reader.group.filter_id, reader.group.language]


def test_what_a_reader_is_owed_must_still_be_what_they_choose():
    """Their edition expired, then they chose other topics: the old choice no longer speaks for them."""
    old, new = article(1, topics=(2,)), article(2, topics=(3,))
    candidates = Candidates((old, new), fresh=0b10)
    group = Group(1, "en", "en", choose(topics=[3]), 1)
    index = CandidateIndex(candidates.articles, ANCESTORS)
    assignment = assign(candidates, [group], [Exceptional(1, group, {}, {1: 1})], mask=index.mask, fallbacks=FALLBACKS)

    assert {("en", (Item(2, "en", 1),)): 1} == assignment.readers


def test_the_digest_tells_contents_apart_by_language_items_order_and_revision():
    one, two = Item(1, "en", 1), Item(2, "en", 1)
    digests = [
        digest_of("en", [one, two]),
        digest_of("en", [two, one]),
        digest_of("ru", [one, two]),
        digest_of("en", [one]),
        digest_of("en", [Item(1, "ru", 1), two]),
        digest_of("en", [Item(1, "en", 2), two]),
    ]

    assert len(set(digests)) == len(digests)
    assert digests[0] == digest_of("en", (one, two))


def sizes(*items: Item) -> dict[str, int]:
    blocks = {"head": 1, "foot": 1, "more": 1, "events": 1, "section:": 1, "section:1": 1, "section:2": 1}
    return blocks | {f"{sort}:{item.key}": 1 for item in items for sort in ("lead", "item", "brief", "event")}


def test_a_variant_is_its_lead_its_sections_and_its_events():
    told = {
        1: article(1, topics=(1,)),
        2: article(2, at=NOON - HOUR, image_url="https://example.org/a.jpg", topics=(1,)),
        3: article(3, topics=(2,)),
        4: article(4),
        5: event(5, NOON + HOUR, topics=(1,)),
    }
    items = [Item(number, "en", 1) for number in told]
    arranged = arrange(
        items, told, sections=SectionsBy.TOPIC, topic_order={1: 0, 2: 1}, cut_at=NOON, sizes=sizes(*items)
    )

    assert items[1] == arranged.lead
    expected = (
        "lead:2:en", "section:1", "item:1:en", "section:2", "item:3:en",
        "section:", "item:4:en", "events", "event:5:en",
    )  # fmt: skip
    assert ("head", *expected, "foot") == arranged.layout.blocks


def test_a_variant_of_nothing_but_events_has_no_lead():
    items = [Item(1, "en", 1)]
    arranged = arrange(
        items,
        {1: event(1, NOON + HOUR)},
        sections=SectionsBy.TOPIC,
        topic_order={},
        cut_at=NOON,
        sizes=sizes(*items),
    )

    assert arranged.lead is None
    assert ("head", "events", "event:1:en", "foot") == arranged.layout.blocks


@pytest.mark.parametrize("fresh", [0b00, 0b11])
def test_a_group_that_is_left_with_nothing_makes_no_content(fresh):
    candidates = Candidates((article(1), article(2)), fresh)
    group = Group(1, "en", "en", EVERYTHING, 1)
    past = Exceptional(1, group, {1: 1, 2: 1}, {})
    assignment = assign(
        candidates, [group], [past], mask=CandidateIndex(candidates.articles, {}).mask, fallbacks=FALLBACKS
    )

    assert {} == assignment.readers


def test_an_article_that_changed_since_its_blocks_were_rendered_stands_where_there_is_a_block_for_it():
    told = {1: article(1), 2: article(2, topics=(1,)), 3: article(3, topics=(9,)), 4: event(4, NOON + HOUR)}
    items = [Item(number, "en", 1) for number in told]
    known = {key: size for key, size in sizes(*items).items() if key not in ("section:", "section:9", "event:4:en")}
    arranged = arrange(items, told, sections=SectionsBy.TOPIC, topic_order={1: 0, 9: 1}, cut_at=NOON, sizes=known)

    assert ("head", "lead:1:en", "section:1", "item:2:en", "item:3:en", "item:4:en", "foot") == arranged.layout.blocks
