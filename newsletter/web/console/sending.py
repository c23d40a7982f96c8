"""Sending as a whole in the console: stop it or a list's, let it go on, relays, limits."""

from starlette.responses import Response

from newsletter.domain.limits import Limit
from newsletter.domain.lists import MailingList
from newsletter.domain.providers import PROVIDERS
from newsletter.domain.staff import Role
from newsletter.errors import InvalidError
from newsletter.services.limits import clear_limit, list_limits, set_limit
from newsletter.services.lists import list_lists
from newsletter.services.relays import list_relays
from newsletter.services.sending_status import find_sending_status
from newsletter.services.stops import pause_list, pause_sending, resume_list, resume_sending
from newsletter.web.console.desk import Desk, Place
from newsletter.web.console.words import relay_state


def _sending(desk: Desk) -> Response:
    relays = list_relays(desk.app)
    return desk.page(
        "sending",
        sending=find_sending_status(desk.app),
        lists=[_list(desk, each.mailing_list) for each in list_lists(desk.app)],
        relays=[(each, relay_state(desk.visit.language, each.state), desk.time(each.failed_at)) for each in relays],
        limits=[(each, desk.time(each.set_at)) for each in list_limits(desk.app)],
        names=[*PROVIDERS, *(each.name for each in relays)],
    )


def _list(desk: Desk, found: MailingList) -> tuple[str, str, str]:
    """Return a list's slug and title, and why its mail waits, if it does."""
    pause = found.pause
    told = f"{pause.by}, {desk.time(pause.at)}: {pause.reason}" if pause else ""
    return found.slug, found.title(desk.visit.language.code), told


def _stop(desk: Desk) -> Response:
    pause_sending(desk.app, reason=desk.value("reason"))
    return desk.to("/sending", done="stopped")


def _go_on(desk: Desk) -> Response:
    resume_sending(desk.app)
    return desk.to("/sending", done="resumed")


def _stop_list(desk: Desk) -> Response:
    pause_list(desk.app, desk.value("list"), reason=desk.value("reason"))
    return desk.to("/sending", done="list-stopped")


def _let_list_go_on(desk: Desk) -> Response:
    resume_list(desk.app, desk.value("list"))
    return desk.to("/sending", done="resumed")


def _limit(desk: Desk) -> Response:
    rate = _number(desk, "rate")
    concurrency, per_connection = _number(desk, "concurrency"), _number(desk, "per_connection")
    wanted = Limit(
        desk.value("name"),
        rate,
        None if concurrency is None else int(concurrency),
        None if per_connection is None else int(per_connection),
    )
    set_limit(desk.app, wanted)
    return desk.to("/sending", done="limited")


def _number(desk: Desk, name: str) -> float | None:
    text = desk.value(name).replace(",", ".")
    if not text:
        return None
    try:
        number = float(text[:12])
    except ValueError:
        number = -1
    if not 0 < number < 10**6 or (name != "rate" and number != int(number)):
        raise InvalidError(desk.visit.language.gettext("A limit is a number above zero."))
    return number


def _clear(desk: Desk) -> Response:
    clear_limit(desk.app, desk.value("name"))
    return desk.to("/sending", done="freed")


PLACES = (
    Place("GET", "/sending", Role.OPERATOR, _sending, "sending"),
    Place("POST", "/sending/stop", Role.OPERATOR, _stop, "stop"),
    Place("POST", "/sending/go-on", Role.OPERATOR, _go_on, "go-on"),
    Place("POST", "/sending/stop-list", Role.OPERATOR, _stop_list, "stop-list"),
    Place("POST", "/sending/list-go-on", Role.OPERATOR, _let_list_go_on, "list-go-on"),
    Place("POST", "/sending/limit", Role.OPERATOR, _limit, "limit"),
    Place("POST", "/sending/free", Role.OPERATOR, _clear, "free"),
)
