"""The demo's readers are invented, the same each time, and choose what the newsroom has."""

from newsletter.demo.audience import LISTS, READER_COUNT, TOPICS, invent_readers, write_csv
from newsletter.domain.lists import Cadence
from newsletter.ingest.subscriber_csv import read_subscriber_file


def test_readers_are_the_same_every_time_and_others_with_another_seed():
    assert invent_readers() == invent_readers()
    assert invent_readers() != invent_readers(seed=1)


def test_each_reader_has_an_address_of_their_own_that_no_mail_can_reach():
    addresses = [reader.address for reader in invent_readers()]

    assert READER_COUNT == len(set(addresses))
    assert all(address.endswith(".example") for address in addresses)


def test_readers_choose_in_all_ways():
    readers = invent_readers()
    choices = [choice for reader in readers for choice in reader.choices.values()]

    assert {"en", "ru", "ky"} == {reader.language for reader in readers}
    assert {1, 2} == {len(reader.choices) for reader in readers}
    assert {slug for slug, _ in TOPICS} == {topic for choice in choices for topic in choice.topics}
    assert all(any(facet(choice) for choice in choices) for facet in (lambda c: c.kinds, lambda c: c.languages))
    assert any(not (choice.topics or choice.kinds or choice.languages) for choice in choices)


def test_there_is_a_weekly_a_daily_and_an_immediate_list():
    assert {"weekly": (Cadence.WEEKLY,), "daily": (Cadence.DAILY,), "press": (Cadence.IMMEDIATE,)} == {
        draft.slug: draft.cadences for draft in LISTS
    }


def test_the_files_to_import_hold_exactly_the_readers_of_each_list():
    readers = invent_readers()
    for draft in LISTS:
        file = read_subscriber_file(write_csv(readers, draft.slug), name="readers.csv")
        wanted = [(r.address, r.language, r.choices[draft.slug].topics) for r in readers if draft.slug in r.choices]

        assert wanted == [(line.address, line.language, line.topics) for line in file.lines()]
