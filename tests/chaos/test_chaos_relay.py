"""A relay that refuses, breaks off, hangs, limits and forgets."""

import pytest
from chaos_orders import Act, Answer, Moment, Orders, Stage, every, first_time_to, mixed, sometimes
from chaos_processes import QUEUES
from chaos_relay import CERTIFICATES
from chaos_scenario import CONNECTIONS, HOLD, RESEND_ONCE, Chaos
from conftest import SEED

from newsletter.domain.lists import InDoubtPolicy

pytestmark = pytest.mark.slow

S = Stage
IN_SESSION = (S.MAIL, S.RCPT, S.DATA, S.BODY, S.DOT)
BUSY = "421 4.3.2 too busy"


def test_a_relay_that_refuses_connections_costs_nothing_but_time(chaos: Chaos):
    chaos.relay.refuse()
    chaos.begin(300)
    chaos.wait_until_the_relay_is_left_alone()
    attempts = {row.attempts for row in chaos.ledger.deliveries()}
    chaos.relay.listen()
    account = chaos.end("connection refused")

    assert {0} == attempts
    assert account.deliveries == account.states["accepted"]


def test_a_relay_that_closes_after_its_banner(chaos: Chaos):
    chaos.begin(300, lambda at: Act.DROP if at.stage is S.EHLO and at.connection <= 4 else None)
    account = chaos.end("closed after the banner")

    assert account.deliveries == account.states["accepted"]


def test_a_relay_that_is_too_busy_at_any_stage(chaos: Chaos):
    chaos.begin(300, mixed(every(5, BUSY, S.GREETING), every(7, BUSY, S.EHLO), every(67, BUSY, *IN_SESSION)))
    account = chaos.end("421 at any stage")

    assert account.deliveries == account.states["accepted"]
    assert 0 == account.tries


def test_recipients_refused_for_now_are_tried_again(chaos: Chaos):
    chaos.begin(300, first_time_to(10, "450 4.2.0 mailbox busy", S.RCPT))
    account = chaos.end("450 to some recipients, then well")

    assert account.deliveries == account.states["accepted"]
    assert 20 < account.tries <= chaos.relay.acts.total()  # on a slow machine some come when their mail is given back


def test_recipients_refused_for_good_have_failed_and_nobody_else(chaos: Chaos):
    def unknown(at: Moment) -> Answer:
        return "550 5.1.1 no such user" if at.stage is S.RCPT and at.recipient_number % 10 == 0 else None

    chaos.begin(300, unknown)
    account = chaos.end("550 to some recipients")

    nobodies = sum(row.recipient_number % 10 == 0 for row in chaos.ledger.deliveries())
    assert chaos.relay.acts.total() >= account.states["failed"] == nobodies > 20
    assert account.deliveries == account.states["accepted"] + account.states["failed"]


def test_a_relay_that_breaks_off_before_the_body_leaves_no_doubt(chaos: Chaos):
    stages = (S.MAIL, S.RCPT, S.DATA)
    chaos.begin(300, mixed(every(71, Act.DROP, *stages), every(89, Act.RESET, *stages), every(310, Act.HANG, *stages)))
    account = chaos.end("breaks off before the body")

    assert account.deliveries == account.states["accepted"]
    assert 0 == account.doubts


def test_a_relay_that_breaks_off_in_the_middle_of_a_body(chaos: Chaos):
    """Its sender cannot know, since the dot may have left; sent again, each arrives once."""
    orders = mixed(every(61, Act.DROP, S.BODY), every(73, Act.RESET, S.BODY), every(110, Act.HANG, S.BODY))
    chaos.begin(300, orders, policy=RESEND_ONCE)
    account = chaos.end("breaks off in a body")

    assert account.deliveries == account.states["accepted"] + account.states["in_doubt"]
    assert account.states["accepted"] == account.accepted_in_truth
    assert 0 == account.repeats


@pytest.mark.parametrize(("act", "policy"), [(Act.DROP, HOLD), (Act.RESET, RESEND_ONCE), (Act.HANG, HOLD)])
def test_a_relay_that_takes_mail_and_never_says_so(chaos: Chaos, act: Act, policy: InDoubtPolicy):
    chaos.begin(300, first_time_to(47, act, S.DOT), policy=policy)
    account = chaos.end(f"{act} after the dot")

    assert chaos.relay.acts.total() == account.doubts > 1
    assert account.deliveries == account.accepted_in_truth
    assert account.resends == account.repeats


@pytest.mark.parametrize("answer", [BUSY, Act.DROP])
def test_a_relay_that_takes_few_mails_in_one_connection(chaos: Chaos, answer: Answer):
    chaos.begin(300, lambda at: answer if at.stage is S.MAIL and at.mail > 25 else None)
    account = chaos.end(f"{answer} after 25 mails in a connection")

    assert account.deliveries == account.states["accepted"]
    assert 300 / 25 <= chaos.relay.connections


def test_a_relay_that_answers_a_letter_at_a_time(chaos: Chaos):
    chaos.begin(300, sometimes(Act.TRICKLE, *S, chance=0.05, seed=SEED))
    account = chaos.end("replies trickle")

    assert account.deliveries == account.states["accepted"]


def test_a_slow_relay_is_given_no_mail_that_its_sender_cannot_stand_for(chaos: Chaos):
    """A micro-batch takes longer than its lease: what cannot be begun in time goes back, and nothing is in doubt."""
    chaos.begin(60, delay_seconds=0.25)
    account = chaos.end("slow")

    assert account.deliveries == account.states["accepted"]


def test_a_relay_without_pipelining(chaos: Chaos, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(chaos.relay, "capabilities", ("8BITMIME",))
    chaos.begin(300, everything())
    account = chaos.end("everything at once, without pipelining")

    assert account.deliveries == account.states["accepted"] + account.states["in_doubt"]


@pytest.mark.usefixtures("own_workers")
def test_a_relay_whose_tls_fails_now_and_then_gets_nothing_in_the_clear(chaos: Chaos, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(chaos.relay, "capabilities", ("PIPELINING", "STARTTLS"))
    orders = mixed(
        every(3, "454 4.7.0 no TLS now", S.STARTTLS),
        every(4, Act.DROP, S.STARTTLS),
        lambda at: "421 4.7.0 enough" if at.mail > 40 else None,
    )
    chaos.begin(300, orders)
    url = f"smtp://localhost:{chaos.relay.port}?tls=starttls&timeout=2&connections={CONNECTIONS}"
    chaos.processes.start_worker(*QUEUES, NEWSLETTER_SMTP_URL=url, SSL_CERT_FILE=str(CERTIFICATES / "ca.pem"))
    chaos.processes.start_beat()
    account = chaos.end("TLS fails now and then")

    assert account.deliveries == account.states["accepted"]
    assert {True} == {mail.is_secret for mail in chaos.relay.taken}
    assert {Act.DROP, "454 4.7.0 no TLS now"} <= {act for _, act in chaos.relay.acts}


def test_everything_at_once(chaos: Chaos):
    chaos.begin(600, everything(), policy=RESEND_ONCE)
    account = chaos.end("everything at once")

    assert account.deliveries == account.states["accepted"] + account.states["in_doubt"]


def everything() -> Orders:
    """Misbehave in every way now and then."""
    return mixed(
        sometimes(BUSY, *S, chance=0.004, seed=SEED),
        sometimes(Act.DROP, *S, chance=0.004, seed=SEED + 1),
        sometimes(Act.RESET, *S, chance=0.002, seed=SEED + 2),
        sometimes(Act.HANG, *S, chance=0.001, seed=SEED + 3),
        sometimes(Act.TRICKLE, S.MAIL, S.RCPT, S.DATA, S.DOT, chance=0.01, seed=SEED + 4),
        sometimes("451 4.3.0 try later", S.MAIL, S.DATA, S.DOT, chance=0.01, seed=SEED + 5),
        first_time_to(29, "450 4.2.0 mailbox busy", S.RCPT),
    )
