"""What the DNS says of a newsroom that sends mail: whether those who receive it can believe what we are.

Each judgement takes the texts of TXT records as they were found, and says what to publish where they will not do.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

MOST_SPF_LOOKUPS = 10
"""Terms that make a receiver ask again; past these it gives up. RFC 7208 §4.6.4."""
_ASKING_TERMS = ("include", "a", "mx", "ptr", "exists", "redirect")
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


def judge_spf(domain: str, texts: Sequence[str]) -> Judgement:
    """Judge the record that says which servers may send for the envelope sender's *domain*; RFC 7208."""
    records = [each for each in texts if each.lower() == "v=spf1" or each.lower().startswith("v=spf1 ")]
    if not records:
        remedy = f'publish a TXT record at {domain} that names your relay, such as "v=spf1 mx -all"'
        return Judgement(f"no SPF record at {domain}", remedy, is_serious=True)
    if len(records) > 1:
        return Judgement(f"{len(records)} SPF records at {domain}", "keep one: two count as none", is_serious=True)
    terms = records[0].lower().split()[1:]
    if "all" in terms or "+all" in terms:
        remedy = 'end it with "-all" or "~all"'
        return Judgement(f"{domain} lets everybody send in its name: {records[0]}", remedy, is_serious=True)
    asking = sum(re.split("[:=/]", term.lstrip("+-~?"))[0] in _ASKING_TERMS for term in terms)
    if asking > MOST_SPF_LOOKUPS:
        remedy = f"leave {MOST_SPF_LOOKUPS} at most: receivers give up after those"
        return Judgement(f"{asking} terms of {domain}'s SPF record ask further", remedy, is_serious=True)
    if not ({"-all", "~all"} & set(terms) or any(term.startswith("redirect=") for term in terms)):
        return Judgement(f"{domain}'s SPF record forbids nobody: {records[0]}", 'end it with "-all" or "~all"')
    return Judgement(f"{domain}: {records[0]}")


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


def judge_reverse(host: str, address: str, names: Sequence[str], addresses_of_names: Sequence[str]) -> Judgement:
    """Judge whether *address* of a relay of ours has a name that leads back to it, as receivers ask of a server."""
    if not names:
        remedy = f"have whoever runs {address}'s network name it {host}"
        return Judgement(f"{address} of {host} has no name in the DNS", remedy, is_serious=True)
    if address not in addresses_of_names:
        remedy = f"give {names[0]} the address {address}, or name {address} {host}"
        return Judgement(f"{address} is named {', '.join(names)}, which does not lead back", remedy, is_serious=True)
    return Judgement(f"{address} is {names[0]}")


def parents_of(domain: str) -> list[str]:
    """Return *domain* and what is above it, down to two labels: where a policy for it may stand, nearest first."""
    labels = domain.lower().split(".")
    return [".".join(labels[start:]) for start in range(max(1, len(labels) - 1))]


def _tags(text: str) -> dict[str, str]:
    """Read `a=b; c=d` (RFC 6376 §3.2); blanks within values are none."""
    pairs = (each.partition("=") for each in text.split(";") if "=" in each)
    return {name.strip(): "".join(value.split()) for name, _, value in pairs}
