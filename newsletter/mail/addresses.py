"""Addresses as mail needs them: checked to the letter of the standards, without asking the DNS; hashed; on the wire."""

import hashlib
import hmac
import re

import idna
from email_validator import EmailNotValidError, validate_email

from newsletter.domain.addresses import LONGEST_LOCAL_PART, Address, address_key, refusal, split_address
from newsletter.errors import InvalidError

_TOKEN = re.compile(r"[A-Za-z0-9-]{1,40}")


def parse_address(text: str) -> Address:
    """Check *text*, spaces around it aside, and return it as written and as compared.

    Raises:
        InvalidError: it is no address, or a role's; says why.
    """
    original = text.strip()
    if why := refusal(original):
        raise InvalidError(f"{_shown(original)} is not usable as an address: {why}")
    try:
        valid = validate_email(original, check_deliverability=False, strict=True)
    except EmailNotValidError as error:
        raise InvalidError(f"{_shown(original)} is not usable as an address: {error}") from error
    return Address(original, address_key(valid.local_part, valid.ascii_domain))


def parse_sender(text: str) -> str:
    """Check an address that mail comes from or is answered at: a role's will do, and so does one at localhost.

    Raises:
        InvalidError: it is no address; says why.
    """
    original = text.strip()
    local, domain = split_address(original)
    try:
        # A first try on one's own machine sends from there; the library knows no domain that only a machine has.
        checked = f"{local}@example.org" if domain == "localhost" else original
        validate_email(checked, check_deliverability=False, strict=True, globally_deliverable=False)
    except EmailNotValidError as error:
        raise InvalidError(f"{_shown(original)} is not usable as a sender's address: {error}") from error
    return original


def address_hmac(key: bytes, address_key: str) -> str:
    """Return the keyed hash, in hex, by which an address is recognised after it has been erased."""
    return hmac.new(key, b"newsletter address " + address_key.encode(), hashlib.sha256).hexdigest()


def network_hmac(key: bytes, network: str) -> str:
    """Return the keyed hash, in hex, by which a network is recognised without being kept."""
    return hmac.new(key, b"newsletter network " + network.encode(), hashlib.sha256).hexdigest()[:32]


def wire_address(address: str) -> str:
    """Return *address* with its domain in A-labels (RFC 5890), as headers and envelopes carry it.

    A local part that is not ASCII stays: such a mail needs SMTPUTF8 all the way and is never downgraded (RFC 6531).

    Raises:
        InvalidError: the domain has no A-label form.
    """
    local, domain = split_address(address)
    if domain.isascii():
        return address
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError as error:
        raise InvalidError(f"{_shown(address)} has no usable domain: {error}") from error


def return_address(return_path: str, token: str) -> str:
    """Return the envelope sender of one delivery (VERP): *token* as a +tag, so that a bounce names it by itself.

    Raises:
        InvalidError: *token* does not fit an address, or *return_path* leaves it no room.
    """
    local, domain = split_address(wire_address(return_path))
    if not _TOKEN.fullmatch(token) or len(local) + 1 + len(token) > LONGEST_LOCAL_PART:
        raise InvalidError(
            f"{token!r} cannot be a tag of {return_path}: at most {LONGEST_LOCAL_PART} octets before the @"
        )
    return f"{local}+{token}@{domain}"


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:79] + "…")  # noqa: PLR2004  # a line of a terminal
