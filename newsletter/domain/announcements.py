"""Announcements: editions that staff write themselves, to all readers of a list, to some, or to correct an article."""

from collections.abc import Mapping
from dataclasses import dataclass


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
