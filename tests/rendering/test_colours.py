"""Colours: contrast as WCAG 2 reckons it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.rendering.colours import contrast, readable

colours = st.integers(min_value=0, max_value=0xFFFFFF).map(lambda number: f"#{number:06x}")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#777777", "#ffffff", 4.48),
        ("#0b5394", "#ffffff", 7.84),
        ("#fff000", "#fff000", 1),
    ],
)
def test_contrast_is_the_standards(one, other, expected):
    assert expected == pytest.approx(contrast(one, other), abs=0.02)
    assert contrast(one, other) == contrast(other, one)


@given(colours, colours)
def test_every_colour_becomes_readable_on_every_ground(colour, ground):
    assert contrast(readable(colour, ground), ground) >= 4.5


@given(colours)
def test_a_readable_colour_stays_as_it_is(colour):
    made = readable(colour, "#ffffff")

    assert made == readable(made, "#ffffff")
    assert (made == colour) == (contrast(colour, "#ffffff") >= 4.5)
