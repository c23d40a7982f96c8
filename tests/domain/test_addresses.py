"""Addresses: what cannot be one, and when two are the same."""

import pytest

from newsletter.domain.addresses import address_key, is_refused_role, refusal


@pytest.mark.parametrize(
    ("text", "part_of_why"),
    [
        ("", "looks like"),
        ("ann", "looks like"),
        ("@example.org", "looks like"),
        ("ann@", "looks like"),
        ("ann@home@example.org", "looks like"),
        ("ann lee@example.org", "' '"),
        ("ann@example.org\r\nRCPT TO:<eve@example.org>", r"'\r'"),
        ("ann\0@example.org", r"'\x00'"),
        ("ann\x7f@example.org", r"'\x7f'"),
        ("ann\x85@example.org", r"'\x85'"),
        ("ann\u2028@example.org", r"'\u2028'"),
        ("ann\ud800@example.org", r"'\ud800'"),
        ("<ann@example.org>", "'<'"),
        ('"ann"@example.org', "'\"'"),
        ("ann@[192.0.2.1]", "'['"),
        ("ann,bob@example.org", "','"),
        ("a" * 65 + "@example.org", "64 octets"),
        ("я" * 33 + "@example.org", "64 octets"),
        ("ann@" + "a" * 250 + ".org", "254 octets"),
        ("Abuse@example.org", "role"),
        ("postmaster+news@example.org", "role"),
        ("spam@example.org", "role"),
    ],
)
def test_what_cannot_be_a_readers_address_is_refused_with_why(text, part_of_why):
    why = refusal(text)

    assert why is not None
    assert part_of_why in why


@pytest.mark.parametrize(
    "text",
    ["ann@example.org", "o'hara+news@example.org", "info@example.org", "айгүл@мысал.kg", "abuse.of.power@example.org"],
)
def test_what_may_be_an_address_is_not_refused(text):
    assert refusal(text) is None


@pytest.mark.parametrize(
    ("local_part", "domain", "key"),
    [
        ("Ann.Lee+News", "Example.ORG", "ann.lee+news@example.org"),
        ("STRASSE", "example.org", "strasse@example.org"),
        ("Straße", "example.org", "strasse@example.org"),
        ("e\u0301va", "example.org", "\u00e9va@example.org"),
        ("ÉVA", "example.org", "éva@example.org"),
    ],
)
def test_addresses_are_compared_without_case_and_composed(local_part, domain, key):
    assert key == address_key(local_part, domain)


def test_a_tag_and_dots_make_a_different_address():
    """They belong to the provider: at most of them ann.lee and annlee are two people."""
    assert 3 == len({address_key(local, "example.org") for local in ("annlee", "ann.lee", "annlee+news")})


def test_only_the_whole_name_is_a_role():
    assert is_refused_role("ABUSE")
    assert not is_refused_role("abused")
