"""Announcements: editions that staff write themselves, to all readers of a list, to some, or to correct an article."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from newsletter.domain.filters import Filter


@dataclass(frozen=True, slots=True)
class Letter:
    """What an announcement says in one language: its subject, and its body as sanitised HTML and as text."""

    subject: str
    html: str
    text: str


@dataclass(frozen=True, slots=True)
class Announcement:
    """An announcement's words by language, and whom it is for.

    *filter_id*: readers whose own choice meets this filter; None: all readers of the list, whatever they chose.
    *corrects*: the edition and the article that it corrects; then it is for those alone who were sent them.
    """

    edition_id: int
    letters: Mapping[str, Letter]
    filter_id: int | None = None
    corrects: tuple[int, int] | None = None


def concerns(wanted: Filter, choice: Filter, ancestors: Mapping[int, Sequence[int]]) -> bool:
    """Say whether what is about *wanted* concerns a reader with *choice*: each facet of the two meets, or is open.

    A topic meets itself, what is above it and what is below it.
    """
    lines = {each: {each, *ancestors.get(each, ())} for each in (*wanted.topics, *choice.topics)}
    topics_meet = any(a in lines[b] or b in lines[a] for a in wanted.topics for b in choice.topics)
    return (
        (not wanted.topics or not choice.topics or topics_meet)
        and (not wanted.kinds or not choice.kinds or bool(set(wanted.kinds) & set(choice.kinds)))
        and (not wanted.sources or not choice.sources or bool(set(wanted.sources) & set(choice.sources)))
    )
