"""A desk: one request of somebody signed in; who may come here, what every form must carry, how pages are answered."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from newsletter.domain.staff import SESSION_LIFETIME, Account, Role
from newsletter.errors import InvalidError, NewsletterError, NotFoundError
from newsletter.rendering.console import console_style_source, render_console_page
from newsletter.rendering.pages import render_script, source_of
from newsletter.services import staff
from newsletter.services.context import App
from newsletter.web.problems import STATUS_OF
from newsletter.web.visits import Visit, endpoint

log = structlog.get_logger()

CONSOLE = "/console"
COOKIE = "newsletter_console"
FORBIDDEN, TOO_MANY, SERVER_ERROR = 403, 429, 500
LONGEST_ID = 18
"""Digits; what has more is no number that a database gave."""

PAGES: tuple[tuple[str, str, Role], ...] = (
    ("overview", CONSOLE, Role.EDITOR),
    ("editions", f"{CONSOLE}/editions", Role.EDITOR),
    ("send", f"{CONSOLE}/send", Role.EDITOR),
    ("compose", f"{CONSOLE}/compose", Role.EDITOR),
    ("articles", f"{CONSOLE}/articles", Role.EDITOR),
    ("mails", f"{CONSOLE}/mails", Role.EDITOR),
    ("sending", f"{CONSOLE}/sending", Role.OPERATOR),
    ("lists", f"{CONSOLE}/lists", Role.EDITOR),
    ("feeds", f"{CONSOLE}/feeds", Role.EDITOR),
    ("record", f"{CONSOLE}/record", Role.EDITOR),
)
"""What the menu leads to, for whom."""


def is_id(text: str) -> bool:
    """Say whether *text* may be a number that a database gave."""
    return text.isascii() and text.isdigit() and len(text) <= LONGEST_ID


@dataclass(frozen=True, slots=True)
class Desk:
    """One request of *account*; *app* puts its address on record for whatever it is made to do."""

    app: App
    visit: Visit
    account: Account
    token: str

    @property
    def is_operator(self) -> bool:
        """Whether operators' buttons are shown."""
        return self.account.role is Role.OPERATOR

    def may(self, needed: Role) -> bool:
        """Say whether this person's role covers *needed*."""
        return self.account.role.covers(needed)

    def value(self, name: str) -> str:
        """Return what the form says under *name*, without spaces around it."""
        return self.visit.value(name).strip()

    def asked(self, name: str) -> str:
        """Return what the address asks for under *name*."""
        return self.visit.request.query_params.get(name, "").strip()

    def number(self, name: str) -> int:
        """Return a number of the path.

        Raises:
            NotFoundError: it is none that anything could have.
        """
        text = str(self.visit.request.path_params[name])
        if not is_id(text):
            raise NotFoundError(f"there is no {name} {text[:30]}")
        return int(text)

    def moment(self, name: str) -> datetime | None:
        """Return the time that the form gives under *name*, in the newsroom's zone; None: none was given.

        Raises:
            InvalidError: it is no time.
        """
        text = self.value(name)
        if not text:
            return None
        try:
            at = datetime.fromisoformat(text)
        except ValueError as error:
            raise InvalidError(self.visit.language.gettext("That is no time: choose a day and an hour.")) from error
        return at if at.tzinfo else at.replace(tzinfo=self.app.settings.zone_info)

    def time(self, at: datetime | None, *, seconds: bool = False) -> str:
        """Return a moment in the newsroom's zone, as this person's language writes it, to the minute or the second."""
        if at is None:
            return ""
        local, language = at.astimezone(self.app.settings.zone_info), self.visit.language
        of_day = f"{local:%H:%M:%S}" if seconds else language.format_time(local)
        return f"{language.format_day(local, near=self.app.clock())}, {of_day}"

    def page(self, name: str, *, status: int = 200, frames: bool = False, live: bool = False, **told: Any) -> Response:
        """Render a page of the console; *live*: it keeps itself current. *frames*: it shows mails in frames."""
        told = {"desk": self, "form_token": staff.form_token(self.token), **told}
        return console_page(self.visit, name, status=status, frames=frames, live=live, **told)

    def to(self, path: str, **query: str) -> Response:
        """Lead to another page after a form was taken (RFC 9110 §15.4.4); *query*: `done` names what was done."""
        kept = {"lang": self.visit.request.query_params["lang"]} if "lang" in self.visit.request.query_params else {}
        asked = urlencode({name: value for name, value in {**query, **kept}.items() if value})
        return RedirectResponse(
            f"{self.app.settings.base_url}{CONSOLE}{path}{'?' if asked else ''}{asked}", status_code=303
        )


DeskView = Callable[[Desk], Response]


@dataclass(frozen=True, slots=True)
class Place:
    """An address of the console: its *path* below /console, by which method, who may come (None: anybody), the view."""

    method: str
    path: str
    needs: Role | None
    view: Callable[..., Response]
    name: str


def route_of(app: App, place: Place) -> Route:
    """Return a place as a route; what it answers is kept by nobody."""
    view = partial(_open, place.view) if place.needs is None else partial(_admit, place.view, place.needs)
    return Route(f"{CONSOLE}{place.path}", endpoint(app, view), methods=[place.method], name=f"console-{place.name}")


def _open(view: Callable[[Visit], Response], visit: Visit) -> Response:
    return unkept(view(visit))


def _admit(view: DeskView, needs: Role, visit: Visit) -> Response:
    """Answer who is signed in, has the role, and, where something is sent, sends a form of a page of ours."""
    token = visit.request.cookies.get(COOKIE, "")
    account = staff.find_session(visit.app, token) if token else None
    if account is None:
        return unkept(_to_sign_in(visit))
    desk = Desk(replace(visit.app, actor=account.email), visit, account, token)
    if not desk.may(needs):
        return unkept(refused(desk, FORBIDDEN, visit.language.gettext("Your role does not cover this.")))
    if visit.is_post and not _is_own_form(desk):
        words = visit.language.gettext("That form was of another session. Nothing was changed; please try again.")
        return unkept(refused(desk, FORBIDDEN, words))
    try:
        return unkept(view(desk))
    except NewsletterError as error:
        status = next((code for kind, code in STATUS_OF.items() if isinstance(error, kind)), SERVER_ERROR)
        if status >= SERVER_ERROR:
            log.warning("console_refused", path=visit.request.url.path, error=str(error))
        return unkept(refused(desk, status, str(error), is_ours=True))


def refused(desk: Desk, status: int, words: str, *, is_ours: bool = False) -> Response:
    """Say that something was not done and why; *is_ours*: in a service's own English."""
    return desk.page("refused", status=status, words=words, is_english=is_ours)


def is_cross_site(request: Request) -> bool:
    """Say whether a browser tells that another site made it ask (Fetch Metadata)."""
    return request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")


def _is_own_form(desk: Desk) -> bool:
    return not is_cross_site(desk.visit.request) and staff.is_form_token(desk.token, desk.visit.value("form_token"))


def _to_sign_in(visit: Visit) -> Response:
    """Lead to the login, and back from there if it was a page that was asked for."""
    request = visit.request
    wanted = "" if visit.is_post else request.url.path + (f"?{request.url.query}" if request.url.query else "")
    back = f"?to={quote(wanted)}" if wanted not in ("", CONSOLE) else ""
    response = RedirectResponse(f"{visit.app.settings.base_url}{CONSOLE}/sign-in{back}", status_code=303)
    if COOKIE in request.cookies:
        forget_cookie(visit, response)
    return response


def way_back(visit: Visit, wanted: str) -> str:
    """Return where to go after signing in: a path of the console, never another site."""
    parts = urlsplit(wanted)
    is_ours = wanted == CONSOLE or wanted.startswith((f"{CONSOLE}/", f"{CONSOLE}?"))
    if not is_ours or parts.netloc or parts.scheme or "\\" in wanted or any(letter <= " " for letter in wanted):
        wanted = CONSOLE
    return f"{visit.app.settings.base_url}{wanted}"


def set_cookie(visit: Visit, response: Response, token: str) -> None:
    """Give the browser its session: for the console alone, out of reach of scripts, and of other sites' forms."""
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(SESSION_LIFETIME.total_seconds()),
        path=_cookie_path(visit),
        secure=visit.app.settings.base_url.startswith("https://"),
        httponly=True,
        samesite="lax",
    )


def forget_cookie(visit: Visit, response: Response) -> None:
    """Take the session from the browser."""
    response.delete_cookie(
        COOKIE,
        path=_cookie_path(visit),
        secure=visit.app.settings.base_url.startswith("https://"),
        httponly=True,
        samesite="lax",
    )


def _current(path: str) -> str:
    """Return which page of the menu an address belongs to; empty: to none."""
    below = [(len(start), name) for name, start, _ in PAGES if path == start or path.startswith(f"{start}/")]
    length, name = max(below, default=(0, ""))
    return "" if length == len(CONSOLE) and path != CONSOLE else name


def _cookie_path(visit: Visit) -> str:
    return urlsplit(visit.app.settings.base_url).path + CONSOLE


def unkept(response: Response) -> Response:
    """Return *response* as one that no cache keeps and no search engine lists."""
    response.headers["cache-control"] = "no-store"
    response.headers["x-robots-tag"] = "noindex, nofollow"
    return response


def console_page(
    visit: Visit, name: str, *, status: int = 200, frames: bool = False, live: bool = False, **told: Any
) -> Response:
    """Render a page of the console; nothing in it is loaded from anywhere else."""
    settings = visit.app.settings
    script = render_script("console/live", visit.language, home=settings.home) if live else ""
    kept = [(key, value) for key, value in visit.request.query_params.multi_items() if key not in ("lang", "done")]
    here = settings.base_url + (CONSOLE if visit.is_post else visit.request.url.path)
    tongues = [(each, f"{here}?{urlencode([*kept, ('lang', each.code)])}") for each in visit.site.languages]
    body = render_console_page(
        name,
        visit.language,
        visit.site,
        home=settings.home,
        **{
            "desk": None,
            "form_token": "",
            "link": visit.link,
            "tongues": tongues if len(tongues) > 1 else [],
            "script": script,
            "done": visit.request.query_params.get("done", ""),
            "is_live": live,
            "menu": PAGES,
            "current": _current(visit.request.url.path),
            **told,
        },
    )
    style = console_style_source(visit.site, visit.language, home=settings.home)
    policy = [
        "default-src 'none'",
        f"style-src {style}",
        f"img-src {settings.base_url}/favicon.svg",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
    if script:
        policy += [f"script-src {source_of(script)}", "connect-src 'self'"]
    if frames:
        policy += ["frame-src 'self'"]
    headers = {"content-security-policy": "; ".join(policy), "content-language": visit.language.code}
    return Response(body, status, headers, media_type="text/html")
