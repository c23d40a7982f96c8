"""Mail programs: which of them drop what CSS and HTML; a small table of our own, each row with its source.

Each row names the page of caniemail.com (Can I email, MIT licence) that says who drops it, and is no more than a short
form of it: who drops a part, or drops it in some versions, counts as dropping it. Support changes slowly; look there.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

SOURCE = "https://www.caniemail.com/features/"


@dataclass(frozen=True, slots=True)
class Feature:
    """Something that mail programs may drop: how it is found, who drops it, and the page that says so."""

    name: str
    pattern: re.Pattern[str]
    dropped_by: str
    page: str

    @property
    def source(self) -> str:
        """The address of the page that says so."""
        return f"{SOURCE}{self.page}/"


def _css(name: str, declaration: str, dropped_by: str, page: str) -> Feature:
    return Feature(name, re.compile(rf"(?:^|[;{{\s\"]){declaration}", re.IGNORECASE), dropped_by, page)


FEATURES = (
    _css("flexbox", r"display\s*:\s*(?:inline-)?flex", "Outlook on Windows", "css-display-flex"),
    _css("grid", r"display\s*:\s*(?:inline-)?grid", "Gmail, Outlook on Windows", "css-display-grid"),
    _css("position", r"position\s*:\s*(?:absolute|fixed|sticky)", "Gmail, Outlook, Yahoo", "css-position"),
    _css("custom properties", r"--[a-z][\w-]*\s*:", "Gmail, Outlook, Yahoo", "css-variables"),
    Feature("custom properties", re.compile(r"\bvar\("), "Gmail, Outlook, Yahoo", "css-variables"),
    Feature("rem", re.compile(r"[\d.]rem\b"), "Outlook on Windows, Yahoo", "css-unit-rem"),
    Feature("calc()", re.compile(r"\bcalc\("), "Gmail apps, Outlook on Windows, Yahoo", "css-unit-calc"),
    Feature("modern colours", re.compile(r"\b(?:oklch|color-mix)\("), "Gmail, Outlook, Yahoo", "css-modern-color"),
    _css("background pictures", r"background(?:-image)?\s*:[^;]*url\(", "Outlook on Windows", "css-background-image"),
    _css("shadows", r"(?:box|text)-shadow\s*:", "Gmail, Outlook on Windows", "css-box-shadow"),
    _css("animations", r"animation(?:-name)?\s*:", "Gmail, Outlook, Yahoo", "css-animation"),
    _css("transforms", r"transform\s*:", "Gmail, Outlook on Windows, Yahoo", "css-transform"),
    _css("opacity", r"opacity\s*:", "Outlook on Windows", "css-opacity"),
    Feature("SVG", re.compile(r"<svg\b|\.svg[\"?]", re.IGNORECASE), "Gmail, Outlook", "html-svg"),
    Feature("pictures in the mail's own text", re.compile(r"src=\"data:"), "Gmail, Outlook", "image-base64"),
    Feature("WebP", re.compile(r"\.webp[\"?]", re.IGNORECASE), "Outlook on Windows", "image-webp"),
    Feature("video", re.compile(r"<(?:video|audio)\b", re.IGNORECASE), "Gmail, Outlook, Yahoo", "html-video"),
    Feature("forms", re.compile(r"<(?:form|input|button)\b", re.IGNORECASE), "Gmail, Outlook", "html-form"),
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
