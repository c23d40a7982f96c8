"""The archive: sent editions by list and date, each to be read again as it was sent."""

import re
from dataclasses import dataclass
from html import escape

from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from newsletter.domain.feeds import Facet
from newsletter.domain.lists import MailingList
from newsletter.errors import NotFoundError
from newsletter.services.archive import ArchivedEdition, list_archive, view_edition
from newsletter.services.context import App
from newsletter.services.lists import find_list, list_lists
from newsletter.web.feed_links import feed_links
from newsletter.web.visits import Card, Visit, endpoint

PAGE = 50
"""Editions on one page of a list."""
MOST_DIGITS = 3
"""Of a page's number: a thousand pages are a century of a daily."""
SHOWN_OF_EACH = 5
"""Editions of one list on the page of all lists."""

MAIL_POLICY = (
    # A mail carries its styles inline and its pictures come from the newsroom's site; nothing else is loaded or sent.
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' https: http:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_BODY = re.compile(r"(<body[^>]*>)(.*)(</body>)", re.DOTALL)


def routes(app: App) -> list[Route]:
    """Return the routes of the archive."""
    view = endpoint(app, _edition)
    return [
        Route("/archive", endpoint(app, _to_archive), name="archive-root"),
        Route("/archive/", endpoint(app, _archive), name="archive"),
        Route("/archive/{list}", endpoint(app, _list), name="archive-list"),
        Route("/archive/{list}/{slot}/{language}", view, name="edition"),
        Route("/archive/{list}/{slot}/{language}/{digest}", view, name="variant"),
    ]


@dataclass(frozen=True, slots=True)
class EditionLink:
    """An edition as the archive lists it: its day, its subject, and where it is to be read."""

    day: str
    language: str
    subject: str
    url: str


def _to_archive(visit: Visit) -> Response:
    return RedirectResponse(visit.link("/archive/"), 308)


def _archive(visit: Visit) -> Response:
    lists = [facts.mailing_list for facts in list_lists(visit.app) if facts.mailing_list.is_public]
    with visit.app.reading() as tx:
        found = [(each, list_archive(tx, each.slug, limit=SHOWN_OF_EACH + 1)) for each in lists]
    return visit.page(
        "archive",
        lists=[
            (
                each,
                [_link(visit, each, edition) for edition in editions[:SHOWN_OF_EACH]],
                len(editions) > SHOWN_OF_EACH,
            )
            for each, editions in found
        ],
    )


def _list(visit: Visit) -> Response:
    slug = visit.request.path_params["list"]
    asked = visit.request.query_params.get("page", "")
    page = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) <= MOST_DIGITS else 0
    with visit.app.reading() as tx:
        mailing_list = find_list(tx, slug)
        if not mailing_list.is_public:
            raise NotFoundError(f"the archive shows no list {slug!r}")
        editions = list_archive(tx, slug, limit=PAGE + 1, skipped=page * PAGE)
    return visit.page(
        "archive_list",
        list=mailing_list,
        card=Card(
            f"{visit.app.settings.base_url}/archive/{slug}", summary=mailing_list.description(visit.language.code)
        ),
        editions=[_link(visit, mailing_list, edition) for edition in editions[:PAGE]],
        older_url=visit.link(f"/archive/{slug}?page={page + 1}") if len(editions) > PAGE else "",
        feeds=feed_links(visit, Facet.LIST, slug),
    )


def _link(visit: Visit, mailing_list: MailingList, edition: ArchivedEdition) -> EditionLink:
    spoken = [visit.language.code, mailing_list.default_language, *edition.subjects]
    code = next(code for code in spoken if code in edition.subjects)
    day = edition.sent_at.astimezone(mailing_list.schedule.zone_info)
    return EditionLink(
        visit.language.format_date(day),
        code,
        edition.subjects[code],
        f"{visit.app.settings.base_url}/archive/{mailing_list.slug}/{edition.slot_key}/{code}",
    )


def _edition(visit: Visit) -> Response:
    wanted = visit.request.path_params
    with visit.app.reading() as tx:
        view = view_edition(tx, wanted["list"], wanted["slot"], wanted["language"], wanted.get("digest"))
        is_public = find_list(tx, wanted["list"]).is_public
    page = f"{visit.app.settings.base_url}/archive/{wanted['list']}/{wanted['slot']}/{wanted['language']}"
    headers = {"content-security-policy": MAIL_POLICY, "content-language": view.language}
    html = as_page(view.html)
    if is_public:
        return HTMLResponse(html.replace("</head>", _card(visit, page, view.subject) + "</head>", 1), headers=headers)
    return HTMLResponse(html, headers=headers | {"x-robots-tag": "noindex", "cache-control": "no-store"})


def as_page(html: str) -> str:
    """Return a mail's HTML, which is a part of a page elsewhere, as the page that it is in a browser."""
    return _BODY.sub(r"\1<main>\2</main>\3", html, count=1)


def _card(visit: Visit, page: str, subject: str) -> str:
    """Return what search engines and other sites need of an edition, to stand in its head: it changes nothing seen."""
    url = escape(page)
    return (
        f'<link rel="canonical" href="{url}"><meta property="og:type" content="article">'
        f'<meta property="og:url" content="{url}"><meta property="og:title" content="{escape(subject)}">'
        f'<meta property="og:site_name" content="{escape(visit.app.settings.name)}">'
        '<meta name="twitter:card" content="summary">'
    )
