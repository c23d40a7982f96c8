"""Documents of all formats from one head and its entries: each entry is written once, and its bytes are joined."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from newsletter.domain.feeds import (
    FEWEST_ENTRIES,
    LARGEST_DOCUMENT,
    LARGEST_ENTRY,
    ROOM_FOR_HEAD,
    FeedFormat,
    Fit,
)
from newsletter.domain.feeds import fit_entries as decide_fits
from newsletter.feeds import atom, jsonfeed, rss
from newsletter.feeds.document import Entry, Head
from newsletter.feeds.fragments import Fragment, FragmentCache, total_sizes, unpack_fragment

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for a time that is filled in later."""
HEADS_KEPT = 1024
"""Heads that are kept as they are written: between two articles only one time in them changes."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What documents hold: entries, some in brief, as they are written in each; *problems* of those left out."""

    entries: tuple[Entry, ...]
    fragments: tuple[Fragment, ...]
    problems: tuple[str, ...] = ()


def fit_entries(
    entries: Iterable[Entry], cache: FragmentCache, *, largest: int = LARGEST_DOCUMENT, promised: int = FEWEST_ENTRIES
) -> Fitted:
    """Return what of *entries* stands in documents of up to *largest* bytes; of all formats it is the same.

    One that cannot be written is left out and reported. *promised*: so many stand there at least, if only in brief.
    """
    whole: list[Entry] = []
    fragments: list[Fragment] = []
    problems: list[str] = []
    entries = list(entries)
    for entry, known in zip(entries, cache.known(entries), strict=True):
        try:
            fragments.append(known or cache.fragment(entry))
            whole.append(entry)
        except Exception as error:  # noqa: BLE001  whatever is wrong with one entry, the others must not miss out
            problems.append(f"article {entry.article_id} is left out: {error}")
    sizes = [each.size for each in fragments]
    if not sizes or (sum(sizes) <= largest - ROOM_FOR_HEAD and max(sizes) <= LARGEST_ENTRY):
        return Fitted(tuple(whole), tuple(fragments), tuple(problems))
    short = [entry.in_brief() for entry in whole[:promised]]
    briefs = [(brief, each or cache.fragment(brief)) for brief, each in zip(short, cache.known(short), strict=True)]
    brief_sizes = [min(size, brief.size) for size, (_, brief) in zip(sizes, briefs, strict=False)]
    fits = decide_fits(sizes, brief_sizes, largest=largest, promised=promised)
    chosen = [
        (whole[position], fragments[position]) if fit is Fit.FULL else briefs[position]
        for position, fit in enumerate(fits)
    ]
    return Fitted(tuple(entry for entry, _ in chosen), tuple(written for _, written in chosen), tuple(problems))


class Recipe(NamedTuple):
    """A document as it is stored: what stands before its entries, and by digest the fragments that it is made of.

    Joining and packing half a megabyte is most of the work of a feed, and is left to who serves it. *size*: bytes of
    the whole.
    """

    form: FeedFormat
    head: bytes
    fragments: tuple[Fragment, ...]
    digests: tuple[bytes, ...]
    size: int

    @property
    def body(self) -> bytes:
        """The document's bytes."""
        return assemble(self.form, self.head, [unpack_fragment(each.packed, self.form) for each in self.fragments])


def write_documents(head: Head, fitted: Fitted) -> dict[FeedFormat, Recipe]:
    """Write all formats, with the same entries in each."""
    digests = tuple([each.digest for each in fitted.fragments])
    sizes = total_sizes(fitted.fragments)
    recipes = {}
    for form, before in write_heads(head).items():
        between, after = _FRAMES[form]
        size = len(before) + sizes[form] + len(between) * max(0, len(digests) - 1) + len(after)
        recipes[form] = Recipe(form, before, fitted.fragments, digests, size)
    return recipes


def write_heads(head: Head) -> dict[FeedFormat, bytes]:
    """Return what stands before the entries in each format: written once, and but for one time kept."""
    heads = dict(_write_heads(head._replace(updated=EPOCH)))
    for form, write_updated in _UPDATED.items():
        heads[form] = heads[form].replace(_NOT_UPDATED[form], write_updated(head.updated), 1)
    return heads


@lru_cache(maxsize=HEADS_KEPT)
def _write_heads(head: Head) -> dict[FeedFormat, bytes]:
    return {form: write(head) for form, write in _HEADS.items()}


def assemble(form: FeedFormat, head: bytes, parts: Sequence[bytes]) -> bytes:
    """Return the document that begins with *head*, from its entries as they stand in this format."""
    between, after = _FRAMES[form]
    return b"".join((head, between.join(parts), after))


_HEADS = {FeedFormat.ATOM: atom.write_head, FeedFormat.RSS: rss.write_head, FeedFormat.JSON: jsonfeed.write_head}
_UPDATED = {FeedFormat.ATOM: atom.write_updated, FeedFormat.RSS: rss.write_updated}
_NOT_UPDATED = {form: write(EPOCH) for form, write in _UPDATED.items()}
_FRAMES = {
    FeedFormat.ATOM: (b"", atom.END),
    FeedFormat.RSS: (b"", rss.END),
    FeedFormat.JSON: (b",", jsonfeed.END),
}
"""What stands between entries, and behind them."""
