"""Offers: what a reader can choose of each list, so that a form shows nothing that the list never carries."""

from dataclasses import dataclass

from newsletter.domain.articles import Kind
from newsletter.domain.filters import choose
from newsletter.domain.lists import MailingList
from newsletter.domain.subscriptions import SubscriptionState, fit_filter
from newsletter.domain.topics import Topic, ancestors
from newsletter.services.context import App, Transaction
from newsletter.services.filters import NamedFilter, load_names
from newsletter.services.reading import in_menu_order
from newsletter.services.subscriptions import Standing, find_standing
from newsletter.storage.lists import load_filter, load_lists
from newsletter.storage.subscriptions import load_subscriptions
from newsletter.storage.topics import load_topics


@dataclass(frozen=True, slots=True)
class Offer:
    """A list with the topics (in menu order), kinds and article languages among which its readers choose."""

    mailing_list: MailingList
    topics: tuple[Topic, ...]
    kinds: tuple[Kind, ...]
    languages: tuple[str, ...]


def list_offers(app: App) -> list[Offer]:
    """Return what the public lists offer, in order of slug."""
    with app.reading() as tx:
        return [find_offer(tx, each) for each in load_lists(tx.session, is_public=True)]


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a reader chose of a list, and among what they may choose anew.

    *lists* are those that anybody can have, *held* the slugs of those the reader has, hidden ones among them.
    """

    standing: Standing
    offer: Offer
    chosen: NamedFilter
    lists: tuple[MailingList, ...]
    held: frozenset[str]


def find_preferences(app: App, uid: str) -> Preferences:
    """
    Return what the page behind a preferences link has to show.

    Raises:
        NotFoundError: no subscription has that uid.
    """
    with app.reading() as tx:
        standing = find_standing(tx, uid)
        choice = load_filter(tx.session, standing.latest.filter_id)
        mine = load_subscriptions(tx.session, [standing.named.subscriber_id])
        live = {each.list_id for each in mine if each.state is SubscriptionState.CONFIRMED}
        lists = load_lists(tx.session)
        return Preferences(
            standing,
            find_offer(tx, standing.mailing_list),
            load_names(tx).name(choice),
            tuple(each for each in lists if each.is_public),
            frozenset(each.slug for each in lists if each.id in live),
        )


def find_offer(tx: Transaction, mailing_list: MailingList) -> Offer:
    """Return what one list offers."""
    topics = in_menu_order(load_topics(tx.session))
    everything = choose(topics=(topic.id for topic in topics), kinds=Kind, languages=tx.settings.languages)
    carried = load_filter(tx.session, mailing_list.filter_id)
    offered = fit_filter(everything, carried, ancestors(topics))
    return Offer(
        mailing_list,
        tuple(topic for topic in topics if topic.id in offered.topics),
        tuple(kind for kind in Kind if kind in offered.kinds),
        tuple(code for code in tx.settings.languages if code in offered.languages),
    )
