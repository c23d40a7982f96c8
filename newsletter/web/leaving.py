"""Leaving: one press on a page, or one request by a mailbox provider (RFC 8058); both at once, both repeatable."""

from starlette.responses import Response
from starlette.routing import Route

from newsletter.errors import ConflictError
from newsletter.mail.tokens import TokenPurpose
from newsletter.services.context import App
from newsletter.services.offers import find_preferences
from newsletter.services.subscriptions import Standing, undo_unsubscribe, unsubscribe, unsubscribe_all
from newsletter.web.links import link_to, private, read_token
from newsletter.web.visits import Visit, endpoint

ONE_CLICK = "List-Unsubscribe"


def routes(app: App) -> list[Route]:
    """Return the route of leaving."""
    view = endpoint(app, private(_unsubscribe), takes_any_body=True)
    return [Route("/unsubscribe/{token}", view, methods=["GET", "POST"], name="unsubscribe")]


def _unsubscribe(visit: Visit) -> Response:
    """Show the button, or do what was pressed; any POST leaves unless it says to undo, since leaving must never fail.

    Answers 200 without a redirect or a cookie, the first time and any later one (RFC 8058 §3.1).
    """
    uid = read_token(visit, TokenPurpose.UNSUBSCRIBE)
    if not visit.is_post:
        return _ask(visit, uid)
    if visit.value("action") == "undo":
        try:
            return _show_undone(visit, undo_unsubscribe(visit.app, uid, evidence=visit.evidence))
        except ConflictError:
            standing = find_preferences(visit.app, uid).standing
            return _speaking(visit, standing).page("left_before", status=409, list=standing.mailing_list)
    if visit.value("action") == "leave-all":
        standing = unsubscribe_all(visit.app, uid, basis="the button on the page", evidence=visit.evidence)
        return _speaking(visit, standing).page("left_all")
    basis = "one-click, by the mailbox provider" if visit.value(ONE_CLICK) else "the button on the page"
    standing = unsubscribe(visit.app, uid, basis=basis, evidence=visit.evidence)
    return _speaking(visit, standing).page("left", list=standing.mailing_list, action_url="")


def _ask(visit: Visit, uid: str) -> Response:
    standing = find_preferences(visit.app, uid).standing
    visit = _speaking(visit, standing)
    if standing.live is None:
        return visit.page("left_before", list=standing.mailing_list)
    fewer_url = link_to(visit, TokenPurpose.PREFERENCES, standing.live.uid)
    has_others = len(find_preferences(visit.app, uid).held) > 1
    return visit.page("unsubscribe", list=standing.mailing_list, fewer_url=fewer_url, has_others=has_others)


def _show_undone(visit: Visit, standing: Standing) -> Response:
    preferences_url = link_to(visit, TokenPurpose.PREFERENCES, standing.latest.uid)
    return _speaking(visit, standing).page("undone", list=standing.mailing_list, preferences_url=preferences_url)


def _speaking(visit: Visit, standing: Standing) -> Visit:
    return visit.speaking(standing.latest.language)
