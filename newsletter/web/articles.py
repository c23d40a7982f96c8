"""Pages of topics and articles, and calendar files of events."""

from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import Route

from newsletter.domain.articles import Article, Translation
from newsletter.domain.feeds import Facet
from newsletter.errors import NotFoundError
from newsletter.rendering.calendar import CalendarEntry, render_calendar
from newsletter.rendering.words import kind_name
from newsletter.services.context import App
from newsletter.services.feed_writing import event_facts
from newsletter.services.reading import Gone, read_article, read_topic, read_topics
from newsletter.web.choices import topic_options
from newsletter.web.feed_links import feed_links
from newsletter.web.visits import Card, Visit, endpoint

CALENDAR = "text/calendar; charset=utf-8; method=PUBLISH"


def routes(app: App) -> list[Route]:
    """Return the routes of topics and articles."""
    return [
        Route("/topics/", endpoint(app, _topics), name="topics"),
        Route("/topics/{slug}", endpoint(app, _topic), name="topic"),
        Route("/articles/{uid}.ics", endpoint(app, _calendar), name="calendar"),
        Route("/articles/{uid}", endpoint(app, _article), name="article"),
    ]


@dataclass(frozen=True, slots=True)
class ArticleSummary:
    """An article as a list of articles shows it, in the best language there is for the visitor."""

    article: Article
    shown: Translation
    kind: str
    day: str
    url: str


def summarise(visit: Visit, article: Article) -> ArticleSummary:
    """Return *article* for a list of articles."""
    return ArticleSummary(
        article=article,
        shown=article.best_translation(visit.language.code),
        kind=kind_name(visit.language, article.kind),
        day=visit.language.format_date(article.published_at.astimezone(visit.app.settings.zone_info)),
        url=visit.link(f"/articles/{article.uid}"),
    )


def _topics(visit: Visit) -> Response:
    return visit.page("topics", topics=topic_options(read_topics(visit.app), visit.language))


def _topic(visit: Visit) -> Response:
    slug = visit.request.path_params["slug"]
    found = read_topic(visit.app, slug, after=visit.request.query_params.get("after"))
    return visit.page(
        "topic",
        topic=found.topic,
        card=Card(f"{visit.app.settings.base_url}/topics/{slug}"),
        parent=found.parent,
        children=found.children,
        articles=[summarise(visit, article) for article in found.page.articles],
        older_url=visit.link(f"/topics/{slug}?after={found.page.older}") if found.page.older else "",
        feeds=feed_links(visit, Facet.TOPIC, slug),
    )


def _article(visit: Visit) -> Response:
    found = read_article(visit.app, visit.request.path_params["uid"])
    if found is Gone.WITHDRAWN:
        return visit.page("withdrawn", status=410)
    article = found.article
    summary = summarise(visit, article)
    return visit.page(
        "article",
        summary=summary,
        card=Card(
            summary.shown.url or f"{visit.app.settings.base_url}/articles/{article.uid}",
            "article",
            summary.shown.summary,
            article.image_url or "",
        ),
        topics=found.topics,
        facts=event_facts(article.event, visit.language) if article.event else (),
        calendar_url=visit.link(f"/articles/{article.uid}.ics") if article.event else "",
    )


def _calendar(visit: Visit) -> Response:
    found = read_article(visit.app, visit.request.path_params["uid"])
    if found is Gone.WITHDRAWN or found.article.event is None:
        raise NotFoundError("there is no event to put into a calendar")
    article = found.article
    shown = article.best_translation(visit.language.code)
    entry = CalendarEntry(
        found.article.event,
        uid=f"{article.uid}@{visit.app.settings.domain}",
        title=shown.title,
        summary=shown.summary,
        url=shown.url or f"{visit.app.settings.base_url}/articles/{article.uid}",
        modified_at=article.modified_at,
        revision=article.revision,
        language=shown.language,
    )
    headers = {"content-disposition": f'attachment; filename="{article.uid}.ics"'}
    return Response(render_calendar(entry), media_type=CALENDAR, headers=headers)
