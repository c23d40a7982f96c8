"""Choices on forms: turns what is offered into options to show, and what came back into known values."""

from collections.abc import Iterable

from newsletter.domain.articles import Kind
from newsletter.domain.lists import Cadence
from newsletter.domain.topics import Topic
from newsletter.rendering.languages import Language, load_language
from newsletter.rendering.plain import capitalised
from newsletter.rendering.words import cadence_name, kinds_name
from newsletter.web.visits import Visit

Option = tuple[str, str, bool]
"""One thing to tick: the value it sends, the words shown, and whether it stands under another."""


def topic_options(topics: Iterable[Topic], language: Language) -> list[Option]:
    """Return topics by slug, each under its parent where that is offered too."""
    topics = list(topics)
    offered = {topic.id for topic in topics}
    return [(topic.slug, topic.label(language.code), topic.parent_id in offered) for topic in topics]


def kind_options(kinds: Iterable[Kind], language: Language) -> list[Option]:
    """Return kinds of articles by their code."""
    return [(str(kind), kinds_name(language, kind), False) for kind in kinds]


def cadence_options(cadences: Iterable[Cadence], language: Language) -> list[Option]:
    """Return how often by code: Once a week."""
    return [(str(cadence), capitalised(cadence_name(language, cadence)), False) for cadence in cadences]


def language_options(codes: Iterable[str], visit: Visit) -> list[Option]:
    """Return languages by code, each in its own name."""
    return [(code, load_language(code, visit.app.settings.home).name, False) for code in codes]


def read_cadence(text: str) -> Cadence | None:
    """Return the cadence that a form names, None when it names none that exists."""
    return Cadence(text) if text in set(Cadence) else None
