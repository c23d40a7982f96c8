"""Readers: which one reads a file, by its name, else by how it begins."""

from collections.abc import Callable
from pathlib import PurePath

from newsletter.errors import InvalidError
from newsletter.ingest.document import LARGEST_FILE, Document
from newsletter.ingest.feed import read_feed
from newsletter.ingest.fields import Defaults
from newsletter.ingest.json_items import read_json
from newsletter.ingest.markdown import read_markdown
from newsletter.ingest.page import read_page

Reader = Callable[[bytes, Defaults], Document]

_BY_SUFFIX: dict[str, Reader] = {
    ".json": read_json,
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".xml": read_feed,
    ".rss": read_feed,
    ".atom": read_feed,
    ".html": read_page,
    ".htm": read_page,
}
SUFFIXES = frozenset(_BY_SUFFIX)
"""Endings of the files that are taken."""
_BY_BEGINNING: tuple[tuple[bytes, Reader], ...] = (
    (b"{", read_json),
    (b"[", read_json),
    (b"---", read_markdown),
    (b"<?xml", read_feed),
    (b"<rss", read_feed),
    (b"<feed", read_feed),
    (b"<!doctype html", read_page),
    (b"<html", read_page),
)


def read_document(name: str, content: bytes, defaults: Defaults) -> Document:
    """Read the file *name* with *content* into drafts, in its order.

    Raises:
        InvalidError: it is empty, larger than 20 MB, of no format we take, or unreadable as what it says it is.
    """
    if not content.strip():
        raise InvalidError(f"{name}: the file is empty")
    if len(content) > LARGEST_FILE:
        size = len(content) // 1024 // 1024
        raise InvalidError(
            f"{name}: the file has {size} MB; at most {LARGEST_FILE // 1024 // 1024} are taken, split it"
        )
    try:
        return _reader(name, content)(content, defaults)
    except InvalidError as error:
        raise InvalidError(f"{name}: {error}") from error


def _reader(name: str, content: bytes) -> Reader:
    suffix = PurePath(name).suffix.lower()
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    beginning = content[:200].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for start, reader in _BY_BEGINNING:
        if beginning.startswith(start):
            return reader
    raise InvalidError("no known format; name it .json, .md, .xml (a feed) or .html")
