"""Variants: an edition's content for one distinct choice of items, put together from shared blocks with holes."""

import re
from collections.abc import Iterable, Mapping, Sequence
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


HTML_LIMIT_BYTES = 90_000
"""A variant's HTML stays below this; Gmail hides what comes after about 102 KB, the unsubscribe link with it."""

HOLES_ALLOWANCE_BYTES = 3_000
"""What the values of all holes may add to a variant's HTML."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The blocks of a variant in order, and how many of its items did not fit and are only counted."""

    blocks: tuple[str, ...]
    left_out_count: int
    html_bytes: int


def lay_out(
    *,
    lead: str | None,
    sections: Sequence[tuple[str, Sequence[str]]],
    events: Sequence[str],
    sizes: Mapping[str, int],
    limit: int = HTML_LIMIT_BYTES - HOLES_ALLOWANCE_BYTES,
) -> Layout:
    """Put a variant together from the blocks of its edition, and shorten it until its HTML fits.

    *lead*: key of the item that leads; it is not in *sections*. *sections*: (section key, item keys) in order; the
    section "" of what stands under no topic has a heading only where there are others, and a block for it. *events*:
    keys of upcoming events. *sizes*: bytes of HTML by block key.
    Over the limit, summaries go first, from the last item up; then whole items, counted in a line "more".
    Masthead and footer always stay.
    """
    body = [key for section, items in sections for key in (f"section:{section}", *(f"item:{item}" for item in items))]
    if len(sections) == 1 or "section:" not in sizes:
        body = [key for key in body if key != "section:"]
    body += ["events", *(f"event:{item}" for item in events)] if events else []
    total = sizes["head"] + sizes["foot"] + sum(sizes[key] for key in body) + (sizes[f"lead:{lead}"] if lead else 0)
    for position in reversed(range(len(body))):
        if total <= limit:
            break
        if body[position].startswith("item:"):
            brief = "brief:" + body[position].removeprefix("item:")
            total += sizes[brief] - sizes[body[position]]
            body[position] = brief
    left_out = 0
    if total > limit:
        total += sizes["more"]
        while body and total > limit:
            key = body.pop()
            total -= sizes[key]
            left_out += key.startswith(("brief:", "event:"))
        while body and body[-1].partition(":")[0] in ("section", "events"):
            total -= sizes[body.pop()]
    blocks = ("head", *((f"lead:{lead}",) if lead else ()), *body, *(("more",) if left_out else ()), "foot")
    return Layout(blocks, left_out, total)
