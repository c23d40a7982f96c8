"""E-mail addresses: how they are compared, what cannot be one, and which are never a reader's."""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

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

SHARED_ROLES = frozenset(
    {
        *("accounts", "admin", "billing", "careers", "contact", "editor", "enquiries", "feedback", "finance", "help"),
        *(
            "hello",
            "hr",
            "info",
            "jobs",
            "legal",
            "mail",
            "marketing",
            "media",
            "news",
            "newsletter",
            "office",
            "press",
        ),
        *("pr", "reception", "sales", "service", "support", "team", "welcome"),
    }
)
"""Mailboxes that several people read; a newsroom may refuse them, since one of them cannot consent for the others."""

COMMON_DOMAINS = (
    *("gmail.com", "yahoo.com", "hotmail.com", "outlook.com", "icloud.com", "live.com", "msn.com", "aol.com"),
    *("mail.ru", "yandex.ru", "bk.ru", "inbox.ru", "list.ru", "rambler.ru", "yandex.com", "proton.me", "gmx.de"),
    *("gmx.net", "web.de", "protonmail.com", "googlemail.com", "mail.com", "ya.ru", "me.com"),
    *("ymail.com", "email.com", "rocketmail.com", "gmx.com", "hotmail.de", "hotmail.fr", "live.ru", "mail.kg"),
)
"""Domains in which a slip of the finger is common enough to ask about."""

_UNUSABLE = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ud800-\udfff<>()\[\]\\,;:\"]")


@dataclass(frozen=True, slots=True)
class Address:
    """A valid address: *original* as its owner wrote it, for sending; *key* for comparing, storing and hashing."""

    original: str
    key: str


class AddressPolicy(StrEnum):
    """By which rule of a newsroom an address that could get mail may not sign up."""

    DOMAIN = "domain"  # its mailboxes last minutes, or the newsroom named it
    ROLE = "role"  # several people may read it


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


def is_shared_role(local_part: str) -> bool:
    """Say whether *local_part* names a mailbox of a role that several people may read, with or without a +tag."""
    return local_part.casefold().partition("+")[0] in SHARED_ROLES


def suggestion(text: str) -> str | None:
    """Return the address that was probably meant by *text*; None: nothing looks like a slip of the finger."""
    local, domain = split_address(text.strip())
    domain = domain.lower()
    if not local or not domain or domain in COMMON_DOMAINS:
        return None
    mended = domain.replace(",", ".").rstrip(".")
    meant = next((each for each in COMMON_DOMAINS if each == mended or _is_slip(mended, each)), None)
    return f"{local}@{meant}" if meant else None


def _is_slip(typed: str, meant: str) -> bool:
    """Say whether one letter too many, too few, wrong or swapped with its neighbour makes *typed* of *meant*.

    Short domains are left alone: mail.ru is one letter from gail.ru, which may well be somebody's.
    """
    shortest = 8
    if len(meant) < shortest or abs(len(typed) - len(meant)) > 1 or typed == meant:
        return False
    start = next(
        (place for place, (a, b) in enumerate(zip(typed, meant, strict=False)) if a != b), min(len(typed), len(meant))
    )
    rest, other = typed[start:], meant[start:]
    if len(typed) > len(meant):
        return rest[1:] == other
    if len(typed) < len(meant):
        return rest == other[1:]
    return rest[1:] == other[1:] or (rest[:2] == other[1::-1] and rest[2:] == other[2:])
