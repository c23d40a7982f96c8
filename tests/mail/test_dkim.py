"""Signatures: a receiver that shares no code with us believes them, and nothing that was changed."""

import hashlib
import re
from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest
from dkim.canonicalization import Relaxed, Simple
from dkim_verifier import Receiver, signatures
from hypothesis import example, given, settings
from hypothesis import strategies as st
from smtp_talk import talking

from newsletter.demo.mailserver import MailServer
from newsletter.domain.variants import Hole
from newsletter.errors import InvalidError
from newsletter.mail.dkim import OVERSIGNED, SIGNED, VALID_FOR, Signer, _canonical, _relaxed, simple_body
from newsletter.mail.dkim_keys import KeyKind, key_record, load_key, load_signer, make_key, save_key
from newsletter.mail.envelopes import Envelope
from newsletter.mail.headers import DigestHeaders, Feedback, NoticeHeaders, Reader, Recipient
from newsletter.mail.inspection import problems
from newsletter.mail.message import build_notice, prepare

DOMAIN = "news.example.org"
SENT_AT = datetime(2026, 3, 16, 2, 0, 30, tzinfo=UTC)
TEXT = ["Weekly digest\n\n", Hole("why"), "\nLeave: ", Hole("unsubscribe_url"), "\n"]
HTML = ["<!DOCTYPE html><html><body><p>", Hole("why"), '</p><a href="', Hole("unsubscribe_url"), '">Leave</a></html>']
URL = "https://news.example.org/unsubscribe/AbC-_09"
VALUES = {"why": "You chose climate & water", "unsubscribe_url": URL}
KINDS = [("rsa",), ("ed25519",), ("rsa", "ed25519")]
UNSIGNED = {"Precedence", "X-Auto-Response-Suppress"}
"""Advice to vacation programs, and nothing worth forging."""
RFC_8463_KEY = """\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
"""

words = st.text(st.one_of(st.characters(exclude_categories=["Cs", "Cc"]), st.sampled_from("Ж .=\n>F漢")), max_size=200)
one_line = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=120)
subjects = st.text(st.sampled_from("Жаңылык: week 12 =?_."), min_size=1, max_size=150).filter(str.strip)
segments = st.lists(st.one_of(words, st.sampled_from([Hole("why"), Hole("a"), Hole("unsubscribe_url")])), max_size=9)
addresses = st.sampled_from(["ann@example.net", "айгүл@сайт.рф", f"{'long.' * 12}name@{'sub.' * 20}example.net"])


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A key of each kind, in a file; its kind is its selector."""
    folder = tmp_path_factory.mktemp("keys")
    for kind in KeyKind:
        save_key(make_key(kind), folder / kind)
    return {kind: folder / kind for kind in KeyKind}


@pytest.fixture(scope="module")
def signers(keys):
    """A signer for each choice of keys."""
    return {kinds: load_signer([(kind, keys[kind]) for kind in kinds]) for kinds in KINDS}


@pytest.fixture(scope="module")
def receiver(keys):
    """Somebody who finds our keys in the DNS."""
    records = [key_record(load_key(path), selector=kind, domain=DOMAIN) for kind, path in keys.items()]
    return Receiver({record.name: record.value for record in records})


@pytest.fixture(scope="module")
def signed(signers):
    """A digest signed with both keys."""
    return digest(signers["rsa", "ed25519"])


def headers(**changes):
    return DigestHeaders(
        **{
            "subject": "Эженелик: таза суу",
            "from_name": "Шаардык жаңылыктар",
            "from_address": f"press@{DOMAIN}",
            "reply_to": f"editors@{DOMAIN}",
            "language": "ky",
            "mail_domain": DOMAIN,
            "list_title": "Жума сайын",
            "list_id": f"weekly.lists.{DOMAIN}",
            "archive_url": f"https://{DOMAIN}/archive/",
            "help_url": f"https://{DOMAIN}/",
            "subscribe_url": f"https://{DOMAIN}/subscribe",
            "owner": f"editors@{DOMAIN}",
            "feedback": Feedback(edition="12", list="weekly", kind="weekly", sender="cityroom"),
            "complaints_to": f"complaints@{DOMAIN}",
        }
        | changes
    )


def reader(address="ann@example.net", sent_at=SENT_AT):
    return Reader(
        address=address,
        token="0b8e5f5e6d7c4a3fb1c2d3e4f5a6b7c8",
        sent_at=sent_at,
        unsubscribe_url=URL,
        unsubscribe_mailto=f"mailto:leave@{DOMAIN}?subject=AbC-_09",
    )


def digest(signer, *, text=TEXT, page=HTML, values=VALUES, to=None, **changes):
    prepared = prepare(headers(**changes), text=text, html=page, nonce="5f0c2d3e4a5b6c7d", signer=signer)
    return b"".join(prepared.fill(to or reader(), values))


def names_in(message):
    header = message.partition(b"\r\n\r\n")[0].decode()
    return {name for name in re.findall(r"^([^:\s]+):", header, flags=re.MULTILINE) if name != "DKIM-Signature"}


mails = st.fixed_dictionaries(
    {
        "text": segments.map(lambda some: [*some, "the end"]),
        "page": segments.map(lambda some: [*some, "the end"]),
        "values": st.fixed_dictionaries({"why": one_line, "a": one_line, "unsubscribe_url": st.just(URL)}),
        "subject": subjects,
        "to": addresses.map(reader),
    }
)


@pytest.mark.parametrize("kinds", KINDS, ids="+".join)
@settings(max_examples=40)
@given(mails)
@example({"text": ["Ж" * 40_000, *TEXT], "page": ["<p>" * 10_000, *HTML]})
@example({"text": ["x", "\r\n" * 9], "page": ["x", Hole("why"), "\r\n\r\n"], "values": {"why": ""}})
def test_a_receiver_believes_whatever_we_send(signers, receiver, kinds, mail):
    """Base64 and quoted-printable, any number of holes anywhere, words in any script, addresses beyond ASCII."""
    message = digest(signers[kinds], **mail)

    assert [True] * len(kinds) == receiver.verdicts(message, at=SENT_AT)
    assert [] == problems(message, may_be_utf8=True)
    assert message == digest(signers[kinds], **mail)
    assert message.endswith(digest(None, **mail))


def test_signatures_survive_the_relay(signers, receiver):
    """As received by a real SMTP server, dots taken off again."""
    text = [".\n..\nFrom the field\n.", Hole("why"), "\n.\n"]
    values = [{"why": f"{'.' * count}\u0416", "unsubscribe_url": URL} for count in range(5)]
    prepared = prepare(headers(), text=text, html=HTML, nonce="5f", signer=signers["rsa", "ed25519"])
    envelopes = [
        Envelope(ref, f"bounces@{DOMAIN}", "ann@example.net", prepared.fill(reader(), told))
        for ref, told in enumerate(values)
    ]
    with MailServer() as server:
        with talking(server.url) as connection:
            assert len(values) == len(list(connection.send(envelopes)))
        received = [mail.content for mail in server.mails]

    assert [b"".join(each.pieces) for each in envelopes] == received
    assert [[True, True]] * len(values) == [receiver.verdicts(message, at=SENT_AT) for message in received]


def test_a_notice_is_signed_too(signers, receiver):
    notice = NoticeHeaders(
        subject="Confirm", from_name="City", from_address=f"news@{DOMAIN}", language="en", mail_domain=DOMAIN
    )
    recipient = Recipient(address="ann@example.net", token="c" * 32, sent_at=SENT_AT)
    made = [
        b"".join(build_notice(notice, recipient, text="Confirm\n", html="<p>Confirm", signer=signers["rsa",]))
        for _ in range(2)
    ]

    assert [True] == receiver.verdicts(made[0], at=SENT_AT)
    assert made[0] == made[1]
    assert UNSIGNED >= names_in(made[0]) - set(signatures(made[0])[0]["h"].split(":"))


def test_all_fields_are_signed_but_advice_to_programs(signed):
    for signature in signatures(signed):
        assert UNSIGNED == names_in(signed) - set(signature["h"].split(":"))
        assert {"List-Unsubscribe", "List-Unsubscribe-Post"} <= set(signature["h"].split(":"))


def test_the_tags_say_how_and_how_long(signed):
    first, second = signatures(signed)

    assert ("1", "rsa-sha256", "relaxed/simple", DOMAIN, "rsa") == tuple(first[tag] for tag in "vacds")
    assert ("ed25519-sha256", "ed25519") == (second["a"], second["s"])
    assert int(SENT_AT.timestamp()) == int(first["t"])
    assert int((SENT_AT + VALID_FOR).timestamp()) == int(first["x"])
    assert "l" not in first


def test_a_signature_runs_out(signed, receiver):
    assert [True, True] == receiver.verdicts(signed, at=SENT_AT + VALID_FOR)
    assert [False, False] == receiver.verdicts(signed, at=SENT_AT + VALID_FOR + timedelta(days=1))


@pytest.mark.parametrize("name", OVERSIGNED)
def test_a_second_field_on_top_is_found_out(signed, receiver, name):
    """For each that a mail program may show or act on, those too that the mail has not, such as Cc."""
    assert [False, False] == receiver.verdicts(f"{name}: forged@eve.example\r\n".encode() + signed, at=SENT_AT)
    assert [False, False] == receiver.verdicts(f"{name.upper()}:\r\n x\r\n".encode() + signed, at=SENT_AT)


@pytest.mark.parametrize("name", sorted({*OVERSIGNED, *SIGNED} - {"Cc", "Auto-Submitted"}))
def test_a_changed_field_is_found_out(signed, receiver, name):
    field = re.compile(rb"(?m)^%s:.*\r\n(?:[ \t].*\r\n)*" % name.encode())
    changed, changes = field.subn(lambda found: found[0][:-3] + b"!\r\n", signed, count=1)
    removed, removals = field.subn(b"", signed, count=1)

    assert (1, 1) == (changes, removals)
    assert [False, False] == receiver.verdicts(changed, at=SENT_AT)
    assert [False, False] == receiver.verdicts(removed, at=SENT_AT)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"climate", b"warming"), (b"</html>", b"</html>\r\n<p>more"), (b"--\r\n", b"--\r\nmore\r\n")],
)
def test_a_changed_body_is_found_out(signed, receiver, old, new):
    head, tail = signed.rsplit(old, 1)

    assert [False, False] == receiver.verdicts(head + new + tail, at=SENT_AT)


def test_another_key_in_the_dns_is_found_out(signed, keys):
    records = [key_record(make_key(kind), selector=kind, domain=DOMAIN) for kind in keys]

    assert [False, False] == Receiver({each.name: each.value for each in records}).verdicts(signed, at=SENT_AT)


def test_what_relays_do_to_white_space_does_no_harm(signed, receiver):
    """Header lines folded anew, names in capitals, empty lines at the end."""
    header, body = signed.split(b"\r\n\r\n", 1)
    refolded = re.sub(rb"(?:\r\n)? (?=\S)", b"\r\n\t  ", header).replace(b"\r\nSubject:", b"\r\nSUBJECT:")

    assert refolded != header
    assert [True, True] == receiver.verdicts(refolded + b"\r\n\r\n" + body + b"\r\n\r\n", at=SENT_AT)


def test_a_delivery_is_signed_as_of_its_date(signers):
    """So that a resend is the same mail, and only a delivery with another Date is another."""
    prepared = prepare(headers(), text=TEXT, html=HTML, nonce="5f", signer=signers["rsa", "ed25519"])
    later = reader(sent_at=SENT_AT + timedelta(seconds=1))

    assert prepared.fill(reader(), VALUES) == prepared.fill(reader(), VALUES)
    assert signatures(prepared.fill(reader(), VALUES)[0]) != signatures(prepared.fill(later, VALUES)[0])


def test_the_known_answer_of_rfc_8463(tmp_path):
    """Appendix A: our canonical forms, hashes and key give the signature printed there."""
    (tmp_path / "brisbane.pem").write_text(RFC_8463_KEY)
    (key,) = load_signer([("brisbane", tmp_path / "brisbane.pem")]).keys
    fields = (
        b"From: Joe SixPack <joe@football.example.com>\r\n"
        b"To: Suzie Q <suzie@shopping.example.net>\r\n"
        b"Subject: Is dinner ready?\r\n"
        b"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
        b"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
    )
    own = (
        b" v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
        b" d=football.example.com; i=@football.example.com;\r\n"
        b" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
        b" subject : date : message-id : from : subject : date;\r\n"
        b" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
        b" b="
    )
    body = b"Hi.\r\n\r\nWe lost the game. Are you hungry yet?\r\n\r\nJoe.\r\n"  # relaxed already
    signed = hashlib.sha256(_canonical(fields)[1] + b"dkim-signature:" + _relaxed(own).lstrip())

    assert b"2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=" == b64encode(hashlib.sha256(simple_body(body)).digest())
    assert b"/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==" == b64encode(
        key.sign(signed.digest())
    )


@given(st.lists(st.sampled_from([b"\r\n", b"\n", b"\r", b" ", b"x", b"."]), max_size=12).map(b"".join))
def test_a_body_has_the_simple_form_of_another_library(body):
    assert Simple.canonicalize_body(body) == simple_body(body)


@given(
    st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b"", b"x", b"\r\n\r\n", b"abc\r\n"]), max_size=8),
    st.integers(0, 8),
)
def test_a_body_is_hashed_in_any_pieces(signers, pieces, cut):
    """Wherever the common start ends, and however many line ends there are at the end of which piece."""
    fields, own = b"From: a@news.example.org\r\n", b"To: ann@example.net\r\n"
    prepared = signers["ed25519",].prepare("a@news.example.org", fields, pieces[:cut])
    (signature,) = signatures(prepared.sign(own, pieces[cut:], SENT_AT))

    assert b64encode(hashlib.sha256(Simple.canonicalize_body(b"".join(pieces))).digest()).decode() == signature["bh"]


@given(st.lists(st.tuples(st.sampled_from([*OVERSIGNED, *SIGNED]), st.lists(one_line, min_size=1, max_size=3))))
def test_fields_have_the_relaxed_form_of_another_library(fields):
    made = [(name.encode(), b"\r\n\t ".join(f" {each} x".encode() for each in lines)) for name, lines in fields]
    relaxed = Relaxed.canonicalize_headers([(name, value + b"\r\n") for name, value in made])
    message = b"".join(b"%s:%s\r\n" % each for each in made)

    assert b"".join(b"%s:%s" % each for each in relaxed) == _canonical(message)[1]


def test_a_name_is_signed_without_the_blanks_behind_it():
    """As older programs write it (RFC 5322 §4.5.8)."""
    assert ((b"Subject",), b"subject:a b\r\n") == _canonical(b"Subject \t:\r\n\ta\t b \r\nX-Else: c\r\n")


def test_fields_that_stand_twice_are_refused(signers):
    """A receiver would not know which one is meant."""
    prepared = signers["rsa",].prepare(f"a@{DOMAIN}", b"From: a@news.example.org\r\n")

    with pytest.raises(InvalidError, match="twice"):
        prepared.sign(b"FROM: b@news.example.org\r\n", [b"x\r\n"], SENT_AT)


@pytest.mark.parametrize(
    ("domain", "sender", "signed_for"),
    [
        ("", "news@News.Example.org", "news.example.org"),
        ("example.org", "news@example.org", "example.org"),
        ("example.org", "news@lists.news.example.org", "example.org"),
        ("example.org", "news@notexample.org", "notexample.org"),
        ("news.example.org", "news@example.org", "example.org"),
        ("example.org", "news@сайт.рф", "xn--80aswg.xn--p1ai"),
    ],
)
def test_a_signature_is_always_aligned_with_from(domain, sender, signed_for):
    assert signed_for == Signer((), domain).domain_for(sender)


def test_long_names_fold(signers):
    """A line of the header never runs on because of a long domain."""
    domain = ".".join(["a" * 60] * 3)
    message = digest(signers["rsa",], from_address=f"news@{domain}")

    assert domain == signatures(message)[0]["d"]
    assert [] == problems(message)
