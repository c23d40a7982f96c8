"""Item keys: under which names an item of a source comes again, and when two are the same item."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from newsletter.domain.articles import ArticleRecord
from newsletter.domain.drafts import Draft
from newsletter.domain.prose import fold

LONGEST_KEY = 300


def item_key(draft: Draft) -> str:
    """Return the name under which a source gives this item again: its id, else its address, else what it is.

    Without either, it is named by kind, language, date and title, so that a changed body is a change of the same
    item; a teaser and its article differ in having a body. Without a title, the body's beginning stands for it.
    """
    if draft.external_id:
        return id_key(draft.external_id)
    if draft.own.url:
        return url_key(draft.own.url)
    return content_key(draft)


def id_key(external_id: str) -> str:
    """Return the key of an item that has an id."""
    return _bounded("id:" + external_id)


def url_key(url: str) -> str:
    """Return the key of an item that has a page; http and https, with or without a last slash, are the same page."""
    return _bounded("url:" + url.partition("://")[2].rstrip("/"))


def content_key(draft: Draft) -> str:
    """Return a key from what identifies an item to a reader."""
    name = fold(draft.own.title) or " ".join(fold(draft.own.body_text).split()[:30])
    when = draft.published.isoformat() if draft.published else ""
    parts = [draft.kind, draft.own.language, when, name, "body" if draft.has_body else "teaser"]
    return "text:" + hashlib.sha256("\n".join(parts).encode()).hexdigest()


def alias_keys(draft: Draft) -> set[str]:
    """Return other names by which the same item may come again: its page, and what stays of both when sites move.

    Sites change http to https, their host, or how they make ids. These names only say where to look;
    `is_same_item` decides.
    """
    names = set()
    if draft.own.url:
        names.add(url_key(draft.own.url))
        parts = urlsplit(draft.own.url)
        path = f"{parts.path.rstrip('/')}{'?' if parts.query else ''}{parts.query}"
        if path:
            names.add(_bounded("path:" + path))
    if draft.external_id and draft.external_id.startswith(("http://", "https://")):
        names.add(_bounded("page:" + draft.external_id.partition("://")[2].rstrip("/")))
    return names - {item_key(draft)}


def is_same_item(record: ArticleRecord, draft: Draft, *, zone: ZoneInfo) -> bool:
    """Say whether *draft*, which comes under a new name, is the item that *record* was made of, come again.

    Its title is the same, or it was published at the same time of the same day: a day alone is shared by many.
    """
    title = fold(draft.own.title)
    if title and title == fold(record.title):
        return True
    return isinstance(draft.published, datetime) and draft.published_at(zone) == record.published_at


def distinct_keys(drafts: Sequence[Draft]) -> list[str]:
    """Return a key for each of the items of one document; only items that are equal share one.

    Items with one id or title are told apart by their pages, else by what they are, else by all that they say.
    """
    keys = _told_apart([item_key(draft) for draft in drafts], drafts, _what_it_is)
    return _told_apart(keys, drafts, digest)


def _told_apart(keys: Sequence[str], drafts: Sequence[Draft], by: Callable[[Draft], str]) -> list[str]:
    """Add what *by* says of an item to a key that stands for items of which it says different things."""
    said = [by(draft) for draft in drafts]
    meanings: dict[str, set[str]] = {}
    for key, what in zip(keys, said, strict=True):
        meanings.setdefault(key, set()).add(what)
    return [
        _bounded(f"{key}#{what[:16]}") if len(meanings[key]) > 1 else key for key, what in zip(keys, said, strict=True)
    ]


def digest(draft: Draft) -> str:
    """Return a SHA-256 of all that came, in hex: equal for the same item, whatever order its fields had."""
    values = asdict(replace(draft, warnings=()))
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def _what_it_is(draft: Draft) -> str:
    name = draft.own.url or content_key(draft)
    return hashlib.sha256(name.encode()).hexdigest()


def _bounded(key: str) -> str:
    if len(key) <= LONGEST_KEY:
        return key
    return "long:" + hashlib.sha256(key.encode()).hexdigest()
