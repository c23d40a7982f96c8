"""Doubts: settled by a relay's log or by a person with a reason, once, and never behind anybody's back."""

import gzip
import threading
import time
from pathlib import Path

import pytest
from answering import answer, states
from newsroom import Newsroom
from sqlalchemy import text

from newsletter.dispatch import Doorbell
from newsletter.domain.deliveries import DeliveryState
from newsletter.domain.editions import EditionState
from newsletter.domain.replies import Verdict
from newsletter.errors import ConflictError, InvalidError
from newsletter.services.audit import list_acts
from newsletter.services.doubts import Settled, Settlement, compare_with_log, read_relay_log, settle, settle_by_log
from newsletter.services.editions import cancel_edition, finish_editions
from newsletter.services.inquiries import list_mails, tell_story
from newsletter.storage.editions import EditionRow, set_state

SOMEBODY_WAITS = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


def an_edition_in_doubt(newsroom: Newsroom, doubts: int = 3) -> int:
    """Return an edition to five readers, of whose mails the first so many are in doubt and the others accepted."""
    newsroom.subscribe("ann", "bek", "cai", "dan", "eva")
    newsroom.publish("A story")
    edition_id = newsroom.fan_out()
    answer(newsroom, *[Verdict.IN_DOUBT] * doubts)
    return edition_id


def doubted(newsroom: Newsroom) -> list[int]:
    """Return the deliveries in doubt."""
    return [mail.id for mail in list_mails(newsroom.app, states=[DeliveryState.IN_DOUBT])]


def a_log(newsroom: Newsroom, path: Path, ids: list[int], *, domain: str = "news.example.org") -> Path:
    """Write the log of a relay that took these mails."""
    tokens = [tell_story(newsroom.app, str(delivery_id))[0].mail.mail_token for delivery_id in ids]
    lines = [
        f"Nov 22 16:12:05 mx postfix/cleanup[1]: QUEUE{n}: message-id=<{token}@{domain}>\n"
        f"Nov 22 16:12:05 mx postfix/qmgr[1]: QUEUE{n}: from=<x@example.org>, size=9, nrcpt=1 (queue active)\n"
        for n, token in enumerate(tokens)
    ]
    path.write_text("".join(lines))
    return path


@pytest.mark.parametrize(
    ("how", "state"),
    [
        (Settlement.ACCEPTED, "accepted"),
        (Settlement.RESEND, "queued"),
        (Settlement.FAILED, "failed"),
    ],
)
def test_a_person_settles_one(newsroom: Newsroom, how: Settlement, state: str) -> None:
    """The others stay as they are; who did it and why is on record."""
    an_edition_in_doubt(newsroom)
    first, *others = doubted(newsroom)
    settled = settle(newsroom.app, how, why="the reader says so", ids=[first])

    assert (settled.settled, settled.left) == (1, 0)
    assert tell_story(newsroom.app, str(first))[0].mail.state == state
    assert doubted(newsroom) == others
    [act] = list_acts(newsroom.app, about="deliveries")
    assert (act.details["why"], act.details["deliveries"]) == ("the reader says so", [first])


@pytest.mark.slow
def test_a_resend_is_sent_once_more_with_the_same_message_id(newsroom: Newsroom) -> None:
    """And counts as one."""
    an_edition_in_doubt(newsroom, 1)
    [delivery_id] = doubted(newsroom)
    before = tell_story(newsroom.app, str(delivery_id))[0]
    newsroom.app.dispatcher.rings.clear()
    settle(newsroom.app, Settlement.RESEND, why="it never came", ids=[delivery_id])

    assert Doorbell.SEND_BULK in [ring.doorbell for ring in newsroom.app.dispatcher.rings]
    assert answer(newsroom) == 1
    after = tell_story(newsroom.app, str(delivery_id))[0]
    assert (after.message_id, after.mail.resends, after.mail.state) == (before.message_id, 1, "accepted")
    assert [attempt.outcome for attempt in after.attempts] == ["in_doubt", "accepted"]


@pytest.mark.slow
def test_all_of_an_edition_are_settled_at_once(newsroom: Newsroom) -> None:
    """By a person who knows."""
    edition_id = an_edition_in_doubt(newsroom)
    settle(newsroom.app, Settlement.ACCEPTED, why="the relay's operator told us", edition_id=edition_id)

    assert states(newsroom, edition_id) == {"accepted": 5}
    assert finish_editions(newsroom.app) == [edition_id]


@pytest.mark.slow
def test_the_final_counts_of_an_edition_that_is_done_follow(newsroom: Newsroom) -> None:
    """Evidence may come days later."""
    edition_id = an_edition_in_doubt(newsroom, 1)
    newsroom.deliver(edition_id, but=("ann",), end=DeliveryState.IN_DOUBT)
    settle(newsroom.app, Settlement.ACCEPTED, why="the log came from the archive", ids=doubted(newsroom))

    with newsroom.app.reading() as tx:
        assert tx.session.get_one(EditionRow, edition_id).counts == {"accepted": 5}


@pytest.mark.slow
def test_nothing_is_sent_again_of_an_edition_that_has_ended(newsroom: Newsroom) -> None:
    """It says how many could not be."""
    edition_id = an_edition_in_doubt(newsroom)
    cancel_edition(newsroom.app, edition_id)
    settled = settle(newsroom.app, Settlement.RESEND, why="it never came", ids=doubted(newsroom))

    assert newsroom.state(edition_id) is EditionState.CANCELLED
    assert (settled.settled, settled.left) == (0, 3)


@pytest.mark.slow
def test_nothing_is_sent_again_of_an_edition_that_ends_at_that_moment(newsroom: Newsroom) -> None:
    """Else its mail would be queued for ever, in an edition that is done."""
    edition_id = an_edition_in_doubt(newsroom)
    ids = doubted(newsroom)
    settled: list[Settled] = []

    def send_again() -> None:
        settled.append(settle(newsroom.app, Settlement.RESEND, why="it never came", ids=ids))

    settling = threading.Thread(target=send_again)
    with newsroom.app.transaction() as tx:
        set_state(tx.session, edition_id, EditionState.DONE, now=tx.now, done_at=tx.now)
        settling.start()
        while settling.is_alive() and not newsroom.app.database.is_sqlite and not somebody_waits(newsroom):
            time.sleep(0.05)
    settling.join(60)

    assert [Settled(0, 3)] == settled
    assert {"accepted": 2, "in_doubt": 3} == states(newsroom, edition_id)


def somebody_waits(newsroom: Newsroom) -> bool:
    with newsroom.app.reading() as tx:
        return tx.session.execute(text(SOMEBODY_WAITS)).first() is not None


def test_only_what_is_in_doubt_can_be_settled(newsroom: Newsroom) -> None:
    """A delivery that was accepted is no matter of opinion."""
    an_edition_in_doubt(newsroom)
    [accepted, *_] = list_mails(newsroom.app, states=[DeliveryState.ACCEPTED])

    with pytest.raises(ConflictError, match=f"delivery {accepted.id} is accepted"):
        settle(newsroom.app, Settlement.RESEND, why="again", ids=[accepted.id])
    with pytest.raises(ConflictError, match="does not exist"):
        settle(newsroom.app, Settlement.RESEND, why="again", ids=[10**6])


def test_a_settlement_wants_a_reason_and_something_to_settle(newsroom: Newsroom) -> None:
    """Both are told."""
    with pytest.raises(InvalidError, match="--why"):
        settle(newsroom.app, Settlement.FAILED, why=" ", ids=[1])
    with pytest.raises(InvalidError, match="--edition"):
        settle(newsroom.app, Settlement.FAILED, why="why")


@pytest.mark.slow
def test_a_relays_log_settles_what_it_took(newsroom: Newsroom, tmp_path: Path) -> None:
    """What it does not know stays in doubt, unless the log is complete."""
    edition_id = an_edition_in_doubt(newsroom)
    log = a_log(newsroom, tmp_path / "mail.log", doubted(newsroom)[:2])
    found = compare_with_log(newsroom.app, read_relay_log(newsroom.app, log))

    assert (found.in_doubt, len(found.taken), len(found.absent)) == (3, 2, 1)
    assert states(newsroom, edition_id) == {"accepted": 2, "in_doubt": 3}
    settle_by_log(newsroom.app, found, source="mail.log", is_complete=False)
    assert states(newsroom, edition_id) == {"accepted": 4, "in_doubt": 1}


@pytest.mark.slow
def test_a_complete_log_sends_the_others_again(newsroom: Newsroom, tmp_path: Path) -> None:
    """They were never taken."""
    edition_id = an_edition_in_doubt(newsroom)
    log = a_log(newsroom, tmp_path / "mail.log", doubted(newsroom)[:2])
    found = compare_with_log(newsroom.app, read_relay_log(newsroom.app, log), edition_id=edition_id)
    accepted, requeued = settle_by_log(newsroom.app, found, source="mail.log", is_complete=True)

    assert (accepted.settled, requeued.settled) == (2, 1)
    assert answer(newsroom) == 1
    assert states(newsroom, edition_id) == {"accepted": 5}


@pytest.mark.slow
def test_a_packed_log_is_read(newsroom: Newsroom, tmp_path: Path) -> None:
    """As logrotate leaves them."""
    an_edition_in_doubt(newsroom, 1)
    log = a_log(newsroom, tmp_path / "mail.log", doubted(newsroom))
    packed = tmp_path / "mail.log.1.gz"
    packed.write_bytes(gzip.compress(log.read_bytes()))

    assert len(read_relay_log(newsroom.app, packed)) == 1


@pytest.mark.slow
def test_a_log_that_is_none_is_refused(newsroom: Newsroom, tmp_path: Path) -> None:
    """With what to give instead."""
    an_edition_in_doubt(newsroom, 1)
    (tmp_path / "broken.gz").write_bytes(b"\x1f\x8b nothing")
    for path in (
        a_log(newsroom, tmp_path / "others.log", doubted(newsroom), domain="other.example"),
        tmp_path / "missing.log",
        tmp_path / "broken.gz",
    ):
        with pytest.raises(InvalidError, match=path.name):
            read_relay_log(newsroom.app, path)
