"""Articles for tests of decisions: whole values with little said, and strategies that make many of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from newsletter.domain.articles import Article, ArticleState, Event, Kind, Translation
from newsletter.domain.filters import Filter, choose

NOON = datetime(2026, 3, 16, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
LANGUAGES = ("en", "ru", "ky")
SOURCES = ("press", "site")
TOPICS = (1, 2, 3, 11, 12, 111)
ANCESTORS = {1: (), 2: (), 3: (), 11: (1,), 12: (1,), 111: (11, 1)}


def article(number: int = 1, *languages: str, at: datetime = NOON, **changes: Any) -> Article:
    """Return a published story of one language, English unless others are given, the first being its own."""
    languages = languages or ("en",)
    made = Article(
        id=number,
        uid=f"uid-{number}",
        kind=Kind.STORY,
        state=ArticleState.PUBLISHED,
        source="press",
        published_at=at,
        visible_at=at,
        updated_at=at,
        modified_at=at,
        revision=1,
        default_language=languages[0],
        translations={
            code: Translation(code, f"Title {number} {code}", "A summary.", "<p>Body</p>") for code in languages
        },
    )
    return replace(made, **changes)


def event(number: int, starts_at: datetime, **changes: Any) -> Article:
    """Return an event notice."""
    return article(number, kind=Kind.EVENT, event=Event(starts_at, None, "Asia/Bishkek"), **changes)


def subsets(values: Any, *, max_size: int = 2) -> st.SearchStrategy[list[Any]]:
    """A few of *values*, none twice."""
    return st.lists(st.sampled_from(values), unique=True, max_size=max_size)


@st.composite
def articles(draw: st.DrawFn, *, max_size: int = 5) -> list[Article]:
    """Articles with different ids, of any kind, source, language and topic."""
    made = []
    for number in range(1, draw(st.integers(0, max_size)) + 1):
        languages = draw(st.lists(st.sampled_from(LANGUAGES), unique=True, min_size=1))
        made.append(
            article(
                number,
                *languages,
                at=NOON - draw(st.integers(0, 200)) * HOUR,
                kind=draw(st.sampled_from(Kind)),
                source=draw(st.sampled_from(SOURCES)),
                topics=tuple(draw(subsets(TOPICS))),
                revision=draw(st.integers(1, 3)),
            )
        )
    return made


def filters() -> st.SearchStrategy[Filter]:
    """Filters of any facets, everything included."""
    return st.builds(
        choose,
        topics=subsets((*TOPICS, 99)),
        kinds=subsets(list(Kind)),
        sources=subsets((*SOURCES, "elsewhere")),
        languages=subsets((*LANGUAGES, "de")),
    )
