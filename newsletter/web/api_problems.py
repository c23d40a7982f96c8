"""Problem documents (RFC 9457): how the API says what went wrong."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from starlette.responses import Response

from newsletter.web.api_models import FieldProblem, Problem

API = "/api/"
"""Under this path programs ask, who read no pages."""


def problem_response(
    status: int, detail: str = "", errors: Sequence[FieldProblem] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """Return what went wrong; *detail* empty: nothing more is known than its status says."""
    phrase = HTTPStatus(status).phrase
    detail = detail if detail not in ("", phrase) else f"{phrase}; see /api/openapi.json."
    problem = Problem(title=phrase, status=status, detail=detail, errors=list(errors))
    return json_response(problem.model_dump_json().encode(), status, headers, "application/problem+json")


def json_response(
    body: bytes, status: int, headers: Mapping[str, str] | None = None, media_type: str = "application/json"
) -> Response:
    """Return an answer that nobody keeps."""
    return Response(body, status, {"cache-control": "no-store", **(headers or {})}, media_type)
