"""The relay's address: what it says, what it leaves out, and what it must not show."""

import pytest

from newsletter.errors import InvalidError
from newsletter.mail.relay import Relay, TLSMode
from newsletter.mail.timeouts import Timeouts


@pytest.mark.parametrize(
    ("url", "relay"),
    [
        ("smtp://localhost", Relay("localhost", 25, TLSMode.OFF)),
        ("smtp://127.0.0.1:2525", Relay("127.0.0.1", 2525, TLSMode.OFF)),
        ("smtp://[::1]:2525/", Relay("::1", 2525, TLSMode.OFF)),
        ("smtp://localhost?tls=starttls", Relay("localhost", 587, TLSMode.STARTTLS)),
        ("smtp://relay.example", Relay("relay.example", 587, TLSMode.STARTTLS)),
        ("smtp://192.0.2.1:25", Relay("192.0.2.1", 25, TLSMode.STARTTLS)),
        ("smtp://mailpit:1025?tls=off", Relay("mailpit", 1025, TLSMode.OFF)),
        ("smtp://relay.example?tls=implicit", Relay("relay.example", 465, TLSMode.IMPLICIT)),
        ("smtp://a%40b:p%3Aw%2F@relay.example", Relay("relay.example", 587, TLSMode.STARTTLS, "a@b", "p:w/")),
        ("smtp://localhost?timeout=2.5", Relay("localhost", 25, TLSMode.OFF, timeout_seconds=2.5)),
        ("smtp://localhost:25?tls=off&timeout=600", Relay("localhost", 25, TLSMode.OFF)),
        (
            "smtp://localhost?weight=3&connections=10&messages=100&age=60&rate=0.5",
            Relay(
                "localhost",
                25,
                TLSMode.OFF,
                weight=3,
                connections=10,
                messages=100,
                age_seconds=60,
                rate=0.5,
            ),
        ),
    ],
)
def test_an_url_says_where_mail_goes_and_how_it_is_secured(url, relay):
    assert relay == Relay.parse(url)


def test_each_stage_may_have_a_timeout_of_its_own():
    stages = "connect_timeout=3&tls_timeout=4&greeting_timeout=5&command_timeout=6&data_timeout=7&body_timeout=8"
    told = Timeouts(connect=3, tls=4, greeting=5, command=6, data=7, body=8, dot=9)

    assert told == Relay.parse(f"smtp://localhost?{stages}&dot_timeout=9").timeouts
    assert Timeouts() == Relay.parse("smtp://localhost").timeouts


def test_what_rfc_5321_leaves_open_is_short_and_the_rest_is_as_it_asks():
    """§4.5.3.2: greeting, MAIL and RCPT 5 minutes, DATA 2, a block of the body 3, the dot 10."""
    asked = Timeouts(connect=10, tls=60, greeting=300, command=300, data=120, body=180, dot=600, farewell=2)

    assert asked == Timeouts()


@pytest.mark.parametrize(
    ("url", "part_of_why"),
    [
        ("", "must be like"),
        ("relay.example:25", "must be like"),
        ("smtps://relay.example", "must be like"),
        ("smtp://", "must be like"),
        ("smtp://relay.example/path", "must be like"),
        ("smtp://relay.example:x", "host or port"),
        ("smtp://relay.example:70000", "host or port"),
        ("smtp://relay.example:0", "port"),
        ("smtp://user:geheim/x@relay.example", "percent-encoded"),
        ("smtp://relay.example?tls=yes", "tls=yes"),
        ("smtp://relay.example?tls=", "use off, starttls or implicit"),
        ("smtp://relay.example?tls=off&tls=starttls", "twice"),
        ("smtp://relay.example?tsl=off", "unknown options: tsl"),
        ("smtp://relay.example?verify=no&retry=3", "unknown options: retry, verify"),
        ("smtp://relay.example?timeout=0", "timeout=0; use seconds, 600 at most"),
        ("smtp://relay.example?timeout=601", "timeout=601"),
        ("smtp://relay.example?body_timeout=181", "body_timeout=181; use seconds, 180 at most"),
        ("smtp://relay.example?timeout=nan", "timeout=nan"),
        ("smtp://relay.example?timeout=soon", "timeout=soon"),
        ("smtp://relay.example?timeout=1&timeout=2", "twice"),
        ("smtp://relay.example?weight=0", "weight=0; use a whole number, 1000 at most"),
        ("smtp://relay.example?weight=1.5", "weight=1.5; use a whole number"),
        ("smtp://relay.example?connections=51", "connections=51; use a whole number, 50 at most"),
        ("smtp://relay.example?messages=many", "messages=many; use a whole number"),
        ("smtp://relay.example?age=-1", "age=-1; use seconds, 86400 at most"),
        ("smtp://relay.example?rate=inf", "rate=inf; use messages per second"),
        ("smtp://relay.example?rate=nan", "rate=nan; use messages per second"),
        ("smtp://relay.example?rate=1&rate=2", "twice"),
        ("smtp://user@relay.example", "a user and a password"),
        ("smtp://:geheim@relay.example", "a user and a password"),
    ],
)
def test_an_url_that_is_none_is_refused_with_the_remedy(url, part_of_why):
    with pytest.raises(InvalidError) as refused:
        Relay.parse(url)

    assert part_of_why in str(refused.value)
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    ("urls", "names"),
    [
        ("", []),
        (" \n", []),
        ("smtp://one.example", ["one.example:587"]),
        ("smtp://one.example?tls=implicit\n  smtp://[::1]:2525 ", ["one.example:465", "[::1]:2525"]),
    ],
)
def test_whitespace_stands_between_several_urls(urls, names):
    assert names == [relay.name for relay in Relay.parse_all(urls)]


def test_each_of_several_relays_is_a_server_of_its_own():
    with pytest.raises(InvalidError, match=r"name one\.example:25 twice; give one of them a weight="):
        Relay.parse_all("smtp://one.example:25 smtp://two.example smtp://u:p@one.example:25?weight=2")


def test_a_password_is_never_shown():
    assert "geheim" not in repr(Relay.parse("smtp://user:geheim@relay.example"))
