"""Documents: a file of any format we take, cut into items; a bad item is refused, a bad file is an error."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

from newsletter.domain.drafts import Draft
from newsletter.errors import InvalidError

LARGEST_FILE = 20 * 1024 * 1024
MOST_ITEMS = 20_000
BROKE = "it broke its reader, which is an error of ours"


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a document, counted from 1: a draft, or why there is none. *title* names it where it has one."""

    position: int
    draft: Draft | None = None
    refusal: str | None = None
    title: str = ""


@dataclass(frozen=True, slots=True)
class FeedFacts:
    """What a feed says of itself, for whoever polls it.

    *is_complete*: what is not in it is not there any more (RFC 5005 §2). *removed*: ids of entries that its source took
    away (RFC 6721). *ttl*: how long not to ask again.
    """

    title: str = ""
    hub_url: str | None = None
    self_url: str | None = None
    ttl: timedelta | None = None
    is_complete: bool = False
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """What a file held, in its order, and what concerns all of it; *feed*: what a feed says of itself."""

    items: tuple[Item, ...]
    warnings: tuple[str, ...] = ()
    feed: FeedFacts | None = None


def collect(items: Iterable[tuple[str, Callable[[], Draft]]], warnings: Iterable[str] = ()) -> Document:
    """Read each item, given as its title and what makes a draft of it; one that fails is refused and harms no other.

    Raises:
        InvalidError: there are more than 20,000 of them.
    """
    collected = []
    for position, (title, read) in enumerate(items, start=1):
        if position > MOST_ITEMS:
            raise InvalidError(f"the file holds more than {MOST_ITEMS:,} items; split it")
        try:
            draft = read()
        except ValueError as error:
            collected.append(Item(position, refusal=str(error), title=title))
        except Exception as error:  # noqa: BLE001  an item that breaks its reader must not cost the others
            collected.append(Item(position, refusal=f"{BROKE} ({type(error).__name__})", title=title))
        else:
            collected.append(Item(position, draft=draft, title=draft.own.title or title))
    return Document(tuple(collected), tuple(warnings))
