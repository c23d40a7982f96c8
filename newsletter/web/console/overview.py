"""The first page of the console: what goes out, what waits for somebody, what is wrong."""

from starlette.responses import Response

from newsletter.domain.editions import EditionState
from newsletter.domain.staff import Role
from newsletter.services.alarms import find_alarms
from newsletter.services.editions import Progress
from newsletter.services.progress import follow_edition
from newsletter.services.reports import list_progress
from newsletter.services.sending_status import find_sending_status
from newsletter.web.console.desk import Desk, Place
from newsletter.web.console.editions import row_of

MOST_SHOWN = 12


def _overview(desk: Desk) -> Response:
    status = find_sending_status(desk.app)
    going = [*_in(desk, EditionState.SENDING), *_in(desk, EditionState.APPROVED), *_in(desk, EditionState.PAUSED)]
    return desk.page(
        "overview",
        live=True,
        is_over=False,
        is_stopped=status.is_stopped,
        alarms=find_alarms(desk.app),
        holds=status.holds,
        going=[(row_of(desk, each), follow_edition(desk.app, each.edition_id)) for each in going],
        waiting=[row_of(desk, each) for each in _in(desk, EditionState.REVIEW)],
        sent=[row_of(desk, each) for each in _in(desk, EditionState.DONE)[:5]],
    )


def _in(desk: Desk, state: EditionState) -> list[Progress]:
    return list_progress(desk.app, slug=None, state=state, limit=MOST_SHOWN)


PLACES = (Place("GET", "", Role.EDITOR, _overview, "overview"),)
