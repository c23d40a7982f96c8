"""The demo's mail server is a real one: what is written to its port is what its folder holds."""

import smtplib
import socket
from pathlib import Path

import pytest

from newsletter.demo.mailserver import MailServer, MailStore, fault_of

MAIL = b"Subject: One\r\nTo: reader@north.example\r\n\r\nBody.\r\n"


@pytest.fixture
def server(tmp_path: Path):
    with MailServer(tmp_path / "mails") as running:
        yield running


def say(server: MailServer, *pieces: bytes) -> list[bytes]:
    """Send *pieces* one by one over one connection and return all reply lines to its end."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        for piece in pieces:
            connection.sendall(piece)
        return connection.makefile("rb").read().splitlines()


def test_a_mail_arrives_byte_for_byte_with_its_envelope(server):
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.sendmail("news@press.example", ["reader@north.example"], MAIL)

    mail = server.mails[1]
    assert MAIL == mail.content
    assert ("news@press.example", ("reader@north.example",)) == (mail.envelope.sender, mail.envelope.recipients)


@pytest.mark.parametrize(
    "body",
    [b"", b"A\r\n", b".\r\n", b"..\r\n.a\r\nb.\r\n", b"ends with dot.\r\n", b"\r\n.\r\n\r\n"],
    ids=["empty", "one letter", "dot alone", "dots first", "dot last", "dot between empty lines"],
)
def test_stuffed_dots_come_back_as_they_were_written(server, body):
    stuffed = (b"\r\n" + body).replace(b"\r\n.", b"\r\n..")[2:]

    replies = say(
        server,
        b"EHLO sender.example\r\n",
        b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n",
        stuffed + b".\r\nQUIT\r\n",
    )

    assert b"250 2.0.0 OK: kept as 1" in replies
    assert body == server.mails[1].content


def test_pipelined_transactions_are_answered_in_order(server):
    envelope = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"

    replies = say(server, b"EHLO sender.example\r\n", (envelope + MAIL + b".\r\n") * 3 + b"QUIT\r\n")

    assert b"250-PIPELINING" in replies
    assert [b"250 2.0.0 OK: kept as %d" % number for number in (1, 2, 3)] == [r for r in replies if b"kept" in r]
    assert 3 == len(server.mails)


@pytest.mark.parametrize(
    ("content", "reply"),
    [
        (b"a\nb\r\n", "554 5.6.0 Error: bare CR or LF"),
        (b"a\rb\r\n", "554 5.6.0 Error: bare CR or LF"),
        (b"x" * 999 + b"\r\n", "554 5.6.0 Error: line longer than 998 octets"),
        (b"x" * 998 + b"\r\n", None),
    ],
    ids=["bare LF", "bare CR", "long line", "longest line"],
)
def test_a_body_that_large_receivers_refuse_is_refused(content, reply):
    assert reply == fault_of(content)


def test_a_refused_body_is_not_kept_and_the_connection_goes_on(server):
    envelope = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"

    replies = say(
        server,
        b"EHLO sender.example\r\n",
        envelope + b"bare\nfeed\r\n.\r\n",
        envelope + MAIL + b".\r\nQUIT\r\n",
    )

    assert b"554 5.6.0 Error: bare CR or LF" in replies
    assert [MAIL] == [mail.content for mail in server.mails]


def test_a_folder_keeps_its_mails_for_the_next_server(tmp_path):
    with MailServer(tmp_path) as first, smtplib.SMTP("127.0.0.1", first.port) as client:
        client.sendmail("a@b.example", ["c@d.example"], MAIL)
    with MailServer(tmp_path) as second, smtplib.SMTP("127.0.0.1", second.port) as client:
        client.sendmail("a@b.example", ["e@f.example"], MAIL)
        mails = list(second.mails)

    assert [(1, ("c@d.example",)), (2, ("e@f.example",))] == [
        (mail.envelope.number, mail.envelope.recipients) for mail in mails
    ]
    assert {MAIL} == {mail.content for mail in mails}


def test_waiting_ends_when_the_mails_are_there_or_the_time_is_up(server):
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.sendmail("a@b.example", ["c@d.example"], MAIL)

    assert server.mails.wait_for(1, timeout_seconds=5)
    assert not server.mails.wait_for(2, timeout_seconds=0)


def test_a_stopped_server_has_closed_its_port_and_its_temporary_folder():
    with MailServer() as server:
        folder = server.mails.add("a@b.example", ["c@d.example"], MAIL).path.parent

    assert not folder.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=5).close()


def test_a_number_that_no_mail_has_is_an_index_error(tmp_path):
    store = MailStore(tmp_path)
    store.close()

    for number in (-1, 0, 1):
        with pytest.raises(IndexError):
            store[number]
