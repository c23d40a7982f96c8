"""Choices of items: which of a polled document are taken, and how they are marked; what was there before is left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from newsletter.domain.drafts import Draft
from newsletter.services.context import App
from newsletter.services.sourced_items import SourcedItem
from newsletter.services.topics import TopicFinder
from newsletter.storage.articles import KnownItem, known_items
from newsletter.storage.sources import Poll
from newsletter.storage.topics import load_topics


@dataclass(frozen=True, slots=True)
class Chosen:
    """The items of a document to take; *skipped*: keys of what was there before us, *since*: when that ends."""

    items: list[SourcedItem]
    known: Mapping[str, KnownItem]
    skipped: frozenset[str]
    since: datetime | None

    def knows(self, sourced: SourcedItem) -> bool:
        """Say whether an item came before."""
        return _is_known(sourced, self.known)


def choose_items(app: App, poll: Poll, items: Sequence[SourcedItem]) -> Chosen:
    """Leave out what was there before us, and categories that are no topics of ours.

    Of a first poll the newest come in, as archive unless staff said otherwise.
    """
    with app.reading() as tx:
        names = {name for each in items for name in (each.key, *each.aliases)}
        known = known_items(tx.session, poll.source_id, names)
        finder = TopicFinder(load_topics(tx.session))
        now = tx.now
    mine, zone = [_with_known_topics(each, finder) for each in items], app.settings.zone_info
    if poll.is_first:
        chosen = _choose_newest(mine, known, most=poll.first_items, zone=zone, now=now)
        return replace(chosen, items=[replace(each, is_archive=not poll.mails_first) for each in chosen.items])
    skipped = frozenset(poll.skipped)
    kept = [each for each in mine if _is_known(each, known) or not _was_before(each, skipped, poll.since, zone)]
    return Chosen(kept, known, skipped, poll.since)


def _choose_newest(
    items: Sequence[SourcedItem], known: Mapping[str, KnownItem], *, most: int, zone: ZoneInfo, now: datetime
) -> Chosen:
    """Take what is known and the newest of the rest; what has no date is as new as can be."""
    new = [(each, each.item.draft) for each in items if each.item.draft and not _is_known(each, known)]
    dated = [(each, draft.published_at(zone)) for each, draft in new]
    newest_first = sorted(dated, key=lambda pair: -(pair[1] or now).timestamp())
    taken, left = newest_first[:most], frozenset(each.key for each, _ in newest_first[most:])
    dates = [at for _, at in taken if at]
    is_dated = len(dates) == len(taken)
    since = (min(dates) if dates else now) if is_dated and left else None
    return Chosen([each for each in items if each.key not in left], known, left, since)


def _is_known(sourced: SourcedItem, known: Mapping[str, KnownItem]) -> bool:
    return sourced.key in known or any(alias in known for alias in sourced.aliases)


def _was_before(sourced: SourcedItem, skipped: frozenset[str], since: datetime | None, zone: ZoneInfo) -> bool:
    """Say whether an item was there before we first asked, and was left out then."""
    draft = sourced.item.draft
    if draft is None:
        return False
    at = draft.published_at(zone)
    return sourced.key in skipped or (since is not None and at is not None and at < since)


def _with_known_topics(sourced: SourcedItem, finder: TopicFinder) -> SourcedItem:
    draft: Draft | None = sourced.item.draft
    if draft is None:
        return sourced
    _, unknown = finder.find(draft.topics)
    kept = tuple(dict.fromkeys(name for name in draft.topics if name not in unknown))
    return sourced.with_draft(replace(draft, topics=kept))
