"""Explaining: why each article of an edition is, or is not, in the mail of one reader; and where an article went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from newsletter.domain.articles import Article
from newsletter.domain.edition_edits import taken_together
from newsletter.domain.editions import Edition, Item
from newsletter.domain.filters import Filter, matches
from newsletter.domain.topics import Topic, ancestors
from newsletter.errors import NotFoundError
from newsletter.mail.addresses import parse_address
from newsletter.services.articles import show_article
from newsletter.services.context import App, Transaction
from newsletter.services.filters import NamedFilter, load_names
from newsletter.storage import articles as article_store
from newsletter.storage import edition_edits, edition_shares, variants
from newsletter.storage import editions as edition_store
from newsletter.storage import lists as list_store
from newsletter.storage import subscribers as subscriber_store
from newsletter.storage import topics as topic_store
from newsletter.storage.edition_shares import Share, Whereabouts


class Why(StrEnum):
    """Why an article is, or is not, in a reader's mail."""

    SHOWN = "shown"
    COUNTED = "counted"  # it did not fit, and is one of those that "more on the site" counts
    NOT_CHOSEN = "not_chosen"
    HAD = "had"  # an earlier mail of this list brought it
    DROPPED = "dropped"  # by staff, for good
    POSTPONED = "postponed"  # by staff, to the next edition
    WITHDRAWN = "withdrawn"
    CAME_LATER = "came_later"  # the reader's choice does take it now, and did not when the edition was composed


@dataclass(frozen=True, slots=True)
class ArticleFate:
    """One article of an edition as it fared with one reader; *told* in words."""

    uid: str
    title: str
    why: Why
    told: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A reader's part of an edition; *told*: what became of their mail, in words. *choice*: by which it was decided."""

    edition_id: int
    list_slug: str
    address: str
    cadence: str
    language: str
    choice: NamedFilter
    told: str
    articles: tuple[ArticleFate, ...]


@dataclass(frozen=True, slots=True)
class ArticleStory:
    """Where an article went: the editions that hold it, and how many mails with it came to which state."""

    uid: str
    title: str
    editions: tuple[Whereabouts, ...]


def explain_edition(app: App, address: str, edition_id: int) -> Explanation:
    """Say why each article of an edition is, or is not, in the mail of the reader with *address*.

    Raises:
        InvalidError: it is no address.
        NotFoundError: there is no such edition or reader, or they read none of the list at its cadence.
    """
    key = parse_address(address).key
    with app.reading() as tx:
        edition = edition_store.load_edition(tx.session, edition_id)
        if edition is None:
            raise NotFoundError(f"there is no edition {edition_id}; see `newsletter editions list`")
        person = subscriber_store.load_subscriber(tx.session, key)
        if person is None:
            raise NotFoundError(f"nobody subscribes by {address}; `newsletter subscribers list` shows who does")
        mailing_list = list_store.load_list_by_id(tx.session, edition.list_id)
        share = edition_shares.share_of(tx.session, edition, person.id)
        if share is None:
            raise NotFoundError(
                f"{address} does not read list {mailing_list.slug!r} at its {edition.cadence} cadence; "
                f"`newsletter subscribers show {address}` says what they read"
            )
        choice = list_store.load_filter(tx.session, share.filter_id)
        return Explanation(
            edition_id=edition_id,
            list_slug=mailing_list.slug,
            address=address,
            cadence=share.cadence,
            language=share.language,
            choice=load_names(tx).name(choice),
            told=_told(tx, edition, share),
            articles=tuple(_fates(tx, edition, share, person.id, choice)),
        )


def trace_article(app: App, uid: str) -> ArticleStory:
    """Say where an article went.

    Raises:
        NotFoundError, ConflictError: as `show_article`.
    """
    with app.reading() as tx:
        record = show_article(tx, uid)
        found = edition_shares.whereabouts(tx.session, record.id)
        return ArticleStory(record.uid, record.title, tuple(found))


def _told(tx: Transaction, edition: Edition, share: Share) -> str:
    """Say in words what became of a reader's mail."""
    if share.delivery_id is not None:
        fate = edition_shares.fate_of(tx.session, share.delivery_id)
        return f"{fate.state}" + (f": {fate.reason}" if fate.reason else _at(tx, fate.accepted_at))
    if reason := edition_shares.exclusion_of(tx.session, edition.id, share.subscription_id):
        return _EXCLUDED.get(reason, reason)
    if share.variant_id is not None:
        return "no mail has been made yet"
    if not share.is_foreseen and not share.is_exception:
        return "it is decided when the mails are made, since nobody with this choice read the list before"
    return "they get none: nothing in it is for their choice"


def _at(tx: Transaction, moment: datetime | None) -> str:
    return f" {moment.astimezone(tx.settings.zone_info):%Y-%m-%d %H:%M %Z}" if moment else ""


_EXCLUDED: Mapping[str, str] = {
    "nothing_chosen": "they got none: nothing in it was for their choice",
    "suppressed": "they got none: the address must not be mailed",
    "has_one_already": "they got it by an earlier subscription of theirs",
}


def _fates(tx: Transaction, edition: Edition, share: Share, subscriber_id: int, choice: Filter) -> list[ArticleFate]:
    edits = taken_together(edition_edits.load_edits(tx.session, edition.id))
    held = edition_store.edition_items(tx.session, edition.id)
    ids = list(dict.fromkeys([*(each for each, _ in held), *edits.postponed]))
    had = edition_shares.had_before(tx.session, edition, subscriber_id, ids)
    articles = {each.id: each for each in article_store.load_articles(tx.session, ids)}
    topics = topic_store.load_topics(tx.session)
    known = {  # what comes later decides
        **{each: (Why.WITHDRAWN, "it was withdrawn") for each, at in held if at is not None},
        **{each: (Why.POSTPONED, f"left to the next edition by staff: {why}") for each, why in edits.postponed.items()},
        **{each: (Why.DROPPED, f"taken out by staff: {why}") for each, why in edits.dropped.items()},
        **_shown(tx, share),
    }
    result = []
    for article in (articles[each] for each in ids if each in articles):
        why, told = known.get(article.id) or _missing(article, choice, topics, had.get(article.id))
        result.append(ArticleFate(article.uid, article.best_translation(share.language).title, why, told))
    return result


def _shown(tx: Transaction, share: Share) -> dict[int, tuple[Why, str]]:
    """Say by article how each stands in the mail."""
    if share.variant_id is None:
        return {}
    blocks = variants.load_variants(tx.session, [share.variant_id])[share.variant_id].blocks
    items = variants.variant_items(tx.session, share.variant_id)
    return {item.article_id: _shown_as(item, blocks) for item in items}


def _shown_as(item: Item, blocks: Sequence[str]) -> tuple[Why, str]:
    if not any(key.endswith(f":{item.key}") for key in blocks):
        return Why.COUNTED, "it did not fit; the line “more on the site” counts it"
    size = "as the lead" if f"lead:{item.key}" in blocks else "by its title" if f"brief:{item.key}" in blocks else ""
    mended = " with the words it was mended to" if item.mend else ""
    return Why.SHOWN, " ".join(part for part in (f"shown in {item.language}", size) if part) + mended


def _missing(article: Article, choice: Filter, topics: Sequence[Topic], had_in: int | None) -> tuple[Why, str]:
    """Say why an article that nobody took out is not in the mail; *had_in*: the earlier edition that brought it."""
    if not matches(choice, article, ancestors(topics)):
        return Why.NOT_CHOSEN, _unchosen(choice, article, topics)
    if had_in is not None:
        return Why.HAD, f"edition {had_in} brought it"
    return Why.CAME_LATER, "the choice takes it now, and did not when the edition was composed"


def _unchosen(choice: Filter, article: Article, topics: Sequence[Topic]) -> str:
    """Say which part of the choice leaves an article out."""
    parents = ancestors(topics)
    slugs = {topic.id: topic.slug for topic in topics}
    facets = []
    about = {each for topic in article.topics for each in (topic, *parents.get(topic, ()))}
    if choice.topics and not about & set(choice.topics):
        named = ", ".join(slugs[topic] for topic in article.topics if topic in slugs) or "no topic"
        facets.append(f"it is about {named}")
    if choice.kinds and article.kind not in choice.kinds:
        facets.append(f"it is a {article.kind}")
    if choice.sources and article.source not in choice.sources:
        facets.append(f"it is from {article.source}")
    if choice.languages and not set(choice.languages) & set(article.translations):
        facets.append(f"it is in {', '.join(article.translations)}")
    return "not chosen: " + " and ".join(facets or ["another choice was in force"])
