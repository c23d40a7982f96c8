"""The web application: routes, guards and problem pages put together; holds no rule of its own."""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from newsletter.errors import NewsletterError
from newsletter.services.context import App
from newsletter.web import (
    api,
    archive,
    articles,
    feed_builder,
    feeds,
    health,
    home,
    leaving,
    preferences,
    requests,
    reviews,
    search,
    sign_up,
    source_hooks,
)
from newsletter.web.console import routes as console
from newsletter.web.problems import Problems
from newsletter.web.security import BodyLimit, SecurityHeaders


def build_web(app: App, extra_routes: Sequence[BaseRoute] = ()) -> Starlette:
    """Return the pages, feeds and checks over *app*; *extra_routes* come first.

    Addresses are taken as they are, without a redirect to another spelling: a one-click unsubscribe must not be
    redirected (RFC 8058 §3.1).
    """
    problems = Problems(app)
    is_https = app.settings.base_url.startswith("https:")
    web = Starlette(
        routes=[
            *extra_routes,
            *home.routes(app),
            *sign_up.routes(app),
            *preferences.routes(app),
            *requests.routes(app),
            *reviews.routes(app),
            *leaving.routes(app),
            *search.routes(app),
            *archive.routes(app),
            *articles.routes(app),
            *feed_builder.routes(app),
            *source_hooks.routes(app),
            *api.routes(app),
            *console.routes(app),
            *health.routes(app),
        ],
        middleware=[
            Middleware(feeds.FeedsFirst, newsroom=app),
            Middleware(SecurityHeaders, is_https=is_https),
            Middleware(BodyLimit),
        ],
        exception_handlers={
            HTTPException: problems.http,
            NewsletterError: problems.ours,
            Exception: problems.unexpected,
        },
    )
    web.router.redirect_slashes = False
    return web
