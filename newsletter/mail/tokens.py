"""Signed tokens for links in mails: they name a thing by its uid, never an address, and nobody else can make one."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from enum import StrEnum

KEY_ID_BYTES = 3
SIGNATURE_BYTES = 16  # 128 bits: beyond guessing, and the link stays short
MAXIMUM_TOKEN_LENGTH = 200
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class TokenPurpose(StrEnum):
    """What a token lets its bearer do; one made for a purpose is worth nothing for another."""

    CONFIRM = "confirm"
    PREFERENCES = "preferences"
    UNSUBSCRIBE = "unsubscribe"
    REQUEST = "requests"  # what a reader asked for, by a freshly mailed link
    REFUSAL = "refusals"  # of such a request, by who was told of it
    REVIEW = "review"  # an edition before it is sent, to look at until a time that the name holds
    FORM = "form"  # names the moment at which a form was shown


class TokenSigner:
    """Makes and reads tokens of unpadded base64url, fit for a URL's path and for a mail without any encoding.

    A token is the key's id, the uid and an HMAC-SHA256 under a key of its own for each purpose. The same uid always
    gives the same token, and none runs out: an unsubscribe link must work for years, so whoever needs an end looks
    at the thing named. Keys in *retired* no longer sign but are still read.
    """

    def __init__(self, secret: bytes, retired: Iterable[bytes] = ()) -> None:
        self._own_id = _key_id(secret)
        self._keys = {
            (_key_id(key), purpose): hmac.new(_derive(key, f"token {purpose.value}"), digestmod=hashlib.sha256)
            for key in (*retired, secret)
            for purpose in TokenPurpose
        }

    def sign(self, purpose: TokenPurpose, uid: str) -> str:
        """Return the token that names *uid* for *purpose*."""
        name = uid.encode()
        signature = _signature(self._keys[self._own_id, purpose], name)
        return _armour(self._own_id + name + signature)

    def read(self, purpose: TokenPurpose, token: str) -> str | None:
        """Return the uid that *token* names; None: it was not made here, not for *purpose*, or not like this.

        Takes the same time wherever the first wrong byte is.
        """
        content = _unarmoured(token)
        key_id, name, signature = (
            content[:KEY_ID_BYTES],
            content[KEY_ID_BYTES:-SIGNATURE_BYTES],
            content[-SIGNATURE_BYTES:],
        )
        key = self._keys.get((key_id, purpose))
        if key is None or not name or not hmac.compare_digest(_signature(key, name), signature):
            return None
        return name.decode()


def _derive(secret: bytes, use: str) -> bytes:
    return hmac.digest(secret, b"newsletter " + use.encode(), hashlib.sha256)


def _key_id(secret: bytes) -> bytes:
    return _derive(secret, "key id")[:KEY_ID_BYTES]


def _signature(keyed: hmac.HMAC, name: bytes) -> bytes:
    signing = keyed.copy()  # to hash the key again would take as long as all else
    signing.update(name)
    return signing.digest()[:SIGNATURE_BYTES]


def _armour(content: bytes) -> str:
    return binascii.b2a_base64(content, newline=False).translate(_URL_SAFE, b"=").decode()


def _unarmoured(token: str) -> bytes:
    """Undo `_armour`; anything that it could not have written gives nothing, so a token has one spelling."""
    if len(token) > MAXIMUM_TOKEN_LENGTH:
        return b""
    try:
        content = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (ValueError, binascii.Error):
        return b""
    return content if _armour(content) == token else b""
