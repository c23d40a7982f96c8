"""The page where a person puts a feed together and copies its address; works without any script."""

from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import Route

from newsletter.domain.articles import Kind
from newsletter.domain.feeds import CALENDAR, OPML_NAME, FeedFormat, FeedQuery
from newsletter.errors import NotFoundError
from newsletter.services.context import App
from newsletter.services.feed_requests import describe_query, query_address
from newsletter.services.offers import list_offers
from newsletter.services.reading import read_topics
from newsletter.web.choices import kind_options, language_options, topic_options
from newsletter.web.discovery import NAMES
from newsletter.web.visits import Visit, endpoint

FACETS = ("topic", "kind", "source", "list")
REFUSED = 422


@dataclass(frozen=True, slots=True)
class Address:
    """An address to copy; *name* says the format, *media_type* is empty where no reader of feeds takes it."""

    name: str
    url: str
    media_type: str = ""


def routes(app: App) -> list[Route]:
    """Return the route of the page."""
    return [Route("/feeds", endpoint(app, _feeds), name="feeds")]


def _feeds(visit: Visit) -> Response:
    """Show the form, and above it the addresses of what was chosen, if anything was."""
    settings = visit.app.settings
    try:
        query = FeedQuery.parse(visit.request.url.query, default_language=visit.language.code)
        title = describe_query(visit.app, query)
    except (ValueError, NotFoundError):
        return _page(visit, FeedQuery(language=visit.language.code.lower()), is_refused=True)
    is_asked = any(name in visit.request.query_params for name in (*FACETS, "lang"))
    if not is_asked:
        return _page(visit, query)
    addresses = [Address(NAMES[form], query_address(visit.app, query, form), form.media_type) for form in FeedFormat]
    if not query.kinds or Kind.EVENT in query.kinds:
        addresses.append(
            Address(visit.language.gettext("Calendar of events"), query_address(visit.app, query, CALENDAR))
        )
    return _page(visit, query, title=title or settings.name, addresses=addresses)


def _page(
    visit: Visit, query: FeedQuery, *, title: str = "", addresses: list[Address] | None = None, is_refused: bool = False
) -> Response:
    settings = visit.app.settings
    words = visit.language
    lists = [(offer.mailing_list.slug, offer.mailing_list.title(words.code), False) for offer in list_offers(visit.app)]
    return visit.page(
        "feeds",
        status=REFUSED if is_refused else 200,
        is_refused=is_refused,
        title=title,
        addresses=addresses or [],
        query=query,
        topics=topic_options(read_topics(visit.app), words),
        kinds=[(value.replace("_", "-"), label, depth) for value, label, depth in kind_options(Kind, words)],
        lists=[("", words.gettext("Everything"), False), *lists] if lists else [],
        languages=[(code.lower(), name, depth) for code, name, depth in language_options(settings.languages, visit)],
        opml_url=f"{settings.base_url}/{OPML_NAME}",
    )
