"""Settling doubts in the console: mails of which nobody knows whether the relay took them, one or all of an edition."""

from starlette.responses import Response

from newsletter.domain.staff import Role
from newsletter.errors import InvalidError
from newsletter.services.doubts import Settled, Settlement, settle
from newsletter.web.console.desk import Desk, Place, is_id


def _settle_edition(desk: Desk) -> Response:
    """Settle all that an edition has in doubt, as the form says and for its reason."""
    edition_id = desk.number("edition")
    settled = settle(desk.app, _how(desk), why=desk.value("why"), edition_id=edition_id)
    return desk.to(f"/editions/{edition_id}", done=_done(settled))


def _settle_mail(desk: Desk) -> Response:
    mail = desk.value("mail")
    if not is_id(mail):
        raise InvalidError(desk.visit.language.gettext("Say which mail, by its number."))
    settled = settle(desk.app, _how(desk), why=desk.value("why"), ids=[int(mail)])
    return desk.to("/mails/story", of=mail, done=_done(settled))


def _how(desk: Desk) -> Settlement:
    how = desk.value("how")
    if how not in set(Settlement):
        raise InvalidError(desk.visit.language.gettext("Say what became of them, or what is to become of them."))
    return Settlement(how)


def _done(settled: Settled) -> str:
    """Name what is told afterwards: what came too late for it stays in doubt, or nothing is left."""
    return "settled-some" if settled.left else "settled"


PLACES = (
    Place("POST", "/editions/{edition}/settle", Role.OPERATOR, _settle_edition, "settle"),
    Place("POST", "/mails/settle", Role.OPERATOR, _settle_mail, "settle-mail"),
)
