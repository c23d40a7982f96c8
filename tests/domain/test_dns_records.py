"""What is believed of the DNS, and what is said where it will not do."""

import pytest

from newsletter.domain.dns_records import (
    is_reserved,
    judge_dkim,
    judge_dmarc,
    judge_reverse,
    judge_spf,
    parents_of,
)

KEY = "v=DKIM1; k=rsa; p=MIIB"
NAME = "news._domainkey.paper.kg"


@pytest.mark.parametrize(
    ("texts", "is_serious", "remedy"),
    [
        (["v=spf1 mx -all", "something else"], False, ""),
        (["V=SPF1 include:relay.kg ~all"], False, ""),
        (["v=spf1 redirect=_spf.relay.kg"], False, ""),
        ([], True, "v=spf1 mx -all"),
        (["v=spf10 mx -all"], True, "v=spf1 mx -all"),
        (["v=spf1 -all", "v=spf1 mx -all"], True, "keep one"),
        (["v=spf1 mx +all"], True, "-all"),
        (["v=spf1 mx all"], True, "-all"),
        (["v=spf1 mx ?all"], False, "-all"),
        (["v=spf1 mx"], False, "-all"),
        (["v=spf1 " + " ".join(f"include:{n}.kg" for n in range(11)) + " -all"], True, "10 at most"),
        (["v=spf1 a/24 mx:x.kg ptr ip4:192.0.2.1 " + "exists:%{i}.kg " * 7 + "-all"], False, ""),
    ],
)
def test_an_spf_record_names_who_may_send(texts, is_serious, remedy):
    found = judge_spf("paper.kg", texts)

    assert (is_serious, bool(remedy)) == (found.is_serious, bool(found.remedy))
    assert remedy in found.remedy


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
    assert not judge_reverse("mx.paper.kg", "192.0.2.1", ["mx.paper.kg"], ["192.0.2.1"]).remedy
    assert "name it mx.paper.kg" in judge_reverse("mx.paper.kg", "192.0.2.1", [], []).remedy
    assert "192.0.2.1" in judge_reverse("mx.paper.kg", "192.0.2.1", ["other.kg"], ["192.0.2.9"]).remedy


def test_a_policy_may_stand_at_a_domain_and_above_it_but_not_at_a_country_s():
    assert ["a.news.paper.kg", "news.paper.kg", "paper.kg"] == parents_of("a.News.paper.kg")
    assert ["paper.kg"] == parents_of("paper.kg")


def test_names_that_are_nobody_s_are_not_asked_for():
    assert all(map(is_reserved, ("localhost", "news.example", "a.example.org", "EXAMPLE.com.", "x.test")))
    assert not any(map(is_reserved, ("paper.kg", "myexample.org", "example.kg")))
