"""Secrets of subscribers, sealed before they are stored: whoever reads the database cannot sign in our name."""

import hashlib
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


def seal(text: str, key: bytes, *, of: str) -> bytes:
    """Return *text* encrypted under a key made of *key*; it opens as the secret *of* the same thing only."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(_derived(key)).encrypt(nonce, text.encode(), of.encode())


def unseal(sealed: bytes, key: bytes, *, of: str) -> str | None:
    """Return what was sealed; None: not under this key, or not as the secret *of* this thing."""
    try:
        return AESGCM(_derived(key)).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], of.encode()).decode()
    except (InvalidTag, ValueError):
        return None


def _derived(key: bytes) -> bytes:
    return hmac.digest(key, b"newsletter sealed secrets", hashlib.sha256)
