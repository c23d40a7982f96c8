"""Topics: what an article can be about, and the words that speak for it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from newsletter.domain.prose import normalise


@dataclass(frozen=True, slots=True)
class Topic:
    """What an article can be about.

    *labels* and *rules* are by language; a rule is a word or a phrase, `*` at a word's end stands for any ending
    (`школ*`: школа, школы, школьный). *applies_rules*: what a rule finds counts at once; else it is suggested to
    staff. *scheme* names the taxonomy by its address, *position* the order in menus.
    """

    id: int
    slug: str
    scheme: str
    parent_id: int | None
    position: int
    labels: dict[str, str]
    rules: dict[str, tuple[str, ...]] = field(default_factory=dict)
    applies_rules: bool = False

    def label(self, *languages: str) -> str:
        """Return the label in the first of *languages* there is, else in any, else the slug."""
        for language in languages:
            if language in self.labels:
                return self.labels[language]
        return next(iter(self.labels.values()), self.slug)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A topic that a rule found in a text, with the words that spoke for it, as they stand there."""

    topic_id: int
    language: str
    phrase: str
    applies: bool


def ancestors(topics: Iterable[Topic]) -> dict[int, tuple[int, ...]]:
    """Return for each topic's id its parent's id, the parent's parent's and so on; a circle is cut where it closes."""
    parents = {topic.id: topic.parent_id for topic in topics}
    found: dict[int, tuple[int, ...]] = {}
    for topic_id, nearest in parents.items():
        line: list[int] = []
        parent = nearest
        while parent is not None and parent != topic_id and parent not in line:
            line.append(parent)
            parent = parents.get(parent)
        found[topic_id] = tuple(line)
    return found


class Suggester:
    """Finds the topics that texts speak of; made once for many texts, as rules are compiled into one pattern each."""

    def __init__(self, topics: Iterable[Topic]) -> None:
        self._topics = [topic for topic in topics if topic.rules]

    @cached_property
    def _patterns(self) -> list[tuple[Topic, str, re.Pattern[str]]]:
        return [
            (topic, language, _pattern(phrases))
            for topic in self._topics
            for language, phrases in topic.rules.items()
            if phrases
        ]

    def suggest(self, texts: Mapping[str, str]) -> list[Suggestion]:
        """Return a suggestion for each topic that one of *texts* (plain text by language) speaks of.

        Each topic once, in the order of the topics. Words are compared whole and without case, ё as е.
        """
        prepared = {language: _prepare(text) for language, text in texts.items()}
        found: dict[int, Suggestion] = {}
        for topic, language, pattern in self._patterns:
            if topic.id in found or language not in prepared:
                continue
            if match := pattern.search(prepared[language]):
                found[topic.id] = Suggestion(topic.id, language, match.group(), topic.applies_rules)
        return list(found.values())


def suggest(topics: Iterable[Topic], texts: Mapping[str, str]) -> list[Suggestion]:
    """Return a suggestion for each of *topics* that one of *texts* (plain text by language) speaks of."""
    return Suggester(topics).suggest(texts)


def check_phrase(phrase: str) -> str:
    """Return *phrase* as it is kept.

    Raises:
        ValueError: nothing is left to look for; or a star stands elsewhere than at the end of a word of three letters.
    """
    kept = normalise(phrase)
    for word in kept.split():
        stem = word.rstrip("*")
        if "*" in stem or (word != stem and len(stem) < SHORTEST_STEM):
            raise ValueError(f"{phrase!r}: a star stands only at the end of a word, after three letters or more")
    if not re.search(r"\w", kept):
        raise ValueError(f"{phrase!r} holds no word to look for")
    return kept


SHORTEST_STEM = 3


def _prepare(text: str) -> str:
    return normalise(text).replace("ё", "е").replace("Ё", "Е")


def _pattern(phrases: Iterable[str]) -> re.Pattern[str]:
    alternatives = sorted((_phrase_pattern(_prepare(phrase)) for phrase in phrases), key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(alternatives)})(?!\w)", re.IGNORECASE)


def _phrase_pattern(phrase: str) -> str:
    words = []
    for word in phrase.split():
        stem = re.escape(word.rstrip("*"))
        words.append(stem + r"\w*" if word.endswith("*") else stem)
    return r"[\s\-–—]+".join(words)
