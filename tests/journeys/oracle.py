"""Who must get which article, computed the naive way: reader by reader, article by article, day by day.

Nothing of the service's own selection is used here, only what it says of its articles once they are in.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from newsletter.domain.articles import Article

Expected = dict[tuple[str, str], frozenset[str]]
"""The uids of the articles that each (address, slot key) must hold; a slot without any is left out."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What one reader chose of the list, by slugs and codes; an empty facet chooses everything."""

    address: str
    language: str
    cadence: str
    topics: tuple[str, ...]
    kinds: tuple[str, ...]
    languages: tuple[str, ...]


def expect(
    wishes: Iterable[Wish],
    articles: Iterable[Article],
    *,
    slugs: Mapping[int, str],
    since: datetime,
    until: datetime,
    zone: ZoneInfo,
) -> Expected:
    """Say what each reader must find, in editions with a slot at 08:00 local time after *since* and by *until*.

    Whatever is dated by the day of *since* or later is news.
    """
    articles = list(articles)
    first_day = datetime.combine(since.astimezone(zone).date(), time(), zone)
    expected: Expected = {}
    for wish in wishes:
        had: set[str] = set()
        for slot_key, slot_at in calendar(wish.cadence, since, until, zone):
            due = {
                article.uid
                for article in articles
                if first_day <= article.visible_at <= slot_at and article.uid not in had and wants(wish, article, slugs)
            }
            had |= due
            if due:
                expected[wish.address, slot_key] = frozenset(due)
    return expected


def wants(wish: Wish, article: Article, slugs: Mapping[int, str]) -> bool:
    """Say whether the reader chose this article."""
    about = {slugs[topic] for topic in article.topics}
    return (
        (not wish.topics or bool(about & set(wish.topics)))
        and (not wish.kinds or article.kind.value in wish.kinds)
        and (not wish.languages or bool(set(article.translations) & set(wish.languages)))
    )


def calendar(cadence: str, since: datetime, until: datetime, zone: ZoneInfo) -> Iterable[tuple[str, datetime]]:
    """Give the slots of a cadence as (key, instant): each day, or each Monday, at 08:00."""
    day = since.astimezone(zone).date()
    while (slot_at := datetime.combine(day, time(8), zone)) <= until:
        if slot_at >= since:
            if cadence == "daily":
                yield day.isoformat(), slot_at
            elif cadence == "weekly" and day.weekday() == 0:
                year, week, _ = day.isocalendar()
                yield f"{year}-W{week:02d}", slot_at
        day += timedelta(days=1)
