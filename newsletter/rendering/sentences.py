"""Sentences that fill the holes of blocks, and subjects: plain text, to be escaped for its place by the caller."""

from calendar import monthrange
from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

from newsletter.domain.lists import Cadence
from newsletter.rendering.digest import MAX_LABEL, MAX_TITLE, Digest
from newsletter.rendering.environment import render
from newsletter.rendering.languages import Language
from newsletter.rendering.plain import capitalised, clean, shortened
from newsletter.rendering.words import cadence_name

MAX_SUBJECT = 90
MAX_SUBJECT_TITLE = 40
"""What a list's title may take of a subject; phones show little more than the first half of it."""

MAX_PREHEADER = 130
MAX_LABELS = 8
"""How many chosen topics a footer names before it counts the rest."""


def render_subject(digest: Digest, lead_title: str, item_count: int, *, home: Path | None = None) -> str:
    """Return a variant's subject: the headline itself for an immediate edition, else behind the list's title.

    *lead_title* "" means that there are only events, *item_count* of them.
    """
    context = {
        "digest": digest,
        "list_title": clean(digest.list_title, MAX_SUBJECT_TITLE),
        "lead_title": clean(lead_title, MAX_TITLE),
        "item_count": item_count,
        "is_immediate": digest.cadence is Cadence.IMMEDIATE,
    }
    return clean(render("email/digest/subject.txt", digest.language, context, home=home), MAX_SUBJECT)


def render_preheader(summary: str, other_titles: Sequence[str] = ()) -> str:
    """Return the line that inboxes show behind the subject: the other headlines, or else the lead's *summary*."""
    if not other_titles:
        return clean(summary, MAX_PREHEADER)
    return shortened(" · ".join(clean(title, MAX_TITLE) for title in other_titles[:6]), MAX_PREHEADER)


def render_intro(digest: Digest, item_count: int, event_count: int = 0) -> str:
    """Return the variant's first sentence: what is in it. *event_count* upcoming events are not in *item_count*."""
    language = digest.language
    if digest.cadence is Cadence.IMMEDIATE and item_count == 1:
        return language.gettext("Just published by %(newsroom)s.", newsroom=digest.newsroom)
    contents = []
    if item_count:
        contents.append(language.ngettext("%(count)s new item", "%(count)s new items", item_count))
    if event_count:
        contents.append(language.ngettext("%(count)s upcoming event", "%(count)s upcoming events", event_count))
    return language.gettext("For you in this edition: %(contents)s.", contents=language.format_list(contents))


def render_why(
    language: Language,
    list_title: str,
    cadence: Cadence,
    topics: Sequence[str] = (),
    kinds: Sequence[str] = (),
) -> str:
    """Return why a reader gets this mail; *topics* and *kinds* are labels of what they chose, none: everything."""
    sentences = [_subscribed(language, list_title, cadence)]
    if topics:
        sentences.append(_topics(language, tuple(topics)))
    if kinds:
        sentences.append(_kinds(language, tuple(kinds)))
    return " ".join(sentences)


# An edition may have a hundred thousand choices to name, put together from few that differ.
@lru_cache(maxsize=256)
def _subscribed(language: Language, list_title: str, cadence: Cadence) -> str:
    return language.gettext(
        "You receive this e-mail because you subscribed to “%(list)s”, %(cadence)s.",
        list=clean(list_title, MAX_LABEL),
        cadence=cadence_name(language, cadence),
    )


@lru_cache(maxsize=4096)
def _topics(language: Language, labels: tuple[str, ...]) -> str:
    return language.gettext("Topics: %(labels)s.", labels=_some(language, labels))


@lru_cache(maxsize=256)
def _kinds(language: Language, labels: tuple[str, ...]) -> str:
    return language.gettext("Kinds: %(labels)s.", labels=_some(language, labels))


def render_more(language: Language, count: int) -> str:
    """Return the line for what did not fit: 3 more on the site."""
    return language.ngettext("%(count)s more on the site", "%(count)s more on the site", count)


def render_dateline(digest: Digest) -> str:
    """Return what the edition is for: its day, its days, or its month."""
    if digest.period is None or digest.cadence in (Cadence.IMMEDIATE, Cadence.DAILY):
        return capitalised(digest.language.format_date(digest.slot_on, with_weekday=True))
    first, last = digest.period
    if first.day == 1 and last == first + timedelta(days=monthrange(first.year, first.month)[1] - 1):
        return capitalised(digest.language.format_month(first))
    return digest.language.format_dates(first, last)


def _some(language: Language, labels: Sequence[str]) -> str:
    shown = [clean(label, MAX_LABEL) for label in labels[:MAX_LABELS]]
    rest = len(labels) - len(shown)
    if rest:
        shown.append(language.ngettext("%(count)s more", "%(count)s more", rest))
    return ", ".join(shown)
