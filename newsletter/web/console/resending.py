"""Sending again in the console: who of an edition's failed mails would go again and who not, and the deed."""

from starlette.responses import Response

from newsletter.domain.providers import PROVIDERS
from newsletter.domain.resends import Hindrance
from newsletter.domain.staff import Role
from newsletter.errors import ConflictError
from newsletter.services.resending import choose, plan_resend, resend_failed
from newsletter.web.console.desk import Desk, Place
from newsletter.web.console.words import failure_cause, resend_hindrance

MOST_TITLES = 12


def _plan(desk: Desk) -> Response:
    """Show what sending an edition's failed mails again would do: all, or those of one reply or provider."""
    language, edition_id = desk.visit.language, desk.number("edition")
    code, provider = desk.asked("code"), desk.asked("provider")
    try:
        plan = plan_resend(desk.app, edition_id, choose(code, provider))
    except ConflictError as error:  # nothing of this edition can be sent again
        return desk.page("resend", edition_id=edition_id, plan=None, words=str(error))
    return desk.page(
        "resend",
        edition_id=edition_id,
        plan=plan,
        rows=[
            (
                each,
                failure_cause(language, each.cause),
                resend_hindrance(language, each.hindrance) if each.hindrance else "",
            )
            for each in plan.alike
        ],
        is_suppressed=Hindrance.SUPPRESSED in plan.away,
        deadline=desk.time(plan.deadline_at),
        providers=PROVIDERS,
        asked={"code": code, "provider": provider},
        most=MOST_TITLES,
    )


def _resend(desk: Desk) -> Response:
    edition_id = desk.number("edition")
    choice = choose(desk.value("code"), desk.value("provider"))
    queued = resend_failed(desk.app, edition_id, choice, why=desk.value("why"))
    return desk.to(f"/editions/{edition_id}", done="resent" if queued else "resent-none")


PLACES = (
    Place("GET", "/editions/{edition}/resend", Role.OPERATOR, _plan, "resend"),
    Place("POST", "/editions/{edition}/resend", Role.OPERATOR, _resend, "resend-post"),
)
