"""Pages of the staff console: templates/web/console over a layout of their own, in the colours of the public pages."""

from functools import lru_cache
from pathlib import Path

from newsletter.rendering.environment import render
from newsletter.rendering.languages import Language
from newsletter.rendering.pages import Site, render_stylesheet, source_of


def render_console_page(name: str, language: Language, site: Site, *, home: Path | None = None, **told: object) -> str:
    """Render `web/console/<name>.html` in *language*; beside *told* it gets `site` and `stylesheet`.

    Raises:
        InvalidError: the template is missing or wrong; the message says where.
    """
    values = {"site": site, "stylesheet": _stylesheet(site, language, home), **told}
    return render(f"web/console/{name}.html", language, values, home=home)


@lru_cache(maxsize=32)
def console_style_source(site: Site, language: Language, *, home: Path | None = None) -> str:
    """Return the source expression that allows the console's own style sheet (CSP3, 8.2)."""
    return source_of(_stylesheet(site, language, home))


@lru_cache(maxsize=32)
def _stylesheet(site: Site, language: Language, home: Path | None) -> str:
    return render_stylesheet(site, language, home=home) + render("web/console/style.css", language, {}, home=home)
