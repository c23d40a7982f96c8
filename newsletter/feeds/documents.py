"""Documents of all formats from one head and its entries: each entry is written once, and its bytes are joined."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
from newsletter.feeds.fragments import Fragment, FragmentCache, unpack_fragment


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


@dataclass(frozen=True, slots=True)
class Recipe:
    """A document as it is stored: what stands before its entries, and by digest the fragments that it is made of.

    Joining and packing half a megabyte is most of the work of a feed, and is left to who serves it.
    """

    form: FeedFormat
    head: bytes
    fragments: tuple[Fragment, ...]
    digests: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """How many bytes the document has."""
        between, after = _FRAMES[self.form]
        entries = sum([each.sizes[self.form] for each in self.fragments])
        return len(self.head) + entries + len(between) * max(0, len(self.fragments) - 1) + len(after)

    @property
    def body(self) -> bytes:
        """The document's bytes."""
        return assemble(self.form, self.head, [unpack_fragment(each.packed, self.form) for each in self.fragments])


def write_documents(head: Head, fitted: Fitted) -> dict[FeedFormat, Recipe]:
    """Write all formats, with the same entries in each."""
    digests = tuple([each.digest for each in fitted.fragments])
    return {form: Recipe(form, write(head), fitted.fragments, digests) for form, write in _HEADS.items()}


def assemble(form: FeedFormat, head: bytes, parts: Sequence[bytes]) -> bytes:
    """Return the document that begins with *head*, from its entries as they stand in this format."""
    between, after = _FRAMES[form]
    return b"".join((head, between.join(parts), after))


_HEADS = {FeedFormat.ATOM: atom.write_head, FeedFormat.RSS: rss.write_head, FeedFormat.JSON: jsonfeed.write_head}
_FRAMES = {
    FeedFormat.ATOM: (b"", atom.END),
    FeedFormat.RSS: (b"", rss.END),
    FeedFormat.JSON: (b",", jsonfeed.END),
}
"""What stands between entries, and behind them."""
