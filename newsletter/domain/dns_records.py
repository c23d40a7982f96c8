"""What the DNS says of a newsroom that sends mail: whether those who receive it can believe what we are.

Each judgement takes what was found, and says what to publish where it will not do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from newsletter.domain.spf import MOST_LOOKUPS, MOST_VOID_LOOKUPS, Policy, Result, Verdict

_POLICIES = frozenset({"none", "quarantine", "reject"})
RESERVED_DOMAINS = ("example", "test", "invalid", "localhost", "example.com", "example.net", "example.org")
"""Names that never belong to anybody; RFC 2606, RFC 6761."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found, and what to do about it: no *remedy* where all is well. *is_serious*: mail is refused for it."""

    found: str
    remedy: str = ""
    is_serious: bool = False


def is_reserved(domain: str) -> bool:
    """Say whether *domain* can be nobody's, so that there is nothing to ask: a rehearsal's, or this machine's."""
    name = domain.lower().rstrip(".")
    return "." not in name or any(name == each or name.endswith(f".{each}") for each in RESERVED_DOMAINS)


def judge_spf(policy: Policy) -> Judgement:
    """Judge the policy that says which servers may send for the envelope sender's domain; RFC 7208."""
    domain = policy.domain
    remedy = _spf_remedy(policy)
    if remedy:
        return Judgement(*remedy, is_serious=True)
    skipped = [term.text for term in policy.all_terms if not term.is_evaluated]
    if policy.ending not in ("-", "~") and not skipped:
        return Judgement(f"{domain}'s SPF record forbids nobody: {policy.text}", 'end it with "-all" or "~all"')
    told = f"; not evaluated: {', '.join(skipped)}" if skipped else ""
    return Judgement(f"{domain}: {policy.text} ({policy.lookup_count} of {MOST_LOOKUPS} lookups{told})")


def _spf_remedy(policy: Policy) -> tuple[str, str] | None:
    """Return why receivers refuse by *policy* or can make nothing of it, and what to do; None: they can."""
    if policy.problem:
        remedy = f'publish one TXT record at {policy.domain} that names your relay, such as "v=spf1 mx -all"'
        return policy.problem, "correct it: until then it counts for nothing" if policy.text else remedy
    for term in policy.all_terms:
        if term.policy and term.policy.problem:
            found = f"{policy.domain}'s SPF record counts for nothing: {term.text}, but {term.policy.problem}"
            return found, f"correct {term.text} or take it out"
    if policy.lets_everybody:
        found = f"{policy.domain} lets everybody send in its name: {policy.text}"
        return found, 'end it with "-all" or "~all", and include nobody who does not'
    if policy.lookup_count > MOST_LOOKUPS:
        found = f"{policy.domain}'s SPF record asks further more than {MOST_LOOKUPS} times, with what it includes"
        return found, f"leave {MOST_LOOKUPS} at most, since receivers give up after those; ip4: and ip6: ask nobody"
    if policy.void_count > MOST_VOID_LOOKUPS:
        voids = ", ".join(term.text for term in policy.all_terms if term.void_count)
        found = f"{policy.void_count} lookups of {policy.domain}'s SPF record find nothing: {voids}"
        return found, f"take out what is gone: receivers give up after {MOST_VOID_LOOKUPS}"
    return None


def judge_relay(policy: Policy, host: str, address: str, verdict: Verdict, *, logs_in: bool) -> Judgement:
    """Judge what becomes of mail that leaves from *address* of the relay *host*.

    Whether it does is not to be seen from here: a relay may hand on to others. One that wants a user and a password
    (*logs_in*) is mostly a mail service, which delivers from addresses of its own and has its customers include them.
    """
    domain = policy.domain
    if verdict.result is Result.PASS:
        by = verdict.by + (f" of {verdict.included_by}" if verdict.included_by else "")
        return Judgement(f"{domain} lets {address} of {host} send, by {by}")
    if verdict.result is Result.UNKNOWN:
        told = f"whether {domain} lets {address} of {host} send hangs on {verdict.by}, which is not evaluated here"
        return Judgement(told)
    found = f"{domain} does not let {address} of {host} send: {policy.text}"
    term = f"ip{6 if ':' in address else 4}:{address}"
    if not policy.lets_somebody:
        return Judgement(f"{found}, nor anybody", f"add {term}, or what {host} tells its customers", is_serious=True)
    if logs_in and policy.includes:
        others = " and ".join(policy.includes)
        return Judgement(f"{found}; right if {host} hands mail on from servers of {others}")
    return Judgement(found, f"add {term}, unless {host} hands mail on to servers that the record names")


def judge_hello(name: str, addresses: Sequence[str]) -> Judgement:
    """Judge the name that relays are greeted by, which should lead to an address; RFC 5321 §2.3.5, §4.1.4."""
    if not addresses:
        remedy = f"give {name} an address in the DNS, or set NEWSLETTER_MAIL_DOMAIN to a name that has one"
        return Judgement(f"relays are greeted as {name}, which has no address: some refuse that", remedy)
    return Judgement(f"{name} is {', '.join(addresses)}")


def judge_dkim(name: str, value: str, texts: Sequence[str]) -> Judgement:
    """Judge the record *name* of a key that signs; *value* is what it should say. RFC 6376 §3.6.1."""
    remedy = f'publish a TXT record at {name}: "{value}"'
    records = [tags for text in texts if "p" in (tags := _tags(text)) and tags.get("v", "DKIM1") == "DKIM1"]
    if not records:
        return Judgement(f"no key at {name}", remedy, is_serious=True)
    if len(records) > 1:
        return Judgement(
            f"{len(records)} keys at {name}", "keep one: which of them counts is not defined", is_serious=True
        )
    (tags,) = records
    if not tags["p"]:
        return Judgement(f"{name} says that its key was revoked", remedy, is_serious=True)
    if (tags["p"], tags.get("k", "rsa")) != (_tags(value)["p"], _tags(value)["k"]):
        return Judgement(f"{name} publishes another key than the one that signs", remedy, is_serious=True)
    if "y" in tags.get("t", "").split(":"):
        return Judgement(f"{name} is marked as a test (t=y)", "take t=y out: signatures count as none")
    return Judgement(name)


def judge_dmarc(domain: str, found_at: str, texts: Sequence[str], *, signed_by: str | None) -> Judgement:
    """Judge the policy for From addresses at *domain*, found at it or at *found_at* above it; RFC 7489.

    *signed_by*: the domain that signs for them; None: nothing is signed here.
    """
    records = [tags for text in texts if (tags := _tags(text)).get("v") == "DMARC1"]
    if not records:
        remedy = f'publish a TXT record at _dmarc.{domain}, to begin with: "v=DMARC1; p=none"'
        return Judgement(
            f"no DMARC record for {domain}, which large providers want of bulk mail", remedy, is_serious=True
        )
    if len(records) > 1:
        remedy = "keep one: two count as none"
        return Judgement(f"{len(records)} DMARC records at _dmarc.{found_at}", remedy, is_serious=True)
    (tags,) = records
    policy = tags.get("p", "")
    if policy not in _POLICIES:
        remedy = "say p=none, p=quarantine or p=reject"
        return Judgement(f"the DMARC record at _dmarc.{found_at} has no policy", remedy, is_serious=True)
    if tags.get("adkim") == "s" and signed_by not in (None, domain):
        remedy = f"say adkim=r at _dmarc.{found_at}, or let {domain} sign: NEWSLETTER_DKIM_DOMAIN"
        return Judgement(f"{domain} wants its very own signature, and {signed_by} signs", remedy, is_serious=True)
    return Judgement(f"{domain}: p={policy}" + (f", by _dmarc.{found_at}" if found_at != domain else ""))


def judge_reverse(
    host: str, address: str, names: Sequence[str], addresses_of_names: Sequence[str], *, is_serious: bool
) -> Judgement:
    """Judge whether *address* of a relay that delivers has a name that leads back to it, as receivers ask of it."""
    if not names:
        remedy = f"have whoever runs {address}'s network name it {host}"
        return Judgement(f"{address} of {host} has no name in the DNS", remedy, is_serious)
    if address not in addresses_of_names:
        remedy = f"give {names[0]} the address {address}, or name {address} {host}"
        return Judgement(f"{address} is named {', '.join(names)}, which does not lead back", remedy, is_serious)
    return Judgement(f"{address} is {names[0]}")


def parents_of(domain: str) -> list[str]:
    """Return *domain* and what is above it, down to two labels: where a policy for it may stand, nearest first."""
    labels = domain.lower().split(".")
    return [".".join(labels[start:]) for start in range(max(1, len(labels) - 1))]


def _tags(text: str) -> dict[str, str]:
    """Read `a=b; c=d` (RFC 6376 §3.2); blanks within values are none."""
    pairs = (each.partition("=") for each in text.split(";") if "=" in each)
    return {name.strip(): "".join(value.split()) for name, _, value in pairs}
