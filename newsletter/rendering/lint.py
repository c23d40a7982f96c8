"""Lint: what a finished mail must be, checked by machine before a send; reports problems and changes nothing.

The rules are what mail programs need and what WCAG 2 AA asks: a language and direction that survive a program which
strips html and body, layout tables that say so, alternatives for pictures, headings in order, text that is large and
contrasting enough in light and in dark, no CSS that the common programs drop, and a way out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

from newsletter.domain.variants import HTML_LIMIT_BYTES
from newsletter.rendering.colours import TEXT_CONTRAST, contrast
from newsletter.rendering.plain import CONTROL_CHARACTERS

SMALLEST_TEXT = 14
LARGE_TEXT, LARGE_BOLD_TEXT, LARGE_TEXT_CONTRAST = 24, 18.66, 3.0  # WCAG 2: 18 pt, or 14 pt bold
LONGEST_LINE = 600
"""Characters of a line of text. The templates wrap at 72; a hole's value is one line, which mail programs wrap, and
what is longer than this was not wrapped by anybody."""

_MARK = re.compile(r"Zq[a-z0-9]+Z[0-9a-zA-Z]+qZ")
_FORBIDDEN_CSS = {
    "custom property": re.compile(r"var\(|(?:^|[;{\s])--[\w-]+\s*:"),
    "modern colour": re.compile(
        r"\b(?:oklch|oklab|lch|lab|hwb|color-mix|color)\(|\b(?:rgb|hsl)a?\([^),]*[\s/][^),]*\)"
    ),
    "rem": re.compile(r"[\d.]rem\b"),
    "flex or grid": re.compile(r"display\s*:\s*(?:inline-)?(?:flex|grid)"),
    "image in CSS": re.compile(r"url\("),
    "import": re.compile(r"@import"),
}
_ONLY_REM = "font-size:1rem"
_FORBIDDEN_ELEMENTS = frozenset({"script", "iframe", "form", "input", "object", "embed", "video", "svg", "base"})
_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})
_DARK_SHEET = re.compile(r"@media\s*\(prefers-color-scheme:\s*dark\)\s*\{((?:[^{}]*\{[^{}]*\})*)\s*\}")
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_COLOUR = re.compile(r"#(?:[0-9a-fA-F]{6}|[0-9a-fA-F]{3})\b")
_HEADING = re.compile(r"h[1-6]")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a mail: the rule it breaks, and where or how."""

    rule: str
    detail: str


def find_problems(html: str, text: str, *, postal_address: str, unsubscribe_url: str) -> tuple[Problem, ...]:
    """Return what is wrong with a mail whose holes are filled; nothing, if it may be sent."""
    reader = _Reader(dark=_dark_rules(html))
    reader.feed(html)
    reader.close()
    return (
        *_whole(html, text, postal_address, unsubscribe_url),
        *reader.problems,
        *_headings(reader.headings),
        *_links(reader, unsubscribe_url),
    )


def _whole(html: str, text: str, postal_address: str, unsubscribe_url: str) -> Iterator[Problem]:
    """Check what takes no parser."""
    size = len(html.encode())
    if size > HTML_LIMIT_BYTES:
        yield Problem("size", f"{size} bytes of HTML; Gmail hides what comes after {HTML_LIMIT_BYTES}")
    if not text.strip():
        yield Problem("text", "there is no plain text part")
    if unsubscribe_url not in text:
        yield Problem("unsubscribe", "the text part has no unsubscribe link")
    yield from _part("HTML", html, _unescaped(html), postal_address)
    yield from _part("text", text, text, postal_address)
    for line in text.splitlines():
        if len(line) > LONGEST_LINE and " " in line.strip():
            yield Problem("line length", f"{len(line)} characters: {line[:40]}...")


def _part(name: str, part: str, words: str, postal_address: str) -> Iterator[Problem]:
    """Check what holds for either part; *words*: as people read it."""
    if not postal_address or _squeezed(postal_address) not in _squeezed(words):
        yield Problem("postal address", f"none in the {name} part")
    if mark := _MARK.search(part):
        yield Problem("unfilled mark", f"{mark[0]} in the {name} part")
    if found := CONTROL_CHARACTERS.search(part):
        yield Problem("control character", f"U+{ord(found[0]):04X} in the {name} part")


def _headings(levels: list[int]) -> Iterator[Problem]:
    if levels.count(1) != 1:
        yield Problem("headings", f"{levels.count(1)} elements h1; there must be one")
    for before, level in zip([0, *levels], levels, strict=False):
        if level > before + 1:
            yield Problem("headings", f"h{level} follows {f'h{before}' if before else 'nothing'}")


def _links(reader: "_Reader", unsubscribe_url: str) -> Iterator[Problem]:
    if unsubscribe_url not in reader.hrefs:
        yield Problem("unsubscribe", "the HTML part has no unsubscribe link")
    for href in reader.hrefs:
        if not href.startswith(("https://", "http://", "mailto:")):
            yield Problem("link", f"{href[:60]!r} leads nowhere safe")


@dataclass(slots=True)
class _Element:
    """An open element and what its text inherits, in light and in dark."""

    tag: str
    size: float
    bold: bool
    colours: tuple[str, str]
    grounds: tuple[str, str]
    is_hidden: bool
    words: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    """Walks through a mail once and collects its problems, headings and links."""

    def __init__(self, dark: dict[str, str]) -> None:
        super().__init__(convert_charrefs=True)
        self.dark = dark
        self.problems: list[Problem] = []
        self.headings: list[int] = []
        self.hrefs: list[str] = []
        self.open = [_Element("", 16, bold=False, colours=("#000000",) * 2, grounds=("#ffffff",) * 2, is_hidden=False)]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Check an element by itself, and note what its text inherits."""
        given = {name: value or "" for name, value in attrs}
        self.problems += _element_problems(tag, given)
        if _HEADING.fullmatch(tag):
            self.headings.append(int(tag[1]))
        if tag == "a" and "href" in given:
            self.hrefs.append(given["href"])
        if tag == "img":
            for element in self.open:
                element.words.append(given.get("alt", ""))
        if tag not in _VOID:
            self.open.append(self._inheriting(tag, given))

    def handle_endtag(self, tag: str) -> None:
        """Close an element; a link must have said something by now."""
        if tag in _VOID or len(self.open) == 1:
            return
        element = self.open.pop()
        if element.tag != tag:
            self.problems.append(Problem("structure", f"</{tag}> closes <{element.tag}>"))
        if tag == "a" and not "".join(element.words).strip():
            self.problems.append(Problem("link", "a link without words, or a picture without an alternative in it"))

    def handle_data(self, data: str) -> None:
        """Check how a stretch of text looks, and the CSS of a style element."""
        here = self.open[-1]
        if here.tag == "style":
            self.problems += _css_problems(data)
            return
        for element in self.open:
            element.words.append(data)
        if data.strip() and not here.is_hidden and here.tag != "title":
            self.problems += _text_problems(data.strip(), here)

    def _inheriting(self, tag: str, given: dict[str, str]) -> _Element:
        above = self.open[-1]
        style = _declarations(given.get("style", ""))
        dark = dict(style)
        for name in given.get("class", "").split():
            dark |= _declarations(self.dark.get(name, ""))
        size = style.get("font-size", "")
        return _Element(
            tag,
            float(size.removesuffix("px")) if size.endswith("px") else above.size,
            bold=style.get("font-weight", "bold" if above.bold else "") == "bold",
            colours=(_colour(style, "color") or above.colours[0], _colour(dark, "color") or above.colours[1]),
            grounds=(
                _colour(style, "background-color") or above.grounds[0],
                _colour(dark, "background-color") or above.grounds[1],
            ),
            is_hidden=above.is_hidden or style.get("display") == "none",
        )


def _element_problems(tag: str, given: dict[str, str]) -> Iterator[Problem]:
    if tag in _FORBIDDEN_ELEMENTS or (tag == "link" and "stylesheet" in given.get("rel", "")):
        yield Problem("element", f"<{tag}> does not work in mail")
    if (tag == "html" or given.get("role") == "article") and not (given.get("lang") and given.get("dir")):
        yield Problem("language", f"<{tag}> lacks lang or dir")
    if tag == "table" and given.get("role") != "presentation":
        yield Problem("table", 'a layout table lacks role="presentation"')
    if tag == "img":
        yield from _image_problems(given)
    yield from _css_problems(given.get("style", ""))


def _image_problems(given: dict[str, str]) -> Iterator[Problem]:
    source = given.get("src", "")
    if "alt" not in given:
        yield Problem("image", f"{source[:60]!r} has no alt")
    if not source.startswith(("https://", "http://", "cid:")):
        yield Problem("image", f"{source[:60]!r} cannot be fetched")
    measures = [given[name] for name in ("width", "height") if name in given]
    if not measures or not all(measure.isdecimal() for measure in measures):
        yield Problem("image", f"{source[:60]!r} has no width or height in pixels")


def _css_problems(css: str) -> Iterator[Problem]:
    for name, pattern in _FORBIDDEN_CSS.items():
        if found := pattern.search(css.replace(_ONLY_REM, "")):
            yield Problem("css", f"{name}: {css[max(0, found.start() - 20) : found.end() + 20]}")


def _text_problems(words: str, element: _Element) -> Iterator[Problem]:
    if element.size < SMALLEST_TEXT:
        yield Problem("text size", f"{element.size:g} px: {words[:40]!r}")
    is_large = element.size >= (LARGE_BOLD_TEXT if element.bold else LARGE_TEXT)
    for scheme, colour, ground in zip(("light", "dark"), element.colours, element.grounds, strict=True):
        ratio = contrast(colour, ground)
        if ratio < (LARGE_TEXT_CONTRAST if is_large else TEXT_CONTRAST):
            yield Problem("contrast", f"{ratio:.1f} for {colour} on {ground} in {scheme}: {words[:40]!r}")


def _dark_rules(html: str) -> dict[str, str]:
    """Return the declarations of each class for dark mode."""
    rules: dict[str, str] = {}
    for sheet in _DARK_SHEET.findall(html):
        for selectors, declarations in _RULE.findall(sheet):
            for selector in selectors.split(","):
                rules[selector.strip().lstrip(".")] = rules.get(selector.strip().lstrip("."), "") + ";" + declarations
    return rules


def _declarations(style: str) -> dict[str, str]:
    pairs = (declaration.partition(":") for declaration in style.replace("!important", "").split(";"))
    return {name.strip(): value.strip() for name, _, value in pairs if value}


def _colour(style: dict[str, str], name: str) -> str:
    """Return the colour that *style* sets for *name*, in six digits, "" if it sets none."""
    found = _COLOUR.fullmatch(style.get(name, ""))
    if not found:
        return ""
    return found[0] if len(found[0]) == len("#rrggbb") else "#" + "".join(digit * 2 for digit in found[0][1:])


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _unescaped(html: str) -> str:
    return html.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">").replace("&#39;", "'")
