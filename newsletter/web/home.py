"""The first page: what this is, what one can subscribe to, and what was published last."""

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from newsletter.domain.feeds import Facet
from newsletter.rendering.pages import render_icon
from newsletter.services.context import App
from newsletter.services.offers import list_offers
from newsletter.services.reading import read_latest, read_topics
from newsletter.web.articles import summarise
from newsletter.web.choices import cadence_options, topic_options
from newsletter.web.feed_links import feed_links
from newsletter.web.visits import Card, Visit, endpoint

LATEST = 6
"""Articles on the first page."""

ROBOTS = """\
User-agent: *
Disallow: /confirm/
Disallow: /preferences/
Disallow: /unsubscribe/
Disallow: /requests/
Disallow: /refusals/
"""


def routes(app: App) -> list[Route]:
    """Return the routes of the first page and of what is said to robots."""
    return [
        Route("/", endpoint(app, _home), name="home"),
        Route("/robots.txt", endpoint(app, _robots), name="robots"),
        Route("/favicon.svg", endpoint(app, _icon), name="icon"),
        Route("/favicon.ico", endpoint(app, _icon), name="old-icon"),
    ]


def _home(visit: Visit) -> Response:
    offers = list_offers(visit.app)
    return visit.page(
        "home",
        card=Card(f"{visit.app.settings.base_url}/", image_url=visit.app.settings.logo_url),
        lists=[(offer.mailing_list, cadence_options(offer.mailing_list.cadences, visit.language)) for offer in offers],
        articles=[summarise(visit, article) for article in read_latest(visit.app, limit=LATEST)],
        topics=topic_options(read_topics(visit.app), visit.language),
        feeds=feed_links(visit, Facet.ALL),
    )


def _robots(visit: Visit) -> Response:
    return PlainTextResponse(f"{ROBOTS}Sitemap: {visit.app.settings.base_url}/sitemap.xml\n")


def _icon(visit: Visit) -> Response:
    icon = render_icon(visit.site, visit.language, home=visit.app.settings.home)
    return Response(icon, media_type="image/svg+xml", headers={"cache-control": "public, max-age=86400"})
