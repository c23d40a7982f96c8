"""Compositions: which of an edition's candidates each group of readers gets, and how a variant is laid out."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from newsletter.domain.articles import Article
from newsletter.domain.editions import Item, is_upcoming, lead_rank, section_of, shown_language
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
        return tuple(chosen_of(self.all_items(preferred, allowed), mask))

    def all_items(self, preferred: Sequence[str], allowed: Sequence[str]) -> tuple[Item, ...]:
        """Return all the articles as items, each in the first of the reader's languages it has."""
        return tuple(
            Item(
                article.id,
                shown_language(article, preferred, allowed),
                article.revision,
                self.mends.get(article.id, 0),
            )
            for article in self.articles
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
    shown: dict[tuple[str, tuple[str, ...]], tuple[Item, ...]] = {}
    made: dict[tuple[int, str, tuple[str, ...]], tuple[Item, ...]] = {}

    def items(group: Group, bits: int) -> tuple[Item, ...]:
        key = (bits, group.shown_in, group.choice.languages)
        if key not in made:
            if key[1:] not in shown:
                shown[key[1:]] = candidates.all_items((group.shown_in, *fallbacks), group.choice.languages)
            made[key] = tuple(chosen_of(shown[key[1:]], bits))
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


def chosen_of(items: Sequence[Item], bits: int) -> Iterator[Item]:
    """Return those of *items* that *bits* has a bit for, in their order."""
    while bits:
        lowest = bits & -bits
        yield items[lowest.bit_length() - 1]
        bits ^= lowest


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
    placed = {
        item: place(item, articles[item.article_id], sections, topic_order, cut_at=cut_at, sizes=sizes)
        for item in items
    }
    return arrange_placed(items, placed, sizes=sizes, wanted_lead=wanted_lead)


@dataclass(frozen=True, slots=True)
class Placed:
    """What an item's article says of its place in any variant: worked out once for an edition, not once a variant.

    *section*: the key of the section it stands in; None: among the upcoming events. *rank*: of candidates for the
    lead the highest leads; None: it cannot.
    """

    key: str
    section: str | None
    rank: tuple[bool, datetime, int] | None


def place(
    item: Item,
    article: Article,
    sections: SectionsBy,
    topic_order: Mapping[int, int],
    *,
    cut_at: datetime,
    sizes: Mapping[str, int],
) -> Placed:
    """Say where an item stands; the arguments are those of `arrange`."""
    section = section_of(article, sections, topic_order)
    upcoming = is_upcoming(article, cut_at)
    is_event = upcoming and f"event:{item.key}" in sizes
    return Placed(
        key=item.key,
        section=None if is_event else section if f"section:{section}" in sizes else "",
        rank=None if upcoming else lead_rank(article),
    )


def arrange_placed(
    items: Sequence[Item],
    placed: Mapping[Item, Placed],
    *,
    sizes: Mapping[str, int],
    wanted_lead: int | None = None,
) -> Arrangement:
    """Lay out one variant as `arrange` does, of items whose places are known."""
    lead, rank = None, None
    grouped: dict[str, list[str]] = {}
    for item in items:
        if item.article_id == wanted_lead:
            lead = item
            break
        own = placed[item].rank
        if own is not None and (rank is None or own > rank):
            lead, rank = item, own
    events = []
    for item in items:
        if item is lead:
            continue
        where = placed[item]
        if where.section is None:
            events.append(where.key)
        else:
            grouped.setdefault(where.section, []).append(where.key)
    layout = lay_out(
        lead=placed[lead].key if lead else None, sections=list(grouped.items()), events=events, sizes=sizes
    )
    return Arrangement(lead, layout)
