"""Mail programs: which of them drop what CSS and HTML; a small table of our own, each row with its source.

Each row names the page of caniemail.com (Can I email, MIT licence) that says who drops it, and the month in which that
page says that it was tested: support changes slowly, and for the better; look there. Of the programs that the page
tests, Gmail, Outlook and Yahoo are named; one that drops a part, or drops it in some versions, counts as dropping it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

SOURCE = "https://www.caniemail.com/features/"


@dataclass(frozen=True, slots=True)
class Feature:
    """Something that mail programs may drop: how it is found, who drops it, the page that says so, and when tested."""

    name: str
    pattern: re.Pattern[str]
    dropped_by: str
    page: str
    tested: str

    @property
    def source(self) -> str:
        """The address of the page that says so."""
        return f"{SOURCE}{self.page}/"


def _css(name: str, declaration: str, dropped_by: str, page: str, tested: str) -> Feature:
    return Feature(name, re.compile(rf"(?:^|[;{{\s\"]){declaration}", re.IGNORECASE), dropped_by, page, tested)


def _html(name: str, pattern: str, dropped_by: str, page: str, tested: str) -> Feature:
    return Feature(name, re.compile(pattern, re.IGNORECASE), dropped_by, page, tested)


FEATURES = (
    _css("flexbox", r"display\s*:\s*(?:inline-)?flex", "Outlook on Windows", "css-display-flex", "2021-11"),
    _css("grid", r"display\s*:\s*(?:inline-)?grid", "Gmail, Outlook, Yahoo", "css-display-grid", "2019-02"),
    _css("position", r"position\s*:\s*(?:absolute|fixed|sticky)", "Gmail, Outlook, Yahoo", "css-position", "2021-05"),
    _css("custom properties", r"--[a-z][\w-]*\s*:", "Gmail, Outlook, Yahoo", "css-variables", "2020-02"),
    _html("custom properties", r"\bvar\(", "Gmail, Outlook, Yahoo", "css-variables", "2020-02"),
    _html("rem", r"[\d.]rem\b", "Outlook on Windows, Yahoo", "css-unit-rem", "2020-02"),
    _html("calc()", r"\bcalc\(", "Gmail's apps with other accounts, Outlook, Yahoo", "css-unit-calc", "2020-02"),
    _html("modern colours", r"\b(?:ok)?l(?:ab|ch)\(", "Gmail, Outlook, Yahoo", "css-modern-color", "2023-01"),
    _css(
        *("background pictures", r"background(?:-image)?\s*:[^;]*url\("),
        *("Outlook on Windows", "css-background-image", "2019-02"),
    ),
    _css("shadows of boxes", r"box-shadow\s*:", "Gmail, Outlook on Windows, Yahoo", "css-box-shadow", "2023-12"),
    _css("shadows of text", r"text-shadow\s*:", "Gmail, Outlook, Yahoo on Android", "css-text-shadow", "2019-02"),
    _css("animations", r"animation(?:-name)?\s*:", "Gmail, Outlook, Yahoo", "css-animation", "2021-05"),
    _css("transforms", r"transform\s*:", "Gmail, Outlook, Yahoo", "css-transform", "2019-02"),
    _css("opacity", r"opacity\s*:", "Outlook on Windows, Yahoo", "css-opacity", "2019-02"),
    _html("SVG in the text", r"<svg\b", "Gmail, Outlook, Yahoo", "html-svg", "2020-02"),
    _html("SVG pictures", r"\.svg[\"?]", "Gmail, Outlook on Windows", "image-svg", "2023-01"),
    _html(
        "pictures in the mail's own text", r"src=\"data:", "Gmail on iOS, Outlook on Windows", "image-base64", "2020-02"
    ),
    _html("WebP", r"\.webp[\"?]", "Outlook on Windows", "image-webp", "2021-02"),
    _html("video", r"<video\b", "Gmail, Outlook, Yahoo", "html-video", "2019-09"),
    _html("audio", r"<audio\b", "Gmail, Outlook, Yahoo", "html-audio", "2020-04"),
    _html("forms", r"<form\b", "Outlook, Gmail and Yahoo on iOS", "html-form", "2019-09"),
)

_ONLY_REM = "font-size:1rem"  # of the wrapper: where it is unknown, nothing is lost
_STYLE_OF_MSO = re.compile(r"<!--\[if mso\]>.*?<!\[endif\]-->", re.DOTALL)


def dropped_features(html: str) -> Iterator[Feature]:
    """Yield what *html* uses that common mail programs drop, each feature once."""
    shown = _STYLE_OF_MSO.sub("", html).replace(_ONLY_REM, "")
    told: set[str] = set()
    for feature in FEATURES:
        if feature.name not in told and feature.pattern.search(shown):
            told.add(feature.name)
            yield feature
