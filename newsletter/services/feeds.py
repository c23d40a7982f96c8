"""Feeds: made for each topic, kind and list in each language, closed and opened, marked when articles change."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from newsletter.dispatch import Doorbell
from newsletter.domain.articles import Article
from newsletter.domain.feeds import (
    FORGOTTEN_AFTER,
    Facet,
    Feed,
    FeedFormat,
    FeedPlan,
    document_name,
    feed_address,
)
from newsletter.domain.filters import EVERYTHING, Filter, matches
from newsletter.domain.topics import ancestors
from newsletter.errors import ConflictError, NotFoundError
from newsletter.services.audit import record_act
from newsletter.services.context import App, Transaction
from newsletter.services.feed_building import load_writer, plans_of
from newsletter.services.feed_documents import SWAPS
from newsletter.services.feed_writing import FeedWriter
from newsletter.services.websub import note_changed_documents
from newsletter.storage import feed_documents
from newsletter.storage import feeds as storage
from newsletter.storage.articles import load_articles
from newsletter.storage.feeds import FormerFeed, NewFeed
from newsletter.storage.lists import intern_filters, load_filters
from newsletter.storage.topics import load_topics


@dataclass(frozen=True, slots=True)
class FeedFacts:
    """A feed with what is served of it; *size* is that of its largest document, *changed_at* its Last-Modified."""

    feed: Feed
    addresses: dict[FeedFormat, str]
    size: int
    changed_at: datetime | None
    wants_rebuild: bool


def ensure_feeds(tx: Transaction) -> int:
    """Make the feeds that are missing, change those whose title or filter changed, remove those without a subject.

    There is one of everything, and of each topic, kind and public list, in each of the newsroom's languages; those that
    somebody asked for stay as long as what they are made of. Returns how many were made, changed or removed; rings for
    their documents. Safe to repeat.
    """
    writer = load_writer(tx)
    stored = storage.load_feeds(tx.session)
    missing, changed, superfluous = differences(tx, writer, stored, plans_of(tx, writer, stored))
    add_planned(tx, writer, missing)
    ids = _intern(tx, changed.values())
    for feed_id, plan in changed.items():
        storage.change_feed(
            tx.session,
            feed_id,
            filter_id=ids[plan.choice],
            within_id=_within_id(plan, ids),
            title=writer.title(plan),
            now=tx.now,
        )
    gone = [FormerFeed(feed.slug, None, is_final=False) for feed in superfluous if feed.facet.is_named]
    storage.add_former(tx.session, [each for each in gone if each.slug not in writer.closed], now=tx.now)
    _remove(tx, superfluous)
    count = len(missing) + len(changed) + len(superfluous)
    if count:
        tx.ring(Doorbell.REBUILD_FEEDS)
    return count


def add_planned(tx: Transaction, writer: FeedWriter, plans: Sequence[FeedPlan]) -> None:
    """Store the feeds of *plans*; one that is there already is left as it is.

    A feed that is made by asking counts as made when the newsroom's first was: made anew, it is the same again.
    """
    ids = _intern(tx, plans)
    begun = datetime.combine(writer.authority.since, datetime.min.time(), tx.now.tzinfo)
    storage.add_feeds(
        tx.session,
        [
            NewFeed(
                plan.slug,
                plan.facet,
                plan.subject,
                plan.language,
                ids[plan.choice],
                writer.title(plan),
                within_id=_within_id(plan, ids),
                created_at=None if plan.facet.is_named else begun,
            )
            for plan in plans
        ],
        now=tx.now,
    )
    storage.remove_former(tx.session, [plan.slug for plan in plans])


def close_feed(app: App, slug: str, *, moved_to: str = "") -> None:
    """Close a named feed for good: whoever asks for it is told that it is gone, or where it *moved_to*.

    Raises:
        NotFoundError: there is no such feed, or none that it could have moved to.
        ConflictError: it would move to itself.
    """
    with app.transaction() as tx:
        feed = _named(tx, slug)
        if moved_to:
            if _named(tx, moved_to).slug == feed.slug:
                raise ConflictError(f"the feed {slug} cannot move to itself")
            storage.redirect_former(tx.session, slug, moved_to)  # so that nobody is sent on twice
        storage.add_former(tx.session, (FormerFeed(slug, moved_to or None, is_final=True),), now=tx.now)
        _remove(tx, (feed,))
        storage.mark_changed(tx.session, [each.id for each in storage.load_feeds(tx.session)], now=tx.now)
        record_act(tx, "closed", f"feed {slug}", moved_to=moved_to)
        tx.ring(Doorbell.REBUILD_FEEDS)
    SWAPS.note()


def open_feed(app: App, slug: str) -> None:
    """Open a feed again that staff closed or moved; it is made with the next rebuild.

    Raises:
        NotFoundError: staff did not close such a feed.
    """
    with app.transaction() as tx:
        former = storage.load_former(tx.session, slug)
        if former is None or not former.is_final:
            raise NotFoundError(f"no feed {slug} was closed")
        storage.remove_former(tx.session, (slug,))
        record_act(tx, "opened", f"feed {slug}")
        tx.ring(Doorbell.REBUILD_FEEDS)


def _remove(tx: Transaction, feeds: Collection[Feed]) -> None:
    """Remove feeds with their documents; whoever follows one is told that it is gone."""
    note_changed_documents(tx, [document_name(feed.slug, form) for feed in feeds for form in FeedFormat])
    storage.remove_feeds(tx.session, [feed.id for feed in feeds])


def _named(tx: Transaction, slug: str) -> Feed:
    feed = storage.load_feed(tx.session, slug)
    if feed is None or not feed.facet.is_named:
        raise NotFoundError(f"there is no feed {slug}; see `newsletter feeds list`")
    return feed


def _within_id(plan: FeedPlan, ids: dict[Filter, int]) -> int | None:
    return None if plan.within == EVERYTHING else ids[plan.within]


def _intern(tx: Transaction, plans: Iterable[FeedPlan]) -> dict[Filter, int]:
    filters = {choice for plan in plans for choice in (plan.choice, plan.within)}
    return intern_filters(tx.session, filters)


def note_article_changes(tx: Transaction, article_ids: Collection[int]) -> None:
    """Note, in the transaction that changes them, that articles were published, changed, retagged or withdrawn.

    Whoever rebuilds feeds next marks those that are concerned, whether or not the doorbell rung here is heard. Costs
    the transaction one small write. Safe to repeat.
    """
    if article_ids:
        storage.note_changes(tx.session, article_ids, now=tx.now)
        tx.ring(Doorbell.REBUILD_FEEDS)


def mark_feeds_dirty(tx: Transaction, article_ids: Collection[int]) -> int:
    """Mark the feeds that hold one of these articles or would choose it now; return how many.

    Other feeds are not touched, nor are their validators.
    """
    feeds = storage.load_feeds(tx.session)
    concerned = storage.feeds_that_hold(tx.session, article_ids)
    filter_ids = {each for feed in feeds for each in (feed.filter_id, feed.within_id) if each is not None}
    choices = load_filters(tx.session, filter_ids)
    parents = ancestors(load_topics(tx.session))
    articles = load_articles(tx.session, article_ids)
    for article in articles:
        chosen = {filter_id for filter_id, choice in choices.items() if matches(choice, article, parents)}
        concerned.update(feed.id for feed in feeds if _is_in(feed, article, chosen))
    storage.mark_changed(tx.session, concerned, now=tx.now)
    return len(concerned)


def _is_in(feed: Feed, article: Article, chosen: Collection[int]) -> bool:
    """Say whether *feed* is to hold *article*, which the filters with the ids *chosen* choose."""
    speaks = feed.facet is Facet.CHOICE or feed.language in article.translations
    return speaks and feed.filter_id in chosen and (feed.within_id is None or feed.within_id in chosen)


def list_feeds(tx: Transaction) -> list[FeedFacts]:
    """Return all feeds with what is served of them, in the order of subjects and languages."""
    facts = feed_documents.document_facts(tx.session)
    feeds = storage.load_feeds(tx.session)
    fingerprints: dict[str, str] = {}
    if storage.load_authority(tx.session) is not None:
        writer = load_writer(tx)
        plans = plans_of(tx, writer, feeds)
        fingerprints = {slug: writer.fingerprint(plan) for slug, plan in plans.items()}
    return [
        FeedFacts(
            feed=feed,
            addresses=_addresses(tx.settings.base_url, feed),
            size=facts[feed.id][0] if feed.id in facts else 0,
            changed_at=facts[feed.id][1] if feed.id in facts else None,
            wants_rebuild=feed.wants_rebuild(fingerprint=fingerprints.get(feed.slug, ""), now=tx.now),
        )
        for feed in feeds
    ]


def _addresses(base_url: str, feed: Feed) -> dict[FeedFormat, str]:
    if not feed.stem:
        return {}
    return {form: feed_address(base_url, feed.stem, form, feed.query) for form in FeedFormat}


def differences(
    tx: Transaction, writer: FeedWriter, stored: Sequence[Feed], plans: Mapping[str, FeedPlan]
) -> tuple[list[FeedPlan], dict[int, FeedPlan], list[Feed]]:
    """Return the plans without a feed, the plans by id of the feeds that differ, the feeds without a plan.

    A feed that somebody asked for is without a plan too when nobody has for long.
    """
    feeds = {feed.slug: feed for feed in stored}
    choices = load_filters(
        tx.session, {each for feed in stored for each in (feed.filter_id, feed.within_id) if each is not None}
    )
    changed = {
        feeds[slug].id: plan
        for slug, plan in plans.items()
        if slug in feeds and _said(feeds[slug], choices) != (plan.choice, plan.within, writer.title(plan))
    }
    missing = [plan for slug, plan in plans.items() if slug not in feeds]
    forgotten = tx.now - FORGOTTEN_AFTER
    superfluous = [
        feed
        for slug, feed in feeds.items()
        if slug not in plans or (feed.asked_at is not None and feed.asked_at < forgotten)
    ]
    return missing, changed, superfluous


def _said(feed: Feed, choices: dict[int, Filter]) -> tuple[Filter, Filter, str]:
    within = choices[feed.within_id] if feed.within_id is not None else EVERYTHING
    return choices[feed.filter_id], within, feed.title
