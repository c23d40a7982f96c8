"""E-mail: renders an edition once per language and cuts it into the blocks that variants are joined from.

Nothing here knows a reader: what differs between variants and readers stays a hole (`newsletter.domain.variants`).
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup

from newsletter.domain.variants import READER_HOLES, VARIANT_HOLES, Block, hole_mark
from newsletter.errors import InvalidError
from newsletter.rendering.colours import TEXT_CONTRAST, contrast, readable
from newsletter.rendering.digest import Digest, DigestItem, Image, Section, cleaned, view
from newsletter.rendering.environment import render
from newsletter.rendering.inlining import inlined
from newsletter.rendering.languages import Language
from newsletter.rendering.letters import view_letter
from newsletter.rendering.plain import clean
from newsletter.rendering.sentences import (
    render_dateline,
    render_intro,
    render_more,
    render_preheader,
    render_subject,
    render_why,
)

__all__ = [  # What callers need of a digest, in one place.
    "Digest",
    "DigestItem",
    "Image",
    "RenderedMail",
    "Section",
    "render_confirmation",
    "render_digest",
    "render_intro",
    "render_more",
    "render_notice",
    "render_preheader",
    "render_subject",
    "render_why",
]

LIGHT = {"ground": "#f1f3f5", "paper": "#ffffff", "ink": "#1b2025", "soft": "#56606a", "line": "#dfe4e8"}
DARK = {"ground": "#0f1317", "paper": "#1a2027", "ink": "#eef1f4", "soft": "#a9b4be", "line": "#343d46"}


@dataclass(frozen=True, slots=True)
class RenderedMail:
    """A mail to one person, finished."""

    subject: str
    text: str
    html: str


def render_digest(digest: Digest, nonce: str, *, home: Path | None = None) -> dict[str, Block]:
    """Render *digest* as HTML and text, inline it once, and return its blocks by key.

    Keys: `head`; for each item `lead:`, `item:`, `brief:` and, if it is an event, `event:` before the item's key;
    `section:` before each section's key; `events`, the heading over events; `more`; `foot`. The HTML of `head`, any
    of the others and `foot`, joined in this order, is a valid document. *nonce* marks the holes.

    Raises:
        InvalidError: a template is missing or wrong; the message says where.
    """
    digest = cleaned(digest)
    context = {
        "digest": digest,
        "items": [view(item, digest) for item in digest.items],
        "dateline": render_dateline(digest),
        "letter": view_letter(digest.letter) if digest.letter else None,
        "holes": {name: hole_mark(name, nonce) for name in VARIANT_HOLES + READER_HOLES},
        **_looks(digest.language, digest.accent_colour),
    }
    html_cuts, text_cuts = _Cuts(f"<!--{nonce}-->"), _Cuts(f"[{nonce}]")
    page = render("email/digest/body.html", digest.language, {**context, "cut": html_cuts.mark}, home=home)
    text = render("email/digest/body.txt", digest.language, {**context, "cut": text_cuts.mark}, home=home)
    html_blocks, text_blocks = html_cuts.apart(inlined(page)), text_cuts.apart(text)
    _require_same(html_blocks, text_blocks)
    return {key: Block(key, html, _paragraph(text_blocks[key])) for key, html in html_blocks.items()}


def render_confirmation(
    language: Language,
    *,
    list_title: str,
    newsroom: str,
    postal_address: str,
    confirm_url: str,
    not_me_url: str,
    accent_colour: str = "#0b5394",
    logo_url: str = "",
    home: Path | None = None,
) -> RenderedMail:
    """Render the mail that asks a person whether they want *list_title*; it holds no word that a visitor typed.

    Raises:
        InvalidError: a template is missing or wrong; the message says where.
    """
    looks = {"newsroom": newsroom, "postal_address": postal_address, "accent_colour": accent_colour}
    links = {"confirm_url": confirm_url, "not_me_url": not_me_url}
    return render_notice("confirm", language, home=home, **looks, logo_url=logo_url, list_title=list_title, **links)


def render_notice(
    name: str,
    language: Language,
    *,
    newsroom: str,
    postal_address: str,
    accent_colour: str = "#0b5394",
    logo_url: str = "",
    home: Path | None = None,
    **words: str,
) -> RenderedMail:
    """Render the mail `email/<name>` to one person; *words* are its links and titles, never what a visitor typed.

    Raises:
        InvalidError: a template is missing or wrong; the message says where.
    """
    context = {
        **{key: value if key.endswith("_url") else clean(value, 120) for key, value in words.items()},
        "newsroom": clean(newsroom, 120),
        "postal_address": clean(postal_address, 240),
        "logo_url": logo_url,
        **_looks(language, accent_colour),
    }
    return RenderedMail(
        subject=clean(render(f"email/{name}/subject.txt", language, context, home=home), 120),
        text=_paragraph(render(f"email/{name}/body.txt", language, context, home=home)).rstrip("\n") + "\n",
        html=inlined(render(f"email/{name}/body.html", language, context, home=home)),
    )


def _require_same(html_blocks: dict[str, str], text_blocks: dict[str, str]) -> None:
    """Refuse templates, as a newsroom may have its own, of which one says less than the other."""
    for name, here, there in (("html", html_blocks, text_blocks), ("txt", text_blocks, html_blocks)):
        if missing := [key for key in there if key not in here]:
            raise InvalidError(f"template email/digest/body.{name} lacks the blocks {', '.join(missing[:5])}")


@dataclass(slots=True)
class _Cuts:
    """Places where a rendered template is cut: marked while it runs, found again afterwards."""

    sign: str
    keys: list[str] = field(default_factory=lambda: ["head"])

    def mark(self, key: str) -> Markup:
        """Begin the block *key* here."""
        self.keys.append(key)
        return Markup(self.sign)  # noqa: S704 - made of the edition's nonce, hex digits

    def apart(self, rendered: str) -> dict[str, str]:
        """Return the stretches between the marks, by key."""
        return dict(zip(self.keys, rendered.split(self.sign), strict=True))


def _looks(language: Language, accent_colour: str) -> dict[str, object]:
    """Return the colours, readable in light and in dark, and the sides that text begins and ends on."""
    is_ltr = language.direction == "ltr"
    return {
        "light": _scheme(LIGHT, accent_colour, text_behind="ground", least_fill=1.3),
        "dark": _scheme(DARK, accent_colour, text_behind="paper", least_fill=3.0),
        "start": "left" if is_ltr else "right",
        "end": "right" if is_ltr else "left",
    }


def _scheme(colours: dict[str, str], accent: str, *, text_behind: str, least_fill: float) -> dict[str, str]:
    """Return *colours* with the accent for text, the accent as a surface, and what can be read on that surface."""
    fill = readable(accent, colours["paper"], least_fill)
    on_fill = next((ink for ink in ("#ffffff", "#12161a") if contrast(ink, fill) >= TEXT_CONTRAST), "#000000")
    return colours | {"accent": readable(accent, colours[text_behind]), "fill": fill, "on_fill": on_fill}


def _paragraph(text: str) -> str:
    """Return *text* with single blank lines inside, one after it, and no space at any line's end."""
    lines = "\n".join(line.rstrip() for line in text.strip("\n").split("\n"))
    return re.sub(r"\n{3,}", "\n\n", lines) + "\n\n"
