"""Items of documents with the source and the key they go by, so that what comes again is known again."""

import re
from collections import Counter
from dataclasses import dataclass, replace

from newsletter.domain.drafts import Draft, tidy
from newsletter.domain.item_keys import alias_keys, distinct_keys, id_key
from newsletter.domain.prose import fold, shorten
from newsletter.errors import InvalidError
from newsletter.ingest.document import Document, Item

LONGEST_SLUG = 80


@dataclass(frozen=True, slots=True)
class SourcedItem:
    """An item of a document with the source and the key it goes by; neither where it was refused.

    *aliases*: names by which it may have come before. *digest*: of the item as its source gave it, where more was
    added since; None: nothing was. *is_archive*: what is new is not mailed. *is_major*: whoever gives it says that
    readers should hear of the change; None: the texts decide. *is_partial*: its owner says what changes and nothing
    else, so that a title without a body is a new title, and no teaser.
    """

    file: str
    item: Item
    source: str = ""
    key: str = ""
    warnings: tuple[str, ...] = ()
    aliases: frozenset[str] = frozenset()
    digest: str | None = None
    is_archive: bool = False
    is_major: bool | None = None
    is_partial: bool = False

    def with_draft(self, draft: Draft) -> "SourcedItem":
        """Return it with another draft, read of it or made of it."""
        return replace(self, item=replace(self.item, draft=draft))


def give_keys(name: str, document: Document) -> list[SourcedItem]:
    """Give each item of a document called *name* its source and key.

    Raises:
        InvalidError: one says nothing of its source.
    """
    items = [replace(item, draft=tidy(item.draft)) if item.draft else item for item in document.items]
    by_source: dict[str, list[int]] = {}
    for place, item in enumerate(items):
        if item.draft:
            if not item.draft.source:
                raise InvalidError(f"{name}: nothing says where it comes from; give --source NAME")
            source_slug(item.draft.source)
            by_source.setdefault(item.draft.source, []).append(place)
    sourced = [SourcedItem(name, item, warnings=document.warnings) for item in items]
    for source_name, places in by_source.items():
        drafts = [draft for place in places if (draft := items[place].draft)]
        shared = Counter(alias for draft in drafts for alias in alias_keys(draft))
        for place, draft, key in zip(places, drafts, distinct_keys(drafts), strict=True):
            warnings = document.warnings
            if draft.external_id and key != id_key(draft.external_id):
                name_shown = shorten(draft.external_id, 60)
                warnings += (f"other items of the file have the id {name_shown!r} too; give each its own",)
            aliases = frozenset(alias for alias in alias_keys(draft) if shared[alias] == 1)
            sourced[place] = SourcedItem(name, items[place], source_name, key, warnings, aliases)
    return sourced


def source_slug(name: str) -> str:
    """Return the slug of a source called *name*: small letters, digits and hyphens.

    Raises:
        InvalidError: no letter or digit is in it.
    """
    slug = re.sub(r"[\W_]+", "-", fold(name))[:LONGEST_SLUG].strip("-")
    if not slug:
        raise InvalidError(f"the source {name!r} has no letters to make a name of; give another one")
    return slug
