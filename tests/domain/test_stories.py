"""Two tellings of one story are found to be one, and two stories stay two."""

import random
from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest

from newsletter.domain.stories import SHORTEST_COMPARED, STORY_DAYS, Likeness, Telling, likeness, marks

MONDAY = datetime(2025, 9, 1, tzinfo=UTC)
WORDS = [
    f"{first}{second}" for first in ("ka", "lo", "mi", "nu", "so") for second in ("ra", "den", "vish", "tol", "pe")
]


def body(seed: int, length: int = 120) -> str:
    """Return a text of *length* words, the same for the same seed."""
    return " ".join(random.Random(seed).choices(WORDS, k=length))


def telling(title="A title", text="", *, kind="story", at=MONDAY) -> Telling:
    return Telling(kind, title, text, at)


def edited(text: str, share: float, seed: int = 1) -> str:
    """Return *text* with a share of its words replaced."""
    chance = random.Random(seed)
    return " ".join("changed" if chance.random() < share else word for word in text.split())


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param(telling(), telling(text=body(1), at=MONDAY + timedelta(days=4)), Likeness.TEASER, id="teaser"),
        pytest.param(telling(), telling(text=body(1), at=None), Likeness.TEASER, id="teaser of the undated"),
        pytest.param(telling(), telling(text=body(1), at=MONDAY + STORY_DAYS + timedelta(1)), None, id="too far apart"),
        pytest.param(telling(), telling(text=body(1), kind="speech"), None, id="teaser of another kind"),
        pytest.param(telling("B"), telling(text=body(1)), None, id="another title without a body"),
        pytest.param(telling(""), telling("", body(1)), None, id="no title, no body"),
        pytest.param(telling("A", body(1)), telling("B", body(1)), Likeness.SAME_BODY, id="one text, two titles"),
        pytest.param(
            telling("A", body(1)), telling("B", edited(body(1), 0.02)), Likeness.SAME_BODY, id="nearly the same text"
        ),
        pytest.param(
            telling("A", body(1, 60)), telling("A", body(1, 60) + " " + body(2)), Likeness.SAME_BODY, id="cut off"
        ),
        pytest.param(telling("A", body(1, 60)), telling("B", body(1, 60) + body(2)), None, id="quoted elsewhere"),
        pytest.param(telling("A", body(1)), telling("A", edited(body(1), 0.08)), Likeness.EDITED, id="edited"),
        pytest.param(
            telling("A", body(1)),
            telling("A", edited(body(1), 0.08), at=MONDAY + timedelta(days=1)),
            None,
            id="alike on another day",
        ),
        pytest.param(telling("A", body(1)), telling("A", body(2)), None, id="one title, two texts"),
        pytest.param(telling("A", "The office is closed."), telling("B", "The office is closed."), None, id="short"),
        pytest.param(
            telling("A", "The office is closed."), telling("A", "The office is closed"), Likeness.SAME_BODY,
            id="short, with one title",
        ),
        pytest.param(
            telling("Prices", body(1) + " 71 som"), telling("Prices", body(1) + " 74 som", at=MONDAY + timedelta(7)),
            None,
            id="the next bulletin has other figures",
        ),
    ],
)  # fmt: skip
def test_likeness(one, other, expected):
    assert expected == likeness(one, other)
    assert expected == likeness(other, one)


@pytest.mark.parametrize("share", [0.0, 0.02])
def test_texts_that_are_nearly_the_same_share_a_mark(share):
    """Candidates are found by marks alone, so a pair without a common mark would never be compared."""
    missed = [
        seed
        for seed in range(60)
        if not marks("en", "", body(seed, 200)) & marks("en", "", edited(body(seed, 200), share, seed))
    ]

    assert [] == missed


def test_different_texts_share_no_mark():
    found = [marks("en", f"title {seed}", body(seed)) for seed in range(40)]

    assert not any(one & other for one, other in combinations(found, 2))


def test_marks_are_of_a_language_and_few():
    text = body(1, 5000)

    assert not marks("en", "A title", text) & marks("ru", "A title", text)
    assert 7 == len(marks("en", "A title", text))


def test_a_title_alone_and_a_short_body_have_what_can_be_found():
    assert 1 == len(marks("en", "A title", body(1, SHORTEST_COMPARED - 1)))
    assert frozenset() == marks("en", "***", "")
