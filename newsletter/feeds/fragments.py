"""Entries written once, in each format, and kept packed: what documents are put together from."""

import hashlib
import struct
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from threading import Lock

from newsletter.domain.feeds import DIGEST_BYTES, FeedFormat
from newsletter.feeds import atom, jsonfeed, rss
from newsletter.feeds.document import Entry
from newsletter.feeds.packing import pack_brotli, unpack_brotli

CACHE_BYTES = 64 * 1024 * 1024
"""What the entries kept in one process may take, about: 5,000 of 8 KB of HTML each, more than 200 feeds show."""
PARTS_BYTES = 32 * 1024 * 1024
"""What fragments may take that are kept unpacked: 3,000 of them in one format, or 1,000 in three."""

_WRITERS = {FeedFormat.ATOM: atom.write_entry, FeedFormat.RSS: rss.write_entry, FeedFormat.JSON: jsonfeed.write_entry}
_SIZES = struct.Struct(f">{len(_WRITERS)}I")


@dataclass(frozen=True, slots=True)
class Fragment:
    """An entry as it stands in documents: its bytes in each format, *packed* together, and how many those are.

    *digest* is made of the bytes: the same bytes have the same name, in any process and for ever. *sizes*: in the
    formats' order; *size* is its share of the largest document.
    """

    digest: bytes
    packed: bytes
    sizes: tuple[int, ...]
    size: int


def write_entry(entry: Entry) -> Fragment:
    """Return *entry* in each format."""
    written = [write(entry) for write in _WRITERS.values()]
    sizes = tuple([len(each) for each in written])
    head, bodies = _SIZES.pack(*sizes), b"".join(written)
    digest = hashlib.sha256(head + bodies).digest()[:DIGEST_BYTES]
    return Fragment(digest, head + pack_brotli(bodies), sizes, max(sizes))


def total_sizes(fragments: Iterable[Fragment]) -> dict[FeedFormat, int]:
    """Return how many bytes *fragments* have together in each format."""
    by_format = zip(*[each.sizes for each in fragments], strict=True)
    return dict.fromkeys(_WRITERS, 0) | dict(zip(_WRITERS, map(sum, by_format), strict=False))


def unpack_fragment(packed: bytes, form: FeedFormat) -> bytes:
    """Return a fragment's bytes in one format."""
    begin = 0
    for each, size in zip(_WRITERS, _SIZES.unpack_from(packed), strict=True):
        if each is form:
            return unpack_brotli(packed[_SIZES.size :])[begin : begin + size]
        begin += size
    raise ValueError(form)


@dataclass(slots=True)
class FragmentCache:
    """Keeps entries written before, those written last; safe to share between threads.

    The key is the entry itself, all that is written of it: a fragment is right however its article came to change.
    Only this process's program writes into it, so an upgrade starts with none. One that is looked up does not stay
    longer for that: a feed has fifty and looks up each, and to write one of them anew now and then costs less.
    """

    capacity: int = CACHE_BYTES
    _kept: dict[Entry, Fragment] = field(default_factory=dict)
    _bytes: int = 0
    _lock: Lock = field(default_factory=Lock)

    def known(self, entries: Iterable[Entry]) -> list[Fragment | None]:
        """Return those of *entries* that were written before, in one go: a feed has fifty, and one of them is new."""
        return list(map(self._kept.get, entries))

    def fragment(self, entry: Entry) -> Fragment:
        """Return *entry* in each format, written now if it was not before."""
        if (known := self._kept.get(entry)) is not None:
            return known
        written = write_entry(entry)
        with self._lock:
            if entry not in self._kept:
                self._kept[entry] = written
                self._bytes += _weight(entry, written)
            while self._bytes > self.capacity and len(self._kept) > 1:
                oldest = next(iter(self._kept))
                self._bytes -= _weight(oldest, self._kept.pop(oldest))
        return written


@dataclass(slots=True)
class PartCache:
    """Keeps fragments unpacked, those used last, for whoever puts documents together; safe to share between threads."""

    capacity: int = PARTS_BYTES
    _kept: "OrderedDict[tuple[FeedFormat, bytes], bytes]" = field(default_factory=OrderedDict)
    _bytes: int = 0
    _lock: Lock = field(default_factory=Lock)

    def known(self, form: FeedFormat, digests: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return by digest what is there of fragments in one format."""
        found: dict[bytes, bytes] = {}
        with self._lock:
            for digest in digests:
                if (part := self._kept.get((form, digest))) is not None:
                    found[digest] = part
                    self._kept.move_to_end((form, digest))
        return found

    def unpack(self, form: FeedFormat, packed: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Return by digest what *packed* fragments are in one format, and keep that."""
        parts = {digest: unpack_fragment(each, form) for digest, each in packed.items()}
        with self._lock:
            for digest, part in parts.items():
                self._bytes += len(part) - len(self._kept.pop((form, digest), b""))
                self._kept[form, digest] = part
            while self._bytes > self.capacity and len(self._kept) > 1:
                self._bytes -= len(self._kept.popitem(last=False)[1])
        return parts


def _weight(entry: Entry, written: Fragment) -> int:
    return len(entry.content_html) + len(written.packed)
