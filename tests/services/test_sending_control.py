"""Control of real slices, two at once, over SMTP: limits hold for both together, and a stop bites in the middle."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from newsroom import Newsroom
from sqlalchemy import select

from newsletter.domain.deliveries import Pool
from newsletter.domain.editions import EditionState
from newsletter.domain.limits import Allowance, Limit
from newsletter.mail.relay import Relay
from newsletter.services.admission import admit, charge
from newsletter.services.inquiries import tell_story
from newsletter.services.lists import set_canary
from newsletter.services.sending import send_slice
from newsletter.services.stops import pause_sending
from newsletter.storage import ledger
from newsletter.storage.deliveries import DeliveryRow
from newsletter.storage.limits import save_limit
from newsletter.storage.relays import RelayRow


def an_edition(newsroom: Newsroom, readers: int) -> int:
    """Return an edition that is being sent to so many readers at one provider."""
    newsroom.subscribe(*(f"reader{number}" for number in range(readers)))
    newsroom.publish("A story")
    return newsroom.fan_out()


def together(*works: Callable[[], object]) -> None:
    """Do all of it at once."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.slow
def test_two_senders_together_keep_a_relays_rate(mailing_newsroom: Newsroom) -> None:
    """Twenty mails at ten in a second: ten at once, the others in a second more, whoever sends them."""
    newsroom = mailing_newsroom
    edition_id = an_edition(newsroom, 20)
    relay = replace(newsroom.app.relays[0], rate=10.0)
    newsroom.app = replace(newsroom.app, relays=(relay,))
    begun = time.monotonic()
    while newsroom.state(edition_id) is EditionState.SENDING and time.monotonic() - begun < 15:
        together(lambda: send_slice(newsroom.app, Pool.BULK), lambda: send_slice(newsroom.app, Pool.BULK))
    took = time.monotonic() - begun

    assert newsroom.state(edition_id) is EditionState.DONE
    assert {name: len(mails) for name, mails in newsroom.mails().items()} == {f"reader{n}": 1 for n in range(20)}
    assert took > 0.9


@pytest.mark.slow
def test_two_senders_together_keep_a_providers_concurrency(newsroom: Newsroom) -> None:
    """Never more than three are leased or being sent, and each that ends makes room for one."""
    an_edition(newsroom, 20)
    relay = Relay.parse("smtp://relay.example:25?tls=off")
    with newsroom.app.transaction() as tx:
        save_limit(tx.session, Limit("other", concurrency=3), by="a test")
    claimed: list[int] = []

    def claim() -> None:
        for _ in range(5):
            with newsroom.app.transaction() as tx:
                admitted = admit(tx, relay, Pool.BULK, 10)
                token = f"{threading.get_ident()}"
                found = ledger.claim(tx.session, pool=Pool.BULK, allowance=admitted.allowance, worker="w", token=token)
                charge(tx, admitted, {"other": len(found)})
                claimed.extend(each.id for each in found)

    together(claim, claim, claim)
    assert len(claimed) == 3
    assert len(set(claimed)) == 3
    with newsroom.app.transaction() as tx:
        [token] = tx.session.scalars(select(DeliveryRow.lease_token).where(DeliveryRow.id == claimed[0]))
        ledger.release(tx.session, claimed[:1], str(token))
        assert admit(tx, relay, Pool.BULK, 10).allowance == Allowance(10, {"other": 1})


@pytest.mark.slow
def test_a_canary_over_smtp_lets_the_rest_go_by_itself(mailing_newsroom: Newsroom) -> None:
    """The slice that sent it judges it; the next one sends the rest."""
    newsroom = mailing_newsroom
    set_canary(newsroom.app, "weekly", canary="4", limit_percent=None)
    edition_id = an_edition(newsroom, 12)

    assert newsroom.send().accepted == 4
    assert newsroom.send().accepted == 8
    assert newsroom.state(edition_id) is EditionState.DONE


def test_nothing_is_sent_while_all_is_stopped(mailing_newsroom: Newsroom) -> None:
    """Not even connected to."""
    newsroom = mailing_newsroom
    an_edition(newsroom, 3)
    pause_sending(newsroom.app, reason="why")

    assert newsroom.send().accepted == 0
    assert newsroom.mails() == {}


@pytest.mark.slow
def test_a_dead_relay_is_left_alone_and_costs_no_attempt(newsroom: Newsroom) -> None:
    """Nobody listens at that port; after five slices none connects, and every mail is as it was."""
    edition_id = an_edition(newsroom, 3)
    newsroom.use_relay("smtp://127.0.0.1:9?tls=off&timeout=2")
    for _ in range(6):
        newsroom.send()

    with newsroom.app.reading() as tx:
        relay = tx.session.scalars(select(RelayRow)).one()
    assert relay.failures == 5
    assert relay.open_until is not None
    assert {row.attempts for row in newsroom.deliveries(edition_id).values()} == {0}


@pytest.mark.slow
def test_another_relay_takes_the_mail_of_a_dead_one(mailing_newsroom: Newsroom) -> None:
    """In the same slice."""
    newsroom = mailing_newsroom
    an_edition(newsroom, 3)
    dead = Relay.parse("smtp://127.0.0.1:9?tls=off&timeout=2&weight=1000")
    newsroom.app = replace(newsroom.app, relays=(dead, *newsroom.app.relays))

    assert newsroom.send().accepted == 3


def test_each_attempt_tells_by_which_relay_it_was(mailing_newsroom: Newsroom) -> None:
    """Of several, one may be the culprit."""
    newsroom = mailing_newsroom
    an_edition(newsroom, 1)
    newsroom.send()
    [story] = tell_story(newsroom.app, "reader0@readers.example")

    assert [attempt.worker.rpartition("@")[2] for attempt in story.attempts] == [newsroom.app.relays[0].name]
