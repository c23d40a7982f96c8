"""Several connections in one thread: none waits for another, and each mail is told of once, whatever breaks."""

import socket
import threading
import time
from collections import Counter, defaultdict
from contextlib import contextmanager

import pytest
from smtp_server import CAPABILITIES, Act, ScriptedRelay, trusting

from newsletter.domain.replies import Stage, Verdict
from newsletter.mail.envelopes import Envelope
from newsletter.mail.fleet import Fleet
from newsletter.mail.relay import Relay
from newsletter.mail.session import RelayUnavailableError
from newsletter.mail.timeouts import Timeouts

LOCK_STEP = tuple(each for each in CAPABILITIES if each != "PIPELINING")
SHORT = Timeouts(connect=5, tls=5, greeting=5, command=5, data=5, body=5, dot=5)
A, D = Verdict.ACCEPTED, Verdict.IN_DOUBT


def mails(*refs, **changes):
    return [
        Envelope(
            **{
                "ref": ref,
                "mail_from": "news@example.org",
                "rcpt_to": f"reader{ref}@example.net",
                "pieces": [b"Subject: %d\r\n\r\n" % ref, b"x" * 500, b"\r\n"],
            }
            | changes
        )
        for ref in refs
    ]


@contextmanager
def fleet_to(relay, query="", **options):
    fleet = Fleet(Relay.parse(f"{relay.url()}{query}"), timeouts=SHORT, **options)
    assert fleet.open()
    try:
        yield fleet
    finally:
        fleet.close()


def results_of(fleet, count, seconds=5):
    """What becomes known until *count* mails are told of."""
    results = []
    deadline = time.monotonic() + seconds
    while len(results) < count:
        assert time.monotonic() < deadline, results
        results += fleet.run(0.05)
    return results


def verdicts(results):
    assert len({each.ref for each in results}) == len(results)
    return {each.ref: each.verdict for each in results}


def taken(relay):
    """How often the relay took each mail."""
    return Counter(int(each.body.split(b"\r\n")[0].removeprefix(b"Subject: ")) for each in relay.accepted)


@pytest.mark.slow
@pytest.mark.parametrize("capabilities", [CAPABILITIES, LOCK_STEP], ids=["pipelined", "lock-step"])
def test_mails_go_out_over_all_connections_each_once(capabilities):
    relay = ScriptedRelay(
        capabilities=capabilities, script=lambda turn: time.sleep(0.01) if turn.verb == "DOT" else None
    )
    with relay.running(), fleet_to(relay, "&connections=4") as fleet:
        fleet.send(mails(*range(1, 41), pieces=[b"x" * 100_000, b"\r\n"]))

        assert [A] * 40 == list(verdicts(results_of(fleet, 40)).values())
        assert (4, 40) == (relay.connections, len(relay.accepted))


def test_one_mail_opens_no_second_connection():
    with ScriptedRelay().running() as relay, fleet_to(relay, "&connections=4") as fleet:
        fleet.send(mails(1))
        results_of(fleet, 1)

        assert 1 == relay.connections


@pytest.mark.slow
def test_connections_are_opened_at_the_same_time():
    """Five greetings of 0.2 s each are waited for together."""
    relay = ScriptedRelay(lambda turn: time.sleep(0.2) if turn.verb == "GREETING" else None)
    with relay.running(), fleet_to(relay, "&connections=6") as fleet:
        begun = time.monotonic()
        fleet.send(mails(*range(1, 7)))
        relay.wait_until(lambda: fleet.run(0.01) is not None and relay.lines.count("EHLO [127.0.0.1]") == 6)

        assert time.monotonic() - begun < 0.8


@pytest.mark.parametrize("verb", ["MAIL", "DATA", "DOT"])
def test_a_connection_that_hangs_keeps_no_other_waiting(verb):
    relay = ScriptedRelay(lambda turn: Act.HANG if (turn.verb, turn.mail) == (verb, 2) else None)
    with relay.running(), fleet_to(relay, "&connections=3") as fleet:
        fleet.send(mails(*range(1, 21)))
        behind_it = verb == "DOT"  # then the next envelope may be chained to it
        results = verdicts(results_of(fleet, 18 if behind_it else 19))

        assert {A} == set(results.values())
        assert 1 <= fleet.begun_count <= 1 + behind_it
        assert behind_it == fleet.awaits_dots


def test_envelopes_that_come_up_behind_a_body_go_out_at_once():
    """The relay hears the next envelope though it has not answered the last dot."""
    heard = threading.Event()

    def script(turn):
        if (turn.verb, turn.mail) == ("DOT", 1):
            assert heard.wait(5)

    relay = ScriptedRelay(script)
    with relay.running(), fleet_to(relay, "&connections=1") as fleet:
        fleet.send(mails(1))
        relay.wait_until(lambda: fleet.run(0.01) is not None and fleet.awaits_dots)
        fleet.send(mails(2))
        fleet.run(0.05)
        connection = fleet._berths[0].connection
        assert [1, 2] == [mail.envelope.ref for mail in connection._begun]
        heard.set()

        assert {1: A, 2: A} == verdicts(results_of(fleet, 2))


@pytest.mark.parametrize("act", [Act.DROP, Act.RESET, "421 4.3.2 enough"])
def test_one_that_breaks_behind_the_dot_is_replaced_while_the_others_go_on(act):
    relay = ScriptedRelay(lambda turn: act if (turn.verb, turn.mail) == ("DOT", 7) else None)
    with relay.running(), fleet_to(relay, "&connections=3") as fleet:
        fleet.send(mails(*range(1, 31)))
        told = verdicts(results_of(fleet, 30))
        counts = Counter(told.values())
        again = [ref for ref, verdict in told.items() if verdict is Verdict.UNSENT]
        fleet.send(mails(*again))
        told |= verdicts(results_of(fleet, len(again)))

        assert counts[D] + counts[Verdict.RELAY_DEFERRED] == 1
        assert counts[Verdict.UNSENT] <= 1  # the envelope that was chained behind it
        assert {ref for ref, verdict in told.items() if verdict is A} <= set(taken(relay))
        assert max(taken(relay).values()) == 1


def test_a_relay_that_takes_so_many_mails_in_a_connection_gets_them_in_several():
    with ScriptedRelay().running() as relay, fleet_to(relay, "&connections=2&messages=3") as fleet:
        fleet.send(mails(*range(1, 19)))

        assert [A] * 18 == list(verdicts(results_of(fleet, 18)).values())
        assert 6 <= relay.connections <= 7


@pytest.mark.slow
def test_a_connection_has_an_age():
    with ScriptedRelay().running() as relay, fleet_to(relay, "&connections=1&age=0.05") as fleet:
        for ref in range(1, 4):
            fleet.send(mails(ref))
            assert {ref: A} == verdicts(results_of(fleet, 1))
            until = time.monotonic() + 0.1
            while time.monotonic() < until:
                fleet.run(0.02)

        assert 3 <= relay.connections <= 4


def test_a_connection_carries_only_so_much_for_one_provider():
    carried = defaultdict(Counter)

    def note(turn):
        if turn.verb == "RCPT":
            carried[turn.connection][turn.line.partition("@")[2].partition(">")[0]] += 1

    both = [
        each
        for ref in range(1, 13)
        for each in mails(ref, provider="yahoo" if ref % 2 else "other", rcpt_to=f"a@{'yahoo' if ref % 2 else 'other'}")
    ]
    with ScriptedRelay(note).running() as relay, fleet_to(relay, "&connections=2", caps={"yahoo": 2}) as fleet:
        fleet.send(both)

        assert [A] * 12 == list(verdicts(results_of(fleet, 12)).values())
        assert all(counts["yahoo"] <= 2 for counts in carried.values())
        assert 3 <= relay.connections


def test_a_relay_that_allows_fewer_connections_gets_its_mail_over_those():
    relay = ScriptedRelay(
        lambda turn: "421 4.7.0 too many" if turn.verb == "GREETING" and turn.connection > 2 else None
    )
    with relay.running(), fleet_to(relay, "&connections=5") as fleet:
        fleet.send(mails(*range(1, 21)))

        assert [A] * 20 == list(verdicts(results_of(fleet, 20)).values())
        deadline = time.monotonic() + 5
        while (fleet.failure is None or relay.connections < 5) and time.monotonic() < deadline:
            fleet.run(0.02)  # the other connections may be refused only now
        assert (Stage.GREETING, 5) == (fleet.failure[0], relay.connections)


def test_a_relay_that_breaks_off_each_time_is_given_up():
    relay = ScriptedRelay(lambda turn: Act.DROP if turn.verb == "MAIL" else None)
    with relay.running(), fleet_to(relay, "&connections=3") as fleet:
        fleet.send(mails(*range(1, 21)))
        results = results_of(fleet, 3) + fleet.withdraw()
        while fleet.is_afloat:
            results += fleet.run(0.02)
        results += fleet.close()

        assert {Verdict.RELAY_DEFERRED: 3, Verdict.UNSENT: 17} == Counter(verdicts(results).values())
        assert [] == relay.accepted


def test_nobody_there_is_told_at_once():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    with pytest.raises(RelayUnavailableError) as refused:
        Fleet(Relay.parse(f"smtp://127.0.0.1:{port}")).open()
    assert Stage.CONNECT is refused.value.stage


@pytest.mark.slow
def test_a_stop_gives_up_what_hangs_before_its_dot_and_waits_for_what_hangs_behind_it():
    stop, released = threading.Event(), threading.Event()
    where = {1: "MAIL", 2: "DOT", 3: "DATA"}

    def script(turn):
        if turn.verb == where.get(turn.mail):
            released.wait(20)

    # else the third may follow the body of the second
    lock_step = tuple(word for word in CAPABILITIES if word != "PIPELINING")
    with ScriptedRelay(script, lock_step).running() as relay:
        with fleet_to(relay, "&connections=3", should_stop=stop.is_set) as fleet:
            fleet.send(mails(*range(1, 4)))
            relay.wait_until(lambda: fleet.run(0.01) is not None and relay.mails == 3 and fleet.awaits_dots)
            stop.set()
            assert [Verdict.UNSENT] * 2 == list(verdicts(results_of(fleet, 2, seconds=3)).values())
            released.set()
            assert [A] == list(verdicts(results_of(fleet, 1)).values())
        assert 1 == len(relay.accepted)


@pytest.mark.slow
def test_a_stop_ends_the_wait_for_a_relay_that_does_not_greet():
    stop = threading.Event()
    with ScriptedRelay(lambda _: Act.HANG).running() as relay:
        fleet = Fleet(Relay.parse(relay.url()), should_stop=stop.is_set)
        threading.Timer(0.1, stop.set).start()
        begun = time.monotonic()

        assert not fleet.open()
        assert time.monotonic() - begun < 2


@pytest.mark.slow
def test_no_dot_is_written_after_its_time():
    """Whoever hangs before it gives its mail back; so does what was not begun."""
    relay = ScriptedRelay(lambda turn: Act.HANG if turn.verb == "DATA" else None)
    with relay.running(), fleet_to(relay, "&connections=2") as fleet:
        fleet.send(mails(*range(1, 6), start_before=time.monotonic() + 0.2))

        assert {Verdict.UNSENT: 5} == Counter(verdicts(results_of(fleet, 5, seconds=2)).values())
        assert [] == relay.accepted


def test_closing_in_the_middle_tells_of_every_mail_once():
    relay = ScriptedRelay(lambda turn: Act.HANG if turn.verb == "DOT" and turn.mail > 3 else None)
    with relay.running():
        fleet = Fleet(Relay.parse(f"{relay.url()}&connections=2"), timeouts=SHORT)
        fleet.open()
        fleet.send(mails(*range(1, 11)))
        results = results_of(fleet, 3)
        relay.wait_until(lambda: results.extend(fleet.run(0.01)) or len(relay.accepted) == 5)
        results += fleet.close()

        assert {A: 3, D: 2, Verdict.UNSENT: 5} == Counter(verdicts(results).values())


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_several_connections_in_tls(tls):
    relay = ScriptedRelay(capabilities=(*CAPABILITIES, "STARTTLS"), implicit_tls=tls == "implicit")
    with relay.running():
        fleet = Fleet(Relay.parse(f"{relay.url(tls)}&connections=3"), timeouts=SHORT, tls_context=trusting())
        fleet.open()
        fleet.send(mails(*range(1, 31), pieces=[b"x" * 100_000, b"\r\n"]))

        assert [A] * 30 == list(verdicts(results_of(fleet, 30)).values())
        assert 3 == relay.connections
        assert [] == fleet.close()


def test_a_watcher_hears_of_a_dot_before_it_leaves_and_of_an_end_before_the_next_dot_of_its_connection():
    class Notes:
        def __init__(self):
            self.lines = []

        def before_dot(self, envelope):
            self.lines.append(("dot", envelope.ref, len(relay.accepted)))

        def after(self, result):
            self.lines.append(("end", result.ref, len(relay.accepted)))

    notes = Notes()
    with ScriptedRelay().running() as relay, fleet_to(relay, "&connections=1", watcher=notes) as fleet:
        fleet.send(mails(1, 2, 3))
        results_of(fleet, 3)

    assert [(kind, ref) for ref in (1, 2, 3) for kind in ("dot", "end")] == [line[:2] for line in notes.lines]
    assert [0, 1, 2] == [count for kind, _, count in notes.lines if kind == "dot"]
