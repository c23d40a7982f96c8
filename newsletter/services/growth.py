"""Growth: how many readers each list gained and lost, week by week; nothing here writes."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from newsletter.services.context import App
from newsletter.services.lists import list_lists
from newsletter.storage import growth

WEEKS = 12
MOST_WEEKS = 104


@dataclass(frozen=True, slots=True)
class Week:
    """One week of a list, from Monday on, UTC."""

    begins_on: date
    gained: int
    lost: int


@dataclass(frozen=True, slots=True)
class ListGrowth:
    """A list's readers now, how many it gained and lost in each of the last weeks, and why it lost them."""

    list_slug: str
    titles: Mapping[str, str]
    readers: int
    weeks: tuple[Week, ...]
    reasons: Mapping[str, int]


def measure_growth(app: App, *, weeks: int = WEEKS) -> list[ListGrowth]:
    """Return what became of each list's readers in the last *weeks*, this one included, the oldest first."""
    monday = app.clock().astimezone(UTC).date()
    monday -= timedelta(days=monday.weekday())
    mondays = [monday - timedelta(weeks=back) for back in range(min(weeks, MOST_WEEKS) - 1, -1, -1)]
    since = datetime.combine(mondays[0], time(), tzinfo=UTC)
    with app.reading() as tx:
        gains, losses = growth.count_gains(tx.session, since=since), growth.count_losses(tx.session, since=since)
    gained: dict[tuple[int, date], int] = defaultdict(int)
    lost: dict[tuple[int, date], int] = defaultdict(int)
    reasons: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for list_id, day, count in gains:
        gained[list_id, day - timedelta(days=day.weekday())] += count
    for list_id, day, reason, count in losses:
        lost[list_id, day - timedelta(days=day.weekday())] += count
        reasons[list_id][reason] += count
    return [
        ListGrowth(
            facts.mailing_list.slug,
            facts.mailing_list.titles,
            facts.confirmed,
            tuple(
                Week(each, gained[facts.mailing_list.id, each], lost[facts.mailing_list.id, each]) for each in mondays
            ),
            dict(reasons[facts.mailing_list.id]),
        )
        for facts in list_lists(app)
    ]
