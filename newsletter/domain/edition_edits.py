"""Edition edits: what staff change in one edition before it goes out, and what an edition is with those changes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from newsletter.domain.articles import Article

Key = TypeVar("Key", str, tuple[int, str])


class EditKind(StrEnum):
    """One sort of change; a later one of the same sort and article overrules an earlier one."""

    INTRO = "intro"  # words above this edition, by language; none: the list's standing ones again
    LEAD = "lead"  # leads for every reader who gets it; no article: chosen by itself again
    PIN = "pin"  # stands before all that is not pinned, in the order of pinning
    UNPIN = "unpin"
    DROP = "drop"  # not in this edition nor in a later one; words: the reason
    POSTPONE = "postpone"  # not in this edition, free for the next one; words: the reason
    RESTORE = "restore"  # undoes a drop or a postponement
    ORDER = "order"  # one for each article, in the new order; words: its place, and the first begins a new order
    SUMMARY = "summary"  # words in a language, for this edition alone; none: the article's own again
    ADD = "add"  # an article of the list that would not be in it by itself, such as an event known for long
    RESET = "reset"  # forgets every change made so far


FIRST = "1"
"""The words of the article with which an order begins."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One change, as it was made; *at* None: not on record yet."""

    kind: EditKind
    article_id: int | None = None
    language: str | None = None
    words: str | None = None
    at: datetime | None = None
    actor: str = ""


@dataclass(frozen=True, slots=True)
class Edits:
    """All changes to an edition taken together; ids are those of articles.

    *dropped* and *postponed* with the reason; *order* lists only what was put in order; *summaries* by article and
    language.
    """

    intros: Mapping[str, str] = field(default_factory=dict)
    lead: int | None = None
    pinned: tuple[int, ...] = ()
    dropped: Mapping[int, str] = field(default_factory=dict)
    postponed: Mapping[int, str] = field(default_factory=dict)
    order: tuple[int, ...] = ()
    summaries: Mapping[tuple[int, str], str] = field(default_factory=dict)
    added: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is changed."""
        return self != NO_EDITS

    @property
    def left_out(self) -> frozenset[int]:
        """Articles that are not in the edition because staff took them out."""
        return frozenset({*self.dropped, *self.postponed})


NO_EDITS = Edits()


def taken_together(edits: Iterable[Edit]) -> Edits:
    """Return what *edits*, in their order, come to."""
    result = NO_EDITS
    for edit in edits:
        result = _with(result, edit)
    return result


def _with(edits: Edits, edit: Edit) -> Edits:  # noqa: C901, PLR0911  one case for each kind
    article = edit.article_id or 0
    words = edit.words or ""
    match edit.kind:
        case EditKind.INTRO:
            return replace(edits, intros=_put(edits.intros, edit.language or "", words))
        case EditKind.LEAD:
            return replace(edits, lead=edit.article_id)
        case EditKind.PIN:
            return replace(edits, pinned=(*_without(edits.pinned, article), article))
        case EditKind.UNPIN:
            return replace(edits, pinned=_without(edits.pinned, article))
        case EditKind.DROP:
            kept = _restored(edits, article)
            return replace(kept, dropped={**kept.dropped, article: words})
        case EditKind.POSTPONE:
            kept = _restored(edits, article)
            return replace(kept, postponed={**kept.postponed, article: words})
        case EditKind.RESTORE:
            return _restored(edits, article)
        case EditKind.ORDER:
            before = () if edit.words == FIRST else edits.order
            return replace(edits, order=(*_without(before, article), article))
        case EditKind.SUMMARY:
            return replace(edits, summaries=_put(edits.summaries, (article, edit.language or ""), words))
        case EditKind.ADD:
            return replace(edits, added=(*_without(edits.added, article), article))
        case EditKind.RESET:
            return NO_EDITS


def _put(known: Mapping[Key, str], key: Key, words: str) -> dict[Key, str]:
    """Return *known* with *words* for *key*, or without it where there are no words."""
    return {**{each: text for each, text in known.items() if each != key}, **({key: words} if words else {})}


def _without(ids: Sequence[int], gone: int) -> tuple[int, ...]:
    return tuple(each for each in ids if each != gone)


def _restored(edits: Edits, article: int) -> Edits:
    return replace(
        edits,
        dropped={each: why for each, why in edits.dropped.items() if each != article},
        postponed={each: why for each, why in edits.postponed.items() if each != article},
    )


def in_edited_order(articles: Sequence[Article], edits: Edits) -> list[Article]:
    """Return *articles* as staff want them: pinned first, then those put in order, then the rest as they were."""
    wanted = list(dict.fromkeys((*edits.pinned, *edits.order)))
    places = {article_id: place for place, article_id in enumerate(wanted)}
    return sorted(articles, key=lambda article: places.get(article.id, len(places)))


def retold(article: Article, edits: Edits) -> Article:
    """Return *article* with the summaries that it has in this edition alone."""
    own = {language: words for (article_id, language), words in edits.summaries.items() if article_id == article.id}
    if not own:
        return article
    return replace(
        article,
        translations={
            language: replace(text, summary=own.get(language, text.summary))
            for language, text in article.translations.items()
        },
    )
