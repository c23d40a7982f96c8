"""SPF as RFC 7208 has it: read with all it includes, within the limits, and evaluated."""

import pytest
from name_directory import Names

from newsletter.domain.spf import Result, Verdict, evaluate, read_policy

DIRECTORY = {
    "addresses_of": {
        "example.com": ["192.0.2.10", "192.0.2.11"],
        "mail-a.example.com": ["192.0.2.129", "2001:db8::129"],
        "mail-b.example.com": ["192.0.2.130"],
        "mail-c.example.org": ["192.0.2.140"],
    },
    "exchanges_of": {
        "example.com": ["mail-a.example.com", "mail-b.example.com"],
        "example.org": ["mail-c.example.org"],
        "crowd.example": [f"mx{n}.crowd.example" for n in range(11)],
    },
}
"""The names of RFC 7208 appendix A."""
INCLUDED = {
    "pass.example": ["v=spf1 ip4:192.0.2.0/24 -all"],
    "fail.example": ["v=spf1 -all"],
    "neutral.example": ["v=spf1 ?all"],
    "unsure.example": ["v=spf1 exists:%{i}.unsure.example -all"],
    "none.example": ["not SPF"],
    "loop.example": ["v=spf1 include:loop.example -all"],
}


def verdict_of(record: str, address: str) -> Verdict:
    return evaluate(read_policy("example.com", _directory(record)), address)


def _directory(record: str) -> Names:
    return Names({"example.com": [record], **INCLUDED}, **DIRECTORY)


@pytest.mark.parametrize(
    ("record", "address", "result"),
    [
        # RFC 7208 appendix A.1, as far as it is evaluated here
        ("v=spf1 +all", "203.0.113.1", Result.PASS),
        ("v=spf1 a -all", "192.0.2.10", Result.PASS),
        ("v=spf1 a -all", "192.0.2.12", Result.FAIL),
        ("v=spf1 a:example.org -all", "192.0.2.10", Result.FAIL),
        ("v=spf1 mx -all", "192.0.2.130", Result.PASS),
        ("v=spf1 mx:example.org -all", "192.0.2.140", Result.PASS),
        ("v=spf1 mx mx:example.org -all", "192.0.2.140", Result.PASS),
        ("v=spf1 mx/30 mx:example.org/30 -all", "192.0.2.131", Result.PASS),
        ("v=spf1 mx/30 mx:example.org/30 -all", "192.0.2.132", Result.FAIL),
        ("v=spf1 ptr -all", "192.0.2.10", Result.UNKNOWN),
        ("v=spf1 ip4:192.0.2.128/28 -all", "192.0.2.65", Result.FAIL),
        ("v=spf1 ip4:192.0.2.128/28 -all", "192.0.2.129", Result.PASS),
        # both versions
        ("v=spf1 mx//64 -all", "2001:db8::1", Result.PASS),
        ("v=spf1 mx/24//128 -all", "2001:db8::1", Result.FAIL),
        ("v=spf1 mx/24//128 -all", "192.0.2.1", Result.PASS),
        ("v=spf1 ip6:2001:db8::/32 -all", "2001:db8::1", Result.PASS),
        ("v=spf1 ip6:2001:db8::/32 ip4:0.0.0.0/1 ~all", "192.0.2.1", Result.SOFTFAIL),
        # qualifiers, in order
        ("v=spf1 -ip4:192.0.2.1 ip4:192.0.2.0/24 -all", "192.0.2.1", Result.FAIL),
        ("v=spf1 ?ip4:192.0.2.1 -all", "192.0.2.1", Result.NEUTRAL),
        ("V=SPF1 IP4:192.0.2.1 -ALL", "192.0.2.1", Result.PASS),
        ("v=spf1 mx", "203.0.113.1", Result.NEUTRAL),
        ("v=spf1", "203.0.113.1", Result.NEUTRAL),
        # include, §5.2
        ("v=spf1 include:pass.example -all", "192.0.2.1", Result.PASS),
        ("v=spf1 -include:pass.example +all", "192.0.2.1", Result.FAIL),
        ("v=spf1 include:fail.example ~all", "192.0.2.1", Result.SOFTFAIL),
        ("v=spf1 include:neutral.example -all", "192.0.2.1", Result.FAIL),
        ("v=spf1 include:none.example ip4:192.0.2.1 -all", "192.0.2.1", Result.PERMERROR),
        ("v=spf1 ip4:192.0.2.1 include:none.example -all", "192.0.2.1", Result.PASS),
        # redirect, §6.1
        ("v=spf1 redirect=pass.example", "192.0.2.1", Result.PASS),
        ("v=spf1 redirect=pass.example ip4:203.0.113.1", "203.0.113.1", Result.PASS),
        ("v=spf1 redirect=neutral.example", "203.0.113.1", Result.NEUTRAL),
        ("v=spf1 redirect=none.example", "203.0.113.1", Result.PERMERROR),
        ("v=spf1 -all redirect=pass.example", "192.0.2.1", Result.FAIL),
        # what is after all does not count, §5.1; nor do modifiers that nobody knows, §6
        ("v=spf1 -all include:none.example", "192.0.2.1", Result.FAIL),
        ("v=spf1 exp=why.example other=x -all", "192.0.2.1", Result.FAIL),
        # what is not evaluated
        ("v=spf1 exists:%{i}.example.com ip4:192.0.2.1 -all", "192.0.2.1", Result.PASS),
        ("v=spf1 exists:%{i}.example.com -all", "192.0.2.1", Result.UNKNOWN),
        ("v=spf1 -exists:%{i}.example.com ip4:192.0.2.1 -all", "192.0.2.1", Result.UNKNOWN),
        ("v=spf1 -exists:%{i}.example.com -all", "192.0.2.1", Result.FAIL),
        ("v=spf1 a:%{d2}/24 -all", "192.0.2.1", Result.UNKNOWN),
        ("v=spf1 redirect=%{d2}.example", "192.0.2.1", Result.UNKNOWN),
        ("v=spf1 include:unsure.example -all", "192.0.2.1", Result.UNKNOWN),
        ("v=spf1 exists:%{i}.example.com redirect=pass.example", "192.0.2.1", Result.PASS),
        ("v=spf1 exists:%{i}.example.com redirect=fail.example", "192.0.2.1", Result.UNKNOWN),
        # what cannot be read, §4.6
        ("v=spf1 ipv4:192.0.2.1 -all", "192.0.2.1", Result.PERMERROR),
        ("v=spf1 ip4:192.0.2.1 mx/33 -all", "192.0.2.1", Result.PERMERROR),
        ("v=spf1 ip4:2001:db8::1 -all", "192.0.2.1", Result.PERMERROR),
        ("v=spf1 ip4:192.0.2.256 -all", "192.0.2.1", Result.PERMERROR),
        ("v=spf1 include -all", "192.0.2.1", Result.PERMERROR),
        ("v=spf1 include:a..example -all", "192.0.2.1", Result.PERMERROR),
        ("v=spf1 all:x +all", "192.0.2.1", Result.PERMERROR),
        ("v=spf1 redirect=pass.example redirect=pass.example", "192.0.2.1", Result.PERMERROR),
        # limits, §4.6.4
        ("v=spf1 mx:crowd.example +all", "192.0.2.1", Result.PERMERROR),
        ("v=spf1 include:loop.example +all", "192.0.2.1", Result.PERMERROR),
        ("v=spf1 " + "a " * 10 + "+all", "203.0.113.1", Result.PASS),
        ("v=spf1 " + "a " * 11 + "+all", "203.0.113.1", Result.PERMERROR),
        ("v=spf1 " + "a " * 11 + "+all", "192.0.2.10", Result.PASS),
        ("v=spf1 " + "include:fail.example " * 6 + "a " * 5 + "+all", "203.0.113.1", Result.PERMERROR),
        ("v=spf1 a:g1.example a:g2.example ip4:192.0.2.1 -all", "192.0.2.1", Result.PASS),
        ("v=spf1 a:g1.example mx:g2.example a:g3.example a -all", "192.0.2.10", Result.PERMERROR),
    ],
)
def test_an_address_is_judged_as_receivers_do(record, address, result):
    assert result is verdict_of(record, address).result


def test_what_decided_is_named_with_who_took_its_word():
    assert Verdict(Result.PASS, "mx") == verdict_of("v=spf1 mx -all", "192.0.2.130")
    assert Verdict(Result.FAIL, "-all") == verdict_of("v=spf1 mx -all", "203.0.113.1")
    assert Verdict(Result.PASS, "ip4:192.0.2.0/24", "include:pass.example") == verdict_of(
        "v=spf1 include:pass.example -all", "192.0.2.1"
    )


def test_a_record_that_includes_itself_is_read_to_the_limit_and_no_further():
    directory = _directory("v=spf1 include:loop.example -all")
    policy = read_policy("example.com", directory)

    assert 1 + 10 == len(directory.asked)
    assert policy.lookup_count > 10


def test_lookups_are_counted_through_what_is_included():
    policy = read_policy("example.com", _directory("v=spf1 a mx include:unsure.example ip4:192.0.2.1 -all"))

    assert 4 == policy.lookup_count
    assert ["include:unsure.example"] == policy.includes


def test_nobody_is_let_where_nothing_is_found():
    assert not read_policy("example.com", _directory("v=spf1 a:gone.example include:fail.example -all")).lets_somebody
    assert read_policy("example.com", _directory("v=spf1 include:pass.example -all")).lets_somebody
