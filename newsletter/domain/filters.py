"""Filters: a canonical choice of articles, shared by whoever chose the same."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from newsletter.domain.articles import Article, Kind


@dataclass(frozen=True, slots=True)
class Filter:
    """A choice of articles: any within a facet, all across facets; an empty facet chooses everything.

    *topics* are topic ids, *sources* source slugs, *languages* language codes. Make one with `choose`, which
    puts it into canonical form, so that equal choices are equal values.
    """

    topics: tuple[int, ...] = ()
    kinds: tuple[Kind, ...] = ()
    sources: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()

    @property
    def canonical(self) -> str:
        """The same text for the same choice, always."""
        return json.dumps(self.as_choice(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical form, in hex; the key by which filters are interned."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    def as_choice(self) -> dict[str, Any]:
        """Return the facets that choose something, as JSON values."""
        facets: dict[str, list[Any]] = {
            "topics": list(self.topics),
            "kinds": [str(kind) for kind in self.kinds],
            "sources": list(self.sources),
            "languages": list(self.languages),
        }
        return {name: values for name, values in facets.items() if values}

    @classmethod
    def from_choice(cls, choice: Mapping[str, Any]) -> "Filter":
        """Read back what `as_choice` gave, which is in canonical form."""
        return cls(
            topics=tuple(choice.get("topics", ())),
            kinds=tuple(Kind(kind) for kind in choice.get("kinds", ())),
            sources=tuple(choice.get("sources", ())),
            languages=tuple(choice.get("languages", ())),
        )


EVERYTHING = Filter()


def choose(
    *,
    topics: Iterable[int] = (),
    kinds: Iterable[str] = (),
    sources: Iterable[str] = (),
    languages: Iterable[str] = (),
) -> Filter:
    """Return the canonical filter for a choice: sorted, without repeats.

    Raises:
        ValueError: a kind that does not exist.
    """
    return Filter(
        topics=tuple(sorted(set(topics))),
        kinds=tuple(sorted({Kind(kind) for kind in kinds})),
        sources=tuple(sorted(set(sources))),
        languages=tuple(sorted(set(languages))),
    )


def matches(choice: Filter, article: Article, ancestors: Mapping[int, Sequence[int]]) -> bool:
    """Say whether *article* is among those that *choice* chooses.

    *ancestors*: for each topic id, the ids of its parent, the parent's parent and so on: who chose a topic chose
    what lies under it.
    """
    about = {topic for own in article.topics for topic in (own, *ancestors.get(own, ()))}
    return (
        (not choice.topics or not about.isdisjoint(choice.topics))
        and (not choice.kinds or article.kind in choice.kinds)
        and (not choice.sources or article.source in choice.sources)
        and (not choice.languages or not set(choice.languages).isdisjoint(article.translations))
    )


class CandidateIndex:
    """Answers which of a fixed sequence of articles a filter chooses, as bits; for 100,000 filters in a second.

    Bit n of a mask stands for article n of the sequence given.
    """

    def __init__(self, articles: Sequence[Article], ancestors: Mapping[int, Sequence[int]]) -> None:
        self.all = (1 << len(articles)) - 1
        self._topics: dict[int, int] = {}
        self._kinds: dict[str, int] = {}
        self._sources: dict[str, int] = {}
        self._languages: dict[str, int] = {}
        for position, article in enumerate(articles):
            bit = 1 << position
            _mark(self._kinds, (article.kind,), bit)
            _mark(self._sources, (article.source,), bit)
            _mark(self._languages, article.translations, bit)
            for topic in article.topics:
                _mark(self._topics, (topic, *ancestors.get(topic, ())), bit)

    def mask(self, choice: Filter) -> int:
        """Return the bits of the articles that *choice* chooses."""
        return (
            self._any(self._topics, choice.topics)
            & self._any(self._kinds, choice.kinds)
            & self._any(self._sources, choice.sources)
            & self._any(self._languages, choice.languages)
        )

    def _any(self, marked: Mapping[Any, int], chosen: Sequence[Any]) -> int:
        return reduce(or_, (marked.get(value, 0) for value in chosen)) if chosen else self.all


def _mark(bits: dict[Any, int], keys: Iterable[Any], bit: int) -> None:
    for key in keys:
        bits[key] = bits.get(key, 0) | bit
