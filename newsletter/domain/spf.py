"""SPF policies (RFC 7208): read with all they include, counted, and asked whether an address may send.

Macros, `ptr` and `exists` are not evaluated: what they would decide is *unknown*, and said to be.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import (
    IPV4LENGTH,
    IPV6LENGTH,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Protocol

MOST_LOOKUPS = 10
"""Terms that make a receiver ask again, those of included records with them; past these it gives up. §4.6.4."""
MOST_VOID_LOOKUPS = 2
"""Of those, the ones that nothing is found by; past these it gives up too. §4.6.4."""
MOST_EXCHANGES = 10
"""Mail servers of an `mx`; §4.6.4."""
_ASKING = frozenset({"include", "a", "mx", "ptr", "exists", "redirect"})
_TERM = re.compile(r"([+?~-]?)([a-z][a-z0-9_.-]*)([:=/]?.*)")
_WHERE = re.compile(r"(?::(?P<domain>[^/].*?))?(?:/(?P<four>[0-9]{1,2}))?(?://(?P<six>[0-9]{1,3}))?")
_DOMAIN = re.compile(r"(?=.{1,253}\.?$)(?:[a-z0-9_-]{1,63}\.)+[a-z0-9-]{1,63}\.?")

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Directory(Protocol):
    """Where names are looked up; nothing is found where there is no such name."""

    def texts(self, name: str) -> Sequence[str]:
        """Return the TXT records at *name*, each as one text."""

    def addresses(self, name: str) -> Sequence[str]:
        """Return the IP addresses of *name*."""

    def exchanges(self, name: str) -> Sequence[str]:
        """Return the names of the servers that take mail for *name*."""


class Result(StrEnum):
    """What a receiver makes of an address; *unknown*: what would decide is not evaluated here. §2.6."""

    PASS = "pass"  # noqa: S105 - RFC 7208's word
    FAIL = "fail"
    SOFTFAIL = "softfail"
    NEUTRAL = "neutral"
    PERMERROR = "permerror"
    UNKNOWN = "unknown"


_RESULTS = {"+": Result.PASS, "-": Result.FAIL, "~": Result.SOFTFAIL, "?": Result.NEUTRAL}


@dataclass(frozen=True, slots=True)
class Term:
    """A mechanism, or the redirect, which stands last.

    *networks*: what ip4, ip6, a and mx name; *policy*: whose word include and redirect take. *void_count*: questions
    that nothing was found by. *is_past_limits*: receivers give up before it, so it was not looked up.
    """

    text: str
    qualifier: str
    name: str
    networks: tuple[Network, ...] = ()
    policy: "Policy | None" = None
    void_count: int = 0
    is_evaluated: bool = True
    is_past_limits: bool = False

    @property
    def lookup_count(self) -> int:
        """Terms that ask, this one and those it includes."""
        return (self.name in _ASKING) + (self.policy.lookup_count if self.policy else 0)


@dataclass(frozen=True, slots=True)
class Policy:
    """The record at *domain*, its terms up to `all`; *problem*: why receivers can make nothing of it (permerror)."""

    domain: str
    text: str = ""
    terms: tuple[Term, ...] = ()
    problem: str = ""

    @property
    def all_terms(self) -> Iterator[Term]:
        """The terms, each before those it includes."""
        for term in self.terms:
            yield term
            if term.policy:
                yield from term.policy.all_terms

    @property
    def lookup_count(self) -> int:
        """Lookups of a receiver whom no term satisfies; past `MOST_LOOKUPS` included records add none."""
        return sum(term.lookup_count for term in self.terms)

    @property
    def void_count(self) -> int:
        """Those of them that find nothing."""
        return sum(term.void_count for term in self.all_terms)

    @property
    def includes(self) -> list[str]:
        """The terms by which others have a word in it."""
        return [term.text for term in self.terms if term.policy]

    @property
    def ending(self) -> str:
        """The qualifier of the `all` that it ends with, by its redirect if it has one; empty: there is none."""
        last = self.terms[-1] if self.terms else None
        if last and last.name == "redirect":
            return last.policy.ending if last.policy else ""
        return last.qualifier if last and last.name == "all" else ""

    @property
    def lets_everybody(self) -> bool:
        """Whether any address passes."""
        return any(
            term.name == "all"
            or any(network.prefixlen == 0 for network in term.networks)
            or bool(term.policy and term.policy.lets_everybody)
            for term in self.terms
            if term.qualifier == "+"
        )

    @property
    def lets_somebody(self) -> bool:
        """Whether any address can pass, as far as that is evaluated here."""
        return any(
            term.name == "all"
            or bool(term.networks)
            or not term.is_evaluated
            or bool(term.policy and term.policy.lets_somebody)
            for term in self.terms
            if term.qualifier == "+"
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an address; *by*: the term that decided, *included_by*: the one that took its word from it."""

    result: Result
    by: str = ""
    included_by: str = ""


class PolicyError(ValueError):
    """A record that receivers can make nothing of."""


def read_policy(domain: str, directory: Directory) -> Policy:
    """Return the policy of *domain* and of all that it includes, asking *directory* no more than a receiver would."""
    return _Reading(directory).policy(domain)


def evaluate(policy: Policy, address: str) -> Verdict:
    """Say what a receiver makes of mail from *address* whose envelope sender is at the policy's domain; §4.6."""
    try:
        return _evaluate(policy, ip_address(address))
    except PolicyError as error:
        return Verdict(Result.PERMERROR, str(error))


class _Reading:
    """One walk through a policy and what it includes, within the limits."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._lookups_left = MOST_LOOKUPS
        self._voids_left = MOST_VOID_LOOKUPS

    def policy(self, domain: str) -> Policy:
        return self._policy(domain, self._directory.texts(domain))

    def _policy(self, domain: str, texts: Sequence[str]) -> Policy:
        records = [each for each in texts if each.lower() == "v=spf1" or each.lower().startswith("v=spf1 ")]
        if not records:
            return Policy(domain, problem=f"no SPF record at {domain}")
        if len(records) > 1:
            return Policy(domain, problem=f"{len(records)} SPF records at {domain}")
        try:
            terms = tuple(self._term(domain, *parsed) for parsed in _parse(records[0]))
        except PolicyError as error:
            return Policy(domain, records[0], problem=f"{domain}'s SPF record has {error}")
        return Policy(domain, records[0], terms)

    def _term(self, domain: str, qualifier: str, name: str, rest: str) -> Term:
        text = f"{qualifier.replace('+', '')}{name}{rest}"
        if name in _ASKING:
            if self._lookups_left == 0 or self._voids_left < 0:
                return Term(text, qualifier, name, is_past_limits=True)
            self._lookups_left -= 1
        if name in ("ptr", "exists") or "%" in rest:
            return Term(text, qualifier, name, is_evaluated=False)
        if name in ("ip4", "ip6"):
            return Term(text, qualifier, name, (_network(name, rest[1:]),))
        if name in ("a", "mx"):
            return self._named(Term(text, qualifier, name), domain, rest)
        if name in ("include", "redirect"):
            return self._included(Term(text, qualifier, name), rest[1:].rstrip("."))
        return Term(text, qualifier, name)

    def _named(self, term: Term, domain: str, rest: str) -> Term:
        """Look up the addresses of an `a` or `mx`. Of a name that has those of one version only, none is void."""
        place = _WHERE.fullmatch(rest)
        where = (place and place["domain"]) or domain
        hosts = self._directory.exchanges(where)[: MOST_EXCHANGES + 1] if term.name == "mx" else [where]
        if len(hosts) > MOST_EXCHANGES:
            raise PolicyError(f"{term.text}, which has more than {MOST_EXCHANGES} mail servers")
        found = [self._directory.addresses(host) for host in hosts]
        voids = found.count([]) if hosts else 1
        self._voids_left -= voids
        four, six = (int(place[part]) if place and place[part] else None for part in ("four", "six"))
        networks = tuple(_around(ip_address(each), four, six) for addresses in found for each in addresses)
        return Term(term.text, term.qualifier, term.name, networks, void_count=voids)

    def _included(self, term: Term, domain: str) -> Term:
        texts = self._directory.texts(domain)
        voids = int(not texts)
        self._voids_left -= voids
        return Term(term.text, term.qualifier, term.name, policy=self._policy(domain, texts), void_count=voids)


def _parse(record: str) -> list[tuple[str, str, str]]:
    """Return (qualifier, name, rest) of the terms that count: up to `all`, or the redirect last. §4.6, §5.1, §6.1.

    Raises:
        PolicyError: what it cannot be read for.
    """
    mechanisms: list[tuple[str, str, str]] = []
    redirects: list[tuple[str, str, str]] = []
    for word in record.lower().split()[1:]:
        matched = _TERM.fullmatch(word)
        qualifier, name, rest = matched.groups() if matched else ("", "", "")
        if rest.startswith("=") and not qualifier:
            redirects += [("+", name, rest)] if name == "redirect" else []  # modifiers of other names decide nothing
        elif matched and _is_mechanism(name, rest):
            mechanisms.append((qualifier or "+", name, rest))
        else:
            raise PolicyError(f"{word}, which is no term of SPF")
    if len(redirects) > 1 or not all(_is_domain(rest[1:]) for _, _, rest in redirects):
        raise PolicyError("a redirect that leads nowhere")
    names = [name for _, name, _ in mechanisms]
    return mechanisms[: names.index("all") + 1] if "all" in names else mechanisms + redirects


def _is_mechanism(name: str, rest: str) -> bool:
    if name == "all":
        return not rest
    if name in ("include", "exists"):
        return rest.startswith(":") and _is_domain(rest[1:])
    if name == "ptr":
        return not rest or (rest.startswith(":") and _is_domain(rest[1:]))
    if name in ("a", "mx"):
        return "%" in rest or _is_place(rest)
    return name in ("ip4", "ip6") and rest.startswith(":")


def _is_place(told: str) -> bool:
    place = _WHERE.fullmatch(told)
    return (
        place is not None
        and (not place["domain"] or _is_domain(place["domain"]))
        and int(place["four"] or 0) <= IPV4LENGTH
        and int(place["six"] or 0) <= IPV6LENGTH
    )


def _is_domain(told: str) -> bool:
    """Say whether *told* can be looked up, or has macros and so might be."""
    return "%" in told or bool(_DOMAIN.fullmatch(told))


def _network(name: str, told: str) -> Network:
    try:
        network = ip_network(told, strict=False)
    except ValueError as error:
        raise PolicyError(f"{name}:{told}, which is no network") from error
    if network.version != int(name[-1]):
        raise PolicyError(f"{name}:{told}, which is of version {network.version}")
    return network


def _around(address: Address, four: int | None, six: int | None) -> Network:
    length = four if address.version == 4 else six  # noqa: PLR2004 - the version of the protocol
    return ip_network(f"{address}/{address.max_prefixlen if length is None else length}", strict=False)


def _evaluate(policy: Policy, address: Address) -> Verdict:
    """Go through the terms until one matches.

    Raises:
        PolicyError: the walk came to where receivers give up.
    """
    if policy.problem:
        raise PolicyError(policy.problem)
    undecided: list[Term] = []
    for term in policy.terms:
        if term.is_past_limits:
            raise PolicyError(f"{term.text} is past the {MOST_LOOKUPS} lookups that receivers make")
        inner = _evaluate(term.policy, address) if term.policy else None
        if inner and term.name == "redirect" and not undecided:
            return inner
        if not term.is_evaluated or (inner and inner.result is Result.UNKNOWN):
            undecided.append(term)
        elif _matches(term, address, inner):
            if any(each.qualifier != term.qualifier for each in undecided):
                break
            return Verdict(_RESULTS[term.qualifier], inner.by if inner else term.text, term.text if inner else "")
    return Verdict(Result.UNKNOWN, undecided[0].text) if undecided else Verdict(Result.NEUTRAL)


def _matches(term: Term, address: Address, inner: Verdict | None) -> bool:
    if inner:
        return inner.result is Result.PASS
    return term.name == "all" or any(address in network for network in term.networks)
