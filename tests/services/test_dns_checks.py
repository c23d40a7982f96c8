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

from newsletter.domain.dns_records import Judgement
from newsletter.errors import InvalidError
from newsletter.mail import dns as questions
from newsletter.mail.dkim_keys import KeyKind, key_record, load_key, make_key, save_key
from newsletter.mail.relay import Relay
from newsletter.services.checks import Level, examine
from newsletter.services.context import App
from newsletter.services.dns_checks import judge_dns

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
        (record.name, "TXT"): (" ".join(f'"{part}"' for part in record.strings),),
        (f"_dmarc.{PAPER}", "TXT"): ('"v=DMARC1; p=quarantine"',),
        (f"mx.{PAPER}", "A"): ("193.0.6.139",),
        ("139.6.0.193.in-addr.arpa", "PTR"): (f"mx.{PAPER}.",),
    }


def findings(app: App, server: str) -> dict[str, Judgement]:
    return dict(judge_dns(app.settings.model_copy(update={"dns_server": server}), [], app.relays))


def test_a_newsroom_that_published_everything_is_well(paper):
    with name_server(zone_of(paper)) as server:
        found = findings(paper, server)

    assert {"SPF", "DKIM record", "DMARC", "reverse address"} == set(found)
    assert {""} == {each.remedy for each in found.values()}


def test_one_that_published_nothing_is_told_what_to_publish(paper):
    with name_server({(f"mx.{PAPER}", "A"): ("193.0.6.139",)}) as server:
        found = findings(paper, server)

    assert all(each.is_serious for each in found.values())
    assert "v=DKIM1; k=rsa; p=" in found["DKIM record"].remedy
    assert f"_dmarc.{PAPER}" in found["DMARC"].remedy


def test_another_key_is_told_from_the_one_that_signs(paper):
    other = key_record(make_key(KeyKind.ED25519), selector="news", domain=PAPER)
    zone = zone_of(paper) | {(other.name, "TXT"): (f'"{other.value}"',)}
    with name_server(zone) as server:
        assert findings(paper, server)["DKIM record"].is_serious


def test_a_policy_above_the_domain_counts(paper):
    below = replace(paper, settings=paper.settings.model_copy(update={"from_address": f"news@mail.{PAPER}"}))
    with name_server(zone_of(paper)) as server:
        assert f"by _dmarc.{PAPER}" in findings(below, server)["DMARC"].found


def test_a_server_that_says_nothing_is_waited_for_once_and_all_is_skipped_with_a_word(paper, monkeypatch):
    monkeypatch.setattr(questions, "LONGEST_QUESTION_SECONDS", 0.2)
    begun = time.monotonic()
    with name_server({}, is_silent=True) as server:
        found = findings(paper, server)

    assert ["DNS"] == list(found)
    assert found["DNS"].found.startswith("skipped: no name server answered")
    assert time.monotonic() - begun < 5


def test_a_relay_of_others_is_theirs_to_name(paper):
    hosted = replace(paper, relays=(Relay.parse("smtp://smtp.relay.kg:1?tls=off&timeout=1"),))
    with name_server(zone_of(paper)) as server:
        found = findings(hosted, server)

    assert found["reverse address"].found.startswith("skipped: smtp.relay.kg")


def test_a_rehearsal_s_names_are_not_asked_for(app):
    found = findings(app, "127.0.0.1:1")  # nobody listens there

    assert ["DNS"] == list(found)
    assert found["DNS"].found.startswith("skipped:")


def test_doctor_says_how_bad_it_is(paper):
    told = paper.settings.model_copy(update={"dns_server": "", "return_path": ""})
    with name_server(zone_of(paper) | {(PAPER, "TXT"): ('"v=spf1 mx"',), (f"_dmarc.{PAPER}", "TXT"): ()}) as server:
        asking = replace(paper, settings=told.model_copy(update={"dns_server": server}), relays=())
        found = {each.check: each.level for each in examine(asking)}

    assert (Level.OK, Level.WARNING, Level.ERROR) == (found["DKIM record"], found["SPF"], found["DMARC"])


def test_a_zone_that_its_servers_cannot_read_is_told_from_having_no_network(paper):
    zone = zone_of(paper)
    zone[f"_dmarc.{PAPER}", "TXT"] = (BROKEN,)
    with name_server(zone) as server:
        found = findings(paper, server)

    assert f"fail at _dmarc.{PAPER}" in found["DNS"].found
    assert "name servers" in found["DNS"].remedy


def test_all_questions_together_have_an_end(paper, monkeypatch):
    monkeypatch.setattr(questions, "LONGEST_SECONDS", 0)
    with name_server(zone_of(paper)) as server:
        assert "skipped: name servers took" in findings(paper, server)["DNS"].found


def test_doctor_goes_on_where_the_name_server_is_no_address(paper):
    wrong = paper.settings.model_copy(update={"dns_server": "a-name"})
    found = {each.check: each.level for each in examine(replace(paper, settings=wrong, relays=()))}

    assert Level.ERROR == found["DNS"]


@pytest.mark.parametrize("server", ["a-name", "127.0.0.1:x", "300.1.1.1"])
def test_a_name_server_is_an_address(server):
    with pytest.raises(InvalidError, match="NEWSLETTER_DNS_SERVER"):
        questions.Names(server)
