"""The API for a CMS: articles brought in, shown, changed and withdrawn; each error a problem document (RFC 9457)."""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil
from typing import Any

import structlog
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from newsletter.domain.api_clients import ApiClient
from newsletter.errors import NewsletterError
from newsletter.services import api as service
from newsletter.services.api import FieldError
from newsletter.services.article_imports import ImportResult
from newsletter.services.context import App
from newsletter.web.api_models import (
    ArticleIn,
    ArticleOut,
    ArticlesOut,
    FieldProblem,
    SubmissionOut,
    WithdrawalIn,
)
from newsletter.web.api_problems import API, json_response, problem_response
from newsletter.web.openapi import Operation, describe
from newsletter.web.problems import STATUS_OF

log = structlog.get_logger()

UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
KEY = re.compile(r"[!-~]{1,200}")
CREATED, FOUND = 201, 200
SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a client that may make it; *body* is checked, None where the operation takes none."""

    app: App
    client: ApiClient
    request: Request
    body: Any = None

    @property
    def uid(self) -> str:
        """The article that the path names.

        Raises:
            HTTPException: it cannot name any.
        """
        uid: str = self.request.path_params["uid"]
        if not UID.fullmatch(uid):
            raise HTTPException(404, "there is no article of this name")
        return uid


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call gives; *location*: the address of what it made."""

    model: BaseModel
    status: int = FOUND
    location: str = ""


def _create(call: Call) -> Answer:
    body: ArticleIn = call.body
    submission = service.submit_article(call.app, call.client, body.fields(), is_major=body.is_significant)
    model = SubmissionOut.of(submission, call.app.settings.base_url)
    is_new = submission.outcome.result in (ImportResult.NEW, ImportResult.HELD)
    location = f"{call.app.settings.base_url}/api/articles/{submission.article.uid}"
    return Answer(model, CREATED if is_new else FOUND, location)


def _list(call: Call) -> Answer:
    asked = call.request.query_params
    before = asked.get("before")
    if before is not None and not UID.fullmatch(before):
        raise HTTPException(404, "there is no article with the uid that is given as `before`")
    found, next_before = service.list_client_articles(call.app, call.client, external_id=asked.get("id"), before=before)
    base_url = call.app.settings.base_url
    return Answer(ArticlesOut(articles=[ArticleOut.of(each, base_url) for each in found], next_before=next_before))


def _show(call: Call) -> Answer:
    found = service.find_client_article(call.app, call.client, call.uid)
    return Answer(ArticleOut.of(found, call.app.settings.base_url))


def _update(call: Call) -> Answer:
    body: ArticleIn = call.body
    submission = service.submit_article(
        call.app, call.client, body.fields(), uid=call.uid, is_major=body.is_significant
    )
    return Answer(SubmissionOut.of(submission, call.app.settings.base_url))


def _withdraw(call: Call) -> Answer:
    body: WithdrawalIn = call.body
    found = service.withdraw_client_article(call.app, call.client, call.uid, reason=body.reason)
    return Answer(ArticleOut.of(found, call.app.settings.base_url))


OPERATIONS: Sequence[Operation] = (
    Operation(
        "createArticle",
        "POST",
        "/articles",
        "Bring in an article, or the new state of one that was sent before under the same id",
        SubmissionOut,
        _create,
        takes=ArticleIn,
        statuses=(CREATED, FOUND),
    ),
    Operation(
        "listArticles",
        "GET",
        "/articles",
        "List this client's articles, the last received first",
        ArticlesOut,
        _list,
        query=(("id", "only the one that you call so"), ("before", "the uid after which the page begins")),
    ),
    Operation("showArticle", "GET", "/articles/{uid}", "Show an article", ArticleOut, _show),
    Operation(
        "updateArticle",
        "PUT",
        "/articles/{uid}",
        "Send an article's new state; what it does not say stays as it was",
        SubmissionOut,
        _update,
        takes=ArticleIn,
    ),
    Operation(
        "withdrawArticle",
        "POST",
        "/articles/{uid}/withdrawal",
        "Take an article out of feeds, pages and everything not sent yet; only staff bring it back",
        ArticleOut,
        _withdraw,
        takes=WithdrawalIn,
    ),
)


def routes(app: App) -> list[BaseRoute]:
    """Return the API under /api, with problem documents of its own instead of pages."""

    @cache  # few processes are ever asked, and each would take longer to start
    def document() -> bytes:
        return json.dumps(describe(OPERATIONS, app.settings), ensure_ascii=False, indent=1).encode()

    async def openapi(_: Request) -> Response:
        headers = {"cache-control": "public, max-age=300", "access-control-allow-origin": "*"}
        return Response(document(), media_type="application/json", headers=headers)

    by_path: dict[str, dict[str, Operation]] = {}
    for operation in OPERATIONS:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    api = Starlette(
        routes=[
            Route("/openapi.json", openapi, name="openapi"),
            *(
                Route(path, _endpoint(app, operations), methods=list(operations))
                for path, operations in by_path.items()
            ),
        ],
        exception_handlers={HTTPException: _refused},
    )
    api.router.redirect_slashes = False
    return [Mount(API.rstrip("/"), api, name="api")]


def _endpoint(app: App, operations: dict[str, Operation]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        operation = operations["GET" if request.method == "HEAD" else request.method]
        try:
            client = await run_in_threadpool(_client_of, app, request)
            raw = await _body_of(request) if operation.takes else b""
            return await run_in_threadpool(_answer, app, client, request, operation, raw)
        except HTTPException:
            raise
        except Exception as error:  # the answer stays a problem document, whatever it was
            log.exception("api_failed", operation=operation.name, error=type(error).__name__)
            return problem_response(SERVER_ERROR, "Something went wrong on our side; it has been noted.")

    return answer


def _client_of(app: App, request: Request) -> ApiClient:
    """Return whose token the request carries, within the client's pace."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    client = service.find_api_client(app, token.strip()) if scheme.lower() == "bearer" else None
    if client is None:
        raise HTTPException(
            401, "Send the header `Authorization: Bearer TOKEN` with a token in use.", {"www-authenticate": "Bearer"}
        )
    if (wait := service.admit_request(app, client)) is not None:
        seconds = str(ceil(wait.total_seconds()))
        raise HTTPException(
            429, f"At most {service.REQUESTS_PER_MINUTE} requests a minute are answered.", {"retry-after": seconds}
        )
    return client


async def _body_of(request: Request) -> bytes:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise HTTPException(415, "Send the body as application/json.")
    return await request.body()


def _answer(app: App, client: ApiClient, request: Request, operation: Operation, raw: bytes) -> Response:
    try:
        body = None if operation.takes is None else operation.takes.model_validate_json(raw)
    except ValidationError as error:
        return _invalid(error)
    call = Call(app, client, request, body)
    key = request.headers.get("idempotency-key")
    if key is None or operation.takes is None:
        return _done(call, operation)
    if not KEY.fullmatch(key):
        return problem_response(400, "An Idempotency-Key has 1 to 200 visible ASCII characters.")
    return _once(
        call, operation, key, hashlib.sha256(f"{request.method} {request.url.path}\n".encode() + raw).hexdigest()
    )


def _once(call: Call, operation: Operation, key: str, fingerprint: str) -> Response:
    """Answer a request with a key, or as it was answered before."""
    before = service.begin_keyed_request(call.app, call.client, key, fingerprint)
    if before is not None:
        if before.fingerprint != fingerprint:
            return problem_response(
                422, "This Idempotency-Key came before with another request; give each request its own."
            )
        if before.status is None:
            return problem_response(
                409, "The request with this Idempotency-Key is being answered; ask again in a moment."
            )
        headers = {"idempotent-replayed": "true"} | ({"location": before.location} if before.location else {})
        return json_response(before.answer.encode(), before.status, headers)
    try:
        response = _done(call, operation)
    except BaseException:
        service.drop_keyed_request(call.app, call.client, key)
        raise
    if response.status_code in operation.statuses:
        service.end_keyed_request(
            call.app,
            call.client,
            key,
            status=response.status_code,
            answer=bytes(response.body).decode(),
            location=response.headers.get("location", ""),
        )
    else:
        service.drop_keyed_request(call.app, call.client, key)
    return response


def _done(call: Call, operation: Operation) -> Response:
    try:
        answer = operation.answer(call)
    except FieldError as error:
        pointer = "#" + "".join(f"/{part}" for part in error.field.split(".") if part)
        return problem_response(
            422, "The article cannot be used.", [FieldProblem(pointer=pointer, detail=error.detail)]
        )
    except NewsletterError as error:
        status = next((code for kind, code in STATUS_OF.items() if isinstance(error, kind)), SERVER_ERROR)
        return problem_response(status, str(error))
    headers = {"location": answer.location} if answer.location else {}
    return json_response(answer.model.model_dump_json().encode(), answer.status, headers)


def _invalid(error: ValidationError) -> Response:
    """Tell of each field that is wrong; a body that is no JSON is wrong as a whole."""
    errors = error.errors(include_url=False, include_input=False, include_context=False)
    if any(each["type"] == "json_invalid" for each in errors):
        return problem_response(400, f"The body is no JSON: {errors[0]['msg']}.")
    told = [
        FieldProblem(pointer=_pointer(each["loc"]), detail=each["msg"].removeprefix("Value error, "))
        for each in errors[:100]
    ]
    return problem_response(422, "Some fields cannot be used; nothing was stored.", told)


def _pointer(place: Sequence[str | int]) -> str:
    """Return the JSON Pointer of a place as a URI fragment, without what only our models know."""
    names = [str(each) for each in place if each != "[key]"]
    escaped = (name.replace("~", "~0").replace("/", "~1") for name in names)
    return "#" + "".join(f"/{name}" for name in escaped)


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return problem_response(error.status_code, error.detail, headers=dict(error.headers or {}))
