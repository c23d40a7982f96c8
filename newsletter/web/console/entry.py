"""Signing in and out, and one's own password."""

import hashlib
import hmac
import secrets
from math import ceil

from starlette.responses import RedirectResponse, Response

from newsletter.domain.staff import SHORTEST_PASSWORD, Role
from newsletter.errors import InvalidError
from newsletter.services import staff
from newsletter.services.staff import SignedIn, TooManyTries
from newsletter.web.console.desk import (
    CONSOLE,
    COOKIE,
    FORBIDDEN,
    TOO_MANY,
    Desk,
    Place,
    console_page,
    forget_cookie,
    is_cross_site,
    set_cookie,
    way_back,
)
from newsletter.web.visits import Visit

KNOCK = "newsletter_console_knock"
"""A cookie that ties the login form to the browser it was shown in: nobody signs somebody else in as himself."""
UNAUTHORISED, REFUSED = 401, 422


def _sign_in_page(visit: Visit) -> Response:
    return _form(visit, visit.request.query_params.get("to", ""))


def _form(visit: Visit, to: str, *, status: int = 200, problem: str = "", email: str = "", wait: int = 0) -> Response:
    knock = visit.request.cookies.get(KNOCK) or secrets.token_urlsafe(32)
    response = console_page(
        visit,
        "sign_in",
        status=status,
        to=to,
        problem=problem,
        email=email,
        wait=wait,
        knock=_answer_to(visit, knock),
    )
    response.set_cookie(
        KNOCK,
        knock,
        max_age=3600,
        path=f"{CONSOLE}/sign-in",
        secure=visit.app.settings.base_url.startswith("https://"),
        httponly=True,
        samesite="strict",
    )
    return response


def _sign_in(visit: Visit) -> Response:
    """Begin a session with a token of its own, whatever the browser brought along."""
    to, email = visit.value("to"), visit.value("email")
    knock = visit.request.cookies.get(KNOCK, "")
    is_shown_here = knock and hmac.compare_digest(_answer_to(visit, knock).encode(), visit.value("knock").encode())
    if not is_shown_here or is_cross_site(visit.request):
        return _form(visit, to, status=FORBIDDEN, problem="stale", email=email)
    found = staff.sign_in(visit.app, email, visit.value("password"), network=visit.household)
    if isinstance(found, TooManyTries):
        seconds = ceil(found.wait.total_seconds())
        answer = _form(visit, to, status=TOO_MANY, problem="too_many", email=email, wait=ceil(seconds / 60))
        answer.headers["retry-after"] = str(seconds)
        return answer
    if not isinstance(found, SignedIn):
        return _form(visit, to, status=UNAUTHORISED, problem="wrong", email=email)
    if old := visit.request.cookies.get(COOKIE, ""):
        staff.sign_out(visit.app, old)
    response = RedirectResponse(way_back(visit, to), status_code=303)
    set_cookie(visit, response, found.token)
    return response


def _answer_to(visit: Visit, knock: str) -> str:
    return hmac.new(visit.app.settings.secret, f"newsletter console knock {knock}".encode(), hashlib.sha256).hexdigest()


def _sign_out(desk: Desk) -> Response:
    staff.sign_out(desk.app, desk.token)
    return _leave(desk)


def _sign_out_everywhere(desk: Desk) -> Response:
    staff.sign_out_everywhere(desk.app, desk.account.email)
    return _leave(desk)


def _leave(desk: Desk) -> Response:
    response = desk.to("/sign-in", done="signed-out")
    forget_cookie(desk.visit, response)
    return response


def _account(desk: Desk) -> Response:
    return desk.page("account", problem="", shortest=SHORTEST_PASSWORD)


def _change_password(desk: Desk) -> Response:
    """Take a new password; every session ends with the old one, this one too."""
    new = desk.visit.value("new")
    if new != desk.visit.value("again"):
        problem = desk.visit.language.gettext("The new password was not written twice the same.")
        return desk.page("account", status=REFUSED, problem=problem, shortest=SHORTEST_PASSWORD)
    try:
        staff.change_password(desk.app, desk.account, old=desk.visit.value("old"), new=new)
    except InvalidError as error:
        return desk.page("account", status=REFUSED, problem=str(error), shortest=SHORTEST_PASSWORD)
    return _leave(desk)


PLACES = (
    Place("GET", "/sign-in", None, _sign_in_page, "sign-in"),
    Place("POST", "/sign-in", None, _sign_in, "sign-in-post"),
    Place("POST", "/sign-out", Role.EDITOR, _sign_out, "sign-out"),
    Place("POST", "/sign-out-everywhere", Role.EDITOR, _sign_out_everywhere, "sign-out-everywhere"),
    Place("GET", "/account", Role.EDITOR, _account, "account"),
    Place("POST", "/account", Role.EDITOR, _change_password, "password"),
)
