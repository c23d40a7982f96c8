"""Colours: keeps text in the newsroom's accent colour readable on whatever lies behind it (WCAG 2, 1.4.3)."""

TEXT_CONTRAST = 4.5
"""The least contrast of normal text."""


def contrast(one: str, other: str) -> float:
    """Return the WCAG contrast ratio of two `#rrggbb` colours, from 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def readable(colour: str, background: str, least: float = TEXT_CONTRAST) -> str:
    """Return *colour*, darkened or lightened only as far as text in it on *background* needs."""
    towards = max("#000000", "#ffffff", key=lambda end: contrast(end, background))
    for step in range(101):
        candidate = _mixed(colour, towards, step / 100)
        if contrast(candidate, background) >= least:
            return candidate
    return towards


def _mixed(colour: str, other: str, share: float) -> str:
    pairs = zip(_channels(colour), _channels(other), strict=True)
    return "#" + "".join(f"{round(one + (two - one) * share):02x}" for one, two in pairs)


def _channels(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[start : start + 2], 16) for start in (1, 3, 5))


def _luminance(colour: str) -> float:
    """Return the relative luminance, by the formula and constants of WCAG 2."""
    red, green, blue = (
        value / 12.92
        if value <= 0.03928  # noqa: PLR2004 - the standard's own number
        else ((value + 0.055) / 1.055) ** 2.4
        for value in (channel / 255 for channel in _channels(colour))
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
