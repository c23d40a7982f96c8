"""History: what a reader was sent, and which of their choices brought each article."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from newsletter.domain.articles import Article, ArticleState, Kind, Translation
from newsletter.domain.filters import Filter
from newsletter.domain.lists import MailingList
from newsletter.domain.topics import Topic, ancestors
from newsletter.services.context import App
from newsletter.services.subscriptions import Standing, find_standing
from newsletter.storage import history as storage
from newsletter.storage import lists as list_store
from newsletter.storage.articles import load_articles
from newsletter.storage.topics import load_topics

PAGE = 20
"""Editions on one page."""


@dataclass(frozen=True, slots=True)
class SentArticle:
    """An article that a reader was sent, as it was shown, and why: the chosen topics and kind that it has.

    Neither topics nor kind: the reader chose everything that the list carries.
    """

    article: Article
    shown: Translation
    topics: tuple[Topic, ...]
    kind: Kind | None


@dataclass(frozen=True, slots=True)
class SentEdition:
    """An edition that a reader was sent; *digest* names its content in the archive."""

    mailing_list: MailingList
    slot_key: str
    sent_at: datetime
    subject: str
    language: str
    digest: str
    articles: tuple[SentArticle, ...]


@dataclass(frozen=True, slots=True)
class History:
    """Some of what a reader was sent, the last first; *older* is where the next page begins, where there is one."""

    standing: Standing
    editions: tuple[SentEdition, ...]
    older: int | None


def read_history(app: App, uid: str, *, before: int | None = None) -> History:
    """
    Return what the reader whom a token names was sent, of all lists; articles that were withdrawn since are left out.

    Raises:
        NotFoundError: no subscription has that uid.
    """
    with app.reading() as tx:
        standing = find_standing(tx, uid)
        sent = storage.load_sent(tx.session, standing.named.subscriber_id, before=before, limit=PAGE + 1)
        shown = storage.load_shown(tx.session, [each.variant_id for each in sent[:PAGE]])
        wanted = {article_id for items in shown.values() for article_id, _ in items}
        articles = {each.id: each for each in load_articles(tx.session, sorted(wanted))}
        topics = load_topics(tx.session)
        choices = list_store.load_filters(tx.session, {each.filter_id for each in sent[:PAGE]})
        lists = {each.id: each for each in list_store.load_lists(tx.session)}
        editions = tuple(
            SentEdition(
                mailing_list=lists[each.list_id],
                slot_key=each.slot_key,
                sent_at=each.sent_at,
                subject=each.subject,
                language=each.language,
                digest=each.digest,
                articles=tuple(
                    explain(articles[article_id], language, choices[each.filter_id], topics)
                    for article_id, language in shown.get(each.variant_id, [])
                    if article_id in articles and articles[article_id].state is ArticleState.PUBLISHED
                ),
            )
            for each in sent[:PAGE]
        )
        return History(standing, editions, sent[PAGE - 1].delivery_id if len(sent) > PAGE else None)


def explain(article: Article, language: str, choice: Filter, topics: Sequence[Topic]) -> SentArticle:
    """Return an article with the parts of *choice* that brought it: topics that it is about, the kind that it is of."""
    above = ancestors(topics)
    about = {each for topic in article.topics for each in (topic, *above.get(topic, ()))}
    return SentArticle(
        article,
        article.best_translation(language),
        tuple(topic for topic in topics if topic.id in choice.topics and topic.id in about),
        article.kind if article.kind in choice.kinds else None,
    )
