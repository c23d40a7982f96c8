"""Documents of feeds as they are served: a copy in this process, looked up again often and never mixed up."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from threading import Lock

import structlog

from newsletter.domain.feeds import FeedFormat, StoredDocument
from newsletter.errors import TransientError
from newsletter.feeds.documents import assemble
from newsletter.feeds.fragments import PartCache
from newsletter.feeds.packing import pack_brotli, pack_gzip
from newsletter.services.context import App, Transaction
from newsletter.storage.feed_documents import NewDocument, load_document, load_etag, load_fragments
from newsletter.storage.feeds import has_feed

log = structlog.get_logger()

RECHECK_SECONDS = 0.25
"""How long another process's rebuild may stay unseen."""
CACHE_BYTES = 64 * 1024 * 1024
LOOKS = 3
"""How often a document is read that somebody swaps at the same moment, with what it was put together from."""
FORMS = {form.value: form for form in FeedFormat}
PARTS = PartCache()


@dataclass(frozen=True, eq=False)
class ServedDocument:
    """A document with its validator; *etag* is bare, each representation has its own made of it."""

    name: str
    body: bytes
    etag: str
    last_modified: datetime

    @cached_property
    def brotli(self) -> bytes:
        """The bytes by Brotli; packed here, when somebody wants them so, once after each change."""
        return pack_brotli(self.body)

    @cached_property
    def gzipped(self) -> bytes:
        """The bytes by gzip, the same on any machine."""
        return pack_gzip(self.body)


def read_document(tx: Transaction, name: str) -> ServedDocument | None:
    """Return the document as it is stored now; None: there is none.

    Raises:
        TransientError: it was swapped during each look; ask again.
    """
    for _ in range(LOOKS):
        stored = load_document(tx.session, name)
        if stored is None:
            return None
        body = put_together(stored, partial(load_fragments, tx.session))
        if body is not None:
            return ServedDocument(name, body, stored.etag, stored.last_modified)
    raise TransientError(f"the document {name} was swapped while it was read; ask again")


def put_together(
    document: StoredDocument | NewDocument, load: Callable[[Collection[bytes]], Mapping[bytes, bytes]]
) -> bytes | None:
    """Return a document's bytes; *load* returns packed fragments by digest. None: it has not got them all."""
    head = document.head or b""
    form = FORMS.get(document.name.rpartition(".")[2])
    if form is None:  # a list or a calendar
        return head
    parts = PARTS.known(form, document.digests)
    parts |= PARTS.unpack(form, load(set(document.digests) - parts.keys()))
    if not parts.keys() >= set(document.digests):
        return None
    return assemble(form, head, [parts[each] for each in document.digests])


@dataclass(slots=True)
class Swaps:
    """Counts the documents swapped by this process, so that its own cache never lags behind its own work."""

    count: int = 0

    def note(self) -> None:
        """Note that a document was swapped."""
        self.count += 1


SWAPS = Swaps()


@dataclass(slots=True)
class _Copy:
    document: ServedDocument
    swaps: int
    checked_at: float


@dataclass(slots=True)
class DocumentCache:
    """Copies of the documents asked for most recently; *clock* counts seconds and only goes forward."""

    app: App
    clock: Callable[[], float]
    recheck_seconds: float = RECHECK_SECONDS
    capacity: int = CACHE_BYTES
    _copies: "OrderedDict[str, _Copy]" = field(default_factory=OrderedDict)
    _bytes: int = 0
    _lock: Lock = field(default_factory=Lock)

    def peek(self, name: str) -> ServedDocument | None:
        """Return the copy, when it needs no look at the database; never waits."""
        copy = self._copies.get(name)
        if copy is None or copy.swaps != SWAPS.count or self.clock() - copy.checked_at >= self.recheck_seconds:
            return None
        return copy.document

    def load(self, name: str) -> ServedDocument | None:
        """Return the document as it is stored now, its bytes fetched only if they changed; None: there is none.

        While the database does not answer, the copy is returned as it is: better old news than none.
        """
        copy = self._copies.get(name)
        if copy is not None:
            copy.checked_at = self.clock()  # whoever asks during the look gets the copy and does not look as well
        swaps = SWAPS.count  # what is swapped during the look is looked for again
        try:
            return self._look(name, copy, swaps)
        except Exception as error:
            if copy is None:
                raise
            log.warning("feed_served_from_copy", document=name, error=str(error))
            return copy.document

    def _look(self, name: str, copy: "_Copy | None", swaps: int) -> ServedDocument | None:
        with self.app.reading() as tx:
            if copy is not None and load_etag(tx.session, name) == copy.document.etag:
                copy.swaps = swaps
                self._touch(name)
                return copy.document
            document = read_document(tx, name)
        self._keep(name, None if document is None else _Copy(document, swaps, self.clock()))
        return document

    def is_to_come(self, slug: str) -> bool:
        """Say whether there is such a feed, whether or not it has documents yet."""
        with self.app.reading() as tx:
            return has_feed(tx.session, slug)

    def _touch(self, name: str) -> None:
        with self._lock:
            if name in self._copies:
                self._copies.move_to_end(name)

    def _keep(self, name: str, copy: _Copy | None) -> None:
        with self._lock:
            if (previous := self._copies.pop(name, None)) is not None:
                self._bytes -= _weight(previous)
            if copy is not None:
                self._copies[name] = copy
                self._bytes += _weight(copy)
            while self._bytes > self.capacity and len(self._copies) > 1:
                self._bytes -= _weight(self._copies.popitem(last=False)[1])


def _weight(copy: _Copy) -> int:
    return 2 * len(copy.document.body)  # and packed in both ways at most as much
