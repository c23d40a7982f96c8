"""`newsletter doctor` asks a name server on loopback, which says what it is told, or nothing."""

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import dns.flags
import dns.message
import dns.rrset
import pytest
from smtp_server import ScriptedRelay

from newsletter.domain.dns_records import Judgement
from newsletter.mail import dns as questions
from newsletter.mail.dkim_keys import KeyKind, key_record, load_key, make_key, save_key
from newsletter.mail.relay import Relay
from newsletter.services.checks import Level, examine
from newsletter.services.context import App
from newsletter.services.dns_checks import judge_dns

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # it is not what is asked here
PAPER = "paper.kg"
BROKEN = "a zone that cannot be read"


@contextmanager
def name_server(zone: Mapping[tuple[str, str], tuple[str, ...]], *, is_silent: bool = False) -> Iterator[str]:
    """Serve *zone*, records by name and type, over UDP; yields the address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(0.05)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                try:
                    asked, whom = listening.recvfrom(4096)
                except TimeoutError:
                    continue
                if not is_silent:
                    listening.sendto(_answer(asked, zone), whom)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}"
        finally:
            ended.set()
            thread.join()


def _answer(asked: bytes, zone: Mapping[tuple[str, str], tuple[str, ...]]) -> bytes:
    query = dns.message.from_wire(asked)
    answer = dns.message.make_response(query)
    answer.flags |= dns.flags.RA
    name, kind = query.question[0].name, query.question[0].rdtype.name
    records = zone.get((name.to_text(omit_final_dot=True).lower(), kind))
    if records == (BROKEN,):
        answer.set_rcode(2)  # SERVFAIL
    elif records:
        answer.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *records))
    elif not any(known == name.to_text(omit_final_dot=True).lower() for known, _ in zone):
        answer.set_rcode(3)  # there is no such name
    return answer.to_wire()


@pytest.fixture
def paper(app: App, tmp_path) -> App:
    """An installation of a newsroom that has a domain, a key and a relay of its own."""
    key = make_key(KeyKind.RSA)
    save_key(key, tmp_path / "rsa.pem")
    told = {"from_address": f"news@{PAPER}", "dkim_keys": (("news", tmp_path / "rsa.pem"),), "mail_domain": PAPER}
    relay = Relay.parse(f"smtp://mx.{PAPER}:1?tls=off&timeout=1")
    return replace(app, settings=app.settings.model_copy(update=told), relays=(relay,))


def zone_of(app: App) -> dict[tuple[str, str], tuple[str, ...]]:
    [(selector, path)] = app.settings.dkim_keys
    record = key_record(load_key(path), selector=selector, domain=PAPER)
    return {
        (PAPER, "TXT"): ('"v=spf1 mx -all"',),
        (PAPER, "MX"): (f"10 mx.{PAPER}.",),
        (PAPER, "A"): ("193.0.6.140",),
        (record.name, "TXT"): (" ".join(f'"{part}"' for part in record.strings),),
        (f"_dmarc.{PAPER}", "TXT"): ('"v=DMARC1; p=quarantine"',),
        (f"mx.{PAPER}", "A"): ("193.0.6.139",),
        ("139.6.0.193.in-addr.arpa", "PTR"): (f"mx.{PAPER}.",),
    }


def findings(app: App, server: str, own_name: str = "") -> dict[str, Judgement]:
    """Ask *server*; the relays call themselves *own_name*."""
    asking = app.settings.model_copy(update={"dns_server": server})
    return dict(judge_dns(asking, [], dict.fromkeys(app.relays, own_name)))


def by_relay(app: App, url: str) -> App:
    return replace(app, relays=(Relay.parse(url),))


@pytest.mark.slow
def test_a_newsroom_that_published_everything_is_well(paper):
    with name_server(zone_of(paper)) as server:
        found = findings(paper, server)

    assert {"SPF", "DKIM record", "DMARC", "EHLO name", "SPF of relay", "reverse address"} == set(found)
    assert {""} == {each.remedy for each in found.values()}
    assert f"{PAPER} lets 193.0.6.139 of mx.{PAPER} send, by mx" == found["SPF of relay"].found


def test_one_that_published_nothing_is_told_what_to_publish(paper):
    with name_server({(f"mx.{PAPER}", "A"): ("193.0.6.139",)}) as server:
        found = findings(paper, server)

    assert {"SPF", "DKIM record", "DMARC"} == {check for check, each in found.items() if each.is_serious}
    assert "NEWSLETTER_MAIL_DOMAIN" in found["EHLO name"].remedy
    assert "v=DKIM1; k=rsa; p=" in found["DKIM record"].remedy
    assert f"_dmarc.{PAPER}" in found["DMARC"].remedy


@pytest.mark.slow
def test_another_key_is_told_from_the_one_that_signs(paper):
    other = key_record(make_key(KeyKind.ED25519), selector="news", domain=PAPER)
    zone = zone_of(paper) | {(other.name, "TXT"): (f'"{other.value}"',)}
    with name_server(zone) as server:
        assert findings(paper, server)["DKIM record"].is_serious


@pytest.mark.slow
def test_a_policy_above_the_domain_counts(paper):
    below = replace(paper, settings=paper.settings.model_copy(update={"from_address": f"news@mail.{PAPER}"}))
    with name_server(zone_of(paper)) as server:
        assert f"by _dmarc.{PAPER}" in findings(below, server)["DMARC"].found


@pytest.mark.slow
def test_a_server_that_says_nothing_is_waited_for_once_and_all_is_skipped_with_a_word(paper, monkeypatch):
    monkeypatch.setattr(questions, "LONGEST_QUESTION_SECONDS", 0.2)
    begun = time.monotonic()
    with name_server({}, is_silent=True) as server:
        found = findings(paper, server)

    assert ["DNS"] == list(found)
    assert found["DNS"].found.startswith("skipped: no name server answered")
    assert time.monotonic() - begun < 5


@pytest.mark.slow
def test_what_a_record_includes_is_followed_to_the_relay(paper):
    zone = zone_of(paper) | {
        (PAPER, "TXT"): ('"v=spf1 include:_spf.paper.kg -all"',),
        ("_spf.paper.kg", "TXT"): ('"v=spf1 redirect=_more.paper.kg"',),
        ("_more.paper.kg", "TXT"): ('"v=spf1 ip4:193.0." "6.0/24 -all"',),
    }
    with name_server(zone) as server:
        found = findings(paper, server)

    assert f"{PAPER}: v=spf1 include:_spf.paper.kg -all (2 of 10 lookups)" == found["SPF"].found
    assert "by ip4:193.0.6.0/24 of include:_spf.paper.kg" in found["SPF of relay"].found


@pytest.mark.slow
def test_what_a_record_includes_counts_against_its_lookups_and_an_end_of_them_is_serious(paper):
    asking = "".join(f"a:a{number}.{PAPER} " for number in range(9))
    zone = zone_of(paper) | {
        (PAPER, "TXT"): ('"v=spf1 include:_spf.paper.kg mx -all"',),
        ("_spf.paper.kg", "TXT"): (f'"v=spf1 {asking}-all"',),
        **{(f"a{number}.{PAPER}", "AAAA"): ("2001:db8::1",) for number in range(9)},
    }
    with name_server(zone) as server:
        found = findings(paper, server)

    assert found["SPF"].is_serious
    assert "more than 10 times" in found["SPF"].found
    assert "SPF of relay" not in found


@pytest.mark.slow
def test_the_two_lookups_that_may_find_nothing_are_counted_too(paper):
    zone = zone_of(paper) | {(PAPER, "TXT"): (f'"v=spf1 a:x.{PAPER} a:y.{PAPER} mx:{PAPER}.gone.kg mx -all"',)}
    with name_server(zone) as server:
        found = findings(paper, server)

    assert found["SPF"].is_serious
    assert "find nothing" in found["SPF"].found


def test_a_machine_that_spf_forgot_is_told_of(paper):
    zone = zone_of(paper) | {(PAPER, "TXT"): ('"v=spf1 ip4:193.0.7.0/24 -all"',)}
    with name_server(zone) as server:
        found = findings(paper, server)

    assert "add ip4:193.0.6.139" in found["SPF of relay"].remedy
    assert "reverse address" not in found


@pytest.mark.slow
def test_a_mail_service_hands_on_from_addresses_of_its_own(paper):
    zone = zone_of(paper) | {
        (PAPER, "TXT"): ('"v=spf1 include:relay.kg -all"',),
        ("relay.kg", "TXT"): ('"v=spf1 ip4:193.0.7.0/24 -all"',),
        ("smtp.relay.kg", "A"): ("193.0.8.1",),
    }
    with name_server(zone) as server:
        found = findings(by_relay(paper, "smtp://paper:secret@smtp.relay.kg:587?timeout=1"), server)

    assert "right if smtp.relay.kg hands mail on from servers of include:relay.kg" in found["SPF of relay"].found
    assert {""} == {each.remedy for each in found.values()}
    assert "reverse address" not in found, "who runs it sees to that"


@pytest.mark.slow
def test_an_address_without_a_name_is_worse_where_the_record_itself_lets_it_send(paper):
    zone = zone_of(paper) | {("_spf.paper.kg", "TXT"): ('"v=spf1 mx:paper.kg -all"',)}
    del zone["139.6.0.193.in-addr.arpa", "PTR"]
    with name_server(zone) as server:
        assert findings(paper, server)["reverse address"].is_serious
    with name_server(zone | {(PAPER, "TXT"): ('"v=spf1 include:_spf.paper.kg -all"',)}) as server:
        reverse = findings(paper, server)["reverse address"]

    assert reverse.remedy
    assert not reverse.is_serious


@pytest.mark.slow
@pytest.mark.parametrize(
    "url", ["smtp://localhost:1", "smtp://127.0.0.1:1", "smtp://10.1.2.3:1", "smtp://in.paper.kg:1"]
)
def test_a_relay_on_a_private_address_is_judged_by_what_it_calls_itself(paper, url):
    zone = zone_of(paper) | {("in.paper.kg", "A"): ("10.1.2.3",)}
    with name_server(zone) as server:
        named = findings(by_relay(paper, f"{url}?tls=off&timeout=1"), server, f"mx.{PAPER}")
        lost = findings(by_relay(paper, f"{url}?tls=off&timeout=1"), server, f"gone.{PAPER}")
        unnamed = findings(by_relay(paper, f"{url}?tls=off&timeout=1"), server, "debian")

    assert f"193.0.6.139 is mx.{PAPER}" == named["reverse address"].found
    assert "lets 193.0.6.139" in named["SPF of relay"].found
    assert f"give gone.{PAPER} the address" in lost["relay's address"].remedy
    assert unnamed["relay's address"].found.startswith("skipped:")
    assert "EHLO name" not in named, "only that relay hears it"


@pytest.mark.slow
def test_the_name_a_public_relay_is_greeted_by_has_an_address(paper):
    nameless = replace(paper, settings=paper.settings.model_copy(update={"mail_domain": f"mail.{PAPER}"}))
    local = replace(paper, settings=paper.settings.model_copy(update={"mail_domain": "localhost"}))
    with name_server(zone_of(paper)) as server:
        assert "193.0.6.140" in findings(paper, server)["EHLO name"].found
        assert "NEWSLETTER_MAIL_DOMAIN" in findings(nameless, server)["EHLO name"].remedy
        assert "NEWSLETTER_MAIL_DOMAIN" in findings(local, server)["EHLO name"].remedy


def test_doctor_hears_from_the_relay_what_it_calls_itself(paper):
    relay = ScriptedRelay(script=lambda turn: f"250 MX.{PAPER} at your service" if turn.verb == "EHLO" else None)
    with relay.running(), name_server(zone_of(paper)) as server:
        told = paper.settings.model_copy(update={"dns_server": server})
        found = {
            each.check: each for each in examine(replace(paper, settings=told, relays=(Relay.parse(relay.url()),)))
        }

    assert Level.OK == found["relay"].level
    assert f"193.0.6.139 is mx.{PAPER}" == found["reverse address"].found


def test_a_rehearsal_s_names_are_not_asked_for(app):
    found = findings(app, "127.0.0.1:1")  # nobody listens there

    assert ["DNS"] == list(found)
    assert found["DNS"].found.startswith("skipped:")


@pytest.mark.slow
def test_doctor_says_how_bad_it_is(paper):
    told = paper.settings.model_copy(update={"dns_server": "", "return_path": ""})
    with name_server(zone_of(paper) | {(PAPER, "TXT"): ('"v=spf1 mx"',), (f"_dmarc.{PAPER}", "TXT"): ()}) as server:
        asking = replace(paper, settings=told.model_copy(update={"dns_server": server}), relays=())
        found = {each.check: each.level for each in examine(asking)}

    assert (Level.OK, Level.WARNING, Level.ERROR) == (found["DKIM record"], found["SPF"], found["DMARC"])


@pytest.mark.slow
def test_a_zone_that_its_servers_cannot_read_is_told_from_having_no_network(paper):
    zone = zone_of(paper)
    zone[f"_dmarc.{PAPER}", "TXT"] = (BROKEN,)
    with name_server(zone) as server:
        found = findings(paper, server)

    assert f"fail at _dmarc.{PAPER}" in found["DNS"].found
    assert "name servers" in found["DNS"].remedy
    assert {"SPF", "DKIM record", "SPF of relay"} < set(found), "the others are looked at still"


def test_all_questions_together_have_an_end(paper, monkeypatch):
    monkeypatch.setattr(questions, "LONGEST_SECONDS", 0)
    with name_server(zone_of(paper)) as server:
        assert "skipped: name servers took" in findings(paper, server)["DNS"].found


def test_doctor_goes_on_where_the_name_server_is_no_address(paper):
    wrong = paper.settings.model_copy(update={"dns_server": "a-name"})
    found = {each.check: each.level for each in examine(replace(paper, settings=wrong, relays=()))}

    assert Level.ERROR == found["DNS"]
