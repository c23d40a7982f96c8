"""What `newsletter doctor` finds out of relays in the DNS: whether mail that leaves by them is believed.

A relay that SPF lets send is taken to deliver, so its address has to have a name. One that it does not may hand on to
others, which nobody can see from here: that is said, and not called wrong where others are included. Of a relay on a
private address, mostly this machine's own Postfix, the name counts that it answers EHLO with: it is greeted by that.
"""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address

from newsletter.domain.dns_records import Judgement, is_reserved, judge_hello, judge_relay, judge_reverse
from newsletter.domain.spf import Policy, Result, evaluate
from newsletter.mail.dns import Names
from newsletter.mail.relay import Relay

Found = Iterator[tuple[str, Judgement]]


def judge_relays(relays: Mapping[Relay, str], policies: Sequence[Policy], hello_name: str, names: Names) -> Found:
    """Yield the name of each check and what it found; *relays*: with what each calls itself, empty where unknown."""
    public = {relay: places for relay in relays if (places := _public(_addresses(relay.host, names)))}
    if public:
        yield "EHLO name", judge_hello(hello_name, [] if is_reserved(hello_name) else names.addresses(hello_name))
    for relay, own_name in relays.items():
        if relay in public:
            yield from _delivering(relay, relay.host, public[relay], policies, names)
        else:
            yield from _private(relay, own_name, policies, names)


def _private(relay: Relay, own_name: str, policies: Sequence[Policy], names: Names) -> Found:
    if is_reserved(own_name):
        told = f"skipped: {relay.host} has no public address; what mail leaves from is not to be seen from here"
        yield "relay's address", Judgement(told)
    elif places := _public(names.addresses(own_name)):
        yield from _delivering(relay, own_name, places, policies, names)
    else:
        found = f"{relay.name} calls itself {own_name}, which has no public address"
        remedy = f"unless it hands all mail on to another server, give {own_name} the address that mail leaves from"
        yield "relay's address", Judgement(found, remedy)


def _delivering(relay: Relay, host: str, places: Sequence[str], policies: Sequence[Policy], names: Names) -> Found:
    """Judge each address of *host*; the reverse one where SPF lets it send, and more strictly where it is our own."""
    for address in places:
        verdicts = [(policy, evaluate(policy, address)) for policy in policies]
        for policy, verdict in verdicts:
            yield "SPF of relay", judge_relay(policy, host, address, verdict, logs_in=bool(relay.username))
        passing = [verdict for _, verdict in verdicts if verdict.result is Result.PASS]
        if passing:
            found = names.names(address)
            back = [each for name in found for each in names.addresses(name)]
            is_own = any(not verdict.included_by for verdict in passing)
            yield "reverse address", judge_reverse(host, address, found, back, is_serious=is_own)


def _addresses(host: str, names: Names) -> Sequence[str]:
    """Return the addresses of *host*, which may be one itself; this machine's are none that anybody else sees."""
    try:
        return [str(ip_address(host))]
    except ValueError:
        return [] if is_reserved(host) else names.addresses(host)


def _public(addresses: Sequence[str]) -> list[str]:
    return [each for each in addresses if ip_address(each).is_global]
