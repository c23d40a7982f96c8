"""Filters by name: turns slugs that people write into the ids that filters hold, and back."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from newsletter.domain.articles import Kind
from newsletter.domain.filters import Filter, choose
from newsletter.domain.topics import ancestors
from newsletter.errors import InvalidError
from newsletter.services.context import Transaction
from newsletter.storage.lists import known_sources
from newsletter.storage.topics import load_topics


@dataclass(frozen=True, slots=True)
class NamedFilter:
    """A choice of articles in words: slugs of topics, kinds and sources, language codes; nothing chooses everything."""

    topics: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()


EVERY_ARTICLE = NamedFilter()


@dataclass(frozen=True, slots=True)
class FilterNames:
    """What filters can be made of: topics by slug, sources, languages; read once where many filters are found."""

    topics: Mapping[str, int]
    sources: Collection[str]
    languages: Collection[str]
    ancestors: Mapping[int, Sequence[int]]

    def find(self, named: NamedFilter) -> Filter:
        """
        Return the canonical filter for a choice in words.

        Raises:
            InvalidError: it names a topic, kind, source or language that does not exist; the message says what does.
        """
        _refuse_unknown("topic", named.topics, self.topics, remedy="see `newsletter topics list`, or load it first")
        _refuse_unknown("kind", named.kinds, list(Kind))
        _refuse_unknown("source", named.sources, self.sources)
        _refuse_unknown("language", named.languages, self.languages)
        return choose(
            topics=(self.topics[slug] for slug in named.topics),
            kinds=named.kinds,
            sources=named.sources,
            languages=named.languages,
        )

    def name(self, choice: Filter) -> NamedFilter:
        """Return *choice* in words."""
        slugs = {topic: slug for slug, topic in self.topics.items()}
        return NamedFilter(
            topics=tuple(sorted(slugs[topic] for topic in choice.topics)),
            kinds=tuple(map(str, choice.kinds)),
            sources=choice.sources,
            languages=choice.languages,
        )


def load_names(tx: Transaction) -> FilterNames:
    """Return what filters can be made of now."""
    topics = load_topics(tx.session)
    return FilterNames(
        topics={topic.slug: topic.id for topic in topics},
        sources=known_sources(tx.session),
        languages=tx.settings.languages,
        ancestors=ancestors(topics),
    )


def _refuse_unknown(what: str, given: Iterable[str], known: Collection[str], *, remedy: str = "") -> None:
    if unknown := [name for name in given if name not in known]:
        choice = remedy or f"choose among {', '.join(known)}" if known else f"there is no {what} yet"
        raise InvalidError(f"unknown {what} {', '.join(map(repr, unknown))}: {choice}")
