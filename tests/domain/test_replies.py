"""Replies: what each answer at each stage means, in the words of the relays that give them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.domain.replies import LONGEST_KEPT, Reply, Silence, Stage, Verdict, judge, read_reply, redact

ACCEPTED = Verdict.ACCEPTED
FAILED = Verdict.RECIPIENT_FAILED
DEFERRED = Verdict.RECIPIENT_DEFERRED
RELAY = Verdict.RELAY_DEFERRED
POLICY = Verdict.POLICY_REFUSED
CONTENT = Verdict.CONTENT_REFUSED
DOUBT = Verdict.IN_DOUBT
BEFORE_RECIPIENT = [Stage.CONNECT, Stage.TLS, Stage.GREETING, Stage.EHLO, Stage.AUTH, Stage.MAIL]

ANSWERS = [
    # Taken.
    ("dot", "250 2.0.0 Ok: queued as 4C0FF33", ACCEPTED),
    ("dot", "250 OK id=1rBcDe-0001", ACCEPTED),
    ("dot", "252 queued", ACCEPTED),
    # The relay, before any mail.
    ("greeting", "554 5.7.1 Service unavailable; client host blocked", RELAY),
    ("greeting", "421 4.3.2 too busy", RELAY),
    ("ehlo", "550 I do not like your name", RELAY),
    ("auth", "535 5.7.8 Authentication credentials invalid", RELAY),
    ("auth", "454 4.7.0 Too many login attempts", RELAY),
    ("tls", "454 4.7.0 TLS not available", RELAY),
    # MAIL: never the person.
    ("mail", "421 4.7.0 Try again later, closing connection", RELAY),
    ("mail", "450 4.7.1 too many messages", RELAY),
    ("mail", "452 4.3.1 Insufficient system storage", RELAY),
    ("mail", "550 5.1.8 Sender address rejected: domain not found", RELAY),
    ("mail", "550 5.1.1 nonsense at this place", RELAY),
    ("mail", "530 5.7.0 Must issue a STARTTLS command first", RELAY),
    ("mail", "503 5.5.1 nested MAIL command", RELAY),
    ("mail", "552 5.3.4 Message size exceeds fixed limit", CONTENT),
    ("mail", "552 Message too large", CONTENT),
    ("mail", "550 5.6.7 SMTPUTF8 not supported by the next hop", FAILED),
    # RCPT: the person, for good.
    ("rcpt", "550 5.1.1 <ann@example.org>: Recipient address rejected: User unknown", FAILED),
    ("rcpt", "550-5.1.1 The email account that you tried to reach does not exist.", FAILED),
    ("rcpt", "550 5.1.2 host not found", FAILED),
    ("rcpt", "501 5.1.3 Bad recipient address syntax", FAILED),
    ("rcpt", "550 5.1.6 mailbox has moved", FAILED),
    ("rcpt", "556 5.1.10 recipient address has null MX", FAILED),
    ("rcpt", "550 5.2.1 The email account is disabled", FAILED),
    ("rcpt", "550 5.4.1 Recipient address rejected: Access denied", FAILED),
    ("rcpt", "550 5.4.4 unable to route", FAILED),
    ("rcpt", "553 5.6.7 non-ASCII addresses not permitted", FAILED),
    ("rcpt", "550 User unknown", FAILED),
    ("rcpt", "550 No such user here", FAILED),
    ("rcpt", "550 Requested action not taken: mailbox unavailable", FAILED),
    ("rcpt", "550 5.0.0 <ann@example.org>... User unknown", FAILED),
    ("rcpt", "551 not our customer", FAILED),
    ("rcpt", "553 sorry, that mailbox name is not right", FAILED),
    ("rcpt", "501 Syntax error in parameters", FAILED),
    ("rcpt", "554 delivery error: dd This user doesn't have an account; no such user", FAILED),
    # RCPT: the person, for now.
    ("rcpt", "450 4.2.0 <ann@example.org>: Recipient address rejected: Greylisted", DEFERRED),
    ("rcpt", "450 4.7.1 Greylisting in effect, please come back later", DEFERRED),
    ("rcpt", "451 4.7.1 Greylisting in action", DEFERRED),
    ("rcpt", "451 please try again later", DEFERRED),
    ("rcpt", "452 4.2.2 The recipient's inbox is out of storage space", DEFERRED),
    ("rcpt", "450 4.1.2 Recipient address rejected: Domain not found", DEFERRED),
    ("rcpt", "552 5.2.2 mailbox over quota", DEFERRED),
    ("rcpt", "550 5.2.2 user is over quota", DEFERRED),
    ("rcpt", "552 too many recipients", DEFERRED),
    ("rcpt", "550 Mailbox full", DEFERRED),
    ("rcpt", "550 5.2.0 Quota exceeded", DEFERRED),
    # RCPT: the relay.
    ("rcpt", "421 4.7.0 [TSS04] Messages temporarily deferred due to unexpected volume", RELAY),
    ("rcpt", "452 4.3.1 Insufficient system storage", RELAY),
    ("rcpt", "451 4.3.0 Temporary lookup failure", RELAY),
    ("rcpt", "454 4.7.0 Throttling failure: Maximum sending rate exceeded", RELAY),
    ("rcpt", "454 4.7.0 Throttling failure: Daily message quota exceeded", RELAY),
    ("rcpt", "452 4.5.3 too many recipients", RELAY),
    ("rcpt", "450 4.7.28 Gmail has detected an unusual rate", RELAY),
    ("rcpt", "503 5.5.1 Error: need MAIL command", RELAY),
    ("rcpt", "503 bad sequence of commands", RELAY),
    ("rcpt", "530 5.7.1 Authentication required", RELAY),
    ("rcpt", "550 5.3.2 system not accepting messages", RELAY),
    ("rcpt", "554 5.4.6 routing loop", RELAY),
    # RCPT: ours.
    ("rcpt", "550 5.7.1 Service unavailable; client host [192.0.2.1] blocked using a block list", POLICY),
    ("rcpt", "554 5.7.1 <ann@example.org>: Relay access denied", POLICY),
    ("rcpt", "550 5.7.26 This mail is unauthenticated", POLICY),
    ("rcpt", "550 5.7.25 The sending IP does not have a PTR record", POLICY),
    ("rcpt", "550 5.7.515 Access denied, sending domain does not meet the required authentication level", POLICY),
    ("rcpt", "550 5.1.7 sender address rejected", POLICY),
    ("rcpt", "550 relaying denied", POLICY),
    ("rcpt", "550 Message rejected as spam", POLICY),
    ("rcpt", "554 transaction failed", POLICY),
    ("rcpt", "550 5.2.3 message larger than this mailbox takes", CONTENT),
    # DATA.
    ("data", "451 4.3.0 queue file write error", RELAY),
    ("data", "451 try later", RELAY),
    ("data", "550 5.1.1 User unknown", FAILED),
    ("data", "554 5.7.1 rejected", POLICY),
    ("data", "554 no", POLICY),
    ("data", "502 command not implemented", RELAY),
    # After the dot: not taken, that much is certain.
    ("dot", "421 4.3.2 shutting down", RELAY),
    ("dot", "452 4.3.1 out of disk space", RELAY),
    ("dot", "421-4.7.28 unusual rate of mail", RELAY),
    ("dot", "451 4.7.1 Greylisted after the content", DEFERRED),
    ("dot", "450 content filter has a bad day", DEFERRED),
    ("dot", "452 4.2.2 mailbox full", DEFERRED),
    ("dot", "552 5.2.2 mailbox full", DEFERRED),
    ("dot", "552 mailbox storage exceeded", DEFERRED),
    ("dot", "550 5.1.1 User unknown", FAILED),
    ("dot", "550 5.2.1 mailbox disabled", FAILED),
    ("dot", "550 5.7.1 Our system has detected that this message is likely unsolicited mail", POLICY),
    ("dot", "550-5.7.26 This message does not have authentication information", POLICY),
    ("dot", "554 Message rejected as spam by Content Filtering", POLICY),
    ("dot", "552 5.3.4 Message too big", CONTENT),
    ("dot", "552 Message size exceeds maximum permitted", CONTENT),
    ("dot", "554 5.6.0 Message contains NUL characters", CONTENT),
    ("dot", "554 5.0.0 no thanks", CONTENT),
    ("dot", "500 line too long", CONTENT),
    # In the middle of the body.
    ("body", "552 5.3.4 Message too big", CONTENT),
    ("body", "421 4.3.2 shutting down", RELAY),
    ("body", "550 5.7.1 spam", POLICY),
    # Neither yes nor no.
    ("dot", "354 go ahead", DOUBT),
]


@pytest.mark.parametrize(
    ("stage", "line", "verdict"), ANSWERS, ids=[f"{stage} {line[:40]}" for stage, line, _ in ANSWERS]
)
def test_an_answer_is_judged_by_its_stage_codes_and_words(stage, line, verdict):
    assert verdict is judge(Stage(stage), read_reply([line]))


@pytest.mark.parametrize("silence", Silence)
@pytest.mark.parametrize("stage", Stage)
def test_only_silence_after_the_dot_leaves_a_doubt(stage, silence):
    assert judge(stage, silence) is (DOUBT if stage is Stage.DOT else RELAY)


codes = st.integers(min_value=400, max_value=599)
enhanced = st.one_of(st.just(""), st.from_regex(r"[45]\.[0-7]\.[0-9]{1,2}", fullmatch=True))


@given(st.sampled_from(Stage), codes, enhanced, st.text(max_size=40))
def test_every_refusal_has_a_verdict_and_none_counts_as_taken_or_doubtful(stage, code, enhanced, text):
    verdict = judge(stage, Reply(code, enhanced, text))

    assert verdict not in {ACCEPTED, DOUBT, Verdict.UNSENT}


@given(st.sampled_from(BEFORE_RECIPIENT), codes, enhanced)
def test_nobody_is_blamed_before_they_were_named(stage, code, enhanced):
    """But for an address that the relay cannot carry at all, 5.6.7 at MAIL."""
    verdict = judge(stage, Reply(code, enhanced, "user unknown"))

    assert verdict not in {FAILED, DEFERRED} or enhanced == "5.6.7"


@given(st.sampled_from(Stage), st.integers(min_value=400, max_value=499), enhanced, st.text(max_size=40))
def test_nothing_temporary_ends_a_delivery(stage, code, enhanced, text):
    assert judge(stage, Reply(code, enhanced, text)) in {RELAY, DEFERRED}


@given(st.sampled_from([Stage.RCPT, Stage.DATA, Stage.DOT]), st.integers(min_value=0, max_value=600))
def test_a_policy_code_never_counts_against_the_reader(stage, detail):
    assert judge(stage, Reply(550, f"5.7.{detail}", "user unknown")) is POLICY


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.DOT])
def test_a_yes_before_the_dot_decides_nothing(stage):
    with pytest.raises(ValueError, match="decides nothing"):
        judge(stage, Reply(250, "", "ok"))


def test_a_reply_of_several_lines_is_read_as_one():
    reply = read_reply(["550-5.1.1 The account does not exist.", "550-5.1.1 Please check", "550 5.1.1 gsmtp"])

    assert Reply(550, "5.1.1", "The account does not exist. Please check gsmtp") == reply


@pytest.mark.parametrize(
    ("line", "enhanced"),
    [
        ("550 5.1.1 no", "5.1.1"),
        ("250 2.0.0", "2.0.0"),
        ("550 4.1.1 class and code disagree", ""),
        ("550 5.1.1-ish", ""),
        ("550 server 5.1.1 says no", ""),
        ("250", ""),
        ("550 5.1.1234 x", ""),
    ],
)
def test_an_enhanced_code_is_one_only_where_it_belongs(line, enhanced):
    assert enhanced == read_reply([line]).enhanced


@pytest.mark.parametrize(
    "lines", [[], [""], ["HTTP/1.1 400 Bad Request"], ["250-one", "251 two"], ["25"], ["٢٥٠ ok"], ["650 x"]]
)
def test_what_is_no_reply_is_said_to_be_none(lines):
    with pytest.raises(ValueError, match="no SMTP reply"):
        read_reply(lines)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("<ann.lee@example.org>: Recipient address rejected", "[address]: Recipient address rejected"),
        ("ann.lee@example.org is over quota", "[address] is over quota"),
        ("rejected (ann.lee+x@example.org)", "rejected ([address])"),
        ("rfc822;ann.lee@example.org", "rfc822;[address]"),
        ("bounces+ann=example.org@news.example said no", "[address] said no"),
        ("see http://x.example/?to=ann%40example.org", "see http:[address]"),
        ("Ann.Lee: user unknown", "[address]: user unknown"),
        ("<0b8e5f5e@news.example.org> queued", "[address] queued"),
        ("айгүл@сайт.рф нет", "[address] нет"),
        ("queued as 4C0FF33\r\nBcc: x", "queued as 4C0FF33 Bcc: x"),
        ("annlee and joann.lee stay", "annlee and joann.lee stay"),
    ],
)
def test_no_address_is_kept(text, kept):
    assert kept == redact(text, "ann.lee@example.org")


@given(st.text(max_size=100), st.from_regex(r"[a-z.+]{1,20}@[a-z]{1,10}\.org", fullmatch=True), st.text(max_size=100))
def test_an_address_never_survives_whatever_stands_around_it(before, address, after):
    assert address not in redact(before + address + after, address)


def test_only_the_beginning_of_a_long_text_is_kept():
    assert LONGEST_KEPT == len(redact("word " * 1000))
