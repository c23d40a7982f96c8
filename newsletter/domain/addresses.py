"""E-mail addresses: how they are compared, what cannot be one, and which are never a reader's."""

import re
import unicodedata
from dataclasses import dataclass

LONGEST_ADDRESS = 254
"""Octets; RFC 5321 §4.5.3.1.3 with erratum 1690: a path of 256 with its angle brackets."""
LONGEST_LOCAL_PART = 64
"""Octets; RFC 5321 §4.5.3.1.1."""
ROLES_REFUSED = frozenset(
    {
        # Whoever reads these did not ask for a newsletter: RFC 2142 §§2-5, and mailboxes that nobody reads.
        *("abuse", "hostmaster", "noc", "postmaster", "security", "usenet", "uucp", "webmaster"),
        *("mailer-daemon", "no-reply", "noreply", "root", "spam"),
    }
)

_UNUSABLE = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ud800-\udfff<>()\[\]\\,;:\"]")


@dataclass(frozen=True, slots=True)
class Address:
    """A valid address: *original* as its owner wrote it, for sending; *key* for comparing, storing and hashing."""

    original: str
    key: str


def split_address(text: str) -> tuple[str, str]:
    """Return what stands before and after the last @ of *text*; without one, the second is empty."""
    local, at, domain = text.rpartition("@")
    return (local, domain) if at else (text, "")


def address_key(local_part: str, domain: str) -> str:
    """Return the form in which addresses are compared; *domain* in A-labels where it is not ASCII.

    Case is folded on both sides, since no mailbox provider tells readers apart by it. Dots and +tags stay: they
    belong to the provider to interpret.
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", local_part).casefold())
    return f"{folded}@{domain.lower()}"


def refusal(text: str) -> str | None:
    """Say why *text* cannot be a reader's address, judged by its structure alone; None: it may be one."""
    local, domain = split_address(text)
    if unusable := _UNUSABLE.search(text):
        return f"{unusable[0]!r} cannot stand in an address"
    if not local or not domain or "@" in local:
        return "an address looks like name@example.org"
    if len(local.encode()) > LONGEST_LOCAL_PART:
        return f"the part before the @ is longer than {LONGEST_LOCAL_PART} octets"
    if len(text.encode()) > LONGEST_ADDRESS:
        return f"it is longer than {LONGEST_ADDRESS} octets"
    return f"{local}@ is a role's address; use a person's" if is_refused_role(local) else None


def is_refused_role(local_part: str) -> bool:
    """Say whether *local_part* names a role that must not get newsletters, with or without a +tag."""
    return local_part.casefold().partition("+")[0] in ROLES_REFUSED
