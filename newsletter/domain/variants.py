"""Variants: an edition's content for one distinct choice of items, put together from shared blocks with holes."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hole:
    """A place in a block that is filled later: once per variant (`preheader`) or per reader (`unsubscribe_url`)."""

    name: str


Segment = str | Hole
"""A stretch of fixed text, or a hole between two of them."""


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of a rendered edition, such as one article: its HTML and its plain text, with hole marks in both."""

    key: str
    html: str
    text: str


VARIANT_HOLES = ("preheader", "intro", "view_url", "more")
READER_HOLES = ("unsubscribe_url", "preferences_url", "why")


def hole_mark(name: str, nonce: str) -> str:
    """Return the bare alphanumeric mark that stands for a hole while templates and premailer run.

    *nonce* is random per edition, 16 or more hex digits, so that no content can forge a mark.
    """
    return f"Zq{name.replace('_', '9')}Z{nonce}qZ"


def cut(text: str, nonce: str) -> tuple[Segment, ...]:
    """Split *text* at its hole marks; fixed stretches and holes alternate, empty stretches are left out."""
    parts = re.split(rf"Zq([a-z0-9]+)Z{re.escape(nonce)}qZ", text)
    segments: list[Segment] = []
    for position, part in enumerate(parts):
        if position % 2:
            segments.append(Hole(part.replace("9", "_")))
        elif part:
            segments.append(part)
    return tuple(segments)


def fill(segments: Iterable[Segment], values: Mapping[str, str]) -> tuple[Segment, ...]:
    """Put *values* into the holes they name and leave the others open; values must already fit their place."""
    return tuple(values.get(segment.name, segment) if isinstance(segment, Hole) else segment for segment in segments)
