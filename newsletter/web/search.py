"""Searching the articles, and the list of all public pages for search engines."""

import time
from functools import partial
from html import escape
from urllib.parse import quote, urlencode

from starlette.responses import Response
from starlette.routing import Route

from newsletter.services.archive import list_public_pages
from newsletter.services.context import App
from newsletter.services.search import search_articles
from newsletter.web import rates
from newsletter.web.articles import summarise
from newsletter.web.visits import Visit, endpoint

LONGEST_QUERY = 200
"""Characters of a query that are looked at."""


def routes(app: App) -> list[Route]:
    """Return the routes of searching and of the site map."""
    return [
        Route("/search", endpoint(app, partial(_search, rates.Rate(time.monotonic))), name="search"),
        Route("/sitemap.xml", endpoint(app, _sitemap), name="sitemap"),
    ]


def _search(rate: rates.Rate, visit: Visit) -> Response:
    asked = visit.request.query_params
    query = asked.get("q", "").replace("\0", "")[:LONGEST_QUERY].strip()
    if query:
        rate.demand(visit.household, rates.MOST_SEARCHES)
    found = search_articles(visit.app, query, after=asked.get("after"))
    older = f"/search?{urlencode({'q': query, 'after': found.older})}" if found.older else ""
    return visit.page(
        "search",
        query=query,
        articles=[summarise(visit, article) for article in found.articles],
        older_url=visit.link(older) if older else "",
        lang=asked.get("lang", "") if asked.get("lang") in visit.app.settings.languages else "",
    )


def _sitemap(visit: Visit) -> Response:
    base_url = visit.app.settings.base_url
    lines = [
        f"<url><loc>{escape(base_url + quote(page.path))}</loc>"
        + (f"<lastmod>{page.changed_at:%Y-%m-%d}</lastmod>" if page.changed_at else "")
        + "</url>"
        for page in list_public_pages(visit.app)
    ]
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
    return Response(head + "\n".join(lines) + "\n</urlset>\n", media_type="application/xml")
