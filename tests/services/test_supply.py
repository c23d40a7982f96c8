"""What a sender has on lease: claimed in batches, made into mails a few at a time, handed out in order."""

import time
from collections import Counter

import pytest
from newsroom import Newsroom

from newsletter.domain.deliveries import DeliveryState, Pool
from newsletter.errors import InvalidError
from newsletter.mail.relay import Relay
from newsletter.services import admission
from newsletter.services.mailing import MailBuilder
from newsletter.services.supply import MADE_AT_ONCE, Supply

S = DeliveryState
READERS = 2 * MADE_AT_ONCE + 1
RELAY = Relay.parse("smtp://127.0.0.1:1")


@pytest.fixture
def edition_id(newsroom) -> int:
    newsroom.publish("A story")
    newsroom.subscribe(*(f"reader{number}" for number in range(READERS)))
    return newsroom.fan_out()


@pytest.fixture
def made(monkeypatch) -> list[int]:
    """The deliveries that were made into mails, in order."""
    ids: list[int] = []
    build = MailBuilder.build
    monkeypatch.setattr(MailBuilder, "build", lambda self, each: ids.append(each.id) or build(self, each))
    return ids


def supply_of(newsroom: Newsroom) -> Supply:
    supply = Supply(newsroom.app, RELAY, Pool.BULK, worker="a sender", journal=None)
    supply.claim_more(time.monotonic(), at_least=READERS, speed=0)
    return supply


@pytest.mark.slow
@pytest.mark.usefixtures("edition_id")
def test_mails_are_made_a_few_at_a_time(newsroom, made):
    supply = supply_of(newsroom)

    assert [] == made
    assert [True, True, True, False] == [supply.make_some() for _ in range(4)]
    assert (READERS, READERS) == (len(made), len(supply))


@pytest.mark.usefixtures("edition_id")
def test_what_is_asked_for_and_missing_is_made_at_once(newsroom, made):
    supply = supply_of(newsroom)

    token, mails = supply.take(MADE_AT_ONCE + 1)

    assert (bool(token), MADE_AT_ONCE + 1) == (True, len(mails))
    assert 2 * MADE_AT_ONCE == len(made)
    assert made[: MADE_AT_ONCE + 1] == [delivery.id for delivery, _ in mails]


@pytest.mark.slow
@pytest.mark.usefixtures("edition_id")
def test_nothing_is_claimed_before_all_is_made(newsroom):
    supply = Supply(newsroom.app, RELAY, Pool.BULK, worker="a sender", journal=None)
    supply.claim_more(0, at_least=1, speed=0)
    supply.claim_more(0, at_least=READERS, speed=0)
    assert 1 == len(supply)

    supply.make_some()
    supply.claim_more(0, at_least=READERS, speed=0)
    assert READERS == len(supply)


@pytest.mark.slow
def test_one_that_cannot_be_made_is_not_handed_out(newsroom, edition_id, monkeypatch):
    def build(_self, delivery):
        if delivery.address.startswith("reader3@"):
            raise InvalidError("not fit")
        return [b"a mail\r\n"]

    monkeypatch.setattr(MailBuilder, "build", build)
    supply = supply_of(newsroom)
    _, mails = supply.take(READERS)

    assert READERS - 1 == len(mails)
    assert {S.LEASED: READERS - 1, S.FAILED: 1} == Counter(newsroom.states(edition_id).values())


def test_made_or_not_it_is_given_back(newsroom, edition_id):
    supply = supply_of(newsroom)
    supply.make_some()

    supply.give_back_all()

    assert (0, ("", [])) == (len(supply), supply.take(1))
    assert {S.QUEUED: READERS} == Counter(newsroom.states(edition_id).values())


@pytest.mark.slow
@pytest.mark.usefixtures("edition_id")
def test_what_a_rate_held_back_and_frees_at_that_moment_is_claimed_next(newsroom, monkeypatch):
    """Time passes between the claim that finds nothing and the question when there will be more."""
    slow = Relay.parse("smtp://127.0.0.1:1?rate=0.01")
    supply = Supply(newsroom.app, slow, Pool.BULK, worker="a sender", journal=None)
    supply.claim_more(0, at_least=READERS, speed=0)
    supply.make_some()
    monkeypatch.setattr(admission, "seconds_until_admitted", lambda *_: 0.0)

    supply.claim_more(0, at_least=READERS, speed=0)

    assert (1, False, True) == (len(supply), supply.is_exhausted, supply.may_have_more)


@pytest.mark.slow
@pytest.mark.usefixtures("edition_id")
def test_when_all_is_claimed_there_is_no_more(newsroom):
    supply = supply_of(newsroom)
    supply.take(READERS)
    supply.claim_more(time.monotonic(), at_least=1, speed=0)

    assert (True, False) == (supply.is_exhausted, supply.may_have_more)
