"""What is believed of the DNS, and what is said where it will not do."""

import pytest
from name_directory import Names

from newsletter.domain.dns_records import (
    is_reserved,
    judge_dkim,
    judge_dmarc,
    judge_hello,
    judge_relay,
    judge_reverse,
    judge_spf,
    parents_of,
)
from newsletter.domain.spf import evaluate, read_policy

KEY = "v=DKIM1; k=rsa; p=MIIB"
NAME = "news._domainkey.paper.kg"


@pytest.mark.parametrize(
    ("record", "is_serious", "remedy"),
    [
        ("v=spf1 mx -all", False, ""),
        ("V=SPF1 include:relay.kg ~all", False, ""),
        ("v=spf1 redirect=relay.kg", False, ""),
        ("v=spf1 exists:%{i}.relay.kg", False, ""),
        ("v=spf1 a/24 ptr ip4:192.0.2.1 " + "exists:%{i}.kg " * 7 + "-all", False, ""),
        ("", True, "v=spf1 mx -all"),
        ("v=spf10 mx -all", True, "v=spf1 mx -all"),
        ("v=spf1 ipv4:192.0.2.1 -all", True, "correct it"),
        ("v=spf1 include:nobody.kg -all", True, "include:nobody.kg"),
        ("v=spf1 include:outer.kg -all", True, "include:broken.kg"),
        ("v=spf1 mx +all", True, "-all"),
        ("v=spf1 mx all", True, "-all"),
        ("v=spf1 include:open.kg -all", True, "include nobody"),
        ("v=spf1 ip4:0.0.0.0/0 -all", True, "-all"),
        ("v=spf1 mx ?all", False, "-all"),
        ("v=spf1 mx", False, "-all"),
        ("v=spf1 redirect=mild.kg", False, "-all"),
        ("v=spf1 " + "include:relay.kg " * 11 + "-all", True, "10 at most"),
        ("v=spf1 include:many.kg include:relay.kg -all", True, "10 at most"),
        ("v=spf1 a:gone.kg mx:gone.kg a:gone.relay.kg -all", True, "take out what is gone"),
    ],
)
def test_an_spf_record_names_who_may_send(record, is_serious, remedy):
    directory = Names(
        texts_at={
            "paper.kg": [record, "something else"],
            "relay.kg": ["v=spf1 ip4:198.51.100.0/24 -all"],
            "many.kg": ["v=spf1 " + "a:mx.paper.kg " * 9 + "-all"],
            "outer.kg": ["v=spf1 include:broken.kg -all"],
            "broken.kg": ["v=spf1 ip4:300.1.1.1 -all"],
            "open.kg": ["v=spf1 +all"],
            "mild.kg": ["v=spf1 mx:paper.kg ?all"],
        },
        exchanges_of={"paper.kg": ["mx.paper.kg"]},
        addresses_of={"mx.paper.kg": ["193.0.6.139"], "paper.kg": ["193.0.6.139"]},
    )
    found = judge_spf(read_policy("paper.kg", directory))

    assert (is_serious, bool(remedy)) == (found.is_serious, bool(found.remedy)), found
    assert remedy in found.remedy


def test_two_spf_records_are_none():
    directory = Names(texts_at={"paper.kg": ["v=spf1 -all", "v=spf1 mx -all"]})

    assert "one TXT record" in judge_spf(read_policy("paper.kg", directory)).remedy


@pytest.mark.parametrize(
    ("record", "logs_in", "is_serious", "said"),
    [
        ("v=spf1 ip4:193.0.6.139 -all", False, False, "lets 193.0.6.139 of mx.paper.kg send, by ip4:193.0.6.139"),
        ("v=spf1 include:own.kg -all", False, False, "by a:mx.paper.kg of include:own.kg"),
        ("v=spf1 exists:%{i}.paper.kg -all", False, False, "hangs on exists:"),
        ("v=spf1 include:relay.kg -all", True, False, "right if mx.paper.kg hands mail on from servers of include:"),
        ("v=spf1 include:relay.kg -all", False, False, "add ip4:193.0.6.139"),
        ("v=spf1 ip4:198.51.100.1 -all", True, False, "add ip4:193.0.6.139"),
        ("v=spf1 -all", True, True, "nor anybody"),
    ],
)
def test_a_relay_is_named_by_the_record_or_hands_on_to_who_is(record, logs_in, is_serious, said):
    directory = Names(
        texts_at={
            "paper.kg": [record],
            "relay.kg": ["v=spf1 ip4:198.51.100.0/24 -all"],
            "own.kg": ["v=spf1 a:mx.paper.kg -all"],
        },
        addresses_of={"mx.paper.kg": ["193.0.6.139"]},
    )
    policy = read_policy("paper.kg", directory)
    verdict = evaluate(policy, "193.0.6.139")
    found = judge_relay(policy, "mx.paper.kg", "193.0.6.139", verdict, logs_in=logs_in)

    assert is_serious == found.is_serious
    assert said in f"{found.found}; {found.remedy}"


def test_the_name_that_relays_are_greeted_by_leads_somewhere():
    assert not judge_hello("paper.kg", ["193.0.6.139"]).remedy
    assert "NEWSLETTER_MAIL_DOMAIN" in judge_hello("localhost", []).remedy


@pytest.mark.parametrize(
    ("texts", "is_serious", "remedy"),
    [
        ([KEY], False, ""),
        (["v=DKIM1; p=MI IB"], False, ""),
        ([], True, KEY),
        (["v=spf1 -all"], True, KEY),
        (["v=DKIM1; k=rsa; p="], True, KEY),
        (["v=DKIM1; k=rsa; p=MIIC"], True, KEY),
        (["v=DKIM1; k=ed25519; p=MIIB"], True, KEY),
        ([KEY, "v=DKIM1; k=rsa; p=MIIC"], True, "keep one"),
        (["v=DKIM1; k=rsa; t=s:y; p=MIIB"], False, "t=y"),
    ],
)
def test_a_key_is_published_as_it_signs(texts, is_serious, remedy):
    found = judge_dkim(NAME, KEY, texts)

    assert (is_serious, bool(remedy)) == (found.is_serious, bool(found.remedy))
    assert remedy in found.remedy


@pytest.mark.parametrize(
    ("texts", "signed_by", "is_serious", "remedy"),
    [
        (["v=DMARC1; p=none"], None, False, ""),
        (["v=DMARC1; p=reject; adkim=s"], "paper.kg", False, ""),
        (["v=DMARC1; p=reject; adkim=s"], None, False, ""),
        (["v=DMARC1; p=reject; adkim=s"], "kg", True, "adkim=r"),
        ([], "paper.kg", True, "v=DMARC1; p=none"),
        (["v=DMARC1; p=reject", "v=DMARC1; p=none"], None, True, "keep one"),
        (["v=DMARC1; rua=mailto:a@paper.kg"], None, True, "p=none"),
        (["v=DMARC1; p=all"], None, True, "p=none"),
    ],
)
def test_from_addresses_have_a_policy_that_our_signature_meets(texts, signed_by, is_serious, remedy):
    found = judge_dmarc("paper.kg", "paper.kg", texts, signed_by=signed_by)

    assert (is_serious, bool(remedy)) == (found.is_serious, bool(found.remedy))
    assert remedy in found.remedy


def test_a_server_s_name_leads_back_to_it():
    assert not judge_reverse("mx.paper.kg", "192.0.2.1", ["mx.paper.kg"], ["192.0.2.1"], is_serious=True).remedy
    assert "name it mx.paper.kg" in judge_reverse("mx.paper.kg", "192.0.2.1", [], [], is_serious=True).remedy
    assert "192.0.2.1" in judge_reverse("mx.paper.kg", "192.0.2.1", ["other.kg"], ["192.0.2.9"], is_serious=True).remedy


def test_a_policy_may_stand_at_a_domain_and_above_it_but_not_at_a_country_s():
    assert ["a.news.paper.kg", "news.paper.kg", "paper.kg"] == parents_of("a.News.paper.kg")
    assert ["paper.kg"] == parents_of("paper.kg")


def test_names_that_are_nobody_s_are_not_asked_for():
    assert all(map(is_reserved, ("localhost", "news.example", "a.example.org", "EXAMPLE.com.", "x.test")))
    assert not any(map(is_reserved, ("paper.kg", "myexample.org", "example.kg")))
