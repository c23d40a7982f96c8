from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, time

import pytest

from newsletter.domain.filters import EVERYTHING, Filter, choose
from newsletter.domain.lists import Cadence, InDoubtPolicy, MailingList, Schedule, SectionsBy
from newsletter.storage import lists
from newsletter.storage.engine import Database

NOON = datetime(2024, 12, 9, 12, tzinfo=UTC)


def a_list(filter_id: int, slug: str = "weekly") -> MailingList:
    return MailingList(
        id=0,
        slug=slug,
        titles={"en": "The week", "ky": "Жума"},
        descriptions={"en": "Each Monday"},
        intros={},
        from_name="Newsroom",
        from_address="news@example.org",
        reply_to=None,
        schedule=Schedule("Asia/Bishkek", time(8), 0, 1),
        cadences=(Cadence.WEEKLY, Cadence.MONTHLY),
        languages=("en", "ky"),
        filter_id=filter_id,
        sections=SectionsBy.TOPIC,
        review_minutes=None,
        in_doubt_policy=InDoubtPolicy.HOLD,
        since=NOON,
    )


def test_equal_choices_share_one_row(database: Database):
    with database.transaction() as session:
        first = lists.intern_filter(session, choose(topics=[3, 1], kinds=["story"]))
        again = lists.intern_filter(session, choose(topics=[1, 3, 3], kinds=["story"]))
        other = lists.intern_filter(session, EVERYTHING)

    assert first == again
    assert first != other


def test_filters_come_back_as_they_were_chosen(database: Database):
    choices = [choose(topics=[n], languages=["ky", "en"]) for n in range(1, 1203)]
    with database.transaction() as session:
        ids = lists.intern_filters(session, choices)
        loaded = lists.load_filters(session, [*ids.values(), 999_999])

    assert {ids[choice]: choice for choice in choices} == loaded
    assert 1202 == len(loaded)


def test_the_same_filters_interned_at_the_same_moment_get_the_same_ids(database: Database):
    choices = [choose(topics=[n], kinds=["event"]) for n in range(50)]

    def intern(order: int) -> dict[Filter, int]:
        with database.transaction() as session:
            return lists.intern_filters(session, choices[::order])

    with ThreadPoolExecutor(6) as pool:
        found = [done.result() for done in [pool.submit(intern, order) for order in (1, -1, 1, -1, 1, -1)]]

    assert all(found[0] == each for each in found)


def test_a_list_comes_back_as_it_was_added(database: Database):
    with database.transaction() as session:
        added = lists.add_list(session, a_list(lists.intern_filter(session, EVERYTHING)), now=NOON)
    with database.reading() as session:
        by_slug = lists.load_list(session, "weekly")
        by_id = lists.load_list_by_id(session, added.id)
        unknown = lists.load_list(session, "no-such")

    assert a_list(added.filter_id) == replace(added, id=0, created_at=None)
    assert NOON == added.created_at
    assert added == by_slug == by_id
    assert unknown is None


@pytest.mark.parametrize(("is_public", "expected"), [(None, ["a", "b", "c"]), (True, ["a", "c"]), (False, ["b"])])
def test_lists_come_in_order_of_slug(database: Database, is_public, expected):
    with database.transaction() as session:
        everything = lists.intern_filter(session, EVERYTHING)
        for slug in ("c", "b", "a"):
            lists.add_list(session, replace(a_list(everything, slug), is_public=slug != "b"), now=NOON)
        loaded = lists.load_lists(session, is_public=is_public)

    assert expected == [each.slug for each in loaded]
