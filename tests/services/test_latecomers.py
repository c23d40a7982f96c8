"""Latecomers: who confirms or chooses anew while an edition waits gets their share of it, and nobody else's changes."""

import threading
from collections.abc import Mapping
from datetime import timedelta

import pytest
from newsroom import DAY, HOUR, Newsroom, read, text_of, titles_in

from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.lists import Cadence
from newsletter.domain.variants import Block
from newsletter.services.articles import retag_article, withdraw_article
from newsletter.services.choices import change_choice
from newsletter.services.confirmations import confirm
from newsletter.services.editions import approve_edition, fan_out_edition
from newsletter.services.filters import NamedFilter
from newsletter.services.reports import find_progress
from newsletter.services.sign_ups import SignUpRequest, Wish, subscribe
from newsletter.storage import fanout
from newsletter.storage.variants import load_blocks

BASIS = {"basis": "signed up on the page", "evidence": "a test"}


@pytest.fixture
def reviewed(mailing_newsroom: Newsroom) -> Newsroom:
    """A newsroom with a list that waits for review, two topics, and a story of each in English and Russian."""
    mailing_newsroom.add_list("reviewed", review_minutes=60)
    mailing_newsroom.add_topics("water", "work")
    for title, ru in (("Rain", "Дождь"), ("Wages", "Зарплата")):
        topic = "water" if title == "Rain" else "work"
        mailing_newsroom.publish(title, ru=ru, topics=[topic])
    return mailing_newsroom


def choose(newsroom: Newsroom, name: str, *, language: str = "en", **choice: tuple[str, ...]) -> None:
    """Let a reader change what they get of the list."""
    wanted, uid = NamedFilter(**choice), newsroom.subscription(name).uid
    change_choice(newsroom.app, uid, cadence=Cadence.WEEKLY, language=language, wanted=wanted, evidence="a test")


def release(newsroom: Newsroom, edition_id: int) -> None:
    """Approve an edition in review and fan it out, twice."""
    approve_edition(newsroom.app, edition_id, actor="the editor")
    fan_out_edition(newsroom.app, edition_id)
    fan_out_edition(newsroom.app, edition_id)


def blocks(newsroom: Newsroom, edition_id: int, language: str) -> Mapping[str, Block]:
    with newsroom.app.reading() as tx:
        return load_blocks(tx.session, edition_id, language)


def assert_accounts(newsroom: Newsroom, edition_id: int, *, queued: int, **exclusions: int) -> None:
    progress = find_progress(newsroom.app, edition_id)
    assert progress.adds_up
    assert ({DeliveryState.QUEUED: queued}, exclusions) == (progress.deliveries, progress.exclusions)


@pytest.mark.slow
def test_a_filter_changed_in_review_brings_what_it_chooses(reviewed):
    """Nobody had chosen the story before, so that it was not even rendered; the others get the very same."""
    reviewed.subscribe("ann", "bek", slug="reviewed", topics=("water",))
    edition_id = reviewed.compose("reviewed")
    before = blocks(reviewed, edition_id, "en")
    choose(reviewed, "ann", topics=("work",))
    release(reviewed, edition_id)

    assert {"ann": ["Wages"], "bek": ["Rain"]} == reviewed.contents(edition_id)
    assert_accounts(reviewed, edition_id, queued=2)
    after = blocks(reviewed, edition_id, "en")
    assert before.items() < after.items()
    reviewed.send()
    [mail] = reviewed.mails()["ann"]
    assert {"Wages"} == titles_in(mail)
    assert "Wages" in read(mail)["Subject"]
    assert "Work" in text_of(mail)


def test_a_filter_that_chooses_what_others_get_shares_their_variant(reviewed):
    reviewed.subscribe("ann", slug="reviewed", topics=("water",))
    reviewed.subscribe("bek", slug="reviewed")
    edition_id = reviewed.compose("reviewed")
    before = blocks(reviewed, edition_id, "en")
    choose(reviewed, "ann", topics=("water", "work"))
    release(reviewed, edition_id)
    deliveries = reviewed.deliveries(edition_id)

    assert deliveries["ann"].variant_id == deliveries["bek"].variant_id
    assert before == blocks(reviewed, edition_id, "en")


@pytest.mark.slow
def test_a_language_that_nobody_had_is_rendered_for_whoever_chose_it_in_review(reviewed):
    reviewed.subscribe("ann", "bek", slug="reviewed")
    edition_id = reviewed.compose("reviewed")
    choose(reviewed, "ann", language="ru")
    release(reviewed, edition_id)
    reviewed.send()
    [russian], [english] = reviewed.mails()["ann"], reviewed.mails()["bek"]

    assert ("ru", "en") == (read(russian)["Content-Language"], read(english)["Content-Language"])
    assert "Дождь" in text_of(russian)
    assert "https://example.org/ru/Rain" in text_of(russian)
    assert "https://example.org/ru/" not in text_of(english)


@pytest.mark.slow
def test_a_reader_who_confirmed_in_review_gets_the_edition(reviewed):
    reviewed.subscribe("ann", slug="reviewed", topics=("water",))
    wish = SignUpRequest(address="eva@readers.example", wishes=[Wish("reviewed")], language="ru", **BASIS)
    subscribe(reviewed.app, wish)
    edition_id = reviewed.compose("reviewed")
    confirm(reviewed.app, reviewed.subscription("eva").uid, evidence="a test")
    release(reviewed, edition_id)

    assert {"ann": ["Rain"], "eva": ["Rain", "Wages"]} == {
        name: sorted(titles) for name, titles in reviewed.contents(edition_id).items()
    }
    assert_accounts(reviewed, edition_id, queued=2)


@pytest.mark.slow
def test_a_latecomer_gets_no_article_that_was_withdrawn_or_came_later(reviewed):
    wrong = reviewed.publish("Wrong")
    reviewed.subscribe("ann", "bek", slug="reviewed", topics=("water",))
    edition_id = reviewed.compose("reviewed")
    withdraw_article(reviewed.app, wrong, reason="it was wrong")
    reviewed.move(timedelta(minutes=5))
    reviewed.publish("News", age=timedelta())
    choose(reviewed, "ann")
    release(reviewed, edition_id)

    assert {"Rain", "Wages"} == set(reviewed.contents(edition_id)["ann"])


def test_a_latecomer_who_chose_nothing_in_it_is_accounted_for(reviewed):
    reviewed.subscribe("ann", "bek", slug="reviewed", topics=("water",))
    edition_id = reviewed.compose("reviewed")
    choose(reviewed, "ann", kinds=("event",))
    release(reviewed, edition_id)

    assert {"bek": ["Rain"]} == reviewed.contents(edition_id)
    assert_accounts(reviewed, edition_id, queued=1, nothing_chosen=1)


@pytest.mark.slow
def test_a_reader_who_came_from_another_cadence_in_review_gets_nothing_twice(reviewed):
    """Their choice is one that others have, but their past is not."""
    reviewed.add_list("both", cadences=(Cadence.DAILY, Cadence.WEEKLY), weekday=1, review_minutes=60)
    reviewed.subscribe("ann", slug="both", cadence="daily")
    reviewed.subscribe("bek", slug="both", cadence="weekly")
    daily = reviewed.compose("both", Cadence.DAILY)
    release(reviewed, daily)
    reviewed.publish("Afternoon", age=timedelta())
    reviewed.move(DAY)
    weekly = reviewed.compose("both")
    choose(reviewed, "ann")
    release(reviewed, weekly)

    assert {"Rain", "Wages"} == set(reviewed.contents(daily)["ann"])
    assert ["Afternoon"] == reviewed.contents(weekly)["ann"]
    assert {"Afternoon", "Rain", "Wages"} == set(reviewed.contents(weekly)["bek"])
    assert_accounts(reviewed, weekly, queued=2)


@pytest.mark.slow
def test_what_expired_for_one_reader_is_not_given_to_a_latecomer_who_had_it(reviewed):
    """An edition holds old articles for the few they never reached; who changes their filter is not one of them."""
    reviewed.subscribe("ann", "bek", slug="reviewed")
    first = reviewed.compose("reviewed")
    release(reviewed, first)
    reviewed.deliver(first, but=("bek",))
    reviewed.move(7 * DAY)
    reviewed.publish("Snow", age=HOUR, topics=["water"])
    second = reviewed.compose("reviewed")
    choose(reviewed, "ann", topics=("water", "work"))
    choose(reviewed, "bek", topics=("water",))
    release(reviewed, second)

    assert ["Snow"] == reviewed.contents(second)["ann"]
    assert {"Snow", "Rain"} == set(reviewed.contents(second)["bek"])


def test_a_choice_changed_between_two_chunks_is_served_in_a_later_one(reviewed, monkeypatch):
    monkeypatch.setattr(fanout, "CHUNK_SIZE", 1)
    reviewed.subscribe("ann", "bek", slug="reviewed", topics=("water",))
    edition_id = reviewed.compose("reviewed")
    approve_edition(reviewed.app, edition_id, actor="the editor")
    with reviewed.app.transaction() as tx:
        edition = reviewed.edition(edition_id)
        fanout.fan_out_chunk(tx.session, edition, fanout.next_readers(tx.session, edition), now=tx.now)
    choose(reviewed, "bek", topics=("work",))
    fan_out_edition(reviewed.app, edition_id)

    assert {"ann": ["Rain"], "bek": ["Wages"]} == reviewed.contents(edition_id)
    assert_accounts(reviewed, edition_id, queued=2)


@pytest.mark.slow
def test_any_number_of_processes_admit_a_latecomer_once(reviewed):
    reviewed.subscribe("ann", "bek", slug="reviewed", topics=("water",))
    edition_id = reviewed.compose("reviewed")
    choose(reviewed, "ann", language="ru", topics=("work",))
    approve_edition(reviewed.app, edition_id, actor="the editor")
    seen: list[int] = []
    threads = [
        threading.Thread(target=lambda: seen.append(fan_out_edition(reviewed.app, edition_id))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (3, 2) == (len(seen), sum(seen))
    assert {"ann": ["Wages"], "bek": ["Rain"]} == reviewed.contents(edition_id)
    assert_accounts(reviewed, edition_id, queued=2)


@pytest.mark.slow
def test_a_latecomer_sees_what_is_frozen_as_the_others_do(reviewed):
    """A story that lost its topic since stands where its block is, and under its old words."""
    uid = reviewed.publish("Pay", topics=["work"], age=HOUR)
    reviewed.subscribe("ann", slug="reviewed", topics=("water",))
    reviewed.subscribe("bek", slug="reviewed")
    edition_id = reviewed.compose("reviewed")
    before = blocks(reviewed, edition_id, "en")
    retag_article(reviewed.app, uid, remove=("work",), add=("water",))
    choose(reviewed, "ann", topics=("water",), languages=("en",))
    release(reviewed, edition_id)

    assert {"Pay", "Rain"} == set(reviewed.contents(edition_id)["ann"])
    after = blocks(reviewed, edition_id, "en")
    assert before == {key: after[key] for key in before}
    reviewed.send()
    [mail] = reviewed.mails()["ann"]
    assert {"Pay", "Rain"} == titles_in(mail)
