"""Editions under review, by the link that staff were mailed: to look at, and nothing else."""

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from newsletter.errors import ConflictError
from newsletter.mail.tokens import TokenPurpose
from newsletter.services.context import App
from newsletter.services.reviews import approval_of, look_at_review, look_at_variant
from newsletter.web.archive import MAIL_POLICY, as_page
from newsletter.web.links import private, read_token
from newsletter.web.visits import Visit, endpoint


def routes(app: App) -> list[Route]:
    """Return the routes of editions under review."""
    return [
        Route("/review/{token}", endpoint(app, private(_review)), name="review"),
        Route("/review/{token}/{variant:int}", endpoint(app, private(_variant)), name="review-variant"),
    ]


def _review(visit: Visit) -> Response:
    """Show what waits, until when, what readers would get, and what to type to let it go."""
    name = read_token(visit, TokenPurpose.REVIEW)
    try:
        found = look_at_review(visit.app, name)
    except ConflictError:
        return visit.page("review_late", status=410)
    visit = visit.speaking(found.language)
    speaks = visit.language
    until = f"{speaks.format_date(found.until)}, {speaks.format_time(found.until)}" if found.until else ""
    return visit.page(
        "review",
        found=found,
        until=until,
        command=approval_of(found.edition_id),
        own_url=f"{visit.app.settings.base_url}/review/{visit.request.path_params['token']}",
    )


def _variant(visit: Visit) -> Response:
    """Show one variant as its readers would see it."""
    name = read_token(visit, TokenPurpose.REVIEW)
    try:
        view = look_at_variant(visit.app, name, visit.request.path_params["variant"])
    except ConflictError:
        return visit.page("review_late", status=410)
    headers = {"content-security-policy": MAIL_POLICY, "content-language": view.language}
    return HTMLResponse(as_page(view.html), headers=headers)
