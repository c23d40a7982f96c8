"""Documents of all formats from one head and its entries: each entry is written once and its bytes are joined."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from threading import Lock

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

CACHE_BYTES = 128 * 1024 * 1024
"""What the entries kept in one process may take, about: 3,500 of 8 KB of HTML each, more than 200 feeds show."""


@dataclass(frozen=True, slots=True)
class Fragments:
    """One entry in each format, as it stands in a document; *size* is its share of the largest one."""

    atom: bytes
    rss: bytes
    json: bytes
    size: int


@dataclass(slots=True)
class FragmentCache:
    """Keeps entries written before, the most recently used ones; safe to share between threads.

    The key is the entry itself, all that is written of it: a fragment is right however its article came to change.
    Only this process's program writes into it, so an upgrade starts with none.
    """

    capacity: int = CACHE_BYTES
    _kept: "OrderedDict[Entry, Fragments]" = field(default_factory=OrderedDict)
    _bytes: int = 0
    _lock: Lock = field(default_factory=Lock)

    def known(self, entries: Sequence[Entry]) -> list[Fragments | None]:
        """Return those of *entries* that were written before, in one go: a feed has fifty, and one of them is new."""
        with self._lock:
            found = list(map(self._kept.get, entries))
            for entry, written in zip(entries, found, strict=True):
                if written is not None:
                    self._kept.move_to_end(entry)
        return found

    def fragments(self, entry: Entry) -> Fragments:
        """Return *entry* in each format, written now if it was not before."""
        with self._lock:
            if entry in self._kept:
                self._kept.move_to_end(entry)
                return self._kept[entry]
        written = write_entry(entry)
        with self._lock:
            if entry not in self._kept:
                self._kept[entry] = written
                self._bytes += _weight(entry, written)
            while self._bytes > self.capacity and len(self._kept) > 1:
                self._bytes -= _weight(*self._kept.popitem(last=False))
        return written


@dataclass(frozen=True, slots=True)
class Fitted:
    """What documents hold: entries, some in brief, as they are written in each; *problems* of those left out."""

    entries: tuple[Entry, ...]
    fragments: tuple[Fragments, ...]
    problems: tuple[str, ...] = ()


def fit_entries(
    entries: Iterable[Entry], cache: FragmentCache, *, largest: int = LARGEST_DOCUMENT, promised: int = FEWEST_ENTRIES
) -> Fitted:
    """Return what of *entries* stands in documents of up to *largest* bytes; of all formats it is the same.

    One that cannot be written is left out and reported. *promised*: so many stand there at least, if only in brief.
    """
    whole: list[Entry] = []
    fragments: list[Fragments] = []
    problems: list[str] = []
    entries = list(entries)
    for entry, known in zip(entries, cache.known(entries), strict=True):
        try:
            fragments.append(known or cache.fragments(entry))
            whole.append(entry)
        except Exception as error:  # noqa: BLE001  whatever is wrong with one entry, the others must not miss out
            problems.append(f"article {entry.article_id} is left out: {error}")
    sizes = [each.size for each in fragments]
    if not sizes or (sum(sizes) <= largest - ROOM_FOR_HEAD and max(sizes) <= LARGEST_ENTRY):
        return Fitted(tuple(whole), tuple(fragments), tuple(problems))
    briefs = [(brief, cache.fragments(brief)) for brief in (entry.in_brief() for entry in whole[:promised])]
    brief_sizes = [min(size, brief.size) for size, (_, brief) in zip(sizes, briefs, strict=False)]
    fits = decide_fits(sizes, brief_sizes, largest=largest, promised=promised)
    chosen = [
        (whole[position], fragments[position]) if fit is Fit.FULL else briefs[position]
        for position, fit in enumerate(fits)
    ]
    return Fitted(tuple(entry for entry, _ in chosen), tuple(written for _, written in chosen), tuple(problems))


def write_documents(head: Head, fitted: Fitted) -> dict[FeedFormat, bytes]:
    """Write all formats, with the same entries in each."""
    parts = fitted.fragments
    return {
        FeedFormat.ATOM: _join(atom.write_head(head), [part.atom for part in parts]),
        FeedFormat.RSS: _join(rss.write_head(head), [part.rss for part in parts]),
        FeedFormat.JSON: _join(jsonfeed.write_head(head), [part.json for part in parts], b","),
    }


def write_entry(entry: Entry) -> Fragments:
    """Return *entry* in each format."""
    written = (atom.write_entry(entry), rss.write_entry(entry), jsonfeed.write_entry(entry))
    return Fragments(*written, size=max(map(len, written)))


def _weight(entry: Entry, written: Fragments) -> int:
    return len(entry.content_html) + len(written.atom) + len(written.rss) + len(written.json)


def _join(ends: tuple[bytes, bytes], parts: Sequence[bytes], separator: bytes = b"") -> bytes:
    before, after = ends
    if separator and parts:
        separated = [separator] * (2 * len(parts) - 1)
        separated[::2] = parts
        parts = separated
    return b"".join((before, *parts, after))  # at once: each copy of half a megabyte costs as much as all else
