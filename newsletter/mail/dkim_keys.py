"""DKIM keys: made, read from PEM files and told to the DNS; the one module that knows the cryptography library."""

import os
import re
from binascii import b2a_base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from newsletter.errors import ConflictError, InvalidError
from newsletter.mail.dkim import Signer, SigningKey

RSA_BITS = 2048
"""What a new RSA key has, and an old one at least (RFC 8301 §3.2); longer ones are slow and burst some DNS forms."""
LONGEST_STRING = 255
"""Octets in one string of a TXT record; RFC 1035 §3.3.14."""

_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
_SELECTOR = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")

PrivateKey = RSAPrivateKey | Ed25519PrivateKey


class KeyKind(StrEnum):
    """Kinds of keys, as k= names them in the DNS."""

    RSA = "rsa"
    ED25519 = "ed25519"


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """The TXT record that publishes a key; *value* is *strings* joined."""

    name: str
    value: str
    strings: tuple[str, ...]

    @property
    def zone_line(self) -> str:
        """The record as a zone file has it."""
        quoted = " ".join(f'"{each}"' for each in self.strings)
        return f"{self.name}. IN TXT ( {quoted} )"


def load_signer(files: Iterable[tuple[str, Path]], *, domain: str = "") -> Signer:
    """Return a signer with the keys in *files*, each under its selector; *domain* as `Signer` means it.

    Raises:
        InvalidError: a selector cannot be one, or a file holds no key to sign with; names it.
    """
    return Signer(tuple(_signing_key(selector, load_key(path)) for selector, path in files), domain)


def make_key(kind: KeyKind) -> PrivateKey:
    """Return a new key."""
    if kind is KeyKind.ED25519:
        return Ed25519PrivateKey.generate()
    return generate_private_key(public_exponent=65537, key_size=RSA_BITS)


def save_key(key: PrivateKey, path: Path) -> None:
    """Write *key* to a new file that only its owner can read.

    Raises:
        ConflictError: there is a file already; it is left as it is.
        InvalidError: no file can be made there.
    """
    content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except FileExistsError as error:
        raise ConflictError(f"{path} exists and is never overwritten; name another file, or move it away") from error
    except OSError as error:
        raise InvalidError(f"{path} cannot be written: {error.strerror}") from error


def load_key(path: Path) -> PrivateKey:
    """Read a private key from a PEM file.

    Raises:
        InvalidError: there is no such file, it cannot be read, or its key cannot sign; says what to do.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise InvalidError(f"{path} does not exist; make a key with `newsletter dkim keygen`") from error
    except OSError as error:
        raise InvalidError(f"{path} cannot be read: {error.strerror}") from error
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError as error:  # what the library raises where a password is wanted
        raise InvalidError(f"{path} is locked by a password; unlock it: openssl pkey -in LOCKED -out NEW") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidError(f"{path} holds no private key in PEM form; `newsletter dkim keygen` makes one") from error
    if isinstance(key, Ed25519PrivateKey):
        return key
    if not isinstance(key, RSAPrivateKey):
        raise InvalidError(f"{path} is neither an RSA nor an Ed25519 key, and DKIM knows no other")
    if key.key_size < RSA_BITS:
        raise InvalidError(
            f"{path} is an RSA key of {key.key_size} bits, and mailbox providers want {RSA_BITS}; "
            "make another with `newsletter dkim keygen` under a new selector"
        )
    return key


def key_record(key: PrivateKey, *, selector: str, domain: str) -> KeyRecord:
    """Return what the DNS must say for *key* to be believed; RFC 6376 §3.6.1, RFC 8463 §4.

    Raises:
        InvalidError: *selector* or *domain* is no name in the DNS.
    """
    name = f"{check_selector(selector)}._domainkey.{check_domain(domain)}"
    if isinstance(key, RSAPrivateKey):
        kind, public = KeyKind.RSA, key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        kind, public = KeyKind.ED25519, key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    value = f"v=DKIM1; k={kind}; p={b2a_base64(public, newline=False).decode()}"
    strings = (value[start : start + LONGEST_STRING] for start in range(0, len(value), LONGEST_STRING))
    return KeyRecord(name, value, tuple(strings))


def check_selector(selector: str) -> str:
    """Return *selector* if it can stand in the DNS.

    Raises:
        InvalidError: it cannot.
    """
    if not _SELECTOR.fullmatch(selector):
        raise InvalidError(f"{selector!r} is no selector; use letters, digits and hyphens, such as news2026")
    return selector


def check_domain(domain: str) -> str:
    """Return *domain* in small letters.

    Raises:
        InvalidError: it is no domain's name.
    """
    if not _DOMAIN.fullmatch(domain):
        raise InvalidError(f"{domain!r} is no domain such as news.example.org; write other scripts as xn--…")
    return domain.lower()


def _signing_key(selector: str, key: PrivateKey) -> SigningKey:
    if isinstance(key, RSAPrivateKey):
        return SigningKey(check_selector(selector), "rsa-sha256", _rsa_sign(key))
    return SigningKey(check_selector(selector), "ed25519-sha256", key.sign)


def _rsa_sign(key: RSAPrivateKey) -> Callable[[bytes], bytes]:
    padding, hashed = PKCS1v15(), Prehashed(SHA256())
    return lambda digest: key.sign(digest, padding, hashed)
