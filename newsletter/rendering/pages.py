"""Web pages: renders templates/web over one base layout and one small style sheet.

The sheet stands in the page itself, so that a page is one request; `style_source` allows exactly it in a
Content-Security-Policy.
"""

import base64
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from newsletter.rendering.colours import readable
from newsletter.rendering.environment import render
from newsletter.rendering.languages import Language


@dataclass(frozen=True, slots=True)
class Site:
    """What every page of an installation shows: whose it is, where it lives, how it looks."""

    name: str
    base_url: str
    accent_colour: str = "#0b5394"
    logo_url: str = ""
    postal_address: str = ""
    languages: tuple[Language, ...] = ()


def render_page(name: str, language: Language, site: Site, *, home: Path | None = None, **context: object) -> str:
    """Render `web/<name>.html` in *language*; beside *context* it gets `site` and `stylesheet`.

    Raises:
        InvalidError: the template is missing or wrong; the message says where.
    """
    values = {"site": site, "stylesheet": render_stylesheet(site, language, home=home), **context}
    return render(f"web/{name}.html", language, values, home=home)


@lru_cache(maxsize=32)
def render_stylesheet(site: Site, language: Language, *, home: Path | None = None) -> str:
    """Return the style sheet in the newsroom's colours."""
    colours = {
        "accent": readable(site.accent_colour, "#ffffff"),
        "accent_on_dark": readable(site.accent_colour, "#1c2127"),
    }
    return render("web/style.css", language, colours, home=home)


@lru_cache(maxsize=32)
def render_feed_stylesheet(site: Site, language: Language, *, home: Path | None = None) -> str:
    """Return the style sheet that makes feed documents readable in a browser, in the newsroom's colours."""
    colours = {
        "accent": readable(site.accent_colour, "#ffffff"),
        "accent_on_dark": readable(site.accent_colour, "#1c2127"),
    }
    return render("feed/style.css", language, colours, home=home)


@lru_cache(maxsize=32)
def style_source(site: Site, language: Language, *, home: Path | None = None) -> str:
    """Return the source expression that allows the page's own style sheet: `'sha256-...'` (CSP3, 8.2)."""
    return source_of(render_stylesheet(site, language, home=home))


def source_of(text: str) -> str:
    """Return the source expression that allows exactly *text*, a style sheet or a script that stands in the page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@lru_cache(maxsize=8)
def render_script(name: str, language: Language, *, home: Path | None = None) -> str:
    """Return the script `web/<name>.js`, to stand in a page that works without it as well.

    Raises:
        InvalidError: the template is missing or wrong; the message says where.
    """
    return render(f"web/{name}.js", language, {}, home=home)


@lru_cache(maxsize=8)
def render_icon(site: Site, language: Language, *, home: Path | None = None) -> str:
    """Return the icon that browsers show beside a page's title, as SVG in the newsroom's colour."""
    return render("web/favicon.svg", language, {"colour": readable(site.accent_colour, "#ffffff")}, home=home)
