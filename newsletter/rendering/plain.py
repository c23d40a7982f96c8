"""Plain text: lines short enough for every mail program, and nothing in them that is not text."""

import re
import textwrap

LINE_WIDTH = 72

CONTROL_CHARACTERS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
"""C0 but tab and newline, DEL, C1, separators of lines, what overrides the direction of text, the BOM, and what is no
character at all: lone surrogates, which cannot be encoded, and the noncharacters that HTML forbids."""


def clean(text: str, limit: int) -> str:
    """Return *text* on one line, without control or direction-override characters, cut at a word to *limit*."""
    return shortened(" ".join(CONTROL_CHARACTERS.sub(" ", text).split()), limit)


def shortened(text: str, limit: int) -> str:
    """Return *text* itself, or its beginning up to the last whole word that fits, with an ellipsis."""
    if len(text) <= limit:
        return text
    head = text[: limit - 1]
    space = head.rfind(" ")
    if text[limit - 1] != " " and space > limit // 2:
        head = head[:space]
    return head.rstrip(" ,;:–—-.") + "…"


def capitalised(text: str) -> str:
    """Return *text* with a capital in front, for what stands alone in a line."""
    return text[:1].upper() + text[1:]


def wrapped(text: str, indent: int = 0) -> str:
    """Wrap *text* at 72 columns, each line behind *indent* spaces; a word that is longer, as a URL, stays whole."""
    margin = " " * indent
    return textwrap.fill(
        text,
        LINE_WIDTH,
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )
