"""What a sender leaves that was killed with -9: its journal says what happened, and the next one goes on at once."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from newsroom import Newsroom
from smtp_server import Act, ScriptedRelay, Turn

from newsletter.domain.deliveries import DeliveryState, Pool
from newsletter.mail import journal
from newsletter.mail.relay import Relay
from newsletter.services.context import App
from newsletter.services.mailing import MailBuilder
from newsletter.services.sending import send_slice
from newsletter.services.settling import JOURNALS, settle_journals
from newsletter.services.supply import MADE_AT_ONCE
from newsletter.services.sweeping import sweep
from newsletter.storage.engine import connect

S = DeliveryState
NAMES = tuple(f"reader{number}" for number in range(12))
CONNECTIONS = 3


@pytest.fixture
def edition_id(newsroom: Newsroom) -> int:
    """An edition of one story to a dozen readers."""
    newsroom.publish("A story")
    newsroom.subscribe(*NAMES)
    return newsroom.fan_out()


@contextmanager
def sender(newsroom: Newsroom, relay: ScriptedRelay, dies_of: str = "") -> Iterator[int]:
    """Let a process of its own send while the block lasts, and kill it then; yields its id.

    *dies_of*: a reader whose mail kills whoever makes it.
    """
    process = os.fork()
    if process == 0:
        try:
            _send(newsroom.app, relay, dies_of)
        finally:
            os._exit(1)
    try:
        yield process
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


def _send(app: App, relay: ScriptedRelay, dies_of: str) -> None:
    build = MailBuilder.build
    if dies_of:
        MailBuilder.build = lambda self, each: os._exit(9) if dies_of in each.address else build(self, each)
    own = connect(app.settings.database)  # no connection is shared with the parent
    relays = Relay.parse_all(f"{relay.url()}&connections={CONNECTIONS}")
    send_slice(replace(app, database=own, relays=relays), Pool.BULK)


def took(relay: ScriptedRelay) -> Counter[str]:
    return Counter(each.rcpt_to.strip("<").partition("@")[0] for each in relay.accepted)


def states(newsroom: Newsroom, edition_id: int) -> Counter[DeliveryState]:
    return Counter(newsroom.states(edition_id).values())


class Hanging:
    """A script that falls silent behind a dot, from the *first*-th mail on, until it is told to behave."""

    def __init__(self, first: int, verb: str = "DOT") -> None:
        self.first, self.verb = first, verb
        self.hung = 0
        self.is_over = False

    def __call__(self, turn: Turn) -> Act | None:
        if self.is_over or turn.verb != self.verb or turn.mail < self.first:
            return None
        self.hung += 1
        return Act.HANG


@pytest.mark.slow
def test_a_killed_sender_leaves_one_doubt_per_connection_and_everything_else_is_known(newsroom, edition_id):
    script = Hanging(first=6)
    relay = ScriptedRelay(script)
    with relay.running():
        with sender(newsroom, relay):
            relay.wait_until(lambda: script.hung == CONNECTIONS)
        assert len(NAMES) == settle_journals(newsroom.app)
        after = newsroom.states(edition_id)
        assert {S.ACCEPTED: 5, S.IN_DOUBT: CONNECTIONS, S.QUEUED: 4} == Counter(after.values())
        assert {0} == {row.lapses for row in newsroom.deliveries(edition_id).values() if row.state == S.QUEUED}
        assert [] == list((newsroom.app.settings.home / JOURNALS).iterdir())
        assert 0 == settle_journals(newsroom.app)

        script.is_over = True
        newsroom.use_relay(relay.url())
        newsroom.send()

    assert {S.ACCEPTED: 9, S.IN_DOUBT: CONNECTIONS} == states(newsroom, edition_id)
    assert dict.fromkeys(NAMES, 1) == took(relay)


@pytest.mark.slow
def test_a_sender_killed_before_any_dot_leaves_no_doubt_and_the_next_one_goes_on_at_once(newsroom, edition_id):
    script = Hanging(first=1, verb="DATA")
    relay = ScriptedRelay(script)
    with relay.running():
        with sender(newsroom, relay):
            relay.wait_until(lambda: script.hung == CONNECTIONS)
        assert S.SENDING in newsroom.states(edition_id).values()
        script.is_over = True
        newsroom.use_relay(relay.url())
        newsroom.send()

    assert {S.ACCEPTED: 12} == states(newsroom, edition_id)
    assert dict.fromkeys(NAMES, 1) == took(relay)
    assert {2} >= {row.attempts for row in newsroom.deliveries(edition_id).values()} - {1}


@pytest.mark.slow
def test_the_sweeper_settles_too_and_what_is_sent_meanwhile_is_left_alone(newsroom, edition_id):
    script = Hanging(first=1)
    relay = ScriptedRelay(script)
    with relay.running():
        with sender(newsroom, relay):
            relay.wait_until(lambda: script.hung == CONNECTIONS)
            sweep(newsroom.app)
            assert {S.SENDING: 12} == states(newsroom, edition_id)
        sweep(newsroom.app)

    assert {S.IN_DOUBT: CONNECTIONS, S.QUEUED: 9} == states(newsroom, edition_id)


def test_what_a_sender_died_of_is_suspected_and_nothing_else(newsroom, edition_id):
    """It is killed while it makes a few mails: that counts for those, since one of them may be why."""
    with ScriptedRelay().running() as relay:
        with sender(newsroom, relay, dies_of="reader7@") as process:
            os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
        settle_journals(newsroom.app)

    rows = newsroom.deliveries(edition_id).values()
    assert {(S.QUEUED, 0)} == {(row.state, row.attempts) for row in rows}
    suspected = [row.address for row in rows if row.lapses]
    assert MADE_AT_ONCE == len(suspected)
    assert any(each.startswith("reader7@") for each in suspected)


@pytest.mark.slow
def test_a_journal_from_before_the_machine_went_down_proves_nothing(newsroom, edition_id, monkeypatch):
    """Lines may be missing: the leases have to run out, and what was written ahead is in doubt then."""
    script = Hanging(first=6)
    relay = ScriptedRelay(script)
    with relay.running(), sender(newsroom, relay):
        relay.wait_until(lambda: script.hung == CONNECTIONS)
    monkeypatch.setattr(journal, "boot_id", lambda: "another start")

    assert 0 == settle_journals(newsroom.app)
    assert S.SENDING in newsroom.states(edition_id).values()
    assert 1 == len(list((newsroom.app.settings.home / JOURNALS).iterdir()))


def test_without_a_folder_for_journals_mail_goes_out_all_the_same(newsroom, edition_id):
    (newsroom.app.settings.home / JOURNALS).write_text("in the way")
    with ScriptedRelay().running() as relay:
        newsroom.use_relay(relay.url())
        newsroom.send()

    assert {S.ACCEPTED: 12} == states(newsroom, edition_id)


@pytest.mark.slow
def test_many_sweepers_settle_a_journal_once(newsroom, edition_id):
    script = Hanging(first=6)
    relay = ScriptedRelay(script)
    with relay.running(), sender(newsroom, relay):
        relay.wait_until(lambda: script.hung == CONNECTIONS)
    settled = []
    sweepers = [threading.Thread(target=lambda: settled.append(settle_journals(newsroom.app))) for _ in range(4)]
    for each in sweepers:
        each.start()
    for each in sweepers:
        each.join()

    assert [0, 0, 0, len(NAMES)] == sorted(settled)
    assert {S.ACCEPTED: 5, S.IN_DOUBT: CONNECTIONS, S.QUEUED: 4} == states(newsroom, edition_id)
