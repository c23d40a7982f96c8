"""All addresses of the console, and who may come to each."""

from starlette.routing import Route

from newsletter.services.context import App
from newsletter.web.console import (
    articles,
    doubts,
    editions,
    edits,
    entry,
    explaining,
    mails,
    overview,
    previews,
    readers,
    record,
    resending,
    sending,
    sends,
    writing,
)
from newsletter.web.console.desk import Place, route_of

PLACES: tuple[Place, ...] = (
    *entry.PLACES,
    *overview.PLACES,
    *editions.PLACES,
    *previews.PLACES,
    *edits.PLACES,
    *writing.PLACES,
    *sends.PLACES,
    *articles.PLACES,
    *explaining.PLACES,
    *mails.PLACES,
    *doubts.PLACES,
    *resending.PLACES,
    *sending.PLACES,
    *readers.PLACES,
    *record.PLACES,
)


def routes(app: App) -> list[Route]:
    """Return the routes of the console."""
    return [route_of(app, place) for place in PLACES]
