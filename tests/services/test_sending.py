"""Sending: over real SMTP, each reader gets their own mail once, whatever the relay, the newsroom or a reader does."""

import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest
from newsroom import DAY, HOUR, Newsroom, read, text_of, titles_in
from smtp_server import Act, Answer, ScriptedRelay, Turn
from sqlalchemy import delete, select, update
from structlog.testing import capture_logs

from newsletter.dispatch import Doorbell, Ring
from newsletter.domain.deliveries import MICRO_BATCH, POLICY_WAIT, RELAY_WAIT, DeliveryState, Pool
from newsletter.domain.editions import EditionState
from newsletter.domain.limits import Allowance
from newsletter.domain.lists import Cadence
from newsletter.errors import InvalidError, TransientError
from newsletter.mail.inspection import problems
from newsletter.mail.tokens import TokenPurpose, TokenSigner
from newsletter.services import sending
from newsletter.services.editions import pause_edition, resume_edition
from newsletter.services.mailing import MailBuilder
from newsletter.services.sending import Slice, send_slice
from newsletter.services.sign_ups import SignUpRequest, Wish, subscribe
from newsletter.services.subscriptions import unsubscribe
from newsletter.services.suppressions import suppress_address
from newsletter.storage import ledger, recovery
from newsletter.storage.deliveries import AttemptRow, DeliveryRow
from newsletter.storage.lists import ListRow
from newsletter.storage.mailings import forget_address
from newsletter.storage.variants import BlockRow

S = DeliveryState
RECIPIENT = re.compile(r"RCPT TO:<([^@>]+)@")


def edition_for(newsroom: Newsroom, *names: str, **choice: object) -> int:
    """Fan out an edition of one story to readers of these names."""
    newsroom.publish("A story", ru="Рассказ")
    newsroom.subscribe(*names, **choice)
    return newsroom.fan_out()


@contextmanager
def scripted(newsroom: Newsroom, script: Callable[[Turn], Answer]) -> Iterator[ScriptedRelay]:
    """Let a relay that does as *script* says stand in for a time."""
    relay = ScriptedRelay(script)
    with relay.running():
        newsroom.use_relay(relay.url())
        yield relay


def to(name: str, answer: Answer, verb: str = "RCPT") -> Callable[[Turn], Answer]:
    """Answer so once to the mail for *name*, at *verb*."""
    where: dict[str, int] = {}

    def script(turn: Turn) -> Answer:
        if turn.verb == "RCPT" and (match := RECIPIENT.match(turn.line)) and match[1] == name:
            where.setdefault("mail", turn.mail)
        if turn.verb == verb and turn.mail == where.get("mail"):
            where["mail"] = -1
            return answer
        return None

    return script


def took(relay: ScriptedRelay) -> Counter[str]:
    """Count the mails a relay accepted, by the recipient's name."""
    return Counter(each.rcpt_to.strip("<>").partition("@")[0] for each in relay.accepted)


def attempts(newsroom: Newsroom, delivery: DeliveryRow) -> list[AttemptRow]:
    query = select(AttemptRow).where(AttemptRow.delivery_id == delivery.id).order_by(AttemptRow.n)
    with newsroom.app.reading() as tx:
        return list(tx.session.scalars(query))


@pytest.mark.slow
def test_each_reader_gets_one_mail_of_their_own(mailing_newsroom):
    newsroom = mailing_newsroom
    newsroom.publish("A video", kind="video")
    newsroom.subscribe("ann", "bek")
    newsroom.subscribe("eva", language="ru")
    newsroom.subscribe("ilya", kinds=("video",))
    newsroom.subscribe("nobody", kinds=("speech",))
    edition_id = edition_for(newsroom)

    assert Slice(accepted=4) == newsroom.send()
    mails = {name: mail for name, [mail] in newsroom.mails().items()}
    both = {"A video", "A story"}
    assert {"ann": both, "bek": both, "eva": both, "ilya": {"A video"}} == {
        name: titles_in(mail) for name, mail in mails.items()
    }
    assert {"eva"} == {name for name, mail in mails.items() if "Рассказ" in text_of(mail)}
    assert {name: [] for name in mails} == {name: problems(mail) for name, mail in mails.items()}
    assert {name: f"{name}@readers.example" for name in mails} == {
        name: read(mail)["To"] for name, mail in mails.items()
    }
    assert dict.fromkeys(mails, S.ACCEPTED) == newsroom.states(edition_id)
    assert EditionState.DONE == newsroom.state(edition_id)


@pytest.mark.slow
def test_no_mail_holds_another_reader_s_address_or_token(mailing_newsroom):
    newsroom = mailing_newsroom
    names = ["ann", "bek", "eva"]
    edition_for(newsroom, *names)
    newsroom.send()
    signer = TokenSigner(newsroom.app.settings.secret)
    uids = {name: newsroom.subscription(name).uid for name in names}

    for name, [mail] in newsroom.mails().items():
        shown = str(read(mail)["List-Unsubscribe"]) + text_of(mail) + read(mail).get_body(("html",)).get_content()
        tokens = set(re.findall(r"/(?:unsubscribe|preferences)/([\w.-]+)", shown))
        own = {signer.sign(purpose, uids[name]) for purpose in (TokenPurpose.UNSUBSCRIBE, TokenPurpose.PREFERENCES)}
        assert own == tokens
        assert {name} == {each for each in names if f"{each}@readers.example".encode() in mail}


def test_a_mail_carries_what_its_delivery_says_for_ever(mailing_newsroom):
    newsroom = mailing_newsroom
    edition_id = edition_for(newsroom, "ann")
    row = newsroom.deliveries(edition_id)["ann"]
    newsroom.move(HOUR)
    newsroom.send()
    [mail] = newsroom.mails()["ann"]

    assert f"<{row.mail_token}@news.example.org>" == read(mail)["Message-ID"]
    assert row.mail_at == read(mail)["Date"].datetime
    [received] = newsroom.server.mails
    assert "news@example.org" == received.envelope.sender


@pytest.mark.slow
def test_sending_again_sends_nothing(mailing_newsroom, dispatcher):
    newsroom = mailing_newsroom
    edition_for(newsroom, "ann", "bek")
    newsroom.send()
    dispatcher.rings.clear()

    assert Slice() == newsroom.send()
    assert 2 == len(newsroom.server.mails)
    assert [] == dispatcher.rings


@pytest.mark.slow
def test_the_same_delivery_is_the_same_bytes_whoever_builds_it(newsroom):
    edition_for(newsroom, "ann", "bek")
    built = []
    for token in ("first", "second"):
        with newsroom.app.transaction() as tx:
            claimed = ledger.claim(tx.session, pool=Pool.BULK, allowance=Allowance(9), worker="w", token=token)
            builder = MailBuilder(newsroom.app.settings)
            builder.load(tx.session, claimed)
            built.append({each.id: b"".join(builder.build(each)) for each in claimed})
            ledger.release(tx.session, built[-1], token)
        newsroom.publish("A story", summary="Changed since")
        newsroom.move(DAY)

    assert 2 == len(built[0])
    assert built[0] == built[1]


def test_without_a_relay_mail_waits(newsroom, dispatcher):
    edition_id = edition_for(newsroom, "ann")
    dispatcher.rings.clear()

    assert Slice() == newsroom.send()
    assert {"ann": S.QUEUED} == newsroom.states(edition_id)
    assert [] == dispatcher.rings


def test_a_relay_that_is_down_costs_no_attempt(newsroom, dispatcher):
    edition_id = edition_for(newsroom, "ann")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    newsroom.use_relay(f"smtp://127.0.0.1:{port}?tls=off")
    dispatcher.rings.clear()

    assert Slice() == newsroom.send()
    row = newsroom.deliveries(edition_id)["ann"]
    assert (S.QUEUED, 0, 0, 0) == (row.state, row.attempts, row.tries, row.lapses)
    assert [] == dispatcher.rings


def test_a_relay_that_refuses_the_session_costs_no_attempt(newsroom):
    edition_id = edition_for(newsroom, "ann")
    with scripted(newsroom, lambda turn: "554 5.7.1 go away" if turn.verb == "GREETING" else None):
        assert Slice() == newsroom.send()

    assert 0 == newsroom.deliveries(edition_id)["ann"].attempts


@pytest.mark.slow
def test_a_reader_whose_server_asks_for_patience_gets_the_same_mail_later(newsroom):
    edition_id = edition_for(newsroom, "ann", "bek")
    with scripted(newsroom, to("bek", "450 4.2.0 <bek@readers.example> greylisted")) as relay:
        assert Slice(accepted=1, deferred=1) == newsroom.send()
        row = newsroom.deliveries(edition_id)["bek"]
        assert (S.QUEUED, 1, 1) == (row.state, row.tries, row.attempts)
        assert timedelta(minutes=4) <= row.available_at - row.state_at <= timedelta(minutes=6)
        assert Slice() == newsroom.send()
        newsroom.make_due()
        assert Slice(accepted=1) == newsroom.send()

    assert {"ann": 1, "bek": 1} == took(relay)
    first, second = attempts(newsroom, row)
    assert ("recipient_deferred", "rcpt", 450, "4.2.0") == (first.outcome, first.stage, first.code, first.enhanced)
    assert "accepted" == second.outcome
    assert "bek" not in first.reply
    assert EditionState.DONE == newsroom.state(edition_id)


@pytest.mark.slow
def test_an_address_that_does_not_exist_has_failed_and_harms_no_other(newsroom):
    edition_id = edition_for(newsroom, "ann", "bek", "eva")
    with scripted(newsroom, to("bek", "550 5.1.1 <bek@readers.example>: user unknown")) as relay:
        assert Slice(accepted=2, failed=1) == newsroom.send()

    row = newsroom.deliveries(edition_id)["bek"]
    assert (S.FAILED, 1) == (row.state, row.tries)
    assert "user unknown" in row.reason
    assert "bek" not in row.reason
    assert {"ann": 1, "eva": 1} == took(relay)
    assert EditionState.DONE == newsroom.state(edition_id)


@pytest.mark.slow
def test_a_mail_refused_for_what_it_says_pauses_its_edition_and_is_not_lost(newsroom, monkeypatch):
    monkeypatch.setitem(MICRO_BATCH, Pool.BULK, 1)
    edition_id = edition_for(newsroom, "ann", "bek", "eva")
    with scripted(newsroom, to("ann", "554 5.6.0 message refused", "DOT")) as relay:
        with capture_logs() as logs:
            newsroom.send()
        assert (EditionState.PAUSED, 0) == (newsroom.state(edition_id), len(relay.accepted))
        assert [("content_refused", "error")] == [
            (each["event"], each["log_level"]) for each in logs if each.get("edition_id") == edition_id
        ]
        row = newsroom.deliveries(edition_id)["ann"]
        assert (S.QUEUED, 0, RELAY_WAIT) == (row.state, row.tries, row.available_at - row.state_at)
        resume_edition(newsroom.app, edition_id)
        newsroom.make_due()
        newsroom.send()

    assert {"ann": 1, "bek": 1, "eva": 1} == took(relay)


@pytest.mark.slow
def test_a_refusal_for_our_reputation_blames_no_reader(newsroom):
    edition_id = edition_for(newsroom, "ann", "bek")
    with scripted(newsroom, to("bek", "550 5.7.1 our policy does not like you")):
        assert Slice(accepted=1, deferred=1) == newsroom.send()

    row = newsroom.deliveries(edition_id)["bek"]
    assert (S.QUEUED, 0, POLICY_WAIT) == (row.state, row.tries, row.available_at - row.state_at)
    assert EditionState.SENDING == newsroom.state(edition_id)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "verb"),
    [
        pytest.param("421 4.3.2 closing", "RCPT", id="421 to RCPT"),
        pytest.param("451 4.3.0 no room", "MAIL", id="4xx to MAIL"),
        pytest.param(Act.DROP, "DATA", id="broken off at DATA"),
        pytest.param("421 4.3.2 closing", "DOT", id="421 to the dot"),
    ],
)
def test_a_relay_that_breaks_off_before_it_took_a_mail_loses_and_doubles_none(newsroom, answer, verb):
    edition_id = edition_for(newsroom, "ann", "bek", "eva")
    with scripted(newsroom, lambda turn: answer if (turn.verb, turn.mail) == (verb, 2) else None) as relay:
        newsroom.send()
        after = Counter(newsroom.states(edition_id).values())
        assert {S.ACCEPTED, S.QUEUED} == after.keys()
        assert len(relay.accepted) == after[S.ACCEPTED]
        assert {0} == {row.tries for row in newsroom.deliveries(edition_id).values()}
        newsroom.make_due()
        newsroom.send()

    assert {"ann": 1, "bek": 1, "eva": 1} == took(relay)
    assert {S.ACCEPTED} == set(newsroom.states(edition_id).values())


@pytest.mark.slow
def test_a_relay_that_falls_silent_after_the_dot_leaves_that_mail_in_doubt(newsroom):
    """It may have taken it: nothing is sent again where the list holds, and the others get theirs."""
    edition_id = edition_for(newsroom, "ann", "bek", "eva")
    with scripted(newsroom, lambda turn: Act.DROP if (turn.verb, turn.mail) == ("DOT", 2) else None) as relay:
        newsroom.send()
        newsroom.make_due()
        newsroom.send()

    assert {S.ACCEPTED: 2, S.IN_DOUBT: 1} == Counter(newsroom.states(edition_id).values())
    assert {"ann": 1, "bek": 1, "eva": 1} == took(relay)
    [doubted] = [row for row in newsroom.deliveries(edition_id).values() if row.state == S.IN_DOUBT]
    assert ["in_doubt"] == [each.outcome for each in attempts(newsroom, doubted)]
    assert EditionState.SENDING == newsroom.state(edition_id)


def during_the_first(act: Callable[[], object]) -> Callable[[Turn], Answer]:
    """Do something while the first mail is on its way."""

    def script(turn: Turn) -> Answer:
        if (turn.verb, turn.mail) == ("RCPT", 1):
            act()
        return None

    return script


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each mail have a turn of its own."""
    monkeypatch.setitem(MICRO_BATCH, Pool.BULK, 1)


@pytest.mark.slow
@pytest.mark.usefixtures("one_by_one")
def test_a_reader_who_leaves_while_the_edition_is_sent_gets_nothing(newsroom):
    edition_id = edition_for(newsroom, "ann", "bek", "eva")

    def leave() -> None:
        unsubscribe(newsroom.app, newsroom.subscription("bek").uid, basis="one click", evidence="")

    with scripted(newsroom, during_the_first(leave)) as relay:
        newsroom.send()

    assert {"ann": 1, "eva": 1} == took(relay)
    assert {"ann": S.ACCEPTED, "bek": S.CANCELLED, "eva": S.ACCEPTED} == newsroom.states(edition_id)


@pytest.mark.slow
@pytest.mark.usefixtures("one_by_one")
def test_an_address_suppressed_while_the_edition_is_sent_gets_nothing(newsroom):
    edition_id = edition_for(newsroom, "ann", "bek", "eva")
    suppress = during_the_first(lambda: suppress_address(newsroom.app, "bek@readers.example"))
    with scripted(newsroom, suppress) as relay:
        newsroom.send()

    assert {"ann": 1, "eva": 1} == took(relay)
    assert S.SUPPRESSED == newsroom.states(edition_id)["bek"]


@pytest.mark.slow
@pytest.mark.usefixtures("one_by_one")
def test_a_pause_bites_within_a_micro_batch_and_a_resume_goes_on(newsroom):
    edition_id = edition_for(newsroom, "ann", "bek", "eva")
    with scripted(newsroom, during_the_first(lambda: pause_edition(newsroom.app, edition_id))) as relay:
        newsroom.send()
        assert {"ann": 1} == took(relay)
        assert {"ann": S.ACCEPTED, "bek": S.QUEUED, "eva": S.QUEUED} == newsroom.states(edition_id)
        resume_edition(newsroom.app, edition_id)
        newsroom.send()

    assert {"ann": 1, "bek": 1, "eva": 1} == took(relay)


@pytest.mark.slow
@pytest.mark.usefixtures("one_by_one")
def test_a_sender_that_is_asked_to_stop_ends_its_slice_and_rings_for_the_rest(newsroom, dispatcher):
    edition_id = edition_for(newsroom, "ann", "bek", "eva")
    stop = threading.Event()
    with scripted(newsroom, during_the_first(stop.set)) as relay:
        dispatcher.rings.clear()
        done = send_slice(newsroom.app, Pool.BULK, should_stop=stop.is_set)

    assert len(relay.accepted) == done.accepted <= 1
    assert {0} == {row.tries for row in newsroom.deliveries(edition_id).values()}
    assert S.LEASED not in newsroom.states(edition_id).values()
    assert S.SENDING not in newsroom.states(edition_id).values()
    assert [Ring(Doorbell.SEND_BULK)] == dispatcher.rings


def test_a_slice_that_is_over_rings_for_the_next(newsroom, dispatcher, monkeypatch):
    monkeypatch.setattr(sending, "SLICE_SECONDS", 0)
    edition_for(newsroom, "ann")
    dispatcher.rings.clear()
    with newsroom.relay():
        newsroom.send()

    assert [Ring(Doorbell.SEND_BULK)] == dispatcher.rings


@pytest.mark.slow
def test_senders_at_work_together_send_each_mail_once(mailing_newsroom, monkeypatch):
    monkeypatch.setitem(MICRO_BATCH, Pool.BULK, 2)
    newsroom = mailing_newsroom
    names = [f"reader{number}" for number in range(12)]
    edition_id = edition_for(newsroom, *names)
    senders = [threading.Thread(target=newsroom.send) for _ in range(3)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()

    assert dict.fromkeys(names, 1) == {name: len(mails) for name, mails in newsroom.mails().items()}
    assert {S.ACCEPTED} == set(newsroom.states(edition_id).values())


@pytest.mark.slow
def test_answers_are_kept_until_the_database_has_them(mailing_newsroom, monkeypatch):
    newsroom = mailing_newsroom
    edition_id = edition_for(newsroom, "ann", "bek")
    real, failures = ledger.take_turn, [2]

    def flaky(session: object, **turn: object) -> dict[int, int]:
        if turn["told"] and failures[0]:
            failures[0] -= 1
            raise TransientError("the database is away")
        return real(session, **turn)

    monkeypatch.setattr(ledger, "take_turn", flaky)
    newsroom.send()

    assert {"ann": S.ACCEPTED, "bek": S.ACCEPTED} == newsroom.states(edition_id)
    assert 0 == failures[0]
    assert 2 == len(newsroom.server.mails)


@pytest.mark.slow
@pytest.mark.parametrize("address", ["no address", "bek@readers.example\r\nBcc: eva@readers.example", ""])
def test_a_mail_that_cannot_be_built_harms_only_itself(mailing_newsroom, address):
    newsroom = mailing_newsroom
    edition_id = edition_for(newsroom, "ann", "bek", "eva")
    broken = newsroom.deliveries(edition_id)["bek"]
    newsroom.change(broken, address=address)

    assert Slice(accepted=2) == newsroom.send()
    assert {"ann": 1, "eva": 1} == {name: len(mails) for name, mails in newsroom.mails().items()}
    with newsroom.app.reading() as tx:
        row = tx.session.get_one(DeliveryRow, broken.id)
    assert (S.FAILED, 0) == (row.state, row.attempts)
    assert "readers.example" not in row.reason


def two_lists(newsroom: Newsroom) -> tuple[int, int]:
    """Fan out an edition each of a list with something wrong, and of a sound one."""
    newsroom.add_list("broken", cadences=(Cadence.DAILY,))
    newsroom.publish("A story")
    newsroom.subscribe("ann", slug="broken")
    newsroom.subscribe("bek")
    return newsroom.fan_out("broken", Cadence.DAILY), newsroom.fan_out()


@pytest.mark.slow
def test_an_edition_that_cannot_be_put_into_mails_is_paused_and_stops_no_other(mailing_newsroom):
    """Its list's reply address fits no header: nothing of it is lost, and staff are told."""
    newsroom = mailing_newsroom
    broken, sound = two_lists(newsroom)
    with newsroom.app.transaction() as tx:
        tx.session.execute(update(ListRow).where(ListRow.slug == "broken").values(reply_to="no address"))
    with capture_logs() as logs:
        newsroom.send()

    assert {"bek": 1} == {name: len(mails) for name, mails in newsroom.mails().items()}
    assert (EditionState.PAUSED, EditionState.DONE) == (newsroom.state(broken), newsroom.state(sound))
    row = newsroom.deliveries(broken)["ann"]
    assert (S.QUEUED, 0, 0) == (row.state, row.attempts, row.lapses)
    [told] = [each for each in logs if each["log_level"] == "error"]
    assert ("edition_not_mailable", broken) == (told["event"], told["edition_id"])
    assert "Reply-To" in told["error"]


@pytest.mark.slow
def test_mail_that_makes_its_sender_crash_is_found_out_and_stops_no_other(mailing_newsroom):
    """A block is gone, which nobody foresaw: its rows stay leased, lapse, are tried alone, and count as poison."""
    newsroom = mailing_newsroom
    broken, sound = two_lists(newsroom)
    with newsroom.app.transaction() as tx:
        tx.session.execute(delete(BlockRow).where(BlockRow.edition_id == broken, BlockRow.key == "head"))
    for _ in range(12):
        with suppress(KeyError):
            newsroom.send()
        with newsroom.app.transaction() as tx:
            past = ledger.database_now(tx.session) - HOUR
            leased = DeliveryRow.state == S.LEASED
            tx.session.execute(update(DeliveryRow).where(leased).values(lease_until=past))
            recovery.requeue_lapsed(tx.session)

    assert {"bek": S.ACCEPTED} == newsroom.states(sound)
    assert {"ann": S.FAILED} == newsroom.states(broken)
    assert newsroom.deliveries(broken)["ann"].reason.startswith("poison")


@pytest.mark.slow
def test_a_confirmation_goes_out_on_its_own_lane(mailing_newsroom):
    newsroom = mailing_newsroom
    edition_id = edition_for(newsroom, "ann")
    request = SignUpRequest(
        address="new@readers.example", wishes=[Wish("weekly")], language="ru", basis="Yes, mail me", evidence=""
    )
    subscribe(newsroom.app, request)

    assert Slice(accepted=1) == newsroom.send(Pool.TRANSACTIONAL)
    assert {"ann": S.QUEUED} == newsroom.states(edition_id)
    [mail] = newsroom.mails()["new"]
    assert [] == problems(mail)
    token = TokenSigner(newsroom.app.settings.secret).sign(TokenPurpose.CONFIRM, newsroom.subscription("new").uid)
    assert f"https://news.example.org/confirm/{token}" in text_of(mail)
    assert {"new": S.ACCEPTED} == newsroom.states()


def test_a_confirmation_refused_for_what_it_says_has_failed(newsroom):
    request = SignUpRequest(
        address="new@readers.example", wishes=[Wish("weekly")], language="en", basis="Yes, mail me", evidence=""
    )
    subscribe(newsroom.app, request)
    with scripted(newsroom, lambda turn: "554 5.6.0 message refused" if turn.verb == "DOT" else None):
        newsroom.send(Pool.TRANSACTIONAL)

    assert {"new": S.FAILED} == newsroom.states()


def test_a_confirmation_whose_reader_was_erased_fails_alone(mailing_newsroom):
    """Erased between its claim and its turn, when nothing could cancel it any more."""
    newsroom = mailing_newsroom
    for name in ("gone", "new"):
        wishes = {"wishes": [Wish("weekly")], "language": "en", "basis": "Yes, mail me", "evidence": ""}
        subscribe(newsroom.app, SignUpRequest(address=f"{name}@readers.example", **wishes))
    gone = newsroom.deliveries()["gone"]
    with newsroom.app.transaction() as tx:
        forget_address(tx.session, gone.subscriber_id)

    assert Slice(accepted=1) == newsroom.send(Pool.TRANSACTIONAL)
    assert {"new"} == newsroom.mails().keys()
    assert {"None": S.FAILED, "new": S.ACCEPTED} == newsroom.states()


def test_a_builder_says_what_is_wrong_with_a_mail(newsroom):
    edition_for(newsroom, "ann")
    with newsroom.app.transaction() as tx:
        [claimed] = ledger.claim(tx.session, pool=Pool.BULK, allowance=Allowance(1), worker="w", token="t")
        builder = MailBuilder(newsroom.app.settings)
        builder.load(tx.session, [claimed])
    broken = claimed._replace(address="no address")

    with pytest.raises(InvalidError, match="To:"):
        builder.build(broken)
