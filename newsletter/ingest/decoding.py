"""Decoding: bytes of a text file into text, whatever editor or site wrote them."""

import codecs
from dataclasses import dataclass

from newsletter.errors import InvalidError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
FALLBACK = "cp1251"
"""What Cyrillic text was written in before UTF-8, and still is by old office programs."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text, and what a person should know about how it was read; None: nothing to tell."""

    text: str
    warning: str | None = None


def decode(content: bytes, declared: str | None = None) -> Decoded:
    """Read *content* by its byte order mark, else as *declared*, else as UTF-8, else as Windows-1251, and say so.

    Raises:
        InvalidError: it is no text.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            marked = _attempt(content, encoding)
            if marked is None:
                raise InvalidError(f"the file begins as {encoding} text and is not; save it as UTF-8")
            return Decoded(marked.removeprefix("\ufeff"))
    if b"\0" in content:
        raise InvalidError("the file holds binary data, not text; save it as UTF-8 text")
    for name in (declared, "utf-8"):
        if name and (plain := _attempt(content, name)) is not None:
            return Decoded(plain)
    return Decoded(
        content.decode(FALLBACK, errors="replace"),
        "the file is not UTF-8 and was read as Windows-1251; if letters look wrong, save it as UTF-8",
    )


def _attempt(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None
