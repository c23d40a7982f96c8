"""Whatever a relay does, the client's account and the relay's agree: nothing twice, nothing lost, doubts counted."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from smtp_server import CAPABILITIES, Act, ScriptedRelay
from smtp_talk import talking

from newsletter.domain.replies import Verdict
from newsletter.mail.envelopes import Envelope
from newsletter.mail.timeouts import Timeouts

TIMEOUTS = Timeouts(connect=5, tls=5, greeting=5, command=5, data=5, body=5, dot=5)
LOCK_STEP = tuple(each for each in CAPABILITIES if each != "PIPELINING")
REFUSALS = ["550 5.1.1 no", "450 4.2.1 later", "554 5.7.1 no", "552 5.2.2 full", "250-odd\n550 odd", "354 odd"]
TROUBLE = [*REFUSALS, "250 odd", "421 4.3.2 closing", "451 4.3.0 trouble", "garbage", Act.DROP, Act.RESET]
VERBS = ["MAIL", "RCPT", "DATA", "BODY", "DOT", "RSET"]
scripts = st.dictionaries(
    st.tuples(st.integers(min_value=1, max_value=6), st.sampled_from(VERBS)), st.sampled_from(TROUBLE), max_size=4
).filter(lambda script: "250 odd" not in [answer for (_, verb), answer in script.items() if verb == "BODY"])  # a lie


def ledger_of(relay):
    """How often the relay took a mail for each reader."""
    return Counter(
        int(each.body.split(b"\r\n")[0].removeprefix(b"Subject: ")) for each in relay.accepted if each.body != b"\r\n"
    )


def run(script, capabilities, count, stop_after):
    """Send *count* mails, going on over new connections with what came back unsent or deferred; return all results."""
    results = {}
    relay = ScriptedRelay(capabilities=capabilities, script=lambda turn: script.get((turn.mail, turn.verb)))
    with relay.running():
        waiting = [
            Envelope(number, "news@example.org", f"r{number}@example.net", [b"Subject: %d\r\n\r\nbody\r\n" % number])
            for number in range(1, count + 1)
        ]
        for _ in range(8):
            if not waiting:
                break
            with talking(relay.url(), timeouts=TIMEOUTS) as connection:
                batch = list(connection.send(waiting, should_stop=lambda: len(relay.accepted) >= stop_after))
            assert [each.ref for each in batch] == [each.ref for each in waiting]
            results |= {each.ref: each for each in batch}
            again = {each.ref for each in batch if each.verdict in {Verdict.UNSENT, Verdict.RELAY_DEFERRED}}
            waiting = [each for each in waiting if each.ref in again]
    return results, ledger_of(relay)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(
    scripts,
    st.sampled_from([CAPABILITIES, LOCK_STEP]),
    st.integers(min_value=1, max_value=5),
    st.sampled_from([0, 1, 2, 99]),
)
@example({(2, "RCPT"): "550 5.1.1 no", (2, "DATA"): "354 odd", (3, "MAIL"): "421 4.3.2 closing"}, CAPABILITIES, 4, 99)
@example({(1, "DOT"): Act.RESET, (2, "DOT"): Act.DROP, (3, "DOT"): "421 4.3.2 closing"}, CAPABILITIES, 4, 99)
@example({(2, "MAIL"): "550 5.1.1 no", (2, "RCPT"): "250 odd", (2, "DATA"): "354 odd"}, CAPABILITIES, 4, 99)
def test_both_sides_agree_about_every_mail(script, capabilities, count, stop_after):
    results, taken = run(script, capabilities, count, stop_after)

    assert set(results) == set(range(1, count + 1))
    for ref, result in results.items():
        if result.verdict is Verdict.ACCEPTED:
            assert 1 == taken[ref]
        elif result.verdict is Verdict.IN_DOUBT:
            assert taken[ref] <= 1
        else:
            assert 0 == taken[ref]


@pytest.mark.parametrize("capabilities", [CAPABILITIES, LOCK_STEP], ids=["pipelined", "lock-step"])
def test_one_lost_connection_leaves_at_most_one_doubt(capabilities):
    for place in range(1, 7):
        results, taken = run({(place, "DOT"): Act.RESET}, capabilities, 6, 99)
        verdicts = Counter(each.verdict for each in results.values())

        assert {Verdict.ACCEPTED: 5, Verdict.IN_DOUBT: 1} == dict(verdicts)
        assert dict.fromkeys(range(1, 7), 1) == dict(taken)
