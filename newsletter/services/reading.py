"""Reading: what the web shows of articles and topics to anybody, nothing of drafts and of what is still to come."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from newsletter.domain.articles import Article, ArticleState
from newsletter.domain.topics import Topic, ancestors
from newsletter.errors import NotFoundError
from newsletter.services.context import App, Transaction
from newsletter.storage.articles import find_article, load_articles
from newsletter.storage.publication import Place, find_readable
from newsletter.storage.topics import load_topics

PAGE = 20
"""Articles on one page."""


@dataclass(frozen=True, slots=True)
class ArticlePage:
    """Some articles, the latest first; *older* is the uid of the last one where more follow it."""

    articles: tuple[Article, ...]
    older: str | None


@dataclass(frozen=True, slots=True)
class TopicPage:
    """A topic with a page of its articles, those of the topics under it among them."""

    topic: Topic
    parent: Topic | None
    children: tuple[Topic, ...]
    page: ArticlePage


@dataclass(frozen=True, slots=True)
class ReadableArticle:
    """An article with the topics it is about, the main one first."""

    article: Article
    topics: tuple[Topic, ...]


class Gone(StrEnum):
    """Why an article that was there is not shown."""

    WITHDRAWN = "withdrawn"


def read_latest(app: App, *, limit: int = PAGE) -> tuple[Article, ...]:
    """Return the articles that became visible last."""
    with app.reading() as tx:
        return _page(tx, (), None, limit).articles


def read_topics(app: App) -> list[Topic]:
    """Return all topics in the order of menus, a parent before what lies under it."""
    with app.reading() as tx:
        return in_menu_order(load_topics(tx.session))


def read_topic(app: App, slug: str, *, after: str | None = None) -> TopicPage:
    """
    Return a topic with its latest articles; *after*: the uid of the article after which the page begins.

    Raises:
        NotFoundError: there is no such topic, or no article with that uid.
    """
    with app.reading() as tx:
        topics = load_topics(tx.session)
        topic = next((each for each in topics if each.slug == slug), None)
        if topic is None:
            raise NotFoundError(f"there is no topic {slug!r}")
        above = ancestors(topics)
        family = [each.id for each in topics if each.id == topic.id or topic.id in above[each.id]]
        return TopicPage(
            topic,
            next((each for each in topics if each.id == topic.parent_id), None),
            tuple(each for each in topics if each.parent_id == topic.id),
            _page(tx, family, after, PAGE),
        )


def read_article(app: App, uid: str) -> ReadableArticle | Gone:
    """
    Return an article that anybody can read now, or why one that could be read is gone.

    Raises:
        NotFoundError: there is none with that uid, or it is still to come.
    """
    with app.reading() as tx:
        article = find_article(tx.session, uid)
        if article is None or article.visible_at > tx.now:
            raise NotFoundError(f"there is no article {uid!r}")
        if article.state is ArticleState.WITHDRAWN:
            return Gone.WITHDRAWN
        by_id = {topic.id: topic for topic in load_topics(tx.session)}
        return ReadableArticle(article, tuple(by_id[each] for each in article.topics if each in by_id))


def in_menu_order(topics: Sequence[Topic]) -> list[Topic]:
    """Return *topics* as a menu has them: by position, what lies under a topic right behind it."""
    ordered = sorted(topics, key=lambda topic: (topic.position, topic.slug))
    known = {topic.id for topic in topics}
    under: dict[int | None, list[Topic]] = {}
    for topic in ordered:
        under.setdefault(topic.parent_id if topic.parent_id in known else None, []).append(topic)
    menu: list[Topic] = []
    waiting = list(reversed(under.get(None, [])))
    while waiting:
        topic = waiting.pop()
        menu.append(topic)
        waiting.extend(reversed(under.get(topic.id, [])))
    return menu


def find_place(tx: Transaction, uid: str) -> Place:
    """
    Return where a page ended whose last article has that uid.

    Raises:
        NotFoundError: there is none.
    """
    last = find_article(tx.session, uid)
    if last is None:
        raise NotFoundError(f"there is no article {uid!r}")
    return Place(last.visible_at, last.id)


def _page(tx: Transaction, topics: Sequence[int], after: str | None, limit: int) -> ArticlePage:
    place = None if after is None else find_place(tx, after)
    ids = find_readable(tx.session, now=tx.now, topics=topics, after=place, limit=limit + 1)
    loaded = {article.id: article for article in load_articles(tx.session, ids[:limit])}
    articles = tuple(loaded[each] for each in ids[:limit])
    return ArticlePage(articles, articles[-1].uid if len(ids) > limit else None)
