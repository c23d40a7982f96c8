"""Why in the console: why each article of an edition is, or is not, in one reader's mail."""

from starlette.responses import Response

from newsletter.domain.staff import Role
from newsletter.services.explaining import explain_edition
from newsletter.services.reports import find_progress
from newsletter.web.console.desk import Desk, Place
from newsletter.web.console.editions import row_of
from newsletter.web.console.words import why_told


def _explain(desk: Desk) -> Response:
    edition_id, address = desk.number("edition"), desk.asked("of")
    row = row_of(desk, find_progress(desk.app, edition_id))
    found = explain_edition(desk.app, address, edition_id) if address else None
    return desk.page(
        "explain",
        row=row,
        address=address,
        found=found,
        articles=[(each, why_told(desk.visit.language, each.why)) for each in found.articles] if found else [],
    )


PLACES = (Place("GET", "/editions/{edition}/explain", Role.EDITOR, _explain, "explain"),)
