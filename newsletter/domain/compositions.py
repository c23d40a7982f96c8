"""Compositions: which of an edition's candidates each group of readers gets, and how a variant is laid out."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from newsletter.domain.articles import Article
from newsletter.domain.editions import Item, choose_lead, is_upcoming, section_of, shown_language
from newsletter.domain.filters import Filter
from newsletter.domain.lists import SectionsBy
from newsletter.domain.variants import Layout, lay_out


@dataclass(frozen=True, slots=True)
class Candidates:
    """An edition's articles in the order in which readers meet them, and which of them are new to everybody.

    The others were in an earlier edition that did not reach some reader; only those readers get them. *mends*: how
    often an article was mended since the edition was composed, by id; never where it is not named.
    """

    articles: tuple[Article, ...]
    fresh: int
    mends: Mapping[int, int] = field(default_factory=dict)

    def items(self, mask: int, preferred: Sequence[str], allowed: Sequence[str]) -> tuple[Item, ...]:
        """Return the articles that *mask* has a bit for, each in the first of the reader's languages it has."""
        return tuple(
            Item(
                article.id,
                shown_language(article, preferred, allowed),
                article.revision,
                self.mends.get(article.id, 0),
            )
            for position, article in enumerate(self.articles)
            if mask >> position & 1
        )

    def had(self, revisions: Mapping[int, int]) -> int:
        """Return the bits of the articles that a reader had, by id, at these revisions or newer ones."""
        return self._bits(lambda article: article.revision <= revisions.get(article.id, 0))

    def among(self, revisions: Mapping[int, int]) -> int:
        """Return the bits of the articles that *revisions* names by id."""
        return self._bits(lambda article: article.id in revisions)

    def _bits(self, holds: Callable[[Article], bool]) -> int:
        return sum(1 << position for position, article in enumerate(self.articles) if holds(article))


@dataclass(frozen=True, slots=True)
class Group:
    """Readers who share a filter and a language; *shown_in* is the language of their edition."""

    filter_id: int
    language: str
    shown_in: str
    choice: Filter
    reader_count: int


@dataclass(frozen=True, slots=True)
class Exceptional:
    """A reader of a group whose past differs: *received* they had already, *owed* never reached them in time.

    Both are revisions by article id. What is owed is given only if the reader's filter still chooses it.
    """

    subscription_id: int
    group: Group
    received: Mapping[int, int]
    owed: Mapping[int, int]


Content = tuple[str, tuple[Item, ...]]
"""What makes a variant: the language of its edition and its items in order."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who gets what; no items: nothing. *readers* counts by content, only content that somebody gets."""

    groups: tuple[tuple[Group, tuple[Item, ...]], ...]
    exceptions: tuple[tuple[Exceptional, tuple[Item, ...]], ...]
    readers: Mapping[Content, int]


def assign(
    candidates: Candidates,
    groups: Sequence[Group],
    exceptional: Sequence[Exceptional],
    *,
    mask: Callable[[Filter], int],
    fallbacks: Sequence[str],
) -> Assignment:
    """Decide what each group of readers gets, once per group, and then what the few exceptional readers get.

    *mask* says which candidates a filter chooses, as bits; *fallbacks* are the languages shown where an article has
    none in the reader's own.
    """
    made: dict[tuple[int, str, tuple[str, ...]], tuple[Item, ...]] = {}

    def items(group: Group, bits: int) -> tuple[Item, ...]:
        key = (bits, group.shown_in, group.choice.languages)
        if key not in made:
            made[key] = candidates.items(bits, (group.shown_in, *fallbacks), group.choice.languages)
        return made[key]

    choices = {(each.filter_id, each.language): mask(each.choice) for each in groups}
    usual = {key: bits & candidates.fresh for key, bits in choices.items()}
    readers: Counter[Content] = Counter()
    assigned = []
    for group in groups:
        chosen = items(group, usual[group.filter_id, group.language])
        assigned.append((group, chosen))
        readers[group.shown_in, chosen] += group.reader_count
    exceptions = []
    for reader in exceptional:
        group = reader.group
        bits = usual[group.filter_id, group.language]
        owed = candidates.among(reader.owed) & choices[group.filter_id, group.language]
        own = (bits & ~candidates.had(reader.received)) | owed
        if own != bits:
            exceptions.append((reader, items(group, own)))
            readers[group.shown_in, items(group, bits)] -= 1
            readers[group.shown_in, items(group, own)] += 1
    counted = {content: count for content, count in readers.items() if count and content[1]}
    return Assignment(tuple(assigned), tuple(exceptions), counted)


def digest_of(language: str, items: Sequence[Item]) -> str:
    """Return what makes a variant that variant: its language and its items in order; SHA-256 in hex."""
    told = "\n".join((language, *(_told(item) for item in items)))
    return hashlib.sha256(told.encode()).hexdigest()


def _told(item: Item) -> str:
    told = f"{item.article_id}:{item.language}:{item.revision}"
    return f"{told}~{item.mend}" if item.mend else told


@dataclass(frozen=True, slots=True)
class Arrangement:
    """A variant's items as its reader meets them; *lead* is None in an edition of nothing but events."""

    lead: Item | None
    layout: Layout


def arrange(
    items: Sequence[Item],
    articles: Mapping[int, Article],
    *,
    sections: SectionsBy,
    topic_order: Mapping[int, int],
    cut_at: datetime,
    sizes: Mapping[str, int],
    wanted_lead: int | None = None,
) -> Arrangement:
    """Lay out one variant: its lead, its sections, its upcoming events, short enough to be shown whole.

    *items* in the order of the edition; *sizes*: bytes of HTML by block key. *wanted_lead*: the article that leads
    where it is among the items, else the one does that leads by itself. An article that has changed since the blocks
    were rendered stands where there is a block for it: without a heading, or among the news.
    """
    chosen = [articles[item.article_id] for item in items]
    named = next((article for article in chosen if article.id == wanted_lead), None)
    leading = named or choose_lead(chosen, cut_at=cut_at)
    lead = next((item for item in items if leading and item.article_id == leading.id), None)
    grouped: dict[str, list[str]] = {}
    events = []
    for item, article in zip(items, chosen, strict=True):
        section = section_of(article, sections, topic_order)
        if item is lead:
            continue
        if is_upcoming(article, cut_at) and f"event:{item.key}" in sizes:
            events.append(item.key)
        else:
            grouped.setdefault(section if f"section:{section}" in sizes else "", []).append(item.key)
    layout = lay_out(lead=lead.key if lead else None, sections=list(grouped.items()), events=events, sizes=sizes)
    return Arrangement(lead, layout)
