"""The SMTP client against relays that behave, and against one that does not."""

import time
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from smtp_server import CAPABILITIES, Accepted, Act, ScriptedRelay, Trickle, trusting
from smtp_talk import talking

from newsletter.demo.mailserver import MailServer
from newsletter.domain.replies import Silence, Stage, Verdict
from newsletter.domain.variants import Hole
from newsletter.errors import TransientError
from newsletter.mail.envelopes import Envelope
from newsletter.mail.headers import DigestHeaders, Feedback, Reader
from newsletter.mail.inspection import problems
from newsletter.mail.message import prepare
from newsletter.mail.relay import Relay
from newsletter.mail.session import RelayUnavailableError, find_relay, open_connection
from newsletter.mail.smtp import DOT
from newsletter.mail.steps import finish
from newsletter.mail.timeouts import Timeouts
from newsletter.mail.wire import Wire, WireError

LOCK_STEP = tuple(each for each in CAPABILITIES if each != "PIPELINING")
BOTH_WAYS = pytest.mark.parametrize("capabilities", [CAPABILITIES, LOCK_STEP], ids=["pipelined", "lock-step"])
SHORT = Timeouts(connect=5, tls=5, greeting=5, command=5, data=5, body=5, dot=5)
IMPATIENT = Timeouts(connect=0.5, tls=0.5, greeting=0.5, command=0.5, data=0.5, body=0.5, dot=0.5)
MEGABYTES = 3_000_000
DIGEST = DigestHeaders(
    subject="Эженелик: таза суу",
    from_name="City Newsroom",
    from_address="news@example.org",
    language="ky",
    mail_domain="news.example.org",
    list_title="Weekly",
    list_id="weekly.lists.example.org",
    archive_url="https://news.example.org/archive/",
    help_url="https://news.example.org/subscribe",
    subscribe_url="https://news.example.org/subscribe",
    owner="editors@example.org",
    feedback=Feedback(edition="7", list="weekly", kind="digest", sender="cityroom"),
)
ACCEPTED = (Verdict.ACCEPTED, Stage.DOT)
UNSENT = (Verdict.UNSENT, None)


def mails(count=4, size=200, **changes):
    return [
        Envelope(
            **{
                "ref": number,
                "mail_from": "news@example.org",
                "rcpt_to": f"reader{number}@example.net",
                "pieces": [b"Subject: %d\r\n\r\n" % number, b"x" * size, b"\r\n"],
            }
            | changes
        )
        for number in range(1, count + 1)
    ]


def ends(results):
    """The verdict and stage of each result, which come one for each envelope and in order."""
    results = list(results)
    assert [result.ref for result in results] == list(range(1, len(results) + 1))
    return [(result.verdict, result.stage) for result in results]


@contextmanager
def connected(relay, timeouts=SHORT, **options):
    with talking(relay.url(), timeouts=timeouts, **options) as talk:
        yield talk


def only_at(mail, verb, answer):
    """A script that answers at one place and is honest elsewhere."""
    return lambda turn: answer if (turn.mail, turn.verb) == (mail, verb) else None


def verbs(relay):
    return [line.split(" ")[0] for line in relay.lines]


FALLING_SILENT = pytest.mark.parametrize(
    ("capabilities", "act"),
    [
        pytest.param(capabilities, act, id=f"{act.name}-{'pipelined' if capabilities is CAPABILITIES else 'lock-step'}")
        for capabilities in (CAPABILITIES, LOCK_STEP)
        for act in (Act.DROP, Act.RESET, Act.HANG)
        if (capabilities, act) != (LOCK_STEP, Act.HANG)  # each costs a timeout; pipelined is the harder case
    ],
)


# Relays that behave.


@BOTH_WAYS
def test_every_mail_of_a_batch_arrives_whole_and_once(capabilities):
    with ScriptedRelay(capabilities=capabilities).running() as relay, connected(relay) as connection:
        batch = mails(20, size=100_000)

        assert [ACCEPTED] * 20 == ends(connection.send(batch))
        assert [b"".join(each.pieces) for each in batch] == [each.body for each in relay.accepted]
        assert [f"<reader{n}@example.net>" for n in range(1, 21)] == [
            each.rcpt_to.split()[0] for each in relay.accepted
        ]
        assert connection.is_usable


def test_spliced_mails_arrive_at_a_strict_server_as_they_were_made():
    """Pieces go out as they are: nothing is stuffed, folded or re-encoded between the splice and the mailbox."""
    prepared = prepare(
        DIGEST,
        text=["Dots:\n.\n..\nFrom here\n", Hole("why"), "\n"],
        html=["<p>" + "Таза суу. " * 2000 + "</p>\n.\n", Hole("why"), "<p>.</p>" * 2000],
        nonce="5f0c2d3e",
    )
    batch = []
    for number in range(1, 13):
        reader = Reader(
            address=f"reader{number}@example.net",
            token=f"{number:032x}",
            sent_at=datetime(2024, 12, 9, tzinfo=UTC),
            unsubscribe_url=f"https://news.example.org/unsubscribe/{number}",
        )
        pieces = prepared.fill(reader, {"why": f". reader {number}"})
        batch.append(Envelope(number, "news@example.org", reader.address, pieces))
    with MailServer() as server, talking(server.url, timeouts=SHORT) as connection:
        assert [ACCEPTED] * 12 == ends(connection.send(batch))
        arrived = [mail.content for mail in server.mails]

    assert [b"".join(each.pieces) for each in batch] == arrived
    assert [] == [problem for each in arrived for problem in problems(each)]


def test_pipelining_says_all_at_once_and_the_next_envelope_behind_the_body():
    held = []

    def script(turn):
        if turn.verb in ("MAIL", "RCPT", "DATA"):
            held.append(turn.verb)

    with ScriptedRelay(script=script).running() as relay, connected(relay) as connection:
        results = connection.send(mails(2))
        next(results)
        relay.wait_until(lambda: 6 == len(held))  # the second envelope came though nobody asked for the second result

        assert 2 == next(results).ref
        assert ["EHLO", "MAIL", "RCPT", "DATA", "MAIL", "RCPT", "DATA"] == verbs(relay)


def test_lock_step_says_nothing_before_the_last_word_was_answered():
    with (
        ScriptedRelay(
            capabilities=LOCK_STEP, script=lambda turn: Act.SWALLOW if turn.verb in {"MAIL", "RCPT", "DATA"} else None
        ).running() as relay,
        connected(relay) as connection,
    ):
        assert [ACCEPTED] * 3 == ends(connection.send(mails(3)))


@BOTH_WAYS
def test_a_connection_takes_batch_after_batch_up_to_its_cap(capabilities):
    with ScriptedRelay(capabilities=capabilities).running() as relay, connected(relay, most_mails=5) as connection:
        assert [ACCEPTED] * 3 == ends(connection.send(mails(3)))
        assert connection.is_usable
        assert [ACCEPTED, ACCEPTED, UNSENT] == ends(connection.send(mails(3)))
        assert not connection.is_usable
        assert 5 == len(relay.accepted) == relay.mails


def test_an_empty_batch_says_nothing():
    with ScriptedRelay().running() as relay, connected(relay) as connection:
        assert [] == list(connection.send([]))
        assert ["EHLO"] == verbs(relay)


def test_leaving_a_connection_takes_leave():
    with ScriptedRelay().running() as relay:
        with connected(relay) as connection:
            list(connection.send(mails(1)))
        relay.wait_until(lambda: "QUIT" in relay.lines)

        assert not connection.is_usable
        assert [UNSENT] == ends(connection.send(mails(1)))


def test_what_a_relay_offers_is_used():
    batch = [Envelope(1, "news@example.org", "Ann.Lee+x=1@example.net", [b"x\r\n"], envelope_id="0b8e=5f")]
    with ScriptedRelay().running() as relay, connected(relay) as connection:
        list(connection.send(batch))

        assert "MAIL FROM:<news@example.org> SIZE=3 RET=HDRS ENVID=0b8e+3D5f" in relay.lines
        assert (
            "RCPT TO:<Ann.Lee+x=1@example.net> NOTIFY=FAILURE,DELAY ORCPT=rfc822;Ann.Lee+2Bx+3D1@example.net"
            in relay.lines
        )


def test_what_a_relay_does_not_offer_is_not_used():
    with ScriptedRelay(capabilities=()).running() as relay, connected(relay) as connection:
        list(connection.send(mails(1, envelope_id="0b8e")))

        assert ["MAIL FROM:<news@example.org>", "RCPT TO:<reader1@example.net>", "DATA"] == relay.lines[1:4]


# Addresses and sizes.


def test_an_address_beyond_ascii_needs_smtputf8_and_is_never_changed():
    batch = mails(1, rcpt_to="айгүл@сайт.рф")
    with ScriptedRelay().running() as relay, connected(relay) as connection:
        assert [ACCEPTED] == ends(connection.send(batch))
        assert any(line.startswith("RCPT TO:<айгүл@xn--80aswg.xn--p1ai>") for line in relay.lines)
        assert any("SMTPUTF8" in line and "BODY=8BITMIME" in line for line in relay.lines)
        assert not any("ORCPT" in line for line in relay.lines)


def test_without_smtputf8_only_that_reader_fails():
    batch = mails(3)
    batch[1] = mails(1, ref=2, rcpt_to="айгүл@сайт.рф")[0]
    with ScriptedRelay(capabilities=("PIPELINING",)).running() as relay, connected(relay) as connection:
        results = list(connection.send(batch))

        assert [ACCEPTED, (Verdict.RECIPIENT_FAILED, Stage.RCPT), ACCEPTED] == ends(results)
        assert "5.6.7" == results[1].reply.enhanced
        assert 2 == relay.mails


@pytest.mark.parametrize(
    "address",
    [
        "a@b.c>\r\nRCPT TO:<eve@example.org",
        "a b@example.org",
        "<a@example.org>",
        "nobody",
        "",
        "a@b@c.org",
        "a\0@b.org",
        "a@☃️‍.example",
    ],
)
@BOTH_WAYS
def test_what_is_no_address_never_reaches_the_relay(address, capabilities):
    batch = [*mails(1), *mails(1, ref=2, rcpt_to=address), *mails(1, ref=3, mail_from=address), *mails(1, ref=4)]
    with ScriptedRelay(capabilities=capabilities).running() as relay, connected(relay) as connection:
        assert [
            ACCEPTED,
            (Verdict.RECIPIENT_FAILED, Stage.RCPT),
            (Verdict.RELAY_DEFERRED, Stage.MAIL),
            ACCEPTED,
        ] == ends(connection.send(batch))
        assert 2 == relay.mails


def test_a_mail_larger_than_the_relay_takes_is_not_even_begun():
    with ScriptedRelay(capabilities=("PIPELINING", "SIZE 1000")).running() as relay, connected(relay) as connection:
        batch = [*mails(1), *mails(1, ref=2, pieces=[b"x" * 2000 + b"\r\n"])]

        assert [ACCEPTED, (Verdict.CONTENT_REFUSED, Stage.MAIL)] == ends(connection.send(batch))
        assert 1 == relay.mails


@pytest.mark.parametrize("offered", ["SIZE", "SIZE 0", "SIZE unlimited"])
def test_a_relay_that_names_no_limit_is_told_the_size(offered):
    with ScriptedRelay(capabilities=(offered,)).running() as relay, connected(relay) as connection:
        assert [ACCEPTED] == ends(connection.send(mails(1)))
        assert any(" SIZE=" in line for line in relay.lines)


# Refusals: they concern one mail, and the others go on.


@BOTH_WAYS
@pytest.mark.parametrize(
    ("verb", "answer", "verdict", "stage"),
    [
        ("MAIL", "550 5.1.8 sender refused", Verdict.RELAY_DEFERRED, Stage.MAIL),
        ("MAIL", "552 5.3.4 too large", Verdict.CONTENT_REFUSED, Stage.MAIL),
        ("RCPT", "550 5.1.1 no such user", Verdict.RECIPIENT_FAILED, Stage.RCPT),
        ("RCPT", "451 4.7.1 greylisted", Verdict.RECIPIENT_DEFERRED, Stage.RCPT),
        ("RCPT", "550 5.7.1 listed", Verdict.POLICY_REFUSED, Stage.RCPT),
        ("RCPT", "550-5.1.1 no\n550-5.1.1 such\n550 5.1.1 user", Verdict.RECIPIENT_FAILED, Stage.RCPT),
        ("DATA", "451 4.3.0 later", Verdict.RELAY_DEFERRED, Stage.DATA),
        ("DATA", "554 5.7.1 no", Verdict.POLICY_REFUSED, Stage.DATA),
        ("DOT", "552 5.2.2 mailbox full", Verdict.RECIPIENT_DEFERRED, Stage.DOT),
        ("DOT", "554 5.6.0 content", Verdict.CONTENT_REFUSED, Stage.DOT),
        ("DOT", "451 4.3.0 later", Verdict.RELAY_DEFERRED, Stage.DOT),
    ],
)
def test_a_refused_mail_does_not_stop_the_others(capabilities, verb, answer, verdict, stage):
    """Nor does any other mail take its place: the relay's own account agrees."""
    relay = ScriptedRelay(capabilities=capabilities, script=only_at(2, verb, answer))
    with relay.running(), connected(relay) as connection:
        assert [ACCEPTED, (verdict, stage), ACCEPTED, ACCEPTED] == ends(connection.send(mails(4)))
        assert connection.is_usable
        assert [b"1", b"3", b"4"] == [each.body[9:10] for each in relay.accepted]


@BOTH_WAYS
def test_refusals_in_a_row_and_at_either_end_are_told_apart(capabilities):
    wrong = {
        1: ("RCPT", "550 5.1.1 no"),
        2: ("RCPT", "451 4.2.1 later"),
        4: ("DATA", "554 no"),
        6: ("RCPT", "550 5.7.1 no"),
    }
    relay = ScriptedRelay(
        capabilities=capabilities,
        script=lambda turn: wrong[turn.mail][1] if turn.verb == wrong.get(turn.mail, ("",))[0] else None,
    )
    with relay.running(), connected(relay) as connection:
        assert [
            (Verdict.RECIPIENT_FAILED, Stage.RCPT),
            (Verdict.RECIPIENT_DEFERRED, Stage.RCPT),
            ACCEPTED,
            (Verdict.POLICY_REFUSED, Stage.DATA),
            ACCEPTED,
            (Verdict.POLICY_REFUSED, Stage.RCPT),
        ] == ends(connection.send(mails(6)))
        assert connection.is_usable


@pytest.mark.parametrize("at_dot", ["554 5.5.1 no valid recipients", "250 2.0.0 queued for nobody", "503 what"])
def test_data_granted_without_a_recipient_is_ended_by_a_bare_dot(at_dot):
    """RFC 2920 §3.1 lets a relay grant DATA before it looks; what it then says of nothing changes nothing."""

    def script(turn):
        if turn.mail == 2:
            return {"RCPT": "550 5.1.1 no such user", "DATA": "354 go ahead anyway", "DOT": at_dot}.get(turn.verb)
        return None

    relay = ScriptedRelay(script=script)
    with relay.running(), connected(relay) as connection:
        assert [ACCEPTED, (Verdict.RECIPIENT_FAILED, Stage.RCPT), ACCEPTED, ACCEPTED] == ends(connection.send(mails(4)))
        assert [b"1", b"3", b"4"] == [each.body[9:10] for each in relay.accepted if len(each.body) > 2]


def test_a_body_granted_to_a_refused_sender_is_never_sent():
    """It would mail an empty message to a reader who was accepted in its place; the connection goes instead."""

    def script(turn):
        if turn.mail == 2:
            return {"MAIL": "550 5.1.8 no", "RCPT": "250 odd", "DATA": "354 go ahead"}.get(turn.verb)
        return None

    relay = ScriptedRelay(script=script)
    with relay.running(), connected(relay) as connection:
        assert [ACCEPTED, (Verdict.RELAY_DEFERRED, Stage.MAIL), UNSENT] == ends(connection.send(mails(3)))
        assert not connection.is_usable
        assert 1 == len(relay.accepted)


@BOTH_WAYS
def test_a_relay_that_wants_a_pause_gets_one(capabilities):
    relay = ScriptedRelay(capabilities=capabilities, script=only_at(2, "MAIL", "450 4.7.1 too many mails"))
    with relay.running(), connected(relay) as connection:
        assert [ACCEPTED, (Verdict.RELAY_DEFERRED, Stage.MAIL), UNSENT] == ends(connection.send(mails(3)))
        assert not connection.is_usable


# The conversation ends early.


@BOTH_WAYS
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "DOT"])
def test_421_ends_the_connection_and_spends_nobodys_try(capabilities, verb):
    relay = ScriptedRelay(capabilities=capabilities, script=only_at(2, verb, "421 4.3.2 shutting down"))
    with relay.running(), connected(relay) as connection:
        assert [ACCEPTED, (Verdict.RELAY_DEFERRED, Stage(verb.lower())), UNSENT, UNSENT] == ends(
            connection.send(mails(4))
        )
        assert not connection.is_usable
        assert 1 == len(relay.accepted)


@pytest.mark.slow
@FALLING_SILENT
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
def test_silence_before_the_body_means_certainly_not_taken(capabilities, verb, act):
    relay = ScriptedRelay(capabilities=capabilities, script=only_at(2, verb, act))
    with relay.running(), connected(relay, IMPATIENT) as connection:
        results = list(connection.send(mails(4)))

        assert [ACCEPTED, (Verdict.RELAY_DEFERRED, Stage(verb.lower())), UNSENT, UNSENT] == ends(results)
        assert results[1].answer is (Silence.TIMEOUT if act is Act.HANG else Silence.LOST)
        assert 1 == len(relay.accepted)


@pytest.mark.slow
@BOTH_WAYS
@pytest.mark.parametrize("act", [Act.DROP, Act.RESET, Act.HANG], ids=lambda act: act.name)
def test_silence_after_the_dot_leaves_one_doubt_and_no_more(capabilities, act):
    """The relay took the mail each time; the client cannot know, says so, and repeats nothing."""
    relay = ScriptedRelay(capabilities=capabilities, script=only_at(2, "DOT", act))
    with relay.running(), connected(relay, IMPATIENT) as connection:
        assert [ACCEPTED, (Verdict.IN_DOUBT, Stage.DOT), UNSENT, UNSENT] == ends(connection.send(mails(4)))
        assert 2 == len(relay.accepted)


@pytest.mark.slow
@FALLING_SILENT
def test_silence_in_the_middle_of_a_body_means_certainly_not_taken(capabilities, act):
    """The body is larger than all buffers between the two, so its dot cannot have left."""
    relay = ScriptedRelay(capabilities=capabilities, script=only_at(2, "BODY", act))
    with relay.running(), connected(relay, IMPATIENT) as connection:
        assert [ACCEPTED, (Verdict.RELAY_DEFERRED, Stage.BODY), UNSENT] == ends(
            connection.send(mails(3, size=MEGABYTES))
        )
        assert 1 == len(relay.accepted)


@pytest.mark.slow
@BOTH_WAYS
def test_a_relay_that_takes_a_body_ever_so_slowly_is_given_up_before_the_dot(capabilities):
    """Something leaves at every moment, but the lease of its mail ends."""
    relay = ScriptedRelay(capabilities=capabilities, script=only_at(1, "BODY", Act.SIP))
    begun = time.monotonic()
    with relay.running(), connected(relay, IMPATIENT) as connection:
        assert [(Verdict.RELAY_DEFERRED, Stage.BODY)] == ends(connection.send(mails(1, size=MEGABYTES)))
    assert time.monotonic() - begun < 3


@BOTH_WAYS
def test_why_a_relay_broke_off_in_the_middle_of_a_body_is_heard(capabilities):
    relay = ScriptedRelay(capabilities=capabilities, script=only_at(1, "BODY", "552 5.3.4 too large"))
    with relay.running(), connected(relay) as connection:
        assert [(Verdict.CONTENT_REFUSED, Stage.BODY), UNSENT] == ends(connection.send(mails(2, size=MEGABYTES)))


@BOTH_WAYS
def test_a_yes_in_the_middle_of_a_body_is_no_yes(capabilities):
    relay = ScriptedRelay(capabilities=capabilities, script=only_at(1, "BODY", "250 2.0.0 queued"))
    with relay.running(), connected(relay) as connection:
        assert [(Verdict.RELAY_DEFERRED, Stage.BODY), UNSENT] == ends(connection.send(mails(2, size=MEGABYTES)))


def test_a_reply_to_the_dot_is_heard_though_what_followed_the_dot_could_not_be_written():
    """The kernel took the dot and not the next envelope: the first mail is accepted, the second was never begun."""

    class BreakingBehindTheDot(Wire):
        def post(self, pieces, size=-1):
            if DOT not in pieces:
                return super().post(pieces, size)
            end = pieces.index(DOT) + 1
            super().post(pieces[:end])
            raise WireError(Silence.LOST, sum(map(len, pieces[end:])))

    with ScriptedRelay().running() as relay, connected(relay) as connection:
        connection.connection._wire.__class__ = BreakingBehindTheDot

        assert [ACCEPTED, UNSENT, UNSENT] == ends(connection.send(mails(3)))
        assert 1 == relay.mails == len(relay.accepted)


@BOTH_WAYS
def test_a_relay_that_will_not_start_over_is_left(capabilities):
    """A refused envelope leaves a transaction open; without RSET the next mail would be its second sender."""

    def script(turn):
        return {"RCPT": "550 5.1.1 no", "RSET": "500 what"}.get(turn.verb) if turn.mail == 1 else None

    relay = ScriptedRelay(capabilities=capabilities, script=script)
    with relay.running(), connected(relay) as connection:
        assert [(Verdict.RECIPIENT_FAILED, Stage.RCPT), UNSENT] == ends(connection.send(mails(2)))


@BOTH_WAYS
@pytest.mark.parametrize(
    "garbage",
    [
        "HTTP/1.1 400 Bad Request",
        "",
        "250-first\n550 other",
        "999 x",
        "250-" + "x" * 70_000,
        "x" * 70_000,
        "250-y\n" * 20_000,
    ],
    ids=["http", "empty", "two codes", "no code", "long line", "long garbage", "endless"],
)
@pytest.mark.parametrize(("verb", "verdict"), [("RCPT", Verdict.RELAY_DEFERRED), ("DOT", Verdict.IN_DOUBT)])
def test_garbage_is_silence(capabilities, verb, garbage, verdict):
    relay = ScriptedRelay(capabilities=capabilities, script=only_at(1, verb, garbage))
    with relay.running(), connected(relay) as connection:
        assert [(verdict, Stage(verb.lower())), UNSENT] == ends(connection.send(mails(2)))


@BOTH_WAYS
def test_replies_may_have_many_lines_and_come_a_byte_at_a_time(capabilities):
    def script(turn):
        return {
            "RCPT": "250-2.1.5 first\n250-2.1.5 second\n250 2.1.5 third",
            "DATA": "354-go\n354 ahead",
            "DOT": Trickle("250 2.0.0 slowly", 0.001),
        }.get(turn.verb)

    with ScriptedRelay(capabilities=capabilities, script=script).running() as relay, connected(relay) as connection:
        results = list(connection.send(mails(3)))

        assert [ACCEPTED] * 3 == ends(results)
        assert "slowly" == results[0].reply.text


@pytest.mark.slow
def test_a_trickle_cannot_stretch_a_timeout():
    relay = ScriptedRelay(script=only_at(1, "DOT", Trickle("250 " + "x" * 1000, 0.05)))
    with relay.running(), connected(relay, IMPATIENT) as connection:
        begun = time.monotonic()

        assert [(Verdict.IN_DOUBT, Stage.DOT), UNSENT] == ends(connection.send(mails(2)))
        assert time.monotonic() - begun < 2


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["MAIL", "RCPT"])
def test_a_relay_that_lies_about_pipelining_costs_a_timeout_and_no_mail(verb):
    """It offers PIPELINING and forgets what came in one write with the command it answers."""
    relay = ScriptedRelay(script=lambda turn: Act.SWALLOW if (turn.mail, turn.verb) == (2, verb) else None)
    with relay.running(), connected(relay, IMPATIENT) as connection:
        results = ends(connection.send(mails(3)))

        assert [Verdict.ACCEPTED, Verdict.RELAY_DEFERRED, Verdict.UNSENT] == [verdict for verdict, _ in results]
        assert 1 == len(relay.accepted)


@pytest.mark.slow
def test_a_relay_that_forgets_what_came_behind_a_body_costs_a_timeout_and_no_mail():
    relay = ScriptedRelay(script=only_at(1, "DOT", Act.SWALLOW))
    with relay.running(), connected(relay, IMPATIENT) as connection:
        assert [ACCEPTED, (Verdict.RELAY_DEFERRED, Stage.MAIL), UNSENT] == ends(connection.send(mails(3)))
        assert 1 == len(relay.accepted)


def test_a_chained_envelope_lost_with_the_connection_was_never_sent():
    """The dot's reply is a 250, and then the relay is gone although the next envelope is on its way."""
    relay = ScriptedRelay(script=only_at(2, "MAIL", Act.RESET))
    with relay.running(), connected(relay) as connection:
        assert [ACCEPTED, (Verdict.RELAY_DEFERRED, Stage.MAIL), UNSENT] == ends(connection.send(mails(3)))


@pytest.mark.parametrize(
    ("verb", "answer"), [("MAIL", "354 what"), ("RCPT", "354 what"), ("DATA", "250 ok"), ("DATA", "334 x")]
)
@BOTH_WAYS
def test_an_answer_to_something_else_ends_the_conversation(capabilities, verb, answer):
    relay = ScriptedRelay(capabilities=capabilities, script=only_at(1, verb, answer))
    with relay.running(), connected(relay) as connection:
        assert [(Verdict.RELAY_DEFERRED, Stage(verb.lower())), UNSENT] == ends(connection.send(mails(2)))
        assert [] == relay.accepted


def test_a_relay_that_hung_up_between_batches_is_noticed():
    with ScriptedRelay().running() as relay, connected(relay) as connection:
        list(connection.send(mails(1)))
        assert connection.is_usable
        relay.say_unasked("421 4.4.2 idle for too long")
        relay.wait_until(lambda: not connection.is_usable)


def test_a_batch_for_a_relay_that_is_gone_comes_back():
    with ScriptedRelay().running() as relay, connected(relay) as connection:
        list(connection.send(mails(1)))
        relay.reset_connections()
        relay.wait_until(lambda: not connection.is_usable)

        assert [UNSENT, UNSENT] == ends(connection.send(mails(2)))
        assert 1 == len(relay.accepted)


def test_a_mail_for_a_relay_that_went_unnoticed_comes_back():
    with ScriptedRelay().running() as relay, connected(relay) as connection:
        relay.reset_connections()
        relay.wait_until(lambda: not connection.connection._wire.is_quiet)

        assert [(Verdict.RELAY_DEFERRED, Stage.MAIL), UNSENT] == ends(connection.send(mails(2)))
        assert [] == relay.accepted


def test_relays_words_are_kept_without_the_readers_address():
    relay = ScriptedRelay(script=only_at(1, "RCPT", "550 5.1.1 <reader1@example.net>: reader1 unknown"))
    with relay.running(), connected(relay) as connection:
        (result,) = connection.send(mails(1))

        assert "[address]: [address] unknown" == result.reply.text


# Stopping.


@BOTH_WAYS
def test_a_stop_between_two_mails_gives_back_the_rest(capabilities):
    told = []
    with ScriptedRelay(capabilities=capabilities).running() as relay, connected(relay) as connection:
        results = connection.send(mails(4), should_stop=lambda: len(told) >= 2, before_dot=told.append)

        assert [ACCEPTED, ACCEPTED, UNSENT, UNSENT] == ends(results)
        assert [1, 2] == told
        assert 2 == len(relay.accepted)


@BOTH_WAYS
def test_a_stop_after_the_envelope_writes_no_dot(capabilities):
    """After 354 the only way back is to drop the connection."""
    heard = []
    relay = ScriptedRelay(
        capabilities=capabilities, script=lambda turn: heard.append(turn.verb) if turn.mail == 2 else None
    )
    with relay.running(), connected(relay) as connection:
        assert [ACCEPTED, UNSENT, UNSENT] == ends(connection.send(mails(3), should_stop=lambda: "DATA" in heard))
        assert 1 == len(relay.accepted)


def test_a_stop_before_anything_was_said_keeps_the_connection():
    with ScriptedRelay().running() as relay, connected(relay) as connection:
        assert [UNSENT, UNSENT] == ends(connection.send(mails(2), should_stop=lambda: True))
        assert connection.is_usable
        assert [ACCEPTED] == ends(connection.send(mails(1)))


@BOTH_WAYS
def test_nobody_hears_of_a_dot_that_cannot_leave(capabilities):
    told = []
    relay = ScriptedRelay(capabilities=capabilities, script=only_at(2, "RCPT", "550 5.1.1 no"))
    with relay.running(), connected(relay) as connection:
        list(connection.send(mails(3), before_dot=told.append))

        assert [1, 3] == told


def test_a_dot_is_announced_before_it_leaves():
    seen = []
    with ScriptedRelay().running() as relay, connected(relay) as connection:
        list(connection.send(mails(3), before_dot=lambda ref: seen.append((ref, len(relay.accepted)))))

        assert [(1, 0), (2, 1), (3, 2)] == seen


def test_who_stops_listening_in_the_middle_loses_the_connection_and_no_more():
    with ScriptedRelay().running() as relay, connected(relay) as connection:
        results = connection.send(mails(3))
        assert Verdict.ACCEPTED is next(results).verdict
        results.close()
        told = [each.verdict for each in connection._results.values()]

        assert not connection.is_usable
        assert len(relay.accepted) <= 1 + told.count(Verdict.ACCEPTED) + told.count(Verdict.IN_DOUBT)
        assert told.count(Verdict.IN_DOUBT) <= 1


def test_an_error_of_the_listener_does_not_leave_half_a_mail_behind():
    def fail(_ref):
        raise KeyError

    with ScriptedRelay().running() as relay, connected(relay) as connection:
        with pytest.raises(KeyError):
            list(connection.send(mails(2), before_dot=fail))

        assert not connection.is_usable
        assert [] == relay.accepted


# Opening a session.


def refusal_of(relay, timeouts=SHORT, **options):
    with pytest.raises(RelayUnavailableError) as refused:
        finish(open_connection(relay, find_relay(relay), timeouts=timeouts, **options))
    assert isinstance(refused.value, TransientError)
    return refused.value


def test_nobody_listening_is_a_relay_unavailable():
    with ScriptedRelay().running() as relay:
        url = relay.url()

    assert refusal_of(Relay.parse(url)).stage is Stage.CONNECT


@pytest.mark.parametrize("patience", ["timeout=0.05", "greeting_timeout=0.05", "greeting_timeout=60&timeout=0.05"])
def test_an_url_may_say_how_long_any_answer_is_waited_for(patience):
    with ScriptedRelay(script=lambda turn: Act.HANG if turn.verb == "GREETING" else None).running() as relay:
        impatient = Relay.parse(f"{relay.url()}&{patience}")

        assert refusal_of(impatient, timeouts=None).stage is Stage.GREETING


@pytest.mark.parametrize(
    ("verb", "answer", "stage", "words"),
    [
        ("GREETING", "554 5.7.1 go away", Stage.GREETING, "554 5.7.1 go away"),
        ("GREETING", "421 too busy", Stage.GREETING, "421 too busy"),
        ("GREETING", Act.DROP, Stage.GREETING, "closed"),
        ("GREETING", Act.HANG, Stage.GREETING, "in time"),
        ("GREETING", "SSH-2.0-OpenSSH", Stage.GREETING, "no SMTP"),
        ("EHLO", "550 who are you", Stage.EHLO, "550 who are you"),
        ("EHLO", "421 later", Stage.EHLO, "421 later"),
        ("EHLO", Act.DROP, Stage.EHLO, "closed"),
    ],
)
def test_a_relay_that_will_not_have_us_says_where_and_why(verb, answer, stage, words):
    with ScriptedRelay(script=lambda turn: answer if turn.verb == verb else None).running() as relay:
        error = refusal_of(Relay.parse(relay.url()), IMPATIENT)

        assert error.stage is stage
        assert words in str(error)


def test_a_relay_that_knows_only_helo_is_spoken_to_plainly():
    relay = ScriptedRelay(script=lambda turn: "502 what" if turn.verb == "EHLO" else None)
    with relay.running(), connected(relay) as connection:
        assert [ACCEPTED] * 2 == ends(connection.send(mails(2)))
        assert ["EHLO", "HELO", "MAIL", "RCPT", "DATA"] == verbs(relay)[:5]


def test_we_introduce_ourselves_by_name_or_by_address():
    with ScriptedRelay().running() as relay:
        with connected(relay):
            pass
        with connected(relay, hello_name="news.example.org"):
            pass

        assert ["EHLO [127.0.0.1]", "EHLO news.example.org"] == [
            line for line in relay.lines if line.startswith("EHLO")
        ]


@pytest.mark.parametrize("offered", ["AUTH PLAIN LOGIN", "AUTH LOGIN", "AUTH=PLAIN", "AUTH CRAM-MD5 login"])
def test_a_password_is_given_in_a_way_the_relay_offers(offered):
    with (
        ScriptedRelay(capabilities=(offered,)).running() as relay,
        talking(relay.url(login="user:pass@"), timeouts=SHORT) as connection,
    ):
        assert [ACCEPTED] == ends(connection.send(mails(1)))


@pytest.mark.parametrize("offered", ["AUTH PLAIN", "AUTH LOGIN", "AUTH CRAM-MD5", "SIZE"])
def test_a_wrong_password_or_none_wanted_ends_before_any_mail(offered):
    with ScriptedRelay(capabilities=(offered,)).running() as relay:
        error = refusal_of(Relay.parse(relay.url(login="user:geheim@")))

        assert error.stage is Stage.AUTH
        assert "geheim" not in str(error)
        assert 0 == relay.mails


def test_a_user_that_the_relay_does_not_know_is_told_so_before_the_password_leaves():
    relay = ScriptedRelay(
        capabilities=("AUTH LOGIN",), script=lambda turn: "535 5.7.8 no" if turn.verb == "AUTH" else None
    )
    with relay.running():
        assert "535 5.7.8" in str(refusal_of(Relay.parse(relay.url(login="user:geheim@"))))
        assert ["EHLO", "AUTH"] == verbs(relay)


def test_starttls_is_verified_and_carries_a_batch():
    capabilities = (*CAPABILITIES, "STARTTLS", "AUTH PLAIN")
    with ScriptedRelay(capabilities=capabilities).running() as relay:
        at = relay.url("starttls", "user:pass@")
        with talking(at, timeouts=SHORT, tls_context=trusting()) as connection:
            assert [ACCEPTED] * 5 == ends(connection.send(mails(5, size=200_000)))
            assert connection.is_usable
            assert [ACCEPTED] * 2 == ends(connection.send(mails(2)))
        assert ["EHLO", "STARTTLS", "EHLO", "AUTH"] == verbs(relay)[:4]
        assert [200_000, 200] == sorted({len(each.body) - 16 for each in relay.accepted}, reverse=True)


def test_implicit_tls_is_verified_and_carries_a_batch():
    with ScriptedRelay(implicit_tls=True).running() as relay:
        at = relay.url("implicit")
        with talking(at, timeouts=SHORT, tls_context=trusting()) as connection:
            assert [ACCEPTED] * 5 == ends(connection.send(mails(5)))


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_certificate_nobody_vouches_for_is_not_trusted(tls):
    relay = ScriptedRelay(capabilities=("STARTTLS", "AUTH PLAIN"), implicit_tls=tls == "implicit")
    with relay.running():
        error = refusal_of(Relay.parse(relay.url(tls, "user:geheim@")))

        assert error.stage is Stage.TLS
        assert "not to be trusted" in str(error)
        assert "AUTH" not in verbs(relay)


def test_a_certificate_for_another_host_is_not_trusted():
    with ScriptedRelay(implicit_tls=True).running() as relay:
        at = Relay.parse(relay.url("implicit").replace("localhost", "127.0.0.1"))

        assert "not to be trusted" in str(refusal_of(at, tls_context=trusting()))


def test_starttls_is_never_skipped():
    """A relay, or whoever sits between, that does not offer it gets neither a password nor a mail."""
    with ScriptedRelay(capabilities=("AUTH PLAIN",)).running() as relay:
        error = refusal_of(Relay.parse(relay.url("starttls", "user:pass@")), tls_context=trusting())

        assert error.stage is Stage.TLS
        assert "does not offer STARTTLS" in str(error)
        assert ["EHLO"] == verbs(relay)


@pytest.mark.parametrize("answer", ["454 4.7.0 not now", "220 go ahead\n250 injected in the clear"])
def test_a_broken_starttls_ends_the_session(answer):
    """What comes in the clear behind the agreement may be an attacker's (CVE-2011-0411)."""
    relay = ScriptedRelay(capabilities=("STARTTLS",), script=lambda turn: answer if turn.verb == "STARTTLS" else None)
    with relay.running():
        assert refusal_of(Relay.parse(relay.url("starttls")), tls_context=trusting()).stage is Stage.TLS


def test_a_relay_that_speaks_no_tls_is_not_waited_for():
    with ScriptedRelay(capabilities=("STARTTLS",)).running() as relay:
        at = Relay.parse(relay.url("implicit"))

        assert refusal_of(at, IMPATIENT, tls_context=trusting()).stage is Stage.TLS


@pytest.mark.slow
@pytest.mark.parametrize(("verb", "verdict"), [("BODY", Verdict.RELAY_DEFERRED), ("DOT", Verdict.IN_DOUBT)])
@pytest.mark.parametrize("act", [Act.DROP, Act.HANG], ids=lambda act: act.name)
def test_in_tls_too_only_what_lies_after_the_dot_is_in_doubt(verb, verdict, act):
    relay = ScriptedRelay(implicit_tls=True, script=only_at(2, verb, act))
    with (
        relay.running(),
        talking(relay.url("implicit"), timeouts=IMPATIENT, tls_context=trusting()) as connection,
    ):
        assert [ACCEPTED, (verdict, Stage(verb.lower())), UNSENT] == ends(connection.send(mails(3, size=MEGABYTES)))


def test_an_accepted_mail_is_what_was_given():
    with ScriptedRelay().running() as relay, connected(relay) as connection:
        list(connection.send(mails(1, size=3)))

        assert [
            Accepted(
                "<news@example.org> SIZE=19 RET=HDRS",
                "<reader1@example.net> NOTIFY=FAILURE,DELAY ORCPT=rfc822;reader1@example.net",
                b"Subject: 1\r\n\r\nxxx\r\n",
            )
        ] == relay.accepted
