"""Documents of all formats from one head and its entries: each entry is written once and its bytes are joined."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

from newsletter.domain.feeds import FeedFormat, Fit, fit_entries
from newsletter.feeds import atom, jsonfeed, rss
from newsletter.feeds.document import Entry, Head

CACHE_BYTES = 48 * 1024 * 1024
"""What the entries kept in one process may take, about: 1,500 articles of 8 KB of HTML."""


class Fragments(NamedTuple):
    """One entry in each format, as it stands in a document."""

    atom: bytes
    rss: bytes
    json: bytes

    @property
    def size(self) -> int:
        """Its share of the largest document."""
        return max(map(len, self))


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
class Documents:
    """A feed's documents: *entries* in the order in which all of them hold these, *problems* with those left out."""

    bodies: dict[FeedFormat, bytes]
    entries: tuple[Entry, ...]
    problems: tuple[str, ...] = ()


def write_documents(head: Head, entries: Iterable[Entry], cache: FragmentCache) -> Documents:
    """Write all formats, with the same entries in each; one that cannot be written is left out and reported."""
    fitted, problems = fit_documents(entries, cache)
    parts = [cache.fragments(entry) for entry in fitted]
    bodies = {
        FeedFormat.ATOM: _join(atom.write_head(head), [part.atom for part in parts]),
        FeedFormat.RSS: _join(rss.write_head(head), [part.rss for part in parts]),
        FeedFormat.JSON: _join(jsonfeed.write_head(head), [part.json for part in parts], b","),
    }
    return Documents(bodies, tuple(fitted), tuple(problems))


def fit_documents(entries: Iterable[Entry], cache: FragmentCache) -> tuple[list[Entry], list[str]]:
    """Return the entries that the documents hold, some in brief, and the problems of those that cannot be written."""
    whole: list[Entry] = []
    sizes: list[int] = []
    problems: list[str] = []
    for entry in entries:
        try:
            sizes.append(cache.fragments(entry).size)
            whole.append(entry)
        except Exception as error:  # noqa: BLE001  whatever is wrong with one entry, the others must not miss out
            problems.append(f"article {entry.article_id} is left out: {error}")
    if fit_entries(sizes, sizes) == [Fit.FULL] * len(sizes):
        return whole, problems
    briefs = [entry.in_brief() for entry in whole]
    brief_sizes = [min(size, cache.fragments(brief).size) for size, brief in zip(sizes, briefs, strict=True)]
    fits = fit_entries(sizes, brief_sizes)
    chosen = zip(whole, briefs, fits, strict=False)
    return [entry if fit is Fit.FULL else brief for entry, brief, fit in chosen], problems


def write_entry(entry: Entry) -> Fragments:
    """Return *entry* in each format."""
    return Fragments(atom.write_entry(entry), rss.write_entry(entry), jsonfeed.write_entry(entry))


def _weight(entry: Entry, written: Fragments) -> int:
    return len(entry.content_html) + sum(map(len, written))


def _join(ends: tuple[bytes, bytes], parts: Sequence[bytes], separator: bytes = b"") -> bytes:
    before, after = ends
    return before + separator.join(parts) + after
