"""Stories: whether two articles tell the same one, and marks by which candidates are found without comparing all."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zlib import crc32

from newsletter.domain.prose import fold

STORY_DAYS = timedelta(days=14)
"""How far the dates of two tellings of one story may lie apart; beyond that a notice is a new one, word for word."""
SHORTEST_COMPARED = 20
"""Words; shorter bodies are alike by chance ("The office is closed tomorrow")."""
MOST_COMPARED = 20_000
"""Words; the rest of a longer body is not looked at."""
SHINGLE = 4
BANDS, ROWS = 6, 3
"""Two bodies with 90 % of their shingles in common share a band in 999 of 1000 cases; with 30 %, in 1 of 7."""
ALIKE = 0.85
ALIKE_ON_ONE_DAY = 0.3
CHANGED_MUCH = 0.8
CONTAINED = 0.95


class Likeness(StrEnum):
    """Why two texts are one story."""

    TEASER = "teaser"  # the same title, and one of them has no body
    SAME_BODY = "same body"  # the same words, whatever the titles
    EDITED = "edited"  # the same title on the same day, much of the body changed


@dataclass(frozen=True, slots=True)
class Telling:
    """What is compared of an article: one language's title and body, as plain text."""

    kind: str
    title: str
    body: str
    published_at: datetime | None


def marks(language: str, title: str, body: str) -> frozenset[int]:
    """Return signed 64-bit marks of a text: one of its title, six of its body; the same ones on every machine.

    Texts with most of their words in common share at least one; the number never grows with the length.
    """
    found = set()
    if folded := fold(title):
        found.add(_number(f"{language} title {folded}"))
    words = fold(body).split()[:MOST_COMPARED]
    if len(words) >= SHORTEST_COMPARED:
        smallest = _smallest(words)
        for band in range(BANDS):
            found.add(_number(f"{language} {band} {smallest[band * ROWS : (band + 1) * ROWS]}"))
    return frozenset(found)


def likeness(one: Telling, other: Telling) -> Likeness | None:
    """Say why *one* and *other*, in the same language and from the same source, are the same story; None: they are not.

    A regular bulletin is not its predecessor: bodies whose figures differ are the same story only on the same day.
    """
    same_title = bool(fold(one.title)) and fold(one.title) == fold(other.title)
    if not _near(one, other):
        return None
    if not one.body or not other.body:
        return Likeness.TEASER if same_title and one.kind == other.kind else None
    shorter, longer = sorted((fold(one.body).split(), fold(other.body).split()), key=len)
    if shorter == longer and (same_title or len(shorter) >= SHORTEST_COMPARED):
        return Likeness.SAME_BODY
    return _alike(shorter[:MOST_COMPARED], longer[:MOST_COMPARED], same_title, _same_time(one, other))


def has_changed_much(old: Telling, new: Telling) -> bool:
    """Say whether *new* tells *old* differently enough to be read again: other figures, or a fifth of the words."""
    before, after = (fold(each.body).split()[:MOST_COMPARED] for each in (old, new))
    if _figures([*fold(old.title).split(), *before]) != _figures([*fold(new.title).split(), *after]):
        return True
    few, many = Counter(_shingles(before)), Counter(_shingles(after))
    total = (few | many).total()
    return bool(total) and (few & many).total() / total < CHANGED_MUCH


def _alike(shorter: Sequence[str], longer: Sequence[str], same_title: bool, same_time: bool) -> Likeness | None:
    if len(shorter) < SHORTEST_COMPARED:
        return None
    few, many = Counter(_shingles(shorter)), Counter(_shingles(longer))
    common = (few & many).total()
    resemblance = common / (few | many).total()
    same_figures = not _figures(shorter) - _figures(longer)
    if same_figures and (resemblance >= ALIKE or (same_title and common / few.total() >= CONTAINED)):
        return Likeness.SAME_BODY
    if same_title and same_time and resemblance >= ALIKE_ON_ONE_DAY:
        return Likeness.EDITED
    return None


def _near(one: Telling, other: Telling) -> bool:
    """Say whether two dates are close; an unknown date is close to any."""
    if one.published_at is None or other.published_at is None:
        return True
    return abs(one.published_at - other.published_at) <= STORY_DAYS


def _same_time(one: Telling, other: Telling) -> bool:
    return one.published_at is not None and one.published_at == other.published_at


def _figures(words: Sequence[str]) -> Counter[str]:
    return Counter(word for word in words if word[0].isdigit())


def _shingles(words: Sequence[str]) -> Iterator[str]:
    for position in range(len(words) - SHINGLE + 1):
        yield " ".join(words[position : position + SHINGLE])


def _smallest(words: Sequence[str]) -> list[int]:
    """Return a MinHash by one permutation: the smallest hash in each bin; an empty bin borrows its neighbour's."""
    count = BANDS * ROWS
    bins: list[int | None] = [None] * count
    for shingle in _shingles(words):
        value, place = divmod(crc32(shingle.encode()), count)
        current = bins[place]
        if current is None or value < current:
            bins[place] = value
    filled = [value for value in bins if value is not None]
    if not filled:
        return [0] * count
    borrowed, densified = filled[0], []
    for own in reversed(bins):
        borrowed = borrowed if own is None else own
        densified.append(borrowed)
    return densified


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), signed=True)
