"""Inlining: style sheets into style attributes with premailer, and no byte more than mail programs need.

What premailer does wrong, and how the templates and `newsletter.rendering.lint` keep clear of it: rules that must
stay rules (@media, :hover) stand in `<style data-premailer="ignore">`, which it leaves as it is; plain sheets hold
only plain rules, without !important, and are dropped once they have been inlined.
"""

import logging
import re
import threading
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from premailer import Premailer

_PREMAILER_LOCK = threading.Lock()  # cssutils, which premailer parses with, keeps global state

_TAG = re.compile(r"<[a-zA-Z][^>]*>")  # premailer's serialiser leaves no bare > inside a tag
_STYLE_ELEMENT = re.compile(r"(?<=<style>).*?(?=</style>)", re.DOTALL)
_CLASS_ATTRIBUTE = re.compile(r' class="([^"]*)"')
_CLASS_SELECTOR = re.compile(r"\.([a-zA-Z][\w-]*)")
_STYLE_ATTRIBUTE = re.compile(r' style="[^"]*"')
_LINES_BETWEEN_TAGS = re.compile(r"(?<=>)[ \t]*\n\s*(?=<)")


@lru_cache(maxsize=1)
def _premailer() -> "Premailer":
    from premailer import Premailer  # noqa: PLC0415  a tenth of a command's start, and most commands inline nothing

    premailer = Premailer(
        None,
        strip_important=False,
        keep_style_tags=False,
        remove_classes=False,
        disable_basic_attributes=["width", "height"],  # `height: auto` would overwrite an image's own height
        align_floating_images=False,  # nothing floats; it would parse the style of each image
        allow_network=False,
        allow_loading_external_files=False,
        disable_validation=True,
        cssutils_logging_level=logging.CRITICAL,
    )
    parse = premailer._parse_style_rules  # noqa: SLF001  of each page anew, which takes most of its time
    premailer._parse_style_rules = lru_cache(maxsize=32)(parse)  # noqa: SLF001  there are few sheets, in templates
    return premailer


def inlined(html: str) -> str:
    """Return *html*, a whole document, with its plain style sheets inlined and its source tightened.

    Comments stay where they are, so a document can be cut at them afterwards.
    """
    with _PREMAILER_LOCK:
        page: str = _premailer().transform(_LINES_BETWEEN_TAGS.sub("", html.strip()), pretty_print=False)
    kept = frozenset(name for sheet in _STYLE_ELEMENT.findall(page) for name in _CLASS_SELECTOR.findall(sheet))
    tightened: dict[str, str] = {}  # a digest repeats its tags
    return _TAG.sub(lambda tag: tightened.get(tag[0]) or tightened.setdefault(tag[0], _tightened(tag[0], kept)), page)


def _tightened(tag: str, kept: frozenset[str]) -> str:
    """Return *tag* without classes that no remaining rule names and without spaces between declarations."""
    tag = _STYLE_ATTRIBUTE.sub(lambda style: style[0].replace("; ", ";"), tag)
    return _CLASS_ATTRIBUTE.sub(lambda names: _pruned(names[1].split(), kept), tag)


def _pruned(names: list[str], kept: frozenset[str]) -> str:
    left = " ".join(name for name in names if name in kept)
    return f' class="{left}"' if left else ""
