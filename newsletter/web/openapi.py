"""The OpenAPI document, made of the operations that answer and the models that check: it cannot say else."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from newsletter import __version__
from newsletter.config import Settings
from newsletter.web.api_models import Problem

REFERENCE = "#/components/schemas/{model}"
_PROBLEMS = {
    400: "The body is no JSON, or a header cannot be used.",
    401: "There is no token, or one that is not in use.",
    404: "This client has no such article.",
    409: "The state of the article does not allow it, or the same request is being answered.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    422: "Fields cannot be used; each is named.",
    429: "Too many requests; Retry-After says when to come again.",
    503: "The database did not answer; nothing was changed.",
}
_WITH_BODY = frozenset({400, 413, 415, 422})
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Your name for this request: sent again under it within two days, it is answered as it was.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
}

_UID = {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that the API does: its route and its part of the document are both made of this.

    *answer* makes of a call what *gives* describes; *statuses*: with which it may be given; *query*: names of the
    query's parameters, each with what it is for.
    """

    name: str
    method: str
    path: str
    summary: str
    gives: type[BaseModel]
    answer: Callable[[Any], Any]
    takes: type[BaseModel] | None = None
    statuses: tuple[int, ...] = (200,)
    query: tuple[tuple[str, str], ...] = ()


def describe(operations: Iterable[Operation], settings: Settings) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of *operations*."""
    operations = list(operations)
    takes = [(each.takes, "validation") for each in operations if each.takes]
    gives = [(each.gives, "serialization") for each in operations]
    wanted: list[Any] = list(dict.fromkeys([*takes, *gives, (Problem, "serialization")]))
    names, definitions = models_json_schema(wanted, ref_template=REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(f"/api{each.path}", {})[each.method.lower()] = _operation(each, names)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{settings.name}: articles",
            "version": __version__,
            "description": "For a CMS that publishes here. Errors are problem documents (RFC 9457).",
        },
        "servers": [{"url": settings.base_url}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": definitions["$defs"],
        },
    }


def _operation(each: Operation, names: Any) -> dict[str, Any]:
    problem = {"application/problem+json": {"schema": names[Problem, "serialization"]}}
    found = {"application/json": {"schema": names[each.gives, "serialization"]}}
    statuses = [status for status in _PROBLEMS if each.takes or status not in _WITH_BODY]
    described: dict[str, Any] = {
        "operationId": each.name,
        "summary": each.summary,
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": _UID} for name in _names(each.path)),
            *(
                {"name": n, "in": "query", "description": about, "schema": {"type": "string"}}
                for n, about in each.query
            ),
            *([_KEY] if each.takes else ()),
        ],
        "responses": {
            **{str(status): {"description": _found(status), "content": found} for status in each.statuses},
            **{str(status): {"description": _PROBLEMS[status], "content": problem} for status in statuses},
        },
    }
    if each.takes:
        schema = names[each.takes, "validation"]
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return described


def _names(path: str) -> list[str]:
    return [part.strip("{}") for part in path.split("/") if part.startswith("{")]


def _found(status: int) -> str:
    return {201: "It is new here."}.get(status, "Done, or found.")
