"""JSON Schemas of what commands print with `--json`: made from the types of facts, as `output.plain` writes them."""

import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date, datetime, time, timedelta
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, NewType, Union, get_args, get_origin, get_type_hints

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, slots=True)
class Shape:
    """An object that a command puts together itself: the fields of *like*, without some, and others."""

    name: str
    others: Mapping[str, object] = field(default_factory=dict)
    like: Any = None
    without: Collection[str] = ()


_PLAIN: dict[object, Schema] = {
    None: {"type": "null"},
    NoneType: {"type": "null"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    datetime: {"type": "string", "format": "date-time"},
    date: {"type": "string", "format": "date"},
    time: {"type": "string"},
    timedelta: {"type": "number", "description": "seconds"},
    Path: {"type": "string"},
    object: {},
    Any: {},
}


def schema_of(printed: Mapping[str, object]) -> Schema:
    """Return one schema with a property for each command, and each kind of facts defined once."""
    known = _Definitions()
    properties = {command: known.schema(what) for command, what in sorted(printed.items())}
    return {"$schema": DIALECT, "$defs": known.schemas(), "properties": properties}


def schema_of_one(what: object) -> Schema:
    """Return the schema of what one command prints."""
    known = _Definitions()
    found = known.schema(what)
    return {"$schema": DIALECT, **found, **({"$defs": known.schemas()} if known.schemas() else {})}


def kind_of(facts: type, name: str) -> Any:
    """Return the type of a field of *facts*, None set aside: for types of lower layers, which faces do not import."""
    kind = get_type_hints(facts)[name]
    is_optional = get_origin(kind) in (Union, UnionType)
    return next(each for each in get_args(kind) if each is not NoneType) if is_optional else kind


class _Definitions:
    """The objects that were met, each defined once under its name."""

    def __init__(self) -> None:
        self._by_name: dict[str, tuple[type | Shape, Schema]] = {}

    def schemas(self) -> dict[str, Schema]:
        """Return the definitions in order of name."""
        return {name: schema for name, (_, schema) in sorted(self._by_name.items(), key=lambda each: each[0])}

    def schema(self, kind: Any) -> Schema:
        """Return the schema of *kind*: a type, a shape, `[kind]` for a list of it, `(kind, kind)` for one of both.

        Raises:
            TypeError: nothing is known of how such a value is written, or two kinds have one name.
        """
        if isinstance(kind, Shape):
            return self._defined(kind.name, kind)
        if isinstance(kind, list):
            return {"type": "array", "items": self.schema(kind[0])}
        if isinstance(kind, tuple):
            return {"anyOf": [self.schema(each) for each in kind]}
        if isinstance(kind, type) and is_dataclass(kind):
            return self._defined(kind.__name__, kind)
        return self._of_several(kind) if get_args(kind) else _simple(kind)

    def _of_several(self, kind: Any) -> Schema:
        origin, parts = get_origin(kind), [self.schema(each) for each in get_args(kind) if each is not Ellipsis]
        if origin in (Union, UnionType):
            return {"anyOf": parts}
        if issubclass(origin, Mapping):
            names, values = parts
            known = {"propertyNames": names} if "enum" in names else {}
            return {"type": "object", "additionalProperties": values, **known}
        if issubclass(origin, tuple) and Ellipsis not in get_args(kind):
            return {"type": "array", "prefixItems": parts, "minItems": len(parts), "maxItems": len(parts)}
        if issubclass(origin, Sequence | set | frozenset):
            return {"type": "array", "items": parts[0]}
        raise TypeError(f"{kind!r} has no schema: output.plain does not say how it is written")

    def _defined(self, name: str, kind: type | Shape) -> Schema:
        """Define an object, and point to it; one that holds itself may point to what is still being defined."""
        if name not in self._by_name:
            schema: Schema = {"description": _said(kind)} if _said(kind) else {}
            self._by_name[name] = (kind, schema)
            parts = {part: self.schema(each) for part, each in _parts(kind).items()}
            schema |= {"type": "object", "properties": parts, "required": list(parts), "additionalProperties": False}
        if self._by_name[name][0] != kind:
            raise TypeError(f"two kinds of facts are called {name}; a definition has one name")
        return {"$ref": f"#/$defs/{name}"}


def _simple(kind: Any) -> Schema:
    if isinstance(kind, NewType):
        return _simple(kind.__supertype__)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"enum": [each.value for each in kind]}
    if kind not in _PLAIN:
        raise TypeError(f"{kind!r} has no schema: output.plain does not say how it is written")
    return dict(_PLAIN[kind])


def _said(kind: type | Shape) -> str:
    """Return what a type says of itself, not what a dataclass is given for want of words."""
    words = inspect.getdoc(kind) if isinstance(kind, type) else None
    return "" if words is None or words.startswith(f"{getattr(kind, '__name__', '')}(") else " ".join(words.split())


def _parts(kind: type | Shape) -> dict[str, object]:
    if isinstance(kind, Shape):
        like = _parts(kind.like) if kind.like else {}
        return {name: each for name, each in like.items() if name not in kind.without} | dict(kind.others)
    hints = get_type_hints(kind)
    return {each.name: hints[each.name] for each in fields(kind)}
