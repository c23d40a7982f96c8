"""JSON: a list of articles, in our documented format or as scraped: kind, date, title, paragraphs, language, site."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from newsletter.domain.drafts import Draft, UnusableError
from newsletter.domain.prose import normalise, shorten
from newsletter.errors import InvalidError
from newsletter.ingest.decoding import decode
from newsletter.ingest.document import Document, collect
from newsletter.ingest.fields import Defaults, FieldReader
from newsletter.ingest.json_feed import feed_of, is_json_feed
from newsletter.ingest.markdown import render


def read_json(content: bytes, defaults: Defaults) -> Document:
    """Read a list of items, or an object with `articles` and, for all of them, `source`, `language` and `kind`.

    Raises:
        InvalidError: it is no JSON, or neither of these.
    """
    decoded = decode(content)
    try:
        value = json.loads(decoded.text)
    except json.JSONDecodeError as error:
        raise InvalidError(f"no valid JSON: {error.msg} in line {error.lineno}, column {error.colno}") from error
    except (RecursionError, ValueError) as error:
        raise InvalidError(f"the JSON is nested too deeply, or holds a number without end: {error}") from error
    if is_json_feed(value):
        return feed_of(value, defaults, [decoded.warning] if decoded.warning else [])
    shared: dict[str, Any] = {}
    if isinstance(value, Mapping) and isinstance(value.get("articles"), list):
        shared = {name: value[name] for name in ("source", "language", "kind") if value.get(name)}
        value = value["articles"]
    elif isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, list):
        raise InvalidError('the JSON must be a list of articles, or an object with "articles"')
    items = ((_title(item), partial(_read_item, item, shared, defaults)) for item in value)
    return collect(items, [decoded.warning] if decoded.warning else [])


def _read_item(item: object, shared: Mapping[str, Any], defaults: Defaults) -> Draft:
    if not isinstance(item, Mapping):
        raise UnusableError(f"it must be an object with a title and a body, and is {shorten(json.dumps(item), 40)}")
    fields = {**shared, **{name: value for name, value in item.items() if value is not None}}
    return FieldReader(defaults, render).read(fields)


def _title(item: object) -> str:
    title = item.get("title") if isinstance(item, Mapping) else None
    return shorten(normalise(title), 100) if isinstance(title, str) else ""
