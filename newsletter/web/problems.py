"""Pages for what went wrong: the right status, what it means and what to do, in the visitor's language."""

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from newsletter.errors import ConflictError, InvalidError, NewsletterError, NotFoundError, TransientError
from newsletter.rendering.languages import Language
from newsletter.services.context import App
from newsletter.web.api_problems import API, problem_response
from newsletter.web.security import HEADERS
from newsletter.web.visits import choose_language, page_response

log = structlog.get_logger()

STATUS_OF = {NotFoundError: 404, ConflictError: 409, InvalidError: 422, TransientError: 503}
"""Statuses of our own errors; any other is 500."""


class Problems:
    """Turns exceptions into pages; what is asked for by a machine path gets plain text."""

    def __init__(self, app: App) -> None:
        self._app = app

    def http(self, request: Request, error: Exception) -> Response:
        """Answer what Starlette refuses: no such page, not by that method, a body too large or unreadable."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        response = self._answer(request, status)
        if isinstance(error, HTTPException) and error.headers:
            response.headers.update(error.headers)
        return response

    def ours(self, request: Request, error: Exception) -> Response:
        """Answer an error of this service that a page let through."""
        status = next((code for kind, code in STATUS_OF.items() if isinstance(error, kind)), 500)
        if status >= 500:  # noqa: PLR2004  RFC 9110: the server's own failures
            log.error("page_failed", path=_shown_path(request), error=str(error))
        return self._answer(request, status)

    def unexpected(self, request: Request, error: Exception) -> Response:
        """Answer what nobody foresaw; it is logged, and never without the headers that guard every answer."""
        log.error("page_failed", path=_shown_path(request), exc_info=error)
        response = self._answer(request, 500)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    def _answer(self, request: Request, status: int) -> Response:
        if request.url.path.startswith(API):
            return problem_response(status)
        try:
            language = choose_language(self._app.settings, request)
            title, advice = describe(language, status)
            return page_response(
                self._app, request, language, "problem", status=status, title=title, advice=advice, tongues=[]
            )
        except NewsletterError:  # a broken template must not hide what it was
            log.exception("problem_page_failed", path=_shown_path(request))
            return PlainTextResponse(f"{status}\n", status)


def describe(language: Language, status: int) -> tuple[str, str]:
    """Return what a status means to a person, and what to do about it."""
    again = language.gettext("Go back and try once more, or start from the first page.")
    known = {
        404: (
            language.gettext("There is nothing at this address"),
            language.gettext("The link may be cut off or mistyped. Copy it whole, or start from the first page."),
        ),
        405: (language.gettext("This page does not take that kind of request"), again),
        409: (language.gettext("That is not possible any more"), again),
        410: (language.gettext("This is no longer here"), language.gettext("It was taken down.")),
        413: (
            language.gettext("That is too much at once"),
            language.gettext("The form was larger than any of ours. Nothing was changed."),
        ),
        429: (
            language.gettext("That was a lot in a short time"),
            language.gettext("Wait a minute, go back and try once more. Nothing was lost."),
        ),
        503: (
            language.gettext("We cannot answer right now"),
            language.gettext("Please try again in a few minutes. Nothing was lost."),
        ),
    }
    if status in known:
        return known[status]
    if status >= 500:  # noqa: PLR2004  RFC 9110: the server's own failures
        return (
            language.gettext("Something went wrong on our side"),
            language.gettext("It has been noted. Please try again in a few minutes."),
        )
    return language.gettext("We could not read that request"), again


def _shown_path(request: Request) -> str:
    """Return the path for a log, without tokens: only its first part."""
    return "/" + request.url.path.split("/")[1]
